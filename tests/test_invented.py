"""What no policy that is encoded asks today, asked by invented ones: the core decides it all the same."""

from typing import Any

import pytest

import kg
from kg.decide import BASE_IN_REVIEW, CONFLICTING, MAX_READINGS, POSTURES
from kg.knowledge import build
from kg.outcome import STATUSES
from kg.replay.background import Background
from kg.shapes import Run
from kg.terms import COV
from tests.conftest import example, parsed
from tests.test_drawn_policies import NAMED, refused
from tests.test_knowledge import POLICY, SEEN, TRIAL, WORDS, extended
from tests.test_laws import flat

IN_EDITION = f"cov:inEdition :edition ; {SEEN}"
ILL = f":ill a cov:FactLeaf ; {WORDS} ; cov:asksFor condition:Myelopathy .\n:well {WORDS} ; sh:not :ill .\n"
COVERED = f":it a cov:Criterion , cov:CoverageClause ; {WORDS} ; cov:concerns line:ssep ; {IN_EDITION}"
HURT = f":hurt a cov:FactLeaf ; {WORDS} ; cov:asksFor condition:TraumaticInjury .\n"
FACTS = [
    *("Myelopathy", "SpinalTumor", "TraumaticInjury", "SpinalDeformity", "SpinalInstability", "Radiculopathy"),
    *("SpinalStenosis", "TetheredCord", "CordCompression"),
]


def invented(knowledge: kg.Knowledge, turtle: str) -> kg.Knowledge:
    """Return the knowledge with one more policy, `trial`."""
    return build(extended(knowledge, POLICY + turtle), "", knowledge.root)


def first_line(knowledge: kg.Knowledge, posture: str, **changes: Any) -> dict[str, Any]:
    """Return what is told of the first line of a claim under the invented policy."""
    claim = parsed({**example("c01"), "facts": [], **changes})
    told: dict[str, Any] = kg.determine(claim, knowledge, "trial", posture).to_dict()["lines"][0]
    return told


def exclusion(name: str, *criteria: str) -> str:
    return (
        f":{name} a cov:Criterion , cov:ExclusionClause ; {WORDS} ; sh:and ( {' '.join(criteria)} ) ; {IN_EDITION} .\n"
    )


EXCLUSIONS = exclusion("one", ":ill") + exclusion("other", ":well")  # one of them holds, whatever is found


@pytest.mark.parametrize(
    ("posture", "turtle", "decision"),
    [
        ("payer", f"{ILL} {COVERED} ; sh:and ( :either ) . :either {WORDS} ; sh:or ( :ill :well ) .", "approve"),
        ("payer", f"{ILL} {COVERED} ; sh:and ( line:ssep ) . {EXCLUSIONS}", "deny"),
        ("advisory", f"{ILL} {HURT} {COVERED} ; sh:and ( :hurt ) . {EXCLUSIONS}", "deny"),
        ("advisory", f"{ILL} {COVERED} ; sh:and ( line:ssep ) . {EXCLUSIONS}", "deny"),
    ],
    ids=["covered", "excluded", "excluded, though not yet covered", "excluded, though a guideline supports it"],
)
def test_what_follows_from_a_fact_and_from_its_absence_is_decided(
    posture: str, turtle: str, decision: str, knowledge: kg.Knowledge
) -> None:
    """A line that the fact decides as its absence does is decided while the fact is open, and nothing is asked."""
    line = first_line(invented(knowledge, turtle), posture)
    assert (line["decision"], line["path"]["status"]) == (decision, "undocumented")
    assert line["decidedRegardless"] and line["missing"] == line["changes"] == line["flips"] == []


def test_a_fact_that_only_one_side_asks_for_is_asked(knowledge: kg.Knowledge) -> None:
    """With one of the two exclusions alone the line pends on the fact, which may turn it either way."""
    turtle = f"{ILL} {COVERED} ; sh:and ( line:ssep ) . {exclusion('one', ':ill')}"
    line = first_line(invented(knowledge, turtle), "payer")
    assert line["decision"] == "pend" and not line["decidedRegardless"]
    assert [one["fact"] for one in line["missing"]] == ["Myelopathy"]
    assert {(one["to"], one["facts"][0]["status"]) for one in line["changes"]} == {
        ("approve", "absent"),
        ("deny", "present"),
    }


