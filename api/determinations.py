"""Determinations: a claim in, its determination out; stored, listed, replayed, and reviewed by people."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

import kg
from api.answers import ANSWERS, HTML, JSON, JSONLD, TURTLE, chosen, tagged, takes, whole
from api.description import PAGE, PLACE, TAGGED, TEXT, UNCHANGED, claim_bodies, errors
from api.engine import Answer, EngineError, Job
from api.guard import BATCH
from api.problems import faults_of
from api.schemas import (
    LINE,
    Decision,
    Determination,
    DeterminationInBrief,
    Posture,
    Review,
    StoredDetermination,
    Verification,
)
from api.sheet import stored_page
from api.state import EngineDep, MetricsDep, StoreDep
from api.store import DETERMINATION, Draft, ReplayError, Store, Stored, replay_of
from kg.document import MAX_BYTES
from kg.errors import Fault
from kg.html import page

CLAIMS = {JSON: "json", JSONLD: "jsonld", TURTLE: "turtle"}
ZSTD = "zstd"
AT_ONCE = 4  # claims of one batch that are determined at a time
REVIEW_EXAMPLE: JsonDict = {
    "line": 1,
    "reviewer": "a reviewer",
    "decision": "approve",
    "reason": "the operative note was seen",
}

SHOWN: dict[str, Any] = {JSONLD: {"schema": {}}, TURTLE: TEXT, **PAGE}
ONE = {"operationId": "determinations-determination", "parameters": {"id": "$response.body#/0/id"}}
LISTED = {**TAGGED, "Link": {"schema": {"type": "string"}, "description": "leads to the next page, if there is one"}}
BUSY = errors(503)
STORED = errors(404)

Accept = Annotated[str, Header(description=f"one of {', '.join(ANSWERS)}")]
Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]

router = APIRouter(tags=["determinations"])


class ReviewIn(BaseModel):
    """What a person decided on a line."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    line: int = LINE
    posture: Posture | None = Field(None, description="the posture that was judged")
    reviewer: str = Field(min_length=1, max_length=200, description="who decided")
    decision: Decision
    reason: str = Field(min_length=1, max_length=10_000)


