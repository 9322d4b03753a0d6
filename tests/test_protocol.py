"""The SPARQL 1.1 Protocol, one behaviour after the other; the service's description; saved queries over HTTP."""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlencode

import pyoxigraph as ox
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pyarrow import parquet
from starlette.middleware.cors import CORSMiddleware

import kg
from api import problems, saved, sparql
from api.library import library
from api.quads import write_index
from api.workers import Limits, Pool
from tests.conftest import example, parsed

SELECT = "SELECT ?n { VALUES ?n { 1 2 } }"
CLAIMS = "PREFIX cov: <https://w3id.org/coverpath/coverage#> SELECT ?c { ?c a cov:Claim } ORDER BY ?c"
GRAPH = "https://w3id.org/coverpath/claims/c01"
FORM = "application/x-www-form-urlencoded"
QUERY = "application/sparql-query"
HERE = "https://pages.example.org"


@pytest.fixture(scope="module")
def client(knowledge: kg.Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    data = tmp_path_factory.mktemp("data")
    write_index(data, knowledge, [kg.determine(parsed(example(name)), knowledge) for name in ("c01", "c02")])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.knowledge = knowledge
        async with Pool(data, 1, Limits(seconds=3, rows=1000)) as app.state.queries:
            yield

    app = FastAPI(lifespan=lifespan)
    problems.install(app, sparql.router, saved.router)
    app.add_middleware(CORSMiddleware, allow_origins=[HERE], expose_headers=[sparql.CAPPED])
    with TestClient(app) as client:
        yield client


def numbers(body: str) -> list[str]:
    return [binding["n"]["value"] for binding in json.loads(body)["results"]["bindings"]]


# Ways to ask


def test_by_get(client: TestClient) -> None:
    """A query in the address is answered."""
    answer = client.get("/sparql", params={"query": SELECT})
    assert answer.status_code == 200 and numbers(answer.text) == ["1", "2"]
    assert answer.headers["content-type"] == "application/sparql-results+json"


def test_by_posted_form(client: TestClient) -> None:
    """A query in a form is answered."""
    answer = client.post("/sparql", data={"query": SELECT})
    assert answer.status_code == 200 and numbers(answer.text) == ["1", "2"]


def test_by_posted_query(client: TestClient) -> None:
    """A query that is the body is answered, whatever parameters its media type has."""
    for media in (QUERY, f"{QUERY}; charset=utf-8", f'{QUERY};charset="UTF-8"'):
        answer = client.post("/sparql", content=SELECT, headers={"Content-Type": media})
        assert answer.status_code == 200 and numbers(answer.text) == ["1", "2"]


def test_signs_beyond_ascii(client: TestClient) -> None:
    """A query is UTF-8 in the address and in both bodies."""
    query = 'SELECT ("Häm\U0001f9e0" AS ?n) {}'
    answers = [
        client.get("/sparql", params={"query": query}),
        client.post("/sparql", data={"query": query}),
        client.post("/sparql", content=query.encode(), headers={"Content-Type": QUERY}),
    ]
    assert [numbers(answer.text) for answer in answers] == [["Häm\U0001f9e0"]] * 3


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_another_method_is_refused(client: TestClient, method: str) -> None:
    """Only GET and POST are operations of the protocol, and the answer names one that is."""
    answer = client.request(method, "/sparql", params={"query": SELECT})
    assert answer.status_code == 405 and answer.headers["allow"] == "GET, HEAD, POST"
    assert answer.headers["content-type"] == "application/problem+json"


# Bad requests


BAD: dict[str, tuple[str, str, bytes | None, int]] = {
    "form without a query": (FORM, "", b"x=1", 400),
    "empty form": (FORM, "", b"", 400),
    "form with two queries": (FORM, "", f"query={quote(SELECT)}&query={quote(SELECT)}".encode(), 400),
    "form that is not UTF-8": (FORM, "", b"query=ASK%20%7B%20%7D%20%23%FF", 400),
    "form with raw bytes": (FORM, "", b"query=\xff", 400),
    "form with an update": (FORM, "", b"update=CLEAR%20ALL", 400),
    "empty query": (QUERY, "", b"", 400),
    "query that is not UTF-8": (QUERY, "", b"ASK { } #\xff", 400),
    "query in another encoding": (f"{QUERY}; charset=utf-16", "", SELECT.encode("utf-16"), 415),
    "query in body and address": (QUERY, f"query={quote(SELECT)}", SELECT.encode(), 400),
    "malformed query": (QUERY, "", b"SELECT * { ?s ?p }", 400),
    "update as a query": (QUERY, "", b"INSERT DATA { <http://e.org/a> <http://e.org/b> 1 }", 400),
    "update": ("application/sparql-update", "", b"CLEAR ALL", 415),
    "no media type": ("", "", SELECT.encode(), 415),
    "another media type": ("text/plain", "", SELECT.encode(), 415),
    "JSON": ("application/json", "", b'{"query": "ASK { }"}', 415),
    "too large": (QUERY, "", b"#" * 300_000, 413),
    "form and address with a query each": (FORM, f"query={quote(SELECT)}", f"query={quote(SELECT)}".encode(), 400),
    "form beside a graph that is no IRI": (FORM, "named-graph-uri=x", f"query={quote(SELECT)}".encode(), 400),
    "graph that is no IRI": (QUERY, "default-graph-uri=not+an+iri", SELECT.encode(), 400),
    "named graph that is no IRI": (QUERY, "named-graph-uri=relative", SELECT.encode(), 400),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_a_problem(client: TestClient, name: str) -> None:
    """What is not as the protocol says is refused with the status that says so, and is not quoted."""
    media, query, body, status = BAD[name]
    answer = client.post(f"/sparql?{query}", content=body, headers={"Content-Type": media})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status and answer.json()["title"]
    assert "http://e.org" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "x=1",
        "query=",
        f"query={quote(SELECT)}&query={quote(SELECT)}",
        "query=ASK%20%7B%7D%23%FF",
        "update=CLEAR%20ALL",
        "query=SELECT%20nothing",
        "query=CLEAR%20ALL",
        "query",
    ],
)
def test_a_bad_address_is_a_problem(client: TestClient, query: str) -> None:
    """By GET the same holds."""
    answer = client.get(f"/sparql?{query}")
    assert answer.status_code == 400 and answer.headers["content-type"] == "application/problem+json"


