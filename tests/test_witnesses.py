"""Witnesses: an independent engine finds the status of a leaf from its witness alone, and not from less.

A witness is what the answer lists: triples of claim and ontology. What follows from them by the rules of derivation
follows in any part of the graph that holds them all, so each part is closed under these rules before an engine sees it.

*Sufficient*: the side holds on the witness, and on any graph between the witness and the whole. *Minimal*: without any
one triple it holds no longer. Met of an every leaf and refuted of a some leaf conclude from there being no further
value, so without the way to one of several values they hold still, of fewer; there, minimal means that without any one
triple the side holds no longer or fewer values are reached.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain, product
from itertools import count as numbers
from random import Random
from typing import Any

import pytest

import kg
from kg.criteria import Criterion, derived_shapes
from kg.evaluate import Reading
from kg.explain import Determination
from kg.path import turtle
from kg.plan import Plan
from kg.terms import TYPE, Term, Triple, written
from tests.conftest import example, parsed
from tests.engines import Union, ntriples
from tests.strategies import Document, claims, counts, for_all
from tests.test_laws import flat

SIDES = {"met": ("met",), "not-met": ("refuted",), "conflicting": ("met", "refuted")}
CLOSED = {("EveryLeaf", "met"), ("SomeLeaf", "refuted")}
FOCUS = "https://example.org/Focus"
BETWEEN = 3  # random graphs between a witness and the whole
Key = tuple[str, ...]


class Replay:
    """What can be shown of one determination by parts of its graph."""

    def __init__(self, determination: Determination, union: Union, known: dict[Key, Triple]) -> None:
        facts = determination.facts(determination.posture)
        self.whole = union(determination.triples(determination.posture))
        named = determination.claim.elsewhere
        derived = [fact for fact in facts.derived if fact.premises]
        self.rules = [(next(named([one.triple])), tuple(named(one.premises))) for one in derived]
        stated = (*determination.claim.facts, *named(one.triple for one in facts.derived if not one.premises))
        self.known = known | {tuple(map(written, triple)): triple for triple in stated}

    def closed(self, triples: Iterable[Triple]) -> set[Triple]:
        """Return triples with all that follows from them."""
        found = set(triples)
        size = -1
        while size < len(found):
            size = len(found)
            found.update(triple for triple, premises in self.rules if found.issuperset(premises))
        return found


def holds(criterion: Criterion, side: str, values: int, focus: Term, triples: Iterable[Triple]) -> bool:
    """Say whether an engine finds a side of a leaf at a node, and so many values if their number matters."""
    data = ntriples((*triples, (focus, TYPE, FOCUS)))
    return bool(_prepared(criterion, side, values).validate_algebra(data, infer=False, graph_mode="data").conforms)


@cache
def _prepared(criterion: Criterion, side: str, values: int) -> Any:
    import shifty

    reached = f"; sh:property [ sh:path {turtle(criterion.path)} ; sh:minCount {values} ]" if criterion.path else ""
    probe = f"<{FOCUS}Probe> a sh:NodeShape ; sh:targetClass <{FOCUS}> ; sh:node <{criterion.iri}.{side}>"
    shapes = derived_shapes([criterion, *criterion.parts], kg.load_knowledge().graph)
    shapes = shapes.replace("sh:targetClass cov:ClaimLine ;", "")  # of their own probes, which look at other lines
    return shifty.PreparedValidator(f"{shapes}\n{probe} {reached if values else ''} .".encode())


def shown(determination: Determination) -> Iterator[tuple[dict[str, Any], Term]]:
    """Yield each decided leaf of an answer once, with the node that it was asked of."""
    seen = set()
    for line in determination.to_dict()["lines"]:
        elsewhere = {id(part) for node in flat(line["path"]) for part in asked_elsewhere(node) if "at" not in part}
        for node in flat(line["path"]):
            focus = node.get("at", f"{determination.claim.iri}#line-{line['line']}")
            if node["witnesses"] and (node["criterion"], focus) not in seen and id(node) not in elsewhere:
                seen.add((node["criterion"], focus))
                yield node, focus


def asked_elsewhere(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of a leaf: it asks them of levels or of base lines."""
    return list(node["parts"]) if node["kind"] in ("EveryLeaf", "SomeLeaf") else []


