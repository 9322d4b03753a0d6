"""Words: what the triples of one claim say, in sentences for a reviewer."""

from collections.abc import Iterable, Iterator
from itertools import chain

from kg.knowledge import CAUDAL, Knowledge
from kg.lazy import Table, lazy
from kg.outcome import Outcome
from kg.plan import CONCEPT, MANY, OF_CLAIM, STATUS
from kg.reason import Reasoned
from kg.terms import (
    ANATOMY,
    COV,
    ITS_OPERATION,
    ITSELF,
    RDFS,
    TYPE,
    Blank,
    Known,
    Literal,
    Term,
    Triple,
    is_own,
    local_name,
)

NOTATION = "http://www.w3.org/2004/02/skos/core#notation"
CODE, LEVEL, AT_SITE, AT_RISK = COV + "code", COV + "level", COV + "atSite", COV + "atRisk"
CORD_POSITION, BELOW_CORD = COV + "cordPosition", COV + "BelowCord"
BELOW_CORD_RULE = COV + "rule-belowCord"
SILENT = frozenset(  # properties that lead from node to node and say nothing by themselves
    COV + name
    for name in (
        *("ofClaim", "finding", "procedure", "diagnosis", "operation", "site", "exposure", "atSite", "status"),
        *("baseLine", "number"),
    )
)
VERBS = {TYPE: "is", RDFS + "subClassOf": "is a kind of"}
OWN_NAMES = {
    ITSELF: "the claim",
    ITS_OPERATION: "the operation",
}  # other parts are called what their IRI says
LONG = 5  # interspaces of a walk that are all named
FIELDS = {
    "operation.procedures": "Which procedures were performed?",
    "operation.procedures.levels": "Which levels were operated on?",
    "operation.conusLevel": "At which level does imaging show the cord to end?",
    "lines.intervals": "From when until when was the line monitored?",
}


