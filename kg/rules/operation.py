"""Where the operation was, where the cord ends, and what each line monitors there."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from kg.rules.derived import Conclusion, Pieces, Premises, rule
from kg.rules.stated import CODE, DIAGNOSIS, LEVEL, Stated
from kg.rules.tables import CONUS, REGION, TRUE, Code, Place, Position
from kg.terms import ANATOMY, COV, TYPE, Term

SPINE = ANATOMY + "VertebralColumn"
SITE = COV + "site"
EXPOSURE = COV + "exposure"
AT_SITE = COV + "atSite"
AT_RISK = COV + "atRisk"
IS_SETTLED = COV + "isSettled"
CORD_POSITION = COV + "cordPosition"
CONUS_LEVEL = COV + "conusLevel"
SURGICAL_SITE = COV + "surgicalSite"

_EXPOSURE, _SETTLED, _AT_RISK, _SURGICAL_SITE = map(rule, ("exposure", "settled", "atRisk", "surgicalSite"))
_TRUE = (TRUE,)


class Site(NamedTuple):
    """An operated level or region, with what shows that it was operated on, and how it lies to the end of the cord."""

    node: str
    place: Place
    operated: Premises
    position: Position
    lies: Pieces  # what shows the position


class Operation:
    """The operation of a claim: its sites and regions, and the level of the conus, if it is documented."""

    def __init__(self, stated: Stated) -> None:
        self.stated = stated
        self.sites: list[Site] = []
        self.regions: dict[Term, Premises] = {}  # operated on, each with what shows it
        conus = stated.iri(stated.operation, CONUS_LEVEL)
        self.documented: Premises = ((stated.operation, CONUS_LEVEL, conus),) if conus else ()
        for place, operated in self._operated().items():
            position = place.positions[conus]
            lies = (operated, *position.premises(self.documented))
            self.sites.append(Site(f"{stated.claim}#site-{place.name}", place, operated, position, lies))
            if place.region not in self.regions:
                self.regions[place.region] = (*operated, *place.steps)

    def _operated(self) -> dict[Place, Premises]:
        """Return the operated levels; a region where a procedure names its region and nothing names levels in it."""
        stated, places = self.stated, self.stated.tables.places
        levels: dict[Place, Premises] = {}
        for procedure, _, named in stated.procedures:
            for level in named:
                if places[level] not in levels:
                    levels[places[level]] = stated.of(procedure, LEVEL, level)
        regions: dict[Place, Premises] = {}
        for procedure, code, named in stated.procedures:
            if code and code.region and not named and not any(code.region in level.wholes for level in levels):
                regions.setdefault(places[code.region], self._in_region(procedure, code))
        return levels | regions

    def _in_region(self, procedure: str, code: Code) -> Premises:
        """Return what shows that a procedure is in the region that its code names."""
        return (*self.stated.of(procedure, CODE, code.iri), (code.iri, REGION, code.region or ""))

    def conclusions(self) -> list[Conclusion]:
        """Return sites, their positions to the cord, exposures, and the surgical site."""
        operation = self.stated.operation
        found: list[Conclusion] = []
        for node, place, operated, _, _ in self.sites:
            found.append(Conclusion(operation, SITE, (node,), place.rule, (operated,)))
            found.append(Conclusion(node, LEVEL, (place.iri,), place.rule, (operated,)))
        for node, _, _, position, lies in self.sites:
            if position.values:
                found.append(Conclusion(node, CORD_POSITION, position.values, position.rule, lies))
        if self.sites:
            for line, code in self.stated.lines:
                if code and code.courses:
                    self._expose(line, code, found)
        if sites := self._surgical_sites():
            found.append(Conclusion(operation, SURGICAL_SITE, tuple(sites), _SURGICAL_SITE, sites.__getitem__))
        return found

    def _expose(self, line: str, code: Code, found: list[Conclusion]) -> None:
        """Conclude what a line monitors at each site, and whether that is settled."""
        coded: Premises = ((line, CODE, code.iri),)
        nodes = [f"{line}-at-{site.place.name}" for site in self.sites]
        shown: dict[Term, Pieces] = {node: (coded, site.operated) for node, site in zip(nodes, self.sites, strict=True)}
        found.append(Conclusion(line, EXPOSURE, tuple(nodes), _EXPOSURE, shown.__getitem__))
        for node, site in zip(nodes, self.sites, strict=True):
            position = site.position
            found.append(Conclusion(node, AT_SITE, (site.node,), _EXPOSURE, shown[node]))
            if position.values or CONUS not in code.courses:
                found.append(Conclusion(node, IS_SETTLED, _TRUE, _SETTLED, (coded, *site.lies)))
            if structures := position.monitored[code.iri]:
                at_risk = partial(self._at_risk, coded, code, site)
                found.append(Conclusion(node, AT_RISK, structures, _AT_RISK, at_risk))

    def _at_risk(self, coded: Premises, code: Code, site: Site, structure: Term) -> Pieces:
        enclosing = site.position.enclosing(structure, self.documented)
        return coded, code.courses[structure], site.operated, *enclosing

    def regions_of(self, procedure: str, code: Code, levels: tuple[str, ...]) -> Mapping[Term, Premises]:
        """Return the main regions of one procedure: of its levels, else of its code, else those operated on."""
        shown = {level: self.stated.of(procedure, LEVEL, level) for level in levels}
        if not shown and code.region:
            shown = {code.region: self._in_region(procedure, code)}
        found: dict[Term, Premises] = {}
        for iri, premises in shown.items():
            place = self.stated.tables.places[iri]
            if place.region not in found:
                found[place.region] = (*premises, *place.steps)
        return found or self.regions

    def _surgical_sites(self) -> dict[Term, Pieces]:
        """Return where the operation was: by its procedures and levels, else by its diagnoses (decision rule 11)."""
        stated = self.stated
        found: dict[Term, Pieces] = {}
        for procedure, code, _ in stated.procedures:
            for place, steps in code.surgical_sites.items() if code else ():
                if code and place not in found:
                    found[place] = (stated.of(procedure, CODE, code.iri), steps)
        if self.sites and SPINE not in found:
            site = self.sites[0]
            found[SPINE] = (site.operated, site.place.wholes[SPINE])
        for diagnosis, code in () if stated.procedures else stated.diagnoses:
            for place, steps in code.surgical_sites.items():
                if place not in found:
                    found[place] = (((stated.claim, DIAGNOSIS, diagnosis), (diagnosis, TYPE, code.iri)), steps)
        return found
