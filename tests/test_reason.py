"""What follows from a claim is what anatomy and codes say, and each step rests on what is asserted.

The tables here are written from the decision rules, and not from the ontology: they are the second opinion.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kg
from kg.criteria import read_criteria
from kg.evaluate import Reading
from kg.graph import Graph
from kg.knowledge import Knowledge
from kg.plan import Plan
from kg.reason import Derived, Reasoned, reason
from kg.rules.derived import joined
from kg.terms import ANATOMY, COV, CPT, RDFS, SH, SKOS, TYPE, Literal, Triple, local_name

CAUDAL = ANATOMY + "directlyCaudalTo"
BONES = ["C0", *(f"{r}{i}" for r, n in (("C", 7), ("T", 12), ("L", 5), ("S", 5)) for i in range(1, n + 1))]
INTERSPACES = [f"{a}-{b}" for a, b in pairwise(BONES) if a not in ("S2", "S3", "S4")]
LEVELS = [*BONES[1:], *INTERSPACES]
REGIONS = {  # first and last level, and the code of an operation that names the region and no level
    "cervical": ("C0-C1", "C7-T1", "22551"),
    "thoracic": ("T1", "T12-L1", "63046"),
    "lumbar": ("L1", "L5-S1", "22558"),
    "sacral": ("S1", "S5", "63011"),
}


@cache
def knowledge() -> Knowledge:
    """Load the knowledge once."""
    return kg.load_knowledge()


def parsed(**fields: Any) -> kg.Claim:
    """Parse a claim with these fields; those that every claim must have stand unless given."""
    document = {"id": "c", "serviceDate": "2025-03-14", "lines": [{"code": "95938"}], **fields}
    return kg.parse_claim(json.dumps(document), "json", knowledge())


def reasoned(**fields: Any) -> Reasoned:
    """Reason about a claim with these fields."""
    return reason(parsed(**fields), knowledge())


def operated(*levels: str, conus: str = "", code: str = "22830") -> dict[str, Any]:
    """Return an operation at some levels."""
    return {"procedures": [{"code": code, "levels": list(levels)}], **({"conusLevel": conus} if conus else {})}


def pairs(found: Reasoned, predicate: str, at: str = "") -> set[tuple[str, str]]:
    """Return what stands on both sides of a predicate, by local names."""
    return {
        (local_name(str(s)), o.value if isinstance(o, Literal) else local_name(str(o)))
        for s, p, o in found.graph
        if p == COV + predicate and local_name(str(s)).startswith(at)
    }


def objects(found: Reasoned, node: str, predicate: str) -> set[str]:
    """Return the values of a predicate of a part of the claim, by local names."""
    return {o for s, o in pairs(found, predicate, node) if s == node}


# Where the operation was


def test_levels_that_are_named_are_sites() -> None:
    """Each level that a procedure names is one site, however often it is named."""
    found = reasoned(operation={"procedures": [
        {"code": "22551", "levels": ["C4-C5", "C5-C6"]},
        {"code": "63081", "levels": ["C5", "C5-C6"]},
    ]})  # fmt: skip
    assert objects(found, "operation", "site") == {"site-C4-C5", "site-C5-C6", "site-C5"}
    assert objects(found, "site-C5", "level") == {"C5"}


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_is_the_site_of_a_code_without_levels(region: str) -> None:
    """A procedure that names no level is operated on in the region of its code."""
    found = reasoned(operation={"procedures": [{"code": REGIONS[region][2]}]})
    assert objects(found, "operation", "site") == {f"site-{region.capitalize()}Region"}


def test_a_level_within_a_region_stands_for_it() -> None:
    """A region is no site of its own where a level within it is named."""
    found = reasoned(operation={"procedures": [{"code": "22551", "levels": ["C4-C5"]}, {"code": "63001"}]})
    assert objects(found, "operation", "site") == {"site-C4-C5"}


def test_a_level_elsewhere_does_not_stand_for_a_region() -> None:
    """A region stays a site where levels are named in another one only."""
    found = reasoned(operation={"procedures": [{"code": "22551", "levels": ["C4-C5"]}, {"code": "22558"}]})
    assert objects(found, "operation", "site") == {"site-C4-C5", "site-LumbarRegion"}


@pytest.mark.parametrize("code", ["22842", "29881"])
def test_no_site_without_level_and_region(code: str) -> None:
    """A code that names no region, or that the ontology does not hold, makes no site."""
    assert objects(reasoned(operation={"procedures": [{"code": code}]}), "operation", "site") == set()


# Where the cord is: decision rule 9


def bone(name: str) -> int:
    """Return the place of a bone from the head down."""
    return BONES.index(name)


def below(level: str, conus: str) -> bool:
    """Say whether a level is below the cord that ends at the conus, as decision rule 9 words it."""
    upper = level.partition("-")[0]
    if "-" in conus:
        p, q = conus.split("-")
        return bone(upper) >= bone(q) if "-" in level else bone(level) > bone(p)
    return bone(upper) > bone(conus)


def position(first: str, last: str, conus: str = "") -> str:
    """Return where a stretch of levels is: below the cord, beside it, or nothing where that is open."""
    latest, earliest = (conus, conus) if conus else ("L1-L2", "T12-L1")
    return "BelowCord" if below(first, latest) else "" if below(last, earliest) else "AtCord"


def positions(found: Reasoned) -> dict[str, str]:
    """Return the position of each site that has one, by level or region."""
    levels = dict(pairs(found, "level", "site-"))
    return {levels[site]: where for site, where in pairs(found, "cordPosition")}


@pytest.mark.parametrize("conus", ["", *LEVELS])
def test_positions(conus: str) -> None:
    """Each level is below the cord, beside it or neither as rule 9 says, for the default and each documented conus."""
    found = positions(reasoned(operation=operated(*LEVELS, conus=conus)))
    assert {level: found.get(level, "") for level in LEVELS} == {x: position(x, x, conus) for x in LEVELS}


@pytest.mark.parametrize("conus", ["", "T12-L1", "L1-L2", "L5-S1", "S5"])
@pytest.mark.parametrize("region", REGIONS)
def test_positions_of_regions(region: str, conus: str) -> None:
    """A region is below the cord if its first level is, and beside it if its last level is."""
    first, last, code = REGIONS[region]
    operation = {"procedures": [{"code": code}], **({"conusLevel": conus} if conus else {})}
    expected = position(first, last, conus)
    assert positions(reasoned(operation=operation)).get(f"{region.capitalize()}Region", "") == expected


def test_the_words_of_the_rule() -> None:
    """The default border is where rule 9 says it in words."""
    found = positions(reasoned(operation=operated(*INTERSPACES)))
    assert [x for x in INTERSPACES if x not in found] == ["L1-L2"]
    assert found["T12-L1"] == "AtCord"
    assert found["L2-L3"] == "BelowCord"


@pytest.mark.parametrize("conus", ["", "T12", "L1-L2", "L4"])
def test_a_position_walks_to_its_border(conus: str) -> None:
    """The premises of a position lead from the level to where the cord ends, one level at a time."""
    order = [level for bone in BONES[1:] for level in (*(x for x in INTERSPACES if x.endswith(f"-{bone}")), bone)]
    found = reasoned(operation=operated("T9-T10", "L5-S1", conus=conus))
    facts = [fact for fact in found.derived if fact.triple[1] == COV + "cordPosition"]
    assert len(facts) == 2
    for fact in facts:
        ends = [o for _, p, o in fact.premises if p in {ANATOMY + "endsAtLatest", ANATOMY + "endsAtEarliest"}]
        border = local_name(str(ends[0])) if ends else conus
        steps = {(local_name(str(o)), local_name(str(s))) for s, p, o in fact.premises if p == CAUDAL}
        level = local_name(str(fact.triple[0])).removeprefix("site-")
        first, last = sorted((order.index(level), order.index(border)))
        way = set(pairwise(order[first : last + 1]))
        under = set(pairwise(order[order.index(border) : order.index(border) + 2])) if "-" not in border else set()
        assert way <= steps <= way | under  # a vertebra as conus stands for the interspace under it


# What a line monitors there


def exposures(found: Reasoned, line: int = 1) -> dict[str, set[str]]:
    """Return the structures at risk for a line, by site."""
    at = {node: site.removeprefix("site-") for node, site in pairs(found, "atSite", f"line-{line}-at-")}
    risks: dict[str, set[str]] = {site: set() for site in at.values()}
    for node, structure in pairs(found, "atRisk", f"line-{line}-at-"):
        risks[at[node]].add(structure)
    return risks


def cord_in(structures: Iterable[str]) -> bool:
    """Say whether a structure of the cord is among some structures."""
    return any(knowledge().is_cord(ANATOMY + structure) for structure in structures)


@pytest.mark.parametrize("code", ["95938", "95926", "95939", "95929"])
def test_studies_of_the_legs_monitor_the_whole_cord(code: str) -> None:
    """Lower-limb SSEP and MEP monitor the cord wherever the canal holds it, and roots and cauda equina below."""
    found = exposures(reasoned(operation=operated(*LEVELS), lines=[{"code": code}]))
    assert {x for x in LEVELS if cord_in(found[x])} == {x for x in LEVELS if position(x, x) == "AtCord"}
    assert {x for x in LEVELS if "CaudaEquina" in found[x]} >= {x for x in LEVELS if position(x, x) == "BelowCord"}


@pytest.mark.parametrize("code", ["95925", "95928"])
def test_studies_of_the_arms_monitor_the_cervical_cord(code: str) -> None:
    """Upper-limb SSEP and MEP monitor the cord in the neck only."""
    found = exposures(reasoned(operation=operated(*LEVELS), lines=[{"code": code}]))
    assert {x for x in LEVELS if cord_in(found[x])} == {x for x in LEVELS if x.startswith("C")}


def test_emg_monitors_roots() -> None:
    """EMG of the limbs monitors the roots that leave at each interspace, and never the cord."""
    found = exposures(reasoned(operation=operated(*INTERSPACES), lines=[{"code": "95861"}]))
    limbs = {"C5", "C6", "C7", "C8", "T1", "L2", "L3", "L4", "L5", "S1"}
    for level in INTERSPACES:
        upper, lower = level.split("-")
        leaving = "C8" if level == "C7-T1" else lower if lower.startswith("C") else upper
        roots = {name.removesuffix("Root") for name in found[level] if name.endswith("Root")}
        assert roots == {leaving} & limbs, level
        assert not cord_in(found[level])


def test_a_low_conus_is_at_risk_where_it_lies() -> None:
    """Where imaging shows a low conus, the legs' studies monitor it and the arms' do not."""
    operation = operated("L4-L5", "L5-S1", conus="L4")
    for code, monitored in (("95926", True), ("95925", False)):
        found = exposures(reasoned(operation=operation, lines=[{"code": code}]))
        assert cord_in(found["L4-L5"]) is monitored
        assert not cord_in(found["L5-S1"])


def test_a_high_conus_leaves_nothing_of_the_cord_below() -> None:
    """Below a documented conus the canal holds the cauda equina, even at a thoracic level."""
    found = exposures(reasoned(operation=operated("T12-L1", conus="T11")))
    assert found == {"T12-L1": {"CaudaEquina"}}


def test_a_line_without_modality_has_no_exposure() -> None:
    """Continuous monitoring, supplies and codes that the ontology does not hold are exposed nowhere."""
    lines = [{"code": code} for code in ("95940", "A4215", "99213", "95938")]
    found = reasoned(operation=operated("C4-C5"), lines=lines)
    assert [bool(exposures(found, number)) for number in (1, 2, 3, 4)] == [False, False, False, True]


# What is known of the patient


def regions(found: Reasoned, node: str) -> set[str]:
    """Return the regions of a finding by their anatomy."""
    return objects(found, node, "region") - {"OperatedRegion"}


BOTH = {"procedures": [{"code": "22551", "levels": ["C4-C5"]}, {"code": "22558", "levels": ["L4-L5"]}]}


@pytest.mark.parametrize(
    ("code", "operation", "expected"),
    [
        ("M54.12", operated("L4-L5"), {"CervicalRegion"}),
        ("M50.021", operated("L4-L5"), {"C4-C5"}),
        ("C72.0", operated("L4-L5"), {"LumbarRegion"}),
        ("C72.0", BOTH, {"CervicalRegion", "LumbarRegion"}),
        ("C72.0", {}, set()),
        ("G80.1", operated("L4-L5"), set()),
    ],
)
def test_the_region_of_a_diagnosis(code: str, operation: dict[str, Any], expected: set[str]) -> None:
    """A diagnosis is where its code says; one silent on region where the operation is; others nowhere."""
    assert regions(reasoned(diagnoses=[code], operation=operation), "diagnosis-1") == expected


@pytest.mark.parametrize("operation", [operated("C4-C5"), BOTH, operated("T12-L1", "L1-L2"), {}])
def test_the_region_of_a_listed_fact(operation: dict[str, Any]) -> None:
    """A listed fact is where it says, else where the operation is."""
    facts = [
        {"fact": "SpinalTumor", "status": "present"},
        {"fact": "TraumaticInjury", "status": "present", "region": "sacral"},
    ]
    found = reasoned(operation=operation, facts=facts)
    letters = {level[0] for p in operation.get("procedures", ()) for level in p["levels"]}
    names = {"C": "CervicalRegion", "T": "ThoracicRegion", "L": "LumbarRegion"}
    node = {concept: node for node, concept in pairs(found, "concept")}
    assert regions(found, node["SpinalTumor"]) == {names[letter] for letter in letters}
    assert regions(found, node["TraumaticInjury"]) == {"SacralRegion"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"diagnoses": ["M54.12"], "operation": operated("C4-C5")}, True),
        ({"diagnoses": ["M54.12"], "operation": operated("L4-L5")}, False),
        ({"diagnoses": ["M54.12"], "operation": BOTH}, True),
        ({"diagnoses": ["C72.0"]}, True),
        ({"diagnoses": ["G80.1"], "operation": operated("C4-C5")}, False),
        ({"facts": [{"fact": "SpinalTumor", "status": "present"}]}, True),
        ({"facts": [{"fact": "SpinalTumor", "status": "absent"}]}, True),
        *(
            (
                {
                    "operation": operated("C4-C5"),
                    "facts": [{"fact": "SpinalTumor", "status": status, "region": region}],
                },
                expected,
            )
            for status, region, expected in [
                ("present", "cervical", True),
                ("present", "cervicothoracic", True),
                ("present", "lumbar", False),
                ("absent", "cervical", True),
                ("absent", "cervicothoracic", False),
            ]
        ),
    ],
)
def test_what_is_where_the_operation_was(fields: dict[str, Any], expected: bool) -> None:
    """A finding is in the operated region if it names none or that one; an absence in a part of it is not enough."""
    located = {node for node, region in pairs(reasoned(**fields), "region") if region == "OperatedRegion"}
    assert bool(located) is expected


def test_what_an_operation_states_is_where_it_was() -> None:
    """A fact that an operation code states is at its levels, else in its region, else in the operated region."""
    procedures = [{"code": "63285"}, {"code": "63277", "levels": ["L3-L4"]}, {"code": "22800"}]
    found = reasoned(operation={"procedures": procedures})
    stated = {node: concept for node, concept in pairs(found, "concept") if node.startswith("procedure-")}
    told = {(stated[node], region) for node in stated for region in regions(found, node)}
    assert told == {
        ("SpinalTumor", "CervicalRegion"),
        ("IntramedullaryLesion", "CervicalRegion"),
        ("SpinalTumor", "LumbarRegion"),
        ("DeformityCorrection", "CervicalRegion"),
        ("DeformityCorrection", "LumbarRegion"),
    }
    assert {status for node in stated for status in objects(found, node, "status")} == {"Present"}


def test_what_a_code_denies_is_absent_in_its_region() -> None:
    """A diagnosis that states an absence makes an absent fact in its region."""
    found = reasoned(diagnoses=["M47.812"], operation=operated("L4-L5"))
    denied = {concept: node for node, concept in pairs(found, "concept")}
    assert set(denied) == {"Myelopathy", "Radiculopathy"}
    for node in denied.values():
        assert regions(found, node) == {"CervicalRegion"}
        assert objects(found, node, "status") == {"Absent"}


@pytest.mark.parametrize(
    ("role", "denied"),
    [
        ("surgeon", True),
        ("assistant-surgeon", True),
        ("anesthesiologist", True),
        ("interpreting-physician", False),
        ("technologist", False),
    ],
)
def test_what_a_role_denies(role: str, denied: bool) -> None:
    """A member of the surgical team is no independent interpreter, on that line; another role says nothing."""
    found = reasoned(lines=[{"code": "95938", "performer": {"role": role}}, {"code": "95939"}])
    absent = {concept for _, concept in pairs(found, "concept", "line-1")}
    assert absent == ({"IndependentInterpreter"} if denied else set())
    assert not pairs(found, "concept", "line-2")
    assert len(objects(found, "line-1", "finding")) == denied


DEFORMED = {"fact": "SpinalDeformity", "status": "present"}
CORRECTED = {"fact": "DeformityCorrection", "status": "present"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"diagnoses": ["M41.22"], "operation": operated("C5-C6", code="22210")}, {"CervicalRegion"}),
        ({"diagnoses": ["M41.26"], "operation": operated("C5-C6", code="22210")}, set()),
        ({"diagnoses": ["M41.22"], "operation": operated("C5-C6")}, set()),
        ({"operation": operated("C5-C6", code="22210")}, set()),
        ({"diagnoses": ["M41.23"], "operation": operated("C7-T1", code="22210")}, {"CervicalRegion"}),
        ({"diagnoses": ["M41.22", "M41.26"], "operation": {"procedures": [*BOTH["procedures"], {"code": "22800"}]}},
         {"CervicalRegion", "LumbarRegion"}),
        ({"operation": operated("L4-L5"), "facts": [DEFORMED, CORRECTED]}, {"LumbarRegion"}),
        ({"operation": operated("L4-L5"), "facts": [DEFORMED | {"region": "cervical"}, CORRECTED]}, set()),
        ({"operation": operated("L4-L5"), "facts": [DEFORMED, CORRECTED | {"status": "absent"}]}, set()),
        ({"operation": operated("L4-L5"), "facts": [DEFORMED | {"fact": "SignificantDeformity"}, CORRECTED]},
         {"LumbarRegion"}),
    ],
)  # fmt: skip
def test_a_corrected_deformity_is_significant(fields: dict[str, Any], expected: set[str]) -> None:
    """Deformity and its correction in one region are a significant deformity there (decision rule 5)."""
    found = reasoned(**fields)
    nodes = {node for node, c in pairs(found, "concept", "corrected-deformity") if c == "SignificantDeformity"}
    assert {region for node in nodes for region in regions(found, node)} == expected


NARROWER = {
    ("SevereCordCompression", "CordCompression"),
    ("SignificantDeformity", "SpinalDeformity"),
    ("SignificantInstability", "SpinalInstability"),
}


def leaf_of(fact: str) -> str:
    """Return the Turtle-free triples' subject of a leaf that asks for a fact."""
    return f"https://example.org/{fact}"


