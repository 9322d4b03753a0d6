"""Proof: the criteria tree of a line as plain values, each leaf with its witnesses, and what they are derived from.

What lines share is told once: within one determination, equal parts of their trees are the same objects.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from kg.evaluate import Pieces, Reading
from kg.outcome import Outcome
from kg.plan import ANY, CONCEPT, OF_CLAIM, Plan, remember
from kg.reason import Pieces as Premises
from kg.reason import Reasoned
from kg.shapes import Witness
from kg.terms import COV, Known, Literal, Term, Triple, written
from kg.words import AT_SITE, FIELDS, SILENT, Words

Json = dict[str, Any]
Row = tuple[str, str, str]
Listed = list[list[str]]  # triples as JSON carries them
Rows = dict[Row, list[str]]  # these by themselves, in order: a dictionary is put into another fast
FINDING, SOURCE = COV + "finding", COV + "source"
CONCLUSIONS = {f"{COV}rule-{name}" for name in ("belowCord", "atCord", "belowConus", "atConus", "atRisk")}
LIMIT = 256  # witnesses of one leaf that are listed
NO_GROUNDS: frozenset[str] = frozenset()


# What makes a leaf so: asserted triples, sentences, the places of derivations, and sources in the record.
Evidence = tuple[Rows, list[str], list[int], list[dict[str, str]]]
# What shows that a value of a property is asked for: it as JSON carries it, triples of the ontology, their words,
# and whether nothing else shows it.
_Way = tuple[str, Iterable[Row], str, bool]


@dataclass(eq=False, slots=True)
class _Shown:
    """What a triple follows from: the rule by which it does, its premises, and the asserted triples that these are.

    It is told as sentences, and has its place among the derivations of the determination, when somebody asks. What is
    asserted has no premises.
    """

    triple: Triple
    rule: str
    premises: Premises
    rows: Rows
    words: list[str]
    place: int = -1


@dataclass(eq=False, slots=True)
class _At:
    """Where a tree is told: the node, how it was read, the leaves that deny it, and what was told of it before.

    What is read of the claim is alike at other lines, but where a line has findings of its `own`.
    """

    focus: str
    reading: Reading
    grounds: frozenset[str]
    told: dict["_Head", Json]
    own: bool = False


@dataclass(eq=False, slots=True)
class _Head:
    """What a node of a tree says that no claim bears on, and how the rest is told.

    Where many nodes are told, `tell` and `anew` are taken out first: to call a slot as if it were a method is slow.
    """

    outcome: Outcome
    node: Json
    parts: tuple[tuple[Callable[["Proof", "_Head", _At], Json], "_Head"], ...]  # with how each is told
    leaves: frozenset[str]  # of a criterion that is read of the claim
    predicate: str  # of the node itself, whose values decide a leaf
    ways: dict[tuple[Term, ...], "_Way | tuple[()]"]  # by these values
    tell: Callable[["Proof", "_Head", _At], Json]
    anew: Callable[["Proof", "_Head", _At], Json]


class Proof:
    """Tells the trees of one determination."""

    def __init__(self, reasoned: Reasoned, lines: Iterable[str], words: Words) -> None:
        self.index = reasoned.index
        self.lines = frozenset(lines)
        self.words = words
        self.claim = words.claim
        self.suggestions = words.suggestions
        self._derived: list[_Shown] = []
        # what was told of this claim, so that it is told once
        self._shown: dict[Triple, _Shown] = {}
        self._rows_there: dict[tuple[Term, Outcome], Rows] = {}
        self._told: dict[Term, dict[_Head, Json]] = {}
        self._silent: dict[_Head, Json] = {}
        self._of_claims: dict[tuple[_Head, frozenset[str]], Json] = {}
        self._nothing: list[Any] = []  # wherever nothing is told
        # what depends on the knowledge alone
        self._heads: dict[Outcome, _Head] = words.knowledge.remember(("heads",), dict)

    def line(self, root: Outcome, focus: str, reading: Reading, grounds: frozenset[str]) -> Json:
        """Return the criteria tree of a line, passes as well as failures.

        `grounds` are the leaves by each of which it is denied: these list all their witnesses.
        """
        at = self._at(focus, reading, grounds)
        told = _said(root)
        for part in root.parts:
            head = self._heads.get(part) or self._head(part, reading.plan)
            told["parts"].append(head.tell(self, head, at))
        return told

    def path(self, outcome: Outcome, focus: str, reading: Reading) -> Json:
        """Return the criteria tree below an outcome at a line, passes as well as failures."""
        head, at = self._heads.get(outcome) or self._head(outcome, reading.plan), self._at(focus, reading, NO_GROUNDS)
        return head.tell(self, head, at)

    def _at(self, focus: str, reading: Reading, grounds: frozenset[str]) -> _At:
        return _At(focus, reading, grounds, self._told.setdefault(focus, {}), (focus, FINDING) in self.index)

    def _join(self, head: _Head, at: _At) -> Json:
        node, parts = head.node.copy(), []
        for tell, part in head.parts:  # a comprehension is a function, made anew for each of many nodes
            parts.append(tell(self, part, at))
        node["witnesses"], node["parts"] = self._nothing, parts
        return node

    def _once(self, head: _Head, at: _At) -> Json:
        """Tell what other criteria of the line ask for as well."""
        node = at.told.get(head)
        if node is None:
            tell = head.anew
            node = at.told[head] = tell(self, head, at)
        return node

    def _of_claim(self, head: _Head, at: _At) -> Json:
        """Tell what is read of the claim, as it was told at another line."""
        if at.own:
            return self._once(head, at)
        node = at.told.get(head)
        if node is None:
            key = head, at.grounds and at.grounds & head.leaves
            known = self._of_claims.get(key)
            if known is None:
                tell = head.anew
                node = self._of_claims[key] = tell(self, head, at)
            else:
                node = self._again(head, known, at.focus)
            at.told[head] = node
        return node

    def _unknown(self, head: _Head, at: _At) -> Json:
        """Tell of what nothing is known: the same at every line."""
        node = self._silent.get(head)
        if node is None:
            node = self._silent[head] = head.node.copy()
            node["witnesses"] = node["parts"] = self._nothing
            if head.parts:
                node["parts"] = parts = []
                for _, part in head.parts:
                    parts.append(self._unknown(part, at))
            elif "words" in node:
                node["words"] = self._nothing
                if (concept := head.outcome.criterion.concept) in self.suggestions:
                    node["question"] = self.words.question(concept)
        return node

    def _elsewhere(self, head: _Head, at: _At) -> Json:
        """Tell of an outcome at a node that is no line; it says at which."""
        node = at.told.get(head)
        if node is None:
            if head.parts:
                node = {**head.node, "witnesses": [], "parts": [self._elsewhere(part, at) for _, part in head.parts]}
            else:
                node = self._leaf(head, at)
            at.told[head] = node
            node["label"] = f"{self.words.name(at.focus)}: {node['label']}"
            node["at"] = at.focus
        return node

    def _head(self, outcome: Outcome, plan: Plan) -> _Head:
        criterion, of_claim = outcome.criterion, plan.of_claims.get(outcome.criterion)
        node = _said(outcome)
        predicate = plan.stated.get(criterion)
        tell = anew = Proof._join
        if criterion.is_leaf:
            tell = anew = Proof._leaf if predicate is None else Proof._stated
            node["words"] = []
            if not outcome.met:
                node["message"] = criterion.message
                asked = self.words.phrases.asked[criterion.concept] if criterion.concept else FIELDS.get(outcome.field)
                if not outcome.refuted and asked:
                    node["question"] = asked
        if outcome.silent:
            tell = Proof._unknown
        elif of_claim is not None:
            tell = Proof._of_claim
        elif criterion in plan.repeated:
            tell = Proof._once
        below = [self._heads.get(part) or self._head(part, plan) for part in outcome.parts]
        parts = tuple([(part.tell, part) for part in below])
        head = _Head(outcome, node, parts, of_claim or NO_GROUNDS, predicate or "", {}, tell, anew)
        return remember(self._heads, outcome, head)

    def _again(self, head: _Head, told: Json, focus: str) -> Json:
        """Return what was told of the claim at one line as it is at another: that of which claim it is differs."""
        node = told.copy()
        if head.parts:
            parts = node["parts"] = told["parts"].copy()
            for i, (_, part) in enumerate(head.parts):
                if not part.outcome.silent:
                    parts[i] = self._again(part, parts[i], focus)
        elif told["witnesses"]:
            node["witnesses"] = [[focus, OF_CLAIM, self.claim], *told["witnesses"][1:]]
            if "alternatives" in told:
                node["alternatives"] = [[[focus, OF_CLAIM, self.claim], *one[1:]] for one in told["alternatives"]]
        return node

    def _leaf(self, head: _Head, at: _At) -> Json:
        node, outcome, reading = head.node.copy(), head.outcome, at.reading
        criterion = outcome.criterion
        if criterion.parts:
            node["witnesses"], derived, node["parts"] = self._through(outcome, at)
            node["words"] = self._nothing
            if derived:
                node["derived"] = derived
        elif outcome.met or outcome.refuted:
            rows, node["words"], derived, sources = self.evidence(outcome, at.focus, reading)
            node["witnesses"], node["parts"] = [*rows.values()], self._nothing
            if at.focus not in self.lines:
                self._rows_there[at.focus, outcome] = rows
            if derived:
                node["derived"] = derived
            if sources:
                node["sources"] = sources
        else:
            node["witnesses"] = node["words"] = node["parts"] = self._nothing
            if criterion.concept in self.suggestions:
                node["question"] = self.words.question(criterion.concept)
        if criterion.iri in at.grounds:
            node["alternatives"] = self.alternatives(outcome, at.focus, reading, node["witnesses"])
        return node

    def _stated(self, head: _Head, at: _At) -> Json:
        """Tell a leaf that the one stated value of a property decides: the code of a line, and what it is.

        That is what most leaves ask for.
        """
        focus, reading, outcome, predicate = at.focus, at.reading, head.outcome, head.predicate
        key = (focus, predicate)
        values = reading.index.get(key, ())
        way = head.ways.get(values)
        if way is None:
            way = remember(head.ways, values, self._way(outcome, predicate, values, reading.plan))
        if not way:
            return self._leaf(head, at)
        triple = (focus, predicate, values[0])
        if key in reading.reasoned.concluded:
            shown = self._shown.get(triple) or self._show(triple, reading.reasoned)
            if shown.premises:
                return self._leaf(head, at)
        value, rows, told, alone = way
        node = head.node.copy()
        first = node["witnesses"] = [[focus, predicate, value], *map(list, rows)]
        node["parts"], node["words"] = self._nothing, [self.words.sentence(triple) + told]
        if outcome.criterion.iri in at.grounds:
            node["alternatives"] = [first] if alone else self.alternatives(outcome, focus, reading, first)
        return node

    def _way(self, outcome: Outcome, predicate: str, values: tuple[Term, ...], plan: Plan) -> "_Way | tuple[()]":
        """Return what shows that a leaf is so where a property has one value; nothing where that needs more."""
        ways = plan.ways(outcome.criterion, predicate, values, outcome.met) if len(values) == 1 else ()
        if not ways or outcome.met == outcome.refuted or ways[0][0] is ANY:
            return ()
        value, steps = ways[0]
        known = steps if type(steps) is Known else Known(steps)
        return written(value), known.rows, "".join(f"; {words}" for words in self.words.known(known)), len(ways) == 1

    def _of_other(self, outcome: Outcome, focus: str, reading: Reading) -> Json:
        """Return the tree of what a leaf asks of another node; one that is asked of a line says of which."""
        if focus in self.lines:
            label = f"{self.words.name(focus)}: {outcome.criterion.label}"
            return {**self.path(outcome, focus, reading), "label": label, "at": focus}
        head, at = self._heads.get(outcome) or self._head(outcome, reading.plan), self._at(focus, reading, NO_GROUNDS)
        return self._elsewhere(head, at)

    # Witnesses

    def _through(self, outcome: Outcome, at: _At) -> tuple[Listed, list[int], list[Json]]:
        """Return the witness of a leaf that asks of other nodes, and what it asks as it is told of each.

        The witness is the way there, and what shows what is so of them.
        """
        leaf, reading = outcome.criterion, at.reading
        others = list(reading.others(leaf, at.focus))
        told: dict[int, Json] = {}
        rows: Rows = {}
        derived: dict[int, None] = {}
        for positive in (True, False):
            if not (outcome.met if positive else outcome.refuted):
                continue
            every = positive == (leaf.kind == "EveryLeaf")
            traces: Mapping[Term, Witness] | None = None
            for i, (node, inner, within) in enumerate(others):
                if not every and not (inner.met if positive else inner.refuted):
                    continue
                if traces is None:
                    traces = reading.traces(at.focus, reading.plan.others[leaf.iri][0])
                    self._put((traces[node],), reading.reasoned, rows, derived)
                if inner.criterion.is_leaf and inner.met != inner.refuted:
                    part = told[i] = told.get(i) or self._of_other(inner, str(node), within)
                    rows |= self._rows_there.get((node, inner)) or {tuple(row): row for row in part["witnesses"]}
                    derived |= dict.fromkeys(part.get("derived", ()))
                else:
                    self._put(within.first_of(inner.criterion, node, positive), reading.reasoned, rows, derived)
                if not every:
                    break
        parts = [told.get(i) or self._of_other(one, str(node), by) for i, (node, one, by) in enumerate(others)]
        return [*rows.values()], [*derived], parts

    def _put(
        self,
        pieces: Pieces,
        reasoned: Reasoned,
        rows: Rows,
        derived: dict[int, None] | None = None,
        words: list[str] | None = None,
    ) -> None:
        """Put what pieces of a witness come down to among asserted triples, derivations and sentences."""
        concluded = reasoned.concluded
        for piece in pieces:
            if type(piece) is Known:
                for row in piece.rows:
                    rows[row] = [*row]
                if words is not None:
                    words += piece.words or self.words.known(piece)
                continue
            for triple in piece:
                s, p, o = triple
                if (s, p) in concluded:
                    shown = self._shown.get(triple) or self._show(triple, reasoned)
                    if shown.premises:
                        rows |= shown.rows
                        if derived is not None:
                            if shown.place < 0:
                                shown.place = len(self._derived)
                                self._derived.append(shown)
                            derived[shown.place] = None
                        if words is not None:
                            words += shown.words or self._say(shown)
                        continue
                row = triple if type(o) is str else (s, p, written(o))  # type: ignore[assignment]  # s is an IRI
                rows[row] = [*row]
                if words is not None and p not in SILENT:
                    words.append(self.words.sentence(triple))

    def evidence(self, outcome: Outcome, focus: str, reading: Reading) -> Evidence:
        """Return the witnesses of a leaf's status: one for met, one for refuted, both where they conflict."""
        leaf = outcome.criterion
        told: list[str] = []
        rows: Rows = {}
        derived: dict[int, None] = {}
        for positive in (True, False):
            if not (outcome.met if positive else outcome.refuted):
                continue
            words: list[str] = []
            self._put(reading.first(leaf, focus, positive), reading.reasoned, rows, derived, words)
            if not positive and (focus, AT_SITE) in self.index:
                words.append(self.words.not_there(focus))
            if words:
                told.append("; ".join(dict.fromkeys(words)))
        return rows, told, [*derived], self._sources(rows) if leaf.concept else []

    def _show(self, triple: Triple, reasoned: Reasoned) -> _Shown:
        """Return what a triple follows from."""
        rows: Rows = {}
        rule, premises = reasoned.why(triple) or ("", ())
        for piece in premises:
            for row in piece.rows if type(piece) is Known else Known(piece).rows:
                rows[row] = [*row]
        shown = self._shown[triple] = _Shown(triple, rule, premises, rows, [])
        return shown

    def _say(self, shown: _Shown) -> list[str]:
        """Return what a triple follows from in sentences."""
        words = shown.words
        for piece in shown.premises:
            if type(piece) is Known:
                words += piece.words or self.words.known(piece)
            else:
                words += self.words.sentences(piece)
        if shown.rule in CONCLUSIONS:
            words.append(self.words.sentence(shown.triple))
        return words

    def _sources(self, triples: Iterable[Row]) -> list[dict[str, str]]:
        """Return where in the record the listed facts among some triples stand."""
        return [
            {"fact": node, "source": source.value}
            for node in dict.fromkeys([s for s, p, _ in triples if p == CONCEPT])
            for source in self.index.get((node, SOURCE), ())
            if isinstance(source, Literal)
        ]

    def alternatives(self, outcome: Outcome, focus: str, reading: Reading, first: Listed) -> list[Listed]:
        """Return all minimal witnesses of a leaf that is a ground of a denial; an appeal must beat each."""
        leaf = outcome.criterion
        if outcome.met != outcome.refuted:
            others = islice(reading.all(leaf, focus, outcome.met), 1, LIMIT)
            return [first, *[self._asserted(one, reading.reasoned) for one in others]]
        # of what conflicts the first is a witness of both sides, which are told apart here
        every = chain(reading.all(leaf, focus, True), reading.all(leaf, focus, False))
        return [self._asserted(one, reading.reasoned) for one in islice(every, LIMIT)]

    def _asserted(self, witness: Pieces, reasoned: Reasoned) -> Listed:
        """Return a witness as asserted triples."""
        rows: Rows = {}
        self._put(witness, reasoned, rows)
        return [*rows.values()]

    def derivations(self) -> Iterator[Json]:
        """Yield the derived triples of all that was told, each with its rule and what it follows from."""
        for shown in self._derived:
            s, p, o = shown.triple
            told = [s if type(s) is str else written(s), p, o if type(o) is str else written(o)]
            yield {"triple": told, "rule": shown.rule, "from": [*shown.rows.values()]}


def _said(outcome: Outcome) -> Json:
    """Return what a node of a tree says that no claim bears on, with room for what one does."""
    criterion = outcome.criterion
    return {
        "criterion": criterion.iri,
        "label": criterion.label,
        "clause": criterion.clause,
        "quote": criterion.quote,
        "status": outcome.status,
        "kind": criterion.kind,
        "witnesses": [],
        "parts": [],
    }