def test_a_fact_on_both_sides_may_leave_the_line_open(knowledge: kg.Knowledge) -> None:
    """A fact that covers the line, and with another excludes it, is asked with that other."""
    turtle = f"{ILL} {HURT} {COVERED} ; sh:and ( :ill ) . {exclusion('one', ':ill', ':hurt')}"
    line = first_line(invented(knowledge, turtle), "payer")
    assert line["decision"] == "pend" and not line["decidedRegardless"]
    changes = {(one["to"], tuple((f["fact"], f["status"]) for f in one["facts"])) for one in line["changes"]}
    assert changes == {
        ("approve", (("Myelopathy", "present"), ("TraumaticInjury", "absent"))),
        ("deny", (("Myelopathy", "absent"),)),
        ("deny", (("Myelopathy", "present"), ("TraumaticInjury", "present"))),
    }


def test_what_excludes_a_base_line_that_nothing_covers_denies_the_line_added_to_it(knowledge: kg.Knowledge) -> None:
    """The base line is for review, and what would establish the exclusion would deny both."""
    trial = invented(knowledge, f"{ILL} {exclusion('one', ':ill', 'line:ssep')}")
    lines = example("c01")["lines"]
    claim = parsed({**example("c01"), "facts": [], "lines": [lines[0], lines[-1]]})
    base, added = kg.determine(claim, trial, "trial", "payer").to_dict()["lines"]
    assert (base["decision"], added["decision"]) == ("review", "pend")
    assert [[(fact["fact"], fact["status"]) for fact in one["facts"]] for one in added["changes"]] == [
        [("Myelopathy", "present")]
    ]


@pytest.mark.parametrize("excluded", [False, True])
def test_a_line_whose_base_stays_in_review_does_so_unless_it_could_be_excluded(
    excluded: bool, knowledge: kg.Knowledge
) -> None:
    """Nothing is left to ask of a line added to one that conflicting facts send to a person, but what excludes it."""
    turtle = f"{ILL} {HURT} {COVERED} ; sh:and ( :ill ) . {exclusion('one', ':hurt') if excluded else ''}"
    lines = example("c01")["lines"]
    facts = [{"fact": "Myelopathy", "status": status} for status in ("present", "absent")]
    claim = parsed({**example("c01"), "facts": facts, "lines": [lines[0], lines[-1]]})
    base, added = kg.determine(claim, invented(knowledge, turtle), "trial", "payer").to_dict()["lines"]
    assert (base["decision"], base["note"]) == ("review", CONFLICTING)
    assert (added["decision"], added["note"]) == ("review", BASE_IN_REVIEW)
    assert base["decidedRegardless"] is added["decidedRegardless"] is not excluded


@pytest.mark.parametrize("posture", POSTURES)
def test_a_line_added_to_one_that_is_denied_is_asked_nothing(posture: str, knowledge: kg.Knowledge) -> None:
    """What is shown excludes the base line, and so no document about the other exclusion is worth asking for."""
    excluded = f"{exclusion('base', ':ill', 'line:ssep')} {exclusion('other', ':hurt')}"
    trial = invented(knowledge, f"{ILL} {HURT} {COVERED} ; sh:and ( line:ssep ) . {excluded}")
    lines, facts = example("c01")["lines"], [{"fact": "Myelopathy", "status": "present"}]
    claim = parsed({**example("c01"), "facts": facts, "lines": [lines[0], lines[-1]]})
    base, added = kg.determine(claim, trial, "trial", posture).to_dict()["lines"]
    assert (base["decision"], added["decision"]) == ("deny", "deny")
    assert added["missing"] == added["changes"] == [] and added["decidedRegardless"]


