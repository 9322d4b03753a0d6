"""SHACL property paths: where they lead from a node, and by which triples.

Specification: https://www.w3.org/TR/shacl/#property-paths
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, product
from typing import Protocol

from kg.errors import KnowledgeError
from kg.graph import FIRST, NIL, REST, Graph
from kg.terms import SH, Term, Triple

MAX_DEPTH = 30  # of paths within paths: no policy needs more
Trace = tuple[Triple, ...]
Reached = dict[Term, Trace]  # each value with the shortest way to it


class Path(Protocol):
    """A way through a graph."""

    def reach(self, graph: Graph, node: Term) -> Reached:
        """Return every value that the path leads to, with the triples on the way."""

    def values(self, graph: Graph, node: Term) -> Iterable[Term]:
        """Return every value that the path leads to, once and in the same order, without the ways.

        The ways along a list of n members hold n * n triples; whoever needs no witness has no use for them.
        """


@dataclass(frozen=True, slots=True)
class Step:
    """One property, walked forwards."""

    predicate: str

    def reach(self, graph: Graph, node: Term) -> Reached:
        return {o: ((node, self.predicate, o),) for o in graph.objects(node, self.predicate)}

    def values(self, graph: Graph, node: Term) -> Iterable[Term]:
        return dict.fromkeys(graph.objects(node, self.predicate))


@dataclass(frozen=True, slots=True)
class BackStep:
    """One property, walked backwards."""

    predicate: str

    def reach(self, graph: Graph, node: Term) -> Reached:
        return {s: ((s, self.predicate, node),) for s in graph.subjects(self.predicate, node)}

    def values(self, graph: Graph, node: Term) -> Iterable[Term]:
        return dict.fromkeys(graph.subjects(self.predicate, node))


@dataclass(frozen=True, slots=True)
class Sequence:
    """One path after the other."""

    parts: tuple[Path, ...]

    def reach(self, graph: Graph, node: Term) -> Reached:
        reached: Reached = {node: ()}
        for part in self.parts:
            further: Reached = {}
            for middle, trace in reached.items():
                for end, more in part.reach(graph, middle).items():
                    keep_shorter(further, end, trace + more)
            reached = further
        return reached

    def values(self, graph: Graph, node: Term) -> Iterable[Term]:
        found = [node]
        for part in self.parts:
            found = list(dict.fromkeys(end for middle in found for end in part.values(graph, middle)))
        return found


@dataclass(frozen=True, slots=True)
class Alternative:
    """Any one of several paths."""

    parts: tuple[Path, ...]

    def reach(self, graph: Graph, node: Term) -> Reached:
        reached: Reached = {}
        for part in self.parts:
            for end, trace in part.reach(graph, node).items():
                keep_shorter(reached, end, trace)
        return reached

    def values(self, graph: Graph, node: Term) -> Iterable[Term]:
        return dict.fromkeys(end for part in self.parts for end in part.values(graph, node))


@dataclass(frozen=True, slots=True)
class Repeat:
    """A path walked again and again: at least `least` times (0 or 1), at most once if `once`."""

    part: Path
    least: int
    once: bool = False

    def reach(self, graph: Graph, node: Term) -> Reached:
        reached: Reached = {} if self.least else {node: ()}
        frontier: Reached = {node: ()}
        while frontier:
            further: Reached = {}
            for middle, trace in frontier.items():
                for end, more in self.part.reach(graph, middle).items():
                    if end not in reached and end not in further:
                        further[end] = trace + more
            reached.update(further)
            frontier = {} if self.once else further
        return reached

    def values(self, graph: Graph, node: Term) -> Iterable[Term]:
        found: dict[Term, None] = {} if self.least else {node: None}
        frontier: Iterable[Term] = (node,)
        while frontier:
            ends = dict.fromkeys(end for middle in frontier for end in self.part.values(graph, middle))
            further = [end for end in ends if end not in found]
            found.update(dict.fromkeys(further))
            frontier = () if self.once else further
        return found


def keep_shorter(reached: Reached, end: Term, trace: Trace) -> None:
    """Enter a way to a value unless one at least as short is known."""
    if end not in reached or len(trace) < len(reached[end]):
        reached[end] = trace


def read_path(graph: Graph, node: Term, where: str, above: tuple[Term, ...] = ()) -> Path:
    """Read a property path as SHACL section 2.3.1 writes it; `where` names whose path it is.

    Raises KnowledgeError for what is no path, or one without end.
    """
    if node in above or len(above) > MAX_DEPTH:
        problem = "the path leads back into itself" if node in above else f"the path nests more than {MAX_DEPTH} deep"
        raise KnowledgeError(where, problem, "write it out in steps")
    inner = (*above, node)
    forms = graph.predicates(node)
    if isinstance(node, str) and node != NIL and FIRST not in forms:
        return Step(node)
    if FIRST in forms:
        return Sequence(_parts(graph, node, where, inner))
    if len(forms) == 1 and forms[0] in _COMPOUND and len(parts := graph.objects(node, forms[0])) == 1:
        return _COMPOUND[forms[0]](graph, parts[0], where, inner)
    raise KnowledgeError(where, "this is not a property path", "write an IRI, a list or one of the path forms")


def _parts(graph: Graph, head: Term, where: str, above: tuple[Term, ...]) -> tuple[Path, ...]:
    parts = list_of(graph, head)
    if not parts:
        raise KnowledgeError(where, "a path has a list without members or without end", "write ( cov:one cov:other )")
    return tuple(read_path(graph, part, where, above) for part in parts)


def list_of(graph: Graph, head: Term) -> tuple[Term, ...] | None:
    """Return the members of an RDF list; None where it is none, or breaks off."""
    members: dict[Term, Term] = {}
    while head != NIL:
        firsts, rests = graph.objects(head, FIRST), graph.objects(head, REST)
        if len(firsts) != 1 or len(rests) != 1 or head in members:
            return None
        members[head], head = firsts[0], rests[0]
    return tuple(members.values())


def _reversed(path: Path) -> Path:
    match path:
        case Step(predicate):
            return BackStep(predicate)
        case BackStep(predicate):
            return Step(predicate)
        case Sequence(parts):
            return Sequence(tuple(_reversed(part) for part in reversed(parts)))
        case Alternative(parts):
            return Alternative(tuple(map(_reversed, parts)))
        case Repeat(part, least, once):
            return Repeat(_reversed(part), least, once)
    raise TypeError(path)


_COMPOUND: dict[str, Callable[[Graph, Term, str, tuple[Term, ...]], Path]] = {
    SH + "inversePath": lambda *inner: _reversed(read_path(*inner)),
    SH + "alternativePath": lambda *inner: Alternative(_parts(*inner)),
    SH + "zeroOrMorePath": lambda *inner: Repeat(read_path(*inner), 0),
    SH + "oneOrMorePath": lambda *inner: Repeat(read_path(*inner), 1),
    SH + "zeroOrOnePath": lambda *inner: Repeat(read_path(*inner), 0, once=True),
}


def turtle(path: Path) -> str:
    """Write a path as Turtle."""
    match path:
        case Step(predicate):
            return f"<{predicate}>"
        case BackStep(predicate):
            return f"[ sh:inversePath <{predicate}> ]"
        case Sequence(parts):
            return f"( {' '.join(map(turtle, parts))} )"
        case Alternative(parts):
            return f"[ sh:alternativePath ( {' '.join(map(turtle, parts))} ) ]"
        case Repeat(part, least, once):
            name = "zeroOrOnePath" if once else "oneOrMorePath" if least else "zeroOrMorePath"
            return f"[ sh:{name} {turtle(part)} ]"
    raise TypeError(path)


def branches(path: Path | None) -> Iterator[tuple[Path, ...]]:
    """Yield the sequences of steps that a path allows, one for each choice among its alternatives; none without one."""
    match path:
        case None:
            return
        case Alternative(parts):
            yield from chain.from_iterable(map(branches, parts))
        case Sequence(parts):
            for chosen in product(*map(branches, parts)):
                yield tuple(chain.from_iterable(chosen))
        case _:
            yield (path,)


def walked(steps: Iterable[Path], links: frozenset[str]) -> tuple[Step | BackStep, ...]:
    """Return the first steps, as long as they lead from node to node of a claim, with the one that leaves it."""
    found: list[Step | BackStep] = []
    for step in steps:
        if not isinstance(step, Step | BackStep):
            break
        found.append(step)
        if step.predicate not in links:
            break
    return tuple(found)


def goes_back(path: Path) -> bool:
    """Say whether a property on a path is walked backwards."""
    match path:
        case BackStep():
            return True
        case Sequence(parts) | Alternative(parts):
            return any(map(goes_back, parts))
        case Repeat(part):
            return goes_back(part)
    return False


def predicates(path: Path) -> frozenset[str]:
    """Return the properties on a path."""
    match path:
        case Step(predicate) | BackStep(predicate):
            return frozenset((predicate,))
        case Sequence(parts) | Alternative(parts):
            return frozenset().union(*map(predicates, parts))
        case Repeat(part):
            return predicates(part)
    return frozenset()


def first_steps(path: Path) -> frozenset[str]:
    """Return the properties with which a path may begin, walked forwards."""
    match path:
        case Step(predicate):
            return frozenset((predicate,))
        case Sequence(parts):
            return first_steps(parts[0])
        case Alternative(parts):
            return frozenset().union(*map(first_steps, parts))
        case Repeat(part):
            return first_steps(part)
    return frozenset()
