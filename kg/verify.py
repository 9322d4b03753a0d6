"""Verify: replay a determination step by step, by code that shares nothing with the code that produced it.

Only the parsers and the terms are shared: how Turtle is read, and how a claim document becomes facts. The knowledge
is read and hashed here, the facts that follow are derived again (`kg.replay_rules`), the criteria are read from the
shapes graph and their statuses and witnesses found again (`kg.replay`), and every line is decided again under every
posture by the decision rules (`kg.replay_lines`).

A witness is replayed by counting: all minimal sets of asserted triples by which a side of a leaf holds are
enumerated, and what is listed must be one of them. So it suffices, and no triple of it can be dropped. What a rule or
a closed side takes from the whole graph (that nothing else is there) is read from the whole graph.

Not replayed are words that decide nothing: sentences, questions, assumptions, and the labels of guidance. Of `missing`
it is checked that each fact is open or was shown not to be recorded; of `changes`, that each does what it promises and
is minimal and consistent, and that `flips` are those of present facts, not that no further set exists.
"""

import gc
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kg.errors import ClaimError, Fault
from kg.graph import Graph, read
from kg.replay import Bits, Criterion, Reading, read_criterion, status
from kg.replay_lines import (
    APPROVE,
    COVERED,
    DENY,
    DOCUMENTED,
    EXCLUSIONS,
    LINE,
    MAX_CONFLICTS,
    NOT_BILLABLE,
    NOT_EXCLUDED,
    PEND,
    REVIEW,
    STANCES,
    UNLESS,
    Book,
    Case,
    Clause,
    Verdict,
    because,
    doubts,
    grounds,
    payable,
)
from kg.replay_rules import Background, Support, derive
from kg.terms import COV, RDFS, SKOS, TYPE, Literal, Term, Triple, local_name, written

if TYPE_CHECKING:
    from kg.load import Claim

Json = Mapping[str, Any]
STEPS = {
    "document": "the document has the form of a determination",
    "knowledge": "it was made with this ontology and these shapes",
    "claim": "it is about this claim, under an edition in force on the date of service",
    "lines": "its lines are those of the claim, and its decision is theirs",
    "derivations": "what follows from the facts follows by the rules, from the triples that are named",
    "edits": "the coding edits that hold are those that are listed",
    "tree": "the criteria are those of the policy, none hidden and none added",
    "status": "each criterion has the status that the facts give it",
    "witness": "each witness is true, suffices and holds no needless triple",
    "alternatives": "all witnesses of the grounds of a denial are listed",
    "decision": "each line is decided under each posture as the rules say",
    "because": "the criteria that decided are named, with the reason of a denial",
    "grounds": "all minimal grounds of a denial are listed",
    "guidance": "guidelines that speak of the line are listed, and where they part from the policy",
    "changes": "what would change the decision would, and nothing less",
}
POSTURES = ("payer", "advisory", "final")
DECISIONS = {APPROVE, DENY, PEND, NOT_BILLABLE, REVIEW}
STATUSES = {"met", "not-met", "undocumented", "conflicting"}
MAX_DEPTH = 120  # of criteria within criteria: more than the shapes may nest
LISTED = 256  # alternatives and grounds beyond these need not be listed


class Failure(NamedTuple):
    """A step that does not hold: which, where in the determination, and why."""

    step: str
    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.step}: {self.place}: {self.problem}"


class Rooted(Protocol):
    """Knowledge, known here only by the folder that it was read from."""

    @property
    def root(self) -> Path: ...


def verify(determination: Json, claim: "Claim", root: Path | Rooted | None = None) -> list[Failure]:
    """Return the steps that do not hold, the first of each kind, in the order of `STEPS`; none if all hold."""
    folder = root if isinstance(root, Path) else root.root if root else _root()
    failures = list(_document(determination))[:1]
    if not failures:
        files = _files(folder)
        digest = _hash(folder, files)
        if determination["knowledge"] != digest:
            failures = [Failure("knowledge", "knowledge", f"the files here have the hash {digest}")]
    if failures:
        return failures
    book = _book(folder, digest)
    failures = list(_claim(determination, claim, book))[:1]
    if failures:
        return failures
    replay = Replay(determination, claim, book)
    first: dict[str, Failure] = {}
    for failure in replay.failures():
        first.setdefault(failure.step, failure)
    return sorted(first.values(), key=lambda failure: list(STEPS).index(failure.step))


# 1. The document


def _document(given: Json) -> Iterator[Failure]:
    yield from _form(given, DETERMINATION, "determination", 0)


