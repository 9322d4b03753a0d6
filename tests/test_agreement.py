"""Engines of SHACL that others wrote and the evaluator find the same status for every criterion, on the same shapes."""

from collections.abc import Iterable, Iterator
from itertools import islice

import pytest
from rich.console import Console
from rich.progress import track

import kg
from kg.cases import cases_of
from kg.decide import POSTURES
from kg.explain import Determination
from tests import engines
from tests.conftest import example, parsed
from tests.engines import ENGINES, Statuses, Union
from tests.strategies import Document, random_claims

BATCH = 25  # claims in one graph
SEED = 20261122
CONFLICTING = [{"fact": name, "status": "absent"} for name in ("CordCompression", "TraumaticInjury")]
CLAIMS: dict[str, Document] = {
    "c01": {},
    "c01, conflicting": {"facts": [{"fact": "SevereCordCompression", "status": "present"}, *CONFLICTING]},
    "c02, low conus": {"operation": {"procedures": [{"code": "63200", "levels": ["L5-S1"]}], "conusLevel": "L5"}},
}
# How many drawn claims each engine judges, in the short run and in the long one.
DRAWN = {"pyshifty": (100, 10_000), "shacl-rust": (20, 1_000), "TopBraid": (20, 1_000), "pySHACL": (1, 500)}


@pytest.fixture(scope="session")
def union(knowledge: kg.Knowledge) -> Union:
    return Union(knowledge)


@pytest.mark.parametrize(
    "engine", ["pyshifty", *(pytest.param(name, marks=pytest.mark.fuzz) for name in ("shacl-rust", "TopBraid"))]
)
def test_they_agree_on_every_case(engine: str, knowledge: kg.Knowledge, union: Union) -> None:
    """On the claims by which the policies and guidelines are tested, and on the example claims."""
    folders = (*knowledge.policies, *(document.id for document in knowledge.guidelines))
    documents = [case.document for folder in folders for case in cases_of(folder, knowledge)]
    documents += [example("c01"), example("c02")]
    claims = ({**document, "id": f"case-{i}"} for i, document in enumerate(documents))
    assert disagreements(engine, knowledge, union, determined(knowledge, claims)) == {}


@pytest.mark.parametrize("name", CLAIMS)
def test_pyshacl_agrees_on_the_examples(name: str, knowledge: kg.Knowledge, union: Union) -> None:
    """The reference: all four statuses occur."""
    claim = parsed({**example(name[:3]), **CLAIMS[name]})
    determination = kg.determine(claim, knowledge)
    assert disagreements("pySHACL", knowledge, union, [determination]) == {}
    found = set(engines.statuses(determination).values())
    assert found >= {(True, False), (False, True), (False, False)}
    assert ((True, True) in found) == ("conflicting" in name)


@pytest.mark.parametrize("engine", ENGINES)
def test_they_agree_on_drawn_claims(engine: str, knowledge: kg.Knowledge, union: Union) -> None:
    """On claims that say whatever a claim can say."""
    documents = drawn(engine, knowledge, SEED, DRAWN[engine][0])
    assert disagreements(engine, knowledge, union, determined(knowledge, documents)) == {}


@pytest.mark.fuzz
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("part", range(4))
def test_they_agree_on_many_drawn_claims(engine: str, part: int, knowledge: kg.Knowledge, union: Union) -> None:
    """On many more; in parts, so that two cores share the work."""
    count = DRAWN[engine][1] // 4
    documents = drawn(engine, knowledge, SEED + 1 + part, count)
    said = track(documents, f"{engine} {part}", count, console=Console(stderr=True))
    assert disagreements(engine, knowledge, union, determined(knowledge, said)) == {}


def test_the_part_of_the_ontology_that_claims_reach_is_enough(knowledge: kg.Knowledge, union: Union) -> None:
    """An engine finds the same on the whole ontology as on what the paths of the shapes reach from the claims."""
    some = list(determined(knowledge, random_claims(knowledge, SEED, 12)))
    facts = [triple for determination in some for triple in determination.triples()]
    whole = [triple for triple in (*facts, *knowledge.graph) if engines.is_plain(triple)]
    run = ENGINES["pyshifty"](engines.shapes_for(knowledge))
    assert run(engines.ntriples(whole)) == run(engines.ntriples(union(facts)))


def test_only_two_things_are_beyond_an_engine(knowledge: kg.Knowledge) -> None:
    """All judge all criteria, but shacl-rust those that hang on a number or on a sequence inside another path."""
    beyond = {engine: set(knowledge.criteria) - set(engines.within(engine, knowledge)) for engine in ENGINES}
    left_out = beyond.pop("shacl-rust")
    assert not any(beyond.values())
    leaves = [knowledge.criteria[iri] for iri in left_out if knowledge.criteria[iri].is_leaf]
    assert len([leaf for leaf in leaves if leaf.kind != "NumberLeaf"]) == 1 and len(left_out) < 10


def drawn(engine: str, knowledge: kg.Knowledge, seed: int, count: int) -> Iterator[Document]:
    """Yield drawn claims; for pySHACL of two lines at most, since it takes seconds for each."""
    for document in random_claims(knowledge, seed, count):
        yield {**document, "lines": document["lines"][: 2 if engine == "pySHACL" else None]}


def determined(knowledge: kg.Knowledge, documents: Iterable[Document]) -> Iterator[Determination]:
    """Determine claims, under the postures in turn: they differ in what is known of base lines."""
    for i, document in enumerate(documents):
        yield kg.determine(parsed(document), knowledge, posture=POSTURES[i % len(POSTURES)])


def disagreements(
    engine: str, knowledge: kg.Knowledge, union: Union, determinations: Iterable[Determination]
) -> dict[tuple[str, str], object]:
    """Return where an engine and the evaluator differ: criterion and line, with their two bits and ours."""
    criteria = engines.within(engine, knowledge)
    run = ENGINES[engine](engines.shapes_for(knowledge, criteria))
    found: dict[tuple[str, str], object] = {}
    waiting = iter(determinations)
    while some := list(islice(waiting, BATCH)):
        facts = [triple for one in some for triple in one.triples(one.posture)]
        theirs = engines.by(run(engines.ntriples(union(facts))), some, criteria)
        ours: Statuses = {}
        for one in some:
            ours |= engines.statuses(one, one.posture)
        assert len(theirs) == len(criteria) * sum(len(one.lines) for one in some)
        found |= {key: (status, ours[key]) for key, status in theirs.items() if ours[key] != status}
    return found
