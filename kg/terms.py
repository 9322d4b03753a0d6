"""Terms of RDF as plain values, and the names that the engine itself uses."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from kg.lazy import lazy

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
SH = "http://www.w3.org/ns/shacl#"
SKOS = "http://www.w3.org/2004/02/skos/core#"
XSD = "http://www.w3.org/2001/XMLSchema#"
PROV = "http://www.w3.org/ns/prov#"
COV = "https://w3id.org/coverpath/coverage#"
ANATOMY = "https://w3id.org/coverpath/anatomy#"
CONDITION = "https://w3id.org/coverpath/condition#"
MONITORING = "https://w3id.org/coverpath/monitoring#"
CLAIMS = "https://w3id.org/coverpath/claims/"
ICD10CM = "http://purl.bioontology.org/ontology/ICD10CM/"
CPT = "http://purl.bioontology.org/ontology/CPT/"
HCPCS = "http://purl.bioontology.org/ontology/HCPCS/"

PREFIXES = {
    "anatomy": ANATOMY,
    "condition": CONDITION,
    "cov": COV,
    "cpt": CPT,
    "hcpcs": HCPCS,
    "icd10cm": ICD10CM,
    "monitoring": MONITORING,
    "owl": OWL,
    "prov": PROV,
    "rdf": RDF,
    "rdfs": RDFS,
    "sh": SH,
    "skos": SKOS,
    "xsd": XSD,
}


class Literal(NamedTuple):
    """A literal by its lexical form: two that are written differently are different terms."""

    value: str
    datatype: str = XSD + "string"
    language: str = ""


class Blank(NamedTuple):
    """A blank node, known by its label within one document."""

    label: str


TYPE = RDF + "type"

Term = str | Literal | Blank  # an IRI is a plain string
Triple = tuple[Term, str, Term]


Row = tuple[str, str, str]  # a triple as JSON carries it, but for the names of a claim and of its parts


class Stated(Row):
    """A row that names no part of a claim, and is the same for all."""


class Known(tuple[Triple, ...]):
    """Stated triples that belong together, kept as one so that they are written and put into words once."""

    words: tuple[str, ...] | None = None

    @lazy
    def rows(self) -> dict[Row, None]:
        """Return the triples as JSON carries them, in order; that a dictionary may be put into another is fast."""
        return {row_of(triple): None for triple in self}


class Alike(tuple[Term, ...]):
    """Nodes that are made of parts of a claim, so that the same is said of them, and why, wherever these nodes are.

    What was found of them is `kept` with them.
    """

    def __init__(self, nodes: Iterable[Term]) -> None:
        self.kept: dict[Any, Any] = {}


ITSELF = ""  # a claim within itself; its parts are `#line-1`, `#fact-2`, so that what recurs in claims is alike
ITS_OPERATION = "#operation"


def is_own(iri: str) -> bool:
    """Say whether an IRI is that of a claim or of its parts, as they are called within the claim."""
    return not iri or iri[0] == "#"


def resolved(term: Term, claim: str) -> Term:
    """Return what a claim calls itself or its parts by as it is called elsewhere (RFC 3986, section 5.2)."""
    return claim + term if isinstance(term, str) and is_own(term) else term


def row_of(triple: Triple) -> Row:
    """Return a triple as JSON carries it."""
    s, p, o = triple
    if type(s) is not str:
        s = written(s)
    if type(o) is not str:
        o = written(o)
    return (s, p, o) if is_own(s) or is_own(o) else Stated((s, p, o))


def local_name(iri: str) -> str:
    """Return what stands after the last `#` or `/` of an IRI."""
    return iri[max(iri.rfind("#"), iri.rfind("/")) + 1 :]


def written(term: Term) -> str:
    """Write a term as JSON carries it: an IRI bare, any other as N-Triples writes it."""
    if isinstance(term, str):
        return term
    if isinstance(term, Blank):
        return f"_:{term.label}"
    text = term.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    if term.language:
        return f'"{text}"@{term.language}'
    return f'"{text}"' if term.datatype == XSD + "string" else f'"{text}"^^<{term.datatype}>'
