"""Saved queries: SPARQL in files, each a question in words with typed parameters, answered for people and machines."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import kg
from api import results
from api.render import render
from api.sparql import answered, ask, safe
from api.state import KnowledgeDep
from api.workers import Question, Value
from kg.errors import Fault, KnowledgeError, nearest
from kg.terms import XSD

SPARQL = "application/sparql-query"
ROWS_SHOWN = 1000  # on a page; the other formats have all

router = APIRouter(prefix="/queries", tags=["queries"])


@dataclass(frozen=True, slots=True)
class Parameter:
    """A variable of a query that is given a value before the query runs; without one it is any."""

    name: str
    type: str
    default: str
    required: bool


@dataclass(frozen=True, slots=True)
class Saved:
    """A query that is kept in a file."""

    name: str
    title: str
    question: str
    parameters: tuple[Parameter, ...]
    text: str

    def asked(self, given: Mapping[str, str], accept: str, knowledge: kg.Knowledge) -> Question:
        """Return the query with values for its parameters; raise ClaimError for those that are no such values.

        A value goes to the engine as a term beside the query, never into its text.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        faults = [
            Fault(f"parameter {name}"[:80], "the query has no such parameter", f"parameters: {', '.join(known) or '-'}")
            for name in given
            if name not in known
        ]
        values: dict[str, Value] = {}
        for parameter in self.parameters:
            text = given.get(parameter.name, "") or parameter.default
            if text:
                try:
                    values[parameter.name] = read_value(parameter.type, text, knowledge)
                except ValueError as error:
                    faults.append(Fault(f"parameter {parameter.name}", f"this is no {parameter.type}", str(error)))
            elif parameter.required:
                faults.append(Fault(f"parameter {parameter.name}", "a value is needed", f"give a {parameter.type}"))
        if faults:
            raise kg.ClaimError(faults, self.name)
        return Question(self.text, accept, values)


def read_queries(folder: Path) -> dict[str, Saved]:
    """Read the queries of a folder, by name."""
    return {path.stem: read_query(path.stem, path.read_text("utf-8")) for path in sorted(folder.glob("*.rq"))}


def read_query(name: str, text: str) -> Saved:
    """Read a query; its first lines, each a comment, say in YAML what it asks and for which parameters.

    title: what the answer holds
    question: the same, as one would ask it
    parameters: for each variable that may be given, its `type`, and a `default` or `required: true`
    """
    front = re.match(r"(?:#.*\n)*", text)
    words = "".join(line.removeprefix("#").removeprefix(" ") for line in (front[0] if front else "").splitlines(True))
    try:
        found = yaml.load(words, yaml.BaseLoader)
        parameters = tuple(
            Parameter(variable, item["type"], item.get("default", ""), item.get("required") == "true")
            for variable, item in found.get("parameters", {}).items()
        )
        saved = Saved(name, found["title"], found["question"], parameters, text)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        help = "begin it with comments: title, question, parameters"
        raise KnowledgeError(f"{name}.rq", "the query does not say what it asks", help) from None
    for parameter in parameters:
        if parameter.type not in {*CHOICES, *READERS}:
            help = f"types: {', '.join((*CHOICES, *READERS))}"
            raise KnowledgeError(f"{name}.rq", f"`{parameter.type}` is no type of a parameter", help)
    return saved


def read_value(type: str, text: str, knowledge: kg.Knowledge) -> Value:
    """Return the term that a text of a type stands for; raise ValueError, which says what is welcome."""
    if type in CHOICES:
        choices = CHOICES[type](knowledge)
        if text in choices:
            return choices[text]
        if text in choices.values():
            return text
        raise ValueError(nearest(text, choices, f"for example {', '.join(list(choices)[:6])}"))
    datatype, pattern, example = READERS[type]
    if len(text) > 1000 or not re.fullmatch(pattern, text):
        raise ValueError(f"write it like {example}")
    return text, XSD + datatype


def _clauses(knowledge: kg.Knowledge) -> dict[str, str]:
    documents = (*knowledge.policies.values(), *knowledge.guidelines)
    clauses = (clause.iri for document in documents for edition in document.editions for clause in edition.clauses)
    return {iri.rpartition("/")[2]: iri for iri in clauses}


def _codes(knowledge: kg.Knowledge) -> dict[str, str]:
    from kg.terms import CPT, HCPCS, ICD10CM

    subjects = {s for s, _, _ in knowledge.graph if isinstance(s, str) and s.startswith((CPT, HCPCS, ICD10CM))}
    return {knowledge.notation(iri): iri for iri in sorted(subjects)}


CHOICES = {
    "posture": lambda knowledge: knowledge.named("Posture"),
    "decision": lambda knowledge: knowledge.named("Decision"),
    "policy": lambda knowledge: {policy.id: policy.iri for policy in knowledge.policies.values()},
    "fact": lambda knowledge: knowledge.facts,
    "clause": _clauses,
    "code": _codes,
}
READERS = {
    "text": ("string", r"[^\x00-\x1f\ud800-\udfff]+", "any text"),
    "integer": ("integer", r"-?[0-9]{1,18}", "42"),
    "date": ("date", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "2026-01-31"),
}


@cache
def library(root: Path) -> dict[str, Saved]:
    """Return the queries that go with the knowledge of a folder."""
    return read_queries(root / "queries")


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


@router.get("", response_model=None, summary="Saved queries")
async def queries(request: Request, knowledge: KnowledgeDep) -> Response:
    """List the saved queries: each a question in words, with its parameters (JSON or HTML, by `Accept`)."""
    listed = [described(saved, knowledge) for saved in library(knowledge.root).values()]
    media = _welcome(request, ("application/json", "text/html"))
    if media == "text/html":
        return render(request, "saved.html", private=False, queries=listed)
    return JSONResponse({"queries": listed}, headers={"Vary": "Accept"})


@router.get("/{name}", response_model=None, summary="Answer a saved query")
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


def _welcome(request: Request, offers: tuple[str, ...]) -> str:
    media = results.chosen(request.headers.get("accept", "*/*"), offers)
    if media is None:
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"accept one of {', '.join(offers)}")
    return media

