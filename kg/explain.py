"""Explain: a determination as one value, with the path of every line: clause, fact, walk, what is missing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, groupby, islice
from typing import Any, NamedTuple

from kg.changes import Atom
from kg.check import ALERT, Hit
from kg.criteria import Criterion
from kg.decide import APPROVE, BASE_LINE, DENY, NOT_BILLABLE, PAYER, POSTURES, Decision, Judged, decided
from kg.docket import COVERED, NOT_EXCLUDED, UNLESS, Case, Guidance
from kg.evaluate import Pieces, Reading
from kg.knowledge import CAUDAL, Document, Edition, Knowledge
from kg.load import Claim
from kg.outcome import Outcome
from kg.plan import CONCEPT, OF_CLAIM, remember
from kg.reason import Reasoned, with_facts
from kg.rules.derived import Premises
from kg.terms import ANATOMY, COV, RDFS, TYPE, Blank, Known, Literal, Term, Triple, local_name, written

Json = dict[str, Any]
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
        added = {base for line in self.lines for base in self.reasoned.index.get((line.node, BASE_LINE), ())}
        return with_facts(self.reasoned, decided((line for line in self.lines if line.node in added), posture))

    def to_dict(self) -> Json:
        """Return the determination as the public contract writes it in JSON, section 3.

        What lines share is told once: within one answer, parts of their paths are the same objects.
        """
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
            "derivations": [teller.derivation(triple, *why) for triple, why in teller.derivations.items()],
            "knowledge": self.knowledge.hash,
        }


class Teller:
    """Puts one determination into words and plain values."""

    def __init__(self, determination: Determination) -> None:
        self.determination = determination
        self.knowledge = determination.knowledge
        self.index = determination.reasoned.index
        self.claim = determination.claim.iri
        self.lines = {line.node for line in determination.lines}
        self.derivations: dict[Triple, tuple[int, str, Pieces]] = {}
        # what was told of this claim, so that it is told once
        self._listed: dict[int, list[list[str]]] = {}
        self._words: dict[int, tuple[str, ...]] = {}
        self._singles: dict[Triple, Premises] = {}
        self._of_claim: dict[Criterion, Evidence] = {}
        self._names: dict[str, str] = {}
        self._said: dict[Triple, str] = {}
        self._nodes: dict[Term, dict[Outcome, Json]] = {}
        self._silent: dict[Outcome, Json] = {}
        self._of_claims: dict[tuple[Outcome, frozenset[str]], Json] = {}
        self._asked: dict[Atom, dict[str, str]] = {}
        self._facts: dict[Atom, dict[str, str]] = {}
        self._kept: list[Premises] = []
        # what depends on the knowledge alone, told once for all claims
        self.names: dict[str, str] = self.knowledge.remember(("names",), dict)
        self.verbs: dict[str, str] = self.knowledge.remember(("verbs",), dict)
        self.told: dict[Outcome, Json] = self.knowledge.remember(("told",), dict)
        self.caveats: dict[Outcome, str] = self.knowledge.remember(("caveats",), dict)

    def line(self, judged: Judged) -> Json:
        """Return what follows for a line under the posture asked for, and its decision under each."""
        posture = self.determination.posture
        case, decision = judged.decisions[posture].case, judged.decisions[posture]
        return {
            "line": judged.number,
            "code": judged.code,
            "label": self.code_label(judged),
            "decision": decision.decision,
            "decisions": {name: judged.decisions[name].decision for name in POSTURES},
            "decidedRegardless": decision.decided_regardless,
            "because": list(decision.because),
            **({"reason": self.knowledge.notation(decision.reason)} if decision.reason else {}),
            **({"note": decision.note} if decision.note else {}),
            "grounds": [{"clause": one.clause, "criteria": list(one.leaves)} for one in decision.grounds],
            "missing": self.all_missing(decision.missing),
            "caveats": [self.caveat(outcome) for outcome in decision.caveats],
            "assumptions": list(self.assumptions(case, decision)),
            "flips": self.flips(decision),
            "changes": self.changes(decision),
            "conflicts": list(self.conflicts(judged.number, case)),
            "guidance": [self.guidance(item) for item in case.guidance],
            "postures": self.separated(judged),
            "path": self.path(case.root, judged.node, judged.readings[posture], grounds_of(decision)),
        }

    def code_label(self, judged: Judged) -> str:
        """Return our words for the code of a line."""
        code = self.index.get((judged.node, CODE))
        return self.label(str(code[0])) if code else "a code that the ontology does not hold"

    def label(self, term: str) -> str:
        """Return what the ontology calls a term."""
        return self.knowledge.remember(("label", term), lambda: self.knowledge.label(term))

    def edit(self, hit: Hit) -> Json:
        """Return an edit that holds: what it stops, or that it only alerts."""
        reading = self.reading_of(hit)
        leaves = {leaf.criterion: leaf for leaf in hit.outcome.leaves()}.values()
        return {
            "line": hit.line,
            "edit": hit.outcome.criterion.iri,
            "label": hit.outcome.criterion.label,
            "effect": self.knowledge.notation(COV + hit.effect),
            "decides": hit.effect != ALERT,
            "clause": hit.outcome.criterion.clause,
            "because": [words for leaf in leaves for words in self.evidence(leaf, hit.node, reading).words],
            "path": self.path(hit.outcome, hit.node, reading),
        }

    def reading_of(self, hit: Hit) -> Reading:
        """Return what the line was read as of which an edit was asked."""
        return self._readings[hit.node]

    @cached_property
    def _readings(self) -> dict[str, Reading]:
        return {line.node: line.readings[PAYER] for line in self.determination.lines}

    def path(self, outcome: Outcome, focus: Term, reading: Reading, grounds: frozenset[str] = frozenset()) -> Json:
        """Return the criteria tree below an outcome, passes as well as failures.

        `grounds` are the leaves by each of which the line is denied: these list all their witnesses. What is told
        once is not told again: where nothing is known, all lines share it.
        """
        is_line = focus in self.lines
        here = self._nodes.setdefault(focus, {})
        own = (focus, FINDING) in self.index
        return self._node(outcome, _At(focus, reading, grounds, here, is_line, is_line and not own))

    def _node(self, outcome: Outcome, at: "_At") -> Json:
        """Return what is told of an outcome at a node, new, or as it was told before."""
        here = self._silent if outcome.silent and at.is_line else at.here
        node = here.get(outcome)
        if node is not None:
            return node
        criterion = outcome.criterion
        names = at.reading.plan.of_claims.get(criterion) if at.of_claim else None
        if names is not None:
            key = (outcome, at.grounds & names)
            node = self._of_claims.get(key)
            if node is not None:
                node = here[outcome] = self._again(node, at.focus)
                return node
        node = here[outcome] = (self.told.get(outcome) or self._head(outcome)).copy()
        if names is not None:
            self._of_claims[key] = node
        if not at.is_line:
            node["label"] = f"{self.name(at.focus)}: {criterion.label}"
            node["at"] = written(at.focus)
        if criterion.is_leaf:
            self._leaf(node, outcome, at)
        else:
            node["witnesses"] = []
            node["parts"] = [self._node(part, at) for part in outcome.parts]
        return node

    def _again(self, told: Json, focus: Term) -> Json:
        """Return what was told of the claim at one line as it is at another: that of which claim it is differs."""
        node = told.copy()
        if told["witnesses"]:
            node["witnesses"] = [[focus, OF_CLAIM, self.claim], *told["witnesses"][1:]]
            if "alternatives" in told:
                others = told["alternatives"]
                node["alternatives"] = [[[focus, OF_CLAIM, self.claim], *one[1:]] for one in others]
        elif told["parts"] and "words" not in told:
            node["parts"] = [self._again(part, focus) for part in told["parts"]]
        return node

    def _leaf(self, node: Json, outcome: Outcome, at: "_At") -> None:
        criterion = outcome.criterion
        triples, words, derived, sources = self.evidence(outcome, at.focus, at.reading)
        node["witnesses"] = triples or []
        if criterion.parts:
            others = at.reading.others(criterion, at.focus)
            node["parts"] = [self._of_other(inner, other, within) for other, inner, within in others]
            node["words"] = []
        else:
            node["parts"] = []
            node["words"] = words or []
        if not outcome.met:
            node["message"] = criterion.message
            if not outcome.refuted and (question := self.question(outcome)):
                node["question"] = question
        if derived:
            node["derived"] = derived
        if sources:
            node["sources"] = sources
        if at.grounds and criterion.iri in at.grounds:
            node["alternatives"] = self.alternatives(outcome, at.focus, at.reading, node["witnesses"])

    def _of_other(self, outcome: Outcome, focus: Term, reading: Reading) -> Json:
        """Return the tree of what a leaf asks of another node; one that is asked of a line says of which."""
        node = self.path(outcome, focus, reading)
        if focus in self.lines:
            return {**node, "label": f"{self.name(focus)}: {outcome.criterion.label}", "at": written(focus)}
        return node

    def _head(self, outcome: Outcome) -> Json:
        """Return what a node says that no claim bears on."""
        criterion = outcome.criterion
        told = {
            "criterion": criterion.iri,
            "label": criterion.label,
            "clause": criterion.clause,
            "quote": criterion.quote,
            "status": outcome.status,
            "kind": criterion.kind,
        }
        return remember(self.told, outcome, told)

    # Witnesses

    def chosen(self, outcome: Outcome, focus: Term, reading: Reading) -> Iterator[tuple[bool, Pieces]]:
        """Yield the witnesses of a leaf's status: one for met, one for refuted, both where they conflict."""
        for positive, holds in ((True, outcome.met), (False, outcome.refuted)):
            if holds:
                yield positive, reading.first(outcome.criterion, focus, positive)

    def evidence(self, outcome: Outcome, focus: Term, reading: Reading) -> "Evidence":
        """Return the witnesses of a leaf as asserted triples, in words, and what is derived of them."""
        if not outcome.met and not outcome.refuted:
            return NO_EVIDENCE
        leaf = outcome.criterion
        plan = reading.plan
        of_claim = (focus, FINDING) not in self.index if leaf.concept else leaf in plan.shared
        if not of_claim or focus not in self.lines:
            return self._direct(outcome, focus, reading) or self._evidence(outcome, focus, reading)
        known = self._of_claim.get(leaf)
        if known is None:
            found = self._evidence(outcome, focus, reading)
            known = self._of_claim[leaf] = found._replace(triples=found.triples[1:])  # after that of which claim it is
        rest, words, derived, sources = known
        return Evidence([[str(focus), OF_CLAIM, self.claim], *rest], words, derived, sources)

    def _direct(self, outcome: Outcome, focus: Term, reading: Reading) -> "Evidence | None":
        """Return the evidence of a leaf that asks for a stated value of the node itself: the value, and what it is."""
        plan, positive = reading.plan, outcome.met
        for _, predicate, asked in plan.direct.get(outcome.criterion.iri, ()):
            key = (focus, predicate)
            values = self.index.get(key)
            if (
                values
                and predicate not in SILENT
                and key not in reading.reasoned.concluded
                and (asked.hits if positive else asked.known)
            ):
                steps = plan.first_end(asked, values[0], positive)
                if steps is not None and not (positive and outcome.refuted):
                    triple = (focus, predicate, values[0])
                    said = self.sentence(triple)
                    if not steps:
                        return Evidence([self.triple(triple)], [said], [], [])
                    return Evidence(
                        [self.triple(triple), *self.listed(steps)], ["; ".join((said, *self.words(steps)))], [], []
                    )
        return None

    def _evidence(self, outcome: Outcome, focus: Term, reading: Reading) -> "Evidence":
        told: list[str] = []
        derived: dict[int, None] = {}
        shown: dict[int, list[list[str]]] = {}
        leaf, concluded = outcome.criterion, reading.reasoned.concluded
        for positive in (True, False):
            if not (outcome.met if positive else outcome.refuted):
                continue
            words: list[str] = []
            for piece in reading.first(leaf, focus, positive):
                if type(piece) is Known:
                    shown[id(piece)] = self.listed(piece)
                    words += piece.words or self.words(piece)
                    continue
                for triple in piece:
                    s, p, o = triple
                    conclusion = reading.reasoned.conclusion(triple) if (s, p) in concluded else None
                    premises = conclusion.why(o) if conclusion else ()
                    if not conclusion or not premises:
                        single = self._single(triple)
                        shown[id(single)] = self.listed(single)
                        if p not in SILENT:
                            words.append(self.sentence(triple))
                        continue
                    for part in premises:
                        shown[id(part)] = self.listed(part)
                        words += (part.words if type(part) is Known else None) or self.words(part)
                    known = self.derivations.get(triple)
                    if known is None:
                        known = self.derivations[triple] = len(self.derivations), conclusion.rule, premises
                    derived[known[0]] = None
                    if conclusion.rule in CONCLUSIONS:
                        words.append(self.sentence(triple))
            told += self._told(words, focus, positive)
        triples = list(chain.from_iterable(shown.values()))
        if leaf.concept or (leaf.parts and (leaf.kind == "EveryLeaf" or outcome.refuted)):  # of several: may overlap
            triples = list({tuple(triple): triple for triple in triples}.values())
        sources = self.sources(triples) if leaf.concept else []
        return Evidence(triples, told, list(derived), sources)

    def _told(self, words: list[str], focus: Term, positive: bool) -> list[str]:
        """Return sentences as one, with what is not there where an exposure puts nothing at risk."""
        if not positive and (focus, AT_SITE) in self.index:
            words.append(self.not_there(focus))
        return ["; ".join(dict.fromkeys(words))] if words else []

    def _single(self, triple: Triple) -> Premises:
        """Return a triple as a piece, always the same one."""
        return self._singles.setdefault(triple, (triple,))

    def listed(self, piece: Premises) -> list[list[str]]:
        """Return a piece as JSON carries it."""
        known = self._listed.get(id(piece))
        if known is None:
            known = self._listed[id(piece)] = [
                [s if type(s) is str else written(s), p, o if type(o) is str else written(o)] for s, p, o in piece
            ]
            self._kept.append(piece)  # so that its identity stays its own
        return known

    def words(self, piece: Premises) -> tuple[str, ...]:
        """Return a piece in sentences; what the ontology says is put into words once for all claims."""
        if type(piece) is Known:
            if piece.words is None:
                piece.words = tuple(self.sentences(piece))
            return piece.words
        known = self._words.get(id(piece))
        if known is None:
            known = self._words[id(piece)] = tuple(self.sentences(piece))
            self._kept.append(piece)
        return known

    def sources(self, triples: Iterable[list[str]]) -> list[dict[str, str]]:
        """Return where in the record the listed facts among some triples stand."""
        nodes = dict.fromkeys(s for s, p, _ in triples if p == CONCEPT)
        found = ((node, source) for node in nodes for source in self.index.get((node, SOURCE), ()))
        return [{"fact": node, "source": source.value} for node, source in found if isinstance(source, Literal)]

    def alternatives(
        self, outcome: Outcome, focus: Term, reading: Reading, first: list[list[str]]
    ) -> list[list[list[str]]]:
        """Return all minimal witnesses of a leaf that is a ground of a denial; an appeal must beat each."""
        leaf = outcome.criterion
        sides = [positive for positive, holds in ((True, outcome.met), (False, outcome.refuted)) if holds]
        every = chain.from_iterable(reading.all(leaf, focus, positive) for positive in sides)
        found = list(islice(every, LIMIT))
        if len(found) == 1:
            return [first]
        return [self.asserted_triples(one, reading, bool(leaf.concept or leaf.parts)) for one in found]

    def asserted_triples(self, witness: Pieces, reading: Reading, several: bool) -> list[list[str]]:
        """Return a witness as asserted triples; pieces of `several` facts may overlap."""
        concluded = reading.reasoned.concluded
        shown: dict[int, Premises] = {}
        for piece in witness:
            if type(piece) is Known:
                shown[id(piece)] = piece
                continue
            for triple in piece:
                conclusion = None
                if (triple[0], triple[1]) in concluded:
                    conclusion = reading.reasoned.conclusion(triple)
                for part in (conclusion.why(triple[2]) if conclusion else ()) or (self._single(triple),):
                    shown[id(part)] = part
        triples = chain.from_iterable([self.listed(piece) for piece in shown.values()])
        return list({tuple(triple): triple for triple in triples}.values()) if several else list(triples)

    def asserted(self, witness: Iterable[Triple], reading: Reading) -> list[Triple]:
        """Return the asserted triples that a witness comes down to."""
        found: dict[Triple, None] = {}
        for triple in witness:
            conclusion = reading.reasoned.conclusion(triple)
            pieces = conclusion.why(triple[2]) if conclusion else ()
            found.update(dict.fromkeys(chain.from_iterable(pieces) if pieces else (triple,)))
        return list(found)

    def derivation(self, triple: Triple, place: int, by: str, pieces: Pieces) -> Json:
        """Return a derived triple with its rule and the asserted triples that it follows from."""
        asserted = {tuple(one): one for one in chain.from_iterable(map(self.listed, pieces))}
        return {"triple": self.triple(triple), "rule": by, "from": list(asserted.values())}

    def triple(self, triple: Triple) -> list[str]:
        """Return a triple as JSON carries it."""
        s, p, o = triple
        return [s if isinstance(s, str) else written(s), p, o if isinstance(o, str) else written(o)]

    # Words

    def not_there(self, exposure: Term) -> str:
        """Return what a line monitors and what of its pathways runs through a site."""
        line = str(exposure).partition("-at-")[0]
        code = str(self.index[line, CODE][0])
        graph = self.knowledge.graph
        tracts = [x for x in self.knowledge.courses(code) if (str(x), TYPE, ANATOMY + "Tract") in graph]
        monitored = " and ".join(map(self.name, tracts)) or "no tract of the cord"
        there = " and ".join(map(self.name, self.index.get((exposure, AT_RISK), ()))) or "nothing"
        site = self.index[exposure, AT_SITE][0]
        positions = self.index.get((site, CORD_POSITION), ())
        lies = "".join(f"{self.sentence((site, CORD_POSITION, position))}; " for position in positions)
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
            return f"the claim lists {self.name(o)} as {shown}" if self.is_recorded(s) else f"{self.name(o)} is {shown}"
        if p == CORD_POSITION:
            return f"{self.name(s)} {self.knowledge.label(p)} {self.knowledge.label(o)}{self.left_there(s, o)}"
        verb = self.verbs.get(p) or remember(self.verbs, p, VERBS.get(p) or self.knowledge.label(p))
        told = "" if isinstance(o, Literal) and o.value == "true" else f" {self.name(o)}"
        return f"{self.name(s).partition(' (')[0]} {verb}{told}"

    def left_there(self, site: Term, position: Term) -> str:
        """Return what the canal holds where the cord has ended."""
        if position != COV + "BelowCord":
            return ""
        level = str(self.index[site, LEVEL][0])
        enclosed = self.knowledge.graph.objects(level, ANATOMY + "encloses")
        held = [x for x in enclosed if not self.knowledge.is_cord(x)]
        return f", {' and '.join(map(self.name, held))} only" if held else ""

    def is_recorded(self, node: Term) -> bool:
        """Say whether a finding is a fact that the claim lists."""
        return "#fact-" in str(node)

    def name(self, term: Term) -> str:
        """Return what a term is called in a sentence."""
        if isinstance(term, str):
            if term.startswith(self.claim):
                known = self._names.get(term)
                if known is None:
                    known = self._names[term] = self._own_name(term)
                return known
            known = self.names.get(term)
            return known or remember(self.names, term, self._known_name(term))
        return "something" if isinstance(term, Blank) else term.value.removesuffix("T00:00:00")

    def _own_name(self, term: str) -> str:
        part = term.rpartition("#")[2]
        site = self.index.get((term, AT_SITE), (term,))[0]
        if (site, LEVEL) in self.index and "#site-" in str(site):
            return self.knowledge.notation(str(self.index[site, LEVEL][0]))
        return {"operation": "the operation"}.get(part, part.replace("-", " ")) if "#" in term else "the claim"

    def _known_name(self, term: str) -> str:
        code = self.knowledge.graph.text(term, "http://www.w3.org/2004/02/skos/core#notation")
        if code and not term.startswith((ANATOMY, COV)):
            return f"{code} ({self.knowledge.label(term)})"
        return code if code and term.startswith(ANATOMY) and "-" in code else self.knowledge.label(term)

    def question(self, outcome: Outcome) -> str:
        """Return what to ask of the record about an open leaf."""
        criterion = outcome.criterion
        if criterion.concept:
            question = self.knowledge.graph.text(criterion.concept, COV + "question") or ""
            return f"{self.suggestion(criterion.concept)}{question}" if question else ""
        return QUESTIONS.get(outcome.field, "")

    def suggestion(self, concept: str) -> str:
        """Return which codes of the claim suggest or permit a concept; they never decide."""
        return "".join(self.suggestions.get(concept, ()))

    @cached_property
    def suggestions(self) -> dict[str, dict[str, None]]:
        """Return what the codes of the claim suggest or permit, in words."""
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

    @cached_property
    def default_conus(self) -> bool:
        """Say whether a site was taken to lie below the cord because that is where cords end."""
        sites = self.index.get((f"{self.claim}#operation", COV + "site"), ())
        concluded = self.determination.reasoned.concluded
        return any(c.rule == BELOW_CORD_RULE for site in sites for c in concluded.get((site, CORD_POSITION), ()))

    # What is open, and what would change it

    def changes(self, decision: Decision) -> list[Json]:
        """Return the sets of facts that would change the decision, a fact that is in several told once."""
        facts = self._facts
        for change in decision.changes:
            for atom in change.facts:
                if atom not in facts:
                    facts[atom] = self.fact(atom)
        return [{"to": change.to, "facts": [facts[atom] for atom in change.facts]} for change in decision.changes]

    def fact(self, atom: Atom) -> dict[str, str]:
        """Return a fact or field that could be documented, and as what."""
        region = {"region": self.knowledge.notation(atom.region)} if atom.region else {}
        kind = "field" if atom.is_field else "fact"
        return {kind: atom.name, "status": atom.status, **region, **({"criterion": atom.leaf} if atom.is_field else {})}

    def all_missing(self, atoms: Iterable[Atom]) -> list[dict[str, str]]:
        """Return the open facts, a field of the claim once however many criteria wait for it."""
        found = {(atom.name, atom.region): atom for atom in reversed(tuple(atoms))}
        return [
            self._asked.get(atom) or self._asked.setdefault(atom, self.missing(atom))
            for atom in reversed(found.values())
        ]

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
        known: str | None = self.caveats.get(outcome)
        return known or remember(self.caveats, outcome, self._caveat(outcome))

    def _caveat(self, outcome: Outcome) -> str:
        criterion = outcome.criterion
        facts = dict.fromkeys(
            self.knowledge.label(leaf.criterion.concept) if leaf.criterion.concept else leaf.criterion.label
            for leaf in outcome.leaves()
            if leaf.status == "undocumented"
        )
        clause = f"{criterion.clause}: " if criterion.clause else ""
        return f"{clause}{criterion.label} is open; undocumented: {', '.join(facts)}"

    def assumptions(self, case: Case, decision: Decision) -> Iterator[str]:
        """Yield what the posture or the default anatomy took for granted."""
        if decision.decision == APPROVE:
            for outcome in decision.caveats:
                yield f"{outcome.criterion.clause or outcome.criterion.label}: open, and taken not to defeat the line"
        if decision.posture == "final" and decision.decision == DENY:
            for iri in decision.because:
                if not any(leaf.refuted for leaf in self._leaves(case, iri)):
                    yield f"{self.clause_name(case, iri)}: undocumented, and counted against the line"
        if decision.decision != NOT_BILLABLE and self.default_conus:
            yield self.knowledge.remember(("cord",), self._where_cords_end)

    def _where_cords_end(self) -> str:
        latest = self.knowledge.graph.iri(ANATOMY + "SpinalCord", ANATOMY + "endsAtLatest") or ""
        return f"the cord ends no lower than {self.knowledge.notation(latest)}: imaging does not show otherwise"

    def _leaves(self, case: Case, iri: str) -> list[Outcome]:
        return [
            leaf
            for outcome in case.root.parts
            for part in outcome.parts
            if part.criterion.iri.removesuffix(UNLESS) == iri
            for leaf in part.leaves()
        ]

    def clause_name(self, case: Case, iri: str) -> str:
        """Return how the source names a clause."""
        clause = case.docket.clauses.get(iri)
        return clause.criterion.clause if clause and clause.criterion.clause else self.knowledge.label(iri)

    def separated(self, judged: Judged) -> list[Json]:
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

    def guidance(self, item: Guidance) -> Json:
        """Return what a guideline says of the line; it decides nothing by itself."""
        return self.knowledge.remember(("guidance", item.clause.iri), lambda: self._guidance(item)).copy()

    def _guidance(self, item: Guidance) -> Json:
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

    def conflicts(self, number: int, case: Case) -> Iterator[Json]:
        """Yield where policy and guideline part on a line."""
        excluded, covered = case.groups.get(NOT_EXCLUDED), case.groups.get(COVERED)
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

    def _conflict(self, number: int, kind: str, outcome: Outcome, item: Guidance) -> Json:
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


