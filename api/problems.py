"""Errors as RFC 9457 writes them: what is wrong, where, and never what was sent."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import kg
from api.engine import BusyError, EngineError, LimitError
from api.store import ReplayError

MEDIA = "application/problem+json"


def problem(status: int, title: str, headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    """Return an error."""
    value = {"type": "about:blank", "title": title, "status": int(status), **more}
    return JSONResponse(value, status, headers, media_type=MEDIA)


def install(app: FastAPI) -> None:
    """Let an application answer every error as a problem."""
    app.exception_handler(kg.ClaimError)(_bad_claim)
    app.exception_handler(RequestValidationError)(_bad_parameter)
    app.exception_handler(HTTPException)(_refused)
    app.exception_handler(ReplayError)(_replayed)
    app.exception_handler(EngineError)(_undetermined)


def faults_of(error: kg.ClaimError) -> list[dict[str, str]]:
    """Return the faults of a claim, each located."""
    return [fault._asdict() for fault in error.faults]


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


async def _refused(request: Request, error: HTTPException) -> JSONResponse:
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def _replayed(request: Request, error: ReplayError) -> JSONResponse:
    return problem(HTTPStatus.CONFLICT, str(error))


async def _undetermined(request: Request, error: EngineError) -> JSONResponse:
    if isinstance(error, BusyError | LimitError):
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers={"Retry-After": "1"})
    place = str(error)  # kind and place, by the process that failed; of the claim it says nothing
    logging.getLogger("coverpath").info(json.dumps({"event": "error", "place": place}))
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of the service; nothing was determined")
