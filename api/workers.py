"""A pool of workers that answer queries: each may be killed, and is then replaced."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

from api.worker import ADDRESS, MEMORY

Value = str | tuple[str, str]  # an IRI, or a literal and its datatype


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query may cost."""

    seconds: float = 5.0  # from when it arrives, the wait for a free worker included
    memory: int = 512 * 2**20  # bytes, beyond what an idle worker has
    rows: int = 100_000
    bytes: int = 64 * 2**20  # of the answer


@dataclass(frozen=True, slots=True)
class Question:
    """A query, the formats that are welcome, values for some of its variables, and the graphs that it sees."""

    query: str
    accept: str = "*/*"
    values: Mapping[str, Value] = field(default_factory=dict)
    default: tuple[str, ...] = ()
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query found; `capped` where there is more than a query may return."""

    media: str
    body: bytes
    rows: int
    capped: bool
    seconds: float  # of the processor


class QueryError(Exception):
    """A query that was not answered: the status of HTTP that says so, and why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Pool:
    """Workers over one data directory, or over the server at an address, started before they are needed.

    Use it as `async with Pool(data) as pool`, or call `start_soon` while the store is still being made, and `stop`.
    """

    def __init__(self, data: Path, size: int = 2, limits: Limits | None = None, address: str = "") -> None:
        self.data = data
        self.address = address
        self.size = size
        self.limits = limits or Limits()
        self._free: asyncio.Queue[_Worker] = asyncio.Queue()
        self._all: set[_Worker] = set()
        self._starting: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start all workers; raise OSError where the store cannot be read."""
        try:
            await asyncio.gather(*(self._add() for _ in range(self.size)))
        except BaseException:
            await self.stop()
            raise

    def start_soon(self) -> None:
        """Start all workers, as soon as the store can be read; until then queries wait, and are told so."""
        for _ in range(self.size):
            self._begin(self._add_when_possible())

    async def stop(self) -> None:
        """End all workers."""
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(*(worker.kill() for worker in self._all))
        self._all.clear()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def ask(self, question: Question) -> Answer:
        """Answer a query, or raise QueryError; a worker that does not answer in time is killed."""
        worker = None
        try:
            async with asyncio.timeout(self.limits.seconds) as deadline:
                worker = await self._living()
                while worker.process.returncode is not None:  # it died while nothing was asked of it
                    self._replace(worker)
                    worker = await self._living()
                try:
                    head, body = await worker.ask(question, self.limits)
                except BaseException:  # an answer that nobody waits for would be read as the next one
                    self._replace(worker)
                    raise
                self._free.put_nowait(worker)
        except TimeoutError:
            if not deadline.expired():
                raise
            limit = f"{self.limits.seconds:g} s"
            if worker is None:
                raise QueryError(HTTPStatus.SERVICE_UNAVAILABLE, f"no worker was free within {limit}") from None
            raise QueryError(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"the query was stopped at the time limit of {limit}; {NARROW}"
            ) from None
        return _answer(head, body)

    async def _living(self) -> "_Worker":
        """Return a free worker; one that something ended while it was idle is replaced."""
        while (worker := await self._free.get()).process.returncode is not None:
            self._replace(worker)
        return worker

    async def _add(self) -> None:
        worker = await _Worker.started(self.data, self.limits, self.address)
        self._all.add(worker)
        self._free.put_nowait(worker)

    def _replace(self, worker: "_Worker") -> None:
        self._all.discard(worker)

        async def replace() -> None:
            await worker.kill()
            await self._add_when_possible()

        self._begin(replace())

    async def _add_when_possible(self) -> None:
        while True:
            with suppress(OSError):
                return await self._add()
            await asyncio.sleep(1)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a worker is spoken to through pipes")
        self.process, self.stdin, self.stdout = process, process.stdin, process.stdout

    @classmethod
    async def started(cls, data: Path, limits: Limits, address: str) -> "_Worker":
        """Start a worker, and wait until it is ready.

        Never by a fork: this process may hold locks and threads of the store, which a fork would copy half.
        """
        shown = (data, limits.memory, max(1, round(limits.seconds)), limits.bytes)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "api.worker", *map(str, shown)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # what a dying engine says may hold what it read
            env={**os.environ, "MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system", ADDRESS: address},
        )
        worker = cls(process)
        try:
            async with asyncio.timeout(60):
                ready = await worker.stdout.readline()
        except BaseException:
            await worker.kill()
            raise
        if ready != b"ready\n":
            await worker.kill()
            raise OSError(f"{data} holds no index that can be read")
        return worker

    async def ask(self, question: Question, limits: Limits) -> tuple[dict[str, Any], bytes]:
        """Return the head and the body of the answer; raise QueryError where the worker dies of the query."""
        request = {
            "query": question.query,
            "accept": question.accept,
            "rows": limits.rows,
            "values": dict(question.values),
            "default": question.default,
            "named": question.named,
        }
        try:
            self.stdin.write(json.dumps(request).encode() + b"\n")
            await self.stdin.drain()
            head = json.loads(await self.stdout.readuntil(b"\n"))
            return head, await self.stdout.readexactly(head["bytes"])
        except (asyncio.IncompleteReadError, ConnectionError):
            status = await self.process.wait()
            died = DEATHS.get(status, "the query ended the process that ran it")
            raise QueryError(HTTPStatus.UNPROCESSABLE_ENTITY, died) from None

    async def kill(self) -> None:
        """End the process, whatever it does."""
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        self.stdin.close()


NARROW = "narrow it, or add LIMIT"
DEATHS = {
    -signal.SIGABRT: f"the query was stopped at the memory limit; {NARROW}",
    MEMORY: f"the query was stopped at the memory limit; {NARROW}",
    -signal.SIGXCPU: f"the query was stopped at the limit of processor time; {NARROW}",
    -signal.SIGSEGV: "the query is nested too deeply to be run",
}


def _answer(head: Mapping[str, Any], body: bytes) -> Answer:
    if "refused" in head:
        raise QueryError(HTTPStatus.BAD_REQUEST, head["refused"])
    if "offers" in head:
        raise QueryError(HTTPStatus.NOT_ACCEPTABLE, f"this query answers as {', '.join(head['offers'])}")
    if "failed" in head:
        raise QueryError(HTTPStatus.BAD_GATEWAY, head["failed"])
    if "large" in head:
        raise QueryError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the answer is too large; narrow the query")
    return Answer(head["media"], body, head["rows"], head.get("capped", False), head["seconds"])