def test_a_line_added_to_one_that_is_decided_still_asks_what_is_open_within(knowledge: kg.Knowledge) -> None:
    """At a level where the cord may have ended, the level of the conus is asked, and not where the operation was."""
    excluded = exclusion("one", "line:continuous", "line:every-level-below-cord")
    trial = invented(knowledge, f"{NAMED} {COVERED} ; sh:and ( line:ssep ) . {excluded}")
    lines, procedure = example("c01")["lines"], example("c01")["operation"]["procedures"][0]
    operation = {"procedures": [{**procedure, "levels": ["L1-L2"]}]}
    document = {**example("c01"), "facts": [], "operation": operation, "lines": [lines[0], lines[-1]]}
    base, added = kg.determine(parsed(document), trial, "trial", "payer").to_dict()["lines"]
    assert (base["decision"], added["decision"]) == ("approve", "pend")
    assert [asked["fact"] for asked in added["missing"]] == ["operation.conusLevel"]
    assert refused(trial, [document], Background(trial.graph, trial.root)) == []


@pytest.mark.parametrize("count", [MAX_READINGS, MAX_READINGS + 1])
def test_facts_that_conflict_are_for_a_person(count: int, knowledge: kg.Knowledge) -> None:
    """Facts that are present and absent at once name themselves, be they too many for every reading to be tried."""
    names = FACTS[:count]
    leaves = "".join(f":fact-{i} a cov:FactLeaf ; {WORDS} ; cov:asksFor condition:{n} .\n" for i, n in enumerate(names))
    turtle = f"{leaves} {COVERED} ; sh:and ( {' '.join(f':fact-{i}' for i in range(count))} ) ."
    facts = [{"fact": name, "status": status} for name in names for status in ("present", "absent")]
    for posture in POSTURES:
        line = first_line(invented(knowledge, turtle), posture, facts=facts)
        assert (line["decision"], line["note"]) == ("review", CONFLICTING)
        assert line["because"] == [f"{TRIAL}fact-{i}" for i in range(count)]


@pytest.mark.parametrize(("count", "decision"), [(8, "approve"), (9, "review")])
def test_conflicts_that_change_nothing_decide_nothing_while_they_are_few(
    count: int, decision: str, knowledge: kg.Knowledge
) -> None:
    """Eight facts that conflict are read in every way, and decide nothing; with more a person looks unasked."""
    names = FACTS[:count]
    leaves = "".join(f":fact-{i} a cov:FactLeaf ; {WORDS} ; cov:asksFor condition:{n} .\n" for i, n in enumerate(names))
    either = f":either {WORDS} ; sh:or ( line:ssep {' '.join(f':fact-{i}' for i in range(count))} ) .\n"
    facts = [{"fact": name, "status": status} for name in names for status in ("present", "absent")]
    trial = invented(knowledge, f"{leaves} {either} {COVERED} ; sh:and ( :either ) .")
    assert first_line(trial, "payer", facts=facts)["decision"] == decision


@pytest.mark.parametrize("posture", POSTURES)
def test_a_conflict_that_every_reading_resolves_is_for_a_person(posture: str, knowledge: kg.Knowledge) -> None:
    """Where the fact covers the line and its absence does too, no one is denied because the record says both."""
    turtle = f"{ILL} {COVERED} ; sh:and ( :either ) . :either {WORDS} ; sh:or ( :ill :well ) ."
    facts = [{"fact": "Myelopathy", "status": status} for status in ("present", "absent")]
    line = first_line(invented(knowledge, turtle), posture, facts=facts)
    assert (line["decision"], line["note"], line["because"]) == ("review", CONFLICTING, [f"{TRIAL}ill"])


INNER = (
    f":settled a cov:KnownLeaf ; {WORDS} ; sh:path cov:isSettled ; sh:minCount 1 .\n"
    f":both {WORDS} ; sh:and ( line:exposure-of-cord :settled ) .\n"
    f":either {WORDS} ; sh:or ( line:exposure-of-cord :both ) .\n"
)


