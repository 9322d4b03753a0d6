"""The RDF index: what the journal holds, for SPARQL. It can always be made again from the journal.

Ontology, shapes and policies are in the default graph; each claim, each determination and each review is a named graph.
One process owns the index and follows the journal; readers open it read-only, anew when the file `version` changes.
Run as a module this is that process. It ends when its standard input does.
"""

import contextlib
import fcntl
import gc
import os
import select
import shutil
import sqlite3
import sys
import time
import traceback
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

import orjson
import pyoxigraph as ox

import kg
from api.snapshots import publish
from api.store import DETERMINATION, REVIEW, Entry, Store, StoreError, pack, review_of, unpack
from kg.graph import ntriples, rewrite
from kg.rdf import DETERMINATIONS, prefixes, tell, to_ntriples
from kg.terms import COV, PROV, RDFS, TYPE, XSD, Literal, Triple

FORMATS = {
    "application/ld+json": ox.RdfFormat.JSON_LD,
    "text/turtle": ox.RdfFormat.TURTLE,
    "application/n-triples": ox.RdfFormat.N_TRIPLES,
}
PAUSE = 0.2  # seconds from one look at the journal to the next: few large batches cost less than many small ones
BATCH = 64
QUIET = 5  # seconds in which nothing was to be written, before files are merged
GROWN = 1.05  # times: how much an index has grown when its files are merged again
REST = 100  # times as long as merging took, until it may begin again: it gets a hundredth of the time at most
MARK = ox.NamedNode("https://w3id.org/coverpath/index")
MATERIALISED = (
    f"INSERT {{ ?a <{RDFS}subClassOf> ?c }} WHERE {{ ?a <{RDFS}subClassOf>+ ?c FILTER(isIRI(?a) && isIRI(?c)) }}",
    f"INSERT {{ ?s ?q ?o }} WHERE {{ ?p <{RDFS}subPropertyOf>+ ?q . ?s ?p ?o }}",
    f"INSERT {{ ?s a ?c }} WHERE {{ ?s a/<{RDFS}subClassOf>+ ?c FILTER(isIRI(?c)) }}",
)


def triples_of(determination: kg.Determination, id: str, media: str) -> bytes:
    """Write a determination as RDF under the name that the store gave it, with its whole proof."""
    told = replace(tell(determination), iri=DETERMINATIONS + id)
    return rewrite(to_ntriples(told), FORMATS[media], prefixes(told)).encode()


class Mark(NamedTuple):
    """How far an index has come: entry and hash of the journal, triples in all, knowledge in the default graph."""

    seq: int = 0
    hash: str = ""
    triples: int = 0
    knowledge: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """A named graph as it shall be."""

    name: str
    triples: bytes  # N-Triples


class Sink(Protocol):
    """Where an index is: a folder, or a server."""

    def mark(self) -> Mark:
        """Return how far it has come."""

    def begin(self, triples: Sequence[Triple], knowledge: str) -> Mark:
        """Put knowledge into an empty index."""

    def write(self, graphs: Sequence[Named], mark: Mark) -> Mark:
        """Put named graphs in place of those of their names, and move the mark."""

    def clear(self) -> None:
        """Empty it."""


