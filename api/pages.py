"""The page for a reviewer: a claim in; lines, criteria, picture and questions out; what a person decides, recorded.

What is tried here is not stored until it is saved. Claims travel in the bodies of requests, never in an address.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from http import HTTPStatus
from mimetypes import guess_type
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

import kg
from api.answers import HTML, tagged
from api.description import CLAIM_EXAMPLE, PLACE, Responses, errors, page
from api.determinations import actor_of, keep
from api.engine import COMPARISON, Answer, Job
from api.problems import MEDIA as PROBLEM
from api.render import LOADS, render
from api.results import chosen
from api.sheet import DECISIONS, MAX_LINES, Form, stored_page, tried_page
from api.state import KnowledgeDep, StoreDep, get_knowledge
from api.store import unpack
from api.whatif import CONUS, answered
from kg.cases import cases_of
from kg.decide import ADVISORY, POSTURES
from kg.document import MAX_BYTES
from kg.errors import Fault
from kg.terms import PREFIXES

Json = dict[str, Any]
FORMATS = {"json": "JSON", "yaml": "YAML", "jsonld": "JSON-LD", "turtle": "Turtle"}
PER_PAGE = 50
FORM = "application/x-www-form-urlencoded"
# The editor writes widths as attributes, and two styles of its own, here by their hashes; any other is refused.
EDITOR = " ".join(
    f"'sha256-{digest}'"
    for digest in ("zCK2EVMoPc04mRF/g5CotUvxbJPWS+8V0b+s9ptqQIk=", "c0O6TmFAkgpNbHxKAa1BrveWHHopjEtC47i0PzMudxg=")
)
TEXTS = {"type": ["array", "string"], "items": {"type": "string"}, "description": "given once or more often"}
FORM_SCHEMA = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("claim", "format", "policy", "posture", "switch", "under")},
        **dict.fromkeys(("answer", "tried", "undo"), TEXTS),
    },
    "required": ["claim"],
}
FORM_EXAMPLE = {"claim": json.dumps(CLAIM_EXAMPLE)}
REVIEW_SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("reviewer", "decision", "reason")},
    "required": ["reviewer", "decision", "reason"],
}
REVIEW_EXAMPLE = {"reviewer": "a reviewer", "decision": "approve", "reason": "the operative note was seen"}
MAX_FORM = 3 * MAX_BYTES + 100_000  # a form writes most signs of a claim as three
HERE = Path(__file__).parent
STATIC = {file.name: file for file in (HERE / "static").iterdir()} | {
    "determination.css": Path(kg.__file__).parent / "templates" / "determination.css"
}


async def fields(request: Request) -> dict[str, list[str]]:
    """Read a form; one that is too large is refused before it is all read."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {FORM}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send at most {MAX_FORM:,} bytes")
    try:
        return parse_qs(body.decode("ascii"), max_num_fields=2_000, encoding="utf-8", errors="strict")
    except ValueError:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the form is not written as forms are") from None


FieldsDep = Annotated[dict[str, list[str]], Depends(fields)]
SENT = {"requestBody": {"required": True, "content": {FORM: {"schema": FORM_SCHEMA, "example": FORM_EXAMPLE}}}}
REVIEW_SENT = {
    "requestBody": {"required": True, "content": {FORM: {"schema": REVIEW_SCHEMA, "example": REVIEW_EXAMPLE}}}
}
AFTER: Responses = {303: {"description": "see the determination", "headers": PLACE}}
FORM_ERRORS = errors(415, _400="the form is not written as forms are")

router = APIRouter(tags=["pages"], default_response_class=Response)


def form_of(sent: Mapping[str, list[str]]) -> Form:
    """Return the form with what its buttons ask: an answer more or less, another posture or policy."""

    def one(name: str, default: str = "") -> str:
        return sent.get(name, [default])[-1]

    new = [one(one("take"))] if "take" in sent else sent.get("answer", [])
    dropped = sent.get("undo", [])
    kept = [answer for answer in sent.get("tried", []) if answer not in dropped and not _replaced(answer, new)]
    return Form(
        claim=one("claim"),
        format=one("format", "json"),
        policy=one("under", one("policy")),
        posture=one("switch", one("posture", ADVISORY)),
        answers=() if "reset" in sent else tuple(dict.fromkeys((*kept, *filter(None, new)))),
    )