@cache
def fact_leaves() -> dict[str, Any]:
    """Make a leaf for each fact that a claim may list."""
    triples: list[Triple] = []
    for fact, concept in knowledge().facts.items():
        iri = leaf_of(fact)
        triples += [(iri, TYPE, COV + "FactLeaf"), (iri, RDFS + "label", Literal(fact))]
        triples += [(iri, COV + "asksFor", concept), (iri, SH + "message", Literal(fact))]
    return dict(read_criteria(Graph(triples, below=knowledge().graph), map(leaf_of, knowledge().facts)))


@pytest.mark.parametrize("fact", sorted(knowledge().facts))
def test_broader_and_narrower(fact: str) -> None:
    """What is present climbs to the broader fact and what is absent descends to the narrower: rule 4's pairs only."""
    above = {fact} | {broad for narrow, broad in NARROWER if narrow == fact}
    beneath = {fact} | {narrow for narrow, broad in NARROWER if broad == fact}
    for status, met, refuted in (("present", above, set()), ("absent", set(), beneath)):
        plan = Plan(fact_leaves().values(), knowledge())
        reading = Reading(plan, reasoned(facts=[{"fact": fact, "status": status}]))
        line = parsed().lines[0][1]
        outcomes = {name: reading.outcome(fact_leaves()[leaf_of(name)], line) for name in knowledge().facts}
        assert {name for name, outcome in outcomes.items() if outcome.met} == met
        assert {name for name, outcome in outcomes.items() if outcome.refuted} == refuted


