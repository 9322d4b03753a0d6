"""The form of a determination: which parts it has, and of which kind each is.

For `kg.verify` alone: whatever is not of this form is refused before anything of it is read.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kg.replay.lines import APPROVE, DENY, NOT_BILLABLE, PEND, POSTURES, REVIEW

Form = Any  # a type, a set of values, a list of one form, or a form for each key; those ending in `?` may be missing
TRIPLE: Form = (str, str, str)
MAX_DEPTH = 360  # of lists and objects within each other: three for each criterion, and shapes nest 100 deep
DECISIONS = {APPROVE, DENY, PEND, NOT_BILLABLE, REVIEW}
STATUSES = {"met", "not-met", "undocumented", "conflicting"}
NODE: dict[str, Form] = {
    "criterion": str,
    "label": str,
    "clause": str,
    "quote": str,
    "status": STATUSES,
    "kind": str,
    "witnesses": [TRIPLE],
    "at?": str,
    "alternatives?": [[TRIPLE]],
    "words?": [str],
    "message?": str,
    "question?": str,
    "derived?": [int],
    "sources?": [{"fact": str, "source": str}],
}
NODE["parts"] = [NODE]
CONFLICT: Form = {"kind": str, "line": int, "policy": str, "guideline": str, "words": str}
CHANGED: Form = {
    **{"fact?": str, "field?": str, "region?": str, "criterion?": str},
    "status": {"present", "absent", "met", "not-met"},
}
GUIDANCE: Form = {
    **dict.fromkeys(("guideline", "clause", "label", "quote", "stance"), str),
    **dict.fromkeys(("evidenceClass", "strength", "sourceStatus", "statement?"), str),
}
LINE: Form = {
    "line": int,
    "code": str,
    "label": str,
    "decision": DECISIONS,
    "decisions": dict.fromkeys(POSTURES, DECISIONS),
    "decidedRegardless": bool,
    "because": [str],
    "reason?": str,
    "note?": str,
    "grounds": [{"clause": str, "criteria": [str]}],
    "missing": [{"fact": str, "question": str, "region?": str, "criterion": str}],
    "caveats": [str],
    "assumptions": [str],
    "flips": [[str]],
    "changes": [{"to": {APPROVE, DENY, "secured"}, "facts": [CHANGED]}],
    "conflicts": [CONFLICT],
    "guidance": [GUIDANCE],
    "postures": [{"decision": DECISIONS, "postures": [str], "because": [str]}],
    "path": NODE,
}
EDIT: Form = {
    **{"edit": str, "label": str, "effect": str, "decides": bool, "clause": str, "because": [str]},
    "line": (int, type(None)),
    "path": NODE,
}
DETERMINATION: Form = {
    "claim": str,
    "policy": {"id": str, "edition": str, "label": str},
    "serviceDate": str,
    "posture": set(POSTURES),
    "decision": DECISIONS | {"mixed"},
    "notice": str,
    "lines": [LINE],
    "edits": [EDIT],
    "conflicts": [CONFLICT],
    "derivations": [{"triple": TRIPLE, "rule": str, "from": [TRIPLE]}],
    "knowledge": str,
}


def misfits(given: object, form: Form = DETERMINATION, place: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield where a value has not the form that is asked for, and what is wrong there."""
    if depth > MAX_DEPTH:
        yield place, "it nests too deep"
    elif isinstance(form, dict):
        yield from _of_object(given, form, place, depth)
    elif isinstance(form, list):
        if not isinstance(given, list):
            yield place, "this is no list"
        for i, value in enumerate(given if isinstance(given, list) else ()):
            yield from misfits(value, form[0], f"{place}[{i}]", depth + 1)
    elif form is TRIPLE:
        if not (isinstance(given, list | tuple) and len(given) == 3 and all(isinstance(x, str) for x in given)):
            yield place, "this is no triple"
    elif isinstance(form, set):
        if not (isinstance(given, str) and given in form):
            yield place, f"this is none of {', '.join(sorted(form))}"
    elif not isinstance(given, form) or (isinstance(given, bool) and form is not bool):
        yield place, "this is a value of another kind"


def _of_object(given: object, form: Mapping[str, Form], place: str, depth: int) -> Iterator[tuple[str, str]]:
    if not isinstance(given, Mapping):
        yield place, "this is no object"
        return
    for key in form:
        if not key.endswith("?") and key not in given:
            yield place, f"`{key}` is missing"
    for key, value in given.items():
        inner = form.get(key, form.get(f"{key}?"))
        if inner is None or not isinstance(key, str) or key.endswith("?"):
            yield place, "it has a part that the contract does not name"
        else:
            yield from misfits(value, inner, f"{place}.{key}".lstrip("."), depth + 1)
