"""Reason: what follows from the facts of a claim, each with its rule and the asserted triples that it rests on.

Here is what SHACL Core cannot say: order along the spine, what meets at a level, sums, pairs of lines, dates.
The rules are named and described in `ontology/coverage.ttl`; the medicine that they apply is in the ontology.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain, product
from typing import NamedTuple

from kg.graph import Graph
from kg.knowledge import Knowledge
from kg.literal import value_of
from kg.load import Claim
from kg.terms import ANATOMY, COV, TYPE, XSD, Literal, Term, Triple, local_name

PRESENT = COV + "Present"
ABSENT = COV + "Absent"
AT_CORD = COV + "AtCord"
BELOW_CORD = COV + "BelowCord"
SPINE = ANATOMY + "VertebralColumn"
CORD = ANATOMY + "SpinalCord"
CONUS = ANATOMY + "ConusMedullaris"
CAUDA_EQUINA = ANATOMY + "CaudaEquina"
CAUDAL = ANATOMY + "directlyCaudalTo"

Premises = tuple[Triple, ...]


class Derived(NamedTuple):
    """A triple that follows from others by a rule."""

    triple: Triple
    rule: str
    premises: Premises


class Site(NamedTuple):
    """An operated level or region, with what shows that it was operated on."""

    node: str
    place: str
    premises: Premises


class Finding(NamedTuple):
    """A finding with its concept (a condition, or the class of a code), regions, and what shows it."""

    node: str
    concept: str
    status: str
    regions: tuple[str, ...]
    premises: Premises
    follows: bool = False  # it is where the operation was, wherever that is


@dataclass(frozen=True)
class Reasoned:
    """The facts of a claim over the knowledge, and why each derived one holds."""

    graph: Graph
    derived: tuple[Derived, ...]

    @cached_property
    def why(self) -> dict[Triple, Derived]:
        """Return the derivation of each derived triple."""
        return {fact.triple: fact for fact in reversed(self.derived)}


def reason(claim: Claim, knowledge: Knowledge) -> Reasoned:
    """Derive what follows from a claim: sites, positions, exposures, findings, validity, pairs of lines."""
    facts = Graph(claim.facts)
    known = _Known(claim, facts, knowledge)
    derived = tuple(
        chain(
            known.sites_derived(),
            known.positions_derived(),
            known.exposures(),
            known.findings_derived(),
            known.surgical_site(),
            known.validity(),
            known.base_lines(),
            known.duplicates(),
            known.excluded_pairs(),
            known.minutes(),
        )
    )
    return Reasoned(Graph((*claim.facts, *(fact.triple for fact in derived)), below=knowledge.graph), derived)


def with_facts(reasoned: Reasoned, derived: Iterable[Derived]) -> Reasoned:
    """Return the same facts and some more."""
    more = tuple(derived)
    if not more:
        return reasoned
    return Reasoned(Graph((fact.triple for fact in more), below=reasoned.graph), (*reasoned.derived, *more))


def rule(name: str) -> str:
    """Return the IRI of a rule of derivation."""
    return f"{COV}rule-{name}"


class _Known:
    """One claim while it is reasoned about."""

    def __init__(self, claim: Claim, facts: Graph, knowledge: Knowledge) -> None:
        self.claim = claim.iri
        self.operation = f"{claim.iri}#operation"
        self.lines = [node for _, node, _ in claim.lines]
        self.day = claim.service_date
        self.facts = facts
        self.knowledge = knowledge
        self.procedures = [str(p) for p in facts.objects(self.operation, COV + "procedure")]
        self.diagnoses = [str(d) for d in facts.objects(claim.iri, COV + "diagnosis")]

    # Where the operation was

    @cached_property
    def sites(self) -> list[Site]:
        """Return the operated levels; a region where a procedure names its region and nothing names levels in it."""
        found: dict[str, Site] = {}
        for procedure in self.procedures:
            for level in self.facts.objects(procedure, COV + "level"):
                self._site(found, str(level), self._of(procedure, COV + "level", level))
        levels = tuple(found)
        for procedure in self.procedures:
            region = self._code_region(procedure)
            if region and not self.facts.objects(procedure, COV + "level"):
                place, premises = region
                if not any(place in self.knowledge.wholes(level) for level in levels):
                    self._site(found, place, premises)
        return list(found.values())

    def _site(self, found: dict[str, Site], place: str, premises: Premises) -> None:
        if place not in found:
            found[place] = Site(f"{self.claim}#site-{local_name(place)}", place, premises)

    def _of(self, procedure: str, predicate: str, value: Term) -> Premises:
        return (self.operation, COV + "procedure", procedure), (procedure, predicate, value)

    def _code_region(self, procedure: str) -> tuple[str, Premises] | None:
        code = self.facts.iri(procedure, COV + "code")
        region = self.knowledge.graph.iri(code, COV + "region") if code else None
        if code is None or region is None:
            return None
        return region, (*self._of(procedure, COV + "code", code), (code, COV + "region", region))

    def sites_derived(self) -> Iterator[Derived]:
        for site in self.sites:
            name = rule("siteOfLevel" if site.place in self.knowledge.level_iris else "siteOfCode")
            yield Derived((self.operation, COV + "site", site.node), name, site.premises)
            yield Derived((site.node, COV + "level", site.place), name, site.premises)

    @cached_property
    def positions(self) -> dict[str, Derived]:
        """Return the position to the cord of each site for which it is known."""
        found = {}
        for site in self.sites:
            first, last = self.knowledge.extent(site.place)
            conus = self.facts.iri(self.operation, COV + "conusLevel")
            if conus:
                bound = self.knowledge.interspace_at_or_under(conus)
                shown: Premises = ((self.operation, COV + "conusLevel", conus),)
                shown += self.knowledge.walk(bound, conus)
                below, beside = (bound, shown, "belowConus"), (bound, shown, "atConus")
            else:
                below, beside = (
                    (bound, ((CORD, ANATOMY + name, bound),), by)
                    for name, by in (("endsAtLatest", "belowCord"), ("endsAtEarliest", "atCord"))
                    for bound in [str(self.knowledge.graph.iri(CORD, ANATOMY + name))]
                )
            if self.knowledge.rank(first) > self.knowledge.rank(below[0]):
                found[site.node] = self._position(site, BELOW_CORD, below, self.knowledge.walk(first, below[0]), first)
            elif self.knowledge.rank(last) <= self.knowledge.rank(beside[0]):
                found[site.node] = self._position(site, AT_CORD, beside, self.knowledge.walk(beside[0], last), last)
        return found

    def _position(
        self, site: Site, position: str, bound: tuple[str, Premises, str], walk: Premises, end: str
    ) -> Derived:
        extent = self.knowledge.wholes(end)[site.place] if end != site.place else ()
        premises = (*site.premises, *extent, *walk, *bound[1])
        return Derived((site.node, COV + "cordPosition", position), rule(bound[2]), premises)

    def positions_derived(self) -> Iterator[Derived]:
        yield from self.positions.values()

    # What is monitored there

    def exposures(self) -> Iterator[Derived]:
        for line in self.lines:
            code = self.facts.iri(line, COV + "code")
            courses = self.knowledge.courses(code) if code else {}
            if not courses:
                continue
            coded: Premises = ((line, COV + "code", str(code)),)
            for site in self.sites:
                node = f"{line}-at-{local_name(site.place)}"
                yield Derived((line, COV + "exposure", node), rule("exposure"), (*coded, *site.premises))
                yield Derived((node, COV + "atSite", site.node), rule("exposure"), (*coded, *site.premises))
                for structure, enclosed in self._enclosed(site).items():
                    if structure in courses:
                        premises = (*coded, *courses[structure], *site.premises, *enclosed)
                        yield Derived((node, COV + "atRisk", structure), rule("atRisk"), premises)

    def _enclosed(self, site: Site) -> Mapping[str, Premises]:
        """Return what the canal holds at a site; what it holds of the cord depends on where the cord ends."""
        position = self.positions.get(site.node)
        enclosed = self.knowledge.enclosed(site.place)
        if position is None:
            return {x: why for x, why in enclosed.items() if not self.knowledge.is_cord(x)}
        rest = position.premises[len(site.premises) :]
        if position.triple[2] == BELOW_CORD:
            roots = {x: why for x, why in enclosed.items() if not self.knowledge.is_cord(x)}
            return roots if CAUDA_EQUINA in roots else {**roots, CAUDA_EQUINA: rest}
        found = {x: (*why, *rest) if self.knowledge.is_cord(x) else why for x, why in enclosed.items()}
        return found if any(map(self.knowledge.is_cord, found)) else {**found, CONUS: rest}

    # What is known of the patient

    @cached_property
    def operated_regions(self) -> dict[str, Premises]:
        """Return the regions operated on, each with what shows it."""
        found: dict[str, Premises] = {}
        for site in self.sites:
            region, steps = self.knowledge.main_region(site.place)
            found.setdefault(region, (*site.premises, *steps))
        return found

    def findings_derived(self) -> Iterator[Derived]:
        findings: list[Finding] = []
        for node in map(str, self.facts.objects(self.claim, COV + "finding")):
            concept = self.facts.iri(node, COV + "concept")
            if concept:
                yield from self._recorded(node, concept, findings)
            else:
                yield from self._coded(node, findings)
        yield from self._stated_by_procedures(findings)
        yield from self._combined(findings)
        yield from self._in_operated_region(findings)
        yield from self._stated_by_roles()

    def _recorded(self, node: str, concept: str, findings: list[Finding]) -> Iterator[Derived]:
        status = str(self.facts.iri(node, COV + "status"))
        shown = ((node, COV + "concept", concept), (node, COV + "status", status))
        region = self.facts.iri(node, COV + "region")
        if region:
            main, steps = self.knowledge.main_region(region)
            where = (main,) if status == PRESENT or main == region else ()
            findings.append(Finding(node, concept, status, where, (*shown, (node, COV + "region", region), *steps)))
            return
        yield from self._regions(node, self.operated_regions, "operatedRegion")
        findings.append(Finding(node, concept, status, tuple(self.operated_regions), shown, follows=True))

    def _regions(self, node: str, regions: Mapping[str, Premises], name: str) -> Iterator[Derived]:
        for region, premises in regions.items():
            yield Derived((node, COV + "region", region), rule(name), premises)

    def _coded(self, node: str, findings: list[Finding]) -> Iterator[Derived]:
        code = str(self.facts.iri(node, COV + "code"))
        typed: Premises = ((node, TYPE, code),)
        region = self.knowledge.graph.iri(code, COV + "region")
        silent = (code, COV + "takesOperatedRegion", _TRUE)
        follows = not region and silent in self.knowledge.graph
        if region:
            main, steps = self.knowledge.main_region(region)
            where = {region: (*typed, (code, COV + "region", region))}
            located: tuple[str, ...] = (main,)
            shown, name = (*where[region], *steps), "codeRegion"
        else:
            where = {place: (*typed, silent, *why) for place, why in self.operated_regions.items() if follows}
            located, shown, name = tuple(where), ((*typed, silent) if follows else typed), "operatedRegion"
        yield from self._regions(node, where, name)
        findings.append(Finding(node, code, PRESENT, located, shown, follows))
        for concept, steps in self.knowledge.denied_by(code).items():
            denial = f"{node}-denies-{local_name(concept)}"
            yield from self._stated(self.claim, denial, concept, ABSENT, "codeDenies", (*typed, *steps))
            yield from self._regions(denial, where, name)
            whole = tuple(place for place in where if place in located)
            findings.append(Finding(denial, concept, ABSENT, whole, (*shown, *steps), follows))

    def _stated(
        self, of: str, node: str, concept: str, status: str, name: str, premises: Premises
    ) -> Iterator[Derived]:
        yield Derived((of, COV + "finding", node), rule(name), premises)
        yield Derived((node, COV + "concept", concept), rule(name), premises)
        yield Derived((node, COV + "status", status), rule(name), premises)

    def _stated_by_procedures(self, findings: list[Finding]) -> Iterator[Derived]:
        for procedure in self.procedures:
            code = self.facts.iri(procedure, COV + "code")
            for concept in self.knowledge.graph.objects(code, COV + "states") if code else ():
                node = f"{procedure}-{local_name(str(concept))}"
                premises = (*self._of(procedure, COV + "code", str(code)), (str(code), COV + "states", concept))
                regions = self._procedure_regions(procedure)
                yield from self._stated(self.claim, node, str(concept), PRESENT, "codeStates", premises)
                yield from self._regions(node, regions, "operatedRegion")
                findings.append(Finding(node, str(concept), PRESENT, tuple(regions), premises, follows=True))

    def _procedure_regions(self, procedure: str) -> dict[str, Premises]:
        places = {
            str(level): self._of(procedure, COV + "level", level)
            for level in self.facts.objects(procedure, COV + "level")
        }
        coded = self._code_region(procedure)
        if not places and coded:
            places = {coded[0]: coded[1]}
        found: dict[str, Premises] = {}
        for place, premises in places.items():
            region, steps = self.knowledge.main_region(place)
            found.setdefault(region, (*premises, *steps))
        return found or self.operated_regions

    def _combined(self, findings: list[Finding]) -> Iterator[Derived]:
        for combination, parts, whole in self.knowledge.combinations:
            found = [
                [f for f in findings if f.status == PRESENT and part in self.knowledge.ancestors(f.concept)]
                for part in parts
            ]
            done = set()
            for chosen in product(*found):
                for region in chosen[0].regions:
                    if region in done or not all(region in finding.regions for finding in chosen):
                        continue
                    done.add(region)
                    node = f"{self.claim}#{local_name(combination)}-{local_name(region)}"
                    premises = tuple(
                        dict.fromkeys(
                            chain.from_iterable(
                                (*f.premises, *self.knowledge.ancestors(f.concept)[part])
                                for f, part in zip(chosen, parts, strict=True)
                            )
                        )
                    )
                    yield from self._stated(self.claim, node, whole, PRESENT, "combination", premises)
                    yield Derived((node, COV + "region", region), rule("combination"), premises)

    def _in_operated_region(self, findings: list[Finding]) -> Iterator[Derived]:
        """Locate findings where the operation was; an absence only if it is that of a whole main region."""
        for finding in findings:
            region = next((region for region in finding.regions if region in self.operated_regions), None)
            if finding.follows or region:
                shown = () if finding.follows or region is None else self.operated_regions[region]
                premises = tuple(dict.fromkeys((*finding.premises, *shown)))
                triple = (finding.node, COV + "region", COV + "OperatedRegion")
                yield Derived(triple, rule("inOperatedRegion"), premises)

    def _stated_by_roles(self) -> Iterator[Derived]:
        for line in self.lines:
            performer = self.facts.iri(line, COV + "performer")
            role = self.facts.iri(performer, COV + "role") if performer else None
            for concept in self.knowledge.graph.objects(role, COV + "statesAbsenceOf") if role else ():
                node = f"{line}-denies-{local_name(str(concept))}"
                premises = (
                    (line, COV + "performer", str(performer)),
                    (str(performer), COV + "role", str(role)),
                    (str(role), COV + "statesAbsenceOf", concept),
                )
                yield from self._stated(line, node, str(concept), ABSENT, "roleStates", premises)

    def surgical_site(self) -> Iterator[Derived]:
        """Yield where the operation was: by its procedures and levels, else by its diagnoses (decision rule 11)."""
        found: dict[str, Premises] = {}
        for procedure in self.procedures:
            code = self.facts.iri(procedure, COV + "code")
            for place, steps in self.knowledge.surgical_sites(code).items() if code else ():
                found.setdefault(place, (*self._of(procedure, COV + "code", str(code)), *steps))
        for site in self.sites:
            found.setdefault(SPINE, (*site.premises, *self.knowledge.wholes(site.place)[SPINE]))
        if not self.procedures:
            for diagnosis in self.diagnoses:
                code = str(self.facts.iri(diagnosis, COV + "code"))
                for place, steps in self.knowledge.surgical_sites(code).items():
                    premises = ((self.claim, COV + "diagnosis", diagnosis), (diagnosis, TYPE, code), *steps)
                    found.setdefault(place, premises)
        for place, premises in found.items():
            yield Derived((self.operation, COV + "surgicalSite", place), rule("surgicalSite"), premises)

    # Codes and lines

    def validity(self) -> Iterator[Derived]:
        dated = (self.claim, COV + "serviceDate", Literal(self.day.isoformat(), XSD + "date"))
        for node in (*self.diagnoses, *self.lines):
            code = self.facts.iri(node, COV + "code")
            if code:
                status, shown = self.knowledge.validity(code, self.day)
                premises: Premises = ((node, COV + "code", code), dated, *shown)
                yield Derived((node, COV + "codeValidity", COV + status), rule("codeValidity"), premises)

    def base_lines(self) -> Iterator[Derived]:
        codes = {line: self.facts.iri(line, COV + "code") for line in self.lines}
        for line, code in codes.items():
            for parent in self.knowledge.graph.objects(code, COV + "addOnTo") if code else ():
                for other, base in codes.items():
                    steps = self.knowledge.ancestors(base).get(parent) if base and other != line else None
                    if steps is not None:
                        premises = (
                            (line, COV + "code", str(code)),
                            (str(code), COV + "addOnTo", parent),
                            (other, COV + "code", str(base)),
                            *steps,
                        )
                        yield Derived((line, COV + "baseLine", other), rule("baseLine"), premises)

    def duplicates(self) -> Iterator[Derived]:
        codes = [
            (line, self.facts.value(line, COV + "code") or self.facts.value(line, COV + "unknownCode"))
            for line in self.lines
        ]
        for i, (line, code) in enumerate(codes):
            by = COV + ("code" if isinstance(code, str) else "unknownCode")
            for k, (other, another) in enumerate(codes):
                both: Premises = ((line, by, code or ""), (other, by, another or ""))
                contained = (str(another), COV + "comprises", code or "")
                if k < i and code == another:
                    yield Derived((line, COV + "duplicateOf", other), rule("duplicate"), both)
                elif k != i and isinstance(another, str) and code is not None and contained in self.knowledge.graph:
                    yield Derived((line, COV + "duplicateOf", other), rule("duplicate"), (*both, contained))

    def excluded_pairs(self) -> Iterator[Derived]:
        codes = {diagnosis: str(self.facts.iri(diagnosis, COV + "code")) for diagnosis in self.diagnoses}
        for one, code in codes.items():
            excluded = self.knowledge.excluded_by(code)
            for other, another in codes.items() if excluded else ():
                hit = next((x for x in excluded if x in self.knowledge.ancestors(another)), None)
                if hit is not None and other != one:
                    premises = (
                        (one, COV + "code", code),
                        *excluded[hit],
                        (other, COV + "code", another),
                        *self.knowledge.ancestors(another)[hit],
                    )
                    yield Derived((one, COV + "excludedBy", other), rule("excludedPair"), premises)

    def minutes(self) -> Iterator[Derived]:
        for line in self.lines:
            spans = []
            premises: Premises = ()
            for interval in map(str, self.facts.objects(line, COV + "interval")):
                start, end = (self.facts.value(interval, COV + name) for name in ("start", "end"))
                a, b = (value_of(t) if isinstance(t, Literal) else None for t in (start, end))
                if isinstance(a, datetime) and isinstance(b, datetime) and start and end:
                    spans.append((a, b))
                    premises += ((line, COV + "interval", interval), (interval, COV + "start", start))
                    premises += ((interval, COV + "end", end),)
            if spans:
                total = Literal(str(_minutes(spans)), XSD + "integer")
                yield Derived((line, COV + "monitoredMinutes", total), rule("monitoredMinutes"), premises)


_TRUE = Literal("true", XSD + "boolean")


def _minutes(spans: list[tuple[datetime, datetime]]) -> int:
    """Return the whole minutes that spans cover together, each minute once."""
    covered = timedelta()
    reached: datetime | None = None
    for start, end in sorted(spans, key=lambda span: (span[0].replace(tzinfo=None), span[1].replace(tzinfo=None))):
        begin = start if reached is None or reached < start else reached
        if end > begin:
            covered += end - begin
            reached = end
    return covered // timedelta(minutes=1)


__all__ = ["Derived", "Reasoned", "reason", "rule", "with_facts"]