def test_facts_are_those_of_the_contract() -> None:
    """The names that a claim may list include all that the pairs of rule 4 name."""
    assert {name for pair in NARROWER for name in pair} <= knowledge().facts.keys()


# Where the operation was, as a part of the body: decision rule 11


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"operation": {"procedures": [{"code": "22842"}]}}, {"VertebralColumn"}),
        ({"operation": {"procedures": [{"code": "29881", "levels": ["C4-C5"]}]}}, {"VertebralColumn"}),
        ({"operation": {"procedures": [{"code": "61520"}]}, "diagnoses": ["M48.02"]}, {"PosteriorFossa"}),
        ({"operation": {"procedures": [{"code": "35301"}, {"code": "22551"}]}}, {"CarotidArteries", "VertebralColumn"}),
        ({"diagnoses": ["M48.02"]}, {"VertebralColumn"}),
        ({"diagnoses": ["G80.1"]}, set()),
        ({"operation": {"procedures": [{"code": "29881"}]}, "diagnoses": ["M48.02"]}, set()),
        ({}, set()),
    ],
)
def test_surgical_sites(fields: dict[str, Any], expected: set[str]) -> None:
    """An operation is where procedures and levels are; a diagnosis tells only where no procedure is given."""
    assert objects(reasoned(**fields), "operation", "surgicalSite") == expected


