"""Measure the service under a steady load and at its limit, beside a naive FastAPI + pySHACL service in the same run.

python -m benchmarks.service [SECONDS]
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx

from tests.conftest import example
from tests.service import Service, free_port

STEADY = 50.0  # requests a second
AT_ONCE = 8  # connections that send as fast as they are answered


class Connection:
    """One connection that is kept, with as little of a client's own cost as can be."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, body: bytes) -> float | None:
        """Send a claim, and return the seconds until its whole answer was there; None where it was sent away."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        reader, writer = self._streams
        began = time.perf_counter()
        head = "POST /determinations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        size = next(int(field.partition(":")[2]) for field in fields if field.lower().startswith("content-length:"))
        await reader.readexactly(size)
        return time.perf_counter() - began if " 200 " in status else None

    def close(self) -> None:
        """Hang up."""
        if self._streams:
            self._streams[1].close()


def claims() -> Iterator[bytes]:
    """Yield distinct claims of five lines, without end."""
    number = 0
    while True:
        number += 1
        yield json.dumps({**example("c01"), "id": f"bench-{number}"}).encode()


async def steady(port: int, seconds: float, rate: float) -> list[float | None]:
    """Send claims at a steady rate, whether those before are answered or not; return what each took."""
    idle: list[Connection] = []
    used: list[Connection] = []

    async def one(body: bytes) -> float | None:
        connection = idle.pop() if idle else Connection(port)
        if connection not in used:
            used.append(connection)
        took = await connection.send(body)
        idle.append(connection)
        return took

    began, bodies = time.perf_counter(), claims()
    tasks = []
    for number in range(int(seconds * rate)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(one(next(bodies))))
    took = await asyncio.gather(*tasks)
    for connection in used:
        connection.close()
    return list(took)


async def limit(port: int, seconds: float) -> tuple[list[float | None], float]:
    """Send as fast as is answered; return what each took, and how many were answered a second."""
    until, bodies, took = time.perf_counter() + seconds, claims(), list[float | None]()

    async def one() -> None:
        connection = Connection(port)
        while time.perf_counter() < until:
            took.append(await connection.send(next(bodies)))
        connection.close()

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return took, len(took) / seconds


async def stale(port: int) -> float:
    """Return the seconds until queries saw a claim that was just acknowledged."""
    connection = Connection(port)
    await connection.send(next(claims()))
    connection.close()
    began = time.perf_counter()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        while True:
            state = (await client.get("/ready")).json()
            if state["indexed"] >= state["entries"]:
                return time.perf_counter() - began
            await asyncio.sleep(0.01)


async def behind(port: int, seconds: float, rate: float) -> float:
    """Return the most seconds that queries were behind what was acknowledged, while claims came at a steady rate."""
    sending = asyncio.create_task(steady(port, seconds, rate))
    waiting: list[tuple[float, int]] = []  # when how many entries there were
    worst = 0.0
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        while not sending.done() or waiting:
            state = (await client.get("/ready")).json()
            now = time.perf_counter()
            waiting.append((now, state["entries"]))
            while waiting and waiting[0][1] <= state["indexed"]:
                worst = max(worst, now - waiting.pop(0)[0])
            await asyncio.sleep(0.02)
    return worst


@contextmanager
def running(*command: str, port: int) -> Iterator[None]:
    """Run a service until it is measured."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def show(label: str, answers: list[float | None], rate: float | None = None) -> None:
    """Print a row."""
    took = sorted(seconds for seconds in answers if seconds is not None)
    p50, p99 = (took[min(len(took) - 1, int(len(took) * share))] * 1000 for share in (0.5, 0.99))
    refused = f"  {len(answers) - len(took)} of {len(answers)} sent away" if len(took) < len(answers) else ""
    print(f"{label:58}{p50:9.1f} ms{p99:9.1f} ms" + (f"{rate:9.1f} /s" if rate else "") + refused)


def measure(label: str, port: int, seconds: float) -> None:
    """Print what one service does under both loads."""
    asyncio.run(limit(port, 2))  # warm
    show(f"{label}, {STEADY:.0f} requests a second", asyncio.run(steady(port, seconds, STEADY)))
    took, rate = asyncio.run(limit(port, seconds))
    show(f"{label}, {AT_ONCE} at once", took, rate)


def main() -> None:
    """Print each figure beside what it is compared with."""
    seconds = float((sys.argv[1:] or ["10"])[0])
    print(f"{'':58}{'p50':>12}{'p99':>12}{'rate':>12}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # a killed service's index may still write
        port = free_port()
        with running("-m", "benchmarks.stubbed", str(port), f"{folder}/stubbed", port=port):
            measure("service alone, engine stubbed, no index", port, seconds)
        with Service(Path(folder) / "data") as service:
            asyncio.run(stale(service.port))  # the index has started
            times = [asyncio.run(stale(service.port)) for _ in range(5)]
            print(f"{'staleness of queries, one claim at a time, worst of 5':58}{max(times) * 1000:9.0f} ms")
            for rate in (10.0, 25.0, STEADY):
                late = asyncio.run(behind(service.port, seconds, rate))
                print(
                    f"{f'staleness of queries, {rate:.0f} requests a second, worst':58}{late * 1000:9.0f} ms",
                    flush=True,
                )
            measure("service, stored and explained", service.port, seconds)
            service.kill()  # it would go on to index all of that
        port = free_port()
        with running("-m", "uvicorn", "benchmarks.naive:app", "--port", str(port), port=port):
            show("FastAPI + pySHACL, one at a time", [asyncio.run(Connection(port).send(b"{}")) for _ in range(3)])


if __name__ == "__main__":
    main()
