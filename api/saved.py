"""Saved queries over HTTP: listed, asked with parameters, and answered for people and machines."""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

import kg
from api import results
from api.answers import JSON, tagged
from api.description import PAGE, TAGGED, TEXT, UNCHANGED, errors
from api.library import CHOICES, Saved, library
from api.render import render
from api.schemas import SavedQueries
from api.sparql import ASKED, CUT, TABLES, answered, ask, safe
from api.state import KnowledgeDep
from api.store import compact

SPARQL = "application/sparql-query"
ROWS_SHOWN = 1000  # on a page; the other formats have all

FORMATS = {
    "html": "text/html",
    "json": "application/sparql-results+json",
    "xml": "application/sparql-results+xml",
    "csv": "text/csv",
    "tsv": results.TSV,
    "parquet": results.PARQUET,
    "xlsx": results.XLSX,
    "rq": SPARQL,
}
FILES = ("csv", "tsv", "parquet", "xlsx")  # what is opened elsewhere, and so sent as a file

router = APIRouter(prefix="/queries", tags=["queries"])


def described(saved: Saved, knowledge: kg.Knowledge) -> dict[str, Any]:
    """Return what a query asks, and what its parameters may be."""
    return {
        "name": saved.name,
        "title": saved.title,
        "question": saved.question,
        "href": f"/queries/{saved.name}",
        "parameters": [
            {
                "name": parameter.name,
                "type": parameter.type,
                "default": parameter.default,
                "required": parameter.required,
                **({"choices": list(CHOICES[parameter.type](knowledge))} if parameter.type in CHOICES else {}),
            }
            for parameter in saved.parameters
        ],
        "query": saved.text,
    }


@router.get(
    "",
    response_model=None,
    summary="Saved queries",
    responses={200: {"model": SavedQueries, "content": PAGE, "headers": TAGGED}, **UNCHANGED, **errors(406)},
)
async def queries(request: Request, knowledge: KnowledgeDep) -> Response:
    """List the saved queries: each a question in words, with its parameters (JSON or HTML, by `Accept`)."""
    listed = [described(saved, knowledge) for saved in library(knowledge.root).values()]
    media = _welcome(request, ("application/json", "text/html"))
    if media == "text/html":
        return render(request, "saved.html", private=False, queries=listed)
    return tagged(request, compact({"queries": listed}), JSON, {"Vary": "Accept"})


@router.get(
    "/{name}",
    response_class=Response,
    summary="Answer a saved query",
    responses={
        200: {"description": "the answer", "content": {**TABLES, **PAGE, SPARQL: TEXT}, "headers": CUT},
        **ASKED,
        **errors(404, _400="the address is not form-encoded UTF-8"),
    },
    openapi_extra={"parameters": [{"name": "format", "in": "query", "schema": {"enum": [*FORMATS]}}]},
)
async def query(name: str, request: Request, knowledge: KnowledgeDep) -> Response:
    """Answer a saved query; its parameters are those of the address, and `format` goes before `Accept`.

    A table for people (HTML), JSON, XML, CSV, TSV, Parquet or XLSX; the query itself as `application/sparql-query`.
    """
    found = library(knowledge.root).get(name)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no saved query has this name; GET /queries lists them")
    given = dict(safe(request.scope["query_string"]))
    format = given.pop("format", None)
    if format is not None and format not in FORMATS:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"`format` is one of {', '.join(FORMATS)}")
    media = FORMATS[format] if format else _welcome(request, (*results.OFFERS["select"], "text/html", SPARQL))
    if media == SPARQL:
        return Response(found.text, media_type=SPARQL)
    if media == "text/html":
        return await _page(request, found, given, knowledge)
    answer = await ask(request, found.asked(given, media, knowledge))
    return answered(answer, request, filename=f"{name}.{format}" if format in FILES else None)


async def _page(request: Request, saved: Saved, given: dict[str, str], knowledge: kg.Knowledge) -> Response:
    """Show the rows of a query below a form of its parameters; the form alone while one is still to be given."""
    used = {parameter.name: given.get(parameter.name) or parameter.default for parameter in saved.parameters}
    shown: dict[str, Any] = {"names": [], "rows": [], "count": 0, "capped": False}
    if all(used[parameter.name] for parameter in saved.parameters if parameter.required):
        answer = await ask(request, saved.asked(given, "text/csv", knowledge))
        names, rows = results.read_csv(answer.body)
        shown = {"names": names, "rows": rows[:ROWS_SHOWN], "count": answer.rows, "capped": answer.capped}
    formats = [(format, f"?{urlencode({**used, 'format': format})}") for format in (*FILES, "json")]
    return render(request, "answer.html", query=described(saved, knowledge), used=used, formats=formats, **shown)


def _welcome(request: Request, offers: tuple[str, ...]) -> str:
    media = results.chosen(request.headers.get("accept", "*/*"), offers)
    if media is None:
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"accept one of {', '.join(offers)}")
    return media
