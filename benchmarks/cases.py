"""Determinations of the cases, for stores to be filled with: few hundreds, or as many as a benchmark needs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kg
from kg.cases import cases_of

CASES = Path(__file__).resolve().parent.parent / "tests" / "cases"


def documents(knowledge: kg.Knowledge) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield claim documents, each with a policy to judge it under.

    A worked claim is judged under every policy; the case of a policy under its own, except where there are most.
    """
    for path in sorted(CASES.glob("*.json")):
        document = json.loads(path.read_text())["claim"]
        yield from ((document, policy) for policy in knowledge.policies)
    cases = {policy: cases_of(policy, knowledge) for policy in knowledge.policies}
    most = max(cases, key=lambda policy: len(cases[policy]))
    for policy, listed in cases.items():
        if policy != most:
            for case in listed:
                yield {**case.document, "id": f"{policy} {case.name}"}, policy


def determinations(knowledge: kg.Knowledge) -> Iterator[kg.Determination]:
    """Yield the determination of each of the documents that has one."""
    for document, policy in documents(knowledge):
        try:
            claim = kg.parse_claim(json.dumps(document), "json", knowledge)
            yield kg.determine(claim, knowledge, policy)
        except kg.ClaimError:  # a case of a faulty claim, or one that no edition of the policy is in force for
            continue
