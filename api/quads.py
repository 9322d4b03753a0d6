"""The graphs that queries see: knowledge in the default graph, each claim and each determination under its own name."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyoxigraph as ox

import kg
from kg.graph import serialize
from kg.rdf import determination_iri, to_triples
from kg.terms import Triple


def knowledge_quads(knowledge: kg.Knowledge) -> Iterator[ox.Quad]:
    """Yield ontology, shapes and policies."""
    return _quads(knowledge.graph, ox.DefaultGraph())


def determination_quads(determination: kg.Determination) -> Iterator[ox.Quad]:
    """Yield a claim and its determination, each in the graph that has its name."""
    yield from _quads(determination.claim.facts, ox.NamedNode(determination.claim.iri))
    yield from _quads(to_triples(determination), ox.NamedNode(determination_iri(determination)))


def write_index(data: Path, knowledge: kg.Knowledge, determinations: Iterable[kg.Determination]) -> None:
    """Write an index that no service owns: determinations of this moment, for queries that are asked now."""
    store = ox.Store(str(data / "index"))
    store.bulk_extend(knowledge_quads(knowledge))
    for determination in determinations:
        store.extend(determination_quads(determination))
    store.flush()
    (data / "version").write_text("1")


def _quads(triples: Iterable[Triple], graph: ox.NamedNode | ox.DefaultGraph) -> Iterator[ox.Quad]:
    text = serialize(triples, ox.RdfFormat.N_TRIPLES, {})
    for quad in ox.parse(text, format=ox.RdfFormat.N_TRIPLES):
        yield ox.Quad(quad.subject, quad.predicate, quad.object, graph)