Form = Any  # a type, a set of values, a list of one form, or a form for each key; those ending in `?` may be missing
TRIPLE: Form = (str, str, str)
NODE: dict[str, Form] = {
    "criterion": str,
    "label": str,
    "clause": str,
    "quote": str,
    "status": STATUSES,
    "kind": str,
    "witnesses": [TRIPLE],
    "at?": str,
    "alternatives?": [[TRIPLE]],
    "words?": [str],
    "message?": str,
    "question?": str,
    "derived?": [int],
    "sources?": [{"fact": str, "source": str}],
}
NODE["parts"] = [NODE]
CONFLICT: Form = {"kind": str, "line": int, "policy": str, "guideline": str, "words?": str}
CHANGED: Form = {
    **{"fact?": str, "field?": str, "region?": str, "criterion?": str},
    "status": {"present", "absent", "met", "not-met"},
}
JUDGED: Form = {
    "line": int,
    "code": str,
    "label": str,
    "decision": DECISIONS,
    "decisions": dict.fromkeys(POSTURES, DECISIONS),
    "decidedRegardless": bool,
    "because": [str],
    "reason?": str,
    "note?": str,
    "grounds": [{"clause": str, "criteria": [str]}],
    "missing": [{"fact": str, "question": str, "region?": str, "criterion?": str}],
    "caveats": [str],
    "assumptions": [str],
    "flips": [[str]],
    "changes": [{"to": {APPROVE, DENY, "secured"}, "facts": [CHANGED]}],
    "conflicts": [CONFLICT],
    "guidance": [dict],
    "postures": [{"decision": DECISIONS, "postures": [str], "because": [str]}],
    "path": NODE,
}
DETERMINATION: Form = {
    "claim": str,
    "policy": {"id": str, "edition": str, "label": str},
    "serviceDate": str,
    "posture": set(POSTURES),
    "decision": DECISIONS | {"mixed"},
    "notice": str,
    "lines": [JUDGED],
    "edits": [
        {
            **{"edit": str, "label": str, "effect": str, "decides": bool, "clause": str, "because": [str]},
            "line": (int, type(None)),
            "path": NODE,
        }
    ],
    "conflicts": [CONFLICT],
    "derivations": [{"triple": TRIPLE, "rule": str, "from": [TRIPLE]}],
    "knowledge": str,
}


def _form(given: object, form: Form, place: str, depth: int) -> Iterator[Failure]:
    """Yield where a value has not the form that is asked for."""
    if depth > 3 * MAX_DEPTH:
        yield Failure("document", place, "it nests too deep")
    elif isinstance(form, dict):
        yield from _object(given, form, place, depth)
    elif isinstance(form, list):
        if not isinstance(given, list):
            yield Failure("document", place, "this is no list")
        for i, value in enumerate(given if isinstance(given, list) else ()):
            yield from _form(value, form[0], f"{place}[{i}]", depth + 1)
    elif form is TRIPLE:
        if not (isinstance(given, list | tuple) and len(given) == 3 and all(isinstance(x, str) for x in given)):
            yield Failure("document", place, "this is no triple")
    elif isinstance(form, set):
        if not (isinstance(given, str) and given in form):
            yield Failure("document", place, f"this is none of {', '.join(sorted(form))}")
    elif not isinstance(given, form) or (isinstance(given, bool) and form is not bool):
        yield Failure("document", place, "this is a value of another kind")


def _object(given: object, form: dict[str, Form], place: str, depth: int) -> Iterator[Failure]:
    if not isinstance(given, Mapping):
        yield Failure("document", place, "this is no object")
        return
    for key in form:
        if not key.endswith("?") and key not in given:
            yield Failure("document", place, f"`{key}` is missing")
    for key, value in given.items():
        inner = form.get(key, form.get(f"{key}?"))
        if inner is None:
            yield Failure("document", place, "it has a part that the contract does not name")
        else:
            yield from _form(value, inner, f"{place}.{key}", depth + 1)


# 2. The knowledge


def _root() -> Path:
    """Return the folder of ontology and shapes: that of the installed package, else of the checkout."""
    here = Path(__file__).resolve().parent
    return here / "knowledge" if (here / "knowledge").is_dir() else here.parent


def _files(root: Path) -> list[Path]:
    """Return the files that determine every answer: all Turtle, the lists of codes, the context of claims."""
    turtle = chain.from_iterable((root / folder).rglob("*.ttl") for folder in ("ontology", "shapes"))
    codes = (root / "ontology/codes" / f"icd10cm-{name}.txt" for name in ("release", "history"))
    return sorted((*turtle, *codes, root / "shapes/claim-context.jsonld"))


