"""Policies and guidelines answer as their cases say, and for the reasons that the cases give.

kg/cases.py says how a case is written; guidelines speak of a line under any policy, so theirs are determined under one.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

import kg
from kg.cases import SERVICE_DATE, Case
from kg.cases import cases_of as read_cases
from kg.check import ALERT
from kg.criteria import Criterion
from kg.decide import POSTURES, Judged
from kg.evaluate import Reading
from kg.knowledge import EXCLUSION, Document, Knowledge
from kg.outcome import Outcome
from kg.path import first_steps
from kg.plan import plan_of
from kg.reason import reason
from kg.terms import COV, RDFS, SKOS, TYPE, local_name

SHAPES = Path(__file__).parent.parent / "shapes"
FOLDERS = sorted(path.name for path in SHAPES.iterdir() if path.is_dir())
STATUSES = ("met", "not-met", "undocumented", "conflicting")
EXPECTED = {"line", *POSTURES, "because", "reason", "missing", "asks", "guidance", *STATUSES}

# What no claim can bring about, and why. A test finds an entry that a case brings about after all.
UNDECIDABLE = {
    ("any-modality", "not-met"): "whatever a code records is a modality; one that records nothing is silent",
    ("nerve-surgery", "met"): "no code that the ontology holds is of an operation on a peripheral nerve",
    ("nerve-tumor", "met"): "no code that the ontology holds is of an operation on a peripheral nerve",
    ("aortic-surgery", "met"): "no code that the ontology holds is of an operation on the thoracic aorta",
    ("aorta", "met"): "no code that the ontology holds is of an operation on the thoracic aorta",
    **dict.fromkeys(
        [("three-or-fewer", "met"), ("three-or-fewer", "not-met"), ("at-most-three", "not-met")],
        "a claim has no field for cases at once: UndividedAttention meets the clause, else it is open (rule 18)",
    ),
    ("peripheral-nerve-surgery", "met"): "no code that the ontology holds is of an operation on a peripheral nerve",
}
UNFLIPPABLE = {"three-or-fewer": "a claim has no field for cases at once"}


# Cases as data


@cache
def knowledge() -> Knowledge:
    """Load the knowledge once."""
    return kg.load_knowledge()


@cache
def cases_of(folder: str) -> tuple[Case, ...]:
    """Read the cases of a folder; none if it has no file of cases."""
    return read_cases(folder, knowledge())


def policies() -> Mapping[str, Document]:
    """Return the policies by their ids."""
    return knowledge().policies


FOLDERS_WITH_CASES = [folder for folder in FOLDERS if cases_of(folder)]
CASES = [pytest.param(case, id=f"{folder}: {case.name}") for folder in FOLDERS for case in cases_of(folder)]


# What the engine makes of a case


@cache
def determined(folder: str, name: str) -> kg.Determination:
    """Determine the claim of a case."""
    case = next(case for case in cases_of(folder) if case.name == name)
    return kg.determine(kg.parse_claim(json.dumps(case.document), "json", knowledge()), knowledge())


Statuses = Mapping[str, frozenset[str]]


def statuses(outcomes: Iterable[Outcome]) -> Statuses:
    """Return the statuses of criteria; one that was asked of several levels or lines may have several."""
    found: dict[str, frozenset[str]] = {}
    for outcome in outcomes:
        found[outcome.criterion.iri] = found.get(outcome.criterion.iri, frozenset()) | {outcome.status}
    return found


@cache
def everywhere(folder: str, name: str, number: int) -> Statuses:
    """Return the status of every criterion of a folder at a line, and of the coding edits."""
    reading = Reading(plan_of(knowledge()), determined(folder, name).reasoned)
    roots = [edit.criterion for edit in knowledge().edits]
    roots += [clause.criterion for edition in document_of(folder).editions for clause in edition.clauses]
    node = determined(folder, name).lines[number - 1].node
    return statuses(below for root in roots for below in reading.below(reading.outcome(root, node), node))


@cache
def asked(folder: str, name: str, number: int, posture: str) -> Statuses:
    """Return the status of every criterion at a line: in its path, else what the facts make of it."""
    judged = determined(folder, name).lines[number - 1]
    root, reading = judged.decisions[posture].case.root, judged.readings[posture]
    in_path = statuses(reading.below(root, judged.node)) if folder in policies() else {}
    return {**everywhere(folder, name, number), **in_path}


def document_of(folder: str) -> Document:
    """Return the policy or guideline that a folder holds."""
    return {d.id: d for d in (*policies().values(), *knowledge().guidelines)}[folder]


def guidance(folder: str, judged: Judged) -> dict[str, str]:
    """Return the clauses of a guideline that speak of a line, each with its stance."""
    items = judged.decisions[POSTURES[0]].case.guidance
    return {local_name(item.clause.iri): item.stance for item in items if item.document == folder}


def names(iris: Iterable[str]) -> set[str]:
    """Return local names."""
    return set(map(local_name, iris))


# Each case


@pytest.mark.parametrize("case", CASES)
def test_a_case(case: Case) -> None:
    """Each line of a case gets the decision that the case expects, for the reasons that it gives."""
    determination = determined(case.folder, case.name)
    assert case.expect, "a case expects something"
    if case.folder in policies():
        assert determination.policy.id == case.folder
    for expected in case.expect:
        assert expected.keys() <= EXPECTED, f"{expected.keys() - EXPECTED} can not be expected"
        check_line(case, determination, expected)
    assert names(hit.outcome.criterion.iri for hit in determination.hits if hit.effect == ALERT) == case.alerts


def check_line(case: Case, determination: kg.Determination, expected: Mapping[str, Any]) -> None:
    """Assert what a case expects of one line."""
    number = int(expected["line"])
    judged = determination.lines[number - 1]
    postures = [posture for posture in expected if posture in POSTURES]
    decisions = {posture: judged.decisions[posture].decision for posture in postures}
    assert decisions == {posture: expected[posture] for posture in postures}, f"line {number}: decision"
    first = judged.decisions[postures[0] if postures else POSTURES[0]]
    told = told_line(case, first.posture, number)
    assert not postures or "because" in expected, "a decision without a reason proves little"
    if "because" in expected:
        assert names(first.because) == set(expected["because"]), f"line {number}: because"
    if "reason" in expected:
        assert told.get("reason") == expected["reason"], f"line {number}: reason"
    if "missing" in expected:
        assert {missing["fact"] for missing in told["missing"]} == set(expected["missing"]), f"line {number}: missing"
    for fact, words in expected.get("asks", {}).items():
        questions = [missing["question"] for missing in told["missing"] if missing["fact"] == fact]
        assert any(words in question for question in questions), f"line {number}: asks {questions}"
    if "guidance" in expected:
        assert guidance(case.folder, judged) == expected["guidance"], f"line {number}: guidance"
    found = asked(case.folder, case.name, number, first.posture)
    for status in STATUSES:
        for name in expected.get(status, ()):
            named = [iri for iri in found if local_name(iri) == name]
            ours = [iri for iri in named if iri.startswith(own(case.folder))] or named
            actual = [found[iri] for iri in ours]
            assert actual == [frozenset({status})], f"line {number}: {name} is expected to be {status}"


def told_line(case: Case, posture: str, number: int) -> dict[str, Any]:
    """Return what the determination tells of a line under a posture."""
    told = replace(determined(case.folder, case.name), posture=posture).to_dict()
    line: dict[str, Any] = told["lines"][number - 1]
    return line


# Each folder


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_is_whole(folder: str) -> None:
    """A policy or guideline has its source and its cases beside it."""
    missing = [name for name in ("source.md", "cases.yaml") if not (SHAPES / folder / name).is_file()]
    assert not missing, f"shapes/{folder} lacks {' and '.join(missing)}: nothing about a policy lives elsewhere"
    assert cases_of(folder), f"shapes/{folder}/cases.yaml holds no case"


def own(folder: str) -> str:
    """Return the namespace of the terms of a folder."""
    return document_of(folder).iri.rpartition("#")[0] + "#"


@pytest.mark.parametrize("folder", FOLDERS)
def test_quotes_stand_in_the_source(folder: str) -> None:
    """Each quote of a clause or criterion stands in source.md, letter for letter."""
    source = " ".join((SHAPES / folder / "source.md").read_text("utf-8").split())
    graph = knowledge().graph
    quoted = [(s, quote) for s, p, quote in graph if p == COV + "quote" and str(s).startswith(own(folder))]
    found = [f"`{local_name(str(s))}` quotes {str(quote[0])!r}" for s, quote in quoted if quote[0] not in source]
    assert not found, f"copy the words exactly, or correct shapes/{folder}/source.md:\n  " + "\n  ".join(found)


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_criterion_is_asked(folder: str) -> None:
    """No criterion of a folder stands there without a clause that asks for it."""
    kinds = ("Criterion", "FactLeaf", "KnownLeaf", "EveryLeaf", "SomeLeaf", "NumberLeaf")
    written = {s for kind in kinds for s in knowledge().graph.subjects(TYPE, COV + kind)}
    idle = [str(s) for s in written if str(s).startswith(own(folder)) and s not in knowledge().criteria]
    assert not idle, f"a clause asks for it by sh:and, or it goes: {names(idle)}"


def criteria_of(folder: str) -> dict[str, Criterion]:
    """Return the criteria that the clauses of a folder ask for, at any depth; of a policy, the coding edits too."""
    found: dict[str, Criterion] = {}

    def visit(criterion: Criterion) -> None:
        found.setdefault(criterion.iri, criterion)
        for part in criterion.parts:
            visit(part)

    for edition in document_of(folder).editions:
        for clause in edition.clauses:
            visit(clause.criterion)
    for edit in knowledge().edits if folder in policies() else ():
        visit(edit.criterion)
    return found


def judged_by(folder: str, criterion: Criterion) -> list[str]:
    """Return the folders whose cases may decide a criterion: its own, or any for one that policies share."""
    return [folder] if criterion.iri.startswith(own(folder)) else FOLDERS


@cache
def brought_about(folder: str) -> Statuses:
    """Return every status that some case of a folder gives to a criterion."""
    found: dict[str, frozenset[str]] = {}
    for case in cases_of(folder):
        for number in {int(expected["line"]) for expected in case.expect}:
            for posture in POSTURES:
                for iri, several in asked(folder, case.name, number, posture).items():
                    found[iri] = found.get(iri, frozenset()) | several
    return found


@pytest.mark.parametrize("folder", FOLDERS_WITH_CASES)
def test_each_criterion_is_decided_both_ways(folder: str) -> None:
    """Each criterion is met by a case and not met by a case, unless no claim could do that."""
    lacking, idle = [], []
    for iri, criterion in criteria_of(folder).items():
        brought = frozenset().union(*(brought_about(f).get(iri, frozenset()) for f in judged_by(folder, criterion)))
        for status in ("met", "not-met"):
            entry = (local_name(iri), status)
            if status in brought and entry in UNDECIDABLE:
                idle.append(entry)
            elif status not in brought and entry not in UNDECIDABLE:
                lacking.append(f"{local_name(iri)} is never {status}")
    assert not lacking, f"write a case in shapes/{folder}/cases.yaml:\n  " + "\n  ".join(lacking)
    assert not idle, f"take it out of UNDECIDABLE, for a case does it: {idle}"


Result = tuple[tuple[str, str], ...]


@cache
def results(folder: str, name: str) -> dict[int, Result]:
    """Return, of each line, what its case says that it gets: decisions by posture, or guidance."""
    case = next(case for case in cases_of(folder) if case.name == name)
    found: dict[int, dict[str, str]] = {}
    for expected in case.expect:
        said = {posture: str(expected[posture]) for posture in POSTURES if posture in expected}
        if "guidance" in expected:
            said["guidance"] = json.dumps(expected["guidance"], sort_keys=True)
        found.setdefault(int(expected["line"]), {}).update(said)
    return {number: tuple(sorted(said.items())) for number, said in found.items()}


def statements(case: Case) -> dict[tuple[str, ...], Any]:
    """Return what the claim states, one statement a key, so that two claims can be told apart by one."""
    operation = case.document.get("operation", {})
    found: dict[tuple[str, ...], Any] = {("date",): case.document["serviceDate"]}
    found |= {("conus",): operation["conusLevel"]} if "conusLevel" in operation else {}
    for kind, items in (
        ("diagnosis", case.document.get("diagnoses", ())),
        ("procedure", operation.get("procedures", ())),
        ("line", case.document["lines"]),
    ):
        found |= {(kind, str(i)): json.dumps(item, sort_keys=True) for i, item in enumerate(items)}
    for fact in case.document["facts"]:
        key = ("fact", fact["fact"], fact.get("region", ""))
        found[key] = found.get(key, frozenset()) | {fact["status"]}
    return found


def neighbours(folder: str) -> Iterator[tuple[Case, Case]]:
    """Yield the pairs of cases whose claims differ in one statement."""
    for one, other in combinations(cases_of(folder), 2):
        a, b = statements(one), statements(other)
        if sum(a.get(key) != b.get(key) for key in a.keys() | b.keys()) == 1:
            yield one, other


@cache
def flipped(folder: str) -> frozenset[str]:
    """Return the criteria whose status differs between two neighbours, with the result of a line."""
    found: set[str] = set()
    for one, other in neighbours(folder):
        results_of = results(folder, one.name), results(folder, other.name)
        for number in results_of[0].keys() & results_of[1].keys():
            a, b = (dict(side[number]) for side in results_of)
            for key in a.keys() & b.keys():
                if a[key] != b[key]:
                    posture = key if key in POSTURES else POSTURES[0]
                    was, now = (asked(folder, case.name, number, posture) for case in (one, other))
                    found |= {iri for iri in was.keys() | now.keys() if was.get(iri) != now.get(iri)}
    return frozenset(found)


@pytest.mark.parametrize("folder", FOLDERS_WITH_CASES)
def test_each_leaf_flips_a_line(folder: str) -> None:
    """For each leaf, two cases differ in one statement, and with the leaf the result of a line changes.

    Not so for what an alert asks: it is reported and decides nothing.
    """
    alerts = {leaf.iri for edit in knowledge().edits if edit.effect == ALERT for leaf in edit.criterion.leaves()}
    leaves = [criterion for iri, criterion in criteria_of(folder).items() if criterion.is_leaf and iri not in alerts]
    flips = {local_name(leaf.iri): any(leaf.iri in flipped(f) for f in judged_by(folder, leaf)) for leaf in leaves}
    lacking = [name for name, flip in flips.items() if not flip and name not in UNFLIPPABLE]
    assert not lacking, f"write a pair of cases that differ in one fact: {', '.join(lacking)}"


# Silence


def services() -> list[str]:
    """Return the codes that may stand on a line: studies, continuous monitoring, standby, supplies."""
    graph = knowledge().graph
    kinds = {COV + kind for kind in ("MonitoringStudy", "ContinuousMonitoring", "StandbyService", "Supply")}
    classes = [str(s) for s, p, _ in graph if p == RDFS + "subClassOf" and graph.text(s, SKOS + "notation")]
    return sorted({knowledge().notation(s) for s in classes if kinds & knowledge().ancestors(s).keys()})


def of_code_alone(criterion: Criterion) -> bool:
    """Say whether a criterion looks at nothing but the code of the line."""
    return all(leaf.path is not None and first_steps(leaf.path) == {COV + "code"} for leaf in criterion.leaves())


@pytest.mark.parametrize("code", services())
def test_silence_meets_nothing(code: str) -> None:
    """A claim of one line and nothing else meets no clause, except what stops or excludes its code as such."""
    text = json.dumps({"id": code, "serviceDate": SERVICE_DATE, "lines": [{"code": code}]})
    claim = kg.parse_claim(text, "json", knowledge())
    reading = Reading(plan_of(knowledge()), reason(claim, knowledge()))
    for document in (*policies().values(), *knowledge().guidelines):
        for clause in (clause for edition in document.editions for clause in edition.clauses):
            outcome = reading.outcome(clause.criterion, claim.lines[0][1])
            excluded = (clause.kind in EXCLUSION or clause.effect) and of_code_alone(clause.criterion)
            assert not outcome.met or excluded, f"{local_name(clause.iri)} is met where nothing is known"
            facts = {leaf for leaf in outcome.leaves() if leaf.criterion.concept}
            assert all(leaf.status == "undocumented" for leaf in facts), f"{local_name(clause.iri)} presumes facts"
