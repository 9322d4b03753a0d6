"""Replay of the answer: the whole determination told again, from what was read, judged and put into words.

For `kg.verify` alone. Equal input gives equal output, so what stands in a determination is what is told here, to the
word and in this order, or it does not hold.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any

from kg.replay.book import COVERED, NOT_EXCLUDED, STANCES, Book, Clause
from kg.replay.criteria import Criterion
from kg.replay.judge import Hit, Judge
from kg.replay.lines import DENY, POSTURES, UNLESS, Case, Verdict, grounds
from kg.replay.paths import Paths, Place
from kg.replay.record import Atom
from kg.replay.words import NOTICE, Words
from kg.terms import COV

if TYPE_CHECKING:
    from kg.load import Claim

Json = dict[str, Any]
RAISES_ALERT = COV + "RaisesAlert"


class Teller:
    """Tells one claim under one edition and posture."""

    def __init__(self, claim: "Claim", book: Book, edition: str, posture: str) -> None:
        self.claim, self.book, self.posture, self.edition = claim, book, posture, edition
        self.judge = Judge(claim, book, edition)
        self.words = Words(claim.iri, self.judge.reading.graph, book)
        self.paths = Paths(self.words, self.judge.derived, self.judge.nodes.values())

    def whole(self) -> Json:
        """Return the determination."""
        policy = self.book.graph.iri(self.edition, COV + "ofPolicy") or ""
        lines = [self.line(number, self.judge.nodes[number], code) for number, _, code in self.claim.lines]
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
            "derivations": list(self.paths.derivations.values()),
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
            "path": self.paths.told(case.root, Place(node, case.reading, denying)),
        }

    @cached_property
    def is_default(self) -> bool:
        """Say whether a site was taken to lie below the cord because that is where cords end."""
        by = (rules for (_, p, _), rules in self.judge.derived.items() if p == COV + "cordPosition")
        return any(next(iter(rules)) == COV + "rule-belowCord" for rules in by)

    def edit(self, hit: Hit) -> Json:
        """Return an edit that holds: what it stops, or that it only alerts."""
        criterion, reading = hit.edit.criterion, self.judge.verdicts[hit.node]["payer"].case.reading
        evidence = [self.paths.evidence(leaf, hit.node, reading) for leaf in dict.fromkeys(criterion.leaves())]
        return {
            "line": hit.line,
            "edit": criterion.iri,
            "label": criterion.label,
            "effect": self.book.notation(hit.edit.effect),
            "decides": hit.edit.effect != RAISES_ALERT,
            "clause": criterion.clause,
            "because": [words for shown in evidence for words in shown.words],
            "path": self.paths.told(criterion, Place(hit.node, reading)),
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
