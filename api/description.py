"""The description of the service (OpenAPI): what holds for every route is said here, once.

What a route answers beyond that, it says itself; its errors by `errors`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

import kg
from api.answers import HTML
from api.library import library
from api.problems import MEDIA as PROBLEM
from api.render import CODES, OURS
from api.schemas import Fault, Problem
from kg.document import MAX_ITEMS, Field
from kg.knowledge import find_root
from kg.load import claim_schema
from kg.terms import COV, XSD

Json = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]

CLAIM_EXAMPLE: Json = orjson.loads((find_root() / "examples" / "c01.json").read_bytes())
TEXT: Json = {"schema": {"type": "string"}}
BYTES: Json = {"schema": {"type": "string", "format": "binary"}}
PAGE: Json = {HTML: TEXT}
TAGGED = {"ETag": {"$ref": "#/components/headers/ETag"}}
PLACE = {"Location": {"schema": {"type": "string"}, "description": "where it is found again"}}
UNCHANGED: Responses = {304: {"description": "not changed since the answer that `If-None-Match` names"}}
SHA = {"schema": {"type": "string"}, "description": "stands for the content; send it as `If-None-Match`"}
KEY = {
    "key": {"type": "http", "scheme": "bearer", "description": "an API key; where there are keys"},
    "password": {"type": "http", "scheme": "basic", "description": "the same key, as a browser's password"},
}
REF = "#/components/schemas/{model}"
ALWAYS = {
    421: "the service does not answer under this host name",
    429: "too many requests; `Retry-After` says when to come again",
    500: "a fault of the service",
}
CLOSED = {
    401: "no key was sent, or one that opens nothing",
    403: "the key's role does not open this, or a page of another site asks, or a stranger where there are no keys",
}
SENT = {422: "a parameter or a field is not as documented; each fault is located"}
WITH_BODY = {408: "the body came too slowly", 413: "the body is too large"}
MEANS = {
    404: "nothing has this name",
    406: "none of the media types that are accepted can be answered",
    409: "the idempotency key came before with another request",
    415: "the body is of no media type that is read here",
    502: "the server of the store did not answer, or not as it should; where there is one",
    503: "not now: too much waits, or a limit was met; `Retry-After` says when to come again",
}


def errors(*statuses: int, **words: str) -> Responses:
    """Return the errors that a route answers, each a problem; `_400="..."` says what one means here."""
    told = {status: MEANS[status] for status in statuses} | {int(name[1:]): text for name, text in words.items()}
    return {status: _error(status, text) for status, text in sorted(told.items())}


def _error(status: int, words: str) -> Json:
    example = {"type": "about:blank", "title": words.partition(";")[0], "status": status}
    schema = {"$ref": REF.format(model=Problem.__name__)}
    return {"description": words, "content": {PROBLEM: {"schema": schema, "example": example}}}


def page(words: str, *others: int) -> Responses:
    """Return what a page for people answers; its other statuses are pages, too."""
    shown: Responses = {200: {"description": words, "content": PAGE}} if words else {}
    return shown | {status: {"description": PAGES[status], "content": PAGE} for status in others}


PAGES = {404: "nothing has this name: where to go on", 422: "what was sent has faults: the page tells where"}


def claim_bodies(batch: str) -> Json:
    """Return how a claim is sent, with examples that run."""
    root = find_root()
    turtle = (
        "@prefix claim: <https://w3id.org/coverpath/claim#> .\n"
        f'<https://w3id.org/coverpath/claims/t01> claim:id "t01" ; claim:payer "{CLAIM_EXAMPLE["payer"]}" ;\n'
        f'    claim:serviceDate "{CLAIM_EXAMPLE["serviceDate"]}"^^<{XSD}date> ;\n'
        f'    claim:lines ( [ claim:code "{CLAIM_EXAMPLE["lines"][0]["code"]}" ] ) .\n'
    )
    line = orjson.dumps(CLAIM_EXAMPLE).decode()
    context = {"@context": "https://w3id.org/coverpath/claim-context.jsonld"}
    return {
        "application/json": {"schema": _object(claim_schema(root).fields, CLAIM), "example": CLAIM_EXAMPLE},
        "application/ld+json": {"schema": {"type": "object"}, "example": {**context, **CLAIM_EXAMPLE}},
        "text/turtle": {**TEXT, "example": turtle},
        batch: {"schema": {}, "example": f"{line}\n{line}\n"},  # each line is answered, whatever it is
    }


CLAIM = ("id", "serviceDate", "lines")  # what every claim has; `shapes/claim.ttl` says the rest


def _object(fields: Mapping[str, Field], required: Iterable[str] = ()) -> Json:
    """Return the JSON Schema of an object with some fields, as `shapes/claim-context.jsonld` names them."""
    properties = {name: _value(name, field) for name, field in fields.items()}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _value(name: str, field: Field) -> Json:
    is_number = field.datatype == XSD + "integer"
    one = _object(field.fields) if field.fields else {"type": "integer" if is_number else "string"}
    return {"type": "array", "maxItems": MAX_ITEMS[name], "items": one} if field.is_list else one


def describe(app: FastAPI) -> None:
    """Let an application tell all that it answers, and name what it does by the module and the function."""

    def openapi() -> Json:
        if app.openapi_schema is None:
            app.openapi_schema = whole(FastAPI.openapi(app))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's manual does it


def whole(document: Json) -> Json:
    """Return a description with what holds for every route."""
    components = document.setdefault("components", {})
    _, models = models_json_schema([(Problem, "serialization"), (Fault, "serialization")], ref_template=REF)
    schemas = {**components.get("schemas", {}), **models["$defs"]}
    components["schemas"] = {name: schemas[name] for name in sorted(schemas) if "ValidationError" not in name}
    components["securitySchemes"] = KEY
    components["headers"] = {"ETag": SHA}
    given = examples(kg.load_knowledge())
    for path, operations in document["paths"].items():
        for operation in operations.values():
            is_open = path in ("/health", "/ready")
            if not is_open:
                operation["security"] = [{}, *({name: []} for name in KEY)]
            for parameter in operation.get("parameters", ()):
                if (path, parameter["name"]) in given:
                    parameter["example"] = given[path, parameter["name"]]
            told = operation["responses"]
            if "HTTPValidationError" in str(told.get("422")):
                del told["422"]
            has_body = "requestBody" in operation
            general = {
                **ALWAYS,
                **({} if is_open else CLOSED),
                **(SENT if has_body or "parameters" in operation else {}),
                **(WITH_BODY if has_body else {}),
            }
            for status, words in general.items():
                told.setdefault(str(status), _error(status, words))
            for status, answer in told.items():
                if status >= "400":
                    problem = _error(int(status), answer["description"])
                    answer["content"].setdefault(PROBLEM, problem["content"][PROBLEM])
            operation["responses"] = dict(sorted(told.items()))
    return document


def name_of(route: APIRoute) -> str:
    """Return the name of an operation: its module and its function."""
    return f"{route.endpoint.__module__.rpartition('.')[2]}-{route.endpoint.__name__}"


def examples(knowledge: kg.Knowledge) -> dict[tuple[str, str], str]:
    """Return a value for each part of an address that the knowledge names, by path and name."""
    policy = next(iter(knowledge.policies))
    saved = library(knowledge.root).values()
    code = CLAIM_EXAMPLE["lines"][0]["code"]
    system = next(name for name, base in CODES.items() if knowledge.graph.predicates(base + code))
    return {
        ("/policies/{id}", "id"): policy,
        ("/book/{id}", "id"): policy,
        ("/queries/{name}", "name"): next(one.name for one in saved if not any(p.required for p in one.parameters)),
        ("/codes/{system}/{code}", "system"): system,
        ("/codes/{system}/{code}", "code"): code,
        ("/terms/{path}", "path"): COV.removeprefix(OURS).replace("#", "/") + "Claim",
    }
