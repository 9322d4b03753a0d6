"""Where the operation was, where the cord ends, and what each line monitors there."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from kg.rules.derived import Derived, Premises, Stated, rule
from kg.terms import ANATOMY, COV, TYPE, XSD, Literal, Term, local_name

AT_CORD = COV + "AtCord"
BELOW_CORD = COV + "BelowCord"
SPINE = ANATOMY + "VertebralColumn"
CORD = ANATOMY + "SpinalCord"
CONUS = ANATOMY + "ConusMedullaris"
CAUDA_EQUINA = ANATOMY + "CaudaEquina"


_TRUE = Literal("true", XSD + "boolean")


class Site(NamedTuple):
    """An operated level or region, with what shows that it was operated on."""

    node: str
    place: str
    premises: Premises


class Operation(Stated):
    """The operation of a claim."""

    def derived(self) -> Iterator[Derived]:
        """Yield sites, their positions to the cord, exposures, and the surgical site."""
        yield from self.sites_derived()
        yield from self.positions.values()
        yield from self.exposures()
        yield from self.surgical_site()

    @cached_property
    def sites(self) -> list[Site]:
        """Return the operated levels; a region where a procedure names its region and nothing names levels in it."""
        found: dict[str, Site] = {}
        for procedure in self.procedures:
            for level in self.facts.objects(procedure, COV + "level"):
                self._site(found, str(level), self.of(procedure, COV + "level", level))
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

    def of(self, procedure: str, predicate: str, value: Term) -> Premises:
        """Return the triples that show what a procedure of the operation has."""
        return (self.operation, COV + "procedure", procedure), (procedure, predicate, value)

    def _code_region(self, procedure: str) -> tuple[str, Premises] | None:
        code = self.facts.iri(procedure, COV + "code")
        region = self.knowledge.graph.iri(code, COV + "region") if code else None
        if code is None or region is None:
            return None
        return region, (*self.of(procedure, COV + "code", code), (code, COV + "region", region))

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
                if site.node in self.positions or CONUS not in courses:
                    shown = self.positions[site.node].premises if site.node in self.positions else site.premises
                    yield Derived((node, COV + "isSettled", _TRUE), rule("settled"), (*coded, *shown))
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

    @cached_property
    def operated_regions(self) -> dict[str, Premises]:
        """Return the regions operated on, each with what shows it."""
        found: dict[str, Premises] = {}
        for site in self.sites:
            region, steps = self.knowledge.main_region(site.place)
            found.setdefault(region, (*site.premises, *steps))
        return found

    def procedure_regions(self, procedure: str) -> dict[str, Premises]:
        """Return the main regions of one procedure: of its levels, else of its code, else those operated on."""
        places = {
            str(level): self.of(procedure, COV + "level", level)
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

    def surgical_site(self) -> Iterator[Derived]:
        """Yield where the operation was: by its procedures and levels, else by its diagnoses (decision rule 11)."""
        found: dict[str, Premises] = {}
        for procedure in self.procedures:
            code = self.facts.iri(procedure, COV + "code")
            for place, steps in self.knowledge.surgical_sites(code).items() if code else ():
                found.setdefault(place, (*self.of(procedure, COV + "code", str(code)), *steps))
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
