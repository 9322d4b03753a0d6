"""Knowledge: ontology and shapes, read once, never changed, known by the hash of their files."""

import gc
import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import TypeGuard, TypeVar

from kg.criteria import Criterion, links_of, read_criteria
from kg.errors import DanglingReferenceError, IncompleteCriterionError, KnowledgeError, nearest
from kg.graph import Graph, read
from kg.literal import value_of
from kg.path import BackStep, Reached, Repeat, Sequence, Step
from kg.terms import (
    ANATOMY,
    CONDITION,
    COV,
    CPT,
    HCPCS,
    ICD10CM,
    MONITORING,
    OWL,
    RDFS,
    SKOS,
    TYPE,
    Blank,
    Known,
    Literal,
    Term,
    Triple,
    local_name,
)

_T = TypeVar("_T")
SUBCLASS_OF = RDFS + "subClassOf"
LABEL = RDFS + "label"
# New objects, looks at these, and looks at older ones, before garbage is looked for among all: that takes a third of
# a second where thousands of claims are held, and finds nothing that the engine made. Of four times as many new objects
# most are no longer in the cache when they are looked at, and each takes twice as long.
YOUNG, OLDER, OLDEST = 5_000, 1_000, 50
CAUDAL = ANATOMY + "directlyCaudalTo"
ENCLOSES = ANATOMY + "encloses"
EXITS_AT = ANATOMY + "exitsAt"
RELEASE = "ontology/codes/icd10cm-release.txt"
HISTORY = "ontology/codes/icd10cm-history.txt"
NOTATION = SKOS + "notation"


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause of a policy or guideline: a criterion, with its kind and standing."""

    criterion: Criterion
    kind: str
    concerns: Criterion | None
    order: int
    restored_by: tuple[str, ...]
    reason: str
    source_status: str
    verified: bool
    effect: str

    @property
    def iri(self) -> str:
        return self.criterion.iri


@dataclass(frozen=True, slots=True)
class Edition:
    """One version of a policy or guideline, in force from its start until its end (not included)."""

    iri: str
    name: str
    start: date | None
    end: date | None
    clauses: tuple[Clause, ...]

    def in_force(self, day: date) -> bool:
        """Say whether the edition applies to a date of service."""
        return (self.start is None or self.start <= day) and (self.end is None or day < self.end)

    def of_kind(self, *kinds: str) -> tuple[Clause, ...]:
        """Return the clauses of some kinds, in the order of the source."""
        return tuple(clause for clause in self.clauses if clause.kind in kinds)


@dataclass(frozen=True, slots=True)
class Document:
    """A policy or a guideline."""

    iri: str
    id: str
    label: str
    payers: tuple[str, ...]
    editions: tuple[Edition, ...]

    def edition(self, day: date) -> Edition | None:
        """Return the edition in force on a date of service."""
        return next((edition for edition in self.editions if edition.in_force(day)), None)


@dataclass(frozen=True, slots=True)
class Edit:
    """A coding edit: a criterion that, when met, stops or alerts."""

    criterion: Criterion
    effect: str


COVERAGE = ("CoverageClause",)
CONDITION_OF = ("ConditionClause",)
EXCLUSION = ("ExclusionClause", "UnprovenClause")
PERFORMANCE = ("PerformerClause", "BillingClause")
DOCUMENTATION = ("DocumentationClause",)
RECOMMENDATION = ("RecommendationClause",)
OPPOSITION = ("OppositionClause",)
EVIDENCE = ("EvidenceClause",)
CLAUSE_KINDS = (
    *COVERAGE,
    *CONDITION_OF,
    *EXCLUSION,
    *PERFORMANCE,
    *DOCUMENTATION,
    *RECOMMENDATION,
    *OPPOSITION,
    *EVIDENCE,
)


@dataclass(frozen=True, eq=False)
class Knowledge:
    """Ontology and shapes as the engine uses them.

    `memo` holds what follows from the knowledge alone and was once computed, so that no claim computes it again.
    """

    graph: Graph
    hash: str
    policies: Mapping[str, Document]
    guidelines: tuple[Document, ...]
    edits: tuple[Edit, ...]
    criteria: Mapping[str, Criterion]
    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "memo", {})

    def number(self, subject: str | None, predicate: str) -> int | None:
        """Return a whole number that the ontology states of a term, if it states one."""
        text = self.graph.text(subject, predicate) if subject else None
        return int(text) if text else None

    def label(self, term: Term) -> str:
        """Return the words for a term; the end of its IRI where it has none."""
        if isinstance(term, str):
            return self.graph.text(term, LABEL) or local_name(term)
        return term.value if isinstance(term, Literal) else term.label

    def criteria_of(self, document: Document) -> dict[str, Criterion]:
        """Return the criteria of a policy or guideline, parts before wholes."""
        found: dict[str, Criterion] = {}

        def visit(criterion: Criterion) -> None:
            for part in criterion.parts:
                visit(part)
            found[criterion.iri] = criterion

        for edition in document.editions:
            for clause in edition.clauses:
                visit(clause.criterion)
        return found

    @cached_property
    def levels(self) -> dict[str, str]:
        """Return the IRI of each level of the spine by its name, from the head down."""
        chain = [iri for kind in ("Interspace", "Vertebra") for iri in self._instances(ANATOMY + kind)]
        return {self.notation(iri): iri for iri in sorted(chain, key=self.rank)}

    @cached_property
    def regions(self) -> dict[str, str]:
        """Return the IRI of each region of the spine by its name."""
        return {self.notation(iri): iri for iri in self._instances(ANATOMY + "SpinalRegion")}

    @cached_property
    def facts(self) -> dict[str, str]:
        """Return the IRI of each fact that a claim may list, by its name."""
        return {
            local_name(s): s
            for s in self.graph.subjects(TYPE, OWL + "Class")
            if isinstance(s, str) and s.startswith(CONDITION) and self.graph.value(s, COV + "question") is not None
        }

    @cached_property
    def payers(self) -> dict[str, tuple[str, ...]]:
        """Return the ids of the policies of each payer."""
        names: dict[str, tuple[str, ...]] = {}
        for policy in self.policies.values():
            for payer in policy.payers:
                names[payer] = (*names.get(payer, ()), policy.id)
        return names

    def named(self, cls: str) -> dict[str, str]:
        """Return the IRIs of the instances of one of our classes by their names, such as the roles."""
        return self.remember(("named", cls), lambda: {self.notation(x): x for x in self._instances(COV + cls)})

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """Return every code that the ontology describes; of ICD-10-CM these are few."""
        classes = self.graph.subjects(TYPE, OWL + "Class")
        return tuple(s for s in classes if isinstance(s, str) and s.startswith((CPT, HCPCS, ICD10CM)))

    def diagnosis(self, code: str) -> str | None:
        """Return the IRI of an ICD-10-CM code, undotted, if the ontology or any release that is known holds it."""
        iri = self._held.get(code)
        if iri is None and (self.knows(code) or self.graph.objects(icd10cm(code), TYPE)):
            iri = self._held[code] = icd10cm(code)
        return iri

    def service(self, code: str) -> str | None:
        """Return the IRI of a code of an operation or a study, if the ontology holds it."""
        iri = (CPT if code[0].isdigit() else HCPCS) + code
        held = self._held.get(iri)
        if held is None and self.graph.objects(iri, TYPE):
            held = self._held[iri] = iri
        return held

    @cached_property
    def _held(self) -> dict[str, str]:
        return {}  # codes that claims named, of those that are known: there are too many to read them all before

    def _instances(self, cls: str) -> list[str]:
        return [s for s in self.graph.subjects(TYPE, cls) if isinstance(s, str)]

    def notation(self, iri: str) -> str:
        """Return the short name of a term."""
        return self.remember(("notation", iri), lambda: self.graph.text(iri, NOTATION) or local_name(iri))

    @cached_property
    def _ranks(self) -> dict[Term, int]:
        below: dict[Term, Term] = {rostral: caudal for caudal, p, rostral in self.graph if p == CAUDAL}
        top = next(iter(set(below) - set(below.values())), None) if below else None
        ranks: dict[Term, int] = {}
        while top is not None and top not in ranks:
            ranks[top] = len(ranks)
            top = below.get(top)
        return ranks

    def rank(self, level: Term) -> int:
        """Return the position of a level from the head down."""
        return self._ranks[level]

    @cached_property
    def release(self) -> str:
        """Return every code of the ICD-10-CM release, undotted and sorted, a line each; a `-` marks a header."""
        return (self.root / RELEASE).read_text()

    def in_release(self, code: str) -> bool | None:
        """Say whether the release holds a code, undotted, that may be reported; None where it holds no such code.

        The lines are halved as they stand: a table of all 98,000 would take longer than most claims.
        """
        text, low, high = self.release, 0, len(self.release)
        while low < high:
            start = text.rfind("\n", low, (low + high) // 2) + 1 or low
            end = text.index("\n", start)
            held = text[start:end].removesuffix("-")
            if held == code:
                return text[end - 1] != "-"
            low, high = (end + 1, high) if held < code else (low, start)
        return None

    @cached_property
    def history(self) -> Mapping[str, date]:
        """Return the ICD-10-CM codes that were reported once, undotted, and the day from which they are known gone."""
        rows = (line.split() for line in _listed(self.root / HISTORY))
        return {code: date.fromisoformat(gone) for code, _, gone in rows if gone != "-"}

    def knows(self, code: str) -> bool:
        """Say whether any release of ICD-10-CM that is known holds a code, undotted."""
        return self.in_release(code) is not None or code in self.history

    @cached_property
    def links(self) -> frozenset[str]:
        """Return the properties that lead from one node of a claim to another."""
        return links_of(self.graph)

    def ancestors(self, node: str) -> dict[Term, tuple[Triple, ...]]:
        """Return a class and all above it, the nearest first, each with the subclass steps that lead there."""

        def compute() -> dict[Term, tuple[Triple, ...]]:
            found: dict[Term, tuple[Triple, ...]] = {node: Known()}
            waiting: list[Term] = [node]
            for cls in waiting:  # it grows while it is gone through
                for above in self.graph.objects(cls, SUBCLASS_OF):
                    if above not in found:
                        found[above] = Known((*found[cls], (cls, SUBCLASS_OF, above)))
                        waiting.append(above)
            return found

        return self.remember(("ancestors", node), compute)

    def wholes(self, part: str) -> dict[Term, tuple[Triple, ...]]:
        """Return a structure and all that it is part of, each with the steps that lead there."""
        return self.remember(("wholes", part), lambda: _kept(_OUT.reach(self.graph, part)))

    def parts(self, whole: str) -> dict[Term, tuple[Triple, ...]]:
        """Return a structure and all that is part of it, each with the steps that lead there."""
        return self.remember(("parts", whole), lambda: _kept(_IN.reach(self.graph, whole)))

    def extent(self, place: str) -> tuple[str, str]:
        """Return the first and the last level of a region, from the head down; a level is its own extent."""

        def compute() -> tuple[str, str]:
            within = [level for level in self.levels.values() if place in self.wholes(level)]
            return within[0], within[-1]

        return self.remember(("extent", place), compute)

    @cached_property
    def level_iris(self) -> frozenset[str]:
        """Return the levels of the spine."""
        return frozenset(self.levels.values())

    def walk(self, caudal: str, rostral: str) -> tuple[Triple, ...]:
        """Return the steps from a level up to another, one level at a time."""
        names = list(self.levels.values())[self.rank(rostral) : self.rank(caudal) + 1]
        return tuple((b, CAUDAL, a) for a, b in reversed(list(pairwise(names))))

    def interspace_at_or_under(self, level: str) -> str:
        """Return an interspace itself, and for a vertebra the interspace under it, or the vertebra if there is none."""
        if (level, TYPE, ANATOMY + "Interspace") in self.graph:
            return level
        under = list(self.levels.values())[self.rank(level) + 1 : self.rank(level) + 2]
        return next((x for x in under if (x, TYPE, ANATOMY + "Interspace") in self.graph), level)

    def main_region(self, place: str) -> tuple[str, tuple[Triple, ...]]:
        """Return the main region of the spine that a place belongs to, with the steps that lead there."""

        def compute() -> tuple[str, tuple[Triple, ...]]:
            for region, steps in self.wholes(place).items():
                if (region, ANATOMY + "partOf", ANATOMY + "VertebralColumn") in self.graph:
                    return str(region), steps
            return place, ()

        return self.remember(("main region", place), compute)

    def is_cord(self, structure: Term) -> bool:
        """Say whether a structure is the cord or part of it."""
        return ANATOMY + "SpinalCord" in self.wholes(str(structure))

    def enclosed(self, place: str) -> dict[str, tuple[Triple, ...]]:
        """Return what a place encloses and the roots that leave there, each with the triple that says so."""

        def compute() -> dict[str, tuple[Triple, ...]]:
            held = {str(x): ((place, ENCLOSES, x),) for x in self.graph.objects(place, ENCLOSES)}
            first, last = self.extent(place)
            levels = list(self.levels.values())[self.rank(first) : self.rank(last) + 1]
            roots = {
                str(root): ((root, EXITS_AT, level), *(self.wholes(level)[place] if level != place else ()))
                for level in levels
                for root in self.graph.subjects(EXITS_AT, level)
            }
            return {part: Known(steps) for part, steps in {**held, **roots}.items()}

        return self.remember(("enclosed", place), compute)

    def courses(self, code: str) -> dict[Term, tuple[Triple, ...]]:
        """Return the structures that the pathways of a study run through, each with the way there."""
        return self.remember(("courses", code), lambda: _kept(_COURSE.reach(self.graph, code)))

    def denied_by(self, code: str) -> dict[str, tuple[Triple, ...]]:
        """Return the conditions whose absence a code states, each with the steps that lead there."""
        return self.remember(("denied", code), lambda: self._inherited(code, COV + "statesAbsenceOf"))

    def excluded_by(self, code: str) -> dict[str, tuple[Triple, ...]]:
        """Return the codes that a code excludes, each with the steps that lead there."""
        return self.remember(("excluded", code), lambda: self._inherited(code, COV + "excludes1"))

    def surgical_sites(self, code: str) -> dict[str, tuple[Triple, ...]]:
        """Return where an operation or disorder of a code is, each place with the steps that lead there."""
        return self.remember(("surgical", code), lambda: self._inherited(code, COV + "surgicalSite"))

    def _inherited(self, code: str, predicate: str) -> dict[str, tuple[Triple, ...]]:
        found: dict[str, tuple[Triple, ...]] = {}
        for cls, steps in self.ancestors(code).items():
            for value in self.graph.objects(cls, predicate):
                found.setdefault(str(value), Known((*steps, (cls, predicate, value))))
        return found

    def periods(self, code: str) -> tuple[tuple[date | None, str, tuple[Triple, ...]], ...]:
        """Return the validity of a code until each day on which it changes, with the triples that bound it.

        The last holds without end.
        """
        start, end, first, last, status = self._bounds(code)
        found: list[tuple[date | None, str, tuple[Triple, ...]]] = []
        if first is not None:
            found.append((first, "NotYetValidCode", ((code, COV + "billableFrom", start or ""),)))
        found.append((last, status, ()))
        if last is not None:
            found.append((None, "ExpiredCode", ((code, COV + "billableUntil", end or ""),) if end else ()))
        return tuple(found)

    def _bounds(self, code: str) -> tuple[Term | None, Term | None, date | None, date | None, str]:
        """Return from when until when a code may be reported, and what it is in between."""
        start, end = (self.graph.value(code, COV + name) for name in ("billableFrom", "billableUntil"))
        first, last = (_as_day(value) for value in (start, end))
        if first is None and code.startswith(ICD10CM):
            plain = local_name(code).replace(".", "")
            if plain in self.history:
                last = min(filter(None, (last, self.history[plain])))
                return start, end if _as_day(end) == last else None, first, last, "ValidCode"
            return start, end, first, last, "ValidCode" if self.in_release(plain) else "HeaderCode"
        return start, end, first, last, "ValidCode"

    @cached_property
    def combinations(self) -> tuple[tuple[str, tuple[str, ...], str], ...]:
        """Return the rules by which facts together state another: rule, facts, and what they state."""
        return tuple(
            (str(s), tuple(str(part) for part in self.graph.objects(s, COV + "combines")), whole)
            for s in self.graph.subjects(TYPE, COV + "Rule")
            if (whole := self.graph.iri(s, COV + "establishes"))
        )

    @cached_property
    def _turns(self) -> list[date]:
        """Return the days on which an edition of a guideline begins or ends."""
        days = {day for g in self.guidelines for e in g.editions for day in (e.start, e.end) if day is not None}
        return sorted(days)

    def guidelines_on(self, day: date) -> tuple[tuple[str, Edition], ...]:
        """Return the guidelines in force on a date of service, each with its edition."""

        def compute() -> tuple[tuple[str, Edition], ...]:
            found = ((guideline.id, guideline.edition(day)) for guideline in self.guidelines)
            return tuple((name, edition) for name, edition in found if edition is not None)

        return self.remember(("guidelines", bisect_right(self._turns, day)), compute)

    def remember(self, key: tuple[str | int, ...], compute: Callable[[], _T]) -> _T:
        """Return what follows from the knowledge alone, computed at most once."""
        memo: dict[tuple[str | int, ...], _T] = self.memo  # type: ignore[attr-defined]
        if key not in memo:
            memo[key] = compute()
        return memo[key]


def _kept(reached: Reached) -> dict[Term, tuple[Triple, ...]]:
    return {end: Known(steps) for end, steps in reached.items()}


def _listed(path: Path) -> list[str]:
    """Return the lines of a list of ours without its comments."""
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def find_root() -> Path:
    """Return the folder that holds `ontology/` and `shapes/`: the checkout, or the installed package."""
    here = Path(__file__).resolve().parent
    for folder in (here.parent, here / "knowledge"):
        if (folder / "ontology" / "coverage.ttl").is_file() and (folder / "shapes").is_dir():
            return folder
    raise KnowledgeError(str(here), "neither ontology nor shapes are beside the package", "install coverpath again")


def knowledge_files(root: Path) -> list[Path]:
    """Return the files that determine every answer, in a fixed order."""
    turtle = [path for folder in ("ontology", "shapes") for path in (root / folder).rglob("*.ttl")]
    return sorted((*turtle, root / RELEASE, root / HISTORY, root / "shapes/claim-context.jsonld"))


@cache
def load_knowledge(root: Path | None = None) -> Knowledge:
    """Read ontology and shapes.

    Raises a KnowledgeError for anything in them by which no claim should be judged.
    """
    with lasting():
        return _read_knowledge(root or find_root())


@contextmanager
def lasting() -> Iterator[None]:
    """Keep what is made within from being looked through as garbage: it stays as long as the process."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()  # nothing that is read is garbage, and looking for it takes a third of the time
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
        gc.freeze()  # to look through knowledge again and again finds no garbage
        gc.set_threshold(YOUNG, OLDER, OLDEST)  # nor is there any in an answer, a tree of 1,000 objects


