"""An index that no service owns: determinations of this moment, laid out as a service lays out its own."""

from collections.abc import Iterable
from pathlib import Path

import pyoxigraph as ox

import kg
from api.index import Local, Named, knowledge_triples
from api.snapshots import publish
from kg.graph import serialize
from kg.rdf import determination_iri, to_triples
from kg.terms import Triple


def write_index(data: Path, knowledge: kg.Knowledge, determinations: Iterable[kg.Determination]) -> None:
    """Write knowledge, claims and determinations into a data directory, for queries only."""
    index = Local(data / "index")
    mark = index.begin(list(knowledge_triples(knowledge)), knowledge.hash)
    graphs: dict[str, Named] = {}
    for determination in determinations:
        graphs[determination.claim.iri] = _named(determination.claim.iri, determination.claim.facts)
        name = determination_iri(determination)
        graphs[name] = _named(name, to_triples(determination))
    index.write(list(graphs.values()), mark)
    publish(data, index.store)


def _named(name: str, triples: Iterable[Triple]) -> Named:
    return Named(name, serialize(triples, ox.RdfFormat.N_TRIPLES, {}).encode())
