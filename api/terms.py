"""The ontology in the browser: terms, codes and policies, for people as HTML and for machines as RDF."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any

import pyoxigraph as ox
from fastapi import APIRouter, Header, Request, Response
from starlette.exceptions import HTTPException

from api.answers import tagged
from api.description import PAGE, UNCHANGED, Responses, errors, page
from api.pages import missing
from api.render import CODES, HEADERS, OURS, render
from api.results import chosen
from api.state import KnowledgeDep
from kg.cases import Case, cases_of
from kg.criteria import Criterion
from kg.explain import NOTICE
from kg.graph import Graph, serialize
from kg.html import term as shortened
from kg.knowledge import LABEL, SUBCLASS_OF, Document, Knowledge
from kg.terms import CPT, HCPCS, ICD10CM, OWL, PREFIXES, RDFS, SKOS, TYPE, Blank, Literal, Term, Triple, local_name

Json = dict[str, Any]
FORMATS = {"text/turtle": ox.RdfFormat.TURTLE, "application/ld+json": ox.RdfFormat.JSON_LD}
OFFERED = ("text/html", *FORMATS)
DEFINITION = SKOS + "definition"
SYNONYMS = (SKOS + "altLabel", SKOS + "notation", SKOS + "hiddenLabel")
PARENTS = (SUBCLASS_OF, RDFS + "subPropertyOf")
SPOKEN = {LABEL, DEFINITION, TYPE, *SYNONYMS, *PARENTS}  # each has a place of its own on the page of a term
MOST = 200  # rows of a list; a page says where there are more
SYSTEMS = {"icd10cm": "ICD-10-CM", "cpt": "CPT", "hcpcs": "HCPCS Level II"}
router = APIRouter(tags=["ontology"], default_response_class=Response)
Accept = Annotated[str, Header(description=f"one of {', '.join(OFFERED)}")]
SHOWN: Responses = {200: {"description": "what is said of it", "content": {**PAGE, **{m: {} for m in FORMATS}}}}
NAMED = SHOWN | UNCHANGED | page("", 404) | errors(406)


@dataclass(frozen=True, slots=True)
class Terms:
    """The named terms of the knowledge, by address and by what they are used in."""

    paths: Mapping[str, str]
    modules: Mapping[str, tuple[str, ...]]
    used: Mapping[str, tuple[Triple, ...]]
    asked: Mapping[str, tuple[tuple[Document, Criterion], ...]]
    words: tuple[tuple[str, str, str], ...]


@cache
def terms_of(knowledge: Knowledge) -> Terms:
    """Read from the knowledge, once, which terms there are, what uses each, and which clauses ask for it."""
    graph = knowledge.graph
    subjects = dict.fromkeys(s for s, _, _ in graph if isinstance(s, str))
    paths, modules = {}, {}  # type: dict[str, str], dict[str, list[str]]
    for iri in subjects:
        if iri.startswith(OURS):
            paths[iri.removeprefix(OURS).replace("#", "/")] = iri
            module, mark, _ = iri.removeprefix(OURS).partition("#")
            modules.setdefault(module, []).extend([iri] if mark else [])
    used: dict[str, list[Triple]] = {}
    for s, p, o in graph:
        if isinstance(o, str) and isinstance(s, str) and p not in (TYPE, *PARENTS):
            used.setdefault(o, []).append((s, p, o))
    asked: dict[str, list[tuple[Document, Criterion]]] = {}
    for document in (*knowledge.policies.values(), *knowledge.guidelines):
        for clause in (clause for edition in document.editions for clause in edition.clauses):
            wholes = [clause.criterion, *([clause.concerns] if clause.concerns else [])]
            below = dict.fromkeys(iri for whole in wholes for iri in _mentioned(whole, graph))
            for iri in below:
                asked.setdefault(iri, []).append((document, clause.criterion))
    return Terms(
        paths=paths,
        modules={name: tuple(terms) for name, terms in sorted(modules.items())},
        used={iri: tuple(triples) for iri, triples in used.items()},
        asked={iri: tuple(clauses) for iri, clauses in asked.items()},
        words=tuple(
            (word.value.casefold(), word.value, iri)
            for iri in subjects
            for name in (LABEL, *SYNONYMS)
            for word in graph.objects(iri, name)
            if isinstance(word, Literal)
        ),
    )


def _mentioned(criterion: Criterion, graph: Graph) -> Iterator[str]:
    """Yield the criteria at and below one, and the terms that they name."""
    yield criterion.iri
    yield from (o for _, p, o in described(criterion.iri, graph) if isinstance(o, str) and p not in SPOKEN)
    for part in criterion.parts:
        yield from _mentioned(part, graph)


def described(iri: Term, graph: Graph) -> Iterator[Triple]:
    """Yield what is said of a term, and of the nodes without a name that belong to it."""
    for p in graph.predicates(iri):
        for o in graph.objects(iri, p):
            yield iri, p, o
            if isinstance(o, Blank):
                yield from described(o, graph)


# Terms


@router.get("/terms", responses=page("the modules with their terms, or what is found") | UNCHANGED)
def index(request: Request, knowledge: KnowledgeDep, q: str = "") -> Response:
    """List the modules with their terms; or what is found by label, synonym or code."""
    terms = terms_of(knowledge)
    modules = [
        {"name": name, "title": _title(OURS + name, knowledge), "terms": len(iris)}
        for name, iris in terms.modules.items()
        if iris
    ]
    words = q.strip()[:200]
    found = list(search(words, terms)) if words else []
    cards = [_card(iri, knowledge) for iri in found[:MOST]]
    return render(request, "terms.html", private=False, q=words, found=cards, total=len(found), modules=modules)


def search(asked: str, terms: Terms) -> Iterator[str]:
    """Yield the terms one of whose names has all the words asked for, the nearest first."""
    text = asked.casefold()
    words = text.split()
    hits = ((word != text, not word.startswith(text), len(word), word, iri) for word, _, iri in terms.words)
    found = sorted(hit for hit in hits if all(part in hit[3] for part in words))
    yield from dict.fromkeys(hit[4] for hit in found)


@router.get("/terms/{path:path}", responses=NAMED)
def term(request: Request, knowledge: KnowledgeDep, path: str, accept: Accept = "*/*") -> Response:
    """Show a term of our namespaces, or a module of them with all its terms."""
    terms = terms_of(knowledge)
    if path in terms.paths or path in terms.modules:
        iri = terms.paths.get(path, OURS + path)
        members = terms.modules.get(path, ())
        if members:
            triples = [t for one in dict.fromkeys((iri, *members)) for t in described(one, knowledge.graph)]
            return _answer(request, accept, triples, "module.html", **_module(iri, members, knowledge))
        return _answer(request, accept, described(iri, knowledge.graph), "term.html", **_term(iri, knowledge))
    return missing(request, "No term has this address.")


def _answer(request: Request, accept: str, triples: Iterable[Triple], template: str, **values: Any) -> Response:
    """Answer as asked: a page for people, RDF for machines."""
    media = chosen(accept, OFFERED)
    if media is None:
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"accept one of {', '.join(OFFERED)}")
    if media in FORMATS:
        text = serialize(triples, FORMATS[media], PREFIXES)
        return tagged(request, text.encode(), media, {**HEADERS, "Vary": "Accept"})
    shown = render(request, template, private=False, **values)
    shown.headers["Vary"] = "Accept"
    return shown


def _module(iri: str, members: tuple[str, ...], knowledge: Knowledge) -> Json:
    """Return what the page of a module shows: its classes and properties as trees, and the rest by kind."""
    inside = set(members)
    graph = knowledge.graph
    trees = [
        _tree(one, knowledge, inside) for one in members if not _above(one, knowledge, inside) and _has_kind(one, graph)
    ]
    kinds: dict[str, list[Json]] = {}
    for one in members:
        if not _has_kind(one, graph):
            kind = next((knowledge.label(k) for k in graph.objects(one, TYPE)), "other")
            kinds.setdefault(kind, []).append(_card(one, knowledge))
    about = graph.text(iri, "http://purl.org/dc/terms/description") or ""
    return {"iri": iri, "title": _title(iri, knowledge), "about": about, "trees": trees, "kinds": kinds}


def _has_kind(iri: str, graph: Graph) -> bool:
    """Say whether a term is a class or a property, which stand in trees."""
    return any(str(kind).startswith(OWL) for kind in graph.objects(iri, TYPE))


def _above(iri: str, knowledge: Knowledge, inside: set[str]) -> list[str]:
    return [str(o) for p in PARENTS for o in knowledge.graph.objects(iri, p) if o in inside]


def _tree(iri: str, knowledge: Knowledge, inside: set[str]) -> Json:
    below = [s for p in PARENTS for s in knowledge.graph.subjects(p, iri) if isinstance(s, str) and s in inside]
    return {**_card(iri, knowledge), "parts": [_tree(one, knowledge, inside) for one in below]}


def _title(iri: str, knowledge: Knowledge) -> str:
    return knowledge.graph.text(iri, "http://purl.org/dc/terms/title") or iri.removeprefix(OURS)


def _card(iri: Term, knowledge: Knowledge) -> Json:
    """Return how a term is named in a list: a code by its number, other terms by their label."""
    if not isinstance(iri, str):
        return {"iri": "", "label": knowledge.label(iri).removesuffix("T00:00:00"), "definition": "", "code": ""}
    is_code = iri.startswith((CPT, HCPCS, ICD10CM))
    is_shown = (is_code or iri.startswith(OURS)) and bool(knowledge.graph.predicates(iri))
    return {
        "iri": iri if is_shown else "",
        "label": knowledge.label(iri),
        "definition": knowledge.graph.text(iri, DEFINITION) or "",
        "code": knowledge.notation(iri) if is_code else "",
        "short": shortened(iri),
    }


def _term(iri: str, knowledge: Knowledge) -> Json:
    """Return what the page of a term shows."""
    graph, terms = knowledge.graph, terms_of(knowledge)
    above = [_card(o, knowledge) for p in PARENTS for o in graph.objects(iri, p) if isinstance(o, str)]
    below = [_card(s, knowledge) for p in PARENTS for s in graph.subjects(p, iri) if isinstance(s, str)]
    below += [_card(s, knowledge) for s in graph.subjects(TYPE, iri) if isinstance(s, str)]
    said = [
        {"property": _card(p, knowledge), "values": [_said(o, graph, knowledge) for o in graph.objects(iri, p)]}
        for p in graph.predicates(iri)
        if p not in SPOKEN
    ]
    used: dict[str, list[Json]] = {}
    for s, p, _ in terms.used.get(iri, ()):
        used.setdefault(p, []).append(_card(s, knowledge))
    asked: dict[str, list[Json]] = {}
    for document, criterion in terms.asked.get(iri, ()):
        words = {"iri": criterion.iri, "label": criterion.label, "clause": criterion.clause}
        if words not in asked.setdefault(document.id, []):
            asked[document.id].append(words)
    return {
        "iri": iri,
        "card": _card(iri, knowledge),
        "names": [w.value for p in SYNONYMS for w in graph.objects(iri, p) if isinstance(w, Literal)],
        "kinds": [_card(kind, knowledge) for kind in graph.objects(iri, TYPE)],
        "trail": _trail(iri, knowledge),
        "above": above,
        "below": [card for card in below if not card["code"]],
        "codes": [card for card in below if card["code"]],
        "said": said,
        "used": [{"property": _card(p, knowledge), "by": cards} for p, cards in used.items()],
        "asked": asked,
        "policies": knowledge.policies,
        "most": MOST,
    }


def _said(value: Term, graph: Graph, knowledge: Knowledge) -> Json:
    """Return a value; one without a name by what it says, a list by its members."""
    if isinstance(value, Blank):
        inner = [
            f"{shortened(p)} {shortened(o) if isinstance(o, str) else knowledge.label(o)}"
            for _, p, o in described(value, graph)
            if not isinstance(o, Blank)
        ]
        return {"iri": "", "label": "; ".join(inner), "code": "", "definition": ""}
    return _card(value, knowledge)


def _trail(iri: str, knowledge: Knowledge) -> list[Json]:
    """Return the way down to a term from the top, along the first parent of each."""
    found: list[str] = []
    here: str | None = iri
    while (
        here and (here := next((k for p in PARENTS if (k := knowledge.graph.iri(here, p))), None)) and here not in found
    ):
        found.append(here)
    return [_card(one, knowledge) for one in reversed(found)]


# Codes


@router.get("/codes", responses=page("the codes as trees") | UNCHANGED)
def codes(request: Request, knowledge: KnowledgeDep) -> Response:
    """Show the codes that the ontology says something of, as trees."""
    return render(request, "codes.html", private=False, systems=_systems(knowledge))


@cache
def _systems(knowledge: Knowledge) -> list[Json]:
    """Return the trees of codes: chapters and blocks, or kinds of service, with the codes below them."""
    found = []
    for system, namespace in CODES.items():
        inside = {
            s for s, p, _ in knowledge.graph if p == SUBCLASS_OF and isinstance(s, str) and s.startswith(namespace)
        }
        groups: dict[str, list[Json]] = {}
        for iri in sorted(inside):
            if not _above(iri, knowledge, inside):
                parent = next((o for o in knowledge.graph.objects(iri, SUBCLASS_OF) if isinstance(o, str)), "")
                groups.setdefault(parent, []).append(_tree(iri, knowledge, inside))
        trees = [{**_card(parent, knowledge), "parts": parts} for parent, parts in groups.items()]
        found.append({"name": SYSTEMS[system], "count": len(inside), "trees": trees})
    return found


@router.get("/codes/{system}/{code}", responses=NAMED)
def code(request: Request, knowledge: KnowledgeDep, system: str, code: str, accept: Accept = "*/*") -> Response:
    """Show a code: what it states, its parents and children, and who asks for it."""
    iri = CODES.get(system, "") + code
    if system not in CODES or not knowledge.graph.predicates(iri):
        return missing(request, "The ontology says nothing of such a code.")
    return _answer(request, accept, described(iri, knowledge.graph), "term.html", **_term(iri, knowledge))


# Policies


@router.get("/book", responses=page("the policies and guidelines that can be read") | UNCHANGED)
def books(request: Request, knowledge: KnowledgeDep) -> Response:
    """List the policies and guidelines that can be read."""
    return render(
        request, "books.html", private=False, policies=knowledge.policies.values(), guidelines=knowledge.guidelines
    )


@router.get("/book/{id}", responses=page("the policy as a book", 404) | UNCHANGED)
def book(request: Request, knowledge: KnowledgeDep, id: str) -> Response:
    """Show a policy or guideline as a book: its clauses in the order of the source, with quotes, criteria and cases."""
    documents = {**knowledge.policies, **{guideline.id: guideline for guideline in knowledge.guidelines}}
    if id not in documents:
        return missing(request, "No policy or guideline has this name.")
    return render(
        request,
        "book.html",
        private=False,
        document=documents[id],
        is_policy=id in knowledge.policies,
        notice=NOTICE,
        cases=_cases(id, knowledge),
        source=_source(id, knowledge),
        kind_of=lambda kind: knowledge.label(f"{PREFIXES['cov']}{kind}"),
        name_of=lambda iri: knowledge.criteria[iri].clause or knowledge.criteria[iri].label,
        question_of=lambda concept: knowledge.graph.text(concept, f"{PREFIXES['cov']}question") or "",
        local_name=local_name,
    )


@cache
def _cases(id: str, knowledge: Knowledge) -> tuple[Case, ...]:
    """Return the cases of a policy or guideline, read once."""
    return tuple(cases_of(id, knowledge))


def _source(id: str, knowledge: Knowledge) -> str:
    """Return what is known of where the words of a policy stand."""
    file = knowledge.root / "shapes" / id / "source.md"
    return file.read_text("utf-8") if file.is_file() else ""
