"""The facts of one claim as the rules read them, and add to them.

A rule writes down what follows. Why it follows is told when somebody asks, and few triples are asked about: a rule
that often applies finds its premises again among the facts, one that seldom does leaves them here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kg.graph import Index
from kg.knowledge import Knowledge
from kg.load import Claim
from kg.rules.derived import Pieces, Premises, rule
from kg.rules.tables import REGION, Code, Place, Position, tables_of
from kg.terms import COV, Known, Term, Triple

CODE = COV + "code"
CONUS_LEVEL = COV + "conusLevel"
DIAGNOSIS = COV + "diagnosis"
LEVEL = COV + "level"
PROCEDURE = COV + "procedure"


@dataclass(frozen=True, eq=False, slots=True)
class By:
    """A rule by which triples follow; `pieces` tells their premises, and nothing of triples that follow by another."""

    rule: str
    pieces: Callable[["Facts", Triple], Pieces | None]


Concluded = dict[tuple[Term, str], tuple[By, ...]]


@dataclass(eq=False, slots=True)
class Site:
    """An operated level or region, what shows that it was operated on, and how it lies to the end of the cord."""

    node: str
    place: Place
    operated: Premises
    position: Position

    def lies(self, documented: Premises) -> Pieces:
        """Return what shows the position, with the conus that is documented, if it is."""
        return self.operated, *self.position.premises(documented)


class Facts:
    """The facts of a claim; a part has no code where the ontology does not hold the one that is given."""

    def __init__(self, claim: Claim, knowledge: Knowledge) -> None:
        self.index: Index = claim.index.copy()
        self.concluded: Concluded = {}
        self.tables = tables_of(knowledge)
        self.claim = claim.iri
        self.day = claim.service_date
        self.lines = [(node, self.code(node)) for _, node, _ in claim.lines]
        self.diagnoses = [(node, code) for node in self.nodes(claim.iri, DIAGNOSIS) if (code := self.code(node))]
        self.operation = f"{claim.iri}#operation"
        self.procedures = [
            (node, self.code(node), self.nodes(node, LEVEL)) for node in self.nodes(self.operation, PROCEDURE)
        ]
        conus = self.iri(self.operation, CONUS_LEVEL)
        self.documented: Premises = Known.links((self.operation, CONUS_LEVEL, conus)) if conus else ()
        self.sites: dict[Term, Site] = {}
        self.regions: dict[Term, Premises] = {}  # operated on, each with what shows it
        for place, operated in self._operated().items():
            node = f"{self.claim}#site-{place.name}"
            self.sites[node] = Site(node, place, operated, place.positions[conus])
            if place.region not in self.regions:
                self.regions[place.region] = Known.links(*operated, *place.steps)
        # of findings: what shows each region, and that they are where the operation was; by which rule they are stated
        self.located: dict[Term, tuple[Mapping[Term, Premises], Pieces]] = {}
        self.stated: dict[Term, tuple[str, Pieces]] = {}
        self._given: dict[tuple[str, Triple], Pieces] = {}
        self._pieces: dict[Premises, Premises] = {}
        self._coded: dict[str, Premises] = {}

    # What the claim states

    def code(self, node: str) -> Code | None:
        """Return what is known of the code of a line, procedure or diagnosis."""
        values = self.index.get((node, CODE))
        return self.tables.codes[values[0]] if values else None  # type: ignore[index]  # an IRI, as `load` states it

    def coded(self, node: str) -> Premises:
        """Return the triple that states the code of a line, procedure or diagnosis."""
        known = self._coded.get(node)
        if known is None:
            known = self._coded[node] = Known.links((node, CODE, self.index[node, CODE][0]))
        return known

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
        return Known.links((self.operation, PROCEDURE, procedure), (procedure, predicate, value))

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
                found[place.region] = Known.links(*premises, *place.steps)
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

    def piece(self, *premises: Triple) -> Premises:
        """Return premises as a piece, the same ones always as the same piece."""
        return self._pieces.get(premises) or self._pieces.setdefault(premises, Known(premises))

    def links(self, *premises: Triple) -> Premises:
        """Return premises that name IRIs alone as a piece, likewise."""
        return self._pieces.get(premises) or self._pieces.setdefault(premises, Known.links(*premises))


def giving(name: str) -> By:
    """Return a rule whose conclusions are given with their premises."""
    by = rule(name)
    return By(by, lambda facts, triple: facts.given(by, triple))
