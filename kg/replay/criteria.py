"""Replay of the criteria: read from the shapes graph, and how the status of one follows from those of its parts.

For `kg.verify` alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from kg.graph import FIRST, NIL, REST, Graph
from kg.terms import COV, RDFS, SH, TYPE, Term

LEAVES = ("FactLeaf", "KnownLeaf", "EveryLeaf", "SomeLeaf", "NumberLeaf")
Bits = tuple[bool, bool]  # met, refuted
OPEN: Bits = (False, False)


@dataclass(frozen=True, slots=True)
class Criterion:
    """A criterion as the shapes graph writes it: a leaf, or a join of others; or one of the groups of a line."""

    iri: str
    kind: str
    label: str
    clause: str = ""
    quote: str = ""
    parts: tuple["Criterion", ...] = ()
    message: str = ""
    concept: str = ""
    region: str = ""
    field: str = ""

    def __hash__(self) -> int:
        return hash(self.iri)

    @property
    def is_leaf(self) -> bool:
        """Say whether the criterion tests facts and joins no others."""
        return self.kind in LEAVES

    def leaves(self) -> Iterator["Criterion"]:
        """Yield the leaves at or below the criterion, in the order of the source."""
        if self.is_leaf:
            yield self
        else:
            for part in self.parts:
                yield from part.leaves()


def members(graph: Graph, head: Term) -> list[Term]:
    """Return the members of an RDF list."""
    found = []
    while head != NIL:
        found.append(graph.objects(head, FIRST)[0])
        head = graph.objects(head, REST)[0]
    return found


def read_criterion(graph: Graph, iri: Term) -> Criterion:
    """Read a criterion and all below it; a clause joins what it concerns and what it asks."""
    iri = str(iri)
    kind = next((kind for kind in LEAVES if (iri, TYPE, COV + kind) in graph), "")
    parts: list[Term] = list(graph.objects(iri, COV + "concerns"))
    if kind:
        parts = [part for part in graph.objects(iri, SH + "node") if isinstance(part, str)]
    for join in ("and", "or"):
        for head in graph.objects(iri, SH + join):
            kind, parts = join, [*parts, *members(graph, head)]
    for part in graph.objects(iri, SH + "not"):
        kind, parts = "not", [part]
    words = {"label": RDFS + "label", "message": SH + "message"}
    words |= {name: COV + name for name in ("clause", "quote", "field")}
    return Criterion(
        iri=iri,
        kind=kind or "and",
        parts=tuple(read_criterion(graph, part) for part in parts),
        concept=graph.iri(iri, COV + "asksFor") or "",
        region=graph.iri(iri, COV + "inRegion") or "",
        **{name: graph.text(iri, predicate) or "" for name, predicate in words.items()},
    )


def joined(kind: str, bits: list[Bits]) -> Bits:
    """Return what a join comes to: the truth tables of Belnap's four values.

    `none` holds where no part does; `unless` where the first part does and none of the others.
    """
    met, refuted = [one[0] for one in bits], [one[1] for one in bits]
    match kind:
        case "and":
            return all(met), any(refuted)
        case "or":
            return any(met), all(refuted)
        case "not":
            return refuted[0], met[0]
        case "none":
            return all(refuted), any(met)
        case "unless":
            return met[0] and all(refuted[1:]), refuted[0] or any(met[1:])
    raise ValueError(kind)


def sides(criterion: Criterion, positive: bool) -> tuple[bool, list[tuple[Criterion, bool]]]:
    """Return whether a side of a join needs all sides of its parts by which it holds, or one, and which these are."""
    needed = []
    for i, part in enumerate(criterion.parts):
        turned = criterion.kind in ("not", "none") or (criterion.kind == "unless" and i > 0)
        needed.append((part, positive != turned))
    return positive != (criterion.kind == "or"), needed


def status(bits: Bits) -> str:
    """Return how the contract calls a status."""
    met, refuted = bits
    return ("conflicting" if refuted else "met") if met else "not-met" if refuted else "undocumented"


def needs_all(leaf: Criterion, positive: bool) -> bool:
    """Say whether a side of a leaf that asks of other nodes needs that side of all of them, or of one."""
    return positive == (leaf.kind == "EveryLeaf")
