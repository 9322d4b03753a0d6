"""What answers hold, as the description of the service tells it; the routes send bytes that are made elsewhere."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Posture = Literal["payer", "advisory", "final"]
Decision = Literal["approve", "deny", "pend", "not-billable", "review"]
Status = Literal["met", "not-met", "undocumented", "conflicting"]
Id = str
LINE = Field(ge=1, le=1000, description="the number of the line")


class Fault(BaseModel):
    """One thing that is wrong, and where; what was sent is not repeated."""

    place: str
    problem: str
    help: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str = Field(description="what is wrong")
    status: int
    errors: list[Fault] = Field([], description="each fault of what was sent, located")


class PolicyChosen(BaseModel):
    """The policy that judged, in the edition that was in force on the date of service."""

    id: str
    edition: str


class Criterion(BaseModel):
    """A criterion, its status and why; `parts` are those that it joins."""

    criterion: str
    label: str
    clause: str
    quote: str
    status: Status
    witnesses: list[list[str]]
    parts: list["Criterion"]


class Missing(BaseModel):
    """What would have to be documented, as a question."""

    fact: str
    question: str


class Line(BaseModel):
    """What was decided on one service line, under the posture asked for and under all."""

    line: int = LINE
    code: str
    decision: Decision
    decisions: dict[Posture, Decision]
    because: list[Any] = Field(description="the criteria that decided it")
    missing: list[Missing]
    caveats: list[Any]
    flips: list[list[str]] = Field(description="the minimal sets of facts that would change the decision")
    path: Criterion


class Determination(BaseModel):
    """A determination: a recommendation on each line, with the whole path to it."""

    claim: str
    policy: PolicyChosen
    posture: Posture
    decision: str
    lines: list[Line]
    edits: list[dict[str, Any]]
    conflicts: list[dict[str, Any]]
    knowledge: str = Field(description="the hash of ontology and shapes")


class Review(BaseModel):
    """What a person decided on a line, and when."""

    line: int = LINE
    posture: Posture | None = None
    reviewer: str
    decision: Decision
    reason: str
    made: str


class Standing(BaseModel):
    """What counts on a line: what a person decided, and until then a recommendation."""

    line: int = LINE
    standing: Literal["recommendation", "decided by a person"]
    decision: Decision


class StoredDetermination(Determination):
    """A determination as it was answered, and what people decided on its lines."""

    id: Id
    made: str
    standing: list[Standing]
    reviews: list[Review]


class LineInBrief(BaseModel):
    """A line in a list."""

    line: int
    code: str
    decision: Decision


class DeterminationInBrief(BaseModel):
    """A determination in a list."""

    id: Id
    href: str
    made: str
    claim: str
    policy: PolicyChosen
    serviceDate: str
    posture: Posture
    decision: str
    lines: list[LineInBrief]
    knowledge: str


class Verification(BaseModel):
    """Whether a proof holds, replayed by independent code."""

    id: Id
    holds: bool
    failures: list[str]


class Clause(BaseModel):
    """A clause: its words, how they are known, and the criteria below it."""

    criterion: str
    clause: str
    kind: str
    label: str
    quote: str
    sourceStatus: str
    criteria: list[str]


class Edition(BaseModel):
    """An edition with its clauses, in the order of the source."""

    edition: str
    clauses: list[Clause]


class EditionInBrief(BaseModel):
    """An edition, and when it is in force."""

    model_config = ConfigDict(populate_by_name=True)

    edition: str
    start: str | None = Field(alias="from")
    until: str | None


class PolicyInBrief(BaseModel):
    """A policy in a list."""

    id: str
    label: str
    payers: list[str]
    editions: list[EditionInBrief]


class Policy(BaseModel):
    """A policy with its clauses."""

    id: str
    label: str
    payers: list[str]
    editions: list[Edition]


class Parameter(BaseModel):
    """A parameter of a saved query."""

    name: str
    type: str
    default: str
    required: bool
    choices: list[str] | None = None


class SavedQuery(BaseModel):
    """A saved query: what it asks, in words and in SPARQL."""

    name: str
    title: str
    question: str
    href: str
    parameters: list[Parameter]
    query: str


class SavedQueries(BaseModel):
    """The saved queries."""

    queries: list[SavedQuery]


class Health(BaseModel):
    """That the process runs."""

    status: Literal["ok"]


class Ready(BaseModel):
    """That the service is ready, with which knowledge; how long the journal is, and how much of it queries see."""

    status: Literal["ready"]
    knowledge: str
    entries: int
    indexed: int
