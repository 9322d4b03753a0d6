"""The claims that property tests draw: accepted, alike for the same seed, and together they reach every leaf."""

import json
from collections.abc import Iterator
from typing import Any

import kg
from benchmarks.claims import five_line_claims
from kg.terms import local_name
from tests.conftest import parsed
from tests.engines import statuses
from tests.strategies import random_claims

CLAIMS, SEED = 400, 20261121
OUT_OF_REACH = {  # what no claim can make so, and why
    ("any-modality", "refuted"): "every modality of the ontology is one, and a code without any leaves it open",
    ("aortic-surgery", "met"): "the ontology holds no code of an operation on the aorta",
    ("nerve-surgery", "met"): "the ontology holds no code of an operation on a peripheral nerve",
    ("three-or-fewer", "met"): "no field of a claim tells the number of concurrent cases",
    ("three-or-fewer", "refuted"): "no field of a claim tells the number of concurrent cases",
}
SIDES = {"met": {"met"}, "not-met": {"refuted"}, "conflicting": {"met", "refuted"}, "undocumented": set[str]()}


def test_every_leaf_is_reached_on_both_sides(knowledge: kg.Knowledge) -> None:
    """Some drawn claim meets each leaf and some refutes it, but for those that no claim can."""
    reached: set[tuple[str, str]] = set()
    for document in random_claims(knowledge, SEED, CLAIMS):
        determination = kg.determine(parsed(document), knowledge)
        for (iri, _), (met, refuted) in statuses(determination).items():
            reached |= {(iri, side) for side, holds in (("met", met), ("refuted", refuted)) if holds}
        for line in determination.to_dict()["lines"]:  # for what is asked of levels and base lines
            reached |= {(node["criterion"], side) for node in nodes(line["path"]) for side in SIDES[node["status"]]}
    leaves = [criterion.iri for criterion in knowledge.criteria.values() if criterion.is_leaf]
    missed = {(iri, side) for iri in leaves for side in ("met", "refuted")} - reached
    assert {(local_name(iri), side) for iri, side in missed} == set(OUT_OF_REACH)


def nodes(path: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a criteria tree."""
    yield path
    for part in path["parts"]:
        yield from nodes(part)


def test_claims_to_measure_with_are_distinct_and_fixed(knowledge: kg.Knowledge) -> None:
    """Five lines each, no two alike, the same for the same seed, and all accepted under the policy of their payer."""
    documents = five_line_claims(200, 1, knowledge)
    assert documents == five_line_claims(200, 1, knowledge) != five_line_claims(200, 2, knowledge)
    assert len({json.dumps({**document, "id": ""}) for document in documents}) == len(documents)
    decisions = set()
    for document in documents[:40]:
        determination = kg.determine(parsed(document), knowledge)
        decisions |= {line.decisions["advisory"].decision for line in determination.lines}
        assert len(determination.lines) == 5 and determination.policy.id == "aetna-cpb-0697"
    assert decisions >= {"approve", "deny", "pend"}