# Codes and lines


@pytest.mark.parametrize(
    ("code", "day", "expected"),
    [
        ("M51.37", "2024-09-30", "ValidCode"),
        ("M51.37", "2024-10-01", "ExpiredCode"),
        ("M51.370", "2024-09-30", "NotYetValidCode"),
        ("M51.370", "2024-10-01", "ValidCode"),
        ("M54.12", "2015-10-01", "ValidCode"),
        ("M54.12", "2015-09-30", "NotYetValidCode"),
        ("M54.1", "2025-03-14", "HeaderCode"),
        ("S12.400", "2025-03-14", "HeaderCode"),
        ("G80.1", "2025-03-14", "ValidCode"),
        ("G80", "2025-03-14", "HeaderCode"),
    ],
)
def test_validity_of_a_diagnosis(code: str, day: str, expected: str) -> None:
    """A code is valid from its first day until the day after its last; a header never is."""
    assert objects(reasoned(diagnoses=[code], serviceDate=day), "diagnosis-1", "codeValidity") == {expected}


@pytest.mark.parametrize(
    ("code", "day", "expected"),
    [
        ("95920", "2012-12-31", {"ValidCode"}),
        ("95920", "2013-01-01", {"ExpiredCode"}),
        ("95940", "2012-12-31", {"NotYetValidCode"}),
        ("95940", "2013-01-01", {"ValidCode"}),
        ("95861", "1999-01-01", {"ValidCode"}),
        ("99213", "2025-03-14", set()),
    ],
)
def test_validity_of_a_line(code: str, day: str, expected: set[str]) -> None:
    """The code of a line is valid between its dates; of a code that the ontology does not hold nothing is said."""
    assert objects(reasoned(lines=[{"code": code}], serviceDate=day), "line-1", "codeValidity") == expected


