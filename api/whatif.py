"""What if: a claim with answers to what is missing, and what they change. Nothing here is stored."""

from collections.abc import Iterable, Iterator
from typing import Any

from kg.errors import ClaimError, Fault

Json = dict[str, Any]
CONUS = "operation.conusLevel"
STATUSES = ("present", "absent")


def answered(document: Json, answers: Iterable[str]) -> Json:
    """Return a claim document in which the record also says what is answered.

    An answer is `present FACT`, `absent FACT`, either with a region behind it, or `operation.conusLevel LEVEL`.
    Whether there are such a fact, region and level is for the claim to be parsed to say.
    """
    found = {**document, "facts": list(document.get("facts", ()))}
    for answer in answers:
        match answer.split():
            case [status, fact, *region] if status in STATUSES and len(region) < 2:
                where = {"region": region[0]} if region else {}
                new = {"fact": fact, "status": status, **where}
                found["facts"] = [old for old in found["facts"] if not _same(old, new)] + [new]
            case [name, level] if name == CONUS:
                found["operation"] = {"procedures": [], **found.get("operation", {}), "conusLevel": level}
            case _:
                help = "use the buttons beside the questions"
                raise ClaimError([Fault("answer", "this answers no question", help)], str(document["id"]))
    return found


def _same(one: Json, other: Json) -> bool:
    return all(one.get(key) == other.get(key) for key in ("fact", "region"))


def changed(before: Json, after: Json) -> Json:
    """Return what differs: the lines whose decision changes in some posture, and the criteria whose status does."""
    lines: list[Json] = []
    criteria: dict[tuple[str, ...], Json] = {}
    for old, new in zip(before["lines"], after["lines"], strict=True):
        decisions = {
            posture: (old["decisions"][posture], decision)
            for posture, decision in new["decisions"].items()
            if decision != old["decisions"][posture]
        }
        if decisions:
            lines.append({"line": new["line"], "code": new["code"], "decisions": decisions})
        was = dict(_statuses(old["path"]))
        for key, node in dict(_statuses(new["path"])).items():
            if key in was and was[key]["status"] != node["status"]:
                step = (was[key]["status"], node["status"])
                words = {"label": node["label"], "clause": node["clause"], "before": step[0], "after": step[1]}
                criteria.setdefault((*key, *step), {**words, "lines": []})["lines"].append(new["line"])
    return {"lines": lines, "criteria": list(criteria.values())}


def _statuses(node: Json) -> Iterator[tuple[tuple[str, str], Json]]:
    """Yield clauses and leaves of a criteria tree, each with what tells it from the others."""
    if node["clause"] or not node["parts"]:
        yield (node["criterion"], node.get("at", "")), node
    for part in node["parts"]:
        yield from _statuses(part)
