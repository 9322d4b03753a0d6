"""The web service: what the engine does, over HTTP."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

import kg
from api import determinations, operations, pages, policies, problems, saved, sparql, terms
from api.access import Keys
from api.description import describe, name_of
from api.engine import Engine
from api.guard import Guard
from api.metrics import Metrics
from api.settings import Settings
from api.store import Store
from api.workers import Pool

DRAIN = 60  # seconds in which the index may take up what is stored, when the service ends

# The store's address may hold a password, and everyone on a machine sees the arguments of a process.
INDEXING = "import os, sys; from api.index import main; sys.argv.append(os.environ['COVERPATH_STORE']); main()"


def create_app(settings: Settings) -> FastAPI:
    """Return the service over one data directory; knowledge and store are opened before the first request."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state = app.state
        state.engine = Engine(settings.workers, settings.deadline)
        state.store = Store(settings.data)
        state.keys = Keys(state.store)
        state.queries = Pool(settings.data, address=settings.queries)
        try:
            started = asyncio.create_task(state.engine.start())
            state.knowledge = await asyncio.to_thread(kg.load_knowledge)  # bad knowledge stops the start
            await started
            async with indexing(settings):
                state.queries.start_soon()
                yield
        finally:
            await state.queries.stop()
            await state.engine.close()
            state.store.close()

    app = FastAPIOffline(  # the scripts of /docs come from this machine
        title="Coverpath",
        summary="Decides claims line by line, with the path of each decision.",
        redoc_url=None,
        generate_unique_id_function=name_of,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.metrics = Metrics()
    routes = (determinations, policies, operations, sparql, saved, pages, terms)  # of the whole service
    problems.install(app, *(module.router for module in routes))
    describe(app)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["Authorization", "Accept", "Content-Type", "Idempotency-Key", "If-None-Match"],
            expose_headers=[sparql.CAPPED, "Content-Disposition", "ETag", "Link", "Location", "Retry-After"],
        )
    app.add_middleware(Guard, settings=settings)
    return app


@asynccontextmanager
async def indexing(settings: Settings) -> AsyncIterator[None]:
    """Run the process that owns the index; one that dies is replaced, and goes on where the index stands."""

    async def run() -> None:
        command = (sys.executable, "-c", INDEXING, str(settings.data.absolute()))
        environment = {**os.environ, "COVERPATH_STORE": settings.store}
        while True:
            process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, env=environment)
            try:
                await process.wait()
            except asyncio.CancelledError:
                if process.stdin:
                    process.stdin.close()  # by this it knows
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), DRAIN)
                raise
            await asyncio.sleep(1)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def app() -> FastAPI:
    """Return the service as the environment sets it: `uvicorn --factory api.app:app`."""
    return create_app(Settings.from_environment())
