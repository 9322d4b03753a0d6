"""Explain: a determination as one value, with the path of every line: clause, fact, walk, what is missing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from kg.check import ALERT, Hit
from kg.decide import (
    APPROVE,
    COVERED,
    DENY,
    NOT_BILLABLE,
    NOT_EXCLUDED,
    PAYER,
    POSTURES,
    UNLESS,
    Atom,
    Decision,
    Guidance,
    Judged,
    LineCase,
    decided,
    open_field,
)
from kg.evaluate import Outcome
from kg.knowledge import CAUDAL, Document, Edition, Knowledge
from kg.load import Claim
from kg.reason import Reasoned, with_facts
from kg.shapes import Witness
from kg.terms import ANATOMY, COV, RDFS, TYPE, Blank, Literal, Term, Triple, local_name, written

NOTICE = "A recommendation: a person decides, and only a person may deny care."


@dataclass(frozen=True, slots=True)
class Determination:
    """What follows for a claim from one edition of a policy, with the proof of it."""

    claim: Claim
    policy: Document
    edition: Edition
    posture: str
    lines: tuple[Judged, ...]
    hits: tuple[Hit, ...]
    reasoned: Reasoned
    knowledge: Knowledge

    @property
    def decision(self) -> str:
        """Return the decision that all lines share, else `mixed` (decision rule 23)."""
        decisions = {line.decisions[self.posture].decision for line in self.lines}
        return decisions.pop() if len(decisions) == 1 else "mixed"

    def facts(self, posture: str = PAYER) -> Reasoned:
        """Return the facts of the claim, what follows from them, and the settled decisions of its base lines.

        On the union of these and the ontology, any SHACL engine finds the same status for every criterion.
        """
        added = {str(base) for line in self.lines for base in self.reasoned.graph.objects(line.node, COV + "baseLine")}
        return with_facts(self.reasoned, decided((line for line in self.lines if line.node in added), posture))

    def to_dict(self) -> dict[str, Any]:
        """Return the determination as the public contract writes it in JSON, section 3."""
        teller = Teller(self)
        lines = [teller.line(line) for line in self.lines]
        return {
            "claim": self.claim.id,
            "policy": {"id": self.policy.id, "edition": self.edition.name, "label": self.policy.label},
            "serviceDate": self.claim.service_date.isoformat(),
            "posture": self.posture,
            "decision": self.decision,
            "notice": NOTICE,
            "lines": lines,
            "edits": [teller.edit(hit) for hit in self.hits],
            "conflicts": [conflict for line in lines for conflict in line["conflicts"]],
            "knowledge": self.knowledge.hash,
        }


class Teller:
    """Puts one determination into words and plain values."""

    def __init__(self, determination: Determination) -> None:
        self.determination = determination
        self.knowledge = determination.knowledge
        self.graph = determination.reasoned.graph
        self.why = determination.reasoned.why
        self.policy = determination.policy

    def line(self, judged: Judged) -> dict[str, Any]:
        """Return what follows for a line under the posture asked for, and its decision under each."""
        posture = self.determination.posture
        case, decision = judged.cases[posture], judged.decisions[posture]
        return {
            "line": judged.number,
            "code": judged.code,
            "label": self.code_label(judged),
            "decision": decision.decision,
            "decisions": {name: judged.decisions[name].decision for name in POSTURES},
            "because": list(decision.because),
            **({"reason": self.knowledge.notation(decision.reason)} if decision.reason else {}),
            **({"note": decision.note} if decision.note else {}),
            "grounds": [{"clause": one.clause, "criteria": list(one.leaves)} for one in decision.grounds],
            "missing": self.all_missing(decision.missing),
            "caveats": [self.caveat(outcome) for outcome in decision.caveats],
            "assumptions": list(self.assumptions(case, decision)),
            "flips": self.flips(decision),
            "changes": [
                {"to": change.to, "facts": [self.fact(atom) for atom in change.facts]} for change in decision.changes
            ],
            "conflicts": list(self.conflicts(judged.number, case)),
            "guidance": [self.guidance(item) for item in case.guidance],
            "postures": self.separated(judged),
            "path": self.path(case.root),
        }

    def code_label(self, judged: Judged) -> str:
        """Return our words for the code of a line."""
        code = self.graph.iri(judged.node, COV + "code")
        return self.knowledge.label(code) if code else "a code that the ontology does not hold"

    def edit(self, hit: Hit) -> dict[str, Any]:
        """Return an edit that holds: what it stops, or that it only alerts."""
        path = self.path(hit.outcome)
        return {
            "line": hit.line,
            "edit": hit.outcome.criterion.iri,
            "label": hit.outcome.criterion.label,
            "effect": self.knowledge.notation(COV + hit.effect),
            "decides": hit.effect != ALERT,
            "clause": hit.outcome.criterion.clause,
            "because": [words for leaf in hit.outcome.leaves() for words in self.leaf_words(leaf)],
            "path": path,
        }

    def path(self, outcome: Outcome) -> dict[str, Any]:
        """Return the criteria tree below an outcome, passes as well as failures."""
        criterion = outcome.criterion
        chosen = self.chosen(outcome)
        asserted = dict.fromkeys(triple for witness in chosen[:2] for triple in self.asserted(witness))
        derived = [fact for witness in chosen[:2] for fact in self.derived(witness)]
        node: dict[str, Any] = {
            "criterion": criterion.iri,
            "label": self.label(outcome),
            "clause": criterion.clause,
            "quote": criterion.quote,
            "status": outcome.status,
            "kind": criterion.kind,
            "witnesses": [self.triple(triple) for triple in asserted],
            "parts": [self.path(part) for part in outcome.parts],
        }
        if outcome.focus != self.focus_of_lines(outcome):
            node["at"] = written(outcome.focus)
        if criterion.is_leaf:
            node["words"] = list(self.leaf_words(outcome))
            if outcome.status in ("not-met", "undocumented"):
                node["message"] = criterion.message
            if outcome.status == "undocumented" and (question := self.question(outcome)):
                node["question"] = question
        if derived:
            node["derived"] = [
                {"triple": self.triple(t), "rule": by, "from": [self.triple(p) for p in premises]}
                for t, by, premises in dict.fromkeys(derived)
            ]
        sources = self.sources(asserted)
        if sources:
            node["sources"] = sources
        return node

    def focus_of_lines(self, outcome: Outcome) -> Term:
        """Return the focus itself where it is a service line."""
        return outcome.focus if self.graph.value(outcome.focus, COV + "lineNumber") is not None else ""

    def label(self, outcome: Outcome) -> str:
        """Return the label of a criterion, with the place where it was asked of something other than the line."""
        if self.focus_of_lines(outcome):
            return outcome.criterion.label
        return f"{self.name(outcome.focus)}: {outcome.criterion.label}"

    def chosen(self, outcome: Outcome) -> tuple[Witness, ...]:
        """Return the witnesses of a status: one for met, one for refuted, both where they conflict."""
        return (*outcome.why[:1], *outcome.why_not[:1])

    def asserted(self, witness: Iterable[Triple]) -> Iterator[Triple]:
        """Yield the asserted triples that a witness comes down to."""
        for triple in witness:
            fact = self.why.get(triple)
            yield from self.asserted(fact.premises) if fact and fact.premises else (triple,)

    def derived(self, witness: Iterable[Triple]) -> Iterator[tuple[Triple, str, tuple[Triple, ...]]]:
        """Yield the derived triples of a witness, each with its rule and premises."""
        for triple in witness:
            if fact := self.why.get(triple):
                yield fact

    def sources(self, triples: Iterable[Triple]) -> list[dict[str, str]]:
        """Return where in the record the listed facts of a witness stand."""
        nodes = dict.fromkeys(s for s, p, _ in triples if p == COV + "concept")
        found = ((str(node), self.graph.text(node, COV + "source")) for node in nodes)
        return [{"fact": node, "source": source} for node, source in found if source]

    def triple(self, triple: Triple) -> list[str]:
        """Return a triple as JSON carries it."""
        return [written(term) for term in triple]

    # Words

    def leaf_words(self, outcome: Outcome) -> Iterator[str]:
        """Yield, in words, what makes a leaf so: facts and the walk through the anatomy.

        A leaf that asks a criterion of several things leaves the words to what they answer.
        """
        for witness in () if outcome.parts else self.chosen(outcome):
            told: dict[str, None] = {}
            for triple in witness:
                fact = self.why.get(triple)
                told.update(dict.fromkeys(self.sentences(fact.premises if fact and fact.premises else (triple,))))
                if fact and local_name(fact.rule) in CONCLUSIONS:
                    told[self.sentence(triple)] = None
            if outcome.refuted and self.graph.value(outcome.focus, COV + "atSite") is not None:
                told[self.not_there(outcome.focus)] = None
            if told:
                yield "; ".join(told)

    def not_there(self, exposure: Term) -> str:
        """Return what a line monitors and what of its pathways runs through a site."""
        line = str(exposure).partition("-at-")[0]
        code = str(self.graph.iri(line, COV + "code"))
        courses = self.knowledge.courses(code)
        tracts = [x for x in courses if (str(x), TYPE, ANATOMY + "Tract") in self.graph]
        monitored = " and ".join(map(self.name, tracts)) or "no tract of the cord"
        there = " and ".join(map(self.name, self.graph.objects(exposure, COV + "atRisk"))) or "nothing"
        site = self.graph.value(exposure, COV + "atSite") or ""
        positions = [(site, COV + "cordPosition", x) for x in self.graph.objects(site, COV + "cordPosition")]
        lies = "".join(f"{self.sentence(position)}; " for position in positions)
        return f"{lies}{self.knowledge.notation(code)} monitors the {monitored}; of its pathways {there} is there"

    def sentences(self, triples: Iterable[Triple]) -> Iterator[str]:
        """Yield sentences for triples; steps of one kind that follow on each other are told as one walk."""
        steps: list[list[Triple]] = []
        for triple in triples:
            if triple[1] in SILENT:
                continue
            if steps and triple[1] == steps[-1][-1][1] and triple[0] == steps[-1][-1][2]:
                steps[-1].append(triple)
            else:
                steps.append([triple])
        for walk in steps:
            yield self.walked(walk) if walk[0][1] == CAUDAL else "; ".join(map(self.sentence, walk))

    def walked(self, walk: list[Triple]) -> str:
        """Return a walk along the spine in words, interspace by interspace, a long one shortened."""
        start, end = walk[0][0], walk[-1][2]
        passed = [self.name(o) for _, _, o in walk[:-1] if "-" in local_name(str(o))]
        if len(passed) > LONG:
            passed = [passed[0], f"... {len(passed) - 2} more ...", passed[-1]]
        return f"{self.name(start)} is caudal to {', '.join((*passed, self.name(end)))}"

    def sentence(self, triple: Triple) -> str:
        """Return one triple in words."""
        s, p, o = triple
        if p == COV + "concept":
            shown = self.knowledge.notation(str(self.graph.iri(s, COV + "status")))
            return f"the claim lists {self.name(o)} as {shown}" if self.is_recorded(s) else f"{self.name(o)} is {shown}"
        if p == COV + "cordPosition":
            return f"{self.name(s)} {self.knowledge.label(p)} {self.knowledge.label(o)}{self.left_there(s, o)}"
        verb = VERBS.get(p) or self.knowledge.label(p)
        told = "" if isinstance(o, Literal) and o.value == "true" else f" {self.name(o)}"
        return f"{self.name(s).partition(' (')[0]} {verb}{told}"

    def left_there(self, site: Term, position: Term) -> str:
        """Return what the canal holds where the cord has ended."""
        if position != COV + "BelowCord":
            return ""
        level = str(self.graph.iri(site, COV + "level"))
        held = [x for x in self.graph.objects(level, ANATOMY + "encloses") if not self.knowledge.is_cord(x)]
        return f", {' and '.join(map(self.name, held))} only" if held else ""

    def is_recorded(self, node: Term) -> bool:
        """Say whether a finding is a fact that the claim lists."""
        return "#fact-" in str(node)

    def name(self, term: Term) -> str:
        """Return what a term is called in a sentence."""
        if isinstance(term, str) and term.startswith(self.determination.claim.iri):
            part = term.rpartition("#")[2]
            site = self.graph.iri(term, COV + "atSite") or (term if "#site-" in term else None)
            if site:
                return self.knowledge.notation(str(self.graph.iri(site, COV + "level")))
            return {"operation": "the operation"}.get(part, part.replace("-", " ")) if "#" in term else "the claim"
        if isinstance(term, str):
            code = self.graph.text(term, "http://www.w3.org/2004/02/skos/core#notation")
            if code and not term.startswith((ANATOMY, COV)):
                return f"{code} ({self.knowledge.label(term)})"
            return code if code and term.startswith(ANATOMY) and "-" in code else self.knowledge.label(term)
        return "something" if isinstance(term, Blank) else term.value.removesuffix("T00:00:00")

    def question(self, outcome: Outcome) -> str:
        """Return what to ask of the record about an open leaf."""
        criterion = outcome.criterion
        if criterion.concept:
            question = self.knowledge.graph.text(criterion.concept, COV + "question") or ""
            return f"{self.suggestion(criterion.concept)}{question}" if question else ""
        field = open_field(outcome, self.knowledge)
        return QUESTIONS.get(field, "") if field else ""

    def suggestion(self, concept: str) -> str:
        """Return which codes of the claim suggest or permit a concept; they never decide."""
        claim = self.determination.claim.iri
        diagnoses = self.graph.objects(claim, COV + "diagnosis")
        procedures = self.graph.objects(f"{claim}#operation", COV + "procedure")
        words: dict[str, None] = {}
        for node in (*diagnoses, *procedures):
            code = self.graph.iri(node, COV + "code")
            for verb in ("suggests", "permits"):
                if code and concept in self.graph.objects(code, COV + verb):
                    words[f"{self.knowledge.notation(code)} {verb} {self.knowledge.label(concept)}. "] = None
        return "".join(words)

    # What is open, and what would change it

    def fact(self, atom: Atom) -> dict[str, str]:
        """Return a fact or field that could be documented, and as what."""
        region = {"region": self.knowledge.notation(atom.region)} if atom.region else {}
        kind = "field" if atom.is_field else "fact"
        return {kind: atom.name, "status": atom.status, **region, **({"criterion": atom.leaf} if atom.is_field else {})}

    def all_missing(self, atoms: Iterable[Atom]) -> list[dict[str, str]]:
        """Return the open facts, a field of the claim once however many criteria wait for it."""
        found = {(atom.name, atom.region): self.missing(atom) for atom in reversed(tuple(atoms))}
        return list(reversed(found.values()))

    def missing(self, atom: Atom) -> dict[str, str]:
        """Return an open fact with the question that would settle it."""
        region = {"region": self.knowledge.notation(atom.region)} if atom.region else {}
        if atom.is_field:
            return {"fact": atom.name, "question": QUESTIONS.get(atom.name, ""), "criterion": atom.leaf}
        concept = self.knowledge.facts[atom.name]
        question = self.knowledge.graph.text(concept, COV + "question") or ""
        return {
            "fact": atom.name,
            "question": f"{self.suggestion(concept)}{question}",
            **region,
            "criterion": atom.leaf,
        }

    def flips(self, decision: Decision) -> list[list[str]]:
        """Return the sets of facts whose presence would change the decision or secure it."""
        sets = (
            [atom.name for atom in change.facts]
            for change in decision.changes
            if all(atom.status == "present" for atom in change.facts)
        )
        return [list(one) for one in dict.fromkeys(map(tuple, sets))]

    def caveat(self, outcome: Outcome) -> str:
        """Return in words that an approval leaves a clause open."""
        criterion = outcome.criterion
        facts = dict.fromkeys(
            self.knowledge.label(leaf.criterion.concept) if leaf.criterion.concept else leaf.criterion.label
            for leaf in outcome.leaves()
            if leaf.status == "undocumented"
        )
        clause = f"{criterion.clause}: " if criterion.clause else ""
        return f"{clause}{criterion.label} is open; undocumented: {', '.join(facts)}"

    def assumptions(self, case: LineCase, decision: Decision) -> Iterator[str]:
        """Yield what the posture or the default anatomy took for granted."""
        if decision.decision == APPROVE:
            for outcome in decision.caveats:
                yield f"{outcome.criterion.clause or outcome.criterion.label}: open, and taken not to defeat the line"
        if decision.posture == "final" and decision.decision == DENY:
            for iri in decision.because:
                if not any(leaf.refuted for leaf in self._leaves(case, iri)):
                    yield f"{self.clause_name(case, iri)}: undocumented, and counted against the line"
        if decision.decision != NOT_BILLABLE and any(
            local_name(fact.rule) == "rule-belowCord" for fact in self.determination.reasoned.derived
        ):
            cord = self.knowledge.graph.iri(ANATOMY + "SpinalCord", ANATOMY + "endsAtLatest")
            yield f"the cord ends no lower than {self.knowledge.notation(cord or '')}: imaging does not show otherwise"

    def _leaves(self, case: LineCase, iri: str) -> list[Outcome]:
        return [
            leaf
            for outcome in case.root.parts
            for part in outcome.parts
            if part.criterion.iri.removesuffix(UNLESS) == iri
            for leaf in part.leaves()
        ]

    def clause_name(self, case: LineCase, iri: str) -> str:
        """Return how the source names a clause."""
        clause = case.clauses.get(iri)
        return clause.criterion.clause if clause and clause.criterion.clause else self.knowledge.label(iri)

    def separated(self, judged: Judged) -> list[dict[str, Any]]:
        """Return which clauses separate the postures of a line."""
        decisions = judged.decisions
        groups = groupby(sorted(POSTURES, key=lambda p: decisions[p].decision), key=lambda p: decisions[p].decision)
        if len({decision.decision for decision in decisions.values()}) == 1:
            return []
        return [
            {"decision": name, "postures": (members := list(postures)), "because": list(decisions[members[0]].because)}
            for name, postures in groups
        ]

    # Guidelines

    def guidance(self, item: Guidance) -> dict[str, Any]:
        """Return what a guideline says of the line; it decides nothing by itself."""
        graph = self.knowledge.graph
        speaks, holds = graph.iri(item.clause.iri, COV + "speaksOf"), graph.text(item.clause.iri, COV + "holdsThat")
        criterion = item.outcome.criterion
        found = {
            "guideline": item.document,
            "clause": item.clause.iri,
            "label": criterion.label,
            "quote": criterion.quote,
            "stance": item.stance,
            "evidenceClass": graph.text(item.clause.iri, COV + "evidenceClass") or "",
            "strength": graph.text(item.clause.iri, COV + "strength") or "",
            "sourceStatus": item.clause.source_status,
        }
        if speaks:
            verb = "affirms" if holds == "true" else "denies"
            found["statement"] = f"{verb} that monitoring {self.knowledge.label(speaks)}"
        return found

    def conflicts(self, number: int, case: LineCase) -> Iterator[dict[str, Any]]:
        """Yield where policy and guideline part on a line."""
        groups = {outcome.criterion.iri: outcome for outcome in case.root.parts}
        excluded, covered = groups.get(NOT_EXCLUDED), groups.get(COVERED)
        for item in case.guidance:
            if item.stance == "recommends" and excluded:
                for outcome in excluded.parts:
                    stance = "excludes" if outcome.met else "" if outcome.refuted else "open"
                    if stance:
                        yield self._conflict(number, f"guideline-supports--policy-{stance}", outcome, item)
            if item.stance == "opposes" and covered and case.root.met:
                for outcome in covered.parts:
                    if outcome.met:
                        yield self._conflict(number, "guideline-opposes--policy-covers", outcome, item)

    def _conflict(self, number: int, kind: str, outcome: Outcome, item: Guidance) -> dict[str, Any]:
        policy = outcome.criterion.iri.removesuffix(UNLESS)
        return {
            "kind": kind,
            "line": number,
            "policy": policy,
            "guideline": item.clause.iri,
            "words": f"{item.document} supports the line; {outcome.criterion.clause}: {outcome.criterion.label}"
            if item.stance == "recommends"
            else f"{item.document} finds no support for the line; {outcome.criterion.clause} covers it",
        }


CONCLUSIONS = {f"rule-{name}" for name in ("belowCord", "atCord", "belowConus", "atConus", "atRisk")}
SILENT = {
    COV + name
    for name in (
        *("ofClaim", "finding", "procedure", "diagnosis", "operation", "site", "exposure", "atSite", "status"),
        *("baseLine", "number"),
    )
}
VERBS = {TYPE: "is", RDFS + "subClassOf": "is a kind of"}
LONG = 5
QUESTIONS = {
    "operation.procedures": "Which procedures were performed?",
    "operation.procedures.levels": "Which levels were operated on?",
    "operation.conusLevel": "At which level does imaging show the cord to end?",
    "lines.intervals": "From when until when was the line monitored?",
}
