"""Determinations: a claim in, its determination out; stored, listed, replayed, and reviewed by people."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

import kg
from api.state import KnowledgeDep, StoreDep
from api.store import Store
from kg.document import MAX_BYTES
from kg.html import page
from kg.rdf import to_turtle

CLAIMS = {"application/json": "json", "application/ld+json": "jsonld", "text/turtle": "turtle"}
ANSWERS = ("application/json", "text/turtle", "text/html")

router = APIRouter(tags=["determinations"])


@router.post("/determinations", response_model=None)
async def determine(
    request: Request,
    knowledge: KnowledgeDep,
    store: StoreDep,
    policy: str | None = None,
    posture: Annotated[Literal["payer", "advisory", "final"], Query()] = "advisory",
    content_type: Annotated[str, Header()] = "application/json",
    accept: Annotated[str, Header()] = "application/json",
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Determine a claim: JSON, JSON-LD or Turtle in; JSON, Turtle or HTML out, as `Accept` asks."""
    format = CLAIMS.get(content_type.partition(";")[0].strip().lower())
    if format is None:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send one of {', '.join(CLAIMS)}")
    answer = chosen(accept)
    body = await limited(request)

    def answered(store: Store) -> Response:
        claim = kg.parse_claim(body, format, knowledge)
        determination = kg.determine(claim, knowledge, policy, posture)
        stored = store.save(claim, determination, idempotency_key)
        headers = {"Location": f"/determinations/{stored.id}"}
        if answer == "text/turtle":
            return Response(to_turtle(determination), headers=headers, media_type=answer)
        if answer == "text/html":
            return Response(page([determination.to_dict()]), headers=headers, media_type=answer)
        return Response(stored.determination, headers=headers, media_type=answer)

    return await run_in_threadpool(answered, store)


def chosen(accept: str) -> str:
    """Return the first media type of an Accept header that the service writes."""
    asked = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    for media in asked:
        if media in ANSWERS:
            return media
        if media in ("*/*", "application/*", ""):
            return ANSWERS[0]
    raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"accept one of {', '.join(ANSWERS)}")


async def limited(request: Request) -> bytes:
    """Return the body; one that is too large is refused before it is all read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send at most {MAX_BYTES:,} bytes")
    return bytes(body)
