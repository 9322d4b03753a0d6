"""The store: every determination, review and key in one append-only journal in SQLite.

Each entry carries a keyed hash of itself and of the entry before, and the newest hash is written beside the database
as well, the anchored head. So an edit, a deletion, a swap, an insertion, a cut tail and a rewritten chain all show.
An entry is acknowledged when it is on disk; entries that wait together are written together.
"""

import fcntl
import hashlib
import hmac
import os
import queue
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import zstandard

import kg
from kg.convert import convert

DETERMINATION = "determination"
REVIEW = "review"
KEY = "key"
REVOCATION = "revocation"
DATABASE = "journal.sqlite"
HEAD = "head"
MAX_GROUP = 256
SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,        -- of the determination, or of the key
    actor TEXT NOT NULL,     -- the key that asked for it; empty where there are no keys
    made TEXT NOT NULL,
    replay TEXT NOT NULL,    -- hash of actor and idempotency key, or empty
    request TEXT NOT NULL,   -- hash of what was sent with that key
    summary TEXT NOT NULL,   -- of a determination, for lists
    claim BLOB NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS entry_of ON entry (kind, seq);
CREATE INDEX IF NOT EXISTS entry_by ON entry (id, kind);
CREATE UNIQUE INDEX IF NOT EXISTS entry_once ON entry (replay) WHERE replay != '';
CREATE TRIGGER IF NOT EXISTS entry_stays BEFORE UPDATE ON entry
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS entry_remains BEFORE DELETE ON entry
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""
COLUMNS = "seq, kind, id, actor, made, replay, request, summary, claim, body, hash"


class StoreError(kg.CoverpathError):
    """The store is not as it was written."""


class ReplayError(kg.CoverpathError):
    """An idempotency key came again with another request."""


def new_id() -> str:
    """Return a name that says nothing of what it names."""
    return secrets.token_hex(16)


def now() -> str:
    """Return the time in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Draft:
    """What an entry says before it has a place in the journal; `claim` and `body` are compressed."""

    kind: str
    body: bytes
    claim: bytes = b""
    id: str = field(default_factory=new_id)
    actor: str = ""
    replay: str = ""
    request: str = ""
    summary: str = ""
    made: str = field(default_factory=now)


class Entry(NamedTuple):
    """One row of the journal."""

    seq: int
    kind: str
    id: str
    actor: str
    made: str
    replay: str
    request: str
    summary: str
    claim: bytes
    body: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A determination as it was answered, with the claim that it is of."""

    entry: Entry
    replayed: bool = False

    @property
    def id(self) -> str:
        """Return the opaque name of the determination."""
        return self.entry.id

    @property
    def made(self) -> str:
        """Return when it was made, in UTC."""
        return self.entry.made

    @property
    def claim(self) -> str:
        """Return the claim document as JSON."""
        return unpack(self.entry.claim).decode()

    @property
    def determination(self) -> str:
        """Return the determination as JSON, byte for byte as it was answered."""
        return unpack(self.entry.body).decode()

    @property
    def summary(self) -> dict[str, Any]:
        """Return what a list shows of it."""
        value: dict[str, Any] = orjson.loads(self.entry.summary)
        return {"id": self.id, "made": self.made, **value}


@dataclass(frozen=True, slots=True)
class Review:
    """What a person decided on a line."""

    determination: str
    line: int
    reviewer: str
    decision: str
    reason: str
    posture: str | None
    made: str

    def to_dict(self) -> dict[str, Any]:
        """Return the review as the service answers it."""
        return {
            "line": self.line,
            **({"posture": self.posture} if self.posture else {}),
            "reviewer": self.reviewer,
            "decision": self.decision,
            "reason": self.reason,
            "made": self.made,
        }


class Head(NamedTuple):
    """The newest entry of the journal: its number, and the hash that stands for it and all before it."""

    seq: int
    hash: bytes


