"""Where the operation was, where the cord ends, and what each line monitors there."""

from kg.rules.derived import Pieces, rule
from kg.rules.facts import CODE, DIAGNOSIS, LEVEL, By, Facts, Site, giving
from kg.rules.tables import CONUS, TRUE, Code
from kg.terms import ANATOMY, COV, TYPE, Term, Triple

SPINE = ANATOMY + "VertebralColumn"
SITE = COV + "site"
EXPOSURE = COV + "exposure"
AT_SITE = COV + "atSite"
AT_RISK = COV + "atRisk"
IS_SETTLED = COV + "isSettled"
CORD_POSITION = COV + "cordPosition"
SURGICAL_SITE = COV + "surgicalSite"


def operation(facts: Facts) -> None:
    """Conclude sites, their positions to the cord, exposures, and the surgical site."""
    for site in facts.sites.values():
        by = _SITES[site.place.is_level]
        facts.conclude(facts.operation, SITE, (site.node,), by)
        facts.conclude(site.node, LEVEL, (site.place.iri,), by)
    for site in facts.sites.values():
        if site.position.values:
            facts.conclude(site.node, CORD_POSITION, site.position.values, _POSITIONS[site.position.rule])
    if facts.sites:
        for line, code in facts.lines:
            if code and code.courses:
                _expose(facts, line, code)
    _locate(facts)


def _expose(facts: Facts, line: str, code: Code) -> None:
    """Conclude what a line monitors at each site, and whether that is settled."""
    index, concluded = facts.index, facts.concluded  # written at once: of an exposure nothing is known before
    nodes = tuple([f"{line}-at-{site.place.name}" for site in facts.sites.values()])
    facts.conclude(line, EXPOSURE, nodes, _EXPOSURE)
    for node, site in zip(nodes, facts.sites.values(), strict=True):
        key = node, AT_SITE
        index[key], concluded[key] = (site.node,), _EXPOSURE
        if site.position.values or CONUS not in code.courses:
            key = node, IS_SETTLED
            index[key], concluded[key] = _TRUE, _SETTLED
        if structures := site.position.monitored[code.iri]:
            key = node, AT_RISK
            index[key], concluded[key] = structures, _AT_RISK


def _locate(facts: Facts) -> None:
    """Conclude where the operation was: by its procedures and levels, else by its diagnoses (decision rule 11)."""
    found: set[str] = set()
    for procedure, code, _ in facts.procedures:
        for place, steps in code.surgical_sites.items() if code else ():
            if code and place not in found:
                found.add(place)
                facts.give(facts.operation, SURGICAL_SITE, place, _SURGICAL, facts.of(procedure, CODE, code.iri), steps)
    if facts.sites and SPINE not in found:
        site = next(iter(facts.sites.values()))
        facts.give(facts.operation, SURGICAL_SITE, SPINE, _SURGICAL, site.operated, site.place.wholes[SPINE])
    for diagnosis, code in () if facts.procedures else facts.diagnoses:
        for place, steps in code.surgical_sites.items():
            if place not in found:
                found.add(place)
                shown = ((facts.claim, DIAGNOSIS, diagnosis), (diagnosis, TYPE, code.iri))
                facts.give(facts.operation, SURGICAL_SITE, place, _SURGICAL, shown, steps)


# Why it follows


def _why_level(facts: Facts, triple: Triple) -> Pieces | None:
    site = facts.sites[triple[2] if triple[1] == SITE else triple[0]]
    return (site.operated,) if site.place.is_level else None


def _why_region(facts: Facts, triple: Triple) -> Pieces | None:
    site = facts.sites[triple[2] if triple[1] == SITE else triple[0]]
    return None if site.place.is_level else (site.operated,)


def _why_position(facts: Facts, triple: Triple) -> Pieces:
    return facts.sites[triple[0]].lies(facts.documented)


def _why_exposed(facts: Facts, triple: Triple) -> Pieces:
    line, site = _exposed(facts, triple[2] if triple[1] == EXPOSURE else triple[0])
    return facts.coded(line), site.operated


def _why_settled(facts: Facts, triple: Triple) -> Pieces:
    line, site = _exposed(facts, triple[0])
    return facts.coded(line), *site.lies(facts.documented)


def _why_at_risk(facts: Facts, triple: Triple) -> Pieces:
    line, site = _exposed(facts, triple[0])
    courses = facts.tables.codes[str(facts.iri(line, CODE))].courses
    enclosing = site.position.enclosing(triple[2], facts.documented)
    return facts.coded(line), courses[triple[2]], site.operated, *enclosing


def _exposed(facts: Facts, node: Term) -> tuple[str, Site]:
    """Return which line monitors which site."""
    return str(node).rpartition("-at-")[0], facts.sites[facts.index[node, AT_SITE][0]]


_TRUE = (TRUE,)
_SITES = {True: (By(rule("siteOfLevel"), _why_level),), False: (By(rule("siteOfCode"), _why_region),)}
_POSITIONS = {name: (By(rule(name), _why_position),) for name in ("atCord", "belowCord", "atConus", "belowConus")}
_EXPOSURE = (By(rule("exposure"), _why_exposed),)
_SETTLED = (By(rule("settled"), _why_settled),)
_AT_RISK = (By(rule("atRisk"), _why_at_risk),)
_SURGICAL = giving("surgicalSite")
