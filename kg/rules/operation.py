"""Where the operation was, where the cord ends, and what each line monitors there."""

from kg.rules.facts import CODE, DIAGNOSIS, LEVEL, Facts, giving
from kg.rules.sites import OPERATION
from kg.rules.tables import Code
from kg.terms import ANATOMY, COV, ITSELF, TYPE

SPINE = ANATOMY + "VertebralColumn"
SITE = COV + "site"
EXPOSURE = COV + "exposure"
CORD_POSITION = COV + "cordPosition"
SURGICAL_SITE = COV + "surgicalSite"


def operation(facts: Facts) -> None:
    """Conclude sites, their positions to the cord, exposures, and the surgical site."""
    for site in facts.sites:
        facts.conclude(OPERATION, SITE, (site.node,), (site.by,))
        facts.conclude(site.node, LEVEL, (site.place.iri,), (site.by,))
    for site in facts.sites:
        if site.position.values:
            facts.conclude(site.node, CORD_POSITION, site.position.values, (site.lies_by,))
    if facts.sites:
        for line, code in facts.lines:
            if code and code.courses:
                _expose(facts, line, code)
    _locate(facts)


def _expose(facts: Facts, line: str, code: Code) -> None:
    """Conclude what a line monitors at each site, and whether that is settled."""
    exposures = [facts.kept.exposures[line, code, site] for site in facts.sites]
    facts.conclude(line, EXPOSURE, tuple([x.node for x in exposures]), tuple([x.by for x in exposures]))
    for exposure in exposures:  # of which nothing is known before
        facts.index.update(exposure.values)
        facts.concluded.update(exposure.concluded)


def _locate(facts: Facts) -> None:
    """Conclude where the operation was: by its procedures and levels, else by its diagnoses (decision rule 11)."""
    found: set[str] = set()
    for procedure, code, _ in facts.procedures:
        for place, steps in code.surgical_sites.items() if code else ():
            if code and place not in found:
                found.add(place)
                facts.give(OPERATION, SURGICAL_SITE, place, _SURGICAL, facts.of(procedure, CODE, code.iri), steps)
    if facts.sites and SPINE not in found:
        site = facts.sites[0]
        facts.give(OPERATION, SURGICAL_SITE, SPINE, _SURGICAL, site.operated, site.place.wholes[SPINE])
    for diagnosis, code in () if facts.procedures else facts.diagnoses:
        for place, steps in code.surgical_sites.items():
            if place not in found:
                found.add(place)
                shown = ((ITSELF, DIAGNOSIS, diagnosis), (diagnosis, TYPE, code.iri))
                facts.give(OPERATION, SURGICAL_SITE, place, _SURGICAL, shown, steps)


_SURGICAL = giving("surgicalSite")