def _read_knowledge(root: Path) -> Knowledge:
    digest = hashlib.sha256()
    triples: list[Triple] = []
    for path in knowledge_files(root):
        name = path.relative_to(root).as_posix()
        digest.update(f"{name}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        if path.suffix == ".ttl":
            try:
                triples.extend(read(path, name))
            except SyntaxError as error:
                raise KnowledgeError(name, f"this is not Turtle: {error}", "correct the file") from error
    return build(Graph(triples), digest.hexdigest(), root)


def build(graph: Graph, hash: str, root: Path) -> Knowledge:
    """Make knowledge of a graph: read criteria, clauses, editions, policies, guidelines and edits."""
    _refuse_dangling(graph)
    clauses = [s for kind in CLAUSE_KINDS for s in graph.subjects(TYPE, COV + kind) if _is_in_edition(s, graph)]
    edits = [s for s in graph.subjects(TYPE, COV + "Edit") if isinstance(s, str)]
    criteria = read_criteria(graph, [*clauses, *edits])
    policies, guidelines = (tuple(_documents(graph, kind, criteria)) for kind in ("Policy", "Guideline"))
    ids: dict[str, Document] = {}
    for document in (*policies, *guidelines):
        if (other := ids.setdefault(document.id, document)) is not document:
            problem = f"`{document.id}` is the identifier of `{local_name(other.iri)}` too"
            raise KnowledgeError(local_name(document.iri), problem, "give each its own `skos:notation`")
    return Knowledge(
        graph=graph,
        hash=hash,
        policies={policy.id: policy for policy in policies},
        guidelines=guidelines,
        edits=tuple(
            Edit(criteria[iri], _effect(graph, iri)) for iri in edits if graph.value(iri, COV + "inEdition") is None
        ),
        criteria=criteria,
        root=root,
    )


REFERENCES: Mapping[str, tuple[str, ...]] = {  # what each may name
    "effect": ("EditEffect",),
    "inEdition": ("Edition",),
    "ofPayer": ("Payer",),
    "ofPolicy": ("Policy", "Guideline"),
    "reason": ("DenialReason",),
    "restoredBy": CLAUSE_KINDS,
    "sourceStatus": ("SourceStatus",),
    "subsumedBy": CLAUSE_KINDS,
}


def _refuse_dangling(graph: Graph) -> None:
    """Refuse a reference to nothing: what it names would be left out of every decision."""
    kinds = {COV + name: tuple(COV + kind for kind in known) for name, known in REFERENCES.items()}
    for s, p, o in graph:
        if p in kinds and not any((o, TYPE, kind) in graph for kind in kinds[p]):
            known = [local_name(i) for kind in kinds[p] for i in graph.subjects(TYPE, kind) if isinstance(i, str)]
            problem = f"`cov:{local_name(p)}` names `{_shown(o)}`, which does not exist"
            help = nearest(_shown(o), known, f"name one that is a `cov:{local_name(kinds[p][0])}`")
            raise DanglingReferenceError(_shown(s), problem, help)


def _shown(term: Term) -> str:
    return local_name(term) if isinstance(term, str) else f"_:{term.label}" if isinstance(term, Blank) else term.value


def _is_in_edition(clause: Term, graph: Graph) -> TypeGuard[str]:
    if not isinstance(clause, str):
        raise IncompleteCriterionError(_shown(clause), "the clause has no name", "give it an IRI")
    if not graph.objects(clause, COV + "inEdition"):
        raise IncompleteCriterionError(local_name(clause), "the clause is in no edition", "write `cov:inEdition ...`")
    return True


def _effect(graph: Graph, iri: str) -> str:
    effect = graph.iri(iri, COV + "effect")
    if effect is None:
        raise IncompleteCriterionError(local_name(iri), "the edit has no effect", "write `cov:effect cov:StopsLine`")
    return local_name(effect)


def _documents(graph: Graph, kind: str, criteria: Mapping[str, Criterion]) -> Iterator[Document]:
    for iri in sorted(s for s in graph.subjects(TYPE, COV + kind) if isinstance(s, str)):
        editions = [s for s in graph.subjects(COV + "ofPolicy", iri) if (s, TYPE, COV + "Edition") in graph]
        payers = [p for p in graph.objects(iri, COV + "ofPayer") if isinstance(p, str)]
        identifier = graph.text(iri, NOTATION)
        if not identifier or not editions:
            raise KnowledgeError(
                local_name(iri), "a policy or guideline has an identifier and an edition", "see CONTRIBUTING.md"
            )
        versions = sorted((_edition(graph, e, criteria) for e in editions), key=lambda e: e.start or date.min)
        for earlier, later in pairwise(versions):
            if earlier.end is None or earlier.end > (later.start or date.min):
                problem = f"the edition is in force while `{local_name(earlier.iri)}` is"
                raise KnowledgeError(local_name(later.iri), problem, "write `cov:effectiveUntil` of the earlier one")
        yield Document(
            iri=iri,
            id=identifier,
            label=graph.text(iri, LABEL) or identifier,
            payers=tuple(n.value for p in payers for n in graph.objects(p, NOTATION) if isinstance(n, Literal)),
            editions=tuple(versions),
        )


def _edition(graph: Graph, iri: Term, criteria: Mapping[str, Criterion]) -> Edition:
    clauses = [s for s in graph.subjects(COV + "inEdition", iri) if isinstance(s, str)]
    start, end = (_day(graph, iri, name) for name in ("effectiveFrom", "effectiveUntil"))
    if start and end and end <= start:
        raise KnowledgeError(_shown(iri), "the edition ends before it is in force", "correct `cov:effectiveUntil`")
    return Edition(
        iri=str(iri),
        name=graph.text(iri, COV + "editionName") or local_name(str(iri)),
        start=start,
        end=end,
        clauses=tuple(sorted((_clause(graph, c, criteria) for c in clauses), key=lambda c: (c.order, c.iri))),
    )


def _day(graph: Graph, iri: Term, name: str) -> date | None:
    days = [_as_day(value) for value in graph.objects(iri, COV + name)]
    if None in days or len(days) > 1:
        problem = f"`cov:{name}` is not one day"
        raise KnowledgeError(_shown(iri), problem, 'write for example "2025-03-14T00:00:00"^^xsd:dateTime')
    return days[0] if days else None


def _as_day(term: Term | None) -> date | None:
    value = value_of(term) if isinstance(term, Literal) else None
    return value.date() if isinstance(value, datetime) else value if isinstance(value, date) else None


def _clause(graph: Graph, iri: str, criteria: Mapping[str, Criterion]) -> Clause:
    kinds = [kind for kind in CLAUSE_KINDS if (iri, TYPE, COV + kind) in graph]
    if len(kinds) != 1:
        problem = f"a clause is of one kind, and this is of {len(kinds)}"
        raise IncompleteCriterionError(local_name(iri), problem, f"write one of {', '.join(CLAUSE_KINDS)}")
    concerns = graph.iri(iri, COV + "concerns")
    status = local_name(graph.iri(iri, COV + "sourceStatus") or "")
    if not status:
        raise IncompleteCriterionError(
            local_name(iri), "the clause does not say how its wording is known", "write `cov:sourceStatus cov:seen`"
        )
    is_edit = (iri, TYPE, COV + "Edit") in graph
    order = graph.text(iri, COV + "order") or "0"
    if not order.isdecimal():
        raise IncompleteCriterionError(local_name(iri), f"`cov:order` is `{order}`", "write a whole number")
    return Clause(
        criterion=criteria[iri],
        kind=kinds[0],
        concerns=criteria[concerns] if concerns else None,
        order=int(order),
        restored_by=tuple(r for r in graph.objects(iri, COV + "restoredBy") if isinstance(r, str)),
        reason=graph.iri(iri, COV + "reason") or "",
        source_status=status,
        verified=(COV + status, COV + "isUnverified", Literal("true", _BOOLEAN)) not in graph,
        effect=_effect(graph, iri) if is_edit else "",
    )


_COURSE = Sequence((Step(COV + "modality"), Step(MONITORING + "monitors"), Step(MONITORING + "runsThrough")))
_OUT = Repeat(Step(ANATOMY + "partOf"), 0)
_IN = Repeat(BackStep(ANATOMY + "partOf"), 0)
_BOOLEAN = "http://www.w3.org/2001/XMLSchema#boolean"


def icd10cm(code: str) -> str:
    """Return the public IRI of an ICD-10-CM code, dotted or not."""
    plain = code.replace(".", "")
    return ICD10CM + (f"{plain[:3]}.{plain[3:]}" if len(plain) > 3 else plain)


__all__ = ["Clause", "Document", "Edit", "Edition", "Knowledge", "build", "find_root", "load_knowledge"]
