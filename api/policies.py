"""The policies: each with its editions, and the clauses of each edition in the order of the source."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from api import schemas
from api.answers import JSON, tagged
from api.description import TAGGED, UNCHANGED, errors
from api.state import KnowledgeDep
from api.store import compact
from kg.knowledge import Clause, Document

router = APIRouter(tags=["policies"])


@router.get(
    "/policies",
    response_model=None,
    responses={200: {"model": list[schemas.PolicyInBrief], "headers": TAGGED}, **UNCHANGED},
)
def policies(request: Request, knowledge: KnowledgeDep) -> Response:
    """List the policies with their editions."""
    return answered(request, [described(document) for document in knowledge.policies.values()])


@router.get(
    "/policies/{id}",
    response_model=None,
    responses={200: {"model": schemas.Policy, "headers": TAGGED}, **UNCHANGED, **errors(404)},
)
def policy(request: Request, id: str, knowledge: KnowledgeDep) -> Response:
    """Show a policy with its clauses, in the order of the source."""
    if id not in knowledge.policies:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no policy has this identifier; GET /policies lists them")
    document = knowledge.policies[id]
    editions = [{"edition": e.name, "clauses": [clause_of(clause) for clause in e.clauses]} for e in document.editions]
    return answered(request, {**described(document), "editions": editions})


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


def answered(request: Request, value: Any) -> Response:
    """Answer as JSON, with a tag."""
    return tagged(request, compact(value), JSON)
