"""Replay of the paths: the tree of every criterion, with the witness of each leaf, in triples and in words.

For `kg.verify` alone.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple

from kg.replay.criteria import OPEN, Bits, Criterion, status
from kg.replay.reading import LISTED, Reading
from kg.replay.rules import Derivations
from kg.replay.supports import Piece, Support
from kg.replay.words import Words
from kg.terms import COV, Literal, Term, Triple, written

Json = dict[str, Any]
CONCLUSIONS = {f"{COV}rule-{name}" for name in ("belowCord", "atCord", "belowConus", "atConus", "atRisk")}


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


class Paths:
    """Tells the criteria of one claim; `lines` are its nodes of which criteria are asked."""

    def __init__(self, words: Words, derived: Derivations, lines: Iterable[str]) -> None:
        self.words, self.derived, self.lines = words, derived, frozenset(lines)
        self.derivations: dict[Triple, Json] = {}  # those on which what was told rests
        self.flawed: dict[str, None] = {}  # the leaves of which a witness lacks a triple, or holds one too many
        self._told: dict[tuple[Term, str, Bits], Json] = {}

    def told(self, criterion: Criterion, at: Place) -> Json:
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
            return {**node, "parts": [self.told(part, at) for part in criterion.parts]}
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
        is_line = focus in self.lines
        return {**self.told(criterion, Place(focus, reading, is_line=is_line)), **self._of(focus, criterion)}

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
        """Return the asserted triples of a witness, each once: of what is derived, those of its first derivation."""
        pieces: dict[object, Piece] = {}
        for piece in support:
            by_rule = self._derived(piece)
            pieces |= {id(part): part for part in by_rule[1]} if by_rule else {piece: piece}
        return list(dict.fromkeys(chain.from_iterable(pieces.values())))

    def _derived(self, piece: Piece) -> tuple[str, Support] | None:
        """Return the rule and the premises by which a piece follows, if it does."""
        by_rule = self.derived.get(piece[0]) if len(piece) == 1 else None
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

    def alternatives(self, leaf: Criterion, bits: Bits, at: Place) -> list[list[list[str]]]:
        """Return all witnesses of a leaf that is a ground of a denial; an appeal must beat each."""
        held = [positive for positive, holds in zip((True, False), bits, strict=True) if holds]
        every = chain.from_iterable(at.reading.witnesses(leaf, at.focus, positive) for positive in held)
        shown = list(map(self.asserted, islice(every, LISTED)))
        return [list(map(carried, dict.fromkeys(one) if leaf.concept or leaf.parts else one)) for one in shown]


def carried(triple: Triple) -> list[str]:
    """Return a triple as JSON carries it."""
    return list(map(written, triple))
