"""The worked cases: each line that a case settles gets the decision that it expects, in each policy that is here."""

import json
from typing import Any

import pytest

import kg
from tests.conftest import ROOT, parsed

CASES: dict[str, Any] = {
    path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "tests/cases").glob("*.json"))
}
MISSING = {
    "anthem-cg-surg-104",
    "bcbsal-mp-306",
    "cms-lcd-l35003",
}  # no folder yet; a policy that gets one leaves this set
EITHER = {"c26"}  # by the README of the cases, `deny` and `not-billable` are both right here


def is_here(policy: str) -> bool:
    return (ROOT / "shapes" / policy / "policy.ttl").is_file()


EXPECTED = [
    (name, policy, posture)
    for name, case in CASES.items()
    for policy, postures in case["expect"].items()
    for posture in postures
    if is_here(policy)
]


@pytest.mark.parametrize(("name", "policy", "posture"), EXPECTED)
def test_every_line_gets_the_expected_decision(name: str, policy: str, posture: str, knowledge: kg.Knowledge) -> None:
    """The lines that a case settles are decided as it expects."""
    case = CASES[name]
    found = kg.determine(parsed(case["claim"]), knowledge, policy=policy, posture=posture).to_dict()["lines"]
    expected = case["expect"][policy][posture]
    decided = {(line["line"], line["code"]): line["decision"] for line in found}
    wrong = [
        f"line {line['line']} ({line['code']}): {decided[line['line'], line['code']]}, expected {line['decision']}"
        for line in expected
        if decided[line["line"], line["code"]] not in accepted(name, line["decision"])
    ]
    assert expected
    assert not wrong, f"{case['title']}\n  " + "\n  ".join(wrong)


def accepted(name: str, decision: str) -> set[str]:
    """Return the decisions that are right where a case expects one."""
    return {"deny", "not-billable"} if name in EITHER and decision == "deny" else {decision}


def test_every_policy_of_the_cases_is_here_or_listed() -> None:
    """A policy that the cases name has a folder, or is listed as missing."""
    named = {policy for case in CASES.values() for policy in case["expect"]}
    assert {policy for policy in named if not is_here(policy)} <= MISSING


def test_every_case_names_itself() -> None:
    """The file of a case is called as its claim."""
    assert {name: case["claim"]["id"] for name, case in CASES.items()} == {name: name for name in CASES}
