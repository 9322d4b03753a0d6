"""Where the operation was, where the cord ends, and what each line monitors there."""

from kg.rules.facts import CODE, DIAGNOSIS, Facts, giving
from kg.rules.sites import Together
from kg.terms import ANATOMY, COV, ITS_OPERATION, ITSELF, TYPE

SPINE = ANATOMY + "VertebralColumn"
SITE = COV + "site"
EXPOSURE = COV + "exposure"
SURGICAL_SITE = COV + "surgicalSite"


def operation(facts: Facts) -> None:
    """Conclude sites, their positions to the cord, exposures, and the surgical site."""
    if facts.sites:
        _conclude(facts, ITS_OPERATION, SITE, facts.kept.together[facts.sites])
        for line, code in facts.lines:
            if code and code.courses:
                _conclude(facts, line, EXPOSURE, facts.kept.exposed[line, code, facts.sites])
    _locate(facts)


def _conclude(facts: Facts, subject: str, predicate: str, together: Together) -> None:
    """Conclude which nodes a node leads to, and what they are; of these nothing is known before."""
    facts.conclude(subject, predicate, together.nodes, together.by)
    facts.index.update(together.values)
    facts.concluded.update(together.concluded)


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