class Index:
    """Follows a journal into a sink. Only the owner of the data directory's lock may have one."""

    def __init__(self, store: Store, knowledge: kg.Knowledge, address: str = "", mend: bool = True) -> None:
        self.store, self.knowledge = store, knowledge
        self._lock = (store.data / "index.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise StoreError("another process owns the index\nhelp: stop the service first") from None
        self._version = store.data / "version"
        self._mark = Mark()
        self._archive = Archive(store.data / "archive.sqlite")
        self._beside = ThreadPoolExecutor(1)
        self._merging: Future[float] | None = None
        self._merged = 0  # triples, when its files were last merged
        self._rested = 0.0  # when they may be again
        try:
            self.sink: Sink = Remote(address, store.data) if address else Local(store.data / "index")
            if mend:
                self._mark = self._opened()
                self._publish()
        except BaseException:  # a server that is away is tried again, with the lock
            self._archive.close()
            self._lock.close()
            raise

    def close(self) -> None:
        """Let go of the files."""
        self._archive.close()
        self._beside.shutdown()
        self._merging = None
        del self.sink
        gc.collect()  # the folder is locked until pyoxigraph's object is gone
        self._lock.close()

    def step(self) -> int:
        """Bring the next entries of the journal into the index, and return how many those were."""
        entries = self.store.since(self._mark.seq, BATCH)
        if entries:
            with self._archive.at_once():
                graphs = [graph for entry in entries for graph in self._graphs(entry)]
            last = entries[-1]
            mark = self._mark._replace(seq=last.seq, hash=last.hash.hex())
            self._mark = self.sink.write(list({graph.name: graph for graph in graphs}.values()), mark)
            self._publish()
        return len(entries)

    def tidy(self) -> None:
        """Merge the files of a folder beside the work, now and then: queries take half as long afterwards."""
        if self._merging is None:
            due = self._mark.triples > GROWN * self._merged and time.monotonic() >= self._rested
            if due and isinstance(self.sink, Local):
                self._merged = self._mark.triples
                self._merging = self._beside.submit(self.sink.merge)
        elif self._merging.done():
            self._rested = time.monotonic() + REST * self._merging.result()
            self._merging = None
            self._publish()

    def rebuild(self) -> None:
        """Empty the index; the steps that follow fill it from the journal."""
        self.sink.clear()
        self._mark = self.sink.begin(list(knowledge_triples(self.knowledge)), self.knowledge.hash)
        self._publish()

    def faults(self) -> Iterator[str]:
        """Yield where the index is not what the journal says: each named graph is compared."""
        if not isinstance(self.sink, Local):
            return
        try:
            mark = self.sink.mark()
        except (OSError, ValueError) as error:
            yield f"index: {error}"
            return
        expected: dict[str, Named] = {}
        for entry in _all(self.store, mark.seq):
            expected |= {graph.name: graph for graph in self._graphs(entry)}
        for name in sorted(self.sink.names() ^ set(expected)):
            yield f"index: the graph <{name}> is {'missing' if name in expected else 'not in the journal'}"
        for graph in expected.values():
            same = ox.Store()  # writes numbers and times as the index does
            same.bulk_load(graph.triples, format=ox.RdfFormat.N_TRIPLES)
            if self.sink.triples(graph.name) != _sorted(quad.triple for quad in same):
                yield f"index: the graph <{graph.name}> is not what the journal says"

    def _opened(self) -> Mark:
        try:
            mark = self.sink.mark()
        except (OSError, ValueError):
            mark = Mark(seq=-1)
        known = self.store.since(mark.seq - 1, 1) if mark.seq > 0 else []
        sound = mark.seq == 0 or (known and known[0].hash.hex() == mark.hash)
        if sound and mark.knowledge == self.knowledge.hash:
            return mark
        self.sink.clear()
        return self.sink.begin(list(knowledge_triples(self.knowledge)), self.knowledge.hash)

    def _publish(self) -> None:
        """Let readers see what is new."""
        publish(self.store.data, self.sink.store if isinstance(self.sink, Local) else None)
        part = self._version.with_name("indexed.part")
        part.write_text(f"{self._mark.seq}\n")
        part.replace(self._version.with_name("indexed"))

    def _graphs(self, entry: Entry) -> Iterator[Named]:
        if entry.kind == DETERMINATION:
            yield from self._determination(entry)
        elif entry.kind == REVIEW:
            review = review_of(entry)
            name = f"{DETERMINATIONS}{entry.id}/reviews/{entry.seq}"
            stored = self.store.get(entry.id)
            posture = review.posture or (stored.summary["posture"] if stored else "")
            triples: list[Triple] = [
                (name, TYPE, COV + "Review"),
                (name, COV + "ofLineDecision", f"{DETERMINATIONS}{entry.id}#line-{review.line}-{posture}"),
                (name, COV + "reviewer", Literal(review.reviewer)),
                (name, COV + "decision", self.knowledge.named("Decision")[review.decision]),
                (name, COV + "reason", Literal(review.reason)),
                (name, PROV + "generatedAtTime", Literal(review.made, XSD + "dateTime")),
            ]
            yield Named(name, _text(triples))

    def _determination(self, entry: Entry) -> Iterator[Named]:
        """Yield claim and determination, told by the knowledge that the determination was made with.

        What knowledge of another day made is kept in the archive, since no other can make it again.
        """
        kept = self._archive.get(entry.seq)
        if kept is None:
            summary = orjson.loads(entry.summary)
            if summary["knowledge"] != self.knowledge.hash:
                return  # `coverpath store check` tells
            claim = kg.parse_claim(unpack(entry.claim), "json", self.knowledge)
            determination = kg.determine(claim, self.knowledge, summary["policy"]["id"], summary["posture"])
            told = replace(tell(determination), iri=DETERMINATIONS + entry.id)
            when = _text([(told.iri, PROV + "generatedAtTime", Literal(entry.made, XSD + "dateTime"))])
            kept = (
                Named(claim.iri, _text(claim.facts)),
                Named(told.iri, to_ntriples(told, whole=False).encode() + when),
            )
            self._archive.put(entry.seq, *kept)
        yield from kept


def knowledge_triples(knowledge: kg.Knowledge) -> Iterator[Triple]:
    """Yield ontology, shapes and policies, and to which policy each criterion belongs."""
    yield from knowledge.graph
    for document in (*knowledge.policies.values(), *knowledge.guidelines):
        for iri in knowledge.criteria_of(document):
            yield iri, COV + "ofPolicy", document.iri


class Local:
    """An index in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._store: ox.Store | None = None

    @property
    def store(self) -> ox.Store:
        """Return the open store."""
        if self._store is None:
            self._store = ox.Store(str(self.path))
        return self._store

    def mark(self) -> Mark:
        """Return how far it has come; one that lost triples has come nowhere."""
        found = [quad.object for quad in self.store.quads_for_pattern(None, None, None, MARK)]
        marks = [Mark(*orjson.loads(term.value)) for term in found if isinstance(term, ox.Literal)]
        if not marks:
            return Mark()
        newest = max(marks)
        if len(self.store) - len(marks) != newest.triples:
            raise ValueError("the index does not hold what it should")
        return newest

    def begin(self, triples: Sequence[Triple], knowledge: str) -> Mark:
        """Put knowledge into an empty index."""
        self.store.bulk_load(_text(triples), format=ox.RdfFormat.N_TRIPLES)
        for update in MATERIALISED:
            self.store.update(update)
        mark = Mark(triples=len(self.store), knowledge=knowledge)
        self._move(mark)
        self.store.flush()
        return mark

    def write(self, graphs: Sequence[Named], mark: Mark) -> Mark:
        """Put named graphs in place of those of their names; readers see it when it is published."""
        count = mark.triples
        parts: list[bytes] = []
        for graph in graphs:
            name = ox.NamedNode(graph.name)
            old = list(self.store.quads_for_pattern(None, None, None, name))
            count += len(set(graph.triples.splitlines())) - len(old)
            if old:
                self.store.remove_graph(name)
            parts.append(graph.triples.replace(b" .\n", f" <{graph.name}> .\n".encode()))
        mark = mark._replace(triples=count)
        before = list(self.store.quads_for_pattern(None, None, None, MARK))
        parts.append(f"{_mark_quad(mark)} .\n".encode())
        self.store.bulk_load(b"".join(parts), format=ox.RdfFormat.N_QUADS)  # past the log: a third of the time
        for quad in before:
            self.store.remove(quad)
        self.store.flush()
        return mark

    def merge(self) -> float:
        """Merge the many files of small writes, while others are written; return how many seconds it took."""
        began = time.monotonic()
        self.store.optimize()
        return time.monotonic() - began

    def clear(self) -> None:
        """Empty it, whatever state its files are in."""
        self._store = None
        gc.collect()
        with contextlib.suppress(FileNotFoundError):
            old = self.path.with_name("index.old")
            shutil.rmtree(old, ignore_errors=True)
            self.path.rename(old)  # readers that have it open go on reading
            shutil.rmtree(old)

    def names(self) -> set[str]:
        """Return the names of the graphs that come from the journal."""
        return {graph.value for graph in self.store.named_graphs() if graph != MARK}

    def triples(self, name: str) -> list[str]:
        """Return the triples of a graph, sorted."""
        return _sorted(quad.triple for quad in self.store.quads_for_pattern(None, None, None, ox.NamedNode(name)))

    def _move(self, mark: Mark) -> None:
        self.store.add(_mark_quad(mark))


class _Here(urllib.request.HTTPRedirectHandler):
    """Follows nobody: a password is for the server that was named."""

    def redirect_request(self, *args: Any) -> None:
        """Take the redirect as the failure that it is."""


OPENER = urllib.request.build_opener(_Here)


class Remote:
    """An index on a server of SPARQL 1.1 Update; how far it has come stands in the data directory.

    The server must be given a dataset of its own: what else is in its default graph is removed.
    """

    def __init__(self, address: str, data: Path) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise StoreError("the store is not an http address\nhelp: give the server's address for SPARQL Update")
        host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        self.address = urlunsplit(parts._replace(netloc=host))
        self._path = data / "pushed.json"
        self._headers = {"Content-Type": "application/sparql-update"}
        if parts.username:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = f"Basic {b64encode(user).decode()}"

    def mark(self) -> Mark:
        """Return how far it has come."""
        try:
            address, *mark = orjson.loads(self._path.read_bytes())
        except FileNotFoundError:
            return Mark()
        return Mark(*mark) if address == self.address else Mark()

    def begin(self, triples: Sequence[Triple], knowledge: str) -> Mark:
        """Put knowledge into an empty index."""
        self._update("INSERT DATA {\n", _text(triples).decode(), "}", *(f" ;\n{text}" for text in MATERIALISED))
        return self._moved(Mark(knowledge=knowledge))

    def write(self, graphs: Sequence[Named], mark: Mark) -> Mark:
        """Put named graphs in place of those of their names, in one request."""
        drops = (f"DROP SILENT GRAPH <{graph.name}> ;\n" for graph in graphs)
        inserts = (f"GRAPH <{graph.name}> {{\n{graph.triples.decode()}}}\n" for graph in graphs)
        if graphs:
            self._update(*drops, "INSERT DATA {\n", *inserts, "}")
        return self._moved(mark)

    def clear(self) -> None:
        """Empty it."""
        self._path.unlink(missing_ok=True)
        self._update("DROP ALL")

    def _update(self, *parts: str) -> None:
        request = urllib.request.Request(self.address, "".join(parts).encode(), self._headers, method="POST")
        with OPENER.open(request, timeout=60) as answer:
            answer.read()

    def _moved(self, mark: Mark) -> Mark:
        part = self._path.with_suffix(".part")
        part.write_bytes(orjson.dumps([self.address, *mark]))
        part.replace(self._path)
        return mark


class Archive:
    """Claims and determinations as triples, for when other knowledge is in force; derived, like the index."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS graphs (seq INTEGER PRIMARY KEY, claim TEXT NOT NULL, facts BLOB NOT NULL,"
            " determination TEXT NOT NULL, triples BLOB NOT NULL) STRICT"
        )

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Write what is put within to disk together."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def get(self, seq: int) -> tuple[Named, Named] | None:
        """Return claim and determination of an entry, if they are kept."""
        row = self._connection.execute("SELECT * FROM graphs WHERE seq = ?", (seq,)).fetchone()
        return (Named(row[1], unpack(row[2])), Named(row[3], unpack(row[4]))) if row else None

    def put(self, seq: int, claim: Named, determination: Named) -> None:
        """Keep claim and determination of an entry."""
        row = (seq, claim.name, pack(claim.triples), determination.name, pack(determination.triples))
        self._connection.execute("INSERT OR REPLACE INTO graphs VALUES (?, ?, ?, ?, ?)", row)