def between_lines(predicate: str, *codes: str) -> set[tuple[int, int]]:
    """Return the pairs of line numbers that a predicate relates, for lines with these codes."""
    found = pairs(reasoned(lines=[{"code": code} for code in codes]), predicate)
    return {(int(a.removeprefix("line-")), int(b.removeprefix("line-"))) for a, b in found}


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (("95938", "95940"), {(2, 1)}),
        (("95940", "95938"), {(1, 2)}),
        (("95938", "95861", "95941"), {(3, 1), (3, 2)}),
        (("95955", "95940"), set()),
        (("95999", "95940"), set()),
        (("A4215", "95940"), set()),
        (("99213", "95940"), set()),
        (("95940", "95941"), set()),
        (("95940",), set()),
        (("95885", "95938"), set()),
        (("95885", "95907"), {(1, 2)}),
        (("95962", "95961"), {(1, 2)}),
    ],
)
def test_base_lines(codes: tuple[str, ...], expected: set[tuple[int, int]]) -> None:
    """A base line is another line whose code the add-on code accepts as its parent."""
    assert between_lines("baseLine", *codes) == expected


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (("95938", "95925"), {(2, 1)}),
        (("95925", "95938"), {(1, 2)}),
        (("95925", "95926", "95938"), {(1, 3), (2, 3)}),
        (("95928", "95939", "95929"), {(1, 2), (3, 2)}),
        (("95938", "95938"), {(2, 1)}),
        (("95938", "95938", "95938"), {(2, 1), (3, 1)}),
        (("99213", "99213"), {(2, 1)}),
        (("99213", "99214"), set()),
        (("95925", "95926"), set()),
        (("95938", "95928"), set()),
        (("95939", "95938"), set()),
    ],
)
def test_duplicates(codes: tuple[str, ...], expected: set[tuple[int, int]]) -> None:
    """Of equal codes the lowest line stands, and the comprehensive code over what it comprises (decision rule 22)."""
    assert between_lines("duplicateOf", *codes) == expected


