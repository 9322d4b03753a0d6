"""Explain: a determination as one value, with the path of every line: clause, fact, walk, what is missing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kg.changes import PRESENT, Atom, Change
from kg.check import ALERT, Hit
from kg.decide import BASE_LINE, DENY, FINAL, NOT_BILLABLE, PAYER, Decision, Judged, decided
from kg.docket import COVERED, NOT_EXCLUDED, UNLESS, Case, Guidance
from kg.knowledge import Document, Edition, Knowledge
from kg.load import Claim
from kg.outcome import Outcome
from kg.plan import remember
from kg.proof import NO_GROUNDS, Proof
from kg.reason import Reasoned, with_decisions
from kg.terms import COV, Triple
from kg.words import CODE, FIELDS, Words

Json = dict[str, Any]
NOTICE = "A recommendation: a person decides, and only a person may deny care."


@dataclass(frozen=True, slots=True)
class Determination:
    """What follows for a claim from one edition of a policy, with the proof of it."""

    claim: Claim
    policy: Document
    edition: Edition
    posture: str
    lines: tuple[Judged, ...]
    hits: tuple[Hit, ...]
    reasoned: Reasoned
    knowledge: Knowledge

    @property
    def decision(self) -> str:
        """Return the decision that all lines share, else `mixed` (decision rule 23)."""
        decisions = {line.decisions[self.posture].decision for line in self.lines}
        return decisions.pop() if len(decisions) == 1 else "mixed"

    def facts(self, posture: str = PAYER) -> Reasoned:
        """Return the facts of the claim, what follows from them, and the settled decisions of its base lines."""
        added = {base for line in self.lines for base in self.reasoned.index.get((line.node, BASE_LINE), ())}
        return with_decisions(self.reasoned, decided((line for line in self.lines if line.node in added), posture))

    def triples(self, posture: str = PAYER) -> tuple[Triple, ...]:
        """Return these as triples, those that the claim states first.

        On the union of these and the ontology, any SHACL engine finds the same status for every criterion.
        """
        derived = self.claim.elsewhere(fact.triple for fact in self.facts(posture).derived)
        return tuple(dict.fromkeys((*self.claim.facts, *derived)))

    def to_dict(self) -> Json:
        """Return the determination as the public contract writes it in JSON, section 3.

        What lines share is told once: within one answer, parts of their paths are the same objects.
        """
        teller = Teller(self)
        lines = [teller.line(line) for line in self.lines]
        return {
            "claim": self.claim.id,
            "policy": {"id": self.policy.id, "edition": self.edition.name, "label": self.policy.label},
            "serviceDate": self.claim.service_date.isoformat(),
            "posture": self.posture,
            "decision": self.decision,
            "notice": NOTICE,
            "lines": lines,
            "edits": [teller.edit(hit) for hit in self.hits],
            "conflicts": [conflict for line in lines for conflict in line["conflicts"]],
            "derivations": teller.proof.derivations(),
            "knowledge": self.knowledge.hash,
        }


class Teller:
    """Puts one determination into plain values."""

    def __init__(self, determination: Determination) -> None:
        self.determination = determination
        self.posture = determination.posture
        self.knowledge = determination.knowledge
        self.words = Words(determination.reasoned)
        lines = [line.node for line in determination.lines]
        self.proof = Proof(determination.claim.iri, determination.reasoned, lines, self.words)
        self._asked: dict[Atom, dict[str, str]] = {}
        self._facts: dict[Atom, dict[str, str]] = {}
        self.phrases = self.words.phrases
        self._guidance: dict[str, Json] = self.knowledge.remember(("guidance",), dict)

    def line(self, judged: Judged) -> Json:
        """Return what follows for a line under the posture asked for, and its decision under each."""
        decision = judged.decisions[self.posture]
        decisions: dict[str, str] = {}
        for posture, one in judged.decisions.items():
            decisions[posture] = one.decision
        case, reason, grounds = decision.case, decision.reason, decision.grounds
        missing, caveats, changes, regardless = decision.outlook
        against = frozenset([leaf for _, leaves in grounds for leaf in leaves]) if grounds else NO_GROUNDS
        told: Json = {
            "line": judged.number,
            "code": judged.code,
            "label": self.code_label(judged),
            "decision": decision.decision,
            "decisions": decisions,
            "decidedRegardless": regardless,
            "because": list(decision.because),
        }
        if reason:
            told["reason"] = self.phrases.notations[reason]
        if decision.note:
            told["note"] = decision.note
        told |= {
            "grounds": [{"clause": one.clause, "criteria": [*one.leaves]} for one in grounds] if grounds else [],
            "missing": self.all_missing(missing) if missing else [],
            "caveats": [self.phrases.caveats[outcome] for outcome in caveats] if caveats else [],
            "assumptions": self.assumptions(case, decision, caveats),
            "flips": flips(changes) if changes else [],
            "changes": [{"to": to, "facts": [*map(self.fact, facts)]} for to, facts in changes] if changes else [],
            "conflicts": list(self.conflicts(judged.number, case)) if case.guidance else [],
            "guidance": [*map(self.guidance, case.guidance)],
            "postures": separated(judged) if len({*decisions.values()}) > 1 else [],
            "path": self.proof.line(case.root, judged.node, judged.readings[self.posture], against),
        }
        return told

    def code_label(self, judged: Judged) -> str:
        """Return our words for the code of a line."""
        codes = self.words.index.get((judged.node, CODE))
        if not codes:
            return "a code that the ontology does not hold"
        return self.phrases.labels[str(codes[0])]

    def edit(self, hit: Hit) -> Json:
        """Return an edit that holds: what it stops, or that it only alerts."""
        reading = self._readings[hit.node]
        leaves = {leaf.criterion: leaf for leaf in hit.outcome.leaves()}.values()
        return {
            "line": hit.line,
            "edit": hit.outcome.criterion.iri,
            "label": hit.outcome.criterion.label,
            "effect": self.phrases.notations[COV + hit.effect],
            "decides": hit.effect != ALERT,
            "clause": hit.outcome.criterion.clause,
            "because": [
                words
                for leaf in leaves
                if leaf.met or leaf.refuted
                for words in self.proof.evidence(leaf, hit.node, reading)[1]
            ],
            "path": self.proof.path(hit.outcome, hit.node, reading),
        }

    @cached_property
    def _readings(self) -> dict[str, Any]:
        """Return what each line was read as, of which edits were asked."""
        return {line.node: line.readings[PAYER] for line in self.determination.lines}

    # What is open, and what would change it

    def fact(self, atom: Atom) -> dict[str, str]:
        """Return a fact or field that could be documented, and as what; one that is in several sets is told once."""
        told = self._facts.get(atom)
        if told is None:
            told = self._facts[atom] = {"field" if atom.is_field else "fact": atom.name, "status": atom.status}
            if atom.region:
                told["region"] = self.phrases.notations[atom.region]
            if atom.is_field:
                told["criterion"] = atom.leaf
        return told

    def all_missing(self, atoms: tuple[Atom, ...]) -> list[dict[str, str]]:
        """Return the open facts, a field of the claim once however many criteria wait for it."""
        found = {(atom.name, atom.region): atom for atom in reversed(atoms)}
        return [self.missing(atom) for atom in reversed(found.values())]

    def missing(self, atom: Atom) -> dict[str, str]:
        """Return an open fact with the question that would settle it."""
        told = self._asked.get(atom)
        if told is None:
            told = self._asked[atom] = {"fact": atom.name, "question": FIELDS.get(atom.name, "")}
            if not atom.is_field:
                told["question"] = self.words.question(self.knowledge.facts[atom.name])
                if atom.region:
                    told["region"] = self.phrases.notations[atom.region]
            told["criterion"] = atom.leaf
        return told

    def assumptions(self, case: Case, decision: Decision, caveats: tuple[Outcome, ...]) -> list[str]:
        """Return what the posture or the default anatomy took for granted."""
        found = [
            f"{outcome.criterion.clause or outcome.criterion.label}: open, and taken not to defeat the line"
            for outcome in caveats
        ]
        if decision.posture == FINAL and decision.decision == DENY:
            for iri in decision.because:
                if not any(leaf.refuted for leaf in _leaves(case, iri)):
                    found.append(f"{self.clause_name(case, iri)}: undocumented, and counted against the line")
        if decision.decision != NOT_BILLABLE and self.words.default_conus:
            found.append(self.words.default_conus)
        return found

    def clause_name(self, case: Case, iri: str) -> str:
        """Return how the source names a clause."""
        clause = case.docket.clauses.get(iri)
        return clause.criterion.clause if clause and clause.criterion.clause else self.knowledge.label(iri)

    # Guidelines

    def guidance(self, item: Guidance) -> Json:
        """Return what a guideline says of the line; it decides nothing by itself."""
        iri = item.clause.iri
        return (self._guidance.get(iri) or remember(self._guidance, iri, self._of_guideline(item))).copy()

    def _of_guideline(self, item: Guidance) -> Json:
        graph, criterion = self.knowledge.graph, item.outcome.criterion
        speaks, holds = graph.iri(item.clause.iri, COV + "speaksOf"), graph.text(item.clause.iri, COV + "holdsThat")
        found = {
            "guideline": item.document,
            "clause": item.clause.iri,
            "label": criterion.label,
            "quote": criterion.quote,
            "stance": item.stance,
            "evidenceClass": graph.text(item.clause.iri, COV + "evidenceClass") or "",
            "strength": graph.text(item.clause.iri, COV + "strength") or "",
            "sourceStatus": item.clause.source_status,
        }
        if speaks:
            verb = "affirms" if holds == "true" else "denies"
            found["statement"] = f"{verb} that monitoring {self.phrases.labels[speaks]}"
        return found

    def conflicts(self, number: int, case: Case) -> Iterator[Json]:
        """Yield where policy and guideline part on a line."""
        excluded, covered = case.groups[NOT_EXCLUDED].outcome, case.groups.get(COVERED)
        for item in case.guidance:
            if item.stance == "recommends":
                for outcome in excluded.parts:
                    stance = "excludes" if outcome.met else "" if outcome.refuted else "open"
                    if stance:
                        yield self._conflict(number, f"guideline-supports--policy-{stance}", outcome, item)
            if item.stance == "opposes" and covered and case.met:
                for outcome in covered.outcome.parts:
                    if outcome.met:
                        yield self._conflict(number, "guideline-opposes--policy-covers", outcome, item)

    def _conflict(self, number: int, kind: str, outcome: Outcome, item: Guidance) -> Json:
        return {
            "kind": kind,
            "line": number,
            "policy": outcome.criterion.iri.removesuffix(UNLESS),
            "guideline": item.clause.iri,
            "words": f"{item.document} supports the line; {outcome.criterion.clause}: {outcome.criterion.label}"
            if item.stance == "recommends"
            else f"{item.document} finds no support for the line; {outcome.criterion.clause} covers it",
        }


def flips(changes: Iterable[Change]) -> list[list[str]]:
    """Return the sets of facts whose presence would change the decision or secure it."""
    sets: dict[tuple[str, ...], None] = {}
    for _, facts in changes:
        present = tuple([name for name, status, *_ in facts if status == PRESENT])
        if len(present) == len(facts):
            sets[present] = None
    return [*map(list, sets)]


def separated(judged: Judged) -> list[Json]:
    """Return which clauses separate the postures of a line."""
    by: dict[str, list[str]] = {}
    for posture, decision in judged.decisions.items():
        by.setdefault(decision.decision, []).append(posture)
    return [
        {"decision": name, "postures": postures, "because": list(judged.decisions[postures[0]].because)}
        for name, postures in sorted(by.items())
    ]


def _leaves(case: Case, iri: str) -> list[Outcome]:
    return [
        leaf
        for outcome in case.root.parts
        for part in outcome.parts
        if part.criterion.iri.removesuffix(UNLESS) == iri
        for leaf in part.leaves()
    ]
