"""The journal keeps what it acknowledged and shows every change to it; the index says what the journal says."""

import random
import shutil
import sqlite3
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyoxigraph as ox
import pytest

import kg
from api.index import Index
from api.snapshots import version
from api.store import DATABASE, DETERMINATION, Draft, ReplayError, Store, Stored, StoreError
from kg.rdf import DETERMINATIONS
from tests.conftest import example, parsed
from tests.service import free_port, sparql_server

COUNT = "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?d a <https://w3id.org/coverpath/coverage#Determination> } }"


@pytest.fixture(scope="module")
def made(knowledge: kg.Knowledge) -> list[tuple[kg.Claim, kg.Determination]]:
    claims = [parsed(example(name)) for name in ("c01", "c02")]
    return [(claim, kg.determine(claim, knowledge)) for claim in claims]


@pytest.fixture
def store(tmp_path: Path, made: list[tuple[kg.Claim, kg.Determination]]) -> Iterator[Store]:
    with closing(Store(tmp_path / "data")) as store:
        for claim, determination in made:
            store.save(claim, determination)
        yield store


def filled(path: Path, count: int = 12) -> Path:
    """Write a journal of small entries, and return its folder."""
    with closing(Store(path)) as store:
        for n in range(count):
            store.submit(Draft(DETERMINATION, body=b"body %d" % n, claim=b"claim")).result()
    return path


def test_what_is_saved_is_read_back_byte_for_byte(store: Store, made: list[tuple[kg.Claim, kg.Determination]]) -> None:
    """The newest comes first, and pages follow each other without gap."""
    first, second = store.page(limit=1), store.page(after=store.page(limit=1)[0].id, limit=5)
    assert [stored.summary["claim"] for stored in first + second] == ["c02", "c01"]
    assert parsed(example("c01")).document == kg.parse_claim(second[0].claim, "json").document
    assert store.get(second[0].id) == second[0] and store.get("0" * 32) is None


def test_an_idempotency_key_gives_the_first_answer_again(
    store: Store, made: list[tuple[kg.Claim, kg.Determination]]
) -> None:
    """The same claim is stored once; another claim with the same key is refused."""
    (one, determined), (other, otherwise) = made
    first, again = store.save(one, determined, "key-1"), store.save(one, determined, "key-1")
    assert (first.id, again.replayed) == (again.id, True)
    with pytest.raises(ReplayError):
        store.save(other, otherwise, "key-1")
    assert len(store.page()) == 3


def test_reviews_are_kept_in_their_order_and_only_of_lines_that_exist(store: Store) -> None:
    """The last review does not replace the first."""
    id = store.page()[-1].id
    store.review(id, 1, "one", "deny", "because")
    store.review(id, 1, "two", "approve", "appealed")
    assert [(review.reviewer, review.decision) for review in store.reviews(id)] == [("one", "deny"), ("two", "approve")]
    for wrong in ((id, 99), ("0" * 32, 1)):
        with pytest.raises(LookupError):
            store.review(*wrong, "one", "deny", "because")


def test_two_processes_write_one_chain(tmp_path: Path) -> None:
    """Writers that take turns break no chain."""
    with closing(Store(tmp_path / "data")) as one, closing(Store(tmp_path / "data")) as other:
        waiting = [store.submit(Draft(DETERMINATION, b"%d" % n)) for n in range(100) for store in (one, other)]
        numbers = [future.result().entry.seq for future in waiting]
        assert sorted(numbers) == list(range(1, 201)) and list(one.check()) == []


EDITS: dict[str, str] = {
    "edit": "UPDATE entry SET body = x'00' WHERE seq = 5",
    "edit of a time": "UPDATE entry SET made = '2020-01-01T00:00:00.000Z' WHERE seq = 5",
    "deletion": "DELETE FROM entry WHERE seq = 5",
    "deletion of the first": "DELETE FROM entry WHERE seq = 1",
    "swap": "UPDATE entry SET seq = CASE seq WHEN 5 THEN -6 WHEN 6 THEN -5 ELSE seq END;"
    "UPDATE entry SET seq = -seq WHERE seq < 0",
    "insertion": "INSERT INTO entry SELECT 13, kind, 'new', actor, made, replay, request, summary, claim, body, hash"
    " FROM entry WHERE seq = 12",
    "cut tail": "DELETE FROM entry WHERE seq > 8",
    "emptied": "DELETE FROM entry",
}


@pytest.mark.parametrize("kind", EDITS)
def test_every_kind_of_change_is_found(tmp_path: Path, kind: str) -> None:
    """Who writes to the database past the triggers leaves a trace."""
    data = filled(tmp_path / "data")
    with closing(sqlite3.connect(data / DATABASE)) as connection:
        connection.executescript(f"DROP TRIGGER entry_stays; DROP TRIGGER entry_remains; {EDITS[kind]}")
        connection.commit()
    with closing(Store(data, checked=False)) as store:
        assert list(store.check())


