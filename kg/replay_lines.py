"""Replay of the decisions: the clauses of an edition, and what they come to for a line by the decision rules.

For `kg.verify` alone, as `kg.replay` is, from which it takes the statuses of criteria.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from itertools import chain, product
from typing import NamedTuple

from kg.graph import Graph
from kg.replay import Bits, Criterion, Kept, Reading, joined, read_criterion
from kg.replay_rules import Background, Supports, minimal, together
from kg.terms import CONDITION, COV, RDFS, SKOS, TYPE, XSD, Literal, Term, local_name, written

APPROVE, DENY, PEND, NOT_BILLABLE, REVIEW = "approve", "deny", "pend", "not-billable", "review"
COVERED, CONDITIONED, NOT_EXCLUDED, PERFORMED, DOCUMENTED = (
    COV + name for name in ("covered", "conditioned", "notExcluded", "performed", "documented")
)
EXCLUSIONS = ("ExclusionClause", "UnprovenClause")
GROUPS = {
    COVERED: ("or", ("CoverageClause",)),
    CONDITIONED: ("and", ("ConditionClause",)),
    NOT_EXCLUDED: ("none", EXCLUSIONS),
    PERFORMED: ("and", ("PerformerClause", "BillingClause")),
    DOCUMENTED: ("and", ("DocumentationClause",)),
}
STANCES = {"RecommendationClause": "recommends", "OppositionClause": "opposes", "EvidenceClause": "reports"}
UNLESS = "-unless-restored"
LINE = "https://w3id.org/coverpath/line#"
MAX_CONFLICTS = 8  # readings of conflicting leaves are tried one by one; with more, a person must look


class Clause(NamedTuple):
    """A clause of an edition, as the decision rules speak of it."""

    criterion: Criterion
    concerns: Criterion | None
    kind: str
    restored_by: tuple[Term, ...]
    reason: str
    is_verified: bool
    effect: str

    @property
    def iri(self) -> str:
        return self.criterion.iri


@dataclass(frozen=True)
class Book:
    """The knowledge as it is replayed."""

    graph: Graph
    background: Background
    kept: Kept = field(default_factory=dict)
    read: dict[str, tuple[Clause, ...]] = field(default_factory=dict)

    @cached_property
    def triples(self) -> frozenset[tuple[str, ...]]:
        """Return all triples as JSON carries them."""
        return frozenset(tuple(map(written, triple)) for triple in self.graph)

    @cached_property
    def edits(self) -> list[tuple[Criterion, str, bool]]:
        """Return the coding edits of all payers, each with its effect and whether it is verified."""
        edits = [e for e in self.graph.subjects(TYPE, COV + "Edit") if not self.graph.objects(e, COV + "inEdition")]
        return [(read_criterion(self.graph, e), self.graph.iri(e, COV + "effect") or "", True) for e in edits]

    @cached_property
    def asking(self) -> list[Criterion]:
        """Return all fact leaves."""
        return [read_criterion(self.graph, s) for s, p, _ in self.graph if p == COV + "asksFor"]

    @cached_property
    def facts(self) -> dict[str, str]:
        """Return the facts that a claim may list, by their names."""
        asked = (s for s, p, _ in self.graph if p == COV + "question")
        return {local_name(s): s for s in asked if isinstance(s, str) and s.startswith(CONDITION)}

    def named(self, name: str) -> str:
        """Return the region that has a name."""
        return next((str(s) for s in self.graph.subjects(SKOS + "notation", Literal(name))), "")

    def notation(self, term: str) -> str:
        return self.graph.text(term, SKOS + "notation") or local_name(term)

    def edition(self, document: Term, day: date) -> str | None:
        """Return the edition of a policy or guideline that is in force on a day."""
        for edition in self.graph.subjects(COV + "ofPolicy", document):
            start, end = (self.graph.text(edition, COV + name) for name in ("effectiveFrom", "effectiveUntil"))
            in_force = (not start or start[:10] <= day.isoformat()) and (not end or day.isoformat() < end[:10])
            if in_force and isinstance(edition, str) and (edition, TYPE, COV + "Edition") in self.graph:
                return edition
        return None

    def clauses(self, edition: str) -> tuple[Clause, ...]:
        """Return the clauses of an edition in the order of the source."""
        if edition not in self.read:
            found = self.graph.subjects(COV + "inEdition", edition)
            ordered = sorted(found, key=lambda c: (int(self.graph.text(c, COV + "order") or "0"), str(c)))
            self.read[edition] = tuple(map(self.clause, ordered))
        return self.read[edition]

    def clause(self, iri: Term) -> Clause:
        graph, true = self.graph, Literal("true", XSD + "boolean")
        kinds = (*chain.from_iterable(kinds for _, kinds in GROUPS.values()), *STANCES)
        concerns = graph.value(iri, COV + "concerns")
        return Clause(
            criterion=read_criterion(graph, iri),
            concerns=read_criterion(graph, concerns) if concerns else None,
            kind=next(kind for kind in kinds if (iri, TYPE, COV + kind) in graph),
            restored_by=graph.objects(iri, COV + "restoredBy"),
            reason=graph.iri(iri, COV + "reason") or "",
            is_verified=(graph.iri(iri, COV + "sourceStatus") or "", COV + "isUnverified", true) not in graph,
            effect=graph.iri(iri, COV + "effect") or "" if (iri, TYPE, COV + "Edit") in graph else "",
        )


@dataclass(frozen=True)
class Case:
    """The clauses that concern a line, and the bits of their leaves; `supposed` go before what is read."""

    clauses: tuple[Clause, ...]
    guidance: tuple[tuple[str, Clause], ...]
    is_continuous: bool
    root: Criterion
    reading: Reading
    node: str
    supposed: Mapping[str, Bits] = field(default_factory=dict)

    def bits(self, criterion: Criterion) -> Bits:
        if not criterion.is_leaf:
            return joined(criterion.kind, [self.bits(part) for part in criterion.parts])
        return self.supposed.get(criterion.iri) or self.reading.bits(criterion, self.node)

    @cached_property
    def groups(self) -> dict[str, Bits]:
        return {group.iri: self.bits(group) for group in self.root.parts}

    @cached_property
    def spoken(self) -> list[tuple[str, Clause]]:
        """Return the clauses of guidelines that hold of the line."""
        return [(name, clause) for name, clause in self.guidance if self.bits(clause.criterion)[0]]

    @cached_property
    def is_supported(self) -> bool:
        return any(STANCES[c.kind] == "recommends" and c.is_verified for _, c in self.spoken)

    def supposing(self, bits: Mapping[str, Bits]) -> "Case":
        return replace(self, supposed={**self.supposed, **bits})

    def is_mentioned(self, clauses: Iterable[Clause]) -> bool:
        return self.is_continuous or any(c.kind in ("CoverageClause", *EXCLUSIONS) for c in clauses)

    def settled(self, posture: str) -> str:
        """Return what the groups of clauses lead to (decision rules 14, 17, 20 and 21)."""
        groups = self.groups
        if any(refuted for name, (_, refuted) in groups.items() if name != DOCUMENTED):
            return DENY
        if COVERED not in groups:
            return REVIEW
        if self.bits(self.root)[0]:
            return APPROVE
        if posture == "final":
            return DENY
        lacking = groups.get(DOCUMENTED, (True, False))[1]
        covered = all(groups.get(name, (True, False))[0] for name in (COVERED, CONDITIONED))
        return APPROVE if posture == "advisory" and self.is_supported and covered and not lacking else PEND


class Verdict(NamedTuple):
    """How a line is decided under a posture, and why if a person must look."""

    case: Case
    posture: str
    decision: str
    because: tuple[str, ...] = ()
    doubted: bool = False
    regardless: bool = False


def payable(book: Book, clauses: Iterable[Clause], is_continuous: bool) -> Criterion:
    """Join clauses into the criterion that a line is payable (decision rules 13, 15 and 19)."""
    by_iri = {clause.iri: clause for clause in clauses}

    def restorable(clause: Clause) -> Criterion:
        restorers = [by_iri[str(r)].criterion for r in clause.restored_by if r in by_iri]
        if clause.kind not in EXCLUSIONS or not restorers:
            return clause.criterion
        label = f"{clause.criterion.label}, unless restored"
        parts = (clause.criterion, *restorers)
        return replace(clause.criterion, iri=clause.iri + UNLESS, kind="unless", label=label, parts=parts)

    groups = []
    for iri, (kind, kinds) in GROUPS.items():
        parts = [restorable(clause) for clause in by_iri.values() if clause.kind in kinds]
        if iri == COVERED and is_continuous:
            parts = [read_criterion(book.graph, LINE + "base-approved")]
        if parts or iri == NOT_EXCLUDED:
            groups.append(Criterion(iri, kind, book.graph.text(iri, RDFS + "label") or "", "", "", tuple(parts)))
    whole = COV + "payable"
    return Criterion(whole, "and", book.graph.text(whole, RDFS + "label") or "", "", "", tuple(groups))


def doubts(case: Case, posture: str, book: Book) -> tuple[str, ...]:
    """Return the unverified clauses and conflicting leaves that would change a decision (decision rule 16)."""
    leaves = {leaf.iri: leaf for leaf in case.root.leaves()}
    conflicting = [iri for iri, leaf in leaves.items() if case.bits(leaf) == (True, True)]
    unverified = tuple(sorted(clause.iri for clause in case.clauses if not clause.is_verified))
    if not conflicting and not unverified:
        return ()
    if len(conflicting) > MAX_CONFLICTS:
        return tuple(conflicting)
    verified = [clause for clause in case.clauses if clause.is_verified]
    fewer = replace(case, root=payable(book, verified, case.is_continuous), clauses=tuple(verified))
    whole, without = [], []
    for values in product(((True, False), (False, True)), repeat=len(conflicting)):
        read = dict(zip(conflicting, values, strict=True))
        whole.append(case.supposing(read).settled(posture))
        if unverified:
            without.append(fewer.supposing(read).settled(posture) if case.is_mentioned(verified) else REVIEW)
    found = unverified if unverified and whole != without else ()
    differ = len({*whole}) > 1 or bool(unverified and whole != without)
    return (*found, *conflicting) if differ and {*whole, *without} != {case.settled(posture)} else found


def because(case: Case, decision: str, posture: str) -> Iterator[str]:
    """Yield the clauses that decided: each that defeats, each that covers, or each that is open."""
    hard = any(refuted for name, (_, refuted) in case.groups.items() if name != DOCUMENTED)
    for group in exclusions_first(case):
        met, refuted = case.groups[group.iri]
        for part in group.parts:
            good, bad = case.bits(part)[:: -1 if group.iri == NOT_EXCLUDED else 1]
            if decision == APPROVE:
                decides = group.iri == COVERED and good
            elif decision == PEND:
                decides = not met and not good and (not bad or group.iri == DOCUMENTED)
            elif hard:
                decides = bad and refuted and (group.iri != DOCUMENTED or posture == "final")
            else:
                decides = not met and not good
            if decides:
                yield part.iri.removesuffix(UNLESS)
    if decision == APPROVE and posture == "advisory" and not case.bits(case.root)[0]:
        yield from (c.iri for _, c in case.spoken if STANCES[c.kind] == "recommends" and c.is_verified)


def exclusions_first(case: Case) -> list[Criterion]:
    """Return the groups of clauses in the order in which they are told: what defeats a line first."""
    return sorted(case.root.parts, key=lambda group: group.iri != NOT_EXCLUDED)


def grounds(case: Case, posture: str) -> dict[str, set[frozenset[str]]]:
    """Return, for each clause, all minimal sets of leaves that deny the line by themselves."""

    def sets(criterion: Criterion, positive: bool) -> Supports:
        if criterion.is_leaf:
            return (frozenset({(criterion.iri, "", "")}),) if case.bits(criterion)[0 if positive else 1] else ()
        match criterion.kind:
            case "not" | "none":
                sides = [sets(part, not positive) for part in criterion.parts]
            case "unless":
                sides = [sets(part, positive == (i == 0)) for i, part in enumerate(criterion.parts)]
            case _:
                sides = [sets(part, positive) for part in criterion.parts]
        return together(*sides) if positive != (criterion.kind == "or") else minimal(chain.from_iterable(sides))

    found: dict[str, set[frozenset[str]]] = {}
    for group in case.root.parts:
        if group.iri == DOCUMENTED and posture != "final":
            continue
        whole = group.iri == COVERED and len(group.parts) > 1
        for part in (group,) if whole else group.parts:
            for one in sets(part, group.iri == NOT_EXCLUDED):
                leaves = frozenset(str(leaf) for leaf, _, _ in one)
                found.setdefault(part.iri.removesuffix(UNLESS), set()).add(leaves)
    return found
