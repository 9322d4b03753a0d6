"""A determination as RDF and back (public contract, section 7): JSON and Turtle are two forms of one value.

What is written is what `Determination.to_dict()` says under each posture. The document holds all of it; an index holds
the part that queries ask for (`whole=False`), under the same names. A status is one node wherever it is part of a
tree: equal criteria with equal witnesses and parts have equal statuses, on whichever line, under whichever posture.
A walk along a property, such as from level to level, is one witness: the triple of its transitive property that follows
from the steps. The document derives it from these; an index need not, since they stand in the ontology.

What was written can be read, and every key of the value returns. Not carried, since they follow: flips (from the
changes), what separates the postures (from the decisions), the words of criteria and of guidance (from the knowledge),
sources (from the facts that are witnesses), the decision and the conflicts of the whole claim (from its lines).
RDF has no order: a list is read in the order of the names of its members, shorter ones first, unless a `cov:inOrder`
says otherwise.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyoxigraph as ox

from kg.errors import ClaimError, Fault
from kg.graph import parse, rewrite
from kg.knowledge import Knowledge
from kg.rdf.form import DETERMINATIONS, POSTURES, Told, unreadable
from kg.rdf.read import Reader
from kg.rdf.write import EARL, Writer
from kg.terms import PREFIXES, Triple

if TYPE_CHECKING:
    from kg.explain import Determination


def tell(determination: "Determination") -> Told:
    """Return a determination as plain values."""
    return Told(
        iri=determination_iri(determination),
        claim=determination.claim.iri,
        policy=determination.policy.iri,
        edition=determination.edition.iri,
        of={posture: replace(determination, posture=posture).to_dict() for posture in POSTURES},
        knowledge=determination.knowledge,
    )


def determination_iri(determination: "Determination") -> str:
    """Return the IRI of a determination: equal claim, edition and knowledge give the same."""
    parts = (determination.claim.document, determination.edition.iri, determination.knowledge.hash)
    return DETERMINATIONS + hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def to_ntriples(told: Told, whole: bool = True) -> str:
    """Write a determination as N-Triples: with its whole proof, or what an index holds of it."""
    return Writer(told, whole).text()


def to_turtle(told: Told) -> str:
    """Write a determination as Turtle, with its whole proof."""
    return rewrite(to_ntriples(told), ox.RdfFormat.TURTLE, prefixes(told))


def prefixes(told: Told) -> dict[str, str]:
    """Return the prefixes with which a determination is written."""
    own = {"claim": f"{told.claim}#", "policy": f"{told.policy.partition('#')[0]}#", "this": f"{told.iri}#"}
    return {**PREFIXES, "determination": DETERMINATIONS, "earl": EARL, **own}


def from_turtle(text: str | bytes, knowledge: Knowledge) -> Told:
    """Read a determination that was written as Turtle.

    Raises ClaimError where it is no such document.
    """
    data = text.encode() if isinstance(text, str) else text
    try:
        return from_graph(parse(data, ox.RdfFormat.TURTLE), knowledge)
    except SyntaxError as error:
        raise unreadable(f"it is not Turtle: {error}") from None


def from_graph(triples: Iterable[Triple], knowledge: Knowledge) -> Told:
    """Read a determination from its triples, in any order.

    Raises ClaimError where they do not make one.
    """
    try:
        return Reader(triples, knowledge).told()
    except RecursionError:
        raise unreadable("it nests without end") from None


def read_turtle(path: Path, knowledge: Knowledge) -> Told:
    """Read a determination from a Turtle file. Raises ClaimError where it holds none."""
    try:
        return from_turtle(path.read_bytes(), knowledge)
    except OSError as error:
        why = error.strerror or "it cannot be read"
        raise ClaimError([Fault(path.name, f"the determination cannot be read: {why}", "check the file")]) from None


__all__ = [
    "DETERMINATIONS",
    "POSTURES",
    "Told",
    "determination_iri",
    "from_graph",
    "from_turtle",
    "prefixes",
    "read_turtle",
    "tell",
    "to_ntriples",
    "to_turtle",
]
