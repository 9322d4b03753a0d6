"""What operators ask: does it run, is it ready, how is it doing."""

from fastapi import APIRouter

from api.state import KnowledgeDep, StoreDep

router = APIRouter(tags=["operations"])


@router.get("/health")
def health() -> dict[str, str]:
    """Say that the process runs."""
    return {"status": "ok"}


@router.get("/ready")
def ready(knowledge: KnowledgeDep, store: StoreDep) -> dict[str, str | int]:
    """Say that the knowledge is read, and which, and how long the journal is."""
    return {"status": "ready", "knowledge": knowledge.hash, "entries": store.head().seq}
