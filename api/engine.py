"""The engine behind the service: processes that determine one claim at a time, each with limits of time and memory.

A claim that is slow, or that brings a parser down, takes its process with it and nothing else; another takes the place.
Run as a module this is such a process: jobs on standard input, answers on standard output, both as frames of parts.
"""

import asyncio
import resource
import struct
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

import orjson

import kg
from api.answers import HTML, JSON
from api.store import compact, new_id, pack, summary_of, unpack
from kg.errors import Fault

MEMORY = 1 << 30
WAITING = 200  # jobs for each process; those that come on top are sent away
MODULE = "api.engine"
COMPARISON, PICTURE = "comparison", "picture"  # what pages show of a claim besides: made here, told as JSON
COUNT = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Job:
    """A claim as it was sent, and what to make of it; `id` names a determination that is shown again."""

    body: bytes
    format: str = "json"
    policy: str | None = None
    posture: str = "advisory"
    media: str = JSON
    id: str = ""
    proof: bytes = b""  # a determination of the claim that is replayed, and nothing made


@dataclass(frozen=True, slots=True)
class Answer:
    """A determination as it was asked for, and as the journal keeps it (`claim` and `kept` are compressed).

    What is asked for as JSON is what is kept, and comes once.
    """

    id: str
    summary: str
    other: bytes
    claim: bytes
    kept: bytes

    @property
    def content(self) -> bytes:
        """Return the determination as it was asked for."""
        return self.other or unpack(self.kept)


class EngineError(kg.CoverpathError):
    """No determination was made, and the claim is not known to be at fault."""


class BusyError(EngineError):
    """More claims wait than can be determined in time."""


class LimitError(EngineError):
    """A claim took more time or memory than one determination may."""


class Engine:
    """A few processes that determine; the process that serves HTTP only passes bytes on."""

    def __init__(self, size: int, deadline: float) -> None:
        self.size = size
        self.deadline = deadline
        self.alive = 0
        self.waiting = 0
        self.replaced = 0
        self._idle: asyncio.Queue[_Process] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start the processes; the first one is ready on return."""
        starting = [asyncio.create_task(self._add()) for _ in range(self.size)]
        done, rest = await asyncio.wait(starting, return_when=asyncio.FIRST_COMPLETED)
        self._keep(*rest)
        for task in done:
            task.result()

    async def close(self) -> None:
        """End the processes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while not self._idle.empty():
            await self._idle.get_nowait().end()

    async def determine(self, job: Job) -> Answer:
        """Determine a claim.

        Raises ClaimError where the claim is at fault, LimitError where it takes too long or too much memory.
        """
        if self.waiting >= WAITING * self.size:
            raise BusyError("too many claims wait; send this one again later")
        self.waiting += 1
        until = asyncio.get_running_loop().time() + self.deadline  # waiting is part of it
        try:
            async with asyncio.timeout_at(until):
                process = await self._idle.get()
        except TimeoutError:
            raise BusyError("too many claims wait; send this one again later") from None
        finally:
            self.waiting -= 1
        try:
            async with asyncio.timeout_at(until):
                parts = await process.ask(_job_parts(job))
        except BaseException as error:  # also where the request was given up: what the process still says is not ours
            process.kill()
            self.alive -= 1
            self.replaced += 1
            self._keep(asyncio.create_task(self._add()))
            if isinstance(error, TimeoutError | asyncio.IncompleteReadError | ConnectionError):
                raise LimitError("the claim takes more than one determination may; nothing was determined") from None
            raise
        self._idle.put_nowait(process)
        return _answer(parts)

    async def _add(self) -> None:
        process = _Process(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", MODULE),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=1 << 22,  # an answer is read in one piece
                stderr=asyncio.subprocess.DEVNULL,  # what a traceback may repeat of a claim
            )
        )
        try:
            await process.ready()
        except BaseException:
            await process.end()
            raise
        self.alive += 1
        self._idle.put_nowait(process)

    def _keep(self, *tasks: "asyncio.Task[None]") -> None:
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


