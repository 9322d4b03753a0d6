"""How the keys of a determination's JSON and the properties of its RDF answer to each other, both ways."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from kg.errors import ClaimError, Fault
from kg.knowledge import Knowledge
from kg.rules.patient import OPERATED_REGION
from kg.terms import COV, PROV, RDF, RDFS, TYPE, XSD, Literal, Term, local_name, written

Json = dict[str, Any]
Said = tuple[tuple[str, tuple[str, ...]], ...]  # properties, each with its values, terms as JSON carries them
POSTURES = ("payer", "advisory", "final")
DETERMINATIONS = "https://w3id.org/coverpath/determinations/"
LABEL, COMMENT = RDFS + "label", RDFS + "comment"
SUBJECT, PREDICATE, OBJECT = RDF + "subject", RDF + "predicate", RDF + "object"
OF_CRITERION, STATUS, REGION = COV + "ofCriterion", COV + "status", COV + "region"
DERIVED_FROM = PROV + "wasDerivedFrom"


@dataclass(frozen=True, slots=True)
class Told:
    """A determination as plain values: its name, what it is about, and what it says under each posture."""

    iri: str
    claim: str
    policy: str
    edition: str
    of: Mapping[str, Json]
    knowledge: Knowledge


class Writing(Protocol):
    """What a kind of value needs to be written."""

    knowledge: Knowledge
    whole: bool

    def node(self, name: str, said: Said, more: Said = ()) -> str:
        """Return the node of which something is said."""

    def said(self, value: Json, fields: "Iterable[Field]") -> Said:
        """Return what RDF says of a JSON object."""

    def statements(self, triples: list[list[str]]) -> tuple[str, ...]:
        """Return the nodes of triples."""


class Reading(Protocol):
    """What a kind of value needs to be read."""

    knowledge: Knowledge

    def one(self, node: Term, predicate: str) -> Term:
        """Return the only value of a property."""

    def many(self, node: Term, predicate: str) -> list[Term]:
        """Return the values of a property, in order."""

    def object(self, node: Term, fields: "Iterable[Field]") -> Json:
        """Return the JSON object that a node stands for."""


class Kind(ABC):
    """A kind of value: how it is written as a term, and how it is read."""

    @abstractmethod
    def term(self, value: Any, to: Writing) -> str:
        """Return the term that stands for a value."""

    @abstractmethod
    def value(self, term: Term, of: Reading) -> Any:
        """Return the value that a term stands for."""

    def terms(self, values: list[Any], to: Writing) -> tuple[str, ...]:
        """Return the terms that stand for a list."""
        return tuple([self.term(value, to) for value in values])

    def values(self, terms: Iterable[Term], of: Reading) -> list[Any]:
        """Return the list that terms stand for."""
        return [self.value(term, of) for term in terms]


class Field(NamedTuple):
    """A key of a JSON object, with the property and the kind of value that stand for it."""

    key: str
    predicate: str
    kind: Kind
    many: bool = False


class Iri(Kind):
    """The IRI of a term."""

    def term(self, value: str, to: Writing) -> str:
        """Return the IRI."""
        return value

    def value(self, term: Term, of: Reading) -> str:
        """Return the IRI."""
        return str(term)


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """A text, in a language if it is made of words."""

    language: str = ""

    def term(self, value: str, to: Writing) -> str:
        """Return a literal."""
        return written(Literal(value, RDF + "langString", self.language) if self.language else Literal(value))

    def value(self, term: Term, of: Reading) -> str:
        """Return what a literal says."""
        return term.value if isinstance(term, Literal) else str(term)


@dataclass(frozen=True, slots=True)
class Typed(Kind):
    """A literal of a datatype."""

    datatype: str
    read: Callable[[str], Any]

    def term(self, value: Any, to: Writing) -> str:
        """Return a literal."""
        return f'"{str(value).lower()}"^^<{self.datatype}>'

    def value(self, term: Term, of: Reading) -> Any:
        """Return what a literal says."""
        try:
            return self.read(term.value if isinstance(term, Literal) else "")
        except ValueError:
            raise unreadable(f"`{written(term)[:80]}` is not of its datatype") from None


@dataclass(frozen=True, slots=True)
class Named(Kind):
    """A value of some classes of the ontology, in JSON by its short name."""

    classes: tuple[str, ...]

    def term(self, value: str, to: Writing) -> str:
        """Return the IRI that a short name stands for."""
        return names(to.knowledge, *self.classes)[value]

    def value(self, term: Term, of: Reading) -> str:
        """Return the short name of an IRI."""
        return of.knowledge.notation(str(term))


class Region(Kind):
    """A region of the spine by its name, or that of the operation."""

    def term(self, value: str, to: Writing) -> str:
        """Return the IRI that a name stands for."""
        return to.knowledge.regions.get(value, OPERATED_REGION)

    def value(self, term: Term, of: Reading) -> str:
        """Return the name of an IRI."""
        return of.knowledge.notation(str(term))


class Fact(Kind):
    """A fact by its concept, or a field of the claim by its name."""

    def term(self, value: str, to: Writing) -> str:
        """Return the concept, or a literal."""
        return to.knowledge.facts.get(value) or TEXT.term(value, to)

    def value(self, term: Term, of: Reading) -> str:
        """Return the name."""
        return local_name(term) if isinstance(term, str) else TEXT.value(term, of)


class Statement(Kind):
    """A triple; one that follows from steps of a walk stands for all of them."""

    def term(self, value: list[str], to: Writing) -> str:
        """Return the node of a triple."""
        return to.statements([value])[0]

    def terms(self, values: list[list[str]], to: Writing) -> tuple[str, ...]:
        """Return the nodes of triples, one for a walk."""
        return to.statements(values)

    def value(self, term: Term, of: Reading) -> list[str]:
        """Return the triple of a node."""
        return [written(of.one(term, part)) for part in (SUBJECT, PREDICATE, OBJECT)]

    def values(self, terms: Iterable[Term], of: Reading) -> list[list[str]]:
        """Return the triples of nodes, each walk step by step."""
        return [self.value(step, of) for term in terms for step in of.many(term, DERIVED_FROM) or (term,)]


@dataclass(frozen=True, slots=True)
class Object(Kind):
    """A JSON object, as a node that is named after what its fields say. What else it `tells` follows from these."""

    name: str
    cls: str
    fields: tuple[Field, ...]
    tells: tuple[Field, ...] = ()

    def term(self, value: Json, to: Writing) -> str:
        """Return the node of an object."""
        said = ((TYPE, (COV + self.cls,)), *to.said(value, self.fields))
        return to.node(self.name, said, to.said(value, self.tells) if to.whole else ())

    def value(self, term: Term, of: Reading) -> Json:
        """Return the object of a node."""
        return of.object(term, (*self.fields, *self.tells))


def names(knowledge: Knowledge, *classes: str) -> dict[str, str]:
    """Return the IRIs of the values of some classes by their short names."""

    def compute() -> dict[str, str]:
        return {name: iri for cls in classes for name, iri in knowledge.named(cls).items()}

    return knowledge.remember(("named", *classes), compute)


def unreadable(problem: str) -> ClaimError:
    """Return the error that triples make no determination."""
    help = "give one determination as `determine --format turtle` writes it"
    return ClaimError([Fault("determination", problem, help)])


IRI, TEXT, WORDS, FACT, A_REGION, STATEMENT = Iri(), Text(), Text("en"), Fact(), Region(), Statement()
NUMBER, DAY = Typed(XSD + "integer", int), Typed(XSD + "date", str)
FLAG = Typed(XSD + "boolean", lambda text: text == "true")
CONFLICT = Object(
    "conflict",
    "Conflict",
    (
        Field("kind", COV + "conflictKind", TEXT),
        Field("policy", COV + "policyClause", IRI),
        Field("guideline", COV + "guidelineClause", IRI),
    ),
    (Field("words", COMMENT, WORDS),),
)
GROUND = Object(
    "ground",
    "Ground",
    (Field("clause", COV + "policyClause", IRI), Field("criteria", COV + "because", IRI, many=True)),
)
OPEN = Object(
    "open",
    "OpenFact",
    (
        Field("fact", COV + "asksFor", FACT),
        Field("region", REGION, A_REGION),
        Field("criterion", OF_CRITERION, IRI),
        Field("question", COV + "question", WORDS),
    ),
)
SUPPOSITION = Object(
    "supposition",
    "Supposition",
    (
        Field("fact", COV + "concept", FACT),
        Field("field", COV + "field", TEXT),
        Field("status", STATUS, Named(("FactStatus", "Status"))),
        Field("region", REGION, A_REGION),
        Field("criterion", OF_CRITERION, IRI),
    ),
)
CHANGE = Object(
    "change",
    "Change",
    (
        Field("to", COV + "leadsTo", Named(("Decision", "Assurance"))),
        Field("facts", COV + "supposes", SUPPOSITION, many=True),
    ),
)
DERIVATION = Object(
    "derivation",
    "Derivation",
    (
        Field("triple", COV + "concludes", STATEMENT),
        Field("rule", COV + "byRule", IRI),
        Field("from", DERIVED_FROM, STATEMENT, many=True),
    ),
)
LINE = (
    Field("line", COV + "lineNumber", NUMBER),
    Field("decision", COV + "decision", Named(("Decision",))),
    Field("because", COV + "because", IRI, many=True),
    Field("reason", COV + "denialReason", Named(("DenialReason",))),
    Field("caveats", COV + "caveat", WORDS, many=True),
    Field("conflicts", COV + "hasConflict", CONFLICT, many=True),
)
LINE_TELLS = (
    Field("label", LABEL, WORDS),
    Field("note", COMMENT, WORDS),
    Field("decidedRegardless", COV + "isDecidedRegardless", FLAG),
    Field("grounds", COV + "hasGround", GROUND, many=True),
    Field("missing", COV + "hasOpenFact", OPEN, many=True),
    Field("assumptions", COV + "assumption", WORDS, many=True),
    Field("changes", COV + "hasChange", CHANGE, many=True),
)
EDIT = (Field("edit", OF_CRITERION, IRI), Field("effect", COV + "effect", Named(("EditEffect",))))
EDIT_TELLS = (Field("label", LABEL, WORDS), Field("because", COMMENT, WORDS, many=True))
LEAF_TELLS = (Field("words", COMMENT, WORDS, many=True), Field("question", COV + "question", WORDS))
CRITERION = (  # of one that the knowledge does not hold, since it joins the clauses that are about a line
    Field("label", LABEL, WORDS),
    Field("clause", COV + "clause", TEXT),
    Field("quote", COV + "quote", WORDS),
    Field("kind", COV + "joinsBy", TEXT),
)
