"""A service that is killed at any point has lost nothing that it acknowledged, and half of nothing."""

import json
import random
import signal
import threading
import time
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.service import Service
from tests.test_api import claim_of
from tests.test_cli import coverpath


def kills(folder: Path, rounds: int, seed: int) -> None:
    """Kill a service that is being written to, again and again; look for what it acknowledged each time."""
    random_, data = random.Random(seed), folder / "data"
    folder.mkdir(exist_ok=True)
    acknowledged: dict[str, bytes] = {}
    starts: list[float] = []

    sending = threading.Barrier(4)

    def send(service: Service, until: threading.Event) -> None:
        with httpx.Client(base_url=service.url, timeout=30) as client:
            sending.wait()
            while not until.is_set():
                try:
                    sent = {"content-type": "application/json"}
                    answer = client.post("/determinations", content=claim_of(), headers=sent)
                except httpx.TransportError:
                    return
                if answer.status_code == 200:
                    acknowledged[answer.headers["location"]] = answer.content

    for _ in range(rounds):
        service = Service(data)
        starts.append(service.started_in)
        done = threading.Event()
        threads = [threading.Thread(target=send, args=(service, done)) for _ in range(3)]
        for thread in threads:
            thread.start()
        sending.wait()
        time.sleep(random_.uniform(0.05, 1.5))
        service.kill()
        done.set()
        for thread in threads:
            thread.join()
    assert acknowledged
    assert max(starts) < 5
    with Service(data) as service:
        for place, content in acknowledged.items():
            found = service.client.get(place).json()
            assert json.loads(content).items() <= found.items()
        service.indexed(120)
    checked = coverpath("store", "check", "--data", str(data))
    assert checked.returncode == 0, checked.stdout


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """Ten kills."""
    kills(tmp_path, 10, seed=1)


@pytest.mark.fuzz
def test_nothing_acknowledged_is_lost_in_many_kills(tmp_path: Path) -> None:
    """Two hundred kills, and how far they are is printed by their number alone."""
    for part in range(20):
        kills(tmp_path / str(part), 10, seed=100 + part)


def test_a_service_that_is_told_to_stop_ends_its_work(tmp_path: Path) -> None:
    """A batch that runs is answered to its end, what is stored is indexed, and no process is left."""
    service = Service(tmp_path / "data")
    sent = {"content-type": "application/x-ndjson"}
    with service.client.stream(
        "POST", "/determinations", content=b"\n".join([claim_of()] * 12), headers=sent
    ) as answer:
        lines = answer.iter_lines()
        found = [next(lines)]
        service.process.terminate()
        found += list(lines)
    assert len(found) == 12 and all(json.loads(line)["id"] for line in found)
    assert service.process.wait(40) in (0, -signal.SIGTERM)  # uvicorn ends by the signal, when all is done
    service.client.close()
    assert coverpath("store", "check", "--data", str(tmp_path / "data")).returncode == 0
    assert (tmp_path / "data" / "indexed").read_text().strip() == "12"