class _Process:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        assert process.stdout
        self._process, self._in, self._out = process, process.stdin, process.stdout

    async def ready(self) -> None:
        """Wait until the knowledge is read."""
        try:
            await self._read()
        except asyncio.IncompleteReadError:
            raise EngineError("a process that determines could not start") from None

    async def ask(self, parts: Sequence[bytes]) -> list[bytes]:
        """Send a job and wait for its answer."""
        self._in.write(_frame(parts))
        await self._in.drain()
        return await self._read()

    async def _read(self) -> list[bytes]:
        (count,) = COUNT.unpack(await self._out.readexactly(COUNT.size))
        sizes = struct.unpack(f">{count}I", await self._out.readexactly(4 * count))
        return [await self._out.readexactly(size) for size in sizes]

    def kill(self) -> None:
        """End the process in the middle of a job."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """End an idle process."""
        self.kill()
        await self._process.wait()


def _frame(parts: Sequence[bytes]) -> bytes:
    return b"".join((struct.pack(f">{len(parts) + 1}I", len(parts), *map(len, parts)), *parts))


def _job_parts(job: Job) -> list[bytes]:
    options = (job.format, job.policy, job.posture, job.media, job.id)
    return [orjson.dumps(options), job.body, job.proof]


def _answer(parts: Sequence[bytes]) -> Answer:
    head = orjson.loads(parts[0])
    if "faults" in head:
        raise kg.ClaimError((Fault(*fault) for fault in head["faults"]), head["claim"])
    if "failed" in head:
        raise EngineError(head["failed"])
    return Answer(head["id"], head["summary"], *parts[1:])


# In the process


def answer(job: Job, knowledge: kg.Knowledge) -> Answer:
    """Determine a claim and write the determination, as asked for and as the journal keeps it."""
    from api.spine import spine
    from kg.compare import compare
    from kg.convert import convert
    from kg.html import page
    from kg.verify import verify

    def told(value: object) -> Answer:
        return Answer("", "", compact(value), b"", b"")

    claim = kg.parse_claim(job.body, job.format, knowledge)
    if job.proof:
        return told([str(failure) for failure in verify(orjson.loads(job.proof), claim, knowledge)])
    if job.media == COMPARISON:
        return told(compare(claim, knowledge, job.posture))
    determination = kg.determine(claim, knowledge, job.policy, job.posture)
    if job.media == PICTURE:
        return told(spine(determination))
    id = job.id or new_id()
    value = determination.to_dict()
    other = b""
    if job.media == HTML:
        other = page([value]).encode()
    elif job.media != JSON:
        from api.index import triples_of

        other = triples_of(determination, id, job.media)
    document = convert(claim, knowledge, "json").encode()
    return Answer(id, summary_of(value), other, pack(document), pack(compact(value)))


def _told(job: Job, knowledge: kg.Knowledge) -> list[bytes]:
    try:
        made = answer(job, knowledge)
    except kg.ClaimError as error:
        return [orjson.dumps({"faults": [list(fault) for fault in error.faults], "claim": error.claim})]
    except MemoryError:
        raise
    except Exception as error:  # a fault of ours: told by kind and place, since its words may repeat the claim
        place = traceback.extract_tb(error.__traceback__)[-1]
        return [orjson.dumps({"failed": f"{type(error).__name__} in {place.name}, line {place.lineno}"})]
    return [orjson.dumps({"id": made.id, "summary": made.summary}), made.other, made.claim, made.kept]


def _serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    knowledge = kg.load_knowledge()
    kg.prepare(knowledge)
    _say(answers, [b"ready"])
    while head := jobs.read(COUNT.size):
        (count,) = COUNT.unpack(head)
        sizes = struct.unpack(f">{count}I", jobs.read(4 * count))
        options, body, proof = (jobs.read(size) for size in sizes)
        format, policy, posture, media, id = orjson.loads(options)
        _say(answers, _told(Job(body, format, policy, posture, media, id, proof), knowledge))


def _say(answers: BinaryIO, parts: Sequence[bytes]) -> None:
    answers.write(_frame(parts))
    answers.flush()


def main() -> None:
    """Determine what comes in, until nothing comes any more."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(MemoryError, KeyboardInterrupt, BrokenPipeError):
        _serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
