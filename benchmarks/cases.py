"""Determinations of the cases, for stores to be filled with: few hundreds, or as many as a benchmark needs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kg
from kg.cases import cases_of

CASES = Path(__file__).resolve().parent.parent / "tests" / "cases"
OF_A_POLICY = 30  # cases of one policy, at most, so that none is most of the store


def documents(knowledge: kg.Knowledge) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield claim documents, each with a policy to judge it under: a worked claim under all, a case under its own."""
    for path in sorted(CASES.glob("*.json")):
        document = json.loads(path.read_text())["claim"]
        yield from ((document, policy) for policy in knowledge.policies)
    for policy in knowledge.policies:
        for case in cases_of(policy, knowledge)[:OF_A_POLICY]:
            yield {**case.document, "id": f"{policy} {case.name}"}, policy


def determinations(knowledge: kg.Knowledge) -> Iterator[kg.Determination]:
    """Yield the determination of each of the documents that has one."""
    for document, policy in documents(knowledge):
        try:
            claim = kg.parse_claim(json.dumps(document), "json", knowledge)
            yield kg.determine(claim, knowledge, policy)
        except kg.ClaimError:  # a case of a faulty claim, or one that no edition of the policy is in force for
            continue