def test_a_limit_is_a_problem(client: TestClient) -> None:
    """A query that is stopped says which limit it was, as a problem; the next is answered."""
    answer = client.get("/sparql", params={"query": "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"})
    assert answer.status_code == 422 and "time limit of 3 s" in answer.json()["title"]
    assert client.get("/sparql", params={"query": SELECT}).status_code == 200


def test_a_capped_answer_says_so(client: TestClient) -> None:
    """The header tells how many rows of more these are."""
    capped = client.get("/sparql", params={"query": "SELECT ?s { ?s ?p ?o }"})
    assert capped.status_code == 200 and capped.headers["coverpath-capped"] == "rows=1000"
    assert "coverpath-capped" not in client.get("/sparql", params={"query": SELECT}).headers


# Data sets


def test_graphs_are_chosen_by_the_protocol(client: TestClient) -> None:
    """default-graph-uri and named-graph-uri choose among the graphs of the store, in all three ways to ask."""
    everything = client.get("/sparql", params={"query": CLAIMS}, headers={"Accept": "text/csv"})
    assert len(everything.text.split()) == 3
    chosen = {"query": CLAIMS, "default-graph-uri": GRAPH}
    headers = {"Accept": "text/csv"}
    answers = [
        client.get("/sparql", params=chosen, headers=headers),
        client.post("/sparql", data=chosen, headers=headers),
        client.post(
            f"/sparql?{urlencode({'default-graph-uri': GRAPH})}",
            content=CLAIMS,
            headers=headers | {"Content-Type": QUERY},
        ),
    ]
    assert [answer.text.split() for answer in answers] == [["c", GRAPH]] * 3


def test_several_graphs_are_one_default_graph(client: TestClient) -> None:
    """Named more than once, default-graph-uri is the union; beside it GRAPH sees the named ones only."""
    other = GRAPH.replace("c01", "c02")
    both = [("query", CLAIMS), ("default-graph-uri", GRAPH), ("default-graph-uri", other)]
    assert len(client.get(f"/sparql?{urlencode(both)}", headers={"Accept": "text/csv"}).text.split()) == 3
    query = CLAIMS.replace("{ ?c", "{ GRAPH ?g { ?c").replace("}", "} }")
    mixed = [("query", query), ("default-graph-uri", GRAPH), ("named-graph-uri", other)]
    assert client.get(f"/sparql?{urlencode(mixed)}", headers={"Accept": "text/csv"}).text.split() == ["c", other]