def _replaced(answer: str, new: list[str]) -> bool:
    """Say whether a new answer is to the same question; the first word of an answer about a fact is its status."""

    def question(text: str) -> list[str]:
        name, *rest = text.split() or [""]
        return [name] if name == CONUS else rest

    return any(question(answer) == question(text) for text in new)


async def first(request: Request, form: Form) -> tuple[Answer, Form]:
    """Determine the claim of a form as it was sent; return that, and the form with the claim as JSON.

    What was sent is read by the processes of the engine alone.
    """
    base = await determined(request, form)
    claim = unpack(base.claim).decode()
    if len(json.loads(claim)["lines"]) > MAX_LINES:
        help = "POST it to /determinations, which takes more"
        raise kg.ClaimError([Fault("/lines", f"the page takes claims of up to {MAX_LINES} lines", help)])
    return base, replace(form, claim=claim, format="json", policy=json.loads(base.content)["policy"]["id"])


async def determined(request: Request, form: Form) -> Answer:
    """Let the engine determine the claim of a form, without its answers."""
    job = Job(form.claim.encode(), form.format, form.policy or None, form.posture)
    answer: Answer = await request.app.state.engine.determine(job)
    return answer


def with_answers(form: Form) -> Form:
    """Return a form whose claim says what is answered."""
    return replace(form, claim=json.dumps(answered(json.loads(form.claim), form.answers)))


# Routes


@router.get("/", responses=page("the page: a claim in", 404))
def home(request: Request, knowledge: KnowledgeDep, example: str = "") -> Response:
    """Show the page: a claim in, here or from the examples."""
    claim, policy = next(((text, policy) for name, text, policy in examples(knowledge) if name == example), ("", ""))
    if example and not claim:
        return missing(request, "No example has this name.")
    return _home(request, Form(claim=claim, policy=policy), picked=example)


@router.post(
    "/",
    responses=page("the determination, with what the answers change", 422) | FORM_ERRORS | errors(503),
    openapi_extra=SENT,
)
async def judge(request: Request, sent: FieldsDep) -> Response:
    """Determine the claim of the form, with the answers that are tried; nothing is stored."""
    form = form_of(sent)
    try:
        base, given = await first(request, form)
        tried = await determined(request, with_answers(given)) if form.answers else base
        return await tried_page(request, given, base.content, tried.content)
    except kg.ClaimError as error:
        return await run_in_threadpool(_home, request, form, error.faults)


@router.post(
    "/compare",
    responses=page("the claim under every policy", 422) | FORM_ERRORS | errors(503),
    openapi_extra=SENT,
)
async def side_by_side(request: Request, sent: FieldsDep, knowledge: KnowledgeDep) -> Response:
    """Determine the claim of the form under every policy."""
    form = form_of(sent)
    try:
        _, given = await first(request, replace(form, policy=form.policy or next(iter(knowledge.policies))))
        document = with_answers(given).claim.encode()
        made: Answer = await request.app.state.engine.determine(Job(document, posture=form.posture, media=COMPARISON))
    except kg.ClaimError as error:
        return await run_in_threadpool(_home, request, form, error.faults)
    return render(
        request,
        "compare.html",
        table=json.loads(made.content),
        form=replace(given, policy=form.policy),
        postures=POSTURES,
    )


@router.post(
    "/save",
    status_code=HTTPStatus.SEE_OTHER,
    responses=AFTER | page("", 422) | FORM_ERRORS | errors(503),
    openapi_extra=SENT,
)
async def save(request: Request, sent: FieldsDep, store: StoreDep) -> Response:
    """Store the claim of the form, with its answers, and its determination; then show them at their own address."""
    form = form_of(sent)
    try:
        answer, given = await first(request, form)
        if form.answers:
            answer = await determined(request, with_answers(given))
    except kg.ClaimError as error:
        return await run_in_threadpool(_home, request, form, error.faults)
    stored = await keep(store, answer, actor_of(request))
    return RedirectResponse(f"/determinations/{stored.id}", HTTPStatus.SEE_OTHER)