NOTHING = Head(0, b"")


class Store:
    """The journal of one data directory; several processes may have it open.

    Raises StoreError where its head is not in it, unless it is opened to be checked.
    """

    def __init__(self, data: Path, checked: bool = True) -> None:
        self.data = Path(data)
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = self.data / DATABASE
        self._secret = _made(self.data / "journal.key", secrets.token_bytes(32))
        if not self.path.exists():
            _made(self.data / HEAD, _anchored(NOTHING))
        self._queue: queue.SimpleQueue[tuple[Draft, Future[Stored]] | None] = queue.SimpleQueue()
        self._reading = threading.Lock()
        try:
            self._reader = _connect(self.path)
            self._reader.executescript(SCHEMA)
            faults = list(self._head_faults(self._reader)) if checked else []
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{DATABASE} cannot be read: {error}\nhelp: restore the data directory") from None
        if faults:
            raise StoreError(f"{faults[0]}\nhelp: `coverpath store check` says more; restore the data directory")
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    def close(self) -> None:
        """Write what waits, and let go of the files."""
        self._queue.put(None)
        self._writer.join()
        self._reader.close()

    # Writing

    def submit(self, draft: Draft) -> "Future[Stored]":
        """Append an entry; the future is done when it is on disk."""
        future: Future[Stored] = Future()
        self._queue.put((draft, future))
        return future

    def save(self, claim: kg.Claim, determination: kg.Determination, idempotency_key: str | None = None) -> Stored:
        """Append a determination, and return it when it is on disk.

        With the idempotency key of an earlier one, that is returned; raises ReplayError where it was of another claim.
        """
        document = convert(claim, determination.knowledge, "json").encode()
        value = determination.to_dict()
        replay, request = replay_of("", idempotency_key or "", document + determination.posture.encode())
        summary = summary_of(value)
        draft = Draft(
            DETERMINATION, pack(compact(value)), pack(document), replay=replay, request=request, summary=summary
        )
        return self.submit(draft).result()

    def review(
        self, id: str, line: int, reviewer: str, decision: str, reason: str, posture: str | None = None, actor: str = ""
    ) -> Review:
        """Append what a person decided on a line.

        Raises LookupError where there is no such determination or line.
        """
        stored = self.get(id)
        if stored is None:
            raise LookupError("no determination has this identifier")
        if line not in [item["line"] for item in orjson.loads(stored.determination)["lines"]]:
            raise LookupError("the determination has no such line")
        value = {"line": line, "reviewer": reviewer, "decision": decision, "reason": reason, "posture": posture}
        written = self.submit(Draft(REVIEW, pack(compact(value)), id=id, actor=actor)).result()
        return Review(id, line, reviewer, decision, reason, posture, written.made)

    def _write(self) -> None:
        with closing(_connect(self.path)) as connection:
            while (first := self._queue.get()) is not None:
                group = [first]
                while len(group) < MAX_GROUP and not self._queue.empty():
                    if (item := self._queue.get()) is None:
                        self._queue.put(None)  # for the loop above, after this group
                        break
                    group.append(item)
                self._commit(connection, group)

    def _commit(self, connection: sqlite3.Connection, group: Sequence[tuple[Draft, "Future[Stored]"]]) -> None:
        answers: list[Stored | Exception] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            head = _head(connection)
            for draft, _ in group:
                answer: Stored | Exception | None = _replayed(connection, draft) if draft.replay else None
                if answer is None:
                    entry = self._entry(head, draft)
                    connection.execute(f"INSERT INTO entry ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?)", entry)
                    head, answer = Head(entry.seq, entry.hash), Stored(entry)
                answers.append(answer)
            connection.execute("COMMIT")
            self._anchor(head)
        except (sqlite3.Error, OSError) as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            answers = [StoreError(f"the journal cannot be written: {type(error).__name__}") for _ in group]
        for (_, future), answer in zip(group, answers, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _entry(self, head: Head, draft: Draft) -> Entry:
        told = (draft.kind, draft.id, draft.actor, draft.made, draft.replay, draft.request, draft.summary)
        entry = Entry(head.seq + 1, *told, draft.claim, draft.body, b"")
        return entry._replace(hash=self._hash(head.hash, entry))

    def _hash(self, before: bytes, entry: Entry) -> bytes:
        parts = [before]
        for value in entry[:-1]:
            data = value if isinstance(value, bytes) else str(value).encode()
            parts += (len(data).to_bytes(8, "big"), data)
        return hmac.digest(self._secret, b"".join(parts), hashlib.sha256)

    def _anchor(self, head: Head) -> None:
        """Write the head beside the database, unless another process wrote a newer one."""
        with (self.data / HEAD).open("r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _parsed(file.read()).seq < head.seq:
                os.pwrite(file.fileno(), _anchored(head), 0)  # of one length always: never half of it

    # Reading

    def get(self, id: str) -> Stored | None:
        """Return a determination, if there is one.

        Raises StoreError where it is not as it was written.
        """
        rows = self._read("WHERE id = ? AND kind = ?", id, DETERMINATION)
        if not rows:
            return None
        before = self._read("WHERE seq = ?", rows[0].seq - 1)
        if self._hash(before[0].hash if before else b"", rows[0]) != rows[0].hash:
            raise StoreError("a stored determination is not as it was written\nhelp: `coverpath store check`")
        return Stored(rows[0])

    def find(self, replay: str) -> Stored | None:
        """Return what was stored with an idempotency key, if anything."""
        rows = self._read("WHERE replay = ?", replay) if replay else []
        return Stored(rows[0], replayed=True) if rows else None

    def page(self, after: str | None = None, limit: int = 50) -> list[Stored]:
        """Return determinations, the newest first; `after` is the last one of the page before.

        Raises LookupError where `after` is no determination.
        """
        below = 2**62
        if after is not None:
            rows = self._read("WHERE id = ? AND kind = ?", after, DETERMINATION)
            if not rows:
                raise LookupError("no determination has this identifier")
            below = rows[0].seq
        found = self._read("WHERE kind = ? AND seq < ? ORDER BY seq DESC LIMIT ?", DETERMINATION, below, limit)
        return [Stored(row) for row in found]

    def reviews(self, id: str) -> list[Review]:
        """Return what people decided on the lines of a determination, the first first."""
        return [review_of(row) for row in self._read("WHERE id = ? AND kind = ? ORDER BY seq", id, REVIEW)]

    def since(self, seq: int, limit: int = MAX_GROUP) -> list[Entry]:
        """Return the entries that follow one, in order."""
        return self._read("WHERE seq > ? ORDER BY seq LIMIT ?", seq, limit)

    def of_kind(self, *kinds: str) -> list[Entry]:
        """Return all entries of some kinds, in order."""
        return self._read(f"WHERE kind IN ({','.join('?' * len(kinds))}) ORDER BY seq", *kinds)

    def head(self) -> Head:
        """Return the newest entry."""
        with self._reading:
            return _head(self._reader)

    def _read(self, where: str, *values: object) -> list[Entry]:
        with self._reading:
            return [Entry(*row) for row in self._reader.execute(f"SELECT {COLUMNS} FROM entry {where}", values)]

    # Checking

    def check(self, kept: Head | None = None) -> Iterator[str]:
        """Yield what is not as it was written: in the file, in the chain, at its head.

        `kept` is a head that was kept elsewhere. It finds what someone did who can write every file here.
        """
        with closing(_connect(self.path)) as connection:
            try:
                yield from self._chain_faults(connection, kept)
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                yield f"{DATABASE} cannot be read: {error}"

    def _chain_faults(self, connection: sqlite3.Connection, kept: Head | None) -> Iterator[str]:
        yield from (f"{DATABASE}: {said}" for (said,) in connection.execute("PRAGMA integrity_check") if said != "ok")
        head, met = NOTHING, kept is None or kept.seq == 0
        for row in connection.execute(f"SELECT {COLUMNS} FROM entry ORDER BY seq"):
            entry = Entry(*row)
            if entry.seq != head.seq + 1:
                yield f"entry {head.seq + 1} is missing"
            if self._hash(head.hash, entry) != entry.hash:
                yield f"entry {entry.seq} is not as it was written"
            head = Head(entry.seq, entry.hash)
            met = met or head == kept
        yield from self._head_faults(connection)
        if not met:
            yield "the head that was kept elsewhere is not in the journal"

    def _head_faults(self, connection: sqlite3.Connection) -> Iterator[str]:
        try:
            anchored = _parsed((self.data / HEAD).read_bytes())
        except (OSError, ValueError):
            yield "the anchored head is missing, or not as it was written"
            return
        found = connection.execute("SELECT hash FROM entry WHERE seq = ?", (anchored.seq,)).fetchone()
        if anchored.seq and (found is None or found[0] != anchored.hash):
            yield f"the journal does not hold entry {anchored.seq} as the anchored head knows it"


def compact(value: Any) -> bytes:
    """Write JSON as the service sends and stores it."""
    return orjson.dumps(value)


def summary_of(determination: Mapping[str, Any]) -> str:
    """Return what a list shows of a determination, as JSON."""
    shown = {name: determination[name] for name in ("claim", "policy", "serviceDate", "posture", "decision")}
    lines = [{name: line[name] for name in ("line", "code", "decision")} for line in determination["lines"]]
    return compact({**shown, "lines": lines, "knowledge": determination["knowledge"]}).decode()


class _Codec(threading.local):
    """What compresses, for each thread its own: to make it takes longer than to use it."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=1)
        self.decompressor = zstandard.ZstdDecompressor()


_codec = _Codec()


def pack(data: bytes) -> bytes:
    """Compress what the journal keeps."""
    return _codec.compressor.compress(data)


def unpack(data: bytes) -> bytes:
    """Return what was compressed."""
    return _codec.decompressor.decompress(data)


def replay_of(actor: str, key: str, request: bytes) -> tuple[str, str]:
    """Return the hashes by which an idempotency key and its request are known; keys themselves are not kept."""
    if not key:
        return "", ""
    return hashlib.sha256(f"{actor}\0{key}".encode()).hexdigest(), hashlib.sha256(request).hexdigest()


def review_of(entry: Entry) -> Review:
    """Return the review that an entry of the journal holds."""
    value = orjson.loads(unpack(entry.body))
    return Review(determination=entry.id, made=entry.made, **value)


def _replayed(connection: sqlite3.Connection, draft: Draft) -> Stored | ReplayError | None:
    row = connection.execute(f"SELECT {COLUMNS} FROM entry WHERE replay = ?", (draft.replay,)).fetchone()
    if row is None:
        return None
    entry = Entry(*row)
    if entry.request != draft.request:
        return ReplayError("this idempotency key came before with another request")
    return Stored(entry, replayed=True)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _head(connection: sqlite3.Connection) -> Head:
    row = connection.execute("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
    return Head(*row) if row else NOTHING


def _parsed(data: bytes) -> Head:
    seq, _, digest = data.decode("ascii").strip().partition(" ")
    head = Head(int(seq), bytes.fromhex(digest))
    if len(head.hash) != (32 if head.seq else 0):
        raise ValueError("the hash is cut")
    return head


def _anchored(head: Head) -> bytes:
    return b"%020d %-64s\n" % (head.seq, head.hash.hex().encode())


def _made(path: Path, first: bytes) -> bytes:
    """Return what a small file of ours holds; the first process to come makes it, whole."""
    if not path.exists():
        part = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(first)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(part, path)
        part.unlink()
    return path.read_bytes()
