"""The places of an operation, what a line monitors at each, and to which line it is added, with what shows it.

All name parts of a claim as it calls them itself: they are the same for all claims where the same part of the
operation was at the same place, and a line has the same code, and are kept for these.
"""

from collections.abc import Iterable

from kg.lazy import Table
from kg.rules.derived import By, Pieces, Premises, rule
from kg.rules.tables import CONUS, MANY, TRUE, Code, Place
from kg.terms import COV, ITS_OPERATION, Alike, Known, Term

ADD_ON_TO = COV + "addOnTo"
AT_RISK = COV + "atRisk"
AT_SITE = COV + "atSite"
CODE = COV + "code"
CONUS_LEVEL = COV + "conusLevel"
CORD_POSITION = COV + "cordPosition"
IS_SETTLED = COV + "isSettled"
LEVEL = COV + "level"

NODES = 4  # with which what is found of them is kept; of more it is too much: the square of their number
GROUPS = 1 << 12  # of nodes that are kept, each with what is found of them

Values = dict[tuple[Term, str], tuple[Term, ...]]
Concluded = dict[tuple[Term, str], tuple[By, ...]]


class Site:
    """An operated level or region, what shows that it was operated on, and how it lies to the end of the cord."""

    def __init__(self, place: Place, operated: Premises, conus: str | None) -> None:
        node = self.node = f"#site-{place.name}"
        self.place = place
        self.operated = operated
        self.in_region: Premises = Known((*operated, *place.steps))  # what shows that its region was operated on
        self.position = place.positions[conus]
        self.documented: Premises = ((ITS_OPERATION, CONUS_LEVEL, conus),) if conus else ()
        self.lies = operated, *self.position.premises(self.documented)
        self.by = By.always(rule("siteOfLevel" if place.is_level else "siteOfCode"), node, operated)
        self.values: Values = {(node, LEVEL): (place.iri,)}
        self.concluded: Concluded = {(node, LEVEL): (self.by,)}
        if self.position.values:
            self.values[node, CORD_POSITION] = self.position.values
            self.concluded[node, CORD_POSITION] = (By.always(rule(self.position.rule), node, *self.lies),)


class Exposure:
    """What a line of some code monitors at a site, and whether that is settled."""

    def __init__(self, line: str, code: Code, site: Site) -> None:
        node = self.node = f"{line}-at-{site.place.name}"
        coded = ((line, CODE, code.iri),)
        self.by = By.always(rule("exposure"), node, coded, site.operated)
        self.values: Values = {(node, AT_SITE): (site.node,)}
        self.concluded: Concluded = {(node, AT_SITE): (self.by,)}
        if site.position.values or CONUS not in code.courses:
            self.values[node, IS_SETTLED] = (TRUE,)
            self.concluded[node, IS_SETTLED] = (By.always(rule("settled"), node, coded, *site.lies),)
        if structures := site.position.monitored[code.iri]:
            shown: dict[Term, Pieces] = {}
            for x in structures:
                enclosing = site.position.enclosing(x, site.documented)
                shown[x] = coded, code.courses[x], site.operated, *enclosing
            self.values[node, AT_RISK] = structures
            self.concluded[node, AT_RISK] = (By(rule("atRisk"), lambda facts, triple: shown[triple[2]], alike=True),)


class Together:
    """The sites of an operation, or what a line monitors at these: nodes, and all that follows of them."""

    def __init__(self, parts: Iterable[Site | Exposure]) -> None:
        self.values: Values = {}
        self.concluded: Concluded = {}
        nodes, by = [], []
        for part in parts:
            nodes.append(part.node)
            by.append(part.by)
            self.values |= part.values
            self.concluded |= part.concluded
        self.nodes = Alike(nodes) if len(nodes) <= NODES else tuple(nodes)
        self.by = tuple(by)


def added(line: str, code: Code, parent: str, base: str, other: Code) -> By:
    """Return the rule by which a line is added to another, whose code is or is a kind of what its own is added to."""
    shown = ((line, CODE, code.iri), (code.iri, ADD_ON_TO, parent), (base, CODE, other.iri))
    return By.always(rule("baseLine"), base, shown, other.above[parent])


class Kept:
    """The sites, exposures and base lines of lately."""

    def __init__(self) -> None:
        self.base_lines: Table[tuple[str, Code, str, str, Code], By] = Table(lambda key: added(*key), MANY)
        self.sites: Table[tuple[Place, Premises, str | None], Site] = Table(lambda key: Site(*key), MANY)
        self.together: Table[tuple[Site, ...], Together] = Table(Together, GROUPS)
        self.exposures: Table[tuple[str, Code, Site], Exposure] = Table(lambda key: Exposure(*key), MANY)
        self.exposed: Table[tuple[str, Code, tuple[Site, ...]], Together] = Table(self._exposed, GROUPS)

    def _exposed(self, key: tuple[str, Code, tuple[Site, ...]]) -> Together:
        line, code, sites = key
        return Together(self.exposures[line, code, site] for site in sites)
