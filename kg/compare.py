"""Compare: one claim under several policies, or several claims under two editions, and on which clause they part."""

from collections.abc import Iterable, Iterator
from typing import Any

from kg.criteria import Criterion
from kg.decide import ADVISORY, Decision, Judged, decide
from kg.errors import ClaimError, Fault, nearest
from kg.explain import NOTICE
from kg.knowledge import Clause, Document, Edition, Knowledge
from kg.load import Claim
from kg.reason import reason

Json = dict[str, Any]


def compare(claim: Claim, knowledge: Knowledge, posture: str = ADVISORY) -> Json:
    """Determine a claim under every policy, side by side: each line's decisions, and the clauses that made them."""
    reasoned = reason(claim, knowledge)
    columns: dict[str, dict[int, Json]] = {}
    without: list[Json] = []
    for document in knowledge.policies.values():
        edition = document.edition(claim.service_date)
        if edition is None:
            without.append({"policy": document.id, "problem": "no edition in force on the date of service"})
            continue
        lines, _ = decide(claim, reasoned, knowledge, edition)
        columns[document.id] = {line.number: _cell(line, posture, edition, knowledge) for line in lines}
    return {
        "claim": claim.id,
        "serviceDate": claim.service_date.isoformat(),
        "posture": posture,
        "notice": NOTICE,
        "policies": list(columns),
        "without": without,
        "lines": [_row(number, code, columns) for number, _, code in claim.lines],
        "knowledge": knowledge.hash,
    }


def _cell(line: Judged, posture: str, edition: Edition, knowledge: Knowledge) -> Json:
    decision = line.decisions[posture]
    clauses = [_named(iri, edition, knowledge) for iri in decision.because]
    return {"edition": edition.name, "decision": decision.decision, "because": clauses, "note": decision.note}


def _named(iri: str, edition: Edition, knowledge: Knowledge) -> Json:
    clause = next((clause.criterion for clause in edition.clauses if clause.iri == iri), None)
    criterion = clause or knowledge.criteria.get(iri)
    return {"criterion": iri, "clause": criterion.clause if criterion else "", "label": knowledge.label(iri)}


def _row(number: int, code: str, columns: dict[str, dict[int, Json]]) -> Json:
    decisions = {policy: cells[number] for policy, cells in columns.items()}
    answers: dict[str, list[str]] = {}
    for policy, cell in decisions.items():
        answers.setdefault(cell["decision"], []).append(policy)
    return {"line": number, "code": code, "agree": len(answers) == 1, "answers": answers, "decisions": decisions}


def edition_named(name: str, knowledge: Knowledge) -> tuple[Document, Edition]:
    """Return the edition that `POLICY@EDITION` names; a policy with one edition needs no `@`.

    Raises ClaimError with the nearest names where there is none.
    """
    policy, _, wanted = name.partition("@")
    documents = {**knowledge.policies, **{guideline.id: guideline for guideline in knowledge.guidelines}}
    if policy not in documents:
        help = nearest(policy, documents, f"policies: {', '.join(knowledge.policies)}")
        raise ClaimError([Fault("POLICY", f"`{policy[:80]}` is not a policy that Coverpath holds", help)])
    document = documents[policy]
    editions = {edition.name: edition for edition in document.editions}
    if not wanted and len(editions) == 1:
        return document, document.editions[0]
    if wanted not in editions:
        help = nearest(wanted, editions, f"editions: {', '.join(f'{policy}@{edition}' for edition in editions)}")
        raise ClaimError([Fault("POLICY", f"`{name[:80]}` names no edition of {policy}", help)])
    return document, editions[wanted]


def difference(one: str, other: str, claims: Iterable[Claim], knowledge: Knowledge, posture: str = ADVISORY) -> Json:
    """Tell two editions apart: clauses that came, went or changed, and lines of claims whose decision changes."""
    (_, before), (_, after) = (edition_named(name, knowledge) for name in (one, other))
    return {
        "before": one,
        "after": other,
        "clauses": list(_clause_changes(before, after)),
        "claims": [
            {"claim": claim.id, "lines": lines}
            for claim in claims
            if (lines := list(_line_changes(claim, before, after, knowledge, posture)))
        ],
    }


def _clause_changes(before: Edition, after: Edition) -> Iterator[Json]:
    """Yield clauses by their number in the source; one that neither edition changed is left out."""
    old, new = ({clause.criterion.clause or clause.iri: clause for clause in e.clauses} for e in (before, after))
    for name in dict.fromkeys((*old, *new)):
        a, b = old.get(name), new.get(name)
        if a is None or b is None:
            there = a or b
            assert there is not None
            yield {"clause": name, "change": "removed" if b is None else "added", "label": there.criterion.label}
        elif _content(a) != _content(b):
            changed = [key for key, value in _content(a).items() if value != _content(b)[key]]
            yield {"clause": name, "change": "changed", "label": b.criterion.label, "what": changed}


def _content(clause: Clause) -> Json:
    return {
        "kind": clause.kind,
        "quote": clause.criterion.quote,
        "source status": clause.source_status,
        "criteria": _tree(clause.criterion),
    }


def _tree(criterion: Criterion) -> Json:
    """Return what a criterion asks, apart from its name."""
    return {
        "kind": criterion.kind,
        "concept": criterion.concept,
        "region": criterion.region,
        "path": repr(criterion.path),
        "shapes": "" if criterion.parts else _asked(criterion),
        "parts": [_tree(part) for part in criterion.parts],
    }


def _asked(criterion: Criterion) -> str:
    return "" if criterion.met is None else repr([(c.component, repr(c)) for c in criterion.met.constraints])


def _line_changes(claim: Claim, before: Edition, after: Edition, knowledge: Knowledge, posture: str) -> Iterator[Json]:
    reasoned = reason(claim, knowledge)
    old, new = (decide(claim, reasoned, knowledge, edition)[0] for edition in (before, after))
    for a, b in zip(old, new, strict=True):
        was, is_ = a.decisions[posture], b.decisions[posture]
        if was.decision != is_.decision:
            yield {
                "line": a.number,
                "code": a.code,
                "before": _because(was, before, knowledge),
                "after": _because(is_, after, knowledge),
            }


def _because(decision: Decision, edition: Edition, knowledge: Knowledge) -> Json:
    clauses = [_named(iri, edition, knowledge) for iri in decision.because]
    return {"decision": decision.decision, "because": clauses}
