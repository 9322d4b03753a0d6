"""Replay of the answer: the whole determination told again, from what was read, judged and put into words.

For `kg.verify` alone. Equal input gives equal output, so what stands in a determination is what is told here, to the
word and in this order, or it does not hold.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from kg.replay import LISTED, OPEN, Bits, Criterion, Reading, status
from kg.replay_book import COVERED, NOT_EXCLUDED, STANCES, Book, Clause
from kg.replay_judge import Hit, Judge
from kg.replay_lines import DENY, POSTURES, UNLESS, Case, Verdict, grounds
from kg.replay_record import Atom
from kg.replay_rules import Piece, Support
from kg.replay_words import NOTICE, Words
from kg.terms import COV, Literal, Term, Triple, written

if TYPE_CHECKING:
    from kg.load import Claim

Json = dict[str, Any]
Told = list[list[str]]  # triples as JSON carries them
CONCLUSIONS = {f"{COV}rule-{name}" for name in ("belowCord", "atCord", "belowConus", "atConus", "atRisk")}
RAISES_ALERT = COV + "RaisesAlert"


class Evidence(NamedTuple):
    """What makes a leaf so: asserted triples, sentences, and the places of the derivations that they rest on."""

    triples: list[Triple]
    words: list[str]
    derived: list[int]


class Place(NamedTuple):
    """Where a tree is told: the node, how it is read, the leaves that deny it, and whether the node is a line."""

    focus: Term
    reading: Reading
    denying: frozenset[str] = frozenset()
    is_line: bool = True


class Teller:
    """Tells one claim under one edition and posture."""

    def __init__(self, claim: "Claim", book: Book, edition: str, posture: str) -> None:
        self.claim, self.book, self.posture, self.edition = claim, book, posture, edition
        self.judge = Judge(claim, book, edition)
        self.words = Words(claim.iri, self.judge.reading.graph, book)
        self.derivations: dict[Triple, Json] = {}
        self.flawed: dict[str, None] = {}  # the leaves of which a witness lacks a triple, or holds one too many
        self._told: dict[tuple[Term, str, Bits], Json] = {}

    def whole(self) -> Json:
        """Return the determination."""
        policy = self.book.graph.iri(self.edition, COV + "ofPolicy") or ""
        lines = [self.line(*line) for line in self.claim.lines]
        decisions = {line["decision"] for line in lines}
        return {
            "claim": self.claim.id,
            "policy": {
                "id": self.book.notation(policy),
                "edition": self.book.edition_name(self.edition),
                "label": self.book.label(policy),
            },
            "serviceDate": self.claim.service_date.isoformat(),
            "posture": self.posture,
            "decision": decisions.pop() if len(decisions) == 1 else "mixed",
            "notice": NOTICE,
            "lines": lines,
            "edits": list(map(self.edit, self.judge.hits)),
            "conflicts": [conflict for line in lines for conflict in line["conflicts"]],
            "derivations": list(self.derivations.values()),
        }

    # Lines

    def line(self, number: int, node: str, code: str) -> Json:
        """Return what follows for a line under the posture, and its decision under each."""
        verdicts = self.judge.verdicts[node]
        verdict, changes = verdicts[self.posture], self.judge.changes(verdicts[self.posture])
        case, reason = verdict.case, self.judge.reason(verdict)
        denied = list(grounds(case, self.posture)) if verdict.decision == DENY else []
        changed = [{"to": to, "facts": list(map(self.fact, facts))} for to, facts in changes.changes()]
        denying = frozenset(chain.from_iterable(leaves for _, leaves in denied))
        return {
            "line": number,
            "code": code,
            "label": self.words.code_label(node),
            "decision": verdict.decision,
            "decisions": {posture: verdicts[posture].decision for posture in POSTURES},
            "decidedRegardless": changes.is_decided_regardless(),
            "because": list(verdict.because),
            **({"reason": reason} if reason else {}),
            **({"note": verdict.note} if verdict.note else {}),
            "grounds": [{"clause": clause, "criteria": leaves} for clause, leaves in denied],
            "missing": list(self.missing(changes.missing())),
            "caveats": [self.words.caveat(case, part) for part in verdict.caveats],
            "assumptions": list(self.words.assumptions(verdict, self.is_default)),
            "flips": list(flips(changed)),
            "changes": changed,
            "conflicts": list(self.conflicts(number, case)),
            "guidance": [self.guidance(name, clause) for name, clause in case.spoken],
            "postures": list(separated(verdicts)),
            "path": self.path(case.root, Place(node, case.reading, denying)),
        }

    @cached_property
    def is_default(self) -> bool:
        """Say whether a site was taken to lie below the cord because that is where cords end."""
        by = (rules for (_, p, _), rules in self.judge.derived.items() if p == COV + "cordPosition")
        return any(next(iter(rules)) == COV + "rule-belowCord" for rules in by)

    def edit(self, hit: Hit) -> Json:
        """Return an edit that holds: what it stops, or that it only alerts."""
        criterion, reading = hit.edit.criterion, self.judge.verdicts[hit.node]["payer"].case.reading
        evidence = [self.evidence(leaf, hit.node, reading) for leaf in dict.fromkeys(criterion.leaves())]
        return {
            "line": hit.line,
            "edit": criterion.iri,
            "label": criterion.label,
            "effect": self.book.notation(hit.edit.effect),
            "decides": hit.edit.effect != RAISES_ALERT,
            "clause": criterion.clause,
            "because": [words for shown in evidence for words in shown.words],
            "path": self.path(criterion, Place(hit.node, reading)),
        }

    # What is open, and what would change it

    def region(self, atom: Atom) -> Json:
        """Return the region that a fact names, if it names one."""
        return {"region": self.book.notation(atom.region)} if atom.region else {}

    def fact(self, atom: Atom) -> Json:
        """Return a fact or field that could be documented, and as what."""
        if atom.is_field:
            return {"field": atom.name, "status": atom.status, **self.region(atom), "criterion": atom.leaf}
        return {"fact": atom.name, "status": atom.status, **self.region(atom)}

    def missing(self, atoms: Iterable[Atom]) -> Iterator[Json]:
        """Yield the open facts with their questions, each once: where it is asked for last, as it is first."""
        first: dict[tuple[str, str], Atom] = {}
        last: dict[tuple[str, str], int] = {}
        for i, atom in enumerate(atoms):
            first.setdefault((atom.name, atom.region), atom)
            last[atom.name, atom.region] = i
        for key in sorted(first, key=last.__getitem__):
            atom = first[key]
            question = self.words.question("" if atom.is_field else self.book.facts[atom.name], atom.name)
            region = {} if atom.is_field else self.region(atom)
            yield {"fact": atom.name, "question": question, **region, "criterion": atom.leaf}

    # Guidelines

    def guidance(self, guideline: str, clause: Clause) -> Json:
        """Return what a guideline says of the line; it decides nothing by itself."""
        statement, text = self.words.statement(clause), self.book.graph.text
        return {
            "guideline": guideline,
            "clause": clause.iri,
            "label": clause.criterion.label,
            "quote": clause.criterion.quote,
            "stance": STANCES[clause.kind],
            "evidenceClass": text(clause.iri, COV + "evidenceClass") or "",
            "strength": text(clause.iri, COV + "strength") or "",
            "sourceStatus": clause.source_status,
            **({"statement": statement} if statement else {}),
        }

    def conflicts(self, number: int, case: Case) -> Iterator[Json]:
        """Yield where policy and guideline part on a line."""
        for name, clause in case.spoken:
            for kind, part in parted(case, STANCES[clause.kind]):
                supports = f"supports the line; {part.clause}: {part.label}"
                opposes = f"finds no support for the line; {part.clause} covers it"
                yield {
                    "kind": kind,
                    "line": number,
                    "policy": part.iri.removesuffix(UNLESS),
                    "guideline": clause.iri,
                    "words": f"{name} {supports if STANCES[clause.kind] == 'recommends' else opposes}",
                }

    # Paths

    def path(self, criterion: Criterion, at: Place) -> Json:
        """Return the tree of a criterion; what was told of a node before is told again."""
        bits = at.reading.bits(criterion, at.focus)
        key = (at.focus, criterion.iri, bits)
        if key not in self._told:
            self._told[key] = self._path(criterion, bits, at)
        return self._told[key]

    def _path(self, criterion: Criterion, bits: Bits, at: Place) -> Json:
        node: Json = {
            "criterion": criterion.iri,
            "label": criterion.label,
            "clause": criterion.clause,
            "quote": criterion.quote,
            "status": status(bits),
            "kind": criterion.kind,
            "witnesses": [],
        }
        if not at.is_line:
            node |= self._of(at.focus, criterion)
        if not criterion.is_leaf:
            return {**node, "parts": [self.path(part, at) for part in criterion.parts]}
        evidence = self.evidence(criterion, at.focus, at.reading)
        asked = self._asked(criterion, at) if not bits[0] else {}
        others = at.reading.reached(criterion, at.focus) if criterion.parts else ()
        node |= {
            "witnesses": list(map(carried, evidence.triples)),
            "parts": [self._of_other(criterion.parts[0], other, at.reading) for other in others],
            "words": [] if criterion.parts else evidence.words,
            **asked,
        }
        if evidence.derived:
            node["derived"] = evidence.derived
        if criterion.concept and (sources := self.sources(evidence.triples)):
            node["sources"] = sources
        if criterion.iri in at.denying:
            node["alternatives"] = self.alternatives(criterion, bits, at)
        return node

    def _of(self, focus: Term, criterion: Criterion) -> Json:
        """Return of which part of the claim something is asked."""
        return {"label": f"{self.words.name(focus)}: {criterion.label}", "at": written(focus)}

    def _of_other(self, criterion: Criterion, focus: Term, reading: Reading) -> Json:
        """Return the tree of what a leaf asks of another node; one that is asked of a line says of which."""
        is_line = focus in self.judge.nodes.values()
        return {**self.path(criterion, Place(focus, reading, is_line=is_line)), **self._of(focus, criterion)}

    def _asked(self, leaf: Criterion, at: Place) -> Json:
        """Return what the record lacks, and what to ask of it where it is silent."""
        message = {"message": leaf.message}
        if at.reading.bits(leaf, at.focus) != OPEN:
            return message
        question = self.words.question(leaf.concept, at.reading.field(leaf, at.focus))
        return {**message, **({"question": question} if question else {})}

    # Witnesses

    def evidence(self, leaf: Criterion, focus: Term, reading: Reading) -> Evidence:
        """Return the first witness of each side that holds, in triples and in words."""
        triples: list[Triple] = []
        told: list[str] = []
        derived: dict[int, None] = {}
        for positive, holds in zip((True, False), reading.bits(leaf, focus), strict=True):
            if holds:
                support = reading.first(leaf, focus, positive)
                shown = self.asserted(support)
                self._check(leaf, focus, reading, positive, frozenset(shown))
                triples += shown
                words = [*self._said(support, derived)]
                if not positive and self.words.graph.objects(focus, COV + "atSite"):
                    words.append(self.words.not_there(focus))
                told += ["; ".join(dict.fromkeys(words))] if words else []
        several = leaf.concept or (leaf.parts and (leaf.kind == "EveryLeaf" or reading.bits(leaf, focus)[1]))
        return Evidence(list(dict.fromkeys(triples)) if several else triples, told, list(derived))

    def asserted(self, support: Support) -> list[Triple]:
        """Return the asserted triples of a witness: of what is derived, those of its first derivation.

        A triple that belongs to two walks is told with each.
        """
        pieces: dict[object, Piece] = {}
        for piece in support:
            by_rule = self._derived(piece)
            pieces |= {id(part): part for part in by_rule[1]} if by_rule else {piece: piece}
        return list(chain.from_iterable(pieces.values()))

    def _derived(self, piece: Piece) -> tuple[str, Support] | None:
        """Return the rule and the premises by which a piece follows, if it does."""
        by_rule = self.judge.derived.get(piece[0]) if len(piece) == 1 else None
        return next((rule, premises[0]) for rule, premises in by_rule.items()) if by_rule else None

    def _said(self, support: Support, derived: dict[int, None]) -> Iterator[str]:
        """Yield a witness in sentences, and enter what is derived in it among the derivations."""
        for piece in support:
            by_rule = self._derived(piece)
            if not by_rule:
                yield from self.words.sentences(piece)
                continue
            (triple,), (rule, premises) = piece, by_rule
            for part in premises:
                yield from self.words.sentences(part)
            if triple not in self.derivations:
                self.derivations[triple] = self._derivation(triple, rule, premises)
            derived[list(self.derivations).index(triple)] = None
            if rule in CONCLUSIONS:
                yield self.words.sentence(triple)

    def _derivation(self, triple: Triple, rule: str, premises: Support) -> Json:
        stated = dict.fromkeys(chain.from_iterable(premises))
        return {"triple": carried(triple), "rule": rule, "from": list(map(carried, stated))}

    def _check(self, leaf: Criterion, focus: Term, reading: Reading, positive: bool, have: frozenset[Triple]) -> None:
        """Note a leaf of which a witness does not suffice, or of which a triple could be dropped."""
        if not reading.suffices(have, leaf, focus, positive) or any(
            reading.suffices(have - {triple}, leaf, focus, positive) for triple in have
        ):
            self.flawed[leaf.iri] = None

    def sources(self, triples: Iterable[Triple]) -> list[Json]:
        """Return where in the record the listed facts among some triples stand."""
        nodes = dict.fromkeys(s for s, p, _ in triples if p == COV + "concept")
        found = ((node, source) for node in nodes for source in self.words.graph.objects(node, COV + "source"))
        return [{"fact": node, "source": source.value} for node, source in found if isinstance(source, Literal)]

    def alternatives(self, leaf: Criterion, bits: Bits, at: Place) -> list[Told]:
        """Return all witnesses of a leaf that is a ground of a denial; an appeal must beat each."""
        held = [positive for positive, holds in zip((True, False), bits, strict=True) if holds]
        every = chain.from_iterable(at.reading.witnesses(leaf, at.focus, positive) for positive in held)
        shown = list(map(self.asserted, islice(every, LISTED)))
        return [list(map(carried, dict.fromkeys(one) if leaf.concept or leaf.parts else one)) for one in shown]


def carried(triple: Triple) -> list[str]:
    """Return a triple as JSON carries it."""
    return list(map(written, triple))


def flips(changes: Iterable[Json]) -> Iterator[list[str]]:
    """Yield the changes by present facts, each set of names once."""
    positive = (one["facts"] for one in changes if all(fact["status"] == "present" for fact in one["facts"]))
    yield from map(list, dict.fromkeys(tuple(fact["fact"] for fact in facts) for facts in positive))


def separated(verdicts: Mapping[str, Verdict]) -> Iterator[Json]:
    """Yield which clauses separate the postures of a line."""
    ordered = sorted(POSTURES, key=lambda posture: verdicts[posture].decision)
    grouped = [(name, list(some)) for name, some in groupby(ordered, key=lambda posture: verdicts[posture].decision)]
    for decision, postures in grouped if len(grouped) > 1 else ():
        yield {"decision": decision, "postures": postures, "because": list(verdicts[postures[0]].because)}


def parted(case: Case, stance: str) -> Iterator[tuple[str, Criterion]]:
    """Yield where the policy parts from a guideline that recommends the line or opposes it."""
    excluded, covered = case.group(NOT_EXCLUDED), case.group(COVERED)
    for part in excluded.parts if excluded and stance == "recommends" else ():
        met, refuted = case.bits(part)
        if met or not refuted:
            yield f"guideline-supports--policy-{'excludes' if met else 'open'}", part
    for part in covered.parts if covered and stance == "opposes" and case.bits(case.root)[0] else ():
        if case.bits(part)[0]:
            yield "guideline-opposes--policy-covers", part
