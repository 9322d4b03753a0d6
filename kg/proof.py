"""Proof: the criteria tree of a line as plain values, each leaf with its witnesses, and what they are derived from.

What lines share is told once: within one determination, equal parts of their trees are the same objects.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import is_
from typing import Any

from kg.criteria import Criterion
from kg.evaluate import Pieces, Reading
from kg.outcome import Outcome
from kg.plan import ANY, CONCEPT, OF_CLAIM, remember
from kg.reason import Reasoned
from kg.terms import COV, Known, Literal, Term, Triple, written
from kg.words import AT_SITE, FIELDS, SILENT, Words

Json = dict[str, Any]
Row = Sequence[str]
Rows = list[list[str]]  # triples as JSON carries them
FINDING, SOURCE = COV + "finding", COV + "source"
CONCLUSIONS = {f"{COV}rule-{name}" for name in ("belowCord", "atCord", "belowConus", "atConus", "atRisk")}
LIMIT = 256  # witnesses of one leaf that are listed
NOWHERE: Mapping[Criterion, frozenset[str]] = {}
NO_GROUNDS: frozenset[str] = frozenset()


# What makes a leaf so: asserted triples, sentences, the places of derivations, and sources in the record.
Evidence = tuple[Rows, list[str], list[int], list[dict[str, str]]]
# What a triple comes down to: asserted triples, sentences, and the rule by which it follows, if it does.
_Shown = tuple[Sequence[Row], Sequence[str], str]


@dataclass(eq=False, slots=True)
class _At:
    """Where a tree is told: the node, how it was read, the leaves that deny it, and what was told of it before.

    `of_claims` are the criteria that are read of the claim, and so alike at other lines.
    """

    focus: str
    reading: Reading
    grounds: frozenset[str]
    told: dict[Outcome, Json]
    of_claims: Mapping[Criterion, frozenset[str]]
    tell: Callable[[Outcome, "_At"], Json]


class Proof:
    """Tells the trees of one determination."""

    def __init__(self, reasoned: Reasoned, lines: Iterable[str], words: Words) -> None:
        self.index = reasoned.index
        self.lines = frozenset(lines)
        self.words = words
        self.claim = words.claim
        self._derived: dict[Triple, tuple[int, str]] = {}
        # what was told of this claim, so that it is told once
        self._shown: dict[Triple, _Shown] = {}
        self._of_claim: dict[Criterion, Evidence] = {}
        self._told: dict[Term, dict[Outcome, Json]] = {}
        self._silent: dict[Outcome, Json] = {}
        self._of_claims: dict[tuple[Outcome, frozenset[str]], Json] = {}
        # what depends on the knowledge alone
        self._heads: dict[Outcome, Json] = words.knowledge.remember(("heads",), dict)

    def path(self, outcome: Outcome, focus: str, reading: Reading, grounds: frozenset[str] = NO_GROUNDS) -> Json:
        """Return the criteria tree below an outcome, passes as well as failures.

        `grounds` are the leaves by each of which the line is denied: these list all their witnesses.
        """
        told = self._told.setdefault(focus, {})
        if focus not in self.lines:
            return self._elsewhere(outcome, _At(focus, reading, grounds, told, NOWHERE, self._elsewhere))
        of_claims = NOWHERE if (focus, FINDING) in self.index else reading.plan.of_claims
        return self._node(outcome, _At(focus, reading, grounds, told, of_claims, self._node))

    def _node(self, outcome: Outcome, at: _At) -> Json:
        """Return what is told of an outcome at a line, new, or as it was told before."""
        if outcome.silent:
            return self._silent.get(outcome) or self._unknown(outcome)
        node = at.told.get(outcome)
        if node is not None:
            return node
        names = at.of_claims.get(outcome.criterion)
        if names is None:
            node = self._new(outcome, at)
        else:
            key = (outcome, at.grounds & names)
            node = self._of_claims.get(key)
            if node is None:
                node = self._of_claims[key] = self._new(outcome, at)
            else:
                node = self._again(node, at.focus)
        at.told[outcome] = node
        return node

    def _new(self, outcome: Outcome, at: _At) -> Json:
        node = (self._heads.get(outcome) or self._head(outcome)).copy()
        if "words" in node:
            self._leaf(node, outcome, at)
            return node
        tell = at.tell
        node["witnesses"] = []
        node["parts"] = [tell(part, at) for part in outcome.parts]
        return node

    def _unknown(self, outcome: Outcome) -> Json:
        """Return what is told where nothing is known: the same at every line."""
        node = self._silent[outcome] = (self._heads.get(outcome) or self._head(outcome)).copy()
        node["witnesses"] = []
        node["parts"] = [self._silent.get(part) or self._unknown(part) for part in outcome.parts]
        if "words" in node:
            node["words"] = []
            self._ask(node, outcome.criterion.concept)
        return node

    def _elsewhere(self, outcome: Outcome, at: _At) -> Json:
        """Return what is told of an outcome at a node that is no line; it says at which."""
        node = at.told.get(outcome)
        if node is None:
            node = at.told[outcome] = self._new(outcome, at)
            node["label"] = f"{self.words.name(at.focus)}: {outcome.criterion.label}"
            node["at"] = at.focus
        return node

    def _ask(self, node: Json, concept: str) -> None:
        """Word the question of an open leaf by what the codes of the claim suggest."""
        if concept in self.words.suggestions:
            node["question"] = self.words.question(concept)

    def _head(self, outcome: Outcome) -> Json:
        """Return what a node says that no claim bears on, with room for what one does."""
        criterion = outcome.criterion
        head: Json = {
            "criterion": criterion.iri,
            "label": criterion.label,
            "clause": criterion.clause,
            "quote": criterion.quote,
            "status": outcome.status,
            "kind": criterion.kind,
            "witnesses": [],
            "parts": [],
        }
        if criterion.is_leaf:
            head["words"] = []
            if not outcome.met:
                head["message"] = criterion.message
                asked = self.words.asked(criterion.concept) if criterion.concept else FIELDS.get(outcome.field)
                if not outcome.refuted and asked:
                    head["question"] = asked
        return remember(self._heads, outcome, head)

    def _again(self, told: Json, focus: str) -> Json:
        """Return what was told of the claim at one line as it is at another: that of which claim it is differs."""
        if told["witnesses"]:
            node = told.copy()
            node["witnesses"] = [[focus, OF_CLAIM, self.claim], *told["witnesses"][1:]]
            if "alternatives" in told:
                others = told["alternatives"]
                node["alternatives"] = [[[focus, OF_CLAIM, self.claim], *one[1:]] for one in others]
            return node
        if "words" in told:
            return told
        parts = [self._again(part, focus) for part in told["parts"]]
        return told if all(map(is_, parts, told["parts"])) else {**told, "witnesses": [], "parts": parts}

    def _leaf(self, node: Json, outcome: Outcome, at: _At) -> None:
        criterion, reading = outcome.criterion, at.reading
        predicate = reading.plan.stated.get(criterion)
        if predicate is not None and (stated := self._stated(outcome, at.focus, predicate, reading)):
            node["witnesses"], node["words"], alone = stated
            node["parts"] = []
            if criterion.iri in at.grounds:
                first = node["witnesses"]
                node["alternatives"] = [first] if alone else self.alternatives(outcome, at.focus, reading, first)
            return
        if outcome.met or outcome.refuted:
            triples, words, derived, sources = self.evidence(outcome, at.focus, reading)
        else:
            triples, words, derived, sources = [], [], None, None
            self._ask(node, criterion.concept)
        node["witnesses"] = triples
        if criterion.parts:
            others = reading.others(criterion, at.focus)
            node["parts"] = [self._of_other(inner, str(other), within) for other, inner, within in others]
            node["words"] = []
        else:
            node["parts"] = []
            node["words"] = words
        if derived:
            node["derived"] = derived
        if sources:
            node["sources"] = sources
        if criterion.iri in at.grounds:
            node["alternatives"] = self.alternatives(outcome, at.focus, reading, triples)

    def _stated(
        self, outcome: Outcome, focus: str, predicate: str, reading: Reading
    ) -> tuple[Rows, list[str], bool] | None:
        """Return the witness of a leaf that the one stated value of a property decides, and whether it is the only one.

        That is what most leaves ask for: the code of a line, and what it is.
        """
        key = (focus, predicate)
        values = reading.index.get(key, ())
        ways = reading.plan.ways(outcome.criterion, predicate, values, outcome.met) if len(values) == 1 else ()
        if not ways or outcome.met == outcome.refuted or ways[0][0] is ANY:
            return None
        value, steps = ways[0]
        triple = (focus, predicate, value)
        if key in reading.reasoned.concluded and (reading.reasoned.why(triple) or ("", ()))[1]:
            return None
        said = self.words.sentence(triple)
        first = [focus, predicate, value if type(value) is str else written(value)]
        if type(steps) is not Known:
            return [first], [said], len(ways) == 1
        told = self.words.known(steps) if steps.words is None else steps.words
        return [first, *map(list, steps.rows)], ["; ".join((said, *told))], len(ways) == 1

    def _of_other(self, outcome: Outcome, focus: str, reading: Reading) -> Json:
        """Return the tree of what a leaf asks of another node; one that is asked of a line says of which."""
        node = self.path(outcome, focus, reading)
        if focus in self.lines:
            return {**node, "label": f"{self.words.name(focus)}: {outcome.criterion.label}", "at": focus}
        return node

    # Witnesses

    def evidence(self, outcome: Outcome, focus: str, reading: Reading) -> Evidence:
        """Return the witnesses of a leaf's status: one for met, one for refuted, both where they conflict."""
        leaf = outcome.criterion
        if (
            leaf not in reading.plan.claimed
            or focus not in self.lines
            or (leaf.concept and (focus, FINDING) in self.index)
        ):
            return self._evidence(outcome, focus, reading)
        known = self._of_claim.get(leaf)
        if known is None:
            known = self._of_claim[leaf] = self._evidence(outcome, focus, reading)
        (_, *rest), words, derived, sources = known  # after that of which claim it is
        return [[focus, OF_CLAIM, self.claim], *rest], words, derived, sources

    def _evidence(self, outcome: Outcome, focus: str, reading: Reading) -> Evidence:
        leaf = outcome.criterion
        told: list[str] = []
        rows: list[Row] = []
        derived: list[int] = []
        for positive in (True, False):
            if not (outcome.met if positive else outcome.refuted):
                continue
            words: list[str] = []
            for piece in reading.first(leaf, focus, positive):
                if type(piece) is Known:
                    rows += piece.rows
                    words += self.words.known(piece) if piece.words is None else piece.words
                    continue
                for triple in piece:
                    shown, said, rule = self._shown.get(triple) or self._show(triple, reading.reasoned)
                    rows += shown
                    words += said
                    if rule:
                        derived.append(self._derived.setdefault(triple, (len(self._derived), rule))[0])
            if not positive and (focus, AT_SITE) in self.index:
                words.append(self.words.not_there(focus))
            if words:
                told.append("; ".join(dict.fromkeys(words)))
        triples = _listed(rows)
        return triples, told, list(dict.fromkeys(derived)), self._sources(triples) if leaf.concept else []

    def _show(self, triple: Triple, reasoned: Reasoned) -> _Shown:
        """Return what a triple comes down to: the premises that it follows from, or itself."""
        rule, premises = reasoned.why(triple) or ("", ())
        if premises:
            shown = self._premises(triple, rule, premises)
        else:
            shown = (_row(triple),), () if triple[1] in SILENT else (self.words.sentence(triple),), ""
        self._shown[triple] = shown
        return shown

    def _premises(self, triple: Triple, rule: str, premises: Pieces) -> _Shown:
        rows: list[Row] = []
        words: list[str] = []
        for piece in premises:
            known = piece if type(piece) is Known else Known(piece)
            rows += known.rows
            words += self.words.known(known) if known.words is None else known.words
        if rule in CONCLUSIONS:
            words.append(self.words.sentence(triple))
        return rows, words, rule

    def _sources(self, triples: Rows) -> list[dict[str, str]]:
        """Return where in the record the listed facts among some triples stand."""
        nodes = dict.fromkeys(s for s, p, _ in triples if p == CONCEPT)
        found = ((node, source) for node in nodes for source in self.index.get((node, SOURCE), ()))
        return [{"fact": node, "source": source.value} for node, source in found if isinstance(source, Literal)]

    def alternatives(self, outcome: Outcome, focus: str, reading: Reading, first: Rows) -> list[Rows]:
        """Return all minimal witnesses of a leaf that is a ground of a denial; an appeal must beat each."""
        leaf = outcome.criterion
        sides = [positive for positive, holds in ((True, outcome.met), (False, outcome.refuted)) if holds]
        every = chain.from_iterable(reading.all(leaf, focus, positive) for positive in sides)
        found = list(islice(every, LIMIT))
        if len(found) == 1:
            return [first]
        return [self._asserted(one, reading.reasoned) for one in found]

    def _asserted(self, witness: Pieces, reasoned: Reasoned) -> Rows:
        """Return a witness as asserted triples."""
        rows: list[Row] = []
        for piece in witness:
            if type(piece) is Known:
                rows += piece.rows
                continue
            for triple in piece:
                rows += (self._shown.get(triple) or self._show(triple, reasoned))[0]
        return _listed(rows)

    def derivations(self) -> Iterator[Json]:
        """Yield the derived triples of all that was told, each with its rule and what it follows from."""
        for triple, (_, rule) in self._derived.items():
            yield {"triple": list(_row(triple)), "rule": rule, "from": _listed(self._shown[triple][0])}


def _row(triple: Triple) -> Row:
    """Return a triple as JSON carries it."""
    s, p, o = triple
    return s if type(s) is str else written(s), p, o if type(o) is str else written(o)


def _listed(rows: Iterable[Row]) -> Rows:
    """Return the triples of some pieces, each once even if pieces overlap."""
    return [*map(list, dict.fromkeys(rows))]