def _text(triples: Iterable[Triple]) -> bytes:
    return ntriples(triples).encode()


def _sorted(triples: Iterable[Any]) -> list[str]:
    return sorted({f"{t.subject} {t.predicate} {t.object}" for t in triples})


def _mark_quad(mark: Mark) -> ox.Quad:
    return ox.Quad(MARK, MARK, ox.Literal(orjson.dumps(list(mark)).decode()), MARK)


def _all(store: Store, until: int) -> Iterator[Entry]:
    seq = 0
    while seq < until and (entries := store.since(seq)):
        yield from (entry for entry in entries if entry.seq <= until)
        seq = entries[-1].seq


def indexed(data: Path) -> int:
    """Return the newest entry of the journal that queries see."""
    try:
        return int((data / "indexed").read_text())
    except (OSError, ValueError):
        return 0


def follow(index: Index, quit: int) -> None:
    """Follow the journal until there is something to read, or the end of it, on the descriptor `quit`."""
    wait, written = 0.0, time.monotonic()
    while not select.select([quit], [], [], wait)[0]:
        began = time.monotonic()
        try:
            taken = index.step()
            written = began if taken else written
            if began - written >= QUIET:  # writes, and answers on the same cores, would have to wait for it
                index.tidy()
            wait = 0.0 if taken == BATCH else max(0.0, began + PAUSE - time.monotonic())
        except urllib.error.URLError as error:  # the server is away: try again, and lose nothing
            print(f"index: the server cannot be reached: {type(error).__name__}", file=sys.stderr)
            wait = 5.0


def main() -> None:
    """Own the index of a data directory: `python -m api.index FOLDER [ADDRESS]`."""
    os.nice(10)  # answers go first
    try:
        _own(Path(sys.argv[1]), (sys.argv[2:] or [""])[0])
    except StoreError as error:
        sys.exit(f"index: {error}")
    except Exception as error:  # told by kind and place, since its words may repeat a claim
        place = traceback.extract_tb(error.__traceback__)[-1]
        sys.exit(f"index: {type(error).__name__} in {place.name}, line {place.lineno}")


def _own(folder: Path, address: str) -> None:
    store = Store(folder)
    while True:
        try:
            index = Index(store, kg.load_knowledge(), address)
        except urllib.error.URLError:
            time.sleep(5)
            continue
        break
    with contextlib.closing(store), contextlib.closing(index):
        follow(index, sys.stdin.fileno())
        while index.step():  # what was acknowledged before the end
            pass


if __name__ == "__main__":
    main()
