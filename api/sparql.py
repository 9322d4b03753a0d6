"""SPARQL for analysts: the query operation of the SPARQL 1.1 Protocol, the service's description, and VoID."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import pyoxigraph as ox
from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from api import results
from api.answers import tagged, whole
from api.description import BYTES, TAGGED, TEXT, UNCHANGED, Responses, errors
from api.results import PARQUET, XLSX
from api.workers import Answer, Pool, QueryError, Question
from kg.graph import serialize
from kg.terms import PREFIXES, RDF, TYPE, Blank, Literal, Triple

MAX_BODY = 200_000  # bytes; a query is at most 20,000 characters, and each may be three escaped bytes
FORM = "application/x-www-form-urlencoded"
QUERY = "application/sparql-query"
SD = "http://www.w3.org/ns/sparql-service-description#"
VOID = "http://rdfs.org/ns/void#"
DCTERMS = "http://purl.org/dc/terms/"
FORMATS = "http://www.w3.org/ns/formats/"
CAPPED = "Coverpath-Capped"  # the header of an answer that is not whole: how many rows it has

router = APIRouter(tags=["sparql"])

Fields = list[tuple[str, str]]

ASKED: Responses = errors(
    502,
    503,
    _400="no query, two queries, or one that is not SPARQL 1.1 or reads from outside",
    _406="the answer has none of the formats that are accepted",
    _413="the query or its answer is too large",
    _422="the query was stopped at a limit: of time, memory or nesting",
)
CUT = {CAPPED: {"schema": {"type": "string"}, "description": "how many rows an answer has that was cut, as `rows=N`"}}
TABLES: dict[str, Any] = {
    media: {"schema": {"type": "object"}} if "json" in media else BYTES if media in (PARQUET, XLSX) else TEXT
    for media in results.OFFERS["select"]
}
RDF_TEXTS: dict[str, Any] = {media: {"schema": {}} if "json" in media else TEXT for media in results.OFFERS["graph"]}
_ANSWERS: Responses = {
    200: {"description": "the answer", "content": {**TABLES, **RDF_TEXTS}, "headers": CUT},
    **ASKED,
}
_EXAMPLE = "SELECT ?type (COUNT(*) AS ?count) WHERE { ?thing a ?type } GROUP BY ?type ORDER BY DESC(?count) LIMIT 10"
_IRIS = {"type": "array", "items": {"type": "string", "format": "iri"}}
_GRAPHS = [
    {"name": name, "in": "query", "schema": _IRIS, "description": what}
    for name, what in (
        ("default-graph-uri", "graphs of the store that make up the default graph"),
        ("named-graph-uri", "graphs of the store that GRAPH may name"),
    )
]


@router.get(
    "/sparql",
    response_class=Response,
    responses={**_ANSWERS, **UNCHANGED},
    openapi_extra={
        "parameters": [{"name": "query", "in": "query", "schema": {"type": "string"}, "example": _EXAMPLE}, *_GRAPHS]
    },
)
async def query_by_get(request: Request) -> Response:
    """Answer the query in `query`; without one, describe the service."""
    fields = safe(request.scope["query_string"])
    if not fields:
        return _rdf(request, description(_endpoint(request)))
    return await _answer(request, fields)


@router.post(
    "/sparql",
    response_class=Response,
    responses={**_ANSWERS, **errors(415)},
    openapi_extra={
        "parameters": _GRAPHS,
        "requestBody": {
            "required": True,
            "content": {
                QUERY: {"schema": {"type": "string"}, "example": _EXAMPLE},
                FORM: {
                    "schema": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
                    "example": {"query": _EXAMPLE},
                },
            },
        },
    },
)
async def query_by_post(request: Request) -> Response:
    """Answer the query in the body: the body itself, or its field `query`."""
    media, _, rest = request.headers.get("content-type", "").lower().partition(";")
    charset = re.search(r"charset=\"?([\w-]+)", rest)
    if charset and charset[1] != "utf-8":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the query as UTF-8")
    if media.strip() == FORM:
        return await _answer(request, [*safe(request.scope["query_string"]), *safe(await whole(request, MAX_BODY))])
    if media.strip() == QUERY:
        fields = safe(request.scope["query_string"])
        if any(name == "query" for name, _ in fields):
            raise HTTPException(HTTPStatus.BAD_REQUEST, "send one query: in the body, or in the address by GET")
        try:
            text = (await whole(request, MAX_BODY)).decode()
        except UnicodeDecodeError:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "the query is not UTF-8") from None
        return await _answer(request, [*fields, ("query", text)])
    raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {QUERY} or {FORM}; updates are refused")


@router.get(
    "/.well-known/void",
    response_class=Response,
    responses={200: {"content": RDF_TEXTS, "headers": TAGGED}, **UNCHANGED, **errors(406)},
)
async def void(request: Request) -> Response:
    """Describe the data set (VoID)."""
    root = str(request.base_url)
    return _rdf(request, dataset(root + ".well-known/void", root))


async def ask(request: Request, question: Question) -> Answer:
    """Ask the workers of the application; what they do not answer becomes an error of HTTP."""
    pool: Pool = request.app.state.queries
    try:
        return await pool.ask(question)
    except QueryError as error:
        headers = {"Retry-After": "1"} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else None
        raise HTTPException(error.status, str(error), headers) from None


def answered(answer: Answer, request: Request, filename: str | None = None) -> Response:
    """Return an answer of the workers as one of HTTP."""
    headers = {"Vary": "Accept", "Cache-Control": "no-store"}  # it may be about patients
    if answer.capped:
        headers[CAPPED] = f"rows={answer.rows}"
    if filename:
        headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return Response(answer.body, headers=headers, media_type=answer.media)


def safe(encoded: bytes) -> Fields:
    """Decode the fields of a form or an address; what is not UTF-8 is refused, not mended."""
    try:
        text = encoded.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=100)
    except ValueError:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the fields are not form-encoded UTF-8") from None


async def _answer(request: Request, fields: Fields) -> Response:
    queries = [value for name, value in fields if name == "query"]
    if any(name == "update" for name, _ in fields):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "updates are refused: this endpoint only answers queries")
    if len(queries) != 1:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"send one query in `query`; this has {len(queries)}")
    accept = request.headers.get("accept", "*/*")
    question = Question(queries[0], accept, {}, _iris(fields, "default-graph-uri"), _iris(fields, "named-graph-uri"))
    return answered(await ask(request, question), request)


def _iris(fields: Fields, name: str) -> tuple[str, ...]:
    iris = tuple(value for field, value in fields if field == name)
    try:
        return tuple(ox.NamedNode(iri).value for iri in iris)
    except ValueError:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"`{name}` is not an absolute IRI") from None


def _endpoint(request: Request) -> str:
    return str(request.base_url) + "sparql"


def description(endpoint: str) -> Iterator[Triple]:
    """Yield what the service offers (SPARQL 1.1 Service Description)."""
    service, data, graph = endpoint + "#service", Blank("dataset"), Blank("default")
    yield service, TYPE, SD + "Service"
    yield service, SD + "endpoint", endpoint
    yield service, SD + "supportedLanguage", SD + "SPARQL11Query"
    yield service, SD + "feature", SD + "UnionDefaultGraph"
    for name in ("SPARQL_Results_JSON", "SPARQL_Results_XML", "SPARQL_Results_CSV", "SPARQL_Results_TSV"):
        yield service, SD + "resultFormat", FORMATS + name
    for name in ("Turtle", "N-Triples", "JSON-LD"):
        yield service, SD + "resultFormat", FORMATS + name
    yield service, SD + "defaultDataset", data
    yield data, TYPE, SD + "Dataset"
    yield data, SD + "defaultGraph", graph
    yield graph, TYPE, SD + "Graph"
    yield graph, DCTERMS + "description", Literal(GRAPHS, RDF + "langString", "en")


GRAPHS = (
    "The union of all graphs: ontology, shapes and policies, each claim under its own name, and each determination "
    "under its own. Graphs are named by GRAPH, default-graph-uri and named-graph-uri; FROM and SERVICE are refused."
)


def dataset(name: str, root: str) -> Iterator[Triple]:
    """Yield what the data set is about, and where it is queried."""
    yield name, TYPE, VOID + "Dataset"
    title = "Determinations of claims, the claims, and the ontology, shapes and policies that they follow from"
    yield name, DCTERMS + "title", Literal(title, RDF + "langString", "en")
    yield name, VOID + "sparqlEndpoint", root + "sparql"
    yield name, VOID + "feature", FORMATS + "Turtle"
    for prefix in ("anatomy", "condition", "cov", "monitoring", "prov", "sh", "skos"):
        yield name, VOID + "vocabulary", PREFIXES[prefix]


def _rdf(request: Request, triples: Iterator[Triple]) -> Response:
    offers = results.OFFERS["graph"]
    media = results.chosen(request.headers.get("accept", "*/*"), offers)
    if media is None:
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"this description answers as {', '.join(offers)}")
    prefixes = {name: PREFIXES[name] for name in ("rdf",)} | {"sd": SD, "void": VOID, "dcterms": DCTERMS}
    text = serialize(triples, results.GRAPHS[media], prefixes)
    return tagged(request, text.encode(), media, {"Vary": "Accept"})
