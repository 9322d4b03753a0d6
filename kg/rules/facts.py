"""The facts of one claim as the rules read them, and add to them.

A rule writes down what follows. Why it follows is told when somebody asks, and few triples are asked about: a rule
that often applies finds its premises again among the facts, one that seldom does leaves them here.
"""

from collections.abc import Mapping

from kg.graph import Index
from kg.knowledge import Knowledge
from kg.load import Claim
from kg.rules.derived import By, Pieces, Premises, rule
from kg.rules.sites import CONUS_LEVEL, LEVEL, Concluded, Kept, Site
from kg.rules.tables import REGION, Code, Place, tables_of
from kg.terms import COV, ITS_OPERATION, ITSELF, Term, Triple

CODE = COV + "code"
DIAGNOSIS = COV + "diagnosis"
PROCEDURE = COV + "procedure"


class Facts:
    """The facts of a claim; a part has no code where the ontology does not hold the one that is given."""

    def __init__(self, claim: Claim, knowledge: Knowledge) -> None:
        self.index: Index = claim.index.copy()
        self.concluded: Concluded = {}
        self.tables = tables_of(knowledge)
        self.day = claim.service_date
        self.lines = [(node, self.code(node)) for _, node, _ in claim.lines]
        self.diagnoses = [(node, code) for node in self.nodes(ITSELF, DIAGNOSIS) if (code := self.code(node))]
        self.procedures = [
            (node, self.code(node), self.nodes(node, LEVEL)) for node in self.nodes(ITS_OPERATION, PROCEDURE)
        ]
        conus = self.iri(ITS_OPERATION, CONUS_LEVEL)
        sites: list[Site] = []
        self.kept = knowledge.remember(("parts of claims",), Kept)
        self.regions: dict[Term, Premises] = {}  # operated on, each with what shows it
        for place, operated in self._operated().items():
            site = self.kept.sites[place, operated, conus]
            sites.append(site)
            self.regions.setdefault(place.region, site.in_region)
        self.sites = tuple(sites)
        # of findings: what shows each region, and that they are where the operation was; by which rule they are stated
        self.located: dict[Term, tuple[Mapping[Term, Premises], Pieces]] = {}
        self.stated: dict[Term, tuple[str, Pieces]] = {}
        self._given: dict[tuple[str, Triple], Pieces] = {}

    # What the claim states

    def code(self, node: str) -> Code | None:
        """Return what is known of the code of a line, procedure or diagnosis."""
        values = self.index.get((node, CODE))
        return self.tables.codes[values[0]] if values else None  # type: ignore[index]  # an IRI, as `load` states it

    def coded(self, node: str) -> Premises:
        """Return the triple that states the code of a line, procedure or diagnosis."""
        return ((node, CODE, self.index[node, CODE][0]),)

    def nodes(self, subject: str, predicate: str) -> tuple[str, ...]:
        """Return the values of a property whose values are IRIs."""
        return self.index.get((subject, predicate), ())  # type: ignore[return-value]  # as `load` states them

    def iri(self, subject: str, predicate: str) -> str | None:
        """Return the first value of a property whose values are IRIs."""
        values = self.index.get((subject, predicate))
        return values[0] if values else None  # type: ignore[return-value]  # as `load` states them

    def value(self, subject: str, predicate: str) -> Term | None:
        """Return the first value of a property."""
        values = self.index.get((subject, predicate))
        return values[0] if values else None

    # Where the operation was

    def _operated(self) -> dict[Place, Premises]:
        """Return the operated levels; a region where a procedure names its region and nothing names levels in it."""
        places = self.tables.places
        levels: dict[Place, Premises] = {}
        for procedure, _, named in self.procedures:
            for level in named:
                if places[level] not in levels:
                    levels[places[level]] = self.of(procedure, LEVEL, level)
        regions: dict[Place, Premises] = {}
        for procedure, code, named in self.procedures:
            if code and code.region and not named and not any(code.region in level.wholes for level in levels):
                regions.setdefault(places[code.region], self.in_region(procedure, code))
        return levels | regions

    def of(self, procedure: str, predicate: str, value: Term) -> Premises:
        """Return the triples that show what a procedure of the operation has."""
        return (ITS_OPERATION, PROCEDURE, procedure), (procedure, predicate, value)

    def in_region(self, procedure: str, code: Code) -> Premises:
        """Return what shows that a procedure is in the region that its code names."""
        return (*self.of(procedure, CODE, code.iri), (code.iri, REGION, code.region or ""))

    def regions_of(self, procedure: str, code: Code, levels: tuple[str, ...]) -> Mapping[Term, Premises]:
        """Return the main regions of one procedure: of its levels, else of its code, else those operated on."""
        shown = {level: self.of(procedure, LEVEL, level) for level in levels}
        if not shown and code.region:
            shown = {code.region: self.in_region(procedure, code)}
        found: dict[Term, Premises] = {}
        for iri, premises in shown.items():
            place = self.tables.places[iri]
            if place.region not in found:
                found[place.region] = (*premises, *place.steps)
        return found or self.regions

    # What follows, and why

    def conclude(self, subject: str, predicate: str, values: tuple[Term, ...], by: tuple[By, ...]) -> None:
        """Add values of a property of a node that follow by some rules."""
        key = subject, predicate
        known = self.index.get(key)
        if known is None:
            self.index[key], self.concluded[key] = values, by
        else:
            self.index[key] = (*known, *[value for value in values if value not in known])
            before = self.concluded.get(key, ())
            self.concluded[key] = (*before, *[rule for rule in by if rule not in before])

    def give(self, subject: str, predicate: str, value: Term, by: By, *pieces: Premises) -> None:
        """Add a value of a property of a node, with its premises."""
        self._given[by.rule, (subject, predicate, value)] = pieces
        self.conclude(subject, predicate, (value,), (by,))

    def given(self, by: str, triple: Triple) -> Pieces | None:
        """Return the premises with which a triple was given."""
        return self._given.get((by, triple))


def giving(name: str) -> By:
    """Return a rule whose conclusions are given with their premises."""
    by = rule(name)
    return By(by, lambda facts, triple: facts.given(by, triple))
