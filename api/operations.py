"""What operators ask: does it run, is it ready, how is it doing."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from api.description import TEXT, errors
from api.index import indexed
from api.schemas import Health, Ready
from api.state import EngineDep, KnowledgeDep, MetricsDep, StoreDep

router = APIRouter(tags=["operations"])


@router.get("/health", responses={200: {"model": Health}})
def health() -> dict[str, str]:
    """Say that the process runs."""
    return {"status": "ok"}


@router.get("/ready", responses={200: {"model": Ready}, **errors(503)})
def ready(knowledge: KnowledgeDep, store: StoreDep, engine: EngineDep) -> dict[str, str | int]:
    """Say that claims can be determined, by which knowledge; how long the journal is, and what queries see of it."""
    if not engine.alive:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "no process that determines runs", {"Retry-After": "1"})
    return {
        "status": "ready",
        "knowledge": knowledge.hash,
        "entries": store.head().seq,
        "indexed": indexed(store.data),
    }


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": TEXT}}})
def metrics(metrics: MetricsDep, store: StoreDep, engine: EngineDep) -> Response:
    """Show the figures for Prometheus; no label says anything of a claim."""
    metrics.waiting.set(engine.waiting)
    metrics.replaced.set(engine.replaced)
    metrics.entries.set(store.head().seq)
    metrics.indexed.set(indexed(store.data))
    return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)
