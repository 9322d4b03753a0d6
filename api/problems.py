"""Errors as RFC 9457 writes them: what is wrong, where, and never what was sent."""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match

import kg
from api.engine import BusyError, EngineError, LimitError
from api.store import ReplayError
from kg.document import Field
from kg.knowledge import find_root
from kg.load import claim_schema

QUOTED = re.compile("`[^`]*`")
POSITION = re.compile("[0-9]+|line [0-9]+(, column [0-9]+)?")
MEDIA = "application/problem+json"


def problem(status: int, title: str, headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    """Return an error."""
    value = {"type": "about:blank", "title": title, "status": int(status), **more}
    return JSONResponse(value, status, headers, media_type=MEDIA)


def install(app: FastAPI, *routers: APIRouter) -> None:
    """Let an application have routes, and answer every error as a problem."""
    for router in routers:
        app.include_router(router)
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    app.exception_handler(kg.ClaimError)(_bad_claim)
    app.exception_handler(RequestValidationError)(_bad_parameter)
    app.exception_handler(HTTPException)(partial(_refused, routes))
    app.exception_handler(ReplayError)(_replayed)
    app.exception_handler(EngineError)(_undetermined)


def faults_of(error: kg.ClaimError) -> list[dict[str, str]]:
    """Return the faults of a claim, each located; what was sent stays with the sender.

    Faults quote what they are about, which helps at a terminal; over HTTP its place must do.
    """
    return [
        {"place": _known(fault.place), "problem": QUOTED.sub("`…`", fault.problem), "help": fault.help}
        for fault in error.faults
    ]


def _known(place: str) -> str:
    """Return a place without the names in it that the sender chose."""
    return "/".join(part if part in _names() or POSITION.fullmatch(part) else "…" for part in place.split("/"))


@cache
def _names() -> frozenset[str]:
    """Return the names that a place may have: the fields of a claim, and the parts of a request."""

    def names(fields: Mapping[str, Field]) -> Iterator[str]:
        for name, field in fields.items():
            yield name
            yield from names(field.fields)

    return frozenset({"", "body", "document", "query", "after", *names(claim_schema(find_root()).fields)})


async def _bad_claim(request: Request, error: kg.ClaimError) -> JSONResponse:
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "the claim has faults; nothing was determined", errors=faults_of(error)
    )


async def _bad_parameter(request: Request, error: RequestValidationError) -> JSONResponse:
    # what came on top is known by a name that the sender chose, and not repeated
    faults = [
        {
            "place": "/".join(map(str, item["loc"][:-1] if item["type"] == "extra_forbidden" else item["loc"])),
            "problem": item["msg"],
            "help": "",
        }
        for item in error.errors()
    ]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "a parameter is not as documented", errors=faults)


async def _refused(routes: Sequence[APIRoute], request: Request, error: HTTPException) -> JSONResponse:
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # the router knows the methods of one route only
        here = (route.methods or () for route in routes if route.matches(request.scope)[0] is not Match.NONE)
        allowed = {method for methods in here for method in methods}
        headers["Allow"] = ", ".join(sorted(allowed | ({"HEAD"} if "GET" in allowed else set()))) or "GET, HEAD"
    return problem(error.status_code, str(error.detail), headers=headers)


async def _replayed(request: Request, error: ReplayError) -> JSONResponse:
    return problem(HTTPStatus.CONFLICT, str(error))


async def _undetermined(request: Request, error: EngineError) -> JSONResponse:
    if isinstance(error, BusyError | LimitError):
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers={"Retry-After": "1"})
    place = str(error)  # kind and place, by the process that failed; of the claim it says nothing
    logging.getLogger("coverpath").info(json.dumps({"event": "error", "place": place}))
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of the service; nothing was determined")
