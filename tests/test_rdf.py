"""JSON and Turtle are two forms of one value: what is written is read back, and nothing of it is lost."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pyoxigraph as ox
import pytest

import kg
from benchmarks.cases import determinations
from kg.graph import parse
from kg.rdf import POSTURES, Told, from_graph, from_turtle, tell, to_ntriples, to_turtle
from kg.terms import COV, TYPE, Triple
from tests.conftest import example, parsed
from tests.strategies import counts, random_claims
from tests.test_cli import coverpath

EARL = "http://www.w3.org/ns/earl#"


def told_of(knowledge: kg.Knowledge, name: str = "c01", policy: str | None = None) -> Told:
    return tell(kg.determine(parsed(example(name)), knowledge, policy))


def drawn(knowledge: kg.Knowledge, count: int) -> Iterator[Told]:
    """Yield determinations of claims that say whatever a claim can say."""
    for document in random_claims(knowledge, 7, count):
        yield tell(kg.determine(kg.parse_claim(json.dumps(document), "json", knowledge), knowledge))


def assert_returns(told: Told) -> None:
    """Assert that a determination is read as it was written: under each posture, with every key."""
    text = to_turtle(told)
    again = from_turtle(text, told.knowledge)
    assert {posture: again.of[posture] == told.of[posture] for posture in POSTURES} == dict.fromkeys(POSTURES, True)
    assert (again.iri, again.claim, again.policy, again.edition) == (told.iri, told.claim, told.policy, told.edition)
    assert to_turtle(again) == text


def test_every_case_under_every_policy_returns(knowledge: kg.Knowledge) -> None:
    """Worked claims under all policies and the cases of each policy: Turtle to value to Turtle is the identity."""
    count = 0
    for determination in determinations(knowledge):
        assert_returns(tell(determination))
        count += 1
    assert count >= 300


@counts(40, 1_000)
def test_whatever_a_claim_says_returns(knowledge: kg.Knowledge, count: int) -> None:
    """No claim makes a determination that RDF cannot hold."""
    for told in drawn(knowledge, count):
        assert_returns(told)


def triples(told: Told, whole: bool = True) -> list[Triple]:
    return list(parse(to_ntriples(told, whole).encode(), ox.RdfFormat.N_TRIPLES))


def test_the_order_of_triples_says_nothing(knowledge: kg.Knowledge) -> None:
    """A store may give the triples back in any order."""
    told = told_of(knowledge)
    shuffled = triples(told)
    random.Random(1).shuffle(shuffled)
    assert from_graph(shuffled, knowledge).of == told.of


def test_an_index_holds_a_part_under_the_same_names(knowledge: kg.Knowledge) -> None:
    """What an index leaves out is proof that no saved query asks for; no triple of it is not in the document."""
    for told in (told_of(knowledge), told_of(knowledge, "c02"), *drawn(knowledge, 10)):
        part, whole = triples(told, whole=False), triples(told)
        assert len(set(whole)) == len(whole) and len(set(part)) == len(part)
        assert set(part) < set(whole)
        assert {p for s, p, o in whole if p == TYPE and o == COV + "CriterionStatus"} <= {p for _, p, _ in part}


def test_a_status_is_one_node_wherever_it_is_part(knowledge: kg.Knowledge) -> None:
    """Lines and postures share what is equal: criterion, status, place, parts and witnesses tell all statuses apart."""
    found = triples(told_of(knowledge), whole=False)
    statuses = {s for s, p, o in found if p == TYPE and o == COV + "CriterionStatus"}
    said = {status: frozenset((p, o) for s, p, o in found if s == status) for status in statuses}
    assert len(set(said.values())) == len(statuses)
    undocumented = (COV + "status", COV + "undocumented")
    holders: dict[object, set[object]] = {}
    for s, p, o in found:
        if p == COV + "hasPart" and undocumented in said[o]:
            holders.setdefault(o, set()).add(s)
    assert max(map(len, holders.values())) >= 5


def test_an_outcome_says_in_earl_what_a_status_says(knowledge: kg.Knowledge) -> None:
    """Tools that know EARL read each status; the ontology says which outcome a status is."""
    found = triples(told_of(knowledge))
    status = {s: o for s, p, o in found if p == COV + "status" and (s, TYPE, COV + "CriterionStatus") in set(found)}
    outcome = {s: o for s, p, o in found if p == EARL + "outcome"}
    assert outcome.keys() == status.keys()
    assert {(str(status[s]).removeprefix(COV), str(outcome[s]).removeprefix(EARL)) for s in outcome} == {
        ("met", "passed"),
        ("notMet", "failed"),
        ("undocumented", "cantTell"),
    }


def test_a_determination_in_turtle_is_verified(tmp_path: Path) -> None:
    """`coverpath verify` replays Turtle as it does JSON, under each posture, and sees what was changed."""
    path = tmp_path / "c01.ttl"
    assert coverpath("determine", "examples/c01.json", "--format", "turtle", "-o", path).returncode == 0
    assert coverpath("verify", path, "examples/c01.json").returncode == 0
    assert coverpath("verify", path, "examples/c02.json").returncode == 3
    text = path.read_text()
    assert "cov:status cov:notMet" in text
    path.write_text(text.replace("cov:status cov:notMet", "cov:status cov:met", 1))
    changed = coverpath("verify", path, "examples/c01.json")
    assert changed.returncode == 3 and "does not hold" in changed.stderr


@pytest.mark.parametrize(
    ("written", "instead", "words"),
    [
        ("a cov:Determination", "a cov:Decision", "no determination"),
        ("cov:knowledgeHash", "cov:conflictKind", "no `knowledgeHash`"),
        ("cov:lineNumber 1", "cov:lineNumber 9", "each line under each posture"),
        ("cov:underEdition policy:", "cov:underEdition claim:", "no policy here has the edition"),
        ("cov:ofCriterion cov:payable", "cov:ofCriterion cov:payables", "`payables` has no `label`"),
        ("@prefix cov:", "@prefix cov", "it is not Turtle"),
    ],
)
def test_what_is_no_determination_is_told(knowledge: kg.Knowledge, written: str, instead: str, words: str) -> None:
    """A document that was cut or changed gets a message that names what is missing, never a traceback."""
    text = to_turtle(told_of(knowledge))
    assert written in text
    with pytest.raises(kg.ClaimError, match=words):
        from_turtle(text.replace(written, instead, 1), knowledge)


def test_a_tree_without_end_is_told(knowledge: kg.Knowledge) -> None:
    """A status that is part of itself is no criteria tree."""
    text = to_turtle(told_of(knowledge))
    with pytest.raises(kg.ClaimError, match="nests without end"):
        from_turtle(f"{text}\nthis:status-1 cov:hasPart this:status-1 .", knowledge)
