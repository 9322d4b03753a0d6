"""What schemathesis sends where the description alone leads nowhere: known ids, bodies that are almost right."""

import json
import os
from itertools import count
from random import Random
from typing import Any

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData

from api.description import CLAIM_EXAMPLE, claim_bodies
from api.guard import BATCH
from tests.test_sparql import OUTWARD

KNOWN = os.environ["COVERPATH_TEST_ID"]  # of a determination that is stored
TURTLE, QUERY = "text/turtle", "application/sparql-query"
QUERIES = (
    *OUTWARD.values(),
    "SELECT * { ?s ?p ?o } LIMIT 3",
    "ASK { ?s ?p ?o }",
    "CONSTRUCT WHERE { ?s ?p ?o } LIMIT 3",
    "DESCRIBE <https://w3id.org/coverpath/claims/c01>",
)
JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e300,
    "",
    "\0",
    "\ud800",
    "é" * 70_000,
    [],
    [[]],
    {},
    {"": {}},
    ["95938"],
    "2025-02-30",
)
numbers = count()
random = Random(20261126)
schemathesis.serializer.alias([BATCH, TURTLE, QUERY], "text/plain")


def claim() -> str:
    """Return a claim with anything in place of some of its fields."""
    fields = random.sample([*CLAIM_EXAMPLE, "other"], random.randint(0, 2))
    return json.dumps({**CLAIM_EXAMPLE, **{name: random.choice(JUNK) for name in fields}})


def damaged(text: str) -> str:
    """Take a part of a text away, and put anything in its place; or leave it as it is."""
    data = text.encode("utf-8", "surrogatepass")
    if random.random() < 0.3:
        return text
    first = random.randint(0, len(data))
    damage = data[:first] + random.randbytes(random.randint(0, 4)) + data[first + random.randint(0, 20) :]
    return damage.decode(errors="replace")


def body(media: str) -> str:
    """Return a body of a media type that is almost right."""
    if media == BATCH:
        return "\n".join(damaged(claim()) for _ in range(random.randint(0, 3)))
    return damaged(random.choice(QUERIES) if media == QUERY else claim_bodies(BATCH)[TURTLE]["example"])


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any]) -> dict[str, Any]:
    """Name the determination that there is, half of the time."""
    id = (path_parameters or {}).get("id")
    if id is not None and len(str(id)) % 2 and "determinations" in context.operation.path:
        return {**path_parameters, "id": KNOWN}
    return path_parameters


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Send texts that are almost right; give each request an idempotency key of its own, to lead further."""
    is_positive = case.meta is None or case.meta.generation.mode.is_positive
    if is_positive and case.media_type in (BATCH, TURTLE, QUERY):
        case.body = body(case.media_type)
    key = (case.headers or {}).get("idempotency-key")
    if isinstance(key, str) and 8 <= len(key) <= 200:
        case.headers["idempotency-key"] = str(next(numbers)).zfill(len(key))


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Leave out that a batch is answered whatever its lines are: each is answered with its own faults."""
    return not (case.media_type == BATCH and isinstance(failure, AcceptedNegativeData) and response.status_code == 200)
