"""What every route may ask for: the knowledge, the store and the settings of its application."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request

import kg
from api.engine import Engine
from api.metrics import Metrics
from api.settings import Settings
from api.store import Store

Thing = TypeVar("Thing")


def get_knowledge(request: Request) -> kg.Knowledge:
    """Return the knowledge that was read at the start."""
    knowledge: kg.Knowledge = request.app.state.knowledge
    return knowledge


def get_store(request: Request) -> Store:
    """Return the store of the data directory."""
    store: Store = request.app.state.store
    return store


def get_settings(request: Request) -> Settings:
    """Return the settings that the service runs with."""
    settings: Settings = request.app.state.settings
    return settings


def get_engine(request: Request) -> Engine:
    """Return the processes that determine."""
    engine: Engine = request.app.state.engine
    return engine


def get_metrics(request: Request) -> Metrics:
    """Return the figures of the application."""
    metrics: Metrics = request.app.state.metrics
    return metrics


def _at_once(get: Callable[[Request], Thing]) -> Callable[[Request], Awaitable[Thing]]:
    """Return a dependency that is looked up where it is asked for: what is not async goes to a thread and back."""

    async def got(request: Request) -> Thing:
        return get(request)

    return got


EngineDep = Annotated[Engine, Depends(_at_once(get_engine))]
MetricsDep = Annotated[Metrics, Depends(_at_once(get_metrics))]
KnowledgeDep = Annotated[kg.Knowledge, Depends(_at_once(get_knowledge))]
StoreDep = Annotated[Store, Depends(_at_once(get_store))]
SettingsDep = Annotated[Settings, Depends(_at_once(get_settings))]