def _hash(root: Path, files: Iterable[Path]) -> str:
    lines = (f"{f.relative_to(root).as_posix()}\n{hashlib.sha256(f.read_bytes()).hexdigest()}\n" for f in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@cache
def _book(root: Path, digest: str) -> Book:
    """Read the knowledge of a hash."""
    named = ((path, path.relative_to(root).as_posix()) for path in _files(root) if path.suffix == ".ttl")
    gc.collect()
    gc.disable()  # nothing that is read is garbage, and looking for it takes a third of the time
    try:
        graph = Graph(chain.from_iterable(read(path, name) for path, name in named))
        return Book(graph, Background(graph, root))
    finally:
        gc.enable()


# 3. The claim


def _claim(given: Json, claim: "Claim", book: Book) -> Iterator[Failure]:
    if given["claim"] != claim.id:
        yield Failure("claim", "claim", "the determination is about another claim")
    if given["serviceDate"] != claim.service_date.isoformat():
        yield Failure("claim", "serviceDate", "the claim has another date of service")
    policy = _policy(given, book)
    edition = book.edition(policy, claim.service_date) if policy else None
    if policy is None:
        yield Failure("claim", "policy.id", "there is no such policy")
    elif edition is None or given["policy"]["edition"] != (
        book.graph.text(edition, COV + "editionName") or local_name(edition)
    ):
        yield Failure("claim", "policy.edition", "another edition is in force on the date of service")
    elif given["policy"]["label"] != book.graph.text(policy, RDFS + "label"):
        yield Failure("claim", "policy.label", "the policy has another label")


def _policy(given: Json, book: Book) -> Term | None:
    named = book.graph.subjects(SKOS + "notation", Literal(given["policy"]["id"]))
    return next((s for s in named if (s, TYPE, COV + "Policy") in book.graph), None)


# The replay


class Replay:
    """One determination, step by step."""

    def __init__(self, given: Json, claim: "Claim", book: Book) -> None:
        self.given, self.claim, self.book = given, claim, book
        self.posture = given["posture"]
        self.derived = derive(claim.iri, claim.facts, book.background)
        self.reading = Reading(claim.iri, claim.facts, self.derived, book.graph, book.kept)
        self.edition = book.edition(_policy(given, book) or "", claim.service_date) or ""
        self.nodes = {number: node for number, node, _ in claim.lines}
        self.listed = frozenset(tuple(one["triple"]) for one in given["derivations"])
        self._brings: dict[tuple[str, ...], dict[str, Bits]] = {}

    def failures(self) -> Iterator[Failure]:
        """Yield what does not hold."""
        yield from self.lines()
        yield from self.derivations()
        yield from self.edits()
        if self.has_lines:
            for line in self.given["lines"]:
                yield from self.line(line)

    @property
    def has_lines(self) -> bool:
        given = [(line["line"], line["code"]) for line in self.given["lines"]]
        return given == [(number, code) for number, _, code in self.claim.lines]

    def lines(self) -> Iterator[Failure]:
        if not self.has_lines:
            yield Failure("lines", "lines", "these are not the lines of the claim, each once and in order")
        decisions = {line["decision"] for line in self.given["lines"]}
        if self.given["decision"] != (decisions.pop() if len(decisions) == 1 else "mixed"):
            yield Failure("lines", "decision", "the lines have another decision")
        if self.given["conflicts"] != [conflict for line in self.given["lines"] for conflict in line["conflicts"]]:
            yield Failure("lines", "conflicts", "these are not the conflicts of the lines")

    # What follows

    @cached_property
    def supports(self) -> dict[tuple[str, ...], dict[str, set["Said"]]]:
        """Return what follows from the claim, by rule, with all minimal supports, as JSON carries them."""
        return {
            tuple(map(written, triple)): {rule: set(map(_written, supports)) for rule, supports in by.items()}
            for triple, by in self.derived.items()
        }

    def derivations(self) -> Iterator[Failure]:
        known = self.known(self.reading)
        seen: set[str] = set()
        for i, one in enumerate(self.given["derivations"]):
            place, triple = f"derivations[{i}]", tuple(one["triple"])
            premises = [tuple(premise) for premise in one["from"]]
            by = self.supports.get(triple)
            if by is None or one["rule"] not in by:
                yield Failure("derivations", place, "this does not follow by the rule")
            elif any(premise not in known for premise in premises):
                yield Failure("derivations", place, "it rests on a triple that neither claim nor knowledge states")
            elif len({*premises}) < len(premises) or frozenset(premises) not in by[one["rule"]]:
                yield Failure("derivations", place, "what it rests on does not suffice, or not all of it is needed")
            if (key := json.dumps(one, sort_keys=True)) in seen:
                yield Failure("derivations", place, "it is listed twice")
            seen.add(key)

    def known(self, reading: Reading) -> "Known":
        return Known(self.book.triples, frozenset(tuple(map(written, triple)) for triple in reading.facts))

    # Edits

    @cached_property
    def hits(self) -> list[tuple[int | None, Criterion, str, bool, str]]:
        """Return the edits that hold: line, edit, effect, whether it is verified, and the line that it was asked of."""
        clauses = self.book.clauses(self.edition)
        of_policy = [(c.criterion, c.effect, c.is_verified) for c in clauses if c.effect]
        found: list[tuple[int | None, Criterion, str, bool, str]] = []
        for edit, effect, is_verified in (*self.book.edits, *of_policy):
            for number, node in self.nodes.items():
                if self.reading.bits(edit, node) == (True, False):
                    of_claim = self.is_of_claim(edit)
                    found.append((None if of_claim else number, edit, effect, is_verified, node))
                    if of_claim:
                        break
        return found

    def is_of_claim(self, criterion: Criterion) -> bool:
        """Say whether an edit asks of the claim, and so alike of all its lines."""
        if not criterion.is_leaf:
            return all(self.is_of_claim(part) for part in criterion.parts)
        graph, path = self.book.graph, self.book.graph.value(criterion.iri, "http://www.w3.org/ns/shacl#path")
        return path is not None and next(iter(_first(graph, path)), "") == COV + "ofClaim"

    def edits(self) -> Iterator[Failure]:
        given = [(edit["line"], edit["edit"]) for edit in self.given["edits"]]
        if given != [(number, edit.iri) for number, edit, *_ in self.hits]:
            yield Failure("edits", "edits", "these are not the edits that hold, each once and in order")
            return
        for i, (edit, (_, criterion, effect, _, node)) in enumerate(zip(self.given["edits"], self.hits, strict=True)):
            said = (edit["label"], edit["clause"], edit["effect"], edit["decides"])
            if said != (criterion.label, criterion.clause, self.book.notation(effect), effect != COV + "RaisesAlert"):
                yield Failure("edits", f"edits[{i}]", "label, clause or effect are not those of the edit")
            yield from self.path(edit["path"], criterion, node, self.reading, f"edits[{i}].path", frozenset(), node)

    # Decisions

    def case(self, node: str, reading: Reading) -> Case:
        """Return the clauses that concern a line."""
        day, book = self.claim.service_date, self.book

        def concerning(edition: str) -> tuple[Clause, ...]:
            clauses = (c for c in book.clauses(edition) if not c.effect)
            return tuple(c for c in clauses if c.concerns is None or reading.bits(c.concerns, node)[0])

        spoken = []
        for guideline in sorted(map(str, book.graph.subjects(TYPE, COV + "Guideline"))):
            edition = book.edition(guideline, day)
            clauses = concerning(edition) if edition else ()
            spoken += [(book.notation(guideline), c) for c in clauses if c.kind in STANCES]
        clauses = concerning(self.edition)
        is_continuous = reading.bits(read_criterion(book.graph, LINE + "continuous"), node)[0]
        return Case(clauses, tuple(spoken), is_continuous, payable(book, clauses, is_continuous), reading, node)

    @cached_property
    def verdicts(self) -> dict[str, dict[str, Verdict]]:
        """Return how each line is decided under each posture; base lines first."""
        found = {
            node: self.judged(node, dict.fromkeys(POSTURES, self.reading), {})
            for node in self.nodes.values()
            if not self.bases(node)
        }
        for node in self.nodes.values():
            if bases := self.bases(node):
                readings, said = {}, {}
                for posture in POSTURES:
                    based = {base: found[base][posture] for base in bases if base in found and not self.bases(base)}
                    readings[posture] = self.reading.decided({base: v.decision for base, v in based.items()})
                    said[posture] = tuple(based.values())
                found[node] = self.judged(node, readings, said)
        return found

    def bases(self, node: str) -> tuple[str, ...]:
        return tuple(map(str, self.reading.graph.objects(node, COV + "baseLine")))

    def judged(
        self, node: str, readings: Mapping[str, Reading], bases: Mapping[str, tuple[Verdict, ...]]
    ) -> dict[str, Verdict]:
        return {
            posture: self.verdict(self.case(node, readings[posture]), posture, bases.get(posture, ()))
            for posture in POSTURES
        }

    def verdict(self, case: Case, posture: str, bases: tuple[Verdict, ...]) -> Verdict:
        """Decide a line under a posture (decision rules 13 to 21)."""
        numbers = {node: number for number, node in self.nodes.items()}
        stops = [
            (edit.iri, is_verified)
            for number, edit, effect, is_verified, _ in self.hits
            if effect == COV + "StopsClaim" or (effect == COV + "StopsLine" and number in (None, numbers[case.node]))
        ]
        if any(is_verified for _, is_verified in stops):
            return Verdict(case, posture, NOT_BILLABLE, tuple(iri for iri, is_verified in stops if is_verified))
        if stops:
            return Verdict(case, posture, REVIEW, tuple(iri for iri, _ in stops), True)
        decision = case.settled(posture)
        if not case.is_mentioned(case.clauses) or decision == REVIEW:
            return Verdict(case, posture, REVIEW)
        own = any(refuted for name, (_, refuted) in case.groups.items() if name not in (COVERED, DOCUMENTED))
        if decision != APPROVE and not own and any(base.doubted for base in bases):
            return Verdict(case, posture, REVIEW, (LINE + "base-approved",))
        if doubted := doubts(case, posture, self.book):
            return Verdict(case, posture, REVIEW, doubted, True)
        always = self.always(case, posture) if decision == PEND else ""
        said = tuple(because(case, always or decision, posture)) or tuple(because(case, PEND, posture))
        return Verdict(case, posture, always or decision, said, False, bool(always))

    def always(self, case: Case, posture: str) -> str:
        """Return the decision to which every completion of the open facts leads, if there is one.

        An open leaf that counts only for the line, or only against it, is completed in the way that would defeat the
        answer; leaves that count for it and whose like counts against it, in every consistent way.
        """
        signs: dict[str, set[bool]] = {}
        leaves: dict[str, Criterion] = {}
        for leaf, sign in _signed(case.root, True):
            if case.bits(leaf) == (False, False):
                signs.setdefault(leaf.iri, set()).add(sign)
                leaves[leaf.iri] = leaf
        above = self.book.background.above
        asks = {iri: self.book.graph.iri(iri, COV + "asksFor") for iri in leaves}

        def alike(a: str, b: str) -> bool:
            x, y = asks[a], asks[b]
            kinds = RDFS + "subClassOf"
            return a == b or bool(x and y and (x in above(kinds, y) or y in above(kinds, x)))

        torn = [a for a in leaves if any(alike(a, b) and signs[a] | signs[b] == {True, False} for b in leaves)]
        if not torn or len(torn) > MAX_CONFLICTS:
            return ""
        for answer, helps in ((DENY, True), (APPROVE, False)):
            rest = {iri: (sign == helps, sign != helps) for iri, (sign, *_) in signs.items() if iri not in torn}
            completions = product(((True, False), (False, True)), repeat=len(torn))
            supposed = (dict(zip(torn, values, strict=True)) for values in completions)
            if all(
                case.supposing({**rest, **torn_bits}).settled(posture) == answer
                for torn_bits in supposed
                if self.is_consistent(case, leaves, torn_bits)
            ):
                return answer
        return ""

    def is_consistent(self, case: Case, leaves: Mapping[str, Criterion], bits: Mapping[str, Bits]) -> bool:
        """Say whether facts could be so at once: what one of them implies of another is not denied."""
        for iri, value in bits.items():
            concept = self.book.graph.iri(iri, COV + "asksFor")
            if concept:
                region = self.book.graph.iri(iri, COV + "inRegion") or ""
                implied = self.brings(case, local_name(concept), "present" if value[0] else "absent", region)
                if any(implied.get(other, value) != value for other in bits):
                    return False
        return True

    # Lines

    def line(self, line: Json) -> Iterator[Failure]:
        place, node = f"lines[{line['line'] - 1}]", self.nodes[line["line"]]
        verdicts = self.verdicts[node]
        verdict = verdicts[self.posture]
        case, decision = verdict.case, verdict.decision
        denied = grounds(case, self.posture) if decision == DENY else {}
        of_grounds = frozenset(chain.from_iterable(chain.from_iterable(denied.values())))
        yield from self.path(line["path"], case.root, node, case.reading, f"{place}.path", of_grounds, node)
        if line["decisions"] != {posture: v.decision for posture, v in verdicts.items()}:
            yield Failure("decision", f"{place}.decisions", "the rules lead to other decisions")
        if line["decision"] != decision:
            yield Failure("decision", f"{place}.decision", f"the rules lead to `{decision}`")
            return
        code = self.reading.graph.iri(node, COV + "code")
        if code and line["label"] != self.book.graph.text(code, RDFS + "label"):
            yield Failure("lines", f"{place}.label", "the code has another label")
        if sorted(line["because"]) != sorted(verdict.because):
            yield Failure("because", f"{place}.because", "other criteria decided")
        if line.get("reason", "") != self.reason(verdict):
            yield Failure("because", f"{place}.reason", "the denial has another reason")
        if "note" in line and decision != REVIEW:
            yield Failure("because", f"{place}.note", "only what is for review is noted")
        yield from self.separated(line["postures"], verdicts, place)
        yield from self.said_grounds(line["grounds"], denied, place)
        yield from self.guidance(line, case, place)
        yield from self.caveats(line, verdict, place)
        yield from self.changes(line, verdict, place)

    def reason(self, verdict: Verdict) -> str:
        """Return the class of a denial: that of the first exclusion, else of the first clause that decided."""
        if verdict.decision == NOT_BILLABLE:
            return self.book.notation(COV + "Coding")
        clauses = {clause.iri: clause for clause in verdict.case.clauses}
        decided = [clauses[iri] for iri in verdict.because if iri in clauses]
        first = sorted(decided, key=lambda clause: clause.kind not in EXCLUSIONS)[:1]
        reason = next((clause.reason for clause in first if clause.reason), COV + "NotMedicallyNecessary")
        return self.book.notation(reason) if verdict.decision == DENY else ""

    def separated(self, given: list[Json], verdicts: Mapping[str, Verdict], place: str) -> Iterator[Failure]:
        """Yield where the postures are not told apart as they decide."""
        decisions = {v.decision for v in verdicts.values()}
        said = {(one["decision"], posture) for one in given for posture in one["postures"]}
        expected = {(v.decision, posture) for posture, v in verdicts.items()} if len(decisions) > 1 else set()
        if said != expected or len(given) != len({decision for decision, _ in expected}):
            yield Failure("decision", f"{place}.postures", "the postures decide otherwise")
            return
        for one in given:
            if sorted(one["because"]) not in [sorted(verdicts[posture].because) for posture in one["postures"]]:
                yield Failure("because", f"{place}.postures", "other criteria decided")

    def said_grounds(self, given: list[Json], denied: dict[str, set[frozenset[str]]], place: str) -> Iterator[Failure]:
        said: dict[str, set[frozenset[str]]] = {}
        for one in given:
            leaves = frozenset(one["criteria"])
            if len(leaves) < len(one["criteria"]) or leaves in said.get(one["clause"], ()):
                yield Failure("grounds", f"{place}.grounds", "a ground is listed twice, or a criterion within it")
            said.setdefault(one["clause"], set()).add(leaves)
        for clause in {*said, *denied}:
            mine, theirs = denied.get(clause, set()), said.get(clause, set())
            if not theirs <= mine or (theirs != mine and len(theirs) < LISTED):
                yield Failure("grounds", f"{place}.grounds", f"the grounds of `{local_name(clause)}` are others")

    def guidance(self, line: Json, case: Case, place: str) -> Iterator[Failure]:
        said = [(str(g.get("guideline")), g.get("clause"), g.get("stance"), g.get("quote")) for g in line["guidance"]]
        spoken = [(name, c.iri, STANCES[c.kind], c.criterion.quote) for name, c in case.spoken]
        if sorted(said, key=str) != sorted(spoken, key=str):
            yield Failure("guidance", f"{place}.guidance", "other clauses of guidelines speak of the line")
        parted = sorted(self.parted(case))
        given = sorted((c["kind"], c["policy"].removesuffix(UNLESS), c["guideline"]) for c in line["conflicts"])
        if parted != given or any(conflict["line"] != line["line"] for conflict in line["conflicts"]):
            yield Failure("guidance", f"{place}.conflicts", "policy and guidelines part elsewhere")

    def parted(self, case: Case) -> Iterator[tuple[str, str, str]]:
        """Yield where policy and guideline part."""
        groups = {group.iri: group for group in case.root.parts}
        for _, clause in case.spoken:
            for part in groups[NOT_EXCLUDED].parts if STANCES[clause.kind] == "recommends" else ():
                met, refuted = case.bits(part)
                if met or not refuted:
                    stance = "excludes" if met else "open"
                    yield f"guideline-supports--policy-{stance}", part.iri.removesuffix(UNLESS), clause.iri
            if STANCES[clause.kind] == "opposes" and COVERED in groups and case.bits(case.root)[0]:
                for part in groups[COVERED].parts:
                    if case.bits(part)[0]:
                        yield "guideline-opposes--policy-covers", part.iri, clause.iri

    def caveats(self, line: Json, verdict: Verdict, place: str) -> Iterator[Failure]:
        """Yield where an approval hides a clause that it leaves open, or a fact is asked for that is known."""
        case, left = verdict.case, []
        for group in case.root.parts if verdict.decision == APPROVE and not verdict.regardless else ():
            for part in group.parts:
                settled = case.bits(part)[1 if group.iri == NOT_EXCLUDED else 0]
                if not settled and not case.groups[group.iri][0]:
                    left.append(": ".join(filter(None, (part.clause, part.label))) + " is open; ")
        given = line["caveats"]
        if len(given) != len(left) or not all(a.startswith(b) for a, b in zip(given, left, strict=True)):
            yield Failure("decision", f"{place}.caveats", "other clauses are left open")
        leaves = {leaf.iri: leaf for leaf in case.root.leaves()}
        documented = {leaf.iri for g in case.root.parts if g.iri == DOCUMENTED for leaf in g.leaves()}
        for asked in line["missing"]:
            leaf = leaves.get(asked.get("criterion", ""))
            if leaf and not self.is_open(case.bits(leaf), leaf.iri in documented):
                yield Failure("changes", f"{place}.missing", f"`{asked['fact']}` is known")

    @staticmethod
    def is_open(bits: Bits, documented: bool) -> bool:
        return bits == (False, False) or (documented and bits == (False, True))

    # What would change it

    def changes(self, line: Json, verdict: Verdict, place: str) -> Iterator[Failure]:
        given, decision = line["changes"], verdict.decision
        present = [[f.get("fact", f.get("field", "")) for f in one["facts"]] for one in given if _positive(one)]
        if line["flips"] != [list(one) for one in dict.fromkeys(map(tuple, present))]:
            yield Failure("changes", f"{place}.flips", "these are not the changes by present facts")
        settled = verdict.regardless or (decision in (APPROVE, DENY) and not given)
        if decision == REVIEW:
            silent = not verdict.case.is_mentioned(verdict.case.clauses)
            settled = silent or line["decidedRegardless"]  # of what a person must look at it is not replayed
        if line["decidedRegardless"] != (settled or decision == NOT_BILLABLE):
            yield Failure("changes", f"{place}.decidedRegardless", "it is not as the changes say")
        possible = {PEND: {APPROVE, DENY}, DENY: {APPROVE}, APPROVE: {DENY, "secured"}}.get(decision, set())
        seen: list[tuple[str, frozenset[str]]] = []
        for i, one in enumerate(given):
            facts = frozenset(json.dumps(fact, sort_keys=True) for fact in one["facts"])
            at = f"{place}.changes[{i}]"
            if one["to"] not in possible or verdict.regardless or not facts or len(facts) < len(one["facts"]):
                yield Failure("changes", at, "the line cannot change so")
                continue
            if any(to == one["to"] and (before <= facts or facts <= before) for to, before in seen):
                yield Failure("changes", at, "another change is a part of this one")
            seen.append((one["to"], facts))
            if not self.leads(verdict, one["facts"], one["to"]):
                yield Failure("changes", at, f"these facts do not lead to `{one['to']}`, or contradict what is known")
            elif any(
                self.leads(verdict, [f for f in one["facts"] if f is not fact], one["to"]) for fact in one["facts"]
            ):
                yield Failure("changes", at, "fewer facts would do")

    def leads(self, verdict: Verdict, facts: list[Json], to: str) -> bool:
        """Say whether documenting some facts leads to a decision, and contradicts nothing."""
        case = verdict.case
        brought: dict[str, Bits] = {}
        for fact in facts:
            if "field" in fact:
                bits = {fact.get("criterion", ""): (fact["status"] == "met", fact["status"] == "not-met")}
            elif fact.get("fact") not in self.book.facts or fact["status"] not in ("present", "absent"):
                return False
            else:
                region = self.book.named(fact["region"]) if "region" in fact else ""
                bits = self.brings(case, fact["fact"], fact["status"], region)
            for iri, (met, refuted) in bits.items():
                before = brought.get(iri, (False, False))
                brought[iri] = before[0] or met, before[1] or refuted
        if any(met and refuted for met, refuted in brought.values()):
            return False
        for leaf in case.root.leaves():
            known, more = case.bits(leaf), brought.get(leaf.iri, (False, False))
            if (known == (True, False) and more[1]) or (known == (False, True) and more[0]):
                return False
        supposed = self.supposed(case, brought, verdict.posture)
        if to == "secured":
            return supposed.settled(verdict.posture) == APPROVE and supposed.groups[NOT_EXCLUDED][0]
        return supposed.settled(verdict.posture) == to and not doubts(supposed, verdict.posture, self.book)

    def supposed(self, case: Case, brought: Mapping[str, Bits], posture: str) -> Case:
        """Return a case as it would be with more facts; a line added to others as they would then be decided."""
        leaves = chain.from_iterable(c.leaves() for c in (case.root, *(c.criterion for _, c in case.guidance)))
        bits = {}
        for leaf in leaves:
            known, more = case.bits(leaf), brought.get(leaf.iri, (False, False))
            bits[leaf.iri] = known[0] or more[0], known[1] or more[1]
        bases = [self.verdicts[base][posture] for base in self.bases(case.node) if base in self.verdicts]
        if bases:
            decisions = []
            for base in bases:
                then = self.supposed(base.case, brought, posture).settled(posture)
                decisions.append(then if base.decision == PEND else base.decision)
            bits[LINE + "base-approved"] = (
                APPROVE in decisions,
                all(decision in (DENY, NOT_BILLABLE) for decision in decisions),
            )
        return case.supposing(bits)

    def brings(self, case: Case, name: str, as_: str, region: str) -> dict[str, Bits]:
        """Return the leaves that a further finding would make met or refuted, with what follows from it."""
        key = (name, as_, region)
        if key not in self._brings:
            node = f"{self.claim.iri}#fact-supposed"
            said: list[Triple] = [
                (self.claim.iri, COV + "finding", node),
                (node, TYPE, COV + "RecordedFact"),
                (node, COV + "concept", self.book.facts.get(name, name)),
                (node, COV + "status", COV + as_.capitalize()),
            ]
            if region and region != COV + "OperatedRegion":
                said.append((node, COV + "region", region))
            facts = (*(f for f in self.claim.facts if f[1] != COV + "finding"), *said)
            derived = derive(self.claim.iri, facts, self.book.background)
            alone = {t: by for t, by in derived.items() if t[0] == node}
            reading = Reading(self.claim.iri, facts, alone, self.book.graph, self.book.kept)
            self._brings[key] = {}
            for leaf in self.book.asking:
                bits = reading.bits(leaf, self.claim.iri)
                if any(bits):
                    self._brings[key][leaf.iri] = bits
        return self._brings[key]

    # Paths

    def path(
        self,
        given: Json,
        criterion: Criterion,
        focus: str,
        reading: Reading,
        place: str,
        of_grounds: frozenset[str],
        line: str,
    ) -> Iterator[Failure]:
        """Yield where a path differs from the criteria, or a status or witness from what the facts give.

        What a leaf asks of another node than the line says of which.
        """
        label = criterion.label if focus == line else f"{self.name(focus)}: {criterion.label}"
        said = (given["criterion"], given["kind"], given["label"], given["clause"], given["quote"])
        if said != (criterion.iri, criterion.kind, label, criterion.clause, criterion.quote):
            yield Failure("tree", place, f"this is not `{local_name(criterion.iri)}` as its source has it")
            return
        if given.get("at", "") != ("" if focus == line else focus):
            yield Failure("tree", place, "it is asked of something else")
            return
        if not criterion.is_leaf:
            below = [(part, focus) for part in criterion.parts]
        else:
            below = [(part, str(node)) for part in criterion.parts for node in reading.reached(criterion, focus)]
        if len(given["parts"]) != len(below):
            yield Failure("tree", place, "a part is hidden or added")
            return
        for i, (part, (inner, node)) in enumerate(zip(given["parts"], below, strict=True)):
            yield from self.path(
                part, inner, node, reading, f"{place}.parts[{i}]", of_grounds, "" if criterion.is_leaf else line
            )
        bits = reading.bits(criterion, focus)
        if given["status"] != status(bits):
            yield Failure("status", place, f"`{local_name(criterion.iri)}` is {status(bits)}")
        elif not criterion.is_leaf:
            if given["witnesses"]:
                yield Failure("witness", place, "a join is shown by its parts")
        else:
            yield from self.witness(given, criterion, focus, reading, place, criterion.iri in of_grounds)

    def name(self, focus: str) -> str:
        """Return what a part of the claim is called: its level, where it has one."""
        graph = self.reading.graph
        site = graph.value(focus, COV + "atSite") or focus
        level = graph.iri(site, COV + "level") if "#site-" in str(site) else None
        return self.book.notation(level) if level else focus.rpartition("#")[2].replace("-", " ")

    def witness(
        self, given: Json, leaf: Criterion, focus: str, reading: Reading, place: str, is_ground: bool
    ) -> Iterator[Failure]:
        """Yield where the witnesses of a leaf are not minimal sets of true triples that suffice."""
        held = [positive for positive, holds in zip((True, False), reading.bits(leaf, focus), strict=True) if holds]
        sides = [self.shown(reading, leaf, focus, positive) for positive in held]
        listed, known = [tuple(triple) for triple in given["witnesses"]], self.known(reading)
        whole = frozenset(listed)
        if not all(triple in known for triple in whole):
            yield Failure("witness", place, "neither claim nor knowledge states all of the witness")
            return
        parts = [[shown for shown in side if shown <= whole] for side in sides]
        chosen = [some for some in product(*parts) if frozenset().union(*some) == whole]
        if len(whole) < len(listed) or not chosen:
            yield Failure("witness", place, "the witness does not suffice, or not all of it is needed")
        elif not any(self.are_listed(sides, some) for some in chosen):
            yield Failure("derivations", place, "what the witness shows by a rule is not derived")
        if is_ground:
            every = [one for positive in held for one in reading.witnesses(leaf, focus, positive)]
            each = [set(map(_written, reading.expanded(one))) for one in every]
            yield from self.alternatives(given.get("alternatives"), sides, each, place)
        elif "alternatives" in given:
            yield Failure("alternatives", place, "the leaf is no ground of the denial")

    def shown(self, reading: Reading, leaf: Criterion, focus: str, positive: bool) -> "Shown":
        """Return the sets of asserted triples by which a side of a leaf holds, each with what it shows by rules."""
        found: Shown = {}
        for witness in reading.witnesses(leaf, focus, positive):
            derived = {tuple(map(written, triple)) for triple in witness if triple in self.derived}
            for support in reading.expanded(witness):
                found.setdefault(_written(support), []).append(frozenset(derived))
        return found

    def are_listed(self, sides: list["Shown"], chosen: Iterable["Said"]) -> bool:
        """Say whether all that some witnesses show by rules is among the derivations."""
        each = (side[one] for side, one in zip(sides, chosen, strict=True))
        return all(any(derived <= self.listed for derived in ways) for ways in each)

    def alternatives(
        self, given: list[list[list[str]]] | None, sides: list["Shown"], each: list[set["Said"]], place: str
    ) -> Iterator[Failure]:
        """Yield where not all witnesses of a leaf are listed, each once.

        Witnesses that rest on the same facts of the claim, and differ in their way through the ontology, are one: an
        appeal can beat only what the claim states. One derivation of each derived triple is enough; witnesses that
        differ in derived triples alone may both be listed.
        """
        sets = [frozenset(map(tuple, one)) for one in given or ()]
        ways = {one: sum(len(side.get(one, ())) for side in sides) for one in sets}
        of_claim = [{triple for triple in one if triple[0].startswith(self.claim.iri)} for one in sets]
        if (
            given is None
            or not all(ways.values())
            or any(len(s) < len(one) for s, one in zip(sets, given, strict=True))
        ):
            yield Failure("alternatives", place, "one does not suffice, or not all of it is needed")
        elif any(sets.count(one) > ways[one] for one in sets):
            yield Failure("alternatives", place, "one is listed twice")
        elif len(sets) < LISTED and not all(any(s <= one for s in of_claim for one in ways) for ways in each):
            yield Failure("alternatives", place, "not all witnesses are listed")


Said = frozenset[tuple[str, ...]]  # triples as JSON carries them
Shown = dict[Said, list[Said]]


@dataclass(frozen=True)
class Known:
    """What knowledge and claim state."""

    knowledge: frozenset[tuple[str, ...]]
    claim: frozenset[tuple[str, ...]]

    def __contains__(self, triple: tuple[str, ...]) -> bool:
        return triple in self.claim or triple in self.knowledge


def _written(support: Support) -> Said:
    return frozenset(tuple(map(written, triple)) for triple in support)


def _positive(change: Json) -> bool:
    return all(fact["status"] == "present" for fact in change["facts"])


def _signed(criterion: Criterion, positive: bool) -> Iterator[tuple[Criterion, bool]]:
    """Yield the leaves below a criterion, each with whether it counts for it or against it."""
    if criterion.is_leaf:
        yield criterion, positive
        return
    for i, part in enumerate(criterion.parts):
        turned = criterion.kind in ("not", "none") or (criterion.kind == "unless" and i > 0)
        yield from _signed(part, positive != turned)


def _first(graph: Graph, path: Term) -> Iterator[Term]:
    """Yield the property with which a path begins."""
    while not isinstance(path, str):
        path = graph.objects(path, graph.predicates(path)[0])[0]
    yield path


def read_determination(path: Path) -> Json:
    """Read a determination from a file. Raises ClaimError where it is no JSON object."""
    try:
        given = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not JSON"
        raise ClaimError([Fault(path.name, f"the determination cannot be read: {why}", "check the file")]) from None
    if not isinstance(given, dict):
        raise ClaimError(
            [Fault(path.name, "this is not one determination", "give one object as `determine` writes it")]
        )
    return given


__all__ = ["STEPS", "Failure", "read_determination", "verify"]