@pytest.mark.parametrize("levels", [["C4-C5"], ["C4-C5", "C5-C6"], ["L4-L5"], ["T12-L1", "L1-L2", "L2-L3"]])
@pytest.mark.parametrize("inner", ["both", "either"])
@pytest.mark.parametrize("kind", ["SomeLeaf", "EveryLeaf"])
def test_a_leaf_may_ask_a_join_of_other_nodes(
    kind: str, inner: str, levels: list[str], knowledge: kg.Knowledge
) -> None:
    """What a join comes to at the operated levels is what its derived shapes say, and is told with all witnesses."""
    leaf = f":it-asks a cov:{kind} ; {WORDS} ; sh:path cov:exposure ; sh:node :{inner} .\n"
    trial = invented(knowledge, f"{INNER} {leaf} {COVERED} ; sh:and ( :it-asks ) .")
    operation = {"procedures": [{"code": example("c01")["operation"]["procedures"][0]["code"], "levels": levels}]}
    claim = parsed({**example("c01"), "facts": [], "operation": operation})
    determination = kg.determine(claim, trial, "trial", "payer")
    node = determination.to_dict()["lines"][0]["path"]["parts"][0]["parts"][0]["parts"][-1]
    criterion = trial.criteria[f"{TRIAL}it-asks"]
    assert criterion.met is not None and criterion.refuted is not None
    run = Run(determination.reasoned.graph)
    met, refuted = (bool(side.holds(run, claim.lines[0][1])) for side in (criterion.met, criterion.refuted))
    status = {(True, False): "met", (False, True): "not-met", (False, False): "undocumented"}[met, refuted]
    assert (node["criterion"], node["status"]) == (criterion.iri, status)
    assert len(node["parts"]) == len(levels)
    assert all(part["label"].startswith(level) for part, level in zip(node["parts"], levels, strict=True))
    assert bool(node["witnesses"]) == (status != "undocumented")
    if status == "not-met":
        assert node["witnesses"] in node["alternatives"]
        assert all(sorted(one) == sorted(map(list, {tuple(t) for t in one})) for one in node["alternatives"])
    before = determination.to_dict()
    for forgotten in ("shown", "bases"):  # a triple that is shown anew has the place that it had
        trial.remember((forgotten,), dict).clear()
    assert kg.determine(claim, trial, "trial", "payer").to_dict() == before


def test_what_no_claim_lists_is_not_asked_of_the_record(knowledge: kg.Knowledge) -> None:
    """A leaf may ask for a condition that is too broad to be listed: what is narrower meets it, and nobody is asked."""
    leaf = f":disorder a cov:FactLeaf ; {WORDS} ; cov:asksFor condition:SpineDisorder .\n"
    trial = invented(knowledge, f"{NAMED} {leaf} {COVERED} ; sh:and ( :disorder ) .")
    document = {**example("c01"), "facts": [], "diagnoses": ["R20.2"]}
    told = kg.determine(parsed(document), trial, "trial", "payer").to_dict()["lines"][0]
    assert told["decision"] == "pend" and told["missing"] == told["changes"] == []
    listed = {**document, "facts": [{"fact": "SpinalStenosis", "status": "present"}]}
    assert first_line(trial, "payer", **listed)["decision"] == "approve"
    assert refused(trial, [document, listed], Background(trial.graph, trial.root)) == []


OTHERS = {  # what a leaf may ask of other lines, and which
    "a fact": (":ill", "cov:baseLine"),
    "a fact that a code suggests": (":compressed", "cov:baseLine"),
    "a join": (":join", "cov:baseLine"),
    "a leaf that asks other nodes": (":somewhere", "cov:baseLine"),
    "what they monitor": ("line:exposure-of-cord", "( cov:baseLine cov:exposure )"),
}


