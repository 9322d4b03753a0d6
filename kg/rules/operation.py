"""Where the operation was, where the cord ends, and what each line monitors there."""

from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from itertools import chain
from typing import NamedTuple

from kg.rules.derived import CODE, PROCEDURE, Conclusion, Pieces, Premises, Stated, follows, given, rule
from kg.terms import ANATOMY, COV, TYPE, XSD, Known, Literal, Term, local_name

AT_CORD = COV + "AtCord"
BELOW_CORD = COV + "BelowCord"
SPINE = ANATOMY + "VertebralColumn"
CORD = ANATOMY + "SpinalCord"
CONUS = ANATOMY + "ConusMedullaris"
CAUDA_EQUINA = ANATOMY + "CaudaEquina"
LEVEL = COV + "level"
REGION = COV + "region"
SITE = COV + "site"
EXPOSURE = COV + "exposure"
AT_SITE = COV + "atSite"
AT_RISK = COV + "atRisk"
IS_SETTLED = COV + "isSettled"
CORD_POSITION = COV + "cordPosition"
CONUS_LEVEL = COV + "conusLevel"
SURGICAL_SITE = COV + "surgicalSite"

_TRUE = Literal("true", XSD + "boolean")
_EXPOSURE, _SETTLED, _AT_RISK, _SURGICAL_SITE = map(rule, ("exposure", "settled", "atRisk", "surgicalSite"))


class Site(NamedTuple):
    """An operated level or region, with what shows that it was operated on."""

    node: str
    place: str
    premises: Premises


class Position(NamedTuple):
    """How a site lies to the end of the cord: by which rule, and what shows it."""

    value: str
    rule: str
    premises: Pieces