@pytest.mark.parametrize(
    ("diagnoses", "expected"),
    [
        (["G99.2", "M47.12"], {("diagnosis-1", "diagnosis-2")}),
        (["M47.12", "G99.2"], {("diagnosis-2", "diagnosis-1")}),
        (["G99.2", "M48.02"], set()),
        (["G99.2"], set()),
        (["M54.12", "M50.121"], {("diagnosis-1", "diagnosis-2")}),
        (["M54.12", "M54.16"], set()),
    ],
)
def test_excluded_pairs(diagnoses: list[str], expected: set[tuple[str, str]]) -> None:
    """Two diagnoses exclude each other if a class of one lists a class of the other under Excludes1."""
    assert pairs(reasoned(diagnoses=diagnoses), "excludedBy") == expected


# Minutes

DAY = datetime(2025, 3, 14, tzinfo=UTC)


def minutes_of(*spans: tuple[str, str]) -> set[str]:
    """Return the minutes that are derived for a line with these intervals."""
    intervals = [{"start": start, "end": end} for start, end in spans]
    found = reasoned(lines=[{"code": "95938"}, {"code": "95940", "intervals": intervals}])
    return objects(found, "line-2", "monitoredMinutes")


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([("08:00:00", "08:07:00")], 7),
        ([("08:00:00", "08:08:00")], 8),
        ([("08:00:00", "08:07:59")], 7),
        ([("08:00:00", "08:10:00"), ("08:05:00", "08:15:00")], 15),
        ([("08:05:00", "08:15:00"), ("08:00:00", "08:10:00")], 15),
        ([("08:00:00", "08:30:00"), ("08:10:00", "08:20:00")], 30),
        ([("08:00:00", "08:30:00"), ("08:10:00", "08:20:00"), ("08:25:00", "08:35:00")], 35),
        ([("08:00:00", "08:10:00"), ("08:10:00", "08:20:00")], 20),
        ([("08:00:00", "08:10:00"), ("08:00:00", "08:10:00")], 10),
        ([("08:00:00", "08:10:00"), ("09:00:00", "09:10:00")], 20),
        ([("08:00:00", "08:00:30"), ("08:01:00", "08:01:30")], 1),
    ],
)
def test_minutes(spans: list[tuple[str, str]], expected: int) -> None:
    """The minutes of a line are those that its intervals cover, each once, in whole minutes of the sum."""
    assert minutes_of(*((f"2025-03-14T{a}", f"2025-03-14T{b}") for a, b in spans)) == {str(expected)}