@router.post(
    "/determinations",
    response_model=None,
    openapi_extra={"requestBody": {"required": True, "content": claim_bodies(BATCH)}},
    responses={
        200: {
            "model": Determination,
            "content": {**SHOWN, BATCH: TEXT},
            "headers": PLACE,
            "description": "the determination; one a line, or its faults, where a batch was sent",
        },
        **errors(406, 409, 415, 503),
    },
)
async def determine(
    request: Request,
    engine: EngineDep,
    store: StoreDep,
    metrics: MetricsDep,
    policy: Annotated[str | None, Query(description="judge under this policy, not the claim's own")] = None,
    posture: Annotated[Posture, Query(description="how undocumented facts count")] = "advisory",
    content_type: Annotated[str, Header(include_in_schema=False)] = JSON,
    accept: Accept = JSON,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Determine a claim and store the determination; a batch is one claim a line, answered line by line."""
    media = content_type.partition(";")[0].strip().lower()
    if media == BATCH:
        return Stream(batch(request, policy, posture))
    if media not in CLAIMS:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send one of {', '.join((*CLAIMS, BATCH))}")
    asked = chosen(accept)
    body = await whole(request, MAX_BYTES)
    actor = actor_of(request)
    sent = b"\0".join((body, media.encode(), (policy or "").encode(), posture.encode()))
    replay = replay_of(actor, idempotency_key or "", sent)
    if known := store.find(replay[0]):
        return await shown_again(request, known, replay[1], asked)
    try:
        answer = await engine.determine(Job(body, CLAIMS[media], policy, posture, asked))
    except kg.ClaimError:
        metrics.faulty.inc()
        raise
    stored = await keep(store, answer, actor, replay)
    if stored.replayed:
        return await shown_again(request, stored, replay[1], asked)
    metrics.determinations.labels(stored.summary["decision"]).inc()
    if asked == JSON and takes(request, ZSTD):  # what is kept is what was asked for
        return shown(request, stored.id, answer.kept, asked, {"Content-Encoding": ZSTD})
    return shown(request, stored.id, answer.content, asked)


async def keep(store: Store, answer: Answer, actor: str, replay: tuple[str, str] = ("", "")) -> Stored:
    """Append a determination to the journal, and return when it is on disk."""
    draft = Draft(DETERMINATION, answer.kept, answer.claim, answer.id, actor, *replay, summary=answer.summary)
    return await asyncio.wrap_future(store.submit(draft))


async def shown_again(request: Request, stored: Stored, sent: str, asked: str) -> Response:
    """Answer as before what came before with the same idempotency key."""
    if stored.entry.request != sent:
        raise ReplayError("this idempotency key came before with another request")
    return shown(request, stored.id, await rendered(request, stored, asked), asked)


def shown(request: Request, id: str, content: bytes, media: str, more: Mapping[str, str] | None = None) -> Response:
    """Answer with a determination and where it is found again."""
    request.state.determination = id
    headers = {"Location": f"/determinations/{id}", "Vary": "Accept, Accept-Encoding", **(more or {})}
    return Response(content, media_type=media, headers=headers)


async def rendered(request: Request, stored: Stored, media: str) -> bytes:
    """Write a stored determination in a media type: as it was answered, never as it would be answered today."""
    if media == JSON:
        return stored.determination.encode()
    if media == HTML:
        return await run_in_threadpool(lambda: page([orjson.loads(stored.determination)]).encode())
    summary = stored.summary
    if summary["knowledge"] != request.app.state.knowledge.hash:
        detail = "it was made with knowledge of another day: ask for JSON or HTML, or query its graph"
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, detail)
    job = Job(stored.claim.encode(), "json", summary["policy"]["id"], summary["posture"], media, stored.id)
    answer: Answer = await request.app.state.engine.determine(job)
    return answer.content


# Batches


class Stream(Response):
    """An answer in parts, while the request is still read."""

    media_type = BATCH

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        super().__init__()
        del self.headers["content-length"]
        self.lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send each line when it is there."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for line in self.lines:
            await send({"type": "http.response.body", "body": line + b"\n", "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def batch(request: Request, policy: str | None, posture: str) -> AsyncIterator[bytes]:
    """Yield one answer a claim, in their order; a faulty claim spoils no other."""
    running: list[asyncio.Task[bytes]] = []
    try:
        async for line in lines(request):
            running.append(asyncio.create_task(one_of_batch(request, line, policy, posture)))
            if len(running) >= AT_ONCE:
                yield await running.pop(0)
        while running:
            yield await running.pop(0)
    except HTTPException as error:  # the answer has begun: say it in a line
        yield orjson.dumps({"title": error.detail, "status": error.status_code})
    finally:
        for task in running:
            task.cancel()


async def lines(request: Request) -> AsyncIterator[bytes]:
    """Yield the lines of a body as they come in."""
    rest = b""
    async for chunk in request.stream():
        *found, rest = (rest + chunk).split(b"\n")
        for line in found:
            if line.strip():
                yield line
        if len(rest) > MAX_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send at most {MAX_BYTES:,} bytes a claim")
    if rest.strip():
        yield rest


async def one_of_batch(request: Request, body: bytes, policy: str | None, posture: str) -> bytes:
    """Determine one claim of a batch and return its line: the determination with its id, or the faults."""
    metrics = request.app.state.metrics
    try:
        answer: Answer = await request.app.state.engine.determine(Job(body, "json", policy, posture))
    except kg.ClaimError as error:
        metrics.faulty.inc()
        return orjson.dumps({"claim": error.claim, "faults": faults_of(error)})
    except EngineError as error:
        return orjson.dumps({"title": str(error), "status": int(HTTPStatus.SERVICE_UNAVAILABLE)})
    stored = await keep(request.app.state.store, answer, actor_of(request))
    metrics.determinations.labels(stored.summary["decision"]).inc()
    return b'{"id":"%s",' % stored.id.encode() + answer.content[1:]


# What is stored


@router.get(
    "/determinations",
    response_model=None,
    responses={
        200: {"model": list[DeterminationInBrief], "headers": LISTED, "links": {"the newest": ONE}},
        **UNCHANGED,
    },
)
def determinations(
    request: Request,
    store: StoreDep,
    after: Annotated[Id | None, Query(description="the last one of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """List the determinations, the newest first; `Link` leads to the next page."""
    found = page_of(store, after, limit + 1)
    items = [{**stored.summary, "href": f"/determinations/{stored.id}"} for stored in found[:limit]]
    more = {"Link": f'</determinations?limit={limit}&after={items[-1]["id"]}>; rel="next"'} if found[limit:] else {}
    return tagged(request, orjson.dumps(items), JSON, more)


def page_of(store: Store, after: str | None, limit: int) -> list[Stored]:
    """Return a page of determinations."""
    try:
        return store.page(after, limit)
    except LookupError as error:
        raise kg.ClaimError([Fault("query/after", str(error), "begin without `after`")]) from None


@router.get(
    "/determinations/{id}",
    response_model=None,
    responses={
        200: {"model": StoredDetermination, "content": SHOWN, "headers": TAGGED},
        **UNCHANGED,
        **STORED,
        **errors(406),
        **BUSY,
    },
)
async def determination(request: Request, id: str, store: StoreDep, accept: Accept = JSON) -> Response:
    """Show a determination as it was answered, and what people decided on its lines.

    A line that no person decided on is a recommendation; so a denial by the engine never stands alone.
    """
    stored, asked = stored_of(store, id), chosen(accept)
    request.state.determination = stored.id
    if asked == HTML:
        return await stored_page(request, stored)
    content = await rendered(request, stored, asked)
    if asked == JSON:
        content = await run_in_threadpool(with_reviews, store, stored)
    return tagged(request, content, asked, {"Vary": "Accept"})


def with_reviews(store: Store, stored: Stored) -> bytes:
    """Return a determination with its id, and with each line as a recommendation or as a person decided it."""
    value = orjson.loads(stored.determination)
    reviews = [review.to_dict() for review in store.reviews(stored.id)]
    decided = {review["line"]: review["decision"] for review in reviews}  # the last word on each line
    standing = [
        {"line": n, "standing": "decided by a person", "decision": decided[n]}
        if n in decided
        else {"line": n, "standing": "recommendation", "decision": line["decision"]}
        for line in value["lines"]
        for n in (line["line"],)
    ]
    return orjson.dumps({"id": stored.id, "made": stored.made, **value, "standing": standing, "reviews": reviews})


@router.get(
    "/determinations/{id}/verify",
    response_model=None,
    responses={200: {"model": Verification}, **STORED, **BUSY},
)
async def verify(request: Request, id: str, store: StoreDep, engine: EngineDep) -> Response:
    """Replay the proof of a determination, independently of what made it."""
    stored = stored_of(store, id)
    request.state.determination = stored.id
    answer = await engine.determine(Job(stored.claim.encode(), proof=stored.determination.encode()))
    failures = orjson.loads(answer.content)
    return Response(orjson.dumps({"id": stored.id, "holds": not failures, "failures": failures}), media_type=JSON)


@router.get(
    "/determinations/{id}/reviews",
    response_model=None,
    responses={200: {"model": list[Review], "headers": TAGGED}, **UNCHANGED, **STORED},
)
def reviews(request: Request, id: str, store: StoreDep) -> Response:
    """List what people decided on the lines, in the order in which they did."""
    stored = stored_of(store, id)
    return tagged(request, orjson.dumps([review.to_dict() for review in store.reviews(stored.id)]), JSON)


@router.post(
    "/determinations/{id}/reviews",
    status_code=HTTPStatus.CREATED,
    response_model=None,
    responses={201: {"model": Review, "headers": PLACE}, **STORED, **errors(_400="the body is no text in UTF-8")},
    openapi_extra={"requestBody": {"content": {JSON: {"example": REVIEW_EXAMPLE}}}},
)
def review(request: Request, id: str, sent: ReviewIn, store: StoreDep) -> Response:
    """Record what a person decided on a line; nothing that was recorded is ever changed."""
    stored = stored_of(store, id)
    request.state.determination = stored.id
    try:
        made = store.review(
            id, sent.line, sent.reviewer, sent.decision, sent.reason, sent.posture, actor=actor_of(request)
        )
    except LookupError as error:
        raise kg.ClaimError([Fault("body/line", str(error), "give the number of a line")]) from None
    place = {"Location": f"/determinations/{id}/reviews"}
    return Response(orjson.dumps(made.to_dict()), HTTPStatus.CREATED, place, JSON)


def stored_of(store: Store, id: str) -> Stored:
    """Return a determination; an unknown one is not found."""
    stored = store.get(id)
    if stored is None:
        raise HTTPException(
            HTTPStatus.NOT_FOUND, "no determination has this identifier; GET /determinations lists them"
        )
    return stored


def actor_of(request: Request) -> str:
    """Return the id of the key that a request bears; empty where there are no keys."""
    key = getattr(request.state, "key", None)
    return key.id if key else ""
