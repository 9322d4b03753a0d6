"""A service as it runs for users: a process of its own on a free port, with what it wrote to its streams."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx2 as httpx

from tests.conftest import ROOT


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def sparql_server(folder: Path) -> Iterator[str]:
    """Run the real oxigraph server on a free port, and give its address."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("oxigraph")), "serve", "--location", str(folder)]
    process = subprocess.Popen(
        [*command, "--bind", f"127.0.0.1:{port}", "--timeout-s", "30"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


class Service:
    """`coverpath serve` over a data directory."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {**os.environ, **{f"COVERPATH_{name.upper()}": value for name, value in settings.items()}}
        command = [sys.executable, "-m", "kg.cli", "serve", "--port", str(self.port), "--data", str(data)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self.client = httpx.Client(base_url=self.url, timeout=60)
        self._wait()
        self.started_in = self._worked()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Ask the service to stop, and return its exit code."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)

    def kill(self) -> None:
        """End the service as a power cut would."""
        self.process.kill()
        self.process.wait()
        self.client.close()

    def told(self) -> str:
        """Return all that the service wrote to its streams."""
        return self.log.read_text()

    def indexed(self, seconds: float = 60) -> None:
        """Wait until queries see all that is stored, as long as there is progress within some seconds."""
        until, seen = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            wanted = self.client.get("/ready").json()["entries"]
            indexed = self.client.get("/ready").json()["indexed"]
            if indexed >= wanted:
                return
            if indexed > seen:
                until, seen = time.monotonic() + seconds, indexed
            time.sleep(0.05)
        raise TimeoutError("the index does not follow")

    def _worked(self) -> float:
        """Return the seconds of work that the service and its processes took; they are the same on a busy machine."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        stats = (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in [self.process.pid, *children]
        )
        return sum(int(ticks) for stat in stats for ticks in stat[11:13]) / os.sysconf("SC_CLK_TCK")

    def _wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            try:
                self.client.get("/health")
                return
            except httpx.TransportError:
                time.sleep(0.05)
        raise RuntimeError(f"the service did not start: {self.told()}")
