"""Proof: the criteria tree of a line as plain values, each leaf with its witnesses, and what they are derived from.

What lines share is told once: within one determination, equal parts of their trees are the same objects.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import Any, TypeVar

from kg.criteria import Criterion
from kg.evaluate import Pieces, Reading
from kg.outcome import Outcome
from kg.plan import CONCEPT, FEW, OF_CLAIM, REGION, STATUS, Plan, remember
from kg.reason import Pieces as Premises
from kg.reason import Reasoned
from kg.terms import COV, ITSELF, Known, Literal, Row, Stated, Term, Triple, row_of
from kg.words import AT_SITE, FIELDS, SILENT, Words

T = TypeVar("T")
Json = dict[str, Any]
Listed = list[list[str]]  # triples as JSON carries them
Rows = dict[Row, None]  # these in order: a dictionary is put into another fast
FINDING, SOURCE = COV + "finding", COV + "source"
CONCLUSIONS = {f"{COV}rule-{name}" for name in ("belowCord", "atCord", "belowConus", "atConus", "atRisk")}
LIMIT = 256  # witnesses of one leaf that are listed
KEPT = 1 << 13  # of what witnesses come down to, and triples follow from, each
NO_GROUNDS: frozenset[str] = frozenset()


# What makes a leaf so: asserted triples, sentences, and what follows from them on the way.
Evidence = tuple[Rows, list[str], Iterable["_Shown"]]
# What shows a leaf that asks of other nodes: triples, and what follows from them on the way; what it asks of each node,
# and what shows that if it is a leaf.
_ByOthers = tuple[Rows, tuple["_Shown", ...], list[tuple[str, Outcome, Evidence | None]]]
# What shows that a leaf is so by the values of a property, and what else shows it.
_Way = tuple[Evidence, list[Rows]]


@dataclass(eq=False, slots=True)
class _Shown:
    """What a triple follows from: the rule by which it does, and the asserted triples of its premises, in words."""

    row: Row
    rule: str
    rows: Rows
    words: list[str]


class _Basis:
    """What a witness comes down to: asserted triples, and what follows from them on the way, in words.

    It is the same for all claims that call their parts alike, and is kept for them.
    """

    __slots__ = ("derived", "rows", "text")

    def __init__(self, witness: Pieces, follows: "_Follows") -> None:
        rows: dict[Row, None] = {}
        derived: dict[_Shown, None] = {}
        words: list[str] = []
        for piece in witness:
            if type(piece) is Known:
                rows |= piece.rows
                words += follows.words.known(piece)
                continue
            for triple in piece:
                shown = follows[triple]  # nothing of what is asserted
                if shown is not None:
                    rows |= shown.rows
                    derived[shown] = None
                    words += shown.words
                else:
                    rows[row_of(triple)] = None
                    if triple[1] not in SILENT:
                        words.append(follows.words.sentence(triple))
        self.rows, self.derived, self.text = rows, tuple(derived), "; ".join(dict.fromkeys(words))


class _Follows(dict[Triple, _Shown | None]):
    """What the triples of a claim follow from, unless they are asserted."""

    __slots__ = ("known", "reasoned", "words")

    def __init__(self, reasoned: Reasoned, words: Words, known: dict[object, _Shown]) -> None:
        self.reasoned, self.words, self.known = reasoned, words, known

    def __missing__(self, triple: Triple) -> _Shown | None:
        why, found = self.reasoned.why(triple), None
        if why and why[1]:
            by, premises = why
            key = (triple, by) if by.alike else (triple, by.rule, premises)
            found = self.known.get(key) or remember(self.known, key, self._shown(triple, by.rule, premises), KEPT)
        self[triple] = found
        return found

    def _shown(self, triple: Triple, rule: str, premises: Premises) -> _Shown:
        rows: dict[Row, None] = {}
        words: list[str] = []
        for piece in premises:
            known = piece if type(piece) is Known else Known(piece)
            rows |= known.rows
            words += self.words.known(known)
        if rule in CONCLUSIONS:
            words.append(self.words.sentence(triple))
        return _Shown(row_of(triple), rule, rows, words)


class _Lists(dict[Row, list[str]]):
    """The triples of an answer as JSON carries them, each once."""

    __slots__ = ("claim",)

    def __init__(self, claim: str) -> None:
        self.claim = claim

    def __missing__(self, row: Row) -> list[str]:
        if type(row) is Stated:
            told = self[row] = [*row]
            return told
        s, p, o = row  # of which both ends are asked what they are by themselves: `is_own` is called too often
        claim = self.claim
        told = self[row] = [s if s and s[0] != "#" else claim + s, p, o if o and o[0] != "#" else claim + o]
        return told


class _Places(dict[_Shown, int]):
    """The derivations of an answer, each with its place among them: one that was forgotten meanwhile has the same."""

    __slots__ = ("of",)

    def __init__(self) -> None:
        self.of: dict[Row, int] = {}

    def __missing__(self, shown: _Shown) -> int:
        place = self[shown] = self.of.setdefault(shown.row, len(self.of))
        return place


@dataclass(eq=False, slots=True)
class _At:
    """Where a tree is told: the node, how it was read, the leaves that deny it, and what was told of it before.

    `of_claim` says of which claim it is; what is read of that is alike at other lines, but where a line has findings of
    its `own`.
    """

    focus: str
    reading: Reading
    grounds: frozenset[str]
    told: dict["_Head", Json]
    of_claim: list[str]
    own: bool


@dataclass(eq=False, slots=True)
class _Head:
    """What a node of a tree says that no claim bears on, and how the rest is told.

    Where many nodes are told, `tell` and `anew` are taken out first: to call a slot as if it were a method is slow.
    """

    outcome: Outcome
    node: Json
    parts: tuple[tuple[Callable[["Proof", "_Head", _At], Json], "_Head"], ...]  # with how each is told
    known: tuple[tuple[int, "_Head"], ...]  # those of which something is known, with their places
    leaves: frozenset[str]  # of a criterion that is read of the claim
    stated: tuple[str | None, str]  # the node, and the property of it that decides a leaf
    ways: dict[tuple[object, ...], "_Way"]  # by the line and these values, with what they follow from
    tell: Callable[["Proof", "_Head", _At], Json]
    anew: Callable[["Proof", "_Head", _At], Json]


class Proof:
    """Tells the trees of one determination."""

    def __init__(self, claim: str, reasoned: Reasoned, lines: Iterable[str], words: Words) -> None:
        self.claim = claim
        self.index = reasoned.index
        self._concluded = reasoned.concluded
        self.lines = frozenset(lines)
        self.words = words
        self.suggestions = words.suggestions
        # what was told of this claim, so that it is told once
        self._lists, self._places = _Lists(claim), _Places()
        self._listed, self._place = self._lists.__getitem__, self._places.__getitem__
        self._others: dict[tuple[str, Outcome], Json] = {}
        self._told: dict[Term, dict[_Head, Json]] = {}
        self._silent: dict[_Head, Json] = {}
        self._of_claims: dict[object, Json] = {}  # by the node, with its leaves that deny the line
        self._nothing: list[Any] = []  # wherever nothing is told
        # what depends on the knowledge alone, and on what claims call their parts
        self._heads: dict[Outcome, _Head] = words.knowledge.remember(("heads",), dict)
        self._bases: dict[tuple[object, ...], _Basis] = words.knowledge.remember(("bases",), dict)
        self._known: dict[tuple[object, ...], Evidence] = words.knowledge.remember(("evidence",), dict)
        self._follows = _Follows(reasoned, words, words.knowledge.remember(("shown",), dict))

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
        of_claim = self._listed((focus, OF_CLAIM, ITSELF))
        return _At(focus, reading, grounds, self._told.setdefault(focus, {}), of_claim, (focus, FINDING) in self.index)

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
            key = head if at.grounds.isdisjoint(head.leaves) else (head, at.grounds & head.leaves)
            known = self._of_claims.get(key)
            if known is None:
                tell = head.anew
                node = self._of_claims[key] = tell(self, head, at)
            else:
                node = self._again(head, known, at.of_claim)
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

    def _elsewhere(self, outcome: Outcome, focus: str, reading: Reading, shown: Evidence | None = None) -> Json:
        """Tell of an outcome at another node than the line; it says at which."""
        node = self._others.get((focus, outcome))
        if node is None:
            head = self._heads.get(outcome) or self._head(outcome, reading.plan)
            if outcome.parts:
                node, parts = head.node.copy(), [self._elsewhere(part, focus, reading) for part in outcome.parts]
                node["witnesses"], node["parts"] = self._nothing, parts
            elif shown is not None and not outcome.criterion.parts:
                node = self._shown(head.node.copy(), outcome.criterion, shown)
            else:
                node = self._leaf(head, self._at(focus, reading, NO_GROUNDS))
            node["label"] = f"{self.words.name(focus)}: {node['label']}"
            node["at"] = self.claim + focus
            self._others[focus, outcome] = node
        return node

    def _head(self, outcome: Outcome, plan: Plan) -> _Head:
        criterion, of_claim = outcome.criterion, plan.of_claims.get(outcome.criterion)
        node = _said(outcome)
        stated = plan.stated.get(criterion)
        tell = anew = Proof._join
        if criterion.is_leaf:
            tell = anew = Proof._leaf if stated is None else Proof._stated
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
        known = tuple([(i, part) for i, part in enumerate(below) if not part.outcome.silent])
        head = _Head(outcome, node, parts, known, of_claim or NO_GROUNDS, stated or (None, ""), {}, tell, anew)
        return remember(self._heads, outcome, head)

    def _again(self, head: _Head, told: Json, of_claim: list[str]) -> Json:
        """Return what was told of the claim at one line as it is at another: that of which claim it is differs."""
        node = told.copy()
        if head.parts:
            parts = node["parts"] = told["parts"].copy()
            for i, part in head.known:
                parts[i] = self._again(part, parts[i], of_claim)
        elif told["witnesses"]:
            node["witnesses"] = [of_claim, *told["witnesses"][1:]]
            if "alternatives" in told:
                node["alternatives"] = [[of_claim, *one[1:]] for one in told["alternatives"]]
        return node

    def _leaf(self, head: _Head, at: _At) -> Json:
        node, outcome, reading = head.node.copy(), head.outcome, at.reading
        criterion = outcome.criterion
        if criterion.parts:
            rows, places, node["parts"] = self._through(outcome, at)
            node["witnesses"], node["words"] = [*map(self._listed, rows)], self._nothing
            if places:
                node["derived"] = places
        elif outcome.met or outcome.refuted:
            self._shown(node, criterion, self.evidence(outcome, at.focus, reading))
        else:
            node["witnesses"] = node["words"] = node["parts"] = self._nothing
            if criterion.concept in self.suggestions:
                node["question"] = self.words.question(criterion.concept)
        if criterion.iri in at.grounds:
            node["alternatives"] = self.alternatives(outcome, at.focus, reading, node["witnesses"])
        return node

    def _shown(self, node: Json, criterion: Criterion, shown: Evidence) -> Json:
        """Tell by what a leaf is shown to be so."""
        rows, told, derived = shown
        node["witnesses"], node["words"], node["parts"] = [*map(self._listed, rows)], [*told], self._nothing
        if derived:
            node["derived"] = [*map(self._place, derived)]
        if criterion.concept and (sources := self._sources(rows)):
            node["sources"] = sources
        return node

    def _stated(self, head: _Head, at: _At) -> Json:
        """Tell a leaf that one property of the line, of the claim or of its operation decides, as most leaves are."""
        focus, (node, predicate) = at.focus, head.stated
        key = (focus if node is None else node, predicate)
        values = at.reading.index.get(key, ())
        said: tuple[object, ...] = focus, values
        if key in self._concluded:
            said = focus, values, *map(self._follows.__getitem__, zip(repeat(key[0]), repeat(predicate), values))
        way = head.ways.get(said)
        if way is None:
            leaf, reading = head.outcome, at.reading
            shown = self.evidence(leaf, focus, reading), self._further(leaf, focus, reading)
            way = remember(head.ways, said, shown, FEW)
        (rows, words, derived), further = way
        told = head.node.copy()
        first = told["witnesses"] = [*map(self._listed, rows)]
        told["parts"], told["words"] = self._nothing, [*words]
        if derived:
            told["derived"] = [*map(self._place, derived)]
        if told["criterion"] in at.grounds:
            told["alternatives"] = [first, *[[*map(self._listed, rows)] for rows in further]] if further else [first]
        return told

    def _of_line(self, outcome: Outcome, focus: str, reading: Reading) -> Json:
        """Tell of a join at another line; it says at which, and once for all below."""
        label = f"{self.words.name(focus)}: {outcome.criterion.label}"
        return {**self.path(outcome, focus, reading), "label": label, "at": self.claim + focus}

    # Witnesses

    def _through(self, outcome: Outcome, at: _At) -> tuple[Rows, list[int], list[Json]]:
        """Return the witness of a leaf that asks of other nodes, and what it asks as it is told of each."""
        rows, derived, others = self._by_others(outcome, at.focus, at.reading)
        places = dict.fromkeys(map(self._place, derived))
        within, parts = at.reading.within(at.reading.plan.others[outcome.criterion.iri][1]), []
        for node, inner, shown in others:
            if inner.parts and node in self.lines:
                parts.append(self._of_line(inner, node, within))
            else:
                parts.append(self._elsewhere(inner, node, within, shown))
        return rows, [*places], parts

    def _kept(
        self, find: Callable[["Proof", Outcome, str, Reading], T], outcome: Outcome, focus: str, by: Reading
    ) -> T:
        """Find what shows a leaf that asks of other nodes; what is found of nodes that are alike is kept with them."""
        kept = by.kept_with(outcome.criterion, focus)
        if kept is None:
            return find(self, outcome, focus, by)
        known: T | None = kept.get((find, outcome, focus))
        return remember(kept, (find, outcome, focus), find(self, outcome, focus, by), FEW) if known is None else known

    def _by_others(self, outcome: Outcome, focus: str, reading: Reading) -> "_ByOthers":
        """Return what shows a leaf that asks of other nodes."""
        return self._kept(Proof._by_nodes, outcome, focus, reading)

    def _by_nodes(self, outcome: Outcome, focus: str, reading: Reading) -> "_ByOthers":
        """Return the way to other nodes with what shows what is so of them, and each of these."""
        leaf = outcome.criterion
        place, asks = reading.plan.others[leaf.iri]
        within = reading.within(asks)
        others: list[tuple[str, Outcome, Evidence | None]] = []
        for node in map(str, reading.walk(focus, place.way)):
            inner = within.outcome(leaf.parts[0], node)
            others.append((node, inner, self._evidence_there(inner, node, within)))
        rows: Rows = {}
        derived: dict[_Shown, None] = {}
        for positive in (True, False):
            if not (outcome.met if positive else outcome.refuted):
                continue
            every = positive == (leaf.kind == "EveryLeaf")
            begun = False
            for node, inner, shown in others:
                if not every and not (inner.met if positive else inner.refuted):
                    continue
                if not begun:
                    begun = True
                    basis = self._basis((reading.trace(focus, place.way, node),))
                    rows |= basis.rows
                    derived |= dict.fromkeys(basis.derived)
                if shown is None or inner.met == inner.refuted:
                    basis = self._basis(within.first_of(inner.criterion, node, positive))
                    rows |= basis.rows
                    derived |= dict.fromkeys(basis.derived)
                else:
                    rows |= shown[0]
                    derived |= dict.fromkeys(shown[2])
                if not every:
                    break
        return rows, tuple(derived), others

    def _evidence_there(self, inner: Outcome, node: str, within: Reading) -> Evidence | None:
        """Return what shows a leaf at another node that is asked for it."""
        if not inner.criterion.is_leaf or not (inner.met or inner.refuted):
            return None
        if inner.criterion.parts:
            rows, derived, _ = self._by_others(inner, node, within)
            return rows, [], derived
        return self.evidence(inner, node, within)

    def _basis(self, witness: Pieces) -> "_Basis":
        """Return what a witness comes down to."""
        key: list[object] = [witness]
        for piece in witness:
            if type(piece) is not Known:
                for triple in piece:
                    s, p, _ = triple
                    if (s, p) in self._concluded:
                        key.append(self._follows[triple])
                    elif p == CONCEPT:  # what is asserted of a finding is told with its status
                        key.append(self.index.get((s, STATUS)))
        by = tuple(key)
        return self._bases.get(by) or remember(self._bases, by, _Basis(witness, self._follows), KEPT)

    def evidence(self, outcome: Outcome, focus: str, reading: Reading) -> Evidence:
        """Return the witnesses of a leaf's status: one for met, one for refuted, both where they conflict.

        What is the same wherever as much is said is kept: that of a finding, and that of a node of which nothing is
        asked but properties of its own, if what these follow from is alike for all claims.
        """
        leaf, alone = outcome.criterion, reading.plan.alone
        key: tuple[object, ...] | None = None
        if alone:
            said = [*zip(repeat(focus), (*alone, AT_SITE))]
            rules = [*map(self._concluded.get, said)]
            key = (outcome, focus, *map(reading.index.get, said), *rules)
        elif leaf.concept and outcome.met != outcome.refuted and focus in self.lines:
            key = self._finding(outcome, focus, reading)
        found = self._known.get(key) if key else None
        if found is None:
            found = self._evidence(outcome, focus, reading)
            if key and not (alone and any(not by.alike for one in rules for by in one or ())):
                remember(self._known, key, found, KEPT)
        return found

    def _finding(self, outcome: Outcome, focus: str, reading: Reading) -> tuple[object, ...]:
        """Return the finding that makes a leaf so, and what it is and where it is follow from."""
        place, node, shown = reading.finding(outcome.criterion, focus, outcome.met)
        (way,) = (shown.met if outcome.met else shown.refuted)[reading.plan.bit[outcome.criterion.iri]][:1]
        stated = self._follows[focus if len(place.way) == 1 else ITSELF, FINDING, node]
        return outcome, focus, node, shown, stated, self._follows[node, REGION, way[4]] if way[4] else None

    def _evidence(self, outcome: Outcome, focus: str, reading: Reading) -> Evidence:
        leaf = outcome.criterion
        if outcome.met and outcome.refuted:
            sides = [self._basis(reading.first(leaf, focus, positive)) for positive in (True, False)]
            rows = sides[0].rows | sides[1].rows
            derived = (*dict.fromkeys((*sides[0].derived, *sides[1].derived)),)
            told = [side.text for side in sides]
        else:
            basis = self._basis(reading.first(leaf, focus, outcome.met))
            rows, derived, told = basis.rows, basis.derived, [basis.text]
        if outcome.refuted and (focus, AT_SITE) in self.index:
            lies = self.words.not_there(focus)
            told[-1] = f"{told[-1]}; {lies}" if told[-1] else lies
        return rows, [*filter(None, told)], derived

    def _sources(self, rows: Rows) -> list[dict[str, str]]:
        """Return where in the record the listed facts among some triples stand."""
        return [
            {"fact": self.claim + node, "source": source.value}
            for node, predicate, _ in rows
            if predicate == CONCEPT
            for source in self.index.get((node, SOURCE), ())
            if isinstance(source, Literal)
        ]

    def alternatives(self, outcome: Outcome, focus: str, reading: Reading, first: Listed) -> list[Listed]:
        """Return all minimal witnesses of a leaf that is a ground of a denial; an appeal must beat each."""
        leaf = outcome.criterion
        if outcome.met != outcome.refuted:
            return [first, *[[*map(self._listed, rows)] for rows in self._further(outcome, focus, reading)]]
        # of what conflicts the first is a witness of both sides, which are told apart here
        every = chain(reading.all(leaf, focus, True), reading.all(leaf, focus, False))
        return [[*map(self._listed, self._basis(one).rows)] for one in islice(every, LIMIT)]

    def _further(self, outcome: Outcome, focus: str, reading: Reading) -> list[Rows]:
        """Return all minimal witnesses of a leaf but the first."""
        if outcome.criterion.parts:
            return self._kept(Proof._but_the_first, outcome, focus, reading)
        return self._but_the_first(outcome, focus, reading)

    def _but_the_first(self, outcome: Outcome, focus: str, reading: Reading) -> list[Rows]:
        others = islice(reading.all(outcome.criterion, focus, outcome.met), 1, LIMIT)
        return [self._basis(one).rows for one in others]

    def derivations(self) -> list[Json]:
        """Return the derived triples of all that was told, each with its rule and what it follows from."""
        listed, found = self._listed, {place: shown for shown, place in self._places.items()}.values()
        return [{"triple": listed(one.row), "rule": one.rule, "from": [*map(listed, one.rows)]} for one in found]


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
