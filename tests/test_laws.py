"""Laws of the statuses and of the answers, asked of drawn claims.

What *monotone* means here: a criterion *closes* a side where it concludes from what is not there. Those are: refuted
of a known leaf and of a number leaf (a value is known and none is as asked), met of an every leaf and refuted of a
some leaf (there is no further value), and each join with such a side among those it follows from. A listed fact
becomes a finding and nothing else, and only fact leaves look at findings, whose sides are both open. So a further
fact takes no side from any criterion, but for those that hang on the decision of a base line: that is revised, and a
revised decision replaces the former.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pyoxigraph as ox
from hypothesis import strategies as st

import kg
from kg.convert import convert
from kg.criteria import Criterion
from kg.terms import COV, local_name
from tests.conftest import ROOT, parsed
from tests.engines import Statuses, statuses
from tests.strategies import Document, Draw, claims, counts, fact, for_all, words_of

Path = dict[str, Any]


def flat(path: Path) -> Iterator[Path]:
    """Yield the nodes of a criteria tree."""
    yield path
    for part in path["parts"]:
        yield from flat(part)


def leaves(criterion: Criterion) -> Iterator[Criterion]:
    """Yield the leaves below a criterion, and those that its leaves ask of levels or base lines."""
    if not criterion.parts:
        yield criterion
    for part in criterion.parts:
        yield from leaves(part)


def with_facts(document: Document, *facts: Document) -> Document:
    """Return a claim document that lists further facts."""
    return {**document, "facts": [*document.get("facts", []), *facts]}


def found(document: Document, knowledge: kg.Knowledge) -> Statuses:
    return statuses(kg.determine(parsed(document), knowledge))


# Statuses


@counts(60, 3000)
def test_a_further_fact_takes_no_side_from_a_criterion(count: int, knowledge: kg.Knowledge) -> None:
    """What was met stays met and what was refuted stays refuted, unless a decision of a base line was revised."""
    decided = {
        iri
        for iri, criterion in knowledge.criteria.items()
        if any(local_name(leaf.iri) == "approved" for leaf in leaves(criterion))
    }
    words = words_of(knowledge)
    more = st.randoms(use_true_random=False).map(lambda r: fact(Draw(r, words)))

    def law(drawn: tuple[Document, Document]) -> None:
        document, further = drawn
        before, after = found(document, knowledge), found(with_facts(document, further), knowledge)
        assert before.keys() == after.keys()
        lost = {
            key: (status, after[key])
            for key, status in before.items()
            if key[0] not in decided and any(had and not has for had, has in zip(status, after[key], strict=True))
        }
        assert lost == {}

    assert 0 < len(decided) < 10
    for_all(st.tuples(claims(knowledge), more), count, law)


@counts(60, 3000)
def test_a_fact_and_its_denial_conflict(count: int, knowledge: kg.Knowledge) -> None:
    """Present and absent of the same fact in the same place: each leaf that asks for it there is conflicting."""
    regions = {iri: name for name, iri in knowledge.regions.items()}
    asked = [
        leaf
        for leaf in knowledge.criteria.values()
        if leaf.kind == "FactLeaf" and local_name(leaf.concept) in knowledge.facts
    ]
    assert {leaf.region for leaf in asked} <= {"", COV + "OperatedRegion", *regions}

    def law(drawn: tuple[Document, Criterion]) -> None:
        document, leaf = drawn
        where = {"region": regions[leaf.region]} if leaf.region in regions else {}
        both = ({"fact": local_name(leaf.concept), "status": status, **where} for status in ("present", "absent"))
        after = found(with_facts(document, *both), knowledge)
        assert {status for (iri, _), status in after.items() if iri == leaf.iri} == {(True, True)}

    for_all(st.tuples(claims(knowledge), st.sampled_from(asked)), count, law)


@counts(60, 3000)
def test_a_conflict_comes_from_a_conflicting_leaf(count: int, knowledge: kg.Knowledge) -> None:
    """A criterion is met and refuted at once only where a leaf below it is."""

    def law(document: Document) -> None:
        determination = kg.determine(parsed(document), knowledge)
        both = {key for key, status in statuses(determination).items() if status == (True, True)}
        for iri, line in both:
            if not knowledge.criteria[iri].is_leaf:
                below = knowledge.criteria[iri].leaves()
                assert any((leaf.iri, line) in both for leaf in below)
        for line in determination.to_dict()["lines"]:
            nodes = list(flat(line["path"]))
            if line["path"]["status"] == "conflicting":
                assert any(node["status"] == "conflicting" for node in nodes if not node["parts"])

    for_all(claims(knowledge), count, law)


@counts(60, 3000)
def test_approval_and_denial_exclude_each_other(count: int, knowledge: kg.Knowledge) -> None:
    """Without a conflict, what is approved is not refuted and what is denied is not met, under any posture.

    A silent record is taken for the line or against it by a posture alone: `payer` approves only what is met and
    denies only what is refuted.
    """

    def law(document: Document) -> None:
        for line in kg.determine(parsed(document), knowledge, posture="payer").to_dict()["lines"]:
            conflicting = any(node["status"] == "conflicting" for node in flat(line["path"]))
            if not conflicting:
                approved, denied = ("approve" in line["decisions"].values(), "deny" in line["decisions"].values())
                assert not (approved and line["path"]["status"] == "not-met")
                assert not (denied and line["path"]["status"] == "met")
                status = {"approve": {"met"}, "deny": {"not-met"}}.get(line["decision"])
                assert status is None or line["path"]["status"] in status
            decisions = line["decisions"]
            assert not (decisions["final"] == "approve" != decisions["payer"])
            assert not (decisions["payer"] == "deny" != decisions["final"] and not conflicting)

    for_all(claims(knowledge), count, law)


# Answers


@counts(20, 1000)
def test_the_notation_of_a_claim_makes_no_difference(count: int, knowledge: kg.Knowledge) -> None:
    """Triples in another order, blank nodes with other names, other prefixes: the same bytes."""

    def law(drawn: tuple[Document, int]) -> None:
        document, seed = drawn
        claim = parsed(document)
        expected = json.dumps(kg.determine(claim, knowledge).to_dict())
        triples = [quad.triple for quad in ox.parse(convert(claim, knowledge, "turtle"), format=ox.RdfFormat.TURTLE)]
        random.Random(seed).shuffle(triples)
        names = {str(node): ox.BlankNode(f"n{seed}x{i}") for i, (node, _, _) in enumerate(triples)}
        renamed = [
            ox.Triple(names.get(str(s), s) if isinstance(s, ox.BlankNode) else s, p, names.get(str(o), o))
            for s, p, o in triples
        ]
        lines = b"".join(ox.serialize([triple], format=ox.RdfFormat.N_TRIPLES) or b"" for triple in renamed)
        prefixes = {"cov": "https://w3id.org/coverpath/claim#"}  # a prefix that elsewhere stands for something else
        turtle = ox.serialize(renamed, format=ox.RdfFormat.TURTLE, prefixes=prefixes) or b""
        assert b"cov:lines" in turtle
        for data, format in ((lines, "ntriples"), (turtle, "turtle")):
            again = kg.parse_claim(data, format)
            assert json.dumps(kg.determine(again, knowledge).to_dict()) == expected

    for_all(st.tuples(claims(knowledge), st.integers(0, 10**6)), count, law)


@counts(30, 1500)
def test_a_line_is_judged_alike_wherever_it_stands(count: int, knowledge: kg.Knowledge) -> None:
    """Lines in another order get the same answers, where none repeats another or reports the same minutes.

    Of such lines the first stands, which decision rule 22 means by numbering.
    """

    def answers(document: Document) -> dict[str, Any]:
        determination = kg.determine(parsed(document), knowledge).to_dict()
        ordered = {"duplicate", "same-minutes"} & {local_name(edit["edit"]) for edit in determination["edits"]}
        told = ("decision", "decisions", "because", "flips", "caveats")
        return {} if ordered else {line["code"]: [line[key] for key in told] for line in determination["lines"]}

    def law(drawn: tuple[Document, random.Random]) -> None:
        document, draw = drawn
        unique = list({line["code"]: line for line in document["lines"]}.values())
        expected = answers({**document, "lines": unique})
        draw.shuffle(unique)
        assert answers({**document, "lines": unique}) == expected

    for_all(st.tuples(claims(knowledge), st.randoms(use_true_random=False)), count, law)


@counts(10, 300)
def test_the_process_makes_no_difference(count: int) -> None:
    """Three processes that hash texts otherwise write the same bytes."""
    script = (
        "import hashlib, json, sys, kg; from tests.strategies import random_claims; k = kg.load_knowledge();"
        "answer = lambda d: json.dumps(kg.determine(kg.parse_claim(json.dumps(d)), k).to_dict());"
        f"print(*(hashlib.sha256(answer(d).encode()).hexdigest() for d in random_claims(k, 7, {count})))"
    )
    written = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(written) == 1 and len(written.pop().split()) == count