@pytest.mark.parametrize("kind", ["SomeLeaf", "EveryLeaf"])
@pytest.mark.parametrize(("inner", "path"), OTHERS.values(), ids=OTHERS)
def test_a_leaf_may_ask_other_lines(kind: str, inner: str, path: str, knowledge: kg.Knowledge) -> None:
    """What it comes to is what its derived shapes say, and the replay tells the same of it, under every posture."""
    compressed = f":compressed a cov:FactLeaf ; {WORDS} ; cov:asksFor condition:CordCompression .\n"
    somewhere = f":somewhere a cov:SomeLeaf ; {WORDS} ; sh:path cov:exposure ; sh:node line:exposure-of-cord .\n"
    join = f":join {WORDS} ; sh:{'and' if kind == 'SomeLeaf' else 'or'} ( line:ssep :ill ) .\n"
    leaf = f":others a cov:{kind} ; {WORDS} ; sh:path {path} ; sh:node {inner} .\n"
    clauses = f"{COVERED} ; sh:and ( line:ssep ) . {exclusion('one', ':others')}"
    trial = invented(knowledge, f"{NAMED} {ILL} {compressed} {somewhere} {join} {leaf} {clauses}")
    others = trial.criteria[f"{TRIAL}others"]
    procedures = example("c01")["operation"]["procedures"][:1]
    documents = [
        {**example("c01"), "facts": [], "operation": {"procedures": [{**procedures[0], "levels": ["L4-L5"]}]}},
        {**example("c01"), "facts": [], "diagnoses": ["M47.12"]},
        *(
            {**example("c01"), "facts": [{"fact": name, "status": so} for name in FACTS]}
            for so in ("present", "absent")
        ),
    ]
    found = set()
    for document in documents:
        determination = kg.determine(parsed(document), trial, "trial", "payer")
        run = Run(determination.reasoned.graph)
        assert others.met and others.refuted
        for told, line in zip(determination.to_dict()["lines"], determination.lines, strict=True):
            node = next(node for node in flat(told["path"]) if node["criterion"] == others.iri)
            met, against = (bool(side.holds(run, line.node)) for side in (others.met, others.refuted))
            assert node["status"] == STATUSES[met, against]
            found.add(node["status"])
    assert len(found) > 1
    assert refused(trial, documents, Background(trial.graph, trial.root)) == []


@pytest.mark.parametrize(("status", "so"), [("present", "met"), ("absent", "not-met")])
def test_a_leaf_may_ask_itself_how_a_base_line_is_decided(status: str, so: str, knowledge: kg.Knowledge) -> None:
    """The decision of a base line, whichever it is, is a value like any other."""
    path = "sh:path ( cov:baseLine cov:decision ) ; sh:hasValue cov:approve"
    leaf = f":based a cov:KnownLeaf ; {WORDS} ; {path} .\n"
    turtle = f"{ILL} {leaf} {COVERED} ; sh:and ( :ill ) . {exclusion('one', 'line:continuous', ':based')}"
    lines, facts = example("c01")["lines"], [{"fact": "Myelopathy", "status": status}]
    claim = parsed({**example("c01"), "facts": facts, "lines": [lines[0], lines[-1]]})
    base, added = kg.determine(claim, invented(knowledge, turtle), "trial", "payer").to_dict()["lines"]
    assert (base["decision"], added["decision"]) == ("approve" if so == "met" else "deny", "deny")
    excluded = next(part for part in added["path"]["parts"] if part["kind"] == "none")
    assert excluded["parts"][0]["parts"][1]["status"] == so


def test_a_path_may_go_backwards(knowledge: kg.Knowledge) -> None:
    """A line asks of the lines that are added to it what they are."""
    continuous = next(iri for iri in knowledge.codes if iri.endswith("/95941"))
    path = f"sh:path ( [ sh:inversePath cov:baseLine ] cov:code ) ; sh:hasValue <{continuous}>"
    trial = invented(knowledge, f":watched a cov:KnownLeaf ; {WORDS} ; {path} . {COVERED} ; sh:and ( :watched ) .")
    lines = example("c01")["lines"]
    told = first_line(trial, "payer", lines=[lines[0], lines[-1]])
    (leaf_told,) = (part for part in told["path"]["parts"][0]["parts"][0]["parts"] if "watched" in part["criterion"])
    assert told["decision"] == "approve" and [f"{COV}code", continuous] in [t[1:] for t in leaf_told["witnesses"]]
    assert first_line(trial, "payer", lines=[lines[0]])["decision"] != "approve"


