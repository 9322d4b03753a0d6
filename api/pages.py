"""The page for a reviewer: a claim in; lines, criteria, picture and questions out; what a person decides, recorded.

What is tried here is not stored until it is saved. Claims travel in the bodies of requests, never in an address.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

import kg
from api.proof import elements
from api.render import render
from api.spine import spine
from api.state import KnowledgeDep, StoreDep, get_knowledge, get_store
from api.store import Stored
from api.whatif import CONUS, answered, changed
from kg.cases import cases_of
from kg.compare import compare
from kg.convert import convert
from kg.decide import ADVISORY, POSTURES
from kg.document import MAX_BYTES
from kg.errors import Fault
from kg.html import shown
from kg.terms import PREFIXES

Json = dict[str, Any]
FORMATS = {"json": "JSON", "yaml": "YAML", "jsonld": "JSON-LD", "turtle": "Turtle"}
DECISIONS = ("approve", "deny", "pend")
PER_PAGE = 50
FORM = "application/x-www-form-urlencoded"
MAX_FORM = 3 * MAX_BYTES + 100_000  # a form writes most signs of a claim as three
HERE = Path(__file__).parent
STATIC = {file.name: file for file in (HERE / "static").iterdir()} | {
    "determination.css": Path(kg.__file__).parent / "templates" / "determination.css"
}


@dataclass(frozen=True, slots=True)
class Form:
    """What the page asks: a claim, how to judge it, and the answers that are tried on it."""

    claim: str = ""
    format: str = "json"
    policy: str = ""
    posture: str = ADVISORY
    answers: tuple[str, ...] = ()


async def fields(request: Request) -> dict[str, list[str]]:
    """Read a form that a page of ours sent; one that another site sent is refused, and one that is too large."""
    origin = request.headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if foreign or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(HTTPStatus.FORBIDDEN, "a form is sent from a page of this service")
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
router = APIRouter(include_in_schema=False, default_response_class=Response)


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


# Routes


@router.get("/")
def home(request: Request, knowledge: KnowledgeDep, example: str = "") -> Response:
    """Show the page: a claim in, here or from the examples."""
    claim, policy = next(((text, policy) for name, text, policy in examples(knowledge) if name == example), ("", ""))
    if example and not claim:
        return missing(request, "No example has this name.")
    return _home(request, Form(claim=claim, policy=policy), picked=example)


@router.post("/")
async def judge(request: Request, sent: FieldsDep) -> Response:
    """Determine the claim of the form, with the answers that are tried; nothing is stored."""
    form = form_of(sent)
    return await run_in_threadpool(_judged, request, form)


@router.post("/compare")
async def side_by_side(request: Request, sent: FieldsDep) -> Response:
    """Determine the claim of the form under every policy."""
    form = form_of(sent)

    def answer() -> Response:
        knowledge = get_knowledge(request)
        try:
            base, claim = claims_of(form, knowledge)
            table = compare(claim, knowledge, form.posture)
        except kg.ClaimError as error:
            return _home(request, form, error.faults)
        given = replace(form, claim=convert(base, knowledge, "json"), format="json")
        return render(request, "compare.html", table=table, form=given, postures=POSTURES)

    return await run_in_threadpool(answer)


@router.post("/save")
async def save(request: Request, sent: FieldsDep) -> Response:
    """Store the claim of the form, with its answers, and its determination; then show them at their own address."""
    form = form_of(sent)

    def answer() -> Response:
        knowledge = get_knowledge(request)
        try:
            _, claim = claims_of(form, knowledge)
            determination = kg.determine(claim, knowledge, form.policy or None, form.posture)
        except kg.ClaimError as error:
            return _home(request, form, error.faults)
        stored = get_store(request).save(claim, determination)
        return RedirectResponse(f"/determinations/{stored.id}", HTTPStatus.SEE_OTHER)

    return await run_in_threadpool(answer)


@router.get("/worklist")
def worklist(request: Request, store: StoreDep, after: str | None = None) -> Response:
    """List what is stored, newest first, with what a person has decided."""
    try:
        page = store.page(after, PER_PAGE)
    except LookupError:
        return missing(request, "Nothing is stored under this name.")
    rows = []
    for stored in page:
        determination = json.loads(stored.determination)
        reviewed = {review.line for review in store.reviews(stored.id)}
        rows.append({"stored": stored, "determination": determination, "reviewed": reviewed})
    further = page[-1].id if len(page) == PER_PAGE else ""
    return render(request, "worklist.html", rows=rows, further=further)


@router.get("/determinations/{id}")
def show(request: Request, id: str, store: StoreDep) -> Response:
    """Show a stored determination at its own address."""
    stored = store.get(id)
    return stored_page(request, stored) if stored else missing(request, "Nothing is stored under this address.")


@router.post("/determinations/{id}/lines/{line}/reviews")
async def review(request: Request, id: str, line: int, sent: FieldsDep, store: StoreDep) -> Response:
    """Record what a person decides on a line, and why."""
    stored = await run_in_threadpool(store.get, id)
    numbers = [item["line"] for item in json.loads(stored.determination)["lines"]] if stored else []
    if stored is None or line not in numbers:
        return missing(request, "Nothing is stored under this address.")
    reviewer, decision, reason = (sent.get(name, [""])[-1].strip() for name in ("reviewer", "decision", "reason"))
    if not (reviewer and reason and decision in DECISIONS) or max(len(reviewer), len(reason)) > 5_000:
        problem = "Name the reviewer, choose a decision and give a reason."
        return await run_in_threadpool(stored_page, request, stored, problem)
    await run_in_threadpool(store.review, id, line, reviewer=reviewer, decision=decision, reason=reason)
    return RedirectResponse(f"/determinations/{id}#claim-1-line-{line}", HTTPStatus.SEE_OTHER)


@router.get("/query")
def query(request: Request) -> Response:
    """Show the page for SPARQL."""
    return render(request, "query.html", prefixes=PREFIXES)


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Send a style, script or picture of ours; there are no others."""
    if name not in STATIC:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such file")
    return FileResponse(STATIC[name], headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"})


# What they show


def claims_of(form: Form, knowledge: kg.Knowledge) -> tuple[kg.Claim, kg.Claim]:
    """Return the claim of a form, and the same with what is answered."""
    claim = kg.parse_claim(form.claim, form.format, knowledge)
    if not form.answers:
        return claim, claim
    document = answered(json.loads(convert(claim, knowledge, "json")), form.answers)
    return claim, kg.parse_claim(json.dumps(document), "json", knowledge)


def _judged(request: Request, form: Form) -> Response:
    knowledge = get_knowledge(request)
    try:
        base, claim = claims_of(form, knowledge)
        determination = kg.determine(claim, knowledge, form.policy or None, form.posture)
        found = determination.to_dict()
        before = kg.determine(base, knowledge, form.policy or None, form.posture).to_dict() if form.answers else found
    except kg.ClaimError as error:
        return _home(request, form, error.faults)
    given = replace(form, claim=convert(base, knowledge, "json"), format="json", policy=found["policy"]["id"])
    return _determination(request, found, given, differences=changed(before, found), picture=spine(determination))


def stored_page(request: Request, stored: Stored, problem: str = "") -> Response:
    """Show a stored determination, and under each line what persons have decided on it.

    The picture is drawn anew; under a policy that is no longer held there is none.
    """
    knowledge = get_knowledge(request)
    found = json.loads(stored.determination)
    form = Form(claim=stored.claim, policy=found["policy"]["id"], posture=found["posture"])
    try:
        claim = kg.parse_claim(stored.claim, "json", knowledge)
        picture = spine(kg.determine(claim, knowledge, form.policy, form.posture))
    except kg.ClaimError:
        picture = None
    reviews = get_store(request).reviews(stored.id)
    return _determination(request, found, form, picture=picture, stored=stored, reviews=reviews, problem=problem)


def _determination(request: Request, found: Json, form: Form, **more: Any) -> Response:
    knowledge = get_knowledge(request)
    item = shown(found)
    values = {"differences": {"lines": [], "criteria": []}, "stored": None, "reviews": [], "problem": "", **more}
    return render(
        request,
        "result.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if values["problem"] else HTTPStatus.OK,
        items=[item],
        prefixes=PREFIXES,
        form=form,
        proofs={line["line"]: elements(line) for line in item["lines"]},
        levels=list(knowledge.levels),
        known_facts=knowledge.facts,
        conus=CONUS,
        decisions=DECISIONS,
        **values,
    )


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


def examples(knowledge: kg.Knowledge) -> Iterator[tuple[str, str, str]]:
    """Yield name, claim and policy of each example: whole claims first, then the cases of each policy."""
    for file in sorted((knowledge.root / "examples").glob("*.json")):
        yield file.stem, file.read_text("utf-8"), ""
    for policy in knowledge.policies:
        for case in cases_of(policy, knowledge):
            yield f"{policy}: {case.name}", json.dumps(case.document, indent=2), policy


def missing(request: Request, words: str) -> Response:
    """Say that there is nothing at an address, and where to go on."""
    return render(request, "missing.html", status=HTTPStatus.NOT_FOUND, private=False, words=words)