@router.get("/worklist", responses=page("what is stored, the newest first", 404))
def worklist(request: Request, store: StoreDep, after: str | None = None) -> Response:
    """List what is stored, newest first, with what a person has decided."""
    try:
        found = store.page(after, PER_PAGE)
    except LookupError:
        return missing(request, "Nothing is stored under this name.")
    rows = []
    for stored in found:
        reviewed = {review.line for review in store.reviews(stored.id)}
        rows.append({"stored": stored, "determination": stored.summary, "reviewed": reviewed})
    further = found[-1].id if len(found) == PER_PAGE else ""
    return render(request, "worklist.html", rows=rows, further=further)


@router.post(
    "/determinations/{id}/lines/{line}/reviews",
    status_code=HTTPStatus.SEE_OTHER,
    responses=AFTER | page("", 404, 422) | FORM_ERRORS | errors(503),
    openapi_extra=REVIEW_SENT,
)
async def review(request: Request, id: str, line: int, sent: FieldsDep, store: StoreDep) -> Response:
    """Record what a person decides on a line, and why."""
    stored = await run_in_threadpool(store.get, id)
    numbers = [item["line"] for item in json.loads(stored.determination)["lines"]] if stored else []
    if stored is None or line not in numbers:
        return missing(request, "Nothing is stored under this address.")
    reviewer, decision, reason = (sent.get(name, [""])[-1].strip() for name in ("reviewer", "decision", "reason"))
    if not (reviewer and reason and decision in DECISIONS) or max(len(reviewer), len(reason)) > 5_000:
        problem = "Name the reviewer, choose a decision and give a reason."
        return await stored_page(request, stored, problem)
    await run_in_threadpool(store.review, id, line, reviewer, decision, reason, actor=actor_of(request))
    return RedirectResponse(f"/determinations/{id}#claim-1-line-{line}", HTTPStatus.SEE_OTHER)


@router.get("/query", responses=page("an editor for SPARQL"))
def query(request: Request) -> Response:
    """Show the page for SPARQL."""
    shown = render(request, "query.html", prefixes=PREFIXES)
    shown.headers["Content-Security-Policy"] = f"{LOADS}; style-src 'self' {EDITOR}; style-src-attr 'unsafe-inline'"
    return shown


@router.get("/static/{name}", include_in_schema=False)
def static(request: Request, name: str) -> Response:
    """Send a style, script or picture of ours; there are no others."""
    if name not in STATIC:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such file")
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    return tagged(request, STATIC[name].read_bytes(), guess_type(name)[0] or "application/octet-stream", headers)


# What they show


def _home(request: Request, form: Form, faults: tuple[Fault, ...] = (), picked: str = "") -> Response:
    knowledge = get_knowledge(request)
    return render(
        request,
        "home.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if faults else HTTPStatus.OK,
        form=form,
        faults=faults,
        picked=picked,
        examples=[name for name, _, _ in examples(knowledge)],
        policies=knowledge.policies.values(),
        postures=POSTURES,
        formats=FORMATS,
    )


@cache
def examples(knowledge: kg.Knowledge) -> tuple[tuple[str, str, str], ...]:
    """Return name, claim and policy of each example: whole claims first, then the cases of each policy."""
    files = sorted((knowledge.root / "examples").glob("*.json"))
    return (
        *((file.stem, file.read_text("utf-8"), "") for file in files),
        *(
            (f"{policy}: {case.name}", json.dumps(case.document, indent=2), policy)
            for policy in knowledge.policies
            for case in cases_of(policy, knowledge)
        ),
    )


def missing(request: Request, words: str) -> Response:
    """Say that there is nothing at an address: to people as a page, with where to go on; to machines as a problem."""
    if chosen(request.headers.get("accept", "*/*"), (HTML, PROBLEM)) != HTML:
        raise HTTPException(HTTPStatus.NOT_FOUND, words)
    return render(request, "missing.html", status=HTTPStatus.NOT_FOUND, private=False, words=words)
