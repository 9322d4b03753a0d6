"""Replay of the knowledge: the files that determine every answer, their hash, and what editions and clauses say.

For `kg.verify` alone, which reads the files once more and trusts nothing that was made of them before.
"""

import gc
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from kg.graph import Graph, read
from kg.replay.background import Background
from kg.replay.criteria import Criterion, read_criterion
from kg.replay.reading import Kept
from kg.terms import CONDITION, COV, RDFS, SKOS, TYPE, XSD, Literal, Term, local_name

COVERED, CONDITIONED, NOT_EXCLUDED, PERFORMED, DOCUMENTED = (
    COV + name for name in ("covered", "conditioned", "notExcluded", "performed", "documented")
)
EXCLUSIONS = ("ExclusionClause", "UnprovenClause")
GROUPS = {  # how the clauses of a line are joined, and of which kinds they are
    COVERED: ("or", ("CoverageClause",)),
    CONDITIONED: ("and", ("ConditionClause",)),
    NOT_EXCLUDED: ("none", EXCLUSIONS),
    PERFORMED: ("and", ("PerformerClause", "BillingClause")),
    DOCUMENTED: ("and", ("DocumentationClause",)),
}
STANCES = {"RecommendationClause": "recommends", "OppositionClause": "opposes", "EvidenceClause": "reports"}
LINE = "https://w3id.org/coverpath/line#"
CONTINUOUS, BASE = LINE + "continuous", LINE + "base-approved"
TRUE = Literal("true", XSD + "boolean")


class Clause(NamedTuple):
    """A clause of an edition, as the decision rules speak of it."""

    criterion: Criterion
    concerns: Criterion | None
    kind: str
    restored_by: tuple[Term, ...]
    reason: str
    source_status: str
    is_verified: bool
    effect: str

    @property
    def iri(self) -> str:
        """Return the name of the clause."""
        return self.criterion.iri


class Edit(NamedTuple):
    """A coding edit: a criterion that, when met, stops or alerts."""

    criterion: Criterion
    effect: str
    is_verified: bool
    is_of_claim: bool