def grounds_of(decision: Decision) -> frozenset[str]:
    """Return the leaves that are among the grounds of a denial."""
    return frozenset(leaf for ground in decision.grounds for leaf in ground.leaves)


class _At(NamedTuple):
    """Where a tree is told: the node, how it was read, the leaves that deny it, and what was told of it before."""

    focus: Term
    reading: Reading
    grounds: frozenset[str]
    here: dict[Outcome, Json]
    is_line: bool
    of_claim: bool  # a line without findings of its own: what is read of the claim is as at other lines


class Evidence(NamedTuple):
    """What makes a leaf so: asserted triples, sentences, the places of derivations, and sources in the record."""

    triples: list[list[str]]
    words: list[str]
    derived: list[int]
    sources: list[dict[str, str]]


NO_EVIDENCE = Evidence([], [], [], [])
FINDING, CODE, STATUS, SOURCE, LEVEL = COV + "finding", COV + "code", COV + "status", COV + "source", COV + "level"
AT_SITE, AT_RISK, CORD_POSITION = COV + "atSite", COV + "atRisk", COV + "cordPosition"
BELOW_CORD_RULE = COV + "rule-belowCord"
LIMIT = 256  # witnesses of one leaf that are listed
CONCLUSIONS = {f"{COV}rule-{name}" for name in ("belowCord", "atCord", "belowConus", "atConus", "atRisk")}
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
