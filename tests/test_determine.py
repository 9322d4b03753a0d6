"""Both case claims, from document to explained decision, and what changes as facts are added."""

import gc
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pyoxigraph as ox
import pytest

import kg
from benchmarks.claims import five_line_claims
from kg.decide import POSTURES
from kg.graph import parse
from kg.rdf import tell, to_ntriples, to_turtle
from kg.reason import reason
from kg.rules.sites import Kept
from kg.rules.tables import tables_of
from kg.terms import COV, Alike, local_name
from kg.words import phrases_of
from tests.conftest import ROOT, example, parsed

QUALIFIERS = [
    *("SpinalTumor", "IntramedullaryLesion", "TraumaticInjury", "SignificantDeformity", "SignificantInstability"),
    *("OssificationOfPosteriorLongitudinalLigament", "SevereCordCompression"),
]


def determined(knowledge: kg.Knowledge, document: dict[str, Any], posture: str = "advisory") -> dict[str, Any]:
    return kg.determine(parsed(document), knowledge, posture=posture).to_dict()


def with_facts(document: dict[str, Any], **facts: str) -> dict[str, Any]:
    """Return a claim that lists further facts."""
    listed = [{"fact": name, "status": status} for name, status in facts.items()]
    return {**document, "facts": [*document.get("facts", []), *listed]}


def names(iris: list[str]) -> list[str]:
    return [local_name(iri) for iri in iris]


