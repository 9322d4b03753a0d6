"""A set of triples, indexed for walking along properties in both directions."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyoxigraph as ox

from kg.terms import RDF, Blank, Literal, Term, Triple, written

NIL = RDF + "nil"
FIRST = RDF + "first"
REST = RDF + "rest"


Index = dict[tuple[Term, str], tuple[Term, ...]]


def index(triples: Iterable[Triple]) -> Index:
    """Return the values of each property of each subject, in the order in which they were stated, each once."""
    found: Index = {}
    for s, p, o in triples:
        key = s, p
        if key not in found:
            found[key] = (o,)
        elif o not in found[key]:
            found[key] = (*found[key], o)
    return found


class Graph:
    """Triples by subject and by object; later graphs are layered over earlier ones.

    The order of values is the order of insertion, so that equal input gives equal output.
    """

    __slots__ = ("_about", "_below", "_into", "_out")

    def __init__(self, triples: Iterable[Triple] = (), below: "Graph | None" = None) -> None:
        self._below = below
        self._out = index(triples)
        self._into: dict[tuple[str, Term], list[Term]] | None = None
        self._about: dict[Term, list[str]] | None = None

    @classmethod
    def of(cls, values: Index, below: "Graph | None" = None) -> "Graph":
        """Return the graph that an index holds; the index is not copied."""
        graph = cls((), below)
        graph._out = values
        return graph

    def __len__(self) -> int:
        return sum(map(len, self._out.values())) + (len(self._below) if self._below is not None else 0)

    def __iter__(self) -> Iterator[Triple]:
        if self._below is not None:
            yield from self._below
        for (s, p), values in self._out.items():
            for o in values:
                yield s, p, o

    def __contains__(self, triple: Triple) -> bool:
        s, p, o = triple
        return o in self.objects(s, p)

    def objects(self, subject: Term, predicate: str) -> tuple[Term, ...]:
        """Return the values of a property, in the order in which they were stated."""
        own = self._out.get((subject, predicate), ())
        if self._below is None:
            return own
        under = self._below.objects(subject, predicate)
        return own + under if own and under else own or under

    def subjects(self, predicate: str, obj: Term) -> tuple[Term, ...]:
        """Return what has a value of a property."""
        if self._into is None:
            self._into = {}
            for (s, p), values in self._out.items():
                for o in values:
                    self._into.setdefault((p, o), []).append(s)
        own = tuple(self._into.get((predicate, obj), ()))
        if self._below is None:
            return own
        under = self._below.subjects(predicate, obj)
        return own + under if own and under else own or under

    def predicates(self, subject: Term) -> tuple[str, ...]:
        """Return the properties that a subject has."""
        if self._about is None:
            self._about = {}
            for s, p in self._out:
                self._about.setdefault(s, []).append(p)
        own = tuple(self._about.get(subject, ()))
        under = self._below.predicates(subject) if self._below is not None else ()
        return tuple(dict.fromkeys(own + under))

    def value(self, subject: Term, predicate: str) -> Term | None:
        """Return the first value of a property, if any."""
        return next(iter(self.objects(subject, predicate)), None)

    def iri(self, subject: Term, predicate: str) -> str | None:
        """Return the first value of a property that is an IRI, if any."""
        return next((v for v in self.objects(subject, predicate) if isinstance(v, str)), None)

    def text(self, subject: Term, predicate: str) -> str | None:
        """Return the words of the first literal value of a property, if any."""
        return next((v.value for v in self.objects(subject, predicate) if isinstance(v, Literal)), None)


def parse(data: bytes, format: ox.RdfFormat, blank: str = "", base: str | None = None) -> Iterator[Triple]:
    """Parse RDF into triples; `blank` goes before the labels of blank nodes.

    Raises SyntaxError, with the place, where the bytes are not of the format.
    """
    labels: dict[str, Blank] = {}

    def term(node: ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple) -> Term:
        if isinstance(node, ox.NamedNode):
            return node.value
        if isinstance(node, ox.Literal):
            return Literal(node.value, node.datatype.value, node.language or "")
        if isinstance(node, ox.BlankNode):
            return labels.setdefault(node.value, Blank(f"{blank}{len(labels)}"))
        raise SyntaxError("a triple stands where a term belongs")

    for quad in ox.parse(data, format=format, base_iri=base, without_named_graphs=True):
        yield term(quad.subject), quad.predicate.value, term(quad.object)


def read(path: Path, name: str) -> Iterator[Triple]:
    """Parse a Turtle file of ours; its blank nodes carry its name."""
    return parse(path.read_bytes(), ox.RdfFormat.TURTLE, blank=f"{name}-")


def _oxigraph(term: Term) -> ox.NamedNode | ox.BlankNode | ox.Literal:
    if isinstance(term, str):
        return ox.NamedNode(term)
    if isinstance(term, Blank):
        return ox.BlankNode(_label(term))
    if term.language:
        return ox.Literal(term.value, language=term.language)
    return ox.Literal(term.value, datatype=ox.NamedNode(term.datatype))


def serialize(triples: Iterable[Triple], format: ox.RdfFormat, prefixes: Mapping[str, str]) -> str:
    """Write triples as RDF, what is said of a subject together, the same triples always in the same way."""
    by_subject: dict[Term, list[Triple]] = {}
    for triple in triples:
        by_subject.setdefault(triple[0], []).append(triple)
    quads = [
        ox.Triple(_as_subject(s), ox.NamedNode(p), _oxigraph(o)) for about in by_subject.values() for s, p, o in about
    ]
    return _written(quads, format, prefixes)


def ntriples(triples: Iterable[Triple]) -> str:
    """Write triples as N-Triples, in their order."""
    return "".join(f"{_shown(s)} <{p}> {_shown(o)} .\n" for s, p, o in triples)


def _shown(term: Term) -> str:
    if isinstance(term, Blank):
        return f"_:{_label(term)}"
    return f"<{term}>" if isinstance(term, str) else written(term)


def _label(blank: Blank) -> str:
    return blank.label.replace("/", "-").replace(".", "-")


def rewrite(ntriples: str, format: ox.RdfFormat, prefixes: Mapping[str, str]) -> str:
    """Write N-Triples in another format, in the same order."""
    quads = ox.parse(ntriples, format=ox.RdfFormat.N_TRIPLES)
    return _written((quad.triple for quad in quads), format, prefixes)


def _written(triples: Iterable[ox.Triple], format: ox.RdfFormat, prefixes: Mapping[str, str]) -> str:
    data = ox.serialize(triples, format=format, prefixes=dict(prefixes))
    lines = (data or b"").decode().splitlines(keepends=True)
    declared = [line for line in lines if line.startswith("@prefix ")]  # in any order, from run to run
    return "".join((*sorted(declared), *lines[len(declared) :]))


def _as_subject(term: Term) -> ox.NamedNode | ox.BlankNode:
    node = _oxigraph(term)
    if isinstance(node, ox.Literal):
        raise ValueError("a literal is no subject")
    return node
