"""A store on another server is asked as one in a folder is: by the same gate, in the same formats, and nobody else."""

import asyncio
import csv
import io
import json
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import kg
from api.index import Index
from api.library import library
from api.remote import parted, query_address
from api.results import PARQUET
from api.settings import Settings
from api.store import Store
from api.workers import Answer, Limits, Pool, QueryError, Question
from benchmarks.queries import GIVEN
from tests.conftest import example, parsed
from tests.service import Service, free_port, sparql_server
from tests.test_api import claim_of
from tests.test_cli import coverpath
from tests.test_sparql import OUTWARD

Asking = Callable[[Question], Answer]
LIMITS = Limits(seconds=3, rows=1000, bytes=1_000_000)
PATIENT = Limits(seconds=15, rows=1000, bytes=1_000_000)  # where it is not the time that is tested
SELECT = "SELECT ?n { VALUES ?n { 1 2 } }"
PASSWORD = "CANARY-PASSWORD-4711"


@dataclass
class Both:
    """The same journal in a folder and on a server, and how to ask each."""

    address: str
    here: Asking
    there: Asking


@pytest.fixture(scope="module")
def both(knowledge: kg.Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("both")
    with sparql_server(folder / "remote") as address, closing(Store(folder / "data")) as store:
        for name in ("c01", "c02"):
            store.save(parsed(example(name)), kg.determine(parsed(example(name)), knowledge))
        for where in ("", f"{address}/update"):
            with closing(Index(store, knowledge, where)) as index:
                while index.step():
                    pass
        with closing(Index(store, knowledge)):  # publishes what is in the folder again
            pass
        with asyncio.Runner() as runner:
            pools = [Pool(folder / "data", 1, PATIENT), Pool(folder, 1, PATIENT, f"{address}/query")]
            for pool in pools:
                runner.run(pool.start())
            here, there = (lambda question, pool=pool: runner.run(pool.ask(question)) for pool in pools)
            yield Both(address, here, there)
            for pool in pools:
                runner.run(pool.stop())


def rows(answer: Answer) -> list[tuple[str, ...]]:
    """Return the rows of CSV, in an order of their own."""
    return sorted(tuple(row) for row in csv.reader(io.StringIO(answer.body.decode(), newline="")))


def test_every_saved_query_finds_the_same(both: Both, knowledge: kg.Knowledge) -> None:
    """With parameters and without, what is on the server is found as it is in a folder."""
    for saved in library(knowledge.root).values():
        given = GIVEN.get(saved.name, {})
        some = {"posture": "final"} if any(p.name == "posture" for p in saved.parameters) else {}
        for values in (given, {**given, **some}):
            question = saved.asked(values, "text/csv", knowledge)
            assert rows(both.there(question)) == rows(both.here(question)), saved.name


@pytest.mark.parametrize(
    ("query", "accept"),
    [
        (SELECT, "application/sparql-results+json"),
        (SELECT, "application/sparql-results+xml"),
        (SELECT, "text/tab-separated-values"),
        (SELECT, PARQUET),
        ("ASK { ?s ?p ?o }", "application/sparql-results+json"),
        ("CONSTRUCT { <urn:a> <urn:b> ?n } { VALUES ?n { 1 2 } }", "text/turtle"),
        ("DESCRIBE <https://w3id.org/coverpath/coverage#Claim>", "application/n-triples"),
    ],
)
def test_the_formats_are_the_same(both: Both, query: str, accept: str) -> None:
    """Rows, truth and triples come in every format, by whatever the server was asked for."""
    here, there = both.here(Question(query, accept)), both.there(Question(query, accept))
    assert (here.media, here.rows) == (there.media, there.rows)
    assert sorted(here.body.splitlines()) == sorted(there.body.splitlines())


def test_graphs_are_chosen_by_the_protocol(both: Both) -> None:
    """All graphs are one unless some are named."""
    graph = "https://w3id.org/coverpath/claims/c01"
    claims = "PREFIX cov: <https://w3id.org/coverpath/coverage#> SELECT ?c { ?c a cov:Claim }"
    under = claims.replace("{ ?c a cov:Claim }", "{ GRAPH ?g { ?c a cov:Claim } }")
    for chosen in ({}, {"default": (graph,)}, {"named": (graph,)}):
        for query in (claims, under):
            question = Question(query, "text/csv", {}, **chosen)
            assert rows(both.there(question)) == rows(both.here(question)), (chosen, query)


def test_rows_are_capped_and_time_ends(both: Both) -> None:
    """The limits are those of a query in a folder."""
    answer = both.there(Question("SELECT * { ?s ?p ?o }", "text/csv;q=0.1, text/tab-separated-values"))
    assert (answer.rows, answer.capped) == (1000, True)
    late = asked(f"{both.address}/query", Question("SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"))[0]
    assert isinstance(late, QueryError) and "time limit" in str(late)
    assert both.there(Question(SELECT, "text/csv")).rows == 2


# What reaches the server, and what of it comes back


@dataclass
class Fake:
    """A server that answers as it is told, and remembers what it was sent."""

    port: int
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/sparql-results+json"})
    body: bytes = b'{"head": {"vars": []}, "results": {"bindings": []}}'
    pause: float = 0.0
    sent: list[tuple[str, str, bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://user:{PASSWORD}@127.0.0.1:{self.port}/query"


@pytest.fixture
def fake() -> Iterator[Fake]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.sent.append((self.path, self.headers.get("Authorization", ""), body))
            time.sleep(told.pause)
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.end_headers()
            for start in range(0, len(told.body), 1 << 16):
                try:
                    self.wfile.write(told.body[start : start + (1 << 16)])
                except OSError:
                    return

        do_GET = do_POST

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told = Fake(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield told
        server.shutdown()
        thread.join()


def asked(address: str, *questions: Question) -> list[Answer | QueryError]:
    """Ask a server, one question after the other."""

    async def ask() -> list[Answer | QueryError]:
        found: list[Answer | QueryError] = []
        async with Pool(Path(), 1, LIMITS, address) as pool:
            for question in questions:
                try:
                    found.append(await pool.ask(question))
                except QueryError as error:
                    found.append(error)
        return found

    return asyncio.run(ask())


def test_what_is_refused_is_never_sent(fake: Fake) -> None:
    """SERVICE, FROM and updates end before the server hears of them."""
    found = asked(fake.address, *(Question(query.replace("URL", "http://e.org/")) for query in OUTWARD.values()))
    assert all(isinstance(one, QueryError) and one.status == HTTPStatus.BAD_REQUEST for one in found)
    assert fake.sent == []
    asked(fake.address, Question(SELECT))
    basic = b64encode(f"user:{PASSWORD}".encode()).decode()
    assert [(path, key) for path, key, _ in fake.sent] == [("/query", f"Basic {basic}")]


def test_a_value_is_a_term_whatever_it_holds(fake: Fake) -> None:
    """A text that would end its quotes, or the query, is sent as the text that it is."""
    string = "http://www.w3.org/2001/XMLSchema#string"
    hostile = '") } SERVICE <http://e.org/> { ?s ?p ?o } #\\'
    asked(fake.address, Question("SELECT ?x { ?x ?p ?o }", values={"x": (hostile, string)}))
    (_, _, body) = fake.sent[0]
    assert b"VALUES" in body and b"%5C%22%29+%7D+SERVICE" in body  # its quote is escaped


WRONG: dict[str, tuple[dict[str, object], HTTPStatus]] = {
    "a redirect": ({"status": 307, "headers": {"Location": "http://e.org/"}}, HTTPStatus.BAD_GATEWAY),
    "no access": ({"status": 401, "body": PASSWORD.encode()}, HTTPStatus.BAD_GATEWAY),
    "a fault": ({"status": 500, "body": PASSWORD.encode()}, HTTPStatus.BAD_GATEWAY),
    "a page": ({"headers": {"Content-Type": "text/html"}, "body": b"<p>"}, HTTPStatus.BAD_GATEWAY),
    "no JSON": ({"body": PASSWORD.encode()}, HTTPStatus.BAD_GATEWAY),
    "half of it": ({"body": b'{"head": {"vars": ["n"]}, "results": {"bindings": [{'}, HTTPStatus.BAD_GATEWAY),
    "cut": ({"headers": {"Content-Type": "text/csv", "Content-Length": "999"}}, HTTPStatus.BAD_GATEWAY),
    "no end": ({"body": b" " * 5_000_000}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    "nothing in time": ({"pause": 4.0}, HTTPStatus.UNPROCESSABLE_ENTITY),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_server_that_errs_is_told_of_and_not_quoted(fake: Fake, name: str) -> None:
    """Whatever it answers, the status says whose fault it is, and the next query is asked all the same."""
    told, status = WRONG[name]
    sound = dict(vars(fake))
    vars(fake).update(told)
    (error,) = asked(fake.address, Question(SELECT))
    assert isinstance(error, QueryError) and error.status == status
    assert PASSWORD not in str(error) and "127.0.0.1" not in str(error)
    vars(fake).update(sound)
    assert isinstance(asked(fake.address, Question(SELECT))[0], Answer)


def test_a_server_that_is_away_is_told_of() -> None:
    """Nobody waits for the limit of time."""
    (error,) = asked(f"http://user:{PASSWORD}@127.0.0.1:{free_port()}/query", Question(SELECT))
    assert isinstance(error, QueryError) and error.status == HTTPStatus.BAD_GATEWAY and PASSWORD not in str(error)


@pytest.mark.parametrize(
    ("update", "query"),
    [
        ("http://h:1/update", "http://h:1/query"),
        ("https://u:p@h/NAME/update", "https://u:p@h/NAME/query"),
        ("http://h/repositories/NAME/statements", "http://h/repositories/NAME"),
        ("https://h:8182/sparql", "https://h:8182/sparql"),
        ("", ""),
    ],
)
def test_the_address_of_queries_follows_from_that_of_updates(update: str, query: str) -> None:
    """As README says; where it does not, it is given."""
    assert query_address(update) == query == Settings(store=update).queries
    assert Settings(store=update, store_query="http://h/q").queries == "http://h/q"


def test_user_and_password_leave_the_address() -> None:
    """They are sent in a header."""
    assert parted("http://a%40b:c@h:1/q?x=y") == ("http://h:1/q?x=y", {"Authorization": "Basic YUBiOmM="})


# The service, and the command line


def test_the_service_answers_from_the_server(tmp_path: Path) -> None:
    """What is determined is found on the server by every way to ask; the password stands nowhere."""
    with sparql_server(tmp_path / "remote") as address:
        secret = f"{address.replace('//', f'//user:{PASSWORD}@')}/update"
        with Service(tmp_path / "data", store=secret) as service:
            service.client.post("/determinations", content=claim_of(), headers={"content-type": "application/json"})
            service.indexed()
            query = "PREFIX cov: <https://w3id.org/coverpath/coverage#> SELECT ?c { ?c a cov:Claim }"
            found = service.client.get("/sparql", params={"query": query}, headers={"accept": "text/csv"})
            assert found.text.split() == ["c", "https://w3id.org/coverpath/claims/c01"]
            refused = service.client.get("/sparql", params={"query": OUTWARD["service"]})
            assert refused.status_code == 400
            path = "/queries/denials-by-clause"
            table = service.client.get(path, headers={"accept": "text/csv"}).text
            assert len(table.splitlines()) > 1
            page = service.client.get(path, headers={"accept": "text/html"})
            assert page.text.count("<tr>") == len(table.splitlines())
            told = coverpath("query", "denials-by-clause", "--store", secret, "--format", "csv")
            assert sorted(told.stdout.splitlines()) == sorted(table.splitlines())
            children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
            lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (service.process.pid, *children)]
            assert len(lines) > 3 and not any(PASSWORD.encode() in line for line in lines)
        everything = service.told() + json.dumps([found.text, refused.text, page.text]) + told.stdout + told.stderr
        assert PASSWORD not in everything
        (tmp_path / "data" / "index").mkdir(exist_ok=True)
        kept = (file for file in (tmp_path / "data").rglob("*") if file.is_file())
        assert not any(PASSWORD.encode() in file.read_bytes() for file in kept)
    away = coverpath("query", SELECT, "--store", secret, "--format", "csv")
    assert away.returncode == 2 and "cannot be reached" in away.stderr and PASSWORD not in away.stderr
    wrong = f"ftp://u:{PASSWORD}@h/"
    for command in (("query", SELECT), ("serve", "--data", str(tmp_path / "other"))):
        refused_address = coverpath(*command, "--store", wrong)
        assert refused_address.returncode in (1, 2) and "not an http address" in refused_address.stderr
        assert PASSWORD not in refused_address.stderr