# Formats


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("application/sparql-results+json", "application/sparql-results+json"),
        ("application/json", "application/json"),
        ("application/sparql-results+xml", "application/sparql-results+xml"),
        ("application/xml", "application/xml"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("text/tab-separated-values", "text/tab-separated-values; charset=utf-8"),
        ("text/csv;q=0.5, application/sparql-results+xml;q=0.9", "application/sparql-results+xml"),
        ("text/turtle, text/csv;q=0.1", "text/csv; charset=utf-8"),
    ],
)
def test_rows_come_as_accepted(client: TestClient, accept: str, media: str) -> None:
    """Rows are written in the format that is liked best of those that rows have."""
    answer = client.get("/sparql", params={"query": SELECT}, headers={"Accept": accept})
    assert answer.headers["content-type"] == media and "Accept" in answer.headers["vary"]
    name = media.partition(";")[0]
    if name in READABLE:
        found = ox.parse_query_results(answer.content, format=READABLE[name])
        assert isinstance(found, ox.QuerySolutions)
        assert [row["n"].value for row in found] == ["1", "2"]
    else:
        assert answer.text.split() == ["n", "1", "2"]


READABLE = {
    "application/sparql-results+json": ox.QueryResultsFormat.JSON,
    "application/json": ox.QueryResultsFormat.JSON,
    "application/sparql-results+xml": ox.QueryResultsFormat.XML,
    "application/xml": ox.QueryResultsFormat.XML,
    "text/tab-separated-values": ox.QueryResultsFormat.TSV,
}


@pytest.mark.parametrize("accept", ["application/sparql-results+json", "application/sparql-results+xml"])
def test_truth_comes_as_accepted(client: TestClient, accept: str) -> None:
    """ASK is answered by a boolean, in JSON and in XML."""
    for query, truth in (("ASK { }", True), ("ASK { FILTER (false) }", False)):
        answer = client.get("/sparql", params={"query": query}, headers={"Accept": accept})
        found = ox.parse_query_results(answer.content, format=READABLE[accept])
        assert isinstance(found, ox.QueryBoolean) and bool(found) is truth


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("text/turtle", ox.RdfFormat.TURTLE),
        ("application/n-triples", ox.RdfFormat.N_TRIPLES),
        ("application/ld+json", ox.RdfFormat.JSON_LD),
        ("*/*", ox.RdfFormat.TURTLE),
    ],
)
def test_triples_come_as_accepted(client: TestClient, accept: str, format: ox.RdfFormat) -> None:
    """CONSTRUCT and DESCRIBE are answered by triples."""
    construct = CLAIMS.replace("SELECT ?c", "CONSTRUCT { ?c a cov:Seen }").replace(" ORDER BY ?c", "")
    answer = client.get("/sparql", params={"query": construct}, headers={"Accept": accept})
    assert len(list(ox.parse(answer.content, format=format))) == 2
    described = client.get("/sparql", params={"query": f"DESCRIBE <{GRAPH}>"}, headers={"Accept": accept})
    assert list(ox.parse(described.content, format=format))


@pytest.mark.parametrize(("query", "accept"), [(SELECT, "text/turtle"), ("DESCRIBE <http://e.org/>", "text/csv")])
def test_a_format_that_the_answer_has_not_is_refused(client: TestClient, query: str, accept: str) -> None:
    """406 names the formats that there are."""
    answer = client.get("/sparql", params={"query": query}, headers={"Accept": accept})
    assert answer.status_code == 406 and "application/" in answer.json()["title"]


def test_answers_are_not_kept(client: TestClient) -> None:
    """No cache keeps what may be about a patient."""
    assert client.get("/sparql", params={"query": SELECT}).headers["cache-control"] == "no-store"


