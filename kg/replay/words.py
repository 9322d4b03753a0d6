"""Replay of the words: each sentence is a function of the triples that it tells, and of how the ontology calls them.

For `kg.verify` alone. What has no words of its own in the ontology has them here.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain

from kg.graph import Graph
from kg.replay.background import CAUDAL, CORD
from kg.replay.book import Book, Clause
from kg.replay.criteria import Criterion
from kg.replay.lines import DENY, NOT_BILLABLE, UNLESS, Case, Verdict
from kg.replay.supports import Piece
from kg.terms import ANATOMY, COV, RDFS, SKOS, TYPE, Blank, Literal, Term, Triple, local_name

NOTICE = "A recommendation: a person decides, and only a person may deny care."
QUESTIONS = {
    "operation.procedures": "Which procedures were performed?",
    "operation.procedures.levels": "Which levels were operated on?",
    "operation.conusLevel": "At which level does imaging show the cord to end?",
    "lines.intervals": "From when until when was the line monitored?",
}
VERBS = {TYPE: "is", RDFS + "subClassOf": "is a kind of"}
SILENT = {  # how the parts of a claim hang together goes without saying
    COV + name
    for name in (
        *("ofClaim", "finding", "procedure", "diagnosis", "operation", "site", "exposure", "atSite", "status"),
        *("baseLine", "number"),
    )
}
LONG = 5  # levels on a walk beyond which it is shortened
AT_SITE, LEVEL, CODE = COV + "atSite", COV + "level", COV + "code"
CORD_POSITION = COV + "cordPosition"


class Words:
    """What one claim says, in sentences."""

    def __init__(self, claim: str, graph: Graph, book: Book) -> None:
        self.claim, self.graph, self.book = claim, graph, book

    # Names

    def name(self, term: Term) -> str:
        """Return what a term is called in a sentence."""
        if not isinstance(term, str):
            return "something" if isinstance(term, Blank) else term.value.removesuffix("T00:00:00")
        if term.startswith(self.claim):
            return self._own_name(term)
        code = self.book.graph.text(term, SKOS + "notation")
        if code and not term.startswith((ANATOMY, COV)):
            return f"{code} ({self.book.label(term)})"
        return code if code and term.startswith(ANATOMY) and "-" in code else self.book.label(term)

    def _own_name(self, term: str) -> str:
        """Return what a part of the claim is called: its level, where it has one."""
        if "#" not in term:
            return "the claim"
        part = term.rpartition("#")[2]
        site = self.graph.value(term, AT_SITE) or term
        level = self.graph.iri(site, LEVEL) if "#site-" in str(site) else None
        if level:
            return self.book.notation(level)
        return "the operation" if part == "operation" else part.replace("-", " ")

    def names(self, terms: Iterable[Term], otherwise: str = "") -> str:
        """Return what several terms are called."""
        return " and ".join(map(self.name, terms)) or otherwise

    def code_label(self, node: str) -> str:
        """Return our words for the code of a line."""
        code = self.graph.value(node, CODE)
        return self.book.label(code) if code else "a code that the ontology does not hold"

    # Sentences

    def sentence(self, triple: Triple) -> str:
        """Return one triple in words."""
        s, p, o = triple
        if p == COV + "concept":
            status = self.book.notation(str(self.graph.value(s, COV + "status")))
            listed = "#fact-" in str(s)
            return f"the claim lists {self.name(o)} as {status}" if listed else f"{self.name(o)} is {status}"
        if p == CORD_POSITION:
            return f"{self.name(s)} {self.book.label(p)} {self.book.label(o)}{self._left_there(s, o)}"
        told = "" if isinstance(o, Literal) and o.value == "true" else f" {self.name(o)}"
        return f"{self.name(s).partition(' (')[0]} {VERBS.get(p) or self.book.label(p)}{told}"

    def _left_there(self, site: Term, position: Term) -> str:
        """Return what the canal holds where the cord has ended."""
        level = self.graph.value(site, LEVEL) or ""
        enclosed = self.book.graph.objects(level, ANATOMY + "encloses") if position == COV + "BelowCord" else ()
        held = self.names(x for x in enclosed if not self.book.background.is_cord(x))
        return f", {held} only" if held else ""

    def sentences(self, piece: Piece) -> Iterator[str]:
        """Yield what is told in one breath; steps of one kind that follow on each other are one walk."""
        walks: list[list[Triple]] = []
        for triple in piece:
            if triple[1] in SILENT:
                continue
            if walks and walks[-1][-1][1:] == (triple[1], triple[0]):
                walks[-1].append(triple)
            else:
                walks.append([triple])
        for walk in walks:
            yield self._walked(walk) if walk[0][1] == CAUDAL else "; ".join(map(self.sentence, walk))

    def _walked(self, walk: list[Triple]) -> str:
        """Return a walk along the spine, interspace by interspace; of a long one the middle is counted."""
        passed = [self.name(o) for _, _, o in walk[:-1] if "-" in local_name(str(o))]
        if len(passed) > LONG:
            passed = [passed[0], f"... {len(passed) - 2} more ...", passed[-1]]
        return f"{self.name(walk[0][0])} is caudal to {', '.join((*passed, self.name(walk[-1][2])))}"

    def not_there(self, exposure: Term) -> str:
        """Return what a line monitors and what of its pathways runs through a site."""
        code = str(self.graph.value(str(exposure).partition("-at-")[0], CODE))
        site = self.graph.value(exposure, AT_SITE) or ""
        courses = self.book.background.courses(code)
        tracts = self.names((x for x in courses if (x, TYPE, ANATOMY + "Tract") in self.graph), "no tract of the cord")
        there = self.names(self.graph.objects(exposure, COV + "atRisk"), "nothing")
        positions = self.graph.objects(site, CORD_POSITION)
        lies = "".join(f"{self.sentence((site, CORD_POSITION, position))}; " for position in positions)
        return f"{lies}{self.book.notation(code)} monitors the {tracts}; of its pathways {there} is there"

    # Questions

    def question(self, concept: str, field: str) -> str:
        """Return what to ask of the record about an open leaf."""
        if not concept:
            return QUESTIONS.get(field, "")
        question = self.book.graph.text(concept, COV + "question") or ""
        return "".join((*self.suggestions.get(concept, ()), question)) if question else ""

    @cached_property
    def suggestions(self) -> dict[str, dict[str, None]]:
        """Return what the codes of the claim suggest or permit, in words; they never decide."""
        graph, book = self.graph, self.book
        diagnoses = graph.objects(self.claim, COV + "diagnosis")
        procedures = graph.objects(f"{self.claim}#operation", COV + "procedure")
        found: dict[str, dict[str, None]] = {}
        for code in chain.from_iterable(graph.objects(node, CODE) for node in (*diagnoses, *procedures)):
            for verb in ("suggests", "permits"):
                for concept in book.graph.objects(code, COV + verb):
                    words = f"{book.notation(str(code))} {verb} {book.label(concept)}. "
                    found.setdefault(str(concept), {})[words] = None
        return found

    # What stands beside a decision

    def caveat(self, case: Case, part: Criterion) -> str:
        """Return that an approval leaves a clause open."""
        undocumented = (leaf for leaf in part.leaves() if not any(case.bits(leaf)))
        facts = dict.fromkeys(self.book.label(leaf.concept) if leaf.concept else leaf.label for leaf in undocumented)
        clause = f"{part.clause}: " if part.clause else ""
        return f"{clause}{part.label} is open; undocumented: {', '.join(facts)}"

    def assumptions(self, verdict: Verdict, is_default: bool) -> Iterator[str]:
        """Yield what the posture or the default anatomy took for granted."""
        for part in verdict.caveats:
            yield f"{part.clause or part.label}: open, and taken not to defeat the line"
        if verdict.posture == "final" and verdict.decision == DENY:
            for iri in verdict.because:
                if not any(verdict.case.bits(leaf)[1] for leaf in _leaves_of(verdict.case, iri)):
                    yield f"{self.clause_name(verdict.case, iri)}: undocumented, and counted against the line"
        if verdict.decision != NOT_BILLABLE and is_default:
            latest = self.book.notation(self.book.graph.iri(CORD, ANATOMY + "endsAtLatest") or "")
            yield f"the cord ends no lower than {latest}: imaging does not show otherwise"

    def clause_name(self, case: Case, iri: str) -> str:
        """Return how the source names a clause."""
        named = (clause.criterion.clause for clause in case.clauses if clause.iri == iri)
        return next(named, "") or self.book.label(iri)

    def statement(self, clause: Clause) -> str:
        """Return what a study says of monitoring, if it affirms or denies something."""
        speaks = self.book.graph.iri(clause.iri, COV + "speaksOf")
        verb = "affirms" if self.book.graph.text(clause.iri, COV + "holdsThat") == "true" else "denies"
        return f"{verb} that monitoring {self.book.label(speaks)}" if speaks else ""


def _leaves_of(case: Case, clause: str) -> Iterator[Criterion]:
    for group in case.root.parts:
        for part in group.parts:
            if part.iri.removesuffix(UNLESS) == clause:
                yield from part.leaves()
