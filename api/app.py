"""The web service: what the engine does, over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

import kg
from api import determinations, operations, pages, policies, problems, terms
from api.settings import Settings
from api.store import Store


def create_app(settings: Settings) -> FastAPI:
    """Return the service over one data directory; knowledge and store are opened before the first request."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.knowledge = kg.load_knowledge()  # bad knowledge stops the start
        app.state.store = Store(settings.data)
        try:
            yield
        finally:
            app.state.store.close()

    app = FastAPI(
        title="Coverpath", summary="Decides claims line by line, with the path of each decision.", lifespan=lifespan
    )
    app.state.settings = settings
    problems.install(app)
    for module in (determinations, policies, operations, pages, terms):  # every router of the service is listed here
        app.include_router(module.router)
    return app


def app() -> FastAPI:
    """Return the service as the environment sets it: `uvicorn --factory api.app:app`."""
    return create_app(Settings.from_environment())