@pytest.fixture(scope="module")
def known(knowledge: kg.Knowledge) -> dict[Key, Triple]:
    return {tuple(map(written, triple)): triple for triple in knowledge.graph}


@pytest.fixture(scope="module")
def union(knowledge: kg.Knowledge) -> Union:
    return Union(knowledge)


@counts(20, 1000)
def test_witnesses_are_sufficient(count: int, knowledge: kg.Knowledge, union: Union, known: dict[Key, Triple]) -> None:
    """Each status of a leaf holds on its witness, and on any graph between it and the whole."""
    seeds = numbers()

    def law(document: Document) -> None:
        determination = kg.determine(parsed(document), knowledge)
        replay, random = Replay(determination, union, known), Random(next(seeds))
        for node, focus in shown(determination):
            criterion = knowledge.criteria[node["criterion"]]
            witness = replay.closed(replay.known[tuple(triple)] for triple in node["witnesses"])
            between = [witness.union(random.sample(replay.whole, len(replay.whole) // 2)) for _ in range(BETWEEN)]
            for graph in (witness, *between):
                for side in SIDES[node["status"]]:
                    assert holds(criterion, side, 0, focus, graph), (criterion.iri, focus, side)

    for_all(claims(knowledge), count, law)


@counts(20, 1000)
def test_witnesses_are_minimal(count: int, knowledge: kg.Knowledge, union: Union, known: dict[Key, Triple]) -> None:
    """No triple of a witness can be left out."""

    def law(document: Document) -> None:
        determination = kg.determine(parsed(document), knowledge)
        replay = Replay(determination, union, known)
        for node, focus in shown(determination):
            criterion = knowledge.criteria[node["criterion"]]
            witness = [replay.known[tuple(triple)] for triple in node["witnesses"]]
            for left_out in witness:
                less = replay.closed(triple for triple in witness if triple != left_out)
                assert not all(
                    holds(criterion, side, len(node["parts"]) if (criterion.kind, side) in CLOSED else 0, focus, less)
                    for side in SIDES[node["status"]]
                ), (criterion.iri, focus, left_out)

    for_all(claims(knowledge), count, law)


@counts(60, 3000)
def test_the_first_witness_is_the_first_of_all(count: int, knowledge: kg.Knowledge) -> None:
    """Whoever asks for one witness of a leaf gets the first that a denial would list; nothing shows what is open."""
    plan = Plan(knowledge.criteria.values(), knowledge)

    def law(document: Document) -> None:
        determination = kg.determine(parsed(document), knowledge)
        reading = Reading(plan, determination.facts(determination.posture))
        for leaf, (_, line, _) in product(plan.leaves, determination.claim.lines):
            outcome = reading.outcome(leaf, line)
            for positive, is_so in ((True, outcome.met), (False, outcome.refuted)):
                if is_so:
                    first, every = reading.first(leaf, line, positive), reading.all(leaf, line, positive)
                    assert set(chain.from_iterable(first)) == set(chain.from_iterable(next(every))), leaf.iri
                elif not (leaf.parts or outcome.met or outcome.refuted):
                    with pytest.raises(LookupError):
                        reading.first(leaf, line, positive)

    for_all(claims(knowledge), count, law)


def test_a_part_says_what_it_was_asked_of(knowledge: kg.Knowledge) -> None:
    """Whoever replays a witness needs to know of which level or line it speaks."""
    for line in kg.determine(parsed(example("c01")), knowledge).to_dict()["lines"]:
        assert all("at" in part for node in flat(line["path"]) for part in asked_elsewhere(node))