def test_lines_tell_of_the_nodes_that_they_share_each_by_itself(knowledge: kg.Knowledge) -> None:
    """Each of several levels excludes every line: each line tells of all, and each begins with itself."""
    path = "sh:path ( cov:ofClaim cov:operation cov:site )"
    leaf = f":somewhere a cov:SomeLeaf ; {WORDS} ; {path} ; sh:node line:below-cord .\n"
    trial = invented(knowledge, f"{leaf} {COVERED} ; sh:and ( line:ssep ) . {exclusion('one', ':somewhere')}")
    operation = {"procedures": [{**example("c01")["operation"]["procedures"][0], "levels": ["L3-L4", "L4-L5"]}]}
    performers = [{}, {"performer": {"id": "s1", "role": "surgeon"}}]  # who denies something, of one line alone
    lines = [{**line, **performers[i % 2]} for i, line in enumerate(example("c01")["lines"])]
    claim = parsed({**example("c01"), "facts": [], "operation": operation, "lines": lines})
    for line, (_, node, _) in zip(kg.determine(claim, trial, "trial").to_dict()["lines"], claim.lines, strict=True):
        excluded = next(part for part in line["path"]["parts"] if part["kind"] == "none")
        (leaf_told,) = excluded["parts"][0]["parts"]
        first, second = leaf_told["alternatives"]
        assert first == leaf_told["witnesses"] and first != second
        assert first[0] == second[0] == [claim.iri + node, f"{COV}ofClaim", claim.iri]


def test_a_concept_is_told_with_its_status_though_nothing_asks_for_it(knowledge: kg.Knowledge) -> None:
    """What a claim says of a finding is told as that claim says it, whatever another said of the same finding."""
    path = "sh:path ( cov:ofClaim cov:finding cov:concept ) ; sh:hasValue condition:Myelopathy"
    trial = invented(knowledge, f":listed a cov:KnownLeaf ; {WORDS} ; {path} . {COVERED} ; sh:and ( :listed ) .")
    for status in ("present", "absent"):
        line = first_line(trial, "payer", facts=[{"fact": "Myelopathy", "status": status}])
        assert line["decision"] == "approve"
        (words,) = line["path"]["parts"][0]["parts"][0]["parts"][-1]["words"]
        assert words.startswith("the claim lists") and words.endswith(f"as {status}")


@pytest.mark.parametrize("level", ["C4-C5", "C6-C7", "L4-L5"])
@pytest.mark.parametrize("before", ["", "cov:baseLine"])
def test_a_path_may_branch_before_its_end(before: str, level: str, knowledge: kg.Knowledge) -> None:
    """Every level of an operation is reached through every place at which something is exposed, not the first alone."""
    path = f"sh:path ( {before} cov:exposure cov:atSite cov:level ) ; sh:hasValue anatomy:{level}"
    leaf = f":there a cov:KnownLeaf ; {WORDS} ; {path} .\n"
    trial = invented(knowledge, f"{leaf} {COVERED} ; sh:and ( line:ssep ) . {exclusion('one', ':there')}")
    two = {"procedures": [{**example("c01")["operation"]["procedures"][0], "levels": ["C4-C5", "C6-C7"]}]}
    for changes in ({}, {"operation": two}):
        determination = kg.determine(parsed({**example("c01"), "facts": [], **changes}), trial, "trial", "payer")
        told = determination.to_dict()
        line = told["lines"][-1 if before else 0]
        (leaf_told,) = (node for node in flat(line["path"]) if node["criterion"] == f"{TRIAL}there")
        assert leaf_told["status"] == ("not-met" if level == "L4-L5" else "met")
        way = [tuple(told["derivations"][place]["triple"]) for place in leaf_told["derived"]]
        assert {*way} <= {*determination.triples()} and way[-1][2].endswith(level) == (level != "L4-L5")
