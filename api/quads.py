"""An index that no service owns: determinations of this moment, laid out as a service lays out its own."""

from collections.abc import Iterable
from pathlib import Path

import kg
from api.index import Local, Named, knowledge_triples
from api.snapshots import publish
from kg.graph import ntriples
from kg.rdf import tell, to_ntriples


def write_index(data: Path, knowledge: kg.Knowledge, determinations: Iterable[kg.Determination]) -> None:
    """Write knowledge, claims and determinations into a data directory, for queries only."""
    index = Local(data / "index")
    mark = index.begin(list(knowledge_triples(knowledge)), knowledge.hash)
    graphs: dict[str, Named] = {}
    for determination in determinations:
        claim = determination.claim
        graphs[claim.iri] = Named(claim.iri, ntriples(claim.facts).encode())
        told = tell(determination)
        graphs[told.iri] = Named(told.iri, to_ntriples(told, whole=False).encode())
    index.write(list(graphs.values()), mark)
    publish(data, index.store)