def test_a_rewritten_chain_is_found_by_its_head(tmp_path: Path) -> None:
    """A journal that someone wrote anew with its key does not hold the head that was kept elsewhere."""
    data = filled(tmp_path / "data")
    with closing(Store(data)) as store:
        kept = store.head()
        assert list(store.check(kept)) == []
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "head"):
        (data / name).unlink(missing_ok=True)
    filled(data)
    with closing(Store(data)) as store:
        assert list(store.check()) == [] and list(store.check(kept))


def test_a_journal_without_its_tail_does_not_start(tmp_path: Path) -> None:
    """The anchored head knows of entries that are gone."""
    data = filled(tmp_path / "data", 4)
    shutil.copytree(data, tmp_path / "old")
    filled(data, 4)
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        (data / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "old" / DATABASE, data / DATABASE)
    with pytest.raises(StoreError):
        Store(data)


def test_the_journal_is_append_only_in_sql(tmp_path: Path) -> None:
    """Triggers refuse what no code of ours does."""
    data = filled(tmp_path / "data", 1)
    with closing(sqlite3.connect(data / DATABASE)) as connection:
        for statement in ("DELETE FROM entry", "UPDATE entry SET body = x'00'"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    """Wherever a bit of the database flips, the check finds it, or every entry still reads as it was written."""
    data = filled(tmp_path / "data", 40)
    with closing(Store(data)) as store:
        before = store.since(0, 100)
    clean, random_ = (data / DATABASE).read_bytes(), random.Random(11)
    found = 0
    for _ in range(150):
        bit = random_.randrange(8 * len(clean))
        flipped = bytearray(clean)
        flipped[bit // 8] ^= 1 << bit % 8
        (data / DATABASE).write_bytes(flipped)
        (data / f"{DATABASE}-wal").unlink(missing_ok=True)
        (data / f"{DATABASE}-shm").unlink(missing_ok=True)
        faults, after = checked(data)
        found += bool(faults)
        assert faults or after == before, bit
    assert found > 30


def checked(data: Path) -> tuple[list[str], object]:
    """Return what a check finds, and the entries."""
    try:
        with closing(Store(data, checked=False)) as store:
            return list(store.check()), store.since(0, 100)
    except (StoreError, sqlite3.DatabaseError) as error:
        return [str(error)], None


def rows(store: ox.Store, query: str) -> list[str]:
    """Return the rows of a query as TSV."""
    answer = store.query(query)
    assert isinstance(answer, ox.QuerySolutions)
    return (answer.serialize(format=ox.QueryResultsFormat.TSV) or b"").decode().splitlines()[1:]


def fill(index: Index) -> None:
    """Bring all of the journal into an index."""
    while index.step():
        pass


def test_each_claim_each_determination_and_each_review_is_a_graph(store: Store, knowledge: kg.Knowledge) -> None:
    """The names of the graphs are those of the store; the default graph holds the knowledge, and what follows."""
    ids = [stored.id for stored in store.page()]
    store.review(ids[0], 1, "one", "deny", "because")
    with closing(Index(store, knowledge)) as index:
        fill(index)
        assert list(index.faults()) == []
    reader = ox.Store.read_only(str(store.data / "index"))
    names = {graph.value for graph in reader.named_graphs()}
    assert {DETERMINATIONS + id for id in ids} < names and f"{DETERMINATIONS}{ids[0]}/reviews/3" in names
    (found,) = rows(
        reader,
        "PREFIX cov: <https://w3id.org/coverpath/coverage#> PREFIX prov: <http://www.w3.org/ns/prov#>"
        "SELECT ?d { GRAPH ?r { ?r a cov:Review ; cov:ofLineDecision ?l ; cov:decision cov:deny }"
        " GRAPH ?d { ?d cov:hasLineDecision ?l ; prov:generatedAtTime ?t } ?c cov:ofPolicy ?p } LIMIT 1",
    )
    assert f"<{DETERMINATIONS}{ids[0]}>" in found


def test_an_index_that_lost_something_is_made_again(store: Store, knowledge: kg.Knowledge) -> None:
    """A start finds that triples are missing; a check finds which graph they are missing from."""
    with closing(Index(store, knowledge)) as index:
        fill(index)
    path = str(store.data / "index")
    damaged = ox.Store(path)
    lost = next(iter(damaged.quads_for_pattern(None, None, None, ox.NamedNode(parsed(example("c01")).iri))))
    damaged.remove(lost)
    damaged.add(ox.Quad(lost.subject, lost.predicate, ox.Literal("other"), lost.graph_name))
    del damaged
    with closing(Index(store, knowledge)) as index:
        assert list(index.faults()) == [f"index: the graph <{parsed(example('c01')).iri}> is not what the journal says"]
    damaged = ox.Store(path)
    damaged.remove_graph(ox.NamedNode(parsed(example("c01")).iri))
    del damaged
    with closing(Index(store, knowledge)) as index:
        fill(index)
        assert list(index.faults()) == []


def test_the_files_of_an_index_are_merged_beside_the_work(store: Store, knowledge: kg.Knowledge) -> None:
    """Readers get the merged files, and what is written meanwhile is not lost; what has not grown is left alone."""

    def files() -> int:
        return len(list((store.data / "snapshots" / str(version(store.data))).glob("*.sst")))

    def wait(index: Index) -> None:
        seen, until = version(store.data), time.monotonic() + 30
        while version(store.data) == seen and time.monotonic() < until:
            index.tidy()
            time.sleep(0.01)

    with closing(Index(store, knowledge)) as index:
        fill(index)
        before = files()
        wait(index)
        assert files() < before
        seen = version(store.data)
        for _ in range(20):
            index.tidy()
        assert version(store.data) == seen
    with closing(Index(store, knowledge)) as index:
        index.tidy()
        store.review(store.page()[0].id, 1, "one", "deny", "because")
        fill(index)
        wait(index)
        assert list(index.faults()) == []
    with closing(Index(store, knowledge)) as index:
        assert list(index.faults()) == []


def test_one_process_owns_the_index(store: Store, knowledge: kg.Knowledge) -> None:
    """A second owner is refused."""
    with closing(Index(store, knowledge)), pytest.raises(StoreError, match="another process"):
        Index(store, knowledge)


def test_determinations_of_other_knowledge_keep_their_graphs(store: Store, knowledge: kg.Knowledge) -> None:
    """What old knowledge said is not said anew when the index is rebuilt under new knowledge."""
    with closing(Index(store, knowledge)) as index:
        fill(index)
    newer = replace(knowledge, hash="0" * 64)
    with closing(Index(store, newer)) as index:
        fill(index)
        assert list(index.faults()) == []
    reader = ox.Store.read_only(str(store.data / "index"))
    query = "SELECT DISTINCT ?h { GRAPH ?g { ?d <https://w3id.org/coverpath/coverage#knowledgeHash> ?h } }"
    assert rows(reader, query) == [f'"{knowledge.hash}"']


@pytest.fixture
def oxigraph(tmp_path: Path) -> Iterator[str]:
    with sparql_server(tmp_path / "remote") as address:
        yield address


def asked(server: str, query: str) -> list[str]:
    """Return the rows of a query to a server, as CSV without its head."""
    url = f"{server}/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": "text/csv"})) as answer:
        rows: list[str] = answer.read().decode().split()[1:]
        return rows


