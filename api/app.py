"""The validation API: a claim in, its determination out. Nothing is stored, and nothing of a claim is logged."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

import kg
from kg.document import MAX_BYTES
from kg.html import page
from kg.knowledge import Clause, Document
from kg.rdf import to_turtle

CLAIMS = {"application/json": "json", "application/ld+json": "jsonld", "text/turtle": "turtle"}
ANSWERS = ("application/json", "text/turtle", "text/html")
PROBLEM = "application/problem+json"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Read the knowledge before the first request; bad knowledge stops the start."""
    app.state.knowledge = kg.load_knowledge()
    yield


def get_knowledge(request: Request) -> kg.Knowledge:
    """Return the knowledge that was read at the start."""
    knowledge: kg.Knowledge = request.app.state.knowledge
    return knowledge


KnowledgeDep = Annotated[kg.Knowledge, Depends(get_knowledge)]
app = FastAPI(
    title="Coverpath", summary="Decides claims line by line, with the path of each decision.", lifespan=lifespan
)


@app.post("/determinations", response_model=None)
async def determine(
    request: Request,
    knowledge: KnowledgeDep,
    policy: str | None = None,
    posture: Annotated[Literal["payer", "advisory", "final"], Query()] = "advisory",
    content_type: Annotated[str, Header()] = "application/json",
    accept: Annotated[str, Header()] = "application/json",
) -> Response:
    """Determine a claim: JSON, JSON-LD or Turtle in; JSON, Turtle or HTML out, as `Accept` asks."""
    format = CLAIMS.get(content_type.partition(";")[0].strip().lower())
    if format is None:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send one of {', '.join(CLAIMS)}")
    answer = chosen(accept)
    body = await limited(request)
    return await run_in_threadpool(answered, body, format, answer, knowledge, policy, posture)


def answered(
    body: bytes, format: str, answer: str, knowledge: kg.Knowledge, policy: str | None, posture: str
) -> Response:
    """Parse, determine, render."""
    claim = kg.parse_claim(body, format, knowledge)
    determination = kg.determine(claim, knowledge, policy, posture)
    if answer == "text/turtle":
        return Response(to_turtle(determination), media_type=answer)
    if answer == "text/html":
        return HTMLResponse(page([determination.to_dict()]))
    return JSONResponse(determination.to_dict())


@app.get("/policies")
def policies(knowledge: KnowledgeDep) -> list[dict[str, Any]]:
    """List the policies with their editions."""
    return [described(document) for document in knowledge.policies.values()]


@app.get("/policies/{id}")
def policy(id: str, knowledge: KnowledgeDep) -> dict[str, Any]:
    """Show a policy with its clauses, in the order of the source."""
    if id not in knowledge.policies:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no policy has this identifier; GET /policies lists them")
    document = knowledge.policies[id]
    editions = [{"edition": e.name, "clauses": [clause_of(clause) for clause in e.clauses]} for e in document.editions]
    return {**described(document), "editions": editions}


@app.get("/health")
def health() -> dict[str, str]:
    """Say that the process runs."""
    return {"status": "ok"}


@app.get("/ready")
def ready(knowledge: KnowledgeDep) -> dict[str, str]:
    """Say that the knowledge is read, and which."""
    return {"status": "ready", "knowledge": knowledge.hash}


def described(document: Document) -> dict[str, Any]:
    """Return a policy in brief."""
    editions = [
        {"edition": e.name, "from": e.start and e.start.isoformat(), "until": e.end and e.end.isoformat()}
        for e in document.editions
    ]
    return {"id": document.id, "label": document.label, "payers": document.payers, "editions": editions}


def clause_of(clause: Clause) -> dict[str, Any]:
    """Return a clause: its words, how they are known, and the criteria below it."""
    return {
        "criterion": clause.iri,
        "clause": clause.criterion.clause,
        "kind": clause.kind,
        "label": clause.criterion.label,
        "quote": clause.criterion.quote,
        "sourceStatus": clause.source_status,
        "criteria": [leaf.iri for leaf in clause.criterion.leaves()],
    }


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


def problem(status: int, title: str, **more: Any) -> JSONResponse:
    """Return an error as RFC 9457 writes it; it never repeats what was sent."""
    return JSONResponse({"type": "about:blank", "title": title, "status": status, **more}, status, media_type=PROBLEM)


@app.exception_handler(kg.ClaimError)
async def bad_claim(request: Request, error: kg.ClaimError) -> JSONResponse:
    """Answer bad input with its faults, each located."""
    faults = [fault._asdict() for fault in error.faults]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the claim has faults; nothing was determined", errors=faults)


@app.exception_handler(RequestValidationError)
async def bad_parameter(request: Request, error: RequestValidationError) -> JSONResponse:
    """Answer a bad parameter with its place, without its value."""
    faults = [{"place": "/".join(map(str, item["loc"])), "problem": item["msg"], "help": ""} for item in error.errors()]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "a parameter is not as documented", errors=faults)


@app.exception_handler(HTTPException)
async def refused(request: Request, error: HTTPException) -> JSONResponse:
    """Answer what is refused with why."""
    return problem(error.status_code, str(error.detail))
