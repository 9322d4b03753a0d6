"""The service with one canned determination in place of the engine, and no index: what is left is its own cost.

With a port and a folder it is the service; without, one of the processes that determine.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import api.app
import api.engine
import kg
from api.engine import Answer, Job
from api.settings import Settings
from api.store import new_id


@asynccontextmanager
async def nothing(settings: Settings) -> AsyncIterator[None]:
    """Index nothing."""
    yield


def serve(port: int, data: Path) -> None:
    """Run the service."""
    from api.serve import run

    api.engine.MODULE = "benchmarks.stubbed"
    api.app.indexing = nothing
    run(Settings(data=data), "127.0.0.1", port, False, lambda _: None)


def determine() -> None:
    """Answer every claim with the determination of the first."""
    real, canned = api.engine.answer, list[Answer]()

    def answer(job: Job, knowledge: kg.Knowledge) -> Answer:
        if not canned:
            canned.append(real(job, knowledge))
        return replace(canned[0], id=new_id())

    api.engine.answer = answer
    api.engine.main()


if __name__ == "__main__":
    if sys.argv[1:]:
        serve(int(sys.argv[1]), Path(sys.argv[2]))
    else:
        determine()