class Operation(Stated):
    """The operation of a claim."""

    def conclusions(self) -> Iterator[Conclusion]:
        """Yield sites, their positions to the cord, exposures, and the surgical site."""
        yield from self.sites_derived()
        for site in self.sites:
            if position := self.positions[site.place]:
                yield follows(
                    site.node, CORD_POSITION, position.value, position.rule, site.premises, *position.premises
                )
        yield from self.exposures()
        yield from self.surgical_site()

    @cached_property
    def sites(self) -> list[Site]:
        """Return the operated levels; a region where a procedure names its region and nothing names levels in it."""
        found: dict[str, Site] = {}
        for procedure in self.procedures:
            for level in self.nodes(procedure, LEVEL):
                self._site(found, level, self.of(procedure, LEVEL, level))
        levels = tuple(found)
        for procedure in self.procedures:
            region = self._code_region(procedure)
            if region and not self.nodes(procedure, LEVEL):
                place, premises = region
                if not any(place in self.knowledge.wholes(level) for level in levels):
                    self._site(found, place, premises)
        return list(found.values())

    def _site(self, found: dict[str, Site], place: str, premises: Premises) -> None:
        if place not in found:
            found[place] = Site(f"{self.claim}#site-{local_name(place)}", place, premises)

    def of(self, procedure: str, predicate: str, value: Term) -> Premises:
        """Return the triples that show what a procedure of the operation has."""
        return (self.operation, PROCEDURE, procedure), (procedure, predicate, value)

    def _code_region(self, procedure: str) -> tuple[str, Premises] | None:
        code = self.code(procedure)
        region = self.knowledge.graph.iri(code, REGION) if code else None
        if code is None or region is None:
            return None
        return region, (*self.of(procedure, CODE, code), (code, REGION, region))

    def sites_derived(self) -> Iterator[Conclusion]:
        for site in self.sites:
            name = "siteOfLevel" if site.place in self.knowledge.level_iris else "siteOfCode"
            yield follows(self.operation, SITE, site.node, name, site.premises)
            yield follows(site.node, LEVEL, site.place, name, site.premises)

    @cached_property
    def positions(self) -> dict[str, Position | None]:
        """Return the position to the cord of each operated place, where it is known."""
        conus = self.iri(self.operation, CONUS_LEVEL)
        shown: Premises = ((self.operation, CONUS_LEVEL, conus),) if conus else ()
        found: dict[str, Position | None] = {}
        for site in self.sites:
            key = ("position", site.place, conus or "")
            position = self.knowledge.remember(key, partial(self._position, site.place, conus))
            if position and shown:
                walk, *bound = position.premises
                position = position._replace(premises=(walk, shown, *bound))
            found[site.place] = position
        return found

    def _position(self, place: str, conus: str | None) -> Position | None:
        """Return how a place lies to the cord, by the walk to the bound and why the bound is where it is.

        The cord ends where imaging shows it, else between the earliest and the latest level where cords do.
        """
        know = self.knowledge
        first, last = know.extent(place)
        if conus:
            bound = know.interspace_at_or_under(conus)
            below, beside = (bound, know.walk(bound, conus), "belowConus"), (bound, know.walk(bound, conus), "atConus")
        else:
            below, beside = (
                (bound, ((CORD, ANATOMY + name, bound),), by)
                for name, by in (("endsAtLatest", "belowCord"), ("endsAtEarliest", "atCord"))
                for bound in [str(know.graph.iri(CORD, ANATOMY + name))]
            )
        if know.rank(first) > know.rank(below[0]):
            (bound, why, name), value, end, walk = below, BELOW_CORD, first, know.walk(first, below[0])
        elif know.rank(last) <= know.rank(beside[0]):
            (bound, why, name), value, end, walk = beside, AT_CORD, last, know.walk(beside[0], last)
        else:
            return None
        extent = know.wholes(end)[place] if end != place else ()
        return Position(value, name, (Known((*extent, *walk)), Known(why)))

    # What is monitored there

    def exposures(self) -> Iterator[Conclusion]:
        for line in self.lines:
            code = self.code(line)
            courses = self.knowledge.courses(code) if code else {}
            if not courses:
                continue
            coded: Premises = ((line, CODE, str(code)),)
            for site in self.sites:
                node, why = f"{line}-at-{local_name(site.place)}", (coded, site.premises)
                position = self.positions[site.place]
                yield Conclusion(line, EXPOSURE, (node,), _EXPOSURE, given(*why))
                yield Conclusion(node, AT_SITE, (site.node,), _EXPOSURE, given(*why))
                if position or CONUS not in courses:
                    shown = (*why, *position.premises) if position else why
                    yield Conclusion(node, IS_SETTLED, (_TRUE,), _SETTLED, given(*shown))
                structures = self._monitored(str(code), site.place, position)
                if structures:
                    yield Conclusion(
                        node, AT_RISK, structures, _AT_RISK, partial(self._at_risk, coded, courses, site, position)
                    )

    def _monitored(self, code: str, place: str, position: Position | None) -> tuple[Term, ...]:
        """Return the structures at a place that the pathways of a study run through."""

        def compute() -> tuple[Term, ...]:
            courses = self.knowledge.courses(code)
            return tuple(structure for structure in self._enclosed(place, position) if structure in courses)

        return self.knowledge.remember(("monitored", code, place, position.value if position else ""), compute)

    def _at_risk(
        self, coded: Premises, courses: Mapping[Term, Premises], site: Site, position: Position | None, structure: Term
    ) -> Pieces:
        enclosed = self._enclosed(site.place, position)[str(structure)]
        if len(enclosed) == 1 or not all(isinstance(piece, Known) for piece in enclosed):
            return coded, courses[structure], site.premises, *enclosed
        key = ("enclosed with", site.place, str(structure), position.value if position else "")
        told = self.knowledge.remember(key, lambda: Known(chain.from_iterable(enclosed)))
        return coded, courses[structure], site.premises, told

    def _enclosed(self, place: str, position: Position | None) -> Mapping[str, Pieces]:
        """Return what the canal holds at a place; what it holds of the cord depends on where the cord ends."""
        enclosed = self.knowledge.enclosed(place)
        roots: dict[str, Pieces] = {x: (why,) for x, why in enclosed.items() if not self.knowledge.is_cord(x)}
        if position is None:
            return roots
        if position.value == BELOW_CORD:
            return roots if CAUDA_EQUINA in roots else {**roots, CAUDA_EQUINA: position.premises}
        if len(roots) == len(enclosed):
            return {**roots, CONUS: position.premises}
        return {x: roots.get(x, (why, *position.premises)) for x, why in enclosed.items()}

    @cached_property
    def operated_regions(self) -> dict[str, Premises]:
        """Return the regions operated on, each with what shows it."""
        found: dict[str, Premises] = {}
        for site in self.sites:
            region, steps = self.knowledge.main_region(site.place)
            if region not in found:
                found[region] = (*site.premises, *steps)
        return found

    def procedure_regions(self, procedure: str) -> dict[str, Premises]:
        """Return the main regions of one procedure: of its levels, else of its code, else those operated on."""
        places = {level: self.of(procedure, LEVEL, level) for level in self.nodes(procedure, LEVEL)}
        coded = self._code_region(procedure)
        if not places and coded:
            places = {coded[0]: coded[1]}
        found: dict[str, Premises] = {}
        for place, premises in places.items():
            region, steps = self.knowledge.main_region(place)
            found.setdefault(region, (*premises, *steps))
        return found or self.operated_regions

    def surgical_site(self) -> Iterator[Conclusion]:
        """Yield where the operation was: by its procedures and levels, else by its diagnoses (decision rule 11)."""
        found: dict[str, Pieces] = {}
        for procedure in self.procedures:
            code = self.code(procedure)
            for place, steps in self.knowledge.surgical_sites(code).items() if code else ():
                found.setdefault(place, (self.of(procedure, CODE, str(code)), steps))
        for site in self.sites:
            if SPINE not in found:
                found[SPINE] = (site.premises, self.knowledge.wholes(site.place)[SPINE])
        if not self.procedures:
            for diagnosis in self.diagnoses:
                code = str(self.code(diagnosis))
                for place, steps in self.knowledge.surgical_sites(code).items():
                    shown = ((self.claim, COV + "diagnosis", diagnosis), (diagnosis, TYPE, code))
                    found.setdefault(place, (shown, steps))
        if found:
            yield Conclusion(self.operation, SURGICAL_SITE, tuple(found), _SURGICAL_SITE, lambda x: found[str(x)])
