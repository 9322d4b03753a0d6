"""What is known of the patient: where findings are, what codes and roles state, what facts state together."""

from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

from kg.rules.derived import Conclusion, Pieces, Premises, joined, rule
from kg.rules.operation import Operation
from kg.rules.stated import CODE, Stated
from kg.rules.tables import REGION, TRUE, Code
from kg.terms import COV, TYPE, Term, local_name

PRESENT = COV + "Present"
ABSENT = COV + "Absent"
OPERATED_REGION = COV + "OperatedRegion"
TAKES_OPERATED_REGION = COV + "takesOperatedRegion"
FINDING = COV + "finding"
CONCEPT = COV + "concept"
STATUS = COV + "status"
STATES = COV + "states"
PERFORMER = COV + "performer"
ROLE = COV + "role"
_OPERATED, _IN_OPERATED, _OF_CODE, _DENIES, _STATES, _COMBINATION, _ROLE = map(
    rule, ("operatedRegion", "inOperatedRegion", "codeRegion", "codeDenies", "codeStates", "combination", "roleStates")
)
_IN_OPERATED_REGION = (OPERATED_REGION,)

Regions = Mapping[Term, Premises]  # each with what shows that a finding is there


class Part(NamedTuple):
    """A present finding of which a combination may be made: what it is, its regions, and what shows both."""

    kinds: Mapping[Term, Premises]
    regions: tuple[Term, ...]
    premises: Pieces
    where: Regions