def test_the_index_can_be_on_any_sparql_server(store: Store, knowledge: kg.Knowledge, oxigraph: str) -> None:
    """The real oxigraph server gets what a folder gets, once, and goes on where it stood."""
    with closing(Index(store, knowledge, f"{oxigraph}/update")) as remote:
        fill(remote)
    assert asked(oxigraph, COUNT) == ["2"]
    with closing(Index(store, knowledge)) as local:
        fill(local)
        names = local.sink.names()  # type: ignore[attr-defined]
    inside = len(ox.Store.read_only(str(store.data / "index")))
    graphs = asked(oxigraph, "SELECT DISTINCT ?g { GRAPH ?g { ?s ?p ?o } }")
    assert set(graphs) == names
    everything = "SELECT (COUNT(*) AS ?n) { { ?s ?p ?o } UNION { GRAPH ?g { ?s ?p ?o } } }"
    assert int(asked(oxigraph, everything)[0]) == inside - 1  # a folder holds its mark as well
    stored: Stored = store.page()[0]
    store.review(stored.id, 1, "one", "deny", "because")
    with closing(Index(store, knowledge, f"{oxigraph}/update")) as remote:
        assert remote.step() == 1
    assert len(asked(oxigraph, "SELECT ?r { GRAPH ?r { ?r a <https://w3id.org/coverpath/coverage#Review> } }")) == 1


def test_a_server_that_is_away_loses_nothing(store: Store, knowledge: kg.Knowledge) -> None:
    """An index on a server that does not answer goes no further; what is no address of a server is refused."""
    with pytest.raises(OSError, match="refused"):
        Index(store, knowledge, f"http://127.0.0.1:{free_port()}/update")
    for address in ("file:///etc/hostname", "ftp://localhost/update", "update"):
        with pytest.raises(StoreError, match="not an http address"):
            Index(store, knowledge, address)
    assert len(store.page()) == 2