@dataclass(frozen=True, eq=False)
class Book:
    """The knowledge as it is replayed; what is found of it is kept, since it is the same for all claims."""

    graph: Graph
    background: Background
    kept: Kept = field(default_factory=dict)
    read: dict[str, tuple[Clause, ...]] = field(default_factory=dict)

    def label(self, term: Term) -> str:
        """Return the words for a term; the end of its IRI where it has none."""
        if isinstance(term, str):
            return self.graph.text(term, RDFS + "label") or local_name(term)
        return term.value if isinstance(term, Literal) else term.label

    def notation(self, term: str) -> str:
        """Return the short name of a term."""
        return self.graph.text(term, SKOS + "notation") or local_name(term)

    @cached_property
    def facts(self) -> dict[str, str]:
        """Return the facts that a claim may list, by their names."""
        asked = (s for s, p, _ in self.graph if p == COV + "question")
        return {local_name(s): s for s in asked if isinstance(s, str) and s.startswith(CONDITION)}

    # Documents

    def documents(self, kind: str) -> list[str]:
        """Return the policies or the guidelines."""
        return sorted(map(str, self.graph.subjects(TYPE, COV + kind)))

    def policy(self, identifier: str) -> str | None:
        """Return the policy of an identifier."""
        named = self.graph.subjects(SKOS + "notation", Literal(identifier))
        return next((str(s) for s in named if (s, TYPE, COV + "Policy") in self.graph), None)

    def editions(self, document: str) -> list[str]:
        """Return the editions of a policy or guideline, the earlier before the later."""
        found = (s for s in self.graph.subjects(COV + "ofPolicy", document) if (s, TYPE, COV + "Edition") in self.graph)
        return sorted(map(str, found), key=lambda edition: self.bounds(edition)[0])

    def bounds(self, edition: str) -> tuple[str, str]:
        """Return the days from which and before which an edition is in force, empty where it is not said."""
        start, end = (self.graph.text(edition, COV + name) or "" for name in ("effectiveFrom", "effectiveUntil"))
        return start[:10], end[:10]

    def edition(self, document: str, day: date) -> str | None:
        """Return the edition of a policy or guideline that is in force on a day."""
        for edition in self.editions(document):
            start, end = self.bounds(edition)
            if start <= day.isoformat() and (not end or day.isoformat() < end):
                return edition
        return None

    def edition_name(self, edition: str) -> str:
        """Return what an edition is called."""
        return self.graph.text(edition, COV + "editionName") or local_name(edition)

    # Clauses

    def clauses(self, edition: str) -> tuple[Clause, ...]:
        """Return the clauses of an edition in the order of the source."""
        if edition not in self.read:
            found = self.graph.subjects(COV + "inEdition", edition)
            ordered = sorted(found, key=lambda c: (int(self.graph.text(c, COV + "order") or "0"), str(c)))
            self.read[edition] = tuple(map(self.clause, ordered))
        return self.read[edition]

    def clause(self, iri: Term) -> Clause:
        """Read a clause."""
        graph = self.graph
        kinds = (*chain.from_iterable(kinds for _, kinds in GROUPS.values()), *STANCES)
        concerns = graph.value(iri, COV + "concerns")
        source_status = graph.iri(iri, COV + "sourceStatus") or ""
        return Clause(
            criterion=read_criterion(graph, iri),
            concerns=read_criterion(graph, concerns) if concerns else None,
            kind=next(kind for kind in kinds if (iri, TYPE, COV + kind) in graph),
            restored_by=graph.objects(iri, COV + "restoredBy"),
            reason=graph.iri(iri, COV + "reason") or "",
            source_status=local_name(source_status),
            is_verified=(source_status, COV + "isUnverified", TRUE) not in graph,
            effect=graph.iri(iri, COV + "effect") or "" if (iri, TYPE, COV + "Edit") in graph else "",
        )

    @cached_property
    def edits(self) -> list[Edit]:
        """Return the coding edits of all payers."""
        found = [e for e in self.graph.subjects(TYPE, COV + "Edit") if not self.graph.objects(e, COV + "inEdition")]
        return [self.edit(read_criterion(self.graph, e), self.graph.iri(e, COV + "effect") or "", True) for e in found]

    def edit(self, criterion: Criterion, effect: str, is_verified: bool) -> Edit:
        """Return a criterion as an edit."""
        return Edit(criterion, effect, is_verified, self.is_of_claim(criterion))

    def is_of_claim(self, criterion: Criterion) -> bool:
        """Say whether an edit asks of the claim, and so alike of all its lines."""
        if not criterion.is_leaf:
            return all(map(self.is_of_claim, criterion.parts))
        path = self.graph.value(criterion.iri, "http://www.w3.org/ns/shacl#path")
        return path is not None and next(iter(_first(self.graph, path)), "") == COV + "ofClaim"

    def leaves(self, policy: str, guidelines: Iterable[str]) -> tuple[Criterion, ...]:
        """Return every leaf that may be asked under editions of a policy and of guidelines, in the order of these."""
        spoken = [c for guideline in guidelines for c in self.clauses(guideline) if c.kind in STANCES]
        clauses = (*self.clauses(policy), *spoken)
        lines = (read_criterion(self.graph, iri) for iri in (CONTINUOUS, BASE))
        concerns = (c.concerns for c in clauses if c.concerns)
        criteria = (*(c.criterion for c in clauses), *(edit.criterion for edit in self.edits), *lines, *concerns)
        return tuple({leaf.iri: leaf for criterion in criteria for leaf in criterion.leaves()}.values())


def _first(graph: Graph, path: Term) -> Iterator[Term]:
    """Yield the property with which a path begins."""
    while not isinstance(path, str):
        path = graph.objects(path, graph.predicates(path)[0])[0]
    yield path


# Files


def find_root() -> Path:
    """Return the folder of ontology and shapes: that of the installed package, else of the checkout."""
    here = Path(__file__).resolve().parent.parent
    return here / "knowledge" if (here / "knowledge").is_dir() else here.parent


def files_of(root: Path) -> list[Path]:
    """Return the files that determine every answer: all Turtle, the lists of codes, the context of claims."""
    turtle = chain.from_iterable((root / folder).rglob("*.ttl") for folder in ("ontology", "shapes"))
    codes = (root / "ontology/codes" / f"icd10cm-{name}.txt" for name in ("release", "history"))
    return sorted((*turtle, *codes, root / "shapes/claim-context.jsonld"))


def hash_of(root: Path, files: Iterable[Path]) -> str:
    """Return the hash that every answer made with some files carries."""
    lines = (f"{f.relative_to(root).as_posix()}\n{hashlib.sha256(f.read_bytes()).hexdigest()}\n" for f in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@cache
def book_of(root: Path, digest: str) -> Book:
    """Read the knowledge of a hash."""
    named = ((path, path.relative_to(root).as_posix()) for path in files_of(root) if path.suffix == ".ttl")
    gc.collect()
    gc.disable()  # nothing that is read is garbage, and looking for it takes a third of the time
    try:
        graph = Graph(chain.from_iterable(read(path, name) for path, name in named))
        return Book(graph, Background(graph, root))
    finally:
        gc.enable()
