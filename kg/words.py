"""Words: what the triples of one claim say, in sentences for a reviewer."""

from collections.abc import Iterable, Iterator
from itertools import chain

from kg.knowledge import CAUDAL
from kg.lazy import lazy
from kg.plan import CONCEPT, OF_CLAIM, STATUS, remember
from kg.reason import Reasoned
from kg.terms import ANATOMY, COV, RDFS, TYPE, Blank, Known, Literal, Term, Triple, local_name

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
LONG = 5  # interspaces of a walk that are all named
FIELDS = {
    "operation.procedures": "Which procedures were performed?",
    "operation.procedures.levels": "Which levels were operated on?",
    "operation.conusLevel": "At which level does imaging show the cord to end?",
    "lines.intervals": "From when until when was the line monitored?",
}


class Words:
    """Puts the triples of one claim into words; what the ontology alone says is put into words once for all claims."""

    def __init__(self, claim: str, reasoned: Reasoned) -> None:
        self.claim = claim
        self.reasoned = reasoned
        self.index = reasoned.index
        self.knowledge = reasoned.knowledge
        self._own: dict[Term, str] = {}
        self._said: dict[Triple, str] = {}
        self._names: dict[Term, str] = self.knowledge.remember(("names",), dict)
        self._verbs: dict[str, str] = self.knowledge.remember(("verbs",), dict)
        self._questions: dict[str, str] = self.knowledge.remember(("questions",), dict)

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
        known = self._said.get(triple)
        if known is None:
            known = self._said[triple] = self._sentence(*triple)
        return known

    def _sentence(self, s: Term, p: str, o: Term) -> str:
        if p == CONCEPT:
            shown = self.knowledge.notation(str(self.index[s, STATUS][0]))
            is_listed = "#fact-" in str(s)
            return f"the claim lists {self.name(o)} as {shown}" if is_listed else f"{self.name(o)} is {shown}"
        if p == CORD_POSITION:
            return f"{self.name(s)} {self.knowledge.label(p)} {self.knowledge.label(o)}{self._left_there(s, o)}"
        verb = self._verbs.get(p) or remember(self._verbs, p, VERBS.get(p) or self.knowledge.label(p))
        told = "" if isinstance(o, Literal) and o.value == "true" else f" {self.name(o)}"
        return f"{self.name(s).partition(' (')[0]} {verb}{told}"

    def _left_there(self, site: Term, position: Term) -> str:
        """Return what the canal holds where the cord has ended."""
        if position != BELOW_CORD:
            return ""
        level = str(self.index[site, LEVEL][0])
        return self.knowledge.remember(("left there", level), lambda: self._left_at(level))

    def _left_at(self, level: str) -> str:
        enclosed = self.knowledge.graph.objects(level, ANATOMY + "encloses")
        held = [x for x in enclosed if not self.knowledge.is_cord(x)]
        return f", {' and '.join(map(self.name, held))} only" if held else ""

    def not_there(self, exposure: Term) -> str:
        """Return what a line monitors and what of its pathways runs through a site."""
        code = str(self.index[str(exposure).rpartition("-at-")[0], CODE][0])
        there = " and ".join(map(self.name, self.index.get((exposure, AT_RISK), ()))) or "nothing"
        site = self.index[exposure, AT_SITE][0]
        positions = self.index.get((site, CORD_POSITION), ())
        lies = "".join(f"{self.sentence((site, CORD_POSITION, position))}; " for position in positions)
        monitors = self.knowledge.remember(("monitors", code), lambda: self._monitors(code))
        return f"{lies}{monitors}; of its pathways {there} is there"

    def _monitors(self, code: str) -> str:
        graph = self.knowledge.graph
        tracts = [x for x in self.knowledge.courses(code) if (str(x), TYPE, ANATOMY + "Tract") in graph]
        named = " and ".join(map(self.name, tracts)) or "no tract of the cord"
        return f"{self.knowledge.notation(code)} monitors the {named}"

    def name(self, term: Term) -> str:
        """Return what a term is called in a sentence."""
        return self._own.get(term) or self._names.get(term) or self._name(term)

    def _name(self, term: Term) -> str:
        if not isinstance(term, str):
            return "something" if isinstance(term, Blank) else term.value.removesuffix("T00:00:00")
        if term.startswith(self.claim):
            known = self._own[term] = self._own_name(term)
            return known
        return remember(self._names, term, self._known_name(term))

    def _own_name(self, term: str) -> str:
        part = term.rpartition("#")[2]
        site = self.index.get((term, AT_SITE), (term,))[0]
        if (site, LEVEL) in self.index and "#site-" in str(site):
            return self.knowledge.notation(str(self.index[site, LEVEL][0]))
        return {"operation": "the operation"}.get(part, part.replace("-", " ")) if "#" in term else "the claim"

    def _known_name(self, term: str) -> str:
        code = self.knowledge.graph.text(term, NOTATION)
        if code and not term.startswith((ANATOMY, COV)):
            return f"{code} ({self.knowledge.label(term)})"
        return code if code and term.startswith(ANATOMY) and "-" in code else self.knowledge.label(term)

    # Questions

    def question(self, concept: str) -> str:
        """Return what to ask of the record about a fact, with the codes of the claim that suggest it."""
        asked, suggested = self.asked(concept), self.suggestions.get(concept)
        return f"{''.join(suggested)}{asked}" if suggested and asked else asked

    def asked(self, concept: str) -> str:
        """Return what to ask of any record about a fact."""
        known = self._questions.get(concept)
        if known is None:
            known = remember(self._questions, concept, self.knowledge.graph.text(concept, COV + "question") or "")
        return known

    @lazy
    def suggestions(self) -> dict[str, dict[str, None]]:
        """Return what the codes of the claim suggest or permit, in words; they never decide."""
        found: dict[str, dict[str, None]] = {}
        nodes = (self.claim, COV + "diagnosis"), (f"{self.claim}#operation", COV + "procedure")
        for node in chain.from_iterable(self.index.get(key, ()) for key in nodes):
            for code in self.index.get((node, CODE), ()):
                for concept, words in self._likely(str(code)):
                    found.setdefault(concept, {})[words] = None
        return found

    def _likely(self, code: str) -> list[tuple[str, str]]:
        """Return the conditions that a code suggests or permits, each in words."""
        graph, knowledge = self.knowledge.graph, self.knowledge

        def compute() -> list[tuple[str, str]]:
            verbs = ((verb, str(x)) for verb in ("suggests", "permits") for x in graph.objects(code, COV + verb))
            return [(x, f"{knowledge.notation(code)} {verb} {knowledge.label(x)}. ") for verb, x in verbs]

        return knowledge.remember(("likely", code), compute)

    @lazy
    def default_conus(self) -> str:
        """Return where cords end, where that shows a site to lie below the cord; else nothing."""
        sites = self.index.get((f"{self.claim}#operation", COV + "site"), ())
        concluded = self.reasoned.concluded
        if any(c.rule == BELOW_CORD_RULE for site in sites for c in concluded.get((site, CORD_POSITION), ())):
            return self.knowledge.remember(("cord",), self._where_cords_end)
        return ""

    def _where_cords_end(self) -> str:
        latest = self.knowledge.graph.iri(ANATOMY + "SpinalCord", ANATOMY + "endsAtLatest") or ""
        return f"the cord ends no lower than {self.knowledge.notation(latest)}: imaging does not show otherwise"


__all__ = ["AT_SITE", "CODE", "FIELDS", "OF_CLAIM", "SILENT", "Words"]