def test_other_pages_may_ask_where_settings_say_so(client: TestClient) -> None:
    """A page of a listed host may read the answer and its notice; one of another host may not."""
    for origin, allowed in ((HERE, HERE), ("https://elsewhere.example.org", None)):
        answer = client.get("/sparql", params={"query": SELECT}, headers={"Origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed


# Descriptions


SD = "http://www.w3.org/ns/sparql-service-description#"


@pytest.mark.parametrize("media", ["text/turtle", "application/n-triples", "application/ld+json"])
def test_the_service_is_described(client: TestClient, media: str) -> None:
    """GET without a query tells endpoint, language, formats, and what the default graph is."""
    answer = client.get("/sparql", headers={"Accept": media})
    triples = [quad.triple for quad in ox.parse(answer.content, format=ox.RdfFormat.from_media_type(media))]
    said = {(t.predicate.value, str(t.object)) for t in triples}
    assert (SD + "endpoint", "<http://testserver/sparql>") in said
    assert (SD + "supportedLanguage", f"<{SD}SPARQL11Query>") in said
    assert (SD + "feature", f"<{SD}UnionDefaultGraph>") in said
    assert not any("Update" in value or "Federated" in value for _, value in said)


def test_the_data_set_is_described(client: TestClient) -> None:
    """VoID stands at the well-known place, and leads to the endpoint."""
    answer = client.get("/.well-known/void")
    said = {(q.predicate.value, str(q.object)) for q in ox.parse(answer.content, format=ox.RdfFormat.TURTLE)}
    assert ("http://rdfs.org/ns/void#sparqlEndpoint", "<http://testserver/sparql>") in said
    assert client.get("/.well-known/void", headers={"Accept": "text/html"}).status_code == 406


# Saved queries


def test_saved_queries_are_listed(client: TestClient, knowledge: kg.Knowledge) -> None:
    """Each has its question in words, and parameters with their choices, for programs and for people."""
    listed = client.get("/queries").json()["queries"]
    assert [one["name"] for one in listed] == list(library(knowledge.root))
    (posture,) = listed[[one["name"] for one in listed].index("denials-by-clause")]["parameters"]
    assert posture["default"] == "payer" and set(posture["choices"]) == {"payer", "advisory", "final"}
    page = client.get("/queries", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert all(one["title"] in page.text and one["question"] in page.text for one in listed)


def test_a_saved_query_is_answered(client: TestClient) -> None:
    """Its answer comes as accepted or as `format` says; parameters are those of the address."""
    path = "/queries/denials-by-clause"
    rows = client.get(path, headers={"Accept": "text/csv"})
    assert len(rows.text.splitlines()) > 3 and "content-disposition" not in rows.headers
    assert client.get(path, params={"format": "csv"}).text == rows.text
    final = client.get(path, params={"posture": "final", "format": "csv"}).text
    assert "finalPosture" in final and "payerPosture" not in final
    assert client.get(path).json()["head"]["vars"] == ["posture", "clause", "reason", "lines"]
    assert client.get(path, params={"format": "rq"}).text.startswith("# title: ")


def test_a_saved_query_is_a_page(client: TestClient) -> None:
    """People see the rows, the parameters, and links to the other formats."""
    path = "/queries/denials-by-clause"
    page = client.get(path, headers={"Accept": "text/html"}, params={"posture": "final"})
    rows = list(csv.reader(io.StringIO(client.get(path, params={"posture": "final", "format": "csv"}).text)))
    assert page.text.count("<tr>") == len(rows)
    assert "<option selected>final</option>" in page.text and "format=xlsx" in page.text
    asks = client.get("/queries/claims-of-a-clause", headers={"Accept": "text/html"})
    assert asks.status_code == 200 and "choose one" in asks.text and "<table>" not in asks.text


def test_a_saved_query_is_a_file(client: TestClient) -> None:
    """A file has a name that says what it is."""
    answer = client.get("/queries/decisions-by-policy", params={"format": "parquet"})
    assert answer.headers["content-disposition"] == 'attachment; filename="decisions-by-policy.parquet"'
    assert parquet.read_table(io.BytesIO(answer.content)).num_rows > 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/queries/unknown", 404),
        ("/queries/..%2f..%2fREADME", 404),
        ("/queries/denials-by-clause?posture=secret-word", 422),
        ("/queries/denials-by-clause?stance=secret-word", 422),
        ("/queries/denials-by-clause?format=secret-word", 422),
        ("/queries/claims-of-a-clause", 422),
    ],
)
def test_a_saved_query_that_cannot_be_asked_is_a_problem(client: TestClient, path: str, status: int) -> None:
    """A name, a parameter or a value that is not known is refused and not repeated."""
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json" and "secret-word" not in answer.text
