"""Queries that are hostile, dear or wrong end alone; queries that are none of these go on."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyoxigraph as ox
import pytest

import kg
from api import grammar
from api.quads import write_index
from api.results import chosen
from api.snapshots import publish
from api.workers import Answer, Limits, Pool, QueryError, Question
from tests.conftest import ROOT, example, parsed

COUNT = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"
LIMITS = Limits(seconds=2, memory=256 * 2**20, rows=1000, bytes=100_000)


@dataclass
class Asked:
    """A pool, and how a test that does not wait asks it."""

    runner: asyncio.Runner
    pool: Pool
    data: Path

    def ask(self, query: str, accept: str = "text/csv", **more: tuple[str, ...]) -> Answer:
        return self.runner.run(self.pool.ask(Question(query, accept, {}, **more)))

    def refusal(self, query: str) -> QueryError:
        with pytest.raises(QueryError) as error:
            self.ask(query)
        return error.value


@pytest.fixture(scope="module")
def asked(knowledge: kg.Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    data = tmp_path_factory.mktemp("data")
    write_index(data, knowledge, [kg.determine(parsed(example(name)), knowledge) for name in ("c01", "c02")])
    with asyncio.Runner() as runner:
        pool = Pool(data, 1, LIMITS)
        runner.run(pool.start())
        yield Asked(runner, pool, data)
        runner.run(pool.stop())


@pytest.fixture
def unhurried(asked: Asked) -> Iterator[Asked]:
    """Ask workers that have time, so that on a busy machine, too, it is memory that runs out."""
    pool = Pool(asked.data, 1, replace(LIMITS, seconds=60))
    asked.runner.run(pool.start())
    yield Asked(asked.runner, pool, asked.data)
    asked.runner.run(pool.stop())


@pytest.fixture
def canary() -> Iterator[tuple[str, list[str]]]:
    """Give the address of a server that nobody may call, and who called."""
    calls: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            self.send_error(HTTPStatus.NOT_FOUND)

        do_POST = do_GET

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", calls
        server.shutdown()
        thread.join()


# What is refused


OUTWARD = {
    "service": "SELECT * { SERVICE <URL> { ?s ?p ?o } }",
    "silent": "SELECT * { SERVICE SILENT <URL> { ?s ?p ?o } }",
    "lower case": "select * { service <URL> { ?s ?p ?o } }",
    "in exists": "ASK { ?s ?p ?o FILTER EXISTS { SERVICE <URL> { ?s ?p ?o } } }",
    "in a subquery": "SELECT * { { SELECT * { OPTIONAL { SERVICE <URL> { ?s ?p ?o } } } } }",
    "in minus": "SELECT * { ?s ?p ?o MINUS { SERVICE <URL> { ?s ?p ?o } } }",
    "in bind": "SELECT * { BIND (EXISTS { SERVICE <URL> { ?s ?p ?o } } AS ?x) }",
    "in having": "SELECT ?s { ?s ?p ?o } GROUP BY ?s HAVING (EXISTS { SERVICE <URL> { ?a ?b ?c } })",
    "in order": "SELECT * { ?s ?p ?o } ORDER BY (EXISTS { SERVICE <URL> { ?a ?b ?c } })",
    "by variable": "SELECT * { BIND (<URL> AS ?u) SERVICE ?u { ?s ?p ?o } }",
    "by prefix": "PREFIX u: <URL> SELECT * { SERVICE u: { ?s ?p ?o } }",
    "in construct": "CONSTRUCT { ?s ?p ?o } { SERVICE <URL> { ?s ?p ?o } }",
    "in describe": "DESCRIBE ?s { SERVICE <URL> { ?s ?p ?o } }",
    "escaped keyword": "SELECT * { \\u0053ERVICE <URL> { ?s ?p ?o } }",
    "escaped quote": 'SELECT * { FILTER (?x = "\\u0022 # ") SERVICE <URL> { ?s ?p ?o }\n) }',
    "behind a comment's end": "SELECT * { # \r SERVICE <URL> { ?s ?p ?o }\n}",
    "from": "SELECT * FROM <URL> { ?s ?p ?o }",
    "from named": "SELECT * FROM NAMED <URL> { GRAPH ?g { ?s ?p ?o } }",
    "from a file": "SELECT * FROM <file:///etc/hostname> { ?s ?p ?o }",
    "load": "LOAD <URL>",
    "load into": "LOAD SILENT <URL> INTO GRAPH <http://example.org/g>",
    "insert": "INSERT DATA { <http://example.org/a> <http://example.org/b> 1 }",
    "delete": "DELETE WHERE { ?s ?p ?o }",
    "two operations": "SELECT * { ?s ?p ?o } ; DROP ALL",
    "clear": "CLEAR ALL",
}


@pytest.mark.parametrize("name", OUTWARD)
def test_nothing_reads_from_outside_or_writes(asked: Asked, canary: tuple[str, list[str]], name: str) -> None:
    """SERVICE, FROM and every update are refused wherever they stand and however they are written."""
    url, calls = canary
    before = asked.ask(COUNT).body
    assert asked.refusal(OUTWARD[name].replace("URL", url)).status == HTTPStatus.BAD_REQUEST
    assert not calls
    assert asked.ask(COUNT).body == before


def test_the_words_of_the_grammar_are_not_forbidden(asked: Asked) -> None:
    """What is refused is a part of the grammar, not a word: strings, comments and names may hold it."""
    answer = asked.ask(
        "PREFIX SERVICE: <http://example.org/FROM#> # SERVICE <http://example.org/> { }\n"
        'SELECT ?service ("FROM <x> SERVICE" AS ?LOAD) { VALUES ?service { SERVICE:INSERT } }'
    )
    assert answer.body.decode().split("\r\n")[1] == "http://example.org/FROM#INSERT,FROM <x> SERVICE"


@pytest.mark.skipif(sys.platform != "linux", reason="the system is asked by seccomp")
def test_the_system_refuses_sockets_behind_the_grammar(canary: tuple[str, list[str]]) -> None:
    """Should a query get past the grammar, the engine that runs it still reaches nobody."""
    url, calls = canary
    program = (
        "import sys, pyoxigraph\n"
        "from api.offline import go_offline\n"
        "if sys.argv[2] == 'cut': assert go_offline()\n"
        "try: list(pyoxigraph.Store().query('SELECT * { SERVICE <%s> { ?s ?p ?o } }' % sys.argv[1]))\n"
        "except PermissionError: print('refused')\n"
        "except OSError: print('reached')\n"
    )
    for cut, said in (("cut", "refused"), ("open", "reached")):
        run = subprocess.run(
            [sys.executable, "-c", program, url, cut], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == said
    assert len(calls) == 1  # of the process that was not cut off


@pytest.mark.parametrize(
    "query",
    [
        "",
        "SELECT",
        "SELECT * { ?s ?p }",
        "SELECT * { ?s ?p ?o ",
        "SELECT * { ?s unknown:p ?o }",
        "SELECT * { ?s ?p 'secret-of-a-patient }",
        "ASK { ?s ?p ?o } trailing",
        "SELECT * { ?s ?p ?o } \x00",
        "ASK {" + "(" * 501 + "}",
        "ASK { FILTER (" + "(" * 150 + "1" + ")" * 150 + ") }",
        "SELECT * " + "{" * 300 + "}" * 300,
        "ASK { FILTER (" + "!" * 30_000 + "true) }",
        "ASK { } #" + "x" * 20_000,
    ],
)
def test_what_is_no_query_is_refused_without_being_quoted(asked: Asked, query: str) -> None:
    """Bad syntax, nesting and length are answered at once, with the place and nothing of the text."""
    refusal = asked.refusal(query)
    assert refusal.status == HTTPStatus.BAD_REQUEST
    assert "secret" not in str(refusal) and "xxx" not in str(refusal)


def test_a_refusal_says_where(asked: Asked) -> None:
    """An author finds the fault by its line, and by the column from which the rest is not SPARQL."""
    assert "line 2, column 3" in str(asked.refusal("SELECT *\n{ ?s ?p }"))


# What costs too much


DEAR = {
    "product": ("SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }", "time"),
    "nested sums": ("ASK { FILTER (" + "-" * 3000 + "1 = 1) }", ""),
    "chained sums": ("SELECT (1" + "+1" * 9000 + " AS ?x) {}", ""),
}


GREEDY = {
    "sorted product": "SELECT * { ?a ?b ?c . ?d ?e ?f } ORDER BY ?a ?f ?c",
    "doubling": (
        'SELECT * { BIND ("aaaaaaaaaaaaaaaa" AS ?a0) '
        + " ".join(f"BIND (CONCAT(?a{i}, ?a{i}) AS ?a{i + 1})" for i in range(40))
        + " }"
    ),
}


@pytest.mark.parametrize("name", DEAR)
def test_a_query_that_costs_too_much_ends_alone(asked: Asked, name: str) -> None:
    """A limit ends the query and its worker, says which it was, and the next query is answered by another worker."""
    query, limit = DEAR[name]
    began = time.perf_counter()
    refusal = asked.refusal(query)
    assert time.perf_counter() - began < LIMITS.seconds + 1
    assert refusal.status in (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_REQUEST)
    assert limit in str(refusal)
    assert asked.ask("ASK { }").body.strip() == b"true"


@pytest.mark.parametrize("query", GREEDY.values(), ids=GREEDY.keys())
def test_a_query_that_takes_too_much_memory_ends_alone(unhurried: Asked, query: str) -> None:
    """The limit of memory ends the query and its worker, and the next query is answered by another worker."""
    refusal = unhurried.refusal(query)
    assert refusal.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "memory" in str(refusal)
    assert unhurried.ask("ASK { }").body.strip() == b"true"


def test_patterns_are_matched_in_linear_time(asked: Asked) -> None:
    """A regular expression that would take others for ever is answered."""
    query = 'ASK { FILTER (REGEX("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "^(a+)+$")) }'
    assert asked.ask(query).body.strip() == b"false"


def test_rows_are_capped_with_notice(asked: Asked) -> None:
    """An answer of more rows than the limit is cut there, and says so; one of as many is whole."""
    for query in ("SELECT ?s { ?s ?p ?o }", "CONSTRUCT { ?s ?p ?o } { ?s ?p ?o }"):
        answer = asked.ask(query, "*/*")
        assert answer.capped and answer.rows == LIMITS.rows
    whole = asked.ask(f"SELECT ?s {{ ?s ?p ?o }} LIMIT {LIMITS.rows}")
    assert not whole.capped and whole.rows == LIMITS.rows


def test_an_answer_that_is_too_large_is_refused(asked: Asked) -> None:
    """Few rows may still be many bytes; these are not sent."""
    wide = "SELECT * { ?a a ?b . ?c a ?d . ?e a ?f . ?g a ?h . ?i a ?j } LIMIT 1000"
    assert asked.refusal(wide).status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_a_dead_worker_is_replaced(asked: Asked) -> None:
    """A worker that the system ends while it is idle is not asked; another takes its place."""
    (worker,) = asked.pool._all
    worker.process.kill()
    asked.runner.run(worker.process.wait())
    assert asked.ask(COUNT).rows == 1


def test_a_caller_who_leaves_ends_the_query(asked: Asked) -> None:
    """What a caller no longer waits for stops, and its answer is never given to another."""

    async def leave() -> Answer:
        task = asyncio.create_task(asked.pool.ask(Question(DEAR["product"][0])))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return await asked.pool.ask(Question("ASK { }", "text/csv"))

    assert asked.runner.run(leave()).body.strip() == b"true"


def test_a_busy_pool_says_so(asked: Asked) -> None:
    """Who waits in vain for a worker is told to come again, not that the query was at fault."""

    async def crowd() -> list[Answer | BaseException]:
        dear = Question(DEAR["product"][0])
        return await asyncio.gather(*(asked.pool.ask(dear) for _ in range(2)), return_exceptions=True)

    statuses = {error.status for error in asked.runner.run(crowd()) if isinstance(error, QueryError)}
    assert statuses == {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE}


def test_a_folder_without_an_index_stops_the_start(tmp_path: Path) -> None:
    """A pool over nothing says so, and leaves no process behind."""

    async def start() -> None:
        async with Pool(tmp_path, 1):
            pass

    with pytest.raises(OSError, match="no index"):
        asyncio.run(start())


def test_a_pool_waits_for_an_index_that_is_being_made(knowledge: kg.Knowledge, tmp_path: Path) -> None:
    """Started soon, a pool answers once there is something to read."""

    async def early() -> Answer:
        pool = Pool(tmp_path, 1, Limits(seconds=30))
        pool.start_soon()
        try:
            asking = asyncio.create_task(pool.ask(Question("ASK { ?s ?p ?o }", "text/csv")))
            await asyncio.sleep(1.5)
            write_index(tmp_path, knowledge, [])
            return await asking
        finally:
            await pool.stop()

    assert asyncio.run(early()).body.strip() == b"true"


# What is seen


def test_what_is_written_is_seen_at_once(asked: Asked) -> None:
    """A query that is asked after the owner has moved the version sees all that was written before."""
    store = ox.Store(str(asked.data / "index"))
    for number in range(3):
        name = ox.NamedNode(f"http://example.org/{number}")
        store.add(ox.Quad(name, name, name, name))
        publish(asked.data, store)
        assert asked.ask(f"ASK {{ GRAPH {name} {{ {name} {name} {name} }} }}").body.strip() == b"true"


def test_readers_are_not_disturbed_by_a_writer(asked: Asked) -> None:
    """While the index is written and its files are merged, every answer is whole, and of the newest version."""
    name = ox.NamedNode("http://example.org/many")
    answers = []
    store = ox.Store(str(asked.data / "index"))
    for number in range(60):
        one = ox.NamedNode(f"http://example.org/many/{number}")
        store.extend(ox.Quad(one, name, ox.Literal(place), one) for place in range(300))
        publish(asked.data, store)
        answers.append(asked.ask(f"SELECT (COUNT(*) AS ?n) {{ ?s {name} ?o }}").body.split()[1])
    assert answers == [str(300 * (number + 1)).encode() for number in range(60)]


def test_the_default_graph_is_the_union_unless_graphs_are_named(asked: Asked) -> None:
    """Without a choice all graphs are one, and each has its name; the protocol chooses among those of the store."""
    graph = "https://w3id.org/coverpath/claims/c01"
    claims = "PREFIX cov: <https://w3id.org/coverpath/coverage#> SELECT ?c { ?c a cov:Claim }"
    under = "PREFIX cov: <https://w3id.org/coverpath/coverage#> SELECT ?c { GRAPH ?g { ?c a cov:Claim } }"
    assert (asked.ask(claims).rows, asked.ask(under).rows) == (2, 2)
    assert (asked.ask(claims, default=(graph,)).rows, asked.ask(under, default=(graph,)).rows) == (1, 0)
    assert (asked.ask(claims, named=(graph,)).rows, asked.ask(under, named=(graph,)).rows) == (0, 1)
    assert asked.ask(claims, default=("file:///etc/hostname",)).rows == 0


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "b/x"),
        ("", "b/x"),
        ("a/*", "a/y"),
        ("a/y;q=0.1, c/z;q=0.2", "c/z"),
        ("b/x;q=0, */*", "a/y"),
        ("*/*;q=0.1, C/Z", "c/z"),
        ("text/html", None),
        ("a/y;q=nonsense", None),
        ("a/y;q=0", None),
    ],
)
def test_accept_chooses(accept: str, media: str | None) -> None:
    """The offer with most weight is chosen, the first of equals; none where none is welcome."""
    assert chosen(accept, ("b/x", "a/y", "c/z")) == media


def test_a_text_is_the_same_for_both_parsers() -> None:
    """The engine gets the text that the grammar read, line ends made one kind."""
    assert grammar.parse("ASK {\r\n}").text == "ASK {\n}"