class Patient:
    """The findings of a claim."""

    def __init__(self, stated: Stated, operation: Operation) -> None:
        self.stated = stated
        self.operation = operation
        self.operated: Regions = operation.regions
        self.everywhere = tuple(operation.regions)
        self.found: list[Conclusion] = []
        self.located: list[Conclusion] = []  # that findings are where the operation was
        self.parts: list[Part] = []

    def conclusions(self) -> list[Conclusion]:
        """Return the regions of findings and the findings that codes, roles and other findings state."""
        stated = self.stated
        for node in stated.nodes(stated.claim, FINDING):
            if concept := stated.iri(node, CONCEPT):
                self._recorded(node, concept)
            elif code := stated.code(node):
                self._coded(node, code)
        for procedure, code, levels in stated.procedures:
            if code and code.states:
                self._stated_by_procedure(procedure, code, levels)
        if self.parts:
            self._combine()
        self.found += self.located
        for line, _ in stated.lines:
            if performer := stated.iri(line, PERFORMER):
                self._stated_by_role(line, performer)
        return self.found

    def _recorded(self, node: str, concept: str) -> None:
        """Conclude where a listed fact is; without a region, it concerns the operated one (decision rule 3)."""
        status = str(self.stated.iri(node, STATUS))
        regions, where = self.everywhere, self.operated
        pieces: Pieces = (((node, CONCEPT, concept), (node, STATUS, status)),)
        if region := self.stated.iri(node, REGION):
            place = self.stated.tables.places[region]
            pieces = (*pieces, ((node, REGION, region),), place.steps)
            regions, where = (place.region,) if status == PRESENT or place.region == region else (), {}
            self._locate(node, regions, pieces)
        else:
            self._follow(node, pieces)
            if regions:
                self.found.append(Conclusion(node, REGION, regions, _OPERATED, self._by_region))
        if status == PRESENT and (kinds := self.stated.tables.kinds[concept]):
            self.parts.append(Part(kinds, regions, pieces, where))

    def _by_region(self, region: Term) -> Pieces:
        return (self.operated[region],)

    def _follow(self, node: str, pieces: Pieces) -> None:
        """Keep a finding that is where the operation was, wherever that is."""
        self.located.append(Conclusion(node, REGION, _IN_OPERATED_REGION, _IN_OPERATED, pieces))

    def _locate(self, node: str, regions: tuple[Term, ...], pieces: Pieces) -> None:
        """Keep a finding that is in a region operated on; of an absence, the region is a whole main region."""
        region = next((region for region in regions if region in self.operated), None)
        if region is not None:
            self._follow(node, (*pieces, self.operated[region]))

    def _coded(self, node: str, code: Code) -> None:
        """Conclude where a diagnosis is, and what its code denies there."""
        shown: Premises = ((node, TYPE, code.iri),)
        typed, by = (shown,), _OPERATED
        where: dict[Term, Premises] = {}
        regions: tuple[Term, ...] = ()
        if code.region:
            place = self.stated.tables.places[code.region]
            where[code.region] = (*shown, (code.iri, REGION, code.region))
            regions, by, shown = (place.region,), _OF_CODE, (*where[code.region], *place.steps)
            self._locate(node, regions, (shown,))
        elif code.takes_operated_region:
            shown = (*shown, (code.iri, TAKES_OPERATED_REGION, TRUE))
            where.update((region, (*shown, *steps)) for region, steps in self.operated.items())
            regions = self.everywhere
            self._follow(node, (shown,))
        if where:
            self.found.append(Conclusion(node, REGION, tuple(where), by, lambda region: (where[region],)))
        if kinds := self.stated.tables.kinds[code.iri]:
            self.parts.append(Part(kinds, regions, (shown,), {} if code.region else where))
        for concept, steps in code.denies.items():
            denial = f"{node}-denies-{local_name(concept)}"
            self._state(self.stated.claim, denial, concept, ABSENT, _DENIES, (*typed, steps))
            if where:
                self.found.append(Conclusion(denial, REGION, tuple(where), by, lambda region: (where[region],)))
            if code.region or not code.takes_operated_region:
                self._locate(denial, tuple(region for region in where if region in regions), (shown, steps))
            else:
                self._follow(denial, (shown, steps))

    def _state(self, of: str, node: str, concept: str, status: str, by: str, pieces: Pieces) -> None:
        """Conclude a finding."""
        self.found.append(Conclusion(of, FINDING, (node,), by, pieces))
        self.found.append(Conclusion(node, CONCEPT, (concept,), by, pieces))
        self.found.append(Conclusion(node, STATUS, (status,), by, pieces))

    def _stated_by_procedure(self, procedure: str, code: Code, levels: tuple[str, ...]) -> None:
        """Conclude what the code of a procedure states where that was done."""
        regions = self.operation.regions_of(procedure, code, levels)
        for concept in code.states:
            node = f"{procedure}-{local_name(concept)}"
            pieces = ((*self.stated.of(procedure, CODE, code.iri), (code.iri, STATES, concept)),)
            self._state(self.stated.claim, node, concept, PRESENT, _STATES, pieces)
            if regions:
                self.found.append(Conclusion(node, REGION, tuple(regions), _OPERATED, lambda x: (regions[x],)))
            self._follow(node, pieces)
            if kinds := self.stated.tables.kinds[concept]:
                self.parts.append(Part(kinds, tuple(regions), pieces, regions))

    def _combine(self) -> None:
        """Conclude what findings in one region state together."""
        for combination, kinds, whole in self.stated.tables.combinations:
            done = set()
            for chosen in product(*([part for part in self.parts if kind in part.kinds] for kind in kinds)):
                for region in chosen[0].regions:
                    if region in done or not all(region in part.regions for part in chosen):
                        continue
                    done.add(region)
                    node = f"{self.stated.claim}#{local_name(combination)}-{local_name(str(region))}"
                    shown = joined(
                        piece
                        for part, kind in zip(chosen, kinds, strict=True)
                        for piece in (*part.premises, part.kinds[kind], part.where.get(region, ()))
                    )
                    self._state(self.stated.claim, node, whole, PRESENT, _COMBINATION, (shown,))
                    self.found.append(Conclusion(node, REGION, (region,), _COMBINATION, (shown,)))
                    self._locate(node, (region,), (shown,))

    def _stated_by_role(self, line: str, performer: str) -> None:
        """Conclude what the role of the performer of a line denies."""
        role = str(self.stated.iri(performer, ROLE))
        for absence in self.stated.tables.absences[role]:
            concept = str(absence[2])
            node = f"{line}-denies-{local_name(concept)}"
            shown = ((line, PERFORMER, performer), (performer, ROLE, role), absence)
            self._state(line, node, concept, ABSENT, _ROLE, (shown,))
