"""Cases: what each line of a claim must get, as data beside its policy.

The cases of a folder stand in its cases.yaml, a list of:

    name     what holds, in words
    claim    a claim document; a line may be its code alone, and facts are lists of names, as below
    like     instead: the name of a case above in the file, with `but`, the fields of the claim that differ from it
    expect   per line: a decision in one or more postures, `because` of the first of them (clauses or edits by local
             name), its `reason`, the facts that it names as `missing`, words that its questions (`asks`) contain;
             criteria that are `met`, `not-met`, `undocumented`, `conflicting`; and in the folder of a guideline
             `guidance`, each clause that speaks of the line, with its stance
    alerts   the edits that are reported and decide nothing: all of them, and none unless named

    facts: {present: [SpinalTumor], absent: [TraumaticInjury in lumbar], undocumented: [QualifiedInterpreter],
            record: complete}    # every fact of the record is present unless named otherwise

`id` is the name of the case, `serviceDate` 2025-03-14, and `policy` that of the folder unless a `payer` is named.
All scalars are read as texts, so that a code needs no quotes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kg.errors import KnowledgeError
from kg.knowledge import Knowledge
from kg.terms import CONDITION

PARTS = {"name", "claim", "like", "but", "expect", "alerts"}
SERVICE_DATE = "2025-03-14"


@dataclass(frozen=True, slots=True)
class Case:
    """A claim, and what each of its lines must get."""

    folder: str
    name: str
    document: Mapping[str, Any]
    expect: tuple[Mapping[str, Any], ...]
    alerts: frozenset[str]


def cases_of(folder: str, knowledge: Knowledge) -> tuple[Case, ...]:
    """Read the cases of a folder; none if it has no file of cases."""
    import yaml

    file = knowledge.root / "shapes" / folder / "cases.yaml"
    listed = yaml.load(file.read_text("utf-8"), yaml.BaseLoader) if file.is_file() else []
    claims: dict[str, dict[str, Any]] = {}
    found = []
    for item in listed:
        name = item["name"]
        if strange := item.keys() - PARTS:
            raise KnowledgeError(f"{folder}/cases.yaml", f"`{name}` has {strange}", f"a case has {', '.join(PARTS)}")
        if name in claims:
            raise KnowledgeError(f"{folder}/cases.yaml", f"two cases are named `{name}`", "rename one")
        like = claims[item["like"]] if "like" in item else {}
        claims[name] = changed(like, item["but"] if "like" in item else item["claim"], knowledge)
        found.append(
            Case(
                folder=folder,
                name=name,
                document=document(folder, name, claims[name], knowledge),
                expect=tuple(item["expect"]),
                alerts=frozenset(item.get("alerts", ())),
            )
        )
    return tuple(found)


def changed(claim: Mapping[str, Any], fields: Mapping[str, Any], knowledge: Knowledge) -> dict[str, Any]:
    """Return a claim with some of its fields changed; a fact that is named anew is as named anew."""
    statuses: dict[str, list[str]] = dict(claim.get("facts", {}))
    facts = fields.get("facts", {})
    if facts.get("record") == "complete":
        statuses |= {name: ["present"] for name in record_facts(knowledge)}
    named: dict[str, list[str]] = {}
    for status in ("present", "absent", "undocumented"):
        for fact in facts.get(status, ()):
            named.setdefault(fact, []).append(status)
    return {**claim, **fields, "facts": statuses | named}


def record_facts(knowledge: Knowledge) -> list[str]:
    """Return the names of the facts about who did the monitoring, how, and what was written down."""
    record = CONDITION + "RecordFact"
    return [name for name, iri in knowledge.facts.items() if record in knowledge.ancestors(iri)]


def document(folder: str, name: str, claim: Mapping[str, Any], knowledge: Knowledge) -> dict[str, Any]:
    """Return the claim document of a case."""
    judge = folder if folder in knowledge.policies else next(iter(knowledge.policies))
    policy = {} if claim.keys() & {"payer", "policy"} else {"policy": judge}
    facts = []
    for text, statuses in claim["facts"].items():
        fact, _, region = text.partition(" in ")
        where = {"region": region} if region else {}
        facts += [{"fact": fact, "status": status, **where} for status in statuses if status != "undocumented"]
    lines = [{"code": line} if isinstance(line, str) else line for line in claim["lines"]]
    return {"id": name, "serviceDate": SERVICE_DATE, **policy, **claim, "lines": lines, "facts": facts}