def nodes(path: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a criteria tree flat."""
    return [path, *(below for part in path["parts"] for below in nodes(part))]


def test_c01_is_decided_as_its_case_document_recommends(knowledge: kg.Knowledge) -> None:
    """SSEP and MEP approve with the cervical clause open; train of four and EMG deny by clause; remote pends."""
    lines = determined(knowledge, example("c01"))["lines"]
    assert [line["decision"] for line in lines] == ["approve", "approve", "deny", "deny", "pend"]
    for line in lines[:2]:
        assert names(line["because"])[0] == "cord-integrity"
        cervical = next(caveat for caveat in line["caveats"] if caveat.startswith("AET-UNPR-CERV"))
        assert "severe cord compression" in cervical and "spinal tumor" in cervical
        assert ["SevereCordCompression"] in line["flips"] and ["SpinalTumor"] in line["flips"]
        assert set(QUALIFIERS) <= {item["fact"] for item in line["missing"]}
        assert all(item["question"] for item in line["missing"])
        assert {"kind": "guideline-supports--policy-open", "line": line["line"]}.items() <= line["conflicts"][0].items()
        assert {item["stance"] for item in line["guidance"]} == {"recommends", "opposes", "reports"}
    assert names(lines[2]["because"]) == ["neuromuscular-junction"] and lines[2]["reason"] == "bundled"
    assert names(lines[3]["because"])[0] == "unproven-emg" and lines[3]["reason"] == "unproven"
    asked = {item["fact"] for item in lines[4]["missing"]}
    assert {"UndividedAttention", "RealTimeCommunication", "ContemporaneousInterpretation"} <= asked


def test_c01_states_every_posture_and_what_separates_them(knowledge: kg.Knowledge) -> None:
    """The opposite published answer to the same facts is the final posture of the same determination."""
    lines = determined(knowledge, example("c01"))["lines"]
    assert [line["decisions"] for line in lines[:2]] == [{"payer": "pend", "advisory": "approve", "final": "deny"}] * 2
    assert lines[4]["decisions"] == {"payer": "pend", "advisory": "pend", "final": "deny"}
    assert {item["decision"] for item in lines[0]["postures"]} == {"pend", "approve", "deny"}


def test_c02_denies_every_line_and_shows_the_walk_below_the_cord(knowledge: kg.Knowledge) -> None:
    """SSEP, MEP and EMG walk from L5-S1 up to L1-L2; the case report is evidence and decides nothing."""
    determination = determined(knowledge, example("c02"))
    assert determination["decision"] == "deny"
    for line in determination["lines"][:4]:
        walks = [words for node in nodes(line["path"]) for words in node.get("words", ()) if "caudal" in words]
        assert walks and all("L5-S1 is caudal to L4-L5, L3-L4, L2-L3, L1-L2" in words for words in walks)
        assert all("lies below the cord, cauda equina only" in words for words in walks)
        alif = [item for item in line["guidance"] if item["guideline"] == "alif-evidence"]
        assert [item["stance"] for item in alif] == ["reports", "reports"]
    grounds = {local_name(ground["clause"]) for ground in determination["lines"][2]["grounds"]}
    assert grounds == {"unproven-below-cord", "unproven-emg", "dorsal-rhizotomy"}
    assert all(line["flips"] == [] and line["missing"] == [] for line in determination["lines"])
    assert [edit["decides"] for edit in determination["edits"]] == [False]


def test_every_criterion_of_a_path_has_the_shape_of_the_contract(knowledge: kg.Knowledge) -> None:
    """Each node names criterion, clause, quote and status; what is met or refuted by a leaf has witnesses."""
    for name in ("c01", "c02"):
        for line in determined(knowledge, example(name))["lines"]:
            for node in nodes(line["path"]):
                assert node.keys() >= {"criterion", "label", "clause", "quote", "status", "witnesses", "parts"}
                assert node["status"] in ("met", "not-met", "undocumented", "conflicting")
                leaf = node["kind"].endswith("Leaf")
                assert bool(node["witnesses"]) == (leaf and node["status"] != "undocumented")


def test_severe_cord_compression_closes_the_cervical_clause(knowledge: kg.Knowledge) -> None:
    """A documented qualifier refutes the exclusion: approved, and the clause is no longer a caveat."""
    line = determined(knowledge, with_facts(example("c01"), SevereCordCompression="present"))["lines"][0]
    assert line["decision"] == "approve"
    assert not any(caveat.startswith("AET-UNPR-CERV") for caveat in line["caveats"])


def test_all_qualifiers_absent_establish_the_exclusion(knowledge: kg.Knowledge) -> None:
    """Each qualifier documented absent denies; one left open keeps the line approved with its caveat."""
    absent = dict.fromkeys(QUALIFIERS, "absent")
    line = determined(knowledge, with_facts(example("c01"), **absent))["lines"][0]
    assert line["decision"] == "deny" and names(line["because"]) == ["unproven-cervical"]
    for left_open in QUALIFIERS:
        some = {name: status for name, status in absent.items() if name != left_open}
        assert determined(knowledge, with_facts(example("c01"), **some))["lines"][0]["decision"] == "approve"


def test_a_broader_absence_refutes_the_narrower(knowledge: kg.Knowledge) -> None:
    """No cord compression means no severe one, no deformity no significant one, no instability no significant one."""
    broader = {"SevereCordCompression": "CordCompression", "SignificantDeformity": "SpinalDeformity"}
    broader["SignificantInstability"] = "SpinalInstability"
    absent = {broader.get(name, name): "absent" for name in QUALIFIERS}
    assert determined(knowledge, with_facts(example("c01"), **absent))["lines"][0]["decision"] == "deny"


def test_present_and_absent_together_conflict_and_a_person_must_look(knowledge: kg.Knowledge) -> None:
    """A fact and its denial are conflicting; the line is for review, as one reading denies and the other does not."""
    absent = dict.fromkeys(QUALIFIERS[:-1], "absent")
    facts = {**absent, "SevereCordCompression": "present", "CordCompression": "absent"}
    line = determined(knowledge, with_facts(example("c01"), **facts))["lines"][0]
    assert line["decision"] == "review" and names(line["because"]) == ["severe-cord-compression"]
    leaf = next(node for node in nodes(line["path"]) if node["criterion"].endswith("#severe-cord-compression"))
    assert leaf["status"] == "conflicting" and len(leaf["witnesses"]) > 4


def test_a_conflict_that_changes_nothing_decides_nothing(knowledge: kg.Knowledge) -> None:
    """Train of four is denied whatever the cord looks like."""
    facts = {"SevereCordCompression": "present", "CordCompression": "absent"}
    assert determined(knowledge, with_facts(example("c01"), **facts))["lines"][2]["decision"] == "deny"


def test_a_listed_fact_keeps_its_source(knowledge: kg.Knowledge) -> None:
    """The witness of a listed fact says where in the record it stands."""
    document = example("c01")
    document["facts"].append({"fact": "SevereCordCompression", "status": "present", "source": "MRI 2025-02-01, page 2"})
    path = determined(knowledge, document)["lines"][0]["path"]
    leaf = next(node for node in nodes(path) if node["criterion"].endswith("#severe-cord-compression"))
    assert [source["source"] for source in leaf["sources"]] == ["MRI 2025-02-01, page 2"]


def test_equal_claims_give_byte_equal_answers(knowledge: kg.Knowledge) -> None:
    """The order of facts, procedures and fields makes no difference."""
    document = example("c02")
    expected = json.dumps(determined(knowledge, document))
    shuffle = random.Random(1).shuffle
    for _ in range(20):
        shuffle(document["facts"])
        shuffle(document["operation"]["procedures"])
        items = list(document.items())
        shuffle(items)
        assert json.dumps(determined(knowledge, dict(items))) == expected


def test_lines_are_judged_alike_in_any_order(knowledge: kg.Knowledge) -> None:
    """A line's decisions follow its code, not its place, up to numbering."""
    document = example("c01")
    expected = {line["code"]: line["decisions"] for line in determined(knowledge, document)["lines"]}
    for lines in permutations(document["lines"]):
        answer = determined(knowledge, {**document, "lines": list(lines)})
        assert {line["code"]: line["decisions"] for line in answer["lines"]} == expected


@pytest.mark.parametrize("format", ["json", "turtle", "text", "html"])
def test_answers_do_not_depend_on_the_process(format: str) -> None:
    """Two processes with different hash seeds write the same bytes."""
    command = [sys.executable, "-m", "kg.cli", "determine", "examples/c01.json", "--format", format]
    written = {
        subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(written) == 1 and written.pop()


def test_the_rdf_of_a_determination_has_the_terms_of_the_contract(knowledge: kg.Knowledge) -> None:
    """A line decision a line and posture; statuses with parts and witnesses; all terms declared in the ontology."""
    determination = kg.determine(parsed(example("c01")), knowledge)
    told = tell(determination)
    (whole, lean) = (list(parse(to_ntriples(told, x).encode(), ox.RdfFormat.N_TRIPLES)) for x in (True, False))
    used = {p for _, p, _ in whole if p.startswith(COV)}
    contract = (
        *("ofClaim", "underPolicy", "underEdition", "hasLineDecision", "knowledgeHash", "ofLine", "lineNumber", "code"),
        *("posture", "decision", "because", "denialReason", "missing", "caveat", "hasStatus", "ofCriterion", "status"),
        *("hasPart", "witness"),
    )
    for triples in (whole, lean):
        assert sum(p == COV + "hasLineDecision" for _, p, _ in triples) == 3 * len(determination.lines)
        assert {COV + name for name in contract} <= {p for _, p, _ in triples}
    assert all(knowledge.graph.predicates(term) for term in used)
    assert to_turtle(told) == to_turtle(tell(kg.determine(parsed(example("c01")), knowledge)))


def test_the_policy_is_chosen_by_name_or_payer(knowledge: kg.Knowledge) -> None:
    """`policy` goes before `payer`; an unknown one is an error that suggests the nearest."""
    document = example("c01")
    assert determined(knowledge, {**document, "policy": "aetna-cpb-0697", "payer": "nobody"})["decision"] == "mixed"
    del document["payer"]
    for field, name, near in (("policy", "aetna-cpb-0967", "aetna-cpb-0697"), ("payer", "atena", "aetna")):
        with pytest.raises(kg.ClaimError) as error:
            determined(knowledge, {**document, field: name})
        assert [fault.place for fault in error.value.faults] == [f"/{field}"]
        assert near in error.value.faults[0].help


@pytest.mark.parametrize("posture", POSTURES)
def test_no_answer_asks_what_only_another_policy_asks(posture: str, knowledge: kg.Knowledge) -> None:
    """What is missing, and what would change a decision, names criteria of the policy, of guidelines or of all."""
    for policy in knowledge.policies:
        for said in ({}, {"diagnoses": ["M48.05"], "operation": {"procedures": []}, "facts": []}):
            told = kg.determine(parsed({**example("c01"), **said}), knowledge, policy, posture).to_dict()
            changes = (fact for line in told["lines"] for change in line["changes"] for fact in change["facts"])
            asked = (*(fact for line in told["lines"] for fact in line["missing"]), *changes)
            of = {fact["criterion"].partition("#")[0] for fact in asked if "criterion" in fact}
            assert not [iri for iri in of if "/policy/" in iri and not iri.endswith(f"/{policy}")]


def test_what_is_forgotten_leaves_no_garbage(knowledge: kg.Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an answer nor a forgotten case holds itself in a circle: looking for garbage makes some claims wait."""
    monkeypatch.setattr("kg.docket.CASES", 8)
    claims = [parsed(document) for document in five_line_claims(60, 20261127)]
    held = []
    gc.collect()
    gc.disable()
    try:
        for claim in claims:
            kg.determine(claim, knowledge, "aetna-cpb-0697").to_dict()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        held = [type(one).__qualname__ for one in gc.garbage if type(one).__module__.startswith("kg.")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert held == []


def alike(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a claim, and others whose parts are called as its parts are and are something else."""
    yield document
    lines, facts, operation = document["lines"], document["facts"], document["operation"]
    codes = [line["code"] for line in lines]
    yield {
        **document,
        "lines": [{**line, "code": code} for line, code in zip(lines, codes[1:] + codes[:1], strict=True)],
    }
    yield {**document, "facts": [{**fact, "status": "absent"} for fact in facts]}
    yield {**document, "facts": [{**fact, "region": "thoracic"} for fact in facts]}
    yield {**document, "diagnoses": document["diagnoses"][::-1]}
    first = {"code": operation["procedures"][0]["code"], "levels": ["T3-T4"]}
    yield {**document, "operation": {"procedures": [first, *operation["procedures"]]}}
    yield {**document, "operation": {**operation, "conusLevel": "T11"}}
    yield {**document, "diagnoses": ["M54.1"]}  # a header
    yield {**document, "diagnoses": ["S12.400"]}


def test_what_was_asked_before_makes_no_difference(knowledge: kg.Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of other claims leaves no trace in an answer, though their parts are called alike."""
    documents = [example("c01"), *five_line_claims(25, 20261129)]
    claims = [parsed(one) for document in documents for one in alike(document)]

    def answers() -> list[str]:
        return [json.dumps(kg.determine(claim, knowledge, "aetna-cpb-0697").to_dict()) for claim in claims]

    def forget() -> None:
        kept = knowledge.remember(("parts of claims",), Kept)
        kept.together.clear()
        kept.exposed.clear()

    with monkeypatch.context() as forgetting:
        forget()
        for limit in ("KEPT", "FEW"):
            forgetting.setattr(f"kg.proof.{limit}", 1)
        forgetting.setattr("kg.rules.sites.Alike", tuple)  # nodes with which nothing is kept
        expected = answers()
        forget()
    assert answers() == expected
    claims.reverse()
    assert answers() == expected[::-1]


def test_of_nodes_that_are_alike_the_same_is_said(knowledge: kg.Knowledge) -> None:
    """With whatever claims they are, the same follows of them for the same reason: what is found of them is kept."""
    seen: dict[int, tuple[Alike, object]] = {}  # nodes are held, so that none takes the place of another
    met = 0
    for document in five_line_claims(60, 20261130):
        for one in alike(document):
            found = reason(parsed(one), knowledge)
            for (subject, predicate), nodes in found.index.items():
                if type(nodes) is Alike:
                    about = {key: values for key, values in found.index.items() if key[0] in nodes}
                    ways = [(subject, predicate, node) for node in nodes]
                    triples = [*ways, *((*key, value) for key, values in about.items() for value in values)]
                    said = about, {triple: found.why(triple) for triple in triples}
                    met += id(nodes) in seen
                    assert seen.setdefault(id(nodes), (nodes, said))[1] == said
    assert met > len(seen) > 20


def test_an_answer_belongs_to_its_caller(knowledge: kg.Knowledge) -> None:
    """Whatever is done to one answer, the next of the same claim is as the first was: they share nothing."""
    for document in (example("c01"), *five_line_claims(10, 20261128)):
        claim = parsed(document)
        answer = kg.determine(claim, knowledge, "aetna-cpb-0697").to_dict()
        expected = json.dumps(answer)
        spoil(answer)
        assert json.dumps(kg.determine(claim, knowledge, "aetna-cpb-0697").to_dict()) == expected


def spoil(answer: dict[str, Any]) -> None:
    """Change every list and every object of an answer."""
    found: dict[int, Any] = {}
    waiting: list[Any] = [answer]
    for one in waiting:  # it grows while it is gone through
        if isinstance(one, dict | list) and id(one) not in found:
            found[id(one)] = one
            waiting += one.values() if isinstance(one, dict) else one
    for one in found.values():
        if isinstance(one, dict):
            one["spoilt"] = True
        else:
            one.append("spoilt")


def test_prepared_knowledge_gives_the_same_answers() -> None:
    """What claims ask of codes is the same, looked up at once or one by one; then nothing is left to look up."""
    early, late = kg.load_knowledge.__wrapped__(), kg.load_knowledge.__wrapped__()
    kg.prepare(early)
    tables = tables_of(early)
    looked_up = {code: set(vars(known)) for code, known in tables.codes.items()}
    assert set(looked_up) == set(early.codes) == set(phrases_of(early).likely)
    for document in five_line_claims(40, 20261129):
        answers = [kg.determine(parsed(document), one, "aetna-cpb-0697").to_dict() for one in (early, late)]
        assert answers[0] == answers[1]
    assert {code: set(vars(known)) for code, known in tables.codes.items()} == looked_up
    assert 0 < len(tables_of(late).codes) < len(looked_up)
    assert 0 < len(phrases_of(late).likely) < len(phrases_of(early).likely) == len(looked_up)
