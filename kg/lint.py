"""Lint: what is wrong with a policy as a whole, though each of its criteria is well made.

A clause is *contradictory* if no facts can meet it, *unreachable* if it concerns no code, *shadowed* if whatever meets
it meets another clause of its kind as well, *dead* if whatever meets it also establishes an exclusion that nothing
sets aside. What a policy says on purpose though another clause says more is acknowledged by `cov:subsumedBy`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

from kg.cases import cases_of
from kg.criteria import Criterion
from kg.evaluate import Reading
from kg.knowledge import COVERAGE, EXCLUSION, Clause, Document, Edition, Knowledge
from kg.load import Claim, parse_claim
from kg.outcome import Bits, Outcome
from kg.plan import plan_of
from kg.reason import Reasoned, reason, with_decisions
from kg.rules.facts import Facts
from kg.sets import LIMIT, Sets, all_of, members, sets_for
from kg.terms import COV, CPT, HCPCS, RDFS, Literal, local_name


class Finding(NamedTuple):
    """Something wrong with a policy: where, what, and what to do."""

    policy: str
    clause: str
    problem: str
    help: str

    def __str__(self) -> str:
        return f"{self.policy}: `{self.clause}` {self.problem}\n  help: {self.help}"


class Met(NamedTuple):
    """A leaf that is met, or refuted."""

    leaf: Criterion
    positive: bool


Progress = Callable[[Sequence[Document]], Iterable[Document]]


def lint(knowledge: Knowledge, with_cases: bool = True, progress: Progress = iter) -> Iterator[Finding]:
    """Yield what is wrong with the policies and guidelines, and which criteria no case decides."""
    codes = [code for code in knowledge.codes if code.startswith((CPT, HCPCS))]
    for document in progress((*knowledge.policies.values(), *knowledge.guidelines)):
        yield from _misquoted(document, knowledge)
        if with_cases:
            yield from _uncased(document, knowledge)
        for edition in document.editions:
            yield from _Edition(document, edition, knowledge, codes).findings()


class _Edition:
    """One edition, with the ways to meet each of its clauses."""

    def __init__(self, document: Document, edition: Edition, knowledge: Knowledge, codes: list[str]) -> None:
        self.document = document
        self.edition = edition
        self.knowledge = knowledge
        self.codes = codes
        self.plan = plan_of(knowledge)
        self.facts = [Met(leaf, positive) for leaf in self.plan.leaves for positive in (True, False)]
        self.place = {(met.leaf.iri, met.positive): 1 << i for i, met in enumerate(self.facts)}
        self.met: dict[str, Sets] = {}  # the ways to meet a clause
        self.ways: dict[str, Sets] = {}  # the ways to meet what it asks of the lines that it concerns
        for clause in edition.clauses:
            outcome = self.plan.outcome(clause.criterion, Bits(0, 0, 0))
            asked = [part for part in outcome.parts if part.criterion is not clause.concerns]
            self.met[clause.iri] = self.sets(outcome)
            self.ways[clause.iri] = all_of(map(self.sets, asked), self.consistent)
        self.reached = {clause.iri: dict(self.concerned(clause)) for clause in edition.clauses}

    def sets(self, outcome: Outcome) -> Sets:
        def leaf(leaf: Outcome, positive: bool) -> Sets:
            return (self.place[leaf.criterion.iri, positive],)

        return sets_for(outcome, True, leaf, self.consistent)

    def facts_of(self, one: int) -> list[Met]:
        return [self.facts[i] for i in members(one)]

    def findings(self) -> Iterator[Finding]:
        for clause in self.edition.clauses:
            if not self.met[clause.iri]:
                yield self.finding(clause, "can be met by no facts", "its criteria contradict each other")
            if not self.reached[clause.iri]:
                yield self.finding(clause, "concerns no code of the ontology", "correct `cov:concerns`")
            subsumed = set(self.knowledge.graph.objects(clause.iri, COV + "subsumedBy"))
            above = {other.iri for other in self.edition.clauses if self.shadows(other, clause)}
            for other in sorted(above - subsumed):
                name = self.knowledge.criteria[other].clause or local_name(other)
                help = f"say so by `cov:subsumedBy`, or drop it: it adds nothing to {name}"
                yield self.finding(clause, f"is shadowed by {name}", help)
            for missing in sorted(map(str, subsumed - above)):
                yield self.finding(clause, f"is not subsumed by {local_name(missing)}", "drop `cov:subsumedBy`")
            yield from self.defeated(clause)

    def finding(self, clause: Clause, problem: str, help: str) -> Finding:
        return Finding(self.document.id, clause.criterion.clause or local_name(clause.iri), problem, help)

    def concerned(self, clause: Clause) -> Iterator[tuple[str, bool]]:
        """Yield the codes that a clause may concern as far as the code says, and whether it surely does."""
        for code in self.codes:
            if clause.concerns is None:
                yield code, True
                continue
            line = "#line-1"
            claim = Claim("", "", None, None, date.max, {}, (), {(line, COV + "code"): (code,)}, [])
            stated = Reasoned(claim.index, {}, frozenset(), self.knowledge, Facts(claim, self.knowledge))
            outcome = Reading(self.plan, stated).outcome(clause.concerns, line)
            if not outcome.refuted:
                yield code, outcome.met

    def within(self, clause: Clause, other: Clause) -> bool:
        """Say whether a clause concerns no lines but those that another concerns, as far as codes say."""
        if clause.concerns is not None and clause.concerns is other.concerns:
            return True
        reached, around = self.reached[clause.iri], self.reached[other.iri]
        return all(code in around and (around[code] or not surely) for code, surely in reached.items())

    def shadows(self, other: Clause, clause: Clause) -> bool:
        """Say whether whatever meets a clause meets another of its kind on the same lines as well."""
        kinds = (*COVERAGE, *EXCLUSION)
        if other.iri == clause.iri or other.kind != clause.kind or clause.kind not in kinds:
            return False
        alike = self.covers(clause, other) and other.iri > clause.iri  # of two that say the same one is named
        return self.covers(other, clause) and not alike

    def covers(self, other: Clause, clause: Clause) -> bool:
        """Say whether a clause is met on every line and in every way on which another is."""
        return self.within(clause, other) and self.implied(clause, other)

    def implied(self, clause: Clause, other: Clause) -> bool:
        """Say whether each way to meet a clause includes a way to meet another."""
        ways, others = self.ways[clause.iri], self.ways[other.iri]
        return 0 < len(ways) < LIMIT and all(any(self.includes(way, short) for short in others) for way in ways)

    def includes(self, way: int, short: int) -> bool:
        return all(any(self.entails(have, want) for have in self.facts_of(way)) for want in self.facts_of(short))

    def entails(self, have: Met, want: Met) -> bool:
        """Say whether one leaf's being so makes another so: the same leaf, or a narrower or broader fact."""
        if have.leaf.iri == want.leaf.iri:
            return have.positive == want.positive
        if have.positive != want.positive or not have.leaf.concept or not want.leaf.concept:
            return False
        narrow, broad = (have.leaf, want.leaf) if have.positive else (want.leaf, have.leaf)
        same = narrow.region == broad.region
        return same and broad.concept in self.knowledge.ancestors(narrow.concept)

    def consistent(self, one: int) -> bool:
        """Say whether leaves can be so at once."""
        atoms = self.facts_of(one)
        return not any(
            a.positive and not b.positive and self.entails(a, Met(b.leaf, True)) for a in atoms for b in atoms
        )

    def defeated(self, clause: Clause) -> Iterator[Finding]:
        """Yield a coverage clause that is never met without an exclusion that defeats it."""
        if clause.kind not in COVERAGE:
            return
        for other in self.edition.of_kind(*EXCLUSION):
            if clause.iri not in other.restored_by and self.covers(other, clause):
                name = other.criterion.clause or local_name(other.iri)
                help = f"whatever meets it establishes {name}; name it under `cov:restoredBy` there, or correct one"
                yield self.finding(clause, "is dead", help)


