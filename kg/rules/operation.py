"""Where the operation was, where the cord ends, and what each line monitors there."""

from kg.rules.facts import CODE, DIAGNOSIS, Facts, giving
from kg.rules.tables import Code
from kg.terms import ANATOMY, COV, ITS_OPERATION, ITSELF, TYPE

SPINE = ANATOMY + "VertebralColumn"
SITE = COV + "site"
EXPOSURE = COV + "exposure"
SURGICAL_SITE = COV + "surgicalSite"


def operation(facts: Facts) -> None:
    """Conclude sites, their positions to the cord, exposures, and the surgical site."""
    for site in facts.sites:  # of which nothing is known before
        facts.conclude(ITS_OPERATION, SITE, (site.node,), (site.by,))
        facts.index.update(site.values)
        facts.concluded.update(site.concluded)
    if facts.sites:
        for line, code in facts.lines:
            if code and code.courses:
                _expose(facts, line, code)
    _locate(facts)


def _expose(facts: Facts, line: str, code: Code) -> None:
    """Conclude what a line monitors at each site, and whether that is settled."""
    nodes, by = [], []
    for site in facts.sites:
        exposure = facts.kept.exposures[line, code, site]
        nodes.append(exposure.node)
        by.append(exposure.by)
        facts.index.update(exposure.values)
        facts.concluded.update(exposure.concluded)
    facts.conclude(line, EXPOSURE, tuple(nodes), tuple(by))


def _locate(facts: Facts) -> None:
    """Conclude where the operation was: by its procedures and levels, else by its diagnoses (decision rule 11)."""
    found: set[str] = set()
    for procedure, code, _ in facts.procedures:
        for place, steps in code.surgical_sites.items() if code else ():
            if code and place not in found:
                found.add(place)
                facts.give(ITS_OPERATION, SURGICAL_SITE, place, _SURGICAL, facts.of(procedure, CODE, code.iri), steps)
    if facts.sites and SPINE not in found:
        site = facts.sites[0]
        facts.give(ITS_OPERATION, SURGICAL_SITE, SPINE, _SURGICAL, site.operated, site.place.wholes[SPINE])
    for diagnosis, code in () if facts.procedures else facts.diagnoses:
        for place, steps in code.surgical_sites.items():
            if place not in found:
                found.add(place)
                shown = ((ITSELF, DIAGNOSIS, diagnosis), (diagnosis, TYPE, code.iri))
                facts.give(ITS_OPERATION, SURGICAL_SITE, place, _SURGICAL, shown, steps)


_SURGICAL = giving("surgicalSite")