def test_no_minutes_without_intervals() -> None:
    """Units alone say nothing of minutes."""
    assert pairs(reasoned(lines=[{"code": "95940", "units": 4}]), "monitoredMinutes") == set()


@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.integers(1, 60), st.sampled_from([-300, 0, 120, 330])), min_size=1, max_size=5
    )
)
@settings(max_examples=100, deadline=None)
def test_minutes_are_counted_once(spans: list[tuple[int, int, int]]) -> None:
    """However intervals overlap, and whatever offset each is written with, each minute counts once."""
    covered = {minute for start, length, _ in spans for minute in range(start, start + length)}
    written = [
        tuple((DAY + timedelta(minutes=m)).astimezone(timezone(timedelta(minutes=offset))).isoformat() for m in ends)
        for start, length, offset in spans
        for ends in [(start, start + length)]
    ]
    assert minutes_of(*((a, b) for a, b in written)) == {str(len(covered))}


def test_intervals_with_and_without_offset() -> None:
    """Intervals of which one has an offset and another none are counted or refused, and never break the engine."""
    with suppress(kg.ClaimError):
        spans = ("2025-03-14T08:00:00", "2025-03-14T08:04:00"), ("2025-03-14T08:02:00Z", "2025-03-14T08:06:00Z")
        assert len(minutes_of(*spans)) == 1


# Each derived fact has its rule and its premises