def _uncased(document: Document, knowledge: Knowledge) -> Iterator[Finding]:
    """Yield criteria that no case of their folder ever meets or refutes, but those that say why none can."""
    decided: set[str] = set()
    for case in cases_of(document.id, knowledge):
        claim = parse_claim(json.dumps(case.document), "json", knowledge)
        reasoned = reason(claim, knowledge)
        bases = sorted({str(o) for _, p, o in (fact.triple for fact in reasoned.derived) if p == COV + "baseLine"})
        for base in ("approve", "deny"):  # whatever becomes of the base lines of a continuous one
            facts = with_decisions(reasoned, dict.fromkeys(bases, COV + base))
            reading = Reading(plan_of(knowledge), facts)
            for clause in (clause for edition in document.editions for clause in edition.clauses):
                for _, line, _ in claim.lines:
                    below = reading.below(reading.outcome(clause.criterion, line), line)
                    decided.update(outcome.criterion.iri for outcome in below if outcome.met or outcome.refuted)
            if not bases:
                break
    for iri, criterion in knowledge.criteria_of(document).items():
        if iri not in decided and knowledge.graph.value(iri, COV + "openBecause") is None:
            help = f"write a case in shapes/{document.id}/cases.yaml"
            yield Finding(document.id, criterion.clause or local_name(iri), "is decided by no case", help)


def _misquoted(document: Document, knowledge: Knowledge) -> Iterator[Finding]:
    """Yield quotes that the source of their policy does not contain, letter for letter."""
    file = knowledge.root / "shapes" / document.id / "source.md"
    source = " ".join(file.read_text("utf-8").split()) if file.is_file() else ""
    if not source:
        yield Finding(document.id, document.id, "has no source.md", "write down what is quoted, and where it stands")
        return
    for iri in knowledge.criteria_of(document):
        for quote in knowledge.graph.objects(iri, COV + "quote"):
            if isinstance(quote, Literal) and " ".join(quote.value.split()) not in source:
                problem = f"quotes “{quote.value}”, which source.md does not contain"
                name = knowledge.graph.text(iri, RDFS + "label") or local_name(iri)
                yield Finding(document.id, name, problem, "copy the words exactly, or correct source.md")
