"""What operators ask: does it run, is it ready, how is it doing."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.description import TEXT
from api.index import indexed
from api.schemas import Health, Ready
from api.state import KnowledgeDep, MetricsDep, StoreDep

router = APIRouter(tags=["operations"])


@router.get("/health", responses={200: {"model": Health}})
def health() -> dict[str, str]:
    """Say that the process runs."""
    return {"status": "ok"}


@router.get("/ready", responses={200: {"model": Ready}})
def ready(knowledge: KnowledgeDep, store: StoreDep) -> dict[str, str | int]:
    """Say that the knowledge is read, and which; how long the journal is, and how much of it queries see."""
    return {
        "status": "ready",
        "knowledge": knowledge.hash,
        "entries": store.head().seq,
        "indexed": indexed(store.data),
    }


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": TEXT}}})
def metrics(request: Request, metrics: MetricsDep, store: StoreDep) -> Response:
    """Show the figures for Prometheus; no label says anything of a claim."""
    engine = request.app.state.engine
    metrics.waiting.set(engine.waiting)
    metrics.replaced.set(engine.replaced)
    metrics.entries.set(store.head().seq)
    metrics.indexed.set(indexed(store.data))
    return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)