CLAIMS: list[dict[str, Any]] = [
    {},
    {"diagnoses": ["M48.02", "C72.0", "M47.812", "G99.2", "M47.12", "M51.37"], "operation": BOTH},
    {"operation": operated(*LEVELS)},
    {"operation": operated(*LEVELS, conus="L2")},
    {"operation": operated(*LEVELS, conus="T12-L1"), "lines": [{"code": c} for c in ("95861", "95927", "51785")]},
    {"operation": {"procedures": [{"code": region[2]} for region in REGIONS.values()]}},
    {"operation": {"procedures": [{"code": region[2]} for region in REGIONS.values()], "conusLevel": "L3"}},
    {"diagnoses": ["M48.02"], "lines": [{"code": "95920"}, {"code": "95938"}, {"code": "95925"}, {"code": "99213"}]},
    {"diagnoses": ["M41.22"], "operation": operated("C5-C6", code="22210"), "facts": [DEFORMED, CORRECTED]},
    {"lines": [
        {"code": "95938", "performer": {"id": "p", "role": "surgeon"}},
        {"code": "95940", "intervals": [
            {"start": "2025-03-14T08:00:00", "end": "2025-03-14T09:00:00"},
            {"start": "2025-03-14T08:30:00", "end": "2025-03-14T09:30:00"},
        ]},
    ]},
    {"operation": operated("C4-C5"), "facts": [{"fact": "SpinalTumor", "status": "present", "region": "cervical"}]},
    {"diagnoses": ["M54.12", "M54.12"], "operation": {"procedures": [
        {"code": "22551", "levels": ["C4-C5", "L4-L5"]}, {"code": "22554", "levels": ["C4-C5"]},
    ]}},
    {"lines": [
        {"code": "95861"},
        {"code": "95860"},
        {"code": "95940", "units": 9, "intervals": [{"start": "2025-03-14T08:00:00", "end": "2025-03-14T09:00:00"}]},
        {"code": "95941", "intervals": [{"start": "2025-03-14T08:30:00", "end": "2025-03-14T09:30:00"}]},
    ]},
]  # fmt: skip
ELSEWHERE = {
    "rule-baseDecision",  # derived in deciding, when base lines have been decided
}


def derived() -> Iterator[tuple[kg.Claim, Derived]]:
    """Yield what is derived for each of the claims above."""
    for fields in CLAIMS:
        claim = parsed(**fields)
        for fact in reason(claim, knowledge()).derived:
            yield claim, fact


def test_each_derived_fact_has_a_rule() -> None:
    """The ontology describes the rule of each derived fact, and some claim derives a fact by each rule."""
    graph = knowledge().graph
    used = {fact.rule for _, fact in derived()}
    assert {rule for rule in used if (rule, TYPE, COV + "Rule") not in graph} == set()
    assert {rule for rule in used if not graph.text(rule, SKOS + "definition")} == set()
    described = {str(s) for s in graph.subjects(TYPE, COV + "Rule") if str(s).startswith(COV + "rule-")}
    assert {local_name(rule) for rule in described - used} <= ELSEWHERE, "a rule by which nothing is derived"


def test_premises_are_asserted() -> None:
    """Each derived fact follows from something, and only from what claim and ontology assert."""
    for claim, fact in derived():
        asserted = set(claim.stated)
        assert fact.premises, f"{fact.triple} follows from nothing"
        strange = [p for p in fact.premises if p not in asserted and p not in knowledge().graph]
        assert not strange, f"{local_name(fact.rule)} rests on {strange}"
        assert fact.triple not in asserted, f"{fact.triple} is asserted, and derived"


def test_premises_name_the_claim() -> None:
    """A fact of the claim follows from at least one fact of the claim, never from the ontology alone."""
    for claim, fact in derived():
        assert set(fact.premises) & set(claim.stated), f"{local_name(fact.rule)}: {fact.triple}"


def test_reasoning_changes_nothing() -> None:
    """Reasoning adds to the claim and leaves both claim and knowledge as they were."""
    claim, before = parsed(operation=BOTH), len(list(knowledge().graph))
    found = reason(claim, knowledge())
    assert all(triple in found.graph for triple in claim.stated)
    assert len(list(knowledge().graph)) == before
    assert reason(claim, knowledge()).derived == found.derived


def test_a_triple_is_told_alike_each_time() -> None:
    """Why a triple follows is found when it is asked; what is alike for all claims is in the same pieces."""
    for fields in CLAIMS:
        found = reason(parsed(**fields), knowledge())
        for fact in found.derived:
            first, again = found.why(fact.triple), found.why(fact.triple)
            assert first and again and Derived(fact.triple, first[0].rule, joined(first[1])) == fact
            assert first == again
            assert not first[0].alike or first[1] is again[1]


def test_what_is_stated_follows_from_nothing() -> None:
    """A triple that the claim states is no conclusion, though others of its property are."""
    for fields in CLAIMS:
        claim = parsed(**fields)
        found = reason(claim, knowledge())
        assert [triple for triple in claim.stated if found.why(triple)] == []


def test_codes_outside_the_ontology_derive_nothing() -> None:
    """A code without knowledge leaves a trace in the claim and nothing more."""
    found = reasoned(lines=[{"code": "99213"}], operation={"procedures": [{"code": "29881"}]})
    assert found.derived == ()
    assert pairs(found, "unknownCode") == {("line-1", "99213"), ("procedure-1", "29881")}
    assert CPT + "99213" not in {o for _, _, o in found.graph}