class Phrases:
    """What the knowledge alone says, put into words once for all claims."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self.labels = Table(knowledge.label, MANY)
        self.notations = Table(knowledge.notation, MANY)
        self.names = Table(self._name, MANY)
        self.verbs: Table[str, str] = Table(lambda p: VERBS.get(p) or knowledge.label(p), MANY)
        self.asked: Table[str, str] = Table(lambda x: knowledge.graph.text(x, COV + "question") or "", MANY)
        self.likely = Table(self._likely, MANY)
        self.monitors = Table(self._monitors, MANY)
        self.stated = Table(self._stated, MANY)
        self.positions = Table(self._position, MANY)
        self.caveats = Table(self._caveat, MANY)

    def fill(self) -> None:
        """Put into words at once what is said of the codes that the ontology describes."""
        for code in self.knowledge.codes:
            self.names[code]
            self.likely[code]

    def _name(self, term: str) -> str:
        if is_own(term):
            place = term.removeprefix("#site-") if term.startswith("#site-") else term.partition("-at-")[2]
            return self.notations[ANATOMY + place] if place else OWN_NAMES.get(term) or term[1:].replace("-", " ")
        code = self.knowledge.graph.text(term, NOTATION)
        if code and not term.startswith((ANATOMY, COV)):
            return f"{code} ({self.labels[term]})"
        return code if code and term.startswith(ANATOMY) and "-" in code else self.labels[term]

    def _likely(self, code: str) -> list[tuple[str, str]]:
        """Return the conditions that a code suggests or permits, each in words."""
        objects = self.knowledge.graph.objects
        verbs = ((verb, str(x)) for verb in ("suggests", "permits") for x in objects(code, COV + verb))
        return [(x, f"{self.notations[code]} {verb} {self.labels[x]}. ") for verb, x in verbs]

    def _monitors(self, code: str) -> str:
        graph = self.knowledge.graph
        tracts = [str(x) for x in self.knowledge.courses(code) if (str(x), TYPE, ANATOMY + "Tract") in graph]
        named = " and ".join(self.names[x] for x in tracts) or "no tract of the cord"
        return f"{self.notations[code]} monitors the {named}"

    def _stated(self, what: tuple[str, str]) -> str:
        """Return what a property with a value says of whatever has it."""
        predicate, value = what
        return f" {self.verbs[predicate]} {self.names[value]}"

    def _position(self, where: tuple[Term, Term]) -> str:
        """Return how a level lies to the cord, and where that has ended, what the canal holds there."""
        level, position = map(str, where)
        enclosed = self.knowledge.graph.objects(level, ANATOMY + "encloses") if position == BELOW_CORD else ()
        held = [self.names[str(x)] for x in enclosed if not self.knowledge.is_cord(x)]
        only = f", {' and '.join(held)} only" if held else ""
        return f" {self.labels[CORD_POSITION]} {self.labels[position]}{only}"

    def _caveat(self, outcome: Outcome) -> str:
        criterion = outcome.criterion
        facts = dict.fromkeys(
            self.labels[leaf.criterion.concept] if leaf.criterion.concept else leaf.criterion.label
            for leaf in outcome.leaves()
            if leaf.status == "undocumented"
        )
        clause = f"{criterion.clause}: " if criterion.clause else ""
        return f"{clause}{criterion.label} is open; undocumented: {', '.join(facts)}"

    @lazy
    def where_cords_end(self) -> str:
        """Return where every cord ends, if imaging does not show otherwise."""
        latest = self.knowledge.graph.iri(ANATOMY + "SpinalCord", ANATOMY + "endsAtLatest") or ""
        return f"the cord ends no lower than {self.notations[latest]}: imaging does not show otherwise"


def phrases_of(knowledge: Knowledge) -> Phrases:
    """Return what the knowledge alone says, in words."""
    return knowledge.remember(("phrases",), lambda: Phrases(knowledge))


class Words:
    """Puts the triples of one claim into words."""

    def __init__(self, reasoned: Reasoned) -> None:
        self.reasoned = reasoned
        self.index = reasoned.index
        self.knowledge = reasoned.knowledge
        self.phrases = phrases_of(self.knowledge)

    def known(self, steps: Known) -> tuple[str, ...]:
        """Return triples that belong together in sentences."""
        if steps.words is None:
            steps.words = tuple(self.sentences(steps))
        return steps.words

    def sentences(self, triples: Iterable[Triple]) -> Iterator[str]:
        """Yield sentences for triples; steps of one kind that follow on each other are told as one walk."""
        walk: list[Triple] = []
        for triple in triples:
            if triple[1] in SILENT:
                continue
            if walk and (triple[1] != walk[-1][1] or triple[0] != walk[-1][2]):
                yield self._walked(walk)
                walk = []
            walk.append(triple)
        if walk:
            yield self._walked(walk)

    def _walked(self, walk: list[Triple]) -> str:
        """Return steps in words; those along the spine interspace by interspace, a long walk shortened."""
        if len(walk) == 1 and walk[0][1] != CAUDAL:
            return self.sentence(walk[0])
        if walk[0][1] != CAUDAL:
            return "; ".join(map(self.sentence, walk))
        start, end = walk[0][0], walk[-1][2]
        passed = [o for _, _, o in walk[:-1] if "-" in local_name(str(o))]
        names = list(map(self.name, passed if len(passed) <= LONG else (passed[0], passed[-1])))
        if len(passed) > LONG:
            names.insert(1, f"... {len(passed) - 2} more ...")
        return f"{self.name(start)} is caudal to {', '.join((*names, self.name(end)))}"

    def sentence(self, triple: Triple) -> str:
        """Return one triple in words."""
        s, p, o = triple
        if p == CONCEPT:
            shown = self.phrases.notations[str(self.index[s, STATUS][0])]
            is_listed = str(s).startswith("#fact-")
            return f"the claim lists {self.name(o)} as {shown}" if is_listed else f"{self.name(o)} is {shown}"
        if p == CORD_POSITION:
            return f"{self.name(s)}{self.phrases.positions[self.index[s, LEVEL][0], o]}"
        name = self.name(s).partition(" (")[0]
        if type(o) is str and not is_own(o):
            return f"{name}{self.phrases.stated[p, o]}"
        told = "" if isinstance(o, Literal) and o.value == "true" else f" {self.name(o)}"
        return f"{name} {self.phrases.verbs[p]}{told}"

    def not_there(self, exposure: Term) -> str:
        """Return what a line monitors and what of its pathways runs through a site."""
        code = str(self.index[str(exposure).rpartition("-at-")[0], CODE][0])
        there = " and ".join(map(self.name, self.index.get((exposure, AT_RISK), ()))) or "nothing"
        site = self.index[exposure, AT_SITE][0]
        positions = self.index.get((site, CORD_POSITION), ())
        lies = "".join(f"{self.sentence((site, CORD_POSITION, position))}; " for position in positions)
        return f"{lies}{self.phrases.monitors[code]}; of its pathways {there} is there"

    def name(self, term: Term) -> str:
        """Return what a term is called in a sentence."""
        if isinstance(term, str):
            return self.phrases.names[term]
        return "something" if isinstance(term, Blank) else term.value.removesuffix("T00:00:00")

    # Questions

    def question(self, concept: str) -> str:
        """Return what to ask of the record about a fact, with the codes of the claim that suggest it."""
        asked, suggested = self.phrases.asked[concept], self.suggestions.get(concept)
        return f"{''.join(suggested)}{asked}" if suggested and asked else asked

    @lazy
    def suggestions(self) -> dict[str, dict[str, None]]:
        """Return what the codes of the claim suggest or permit, in words; they never decide."""
        found: dict[str, dict[str, None]] = {}
        nodes = (ITSELF, COV + "diagnosis"), (ITS_OPERATION, COV + "procedure")
        for node in chain.from_iterable(self.index.get(key, ()) for key in nodes):
            for code in self.index.get((node, CODE), ()):
                for concept, words in self.phrases.likely[str(code)]:
                    found.setdefault(concept, {})[words] = None
        return found

    @lazy
    def default_conus(self) -> str:
        """Return where cords end, where that shows a site to lie below the cord; else nothing."""
        sites = self.index.get((ITS_OPERATION, COV + "site"), ())
        concluded = self.reasoned.concluded
        if any(c.rule == BELOW_CORD_RULE for site in sites for c in concluded.get((site, CORD_POSITION), ())):
            return self.phrases.where_cords_end
        return ""


__all__ = ["AT_SITE", "CODE", "FIELDS", "OF_CLAIM", "SILENT", "Words", "phrases_of"]
