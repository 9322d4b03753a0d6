"""What the rules ask of the knowledge, found once for each code, each place and each level where a cord may end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import chain

from kg.knowledge import Knowledge
from kg.lazy import Table, lazy, work_out
from kg.rules.derived import Pieces, Premises
from kg.terms import ANATOMY, COV, XSD, Known, Literal, Term, Triple, local_name

AT_CORD = COV + "AtCord"
BELOW_CORD = COV + "BelowCord"
CONTINUOUS = COV + "ContinuousMonitoring"
REGION = COV + "region"
CORD = ANATOMY + "SpinalCord"
CONUS = ANATOMY + "ConusMedullaris"
CAUDA_EQUINA = ANATOMY + "CaudaEquina"
TRUE = Literal("true", XSD + "boolean")
Reached = Mapping[Term, Premises]

MANY = 1 << 13  # codes and concepts that are remembered, each; then they are found anew


@dataclass(frozen=True, eq=False, slots=True)
class Period:
    """What the validity of a code is until a day, and what bounds it."""

    until: date
    validity: tuple[Term]
    shown: Premises


class Code:
    """What the ontology and the releases say of a code."""

    def __init__(self, iri: str, knowledge: Knowledge) -> None:
        graph = knowledge.graph
        self.iri = iri
        self.above = knowledge.ancestors(iri)
        self.periods = tuple(
            Period(until or date.max, (COV + status,), shown) for until, status, shown in knowledge.periods(iri)
        )
        self.region = graph.iri(iri, REGION)
        self.takes_operated_region = (iri, COV + "takesOperatedRegion", TRUE) in graph
        self._knowledge = knowledge

    @lazy
    def states(self) -> tuple[str, ...]:
        """Return the conditions that the code states."""
        return self._objects("states")

    @lazy
    def denies(self) -> Mapping[str, Premises]:
        """Return the conditions whose absence the code states, each with the steps that lead there."""
        return self._knowledge.denied_by(self.iri)

    @lazy
    def excludes(self) -> Mapping[str, Premises]:
        """Return the codes that the code excludes, each with the steps that lead there."""
        return self._knowledge.excluded_by(self.iri)

    @lazy
    def surgical_sites(self) -> Mapping[str, Premises]:
        """Return where an operation or disorder of the code is, each place with the steps that lead there."""
        return self._knowledge.surgical_sites(self.iri)

    @lazy
    def courses(self) -> Reached:
        """Return the structures that the pathways of a study run through, each with the way there."""
        return self._knowledge.courses(self.iri)

    @lazy
    def added_to(self) -> tuple[str, ...]:
        """Return the codes, or their kinds, to which the code is added."""
        return self._objects("addOnTo")

    @lazy
    def not_with(self) -> tuple[str, ...]:
        """Return the codes with which the code is not reported."""
        return self._objects("notWith")

    @lazy
    def contained_in(self) -> tuple[str, ...]:
        """Return the codes of comprehensive studies that comprise this one."""
        return tuple(str(whole) for whole in self._knowledge.graph.subjects(COV + "comprises", self.iri))

    @lazy
    def is_continuous(self) -> bool:
        """Say whether the code is reported by time."""
        return CONTINUOUS in self.above

    @lazy
    def unit_minutes(self) -> int | None:
        """Return how many minutes a unit has."""
        return self._knowledge.number(self.iri, COV + "unitMinutes")

    @lazy
    def remainder_minutes(self) -> int | None:
        """Return from how many minutes on a remainder is a unit."""
        return self._knowledge.number(self.iri, COV + "remainderMinutes")

    @lazy
    def timed(self) -> Premises:
        """Return the triples that say how minutes make units."""
        graph, names = self._knowledge.graph, (COV + "unitMinutes", COV + "remainderMinutes")
        return tuple((self.iri, name, value) for name in names for value in graph.objects(self.iri, name))

    def _objects(self, name: str) -> tuple[str, ...]:
        return tuple(str(value) for value in self._knowledge.graph.objects(self.iri, COV + name))

    def period(self, day: date) -> Period:
        """Return what the code is on a day."""
        for period in self.periods:
            if day < period.until:
                return period
        return self.periods[-1]

    def is_valid(self, day: date) -> bool:
        """Say whether the code may be reported on a day."""
        return self.period(day).validity == VALID


VALID = (COV + "ValidCode",)


class Place:
    """A level or region of the spine, and how it lies to the cord by where that ends."""

    def __init__(self, iri: str, knowledge: Knowledge, codes: Mapping[str, Code]) -> None:
        self.iri = iri
        self.name = local_name(iri)
        self.is_level = iri in knowledge.level_iris
        self.wholes = knowledge.wholes(iri)
        self.region, self.steps = knowledge.main_region(iri)
        self.positions: Table[str | None, Position] = Table(lambda conus: Position(iri, conus, knowledge, codes), MANY)


class Position:
    """How a place lies to the end of the cord: by which rule, what shows it, and what is monitored there.

    The cord ends where imaging shows it, else between the earliest and the latest level where cords do.
    """

    def __init__(self, place: str, conus: str | None, knowledge: Knowledge, codes: Mapping[str, Code]) -> None:
        self.conus = conus
        self.values: tuple[str, ...] = ()  # none where the place may lie on either side
        self.rule = ""
        self.shown: Pieces = ()
        for value, name, pieces in _position(place, conus, knowledge):
            self.values, self.rule, self.shown = (value,), name, pieces
        self.encloses = {x: self._at_once(pieces) for x, pieces in _enclosed(place, self, knowledge).items()}
        self.monitored: Table[str, tuple[Term, ...]] = Table(
            lambda code: tuple(structure for structure in self.encloses if structure in codes[code].courses), MANY
        )

    def _at_once(self, pieces: Pieces) -> Pieces:
        """Return steps through the ontology as one, unless what the claim states stands between them."""
        return pieces if self.conus or len(pieces) == 1 else (Known(chain.from_iterable(pieces)),)

    def premises(self, documented: Premises) -> Pieces:
        """Return what shows the position, with the conus that is documented, if it is."""
        return _with(self.shown, documented)

    def enclosing(self, structure: Term, documented: Premises) -> Pieces:
        """Return what shows that the canal holds a structure there."""
        pieces = self.encloses[structure]
        return pieces if len(pieces) == 1 else _with(pieces, documented)


def _with(pieces: Pieces, documented: Premises) -> Pieces:
    """Put the conus that is documented between the walk to it and what follows from it."""
    return (*pieces[:-1], documented, pieces[-1]) if documented and pieces else pieces


def _position(place: str, conus: str | None, know: Knowledge) -> Iterator[tuple[str, str, Pieces]]:
    """Yield how a place lies to the cord, if that is known: the walk to the bound, and why the bound is there."""
    first, last = know.extent(place)
    if conus:
        bound = know.interspace_at_or_under(conus)
        why = know.walk(bound, conus)
        below, beside = (bound, why, "belowConus"), (bound, why, "atConus")
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
        return
    extent = know.wholes(end)[place] if end != place else ()
    yield value, name, (Known((*extent, *walk)), Known(why))


def _enclosed(place: str, position: Position, knowledge: Knowledge) -> dict[Term, Pieces]:
    """Return what the canal holds at a place; what it holds of the cord depends on where the cord ends."""
    enclosed = knowledge.enclosed(place)
    roots: dict[Term, Pieces] = {x: (why,) for x, why in enclosed.items() if not knowledge.is_cord(x)}
    if not position.values:
        return roots
    if position.values == (BELOW_CORD,):
        return roots if CAUDA_EQUINA in roots else {**roots, CAUDA_EQUINA: position.shown}
    if len(roots) == len(enclosed):
        return {**roots, CONUS: position.shown}
    return {x: roots.get(x, (why, *position.shown)) for x, why in enclosed.items()}


class Tables:
    """What the rules look up: what is said of codes and of places, and which facts together state another."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self.codes: Table[str, Code] = Table(lambda code: Code(code, knowledge), MANY)
        self.places: Table[str, Place] = Table(lambda place: Place(place, knowledge, self.codes), MANY)
        self.combinations = knowledge.combinations
        parts = {part for _, combined, _ in self.combinations for part in combined}
        self.kinds: Table[str, Reached] = Table(  # those of which combinations are made that a concept is at or below
            lambda concept: {part: steps for part, steps in knowledge.ancestors(concept).items() if part in parts}, MANY
        )
        self.absences: Table[str, tuple[Triple, ...]] = Table(
            lambda role: tuple((role, ABSENCE, x) for x in knowledge.graph.objects(role, ABSENCE)), MANY
        )

    def fill(self) -> None:
        """Look up all that claims ask of the codes that the ontology describes, and of places where cords end there."""
        for code in self.knowledge.codes:
            work_out(self.codes[code])
            self.kinds[code]
        for place in (*self.knowledge.levels.values(), *self.knowledge.regions.values()):
            self.places[place].positions[None]


ABSENCE = COV + "statesAbsenceOf"


def tables_of(knowledge: Knowledge) -> Tables:
    """Return the tables of the knowledge."""
    return knowledge.remember(("tables of the rules",), lambda: Tables(knowledge))
