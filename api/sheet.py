"""A determination on the web: as it is printed elsewhere, with what can be tried, seen and recorded beside it."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

import kg
from api.engine import PICTURE, Job
from api.proof import elements
from api.render import render
from api.state import get_engine, get_knowledge, get_store
from api.store import Stored
from api.whatif import CONUS, answered, changed
from kg.decide import ADVISORY
from kg.html import shown
from kg.terms import PREFIXES

Json = dict[str, Any]
DECISIONS = ("approve", "deny", "pend")
MAX_LINES = 40  # of a claim on one page; the other formats have no such limit


@dataclass(frozen=True, slots=True)
class Form:
    """What the page asks: a claim, how to judge it, and the answers that are tried on it."""

    claim: str = ""
    format: str = "json"
    policy: str = ""
    posture: str = ADVISORY
    answers: tuple[str, ...] = ()


async def tried_page(request: Request, form: Form, before: bytes, after: bytes) -> Response:
    """Show the determination of a claim with the answers that are tried, and what these change."""
    picture = await _picture(request, form)

    def page() -> Response:
        found = json.loads(after)
        return _page(request, found, form, differences=changed(json.loads(before), found), picture=picture)

    return await run_in_threadpool(page)


async def stored_page(request: Request, stored: Stored, problem: str = "") -> Response:
    """Show a stored determination, and under each line what persons have decided on it."""
    found = json.loads(stored.determination)
    form = Form(claim=stored.claim, policy=found["policy"]["id"], posture=found["posture"])
    picture = await _picture(request, form)

    def page() -> Response:
        reviews = get_store(request).reviews(stored.id)
        return _page(request, found, form, picture=picture, stored=stored, reviews=reviews, problem=problem)

    return await run_in_threadpool(page)


async def _picture(request: Request, form: Form) -> Json | None:
    """Return the picture of the spine; of a claim that was stored under a policy no longer held, there is none."""
    try:
        document = json.dumps(answered(json.loads(form.claim), form.answers))
        made = await get_engine(request).determine(Job(document.encode(), "json", form.policy, form.posture, PICTURE))
    except kg.ClaimError:
        return None
    picture: Json = json.loads(made.content)
    return picture


def _page(request: Request, found: Json, form: Form, **more: Any) -> Response:
    knowledge = get_knowledge(request)
    lines = found["lines"][:MAX_LINES]
    numbers = {None, *(line["line"] for line in lines)}
    edits = [edit for edit in found["edits"] if edit["line"] in numbers]
    item = shown({**found, "lines": lines, "edits": edits})
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
        hidden=len(found["lines"]) - len(lines),
        **values,
    )
