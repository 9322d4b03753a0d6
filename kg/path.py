"""SHACL property paths: where they lead from a node, and by which triples.

Specification: https://www.w3.org/TR/shacl/#property-paths
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kg.errors import KnowledgeError
from kg.graph import Graph
from kg.terms import SH, Blank, Term, Triple, local_name

Trace = tuple[Triple, ...]
Reached = dict[Term, Trace]  # each value with the shortest way to it


class Path(Protocol):
    """A way through a graph."""

    def reach(self, graph: Graph, node: Term) -> Reached:
        """Return every value that the path leads to, with the triples on the way."""


@dataclass(frozen=True, slots=True)
class Step:
    """One property, walked forwards."""

    predicate: str

    def reach(self, graph: Graph, node: Term) -> Reached:
        return {o: ((node, self.predicate, o),) for o in graph.objects(node, self.predicate)}


@dataclass(frozen=True, slots=True)
class BackStep:
    """One property, walked backwards."""

    predicate: str

    def reach(self, graph: Graph, node: Term) -> Reached:
        return {s: ((s, self.predicate, node),) for s in graph.subjects(self.predicate, node)}


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


def keep_shorter(reached: Reached, end: Term, trace: Trace) -> None:
    """Enter a way to a value unless one at least as short is known."""
    if end not in reached or len(trace) < len(reached[end]):
        reached[end] = trace


def read_path(graph: Graph, node: Term) -> Path:
    """Read a property path as SHACL section 2.3.1 writes it."""
    if isinstance(node, str) and graph.value(node, _FIRST) is None:
        return Step(node)
    if graph.value(node, _FIRST) is not None:
        return Sequence(tuple(read_path(graph, part) for part in graph.items(node)))
    for predicate, build in _COMPOUND.items():
        inner = graph.value(node, predicate)
        if inner is not None:
            return build(graph, inner)
    raise KnowledgeError(_name(node), "this is not a property path", "write an IRI, a list or one of the path forms")


def _inverse(graph: Graph, node: Term) -> Path:
    return _reversed(read_path(graph, node))


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


_FIRST = "http://www.w3.org/1999/02/22-rdf-syntax-ns#first"
_COMPOUND: dict[str, Callable[[Graph, Term], Path]] = {
    SH + "inversePath": _inverse,
    SH + "alternativePath": lambda g, n: Alternative(tuple(read_path(g, part) for part in g.items(n))),
    SH + "zeroOrMorePath": lambda g, n: Repeat(read_path(g, n), 0),
    SH + "oneOrMorePath": lambda g, n: Repeat(read_path(g, n), 1),
    SH + "zeroOrOnePath": lambda g, n: Repeat(read_path(g, n), 0, once=True),
}


def _name(node: Term) -> str:
    return f"_:{node.label}" if isinstance(node, Blank) else local_name(str(node))


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
