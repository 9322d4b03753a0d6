"""What is known of the patient: where findings are, what codes and roles state, what facts state together."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import NamedTuple

from kg.rules.derived import Pieces, Premises, joined, rule
from kg.rules.facts import CODE, By, Facts, giving
from kg.rules.tables import REGION, TRUE, Code
from kg.terms import COV, TYPE, Term, Triple, local_name

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

Regions = Mapping[Term, Premises]  # each with what shows that something is there


class Part(NamedTuple):
    """A present finding of which a combination may be made: what it is, its regions, and what shows both."""

    kinds: Mapping[Term, Premises]
    regions: tuple[Term, ...]
    premises: Pieces
    where: Regions


def patient(facts: Facts) -> None:
    """Conclude the regions of findings and the findings that codes, roles and other findings state."""
    _Patient(facts).conclude()


class _Patient:
    """The findings of a claim; where the operation was, they are in the end."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.everywhere = tuple(facts.regions)
        self.and_operated = (*self.everywhere, OPERATED_REGION)
        self.parts: list[Part] = []
        self.operated: list[tuple[str, Pieces]] = []

    def conclude(self) -> None:
        facts = self.facts
        for node in facts.nodes(facts.claim, FINDING):
            if concept := facts.iri(node, CONCEPT):
                self.recorded(node, concept)
            elif code := facts.code(node):
                self.coded(node, code)
        for procedure, code, levels in facts.procedures:
            if code and code.states:
                self.stated_by_procedure(procedure, code, levels)
        if self.parts:
            self.combine()
        for node, pieces in self.operated:
            facts.give(node, REGION, OPERATED_REGION, _IN_OPERATED, *pieces)
        for line, _ in facts.lines:
            if performer := facts.iri(line, PERFORMER):
                self.stated_by_role(line, performer)

    def recorded(self, node: str, concept: str) -> None:
        """Conclude where a listed fact is; without a region, it concerns the operated one (decision rule 3)."""
        facts, regions = self.facts, self.everywhere
        where: Regions = facts.regions
        further: Pieces = ()
        if region := facts.iri(node, REGION):
            place = facts.tables.places[region]
            whole = place.region == region or facts.iri(node, STATUS) == PRESENT
            regions, where, further = (place.region,) if whole else (), {}, (((node, REGION, region),), place.steps)
            self.locate(node, regions, _recorded(facts, node), *further)
        elif regions:
            facts.conclude(node, REGION, self.and_operated, _OPERATED, _IN_OPERATED)
        else:
            self.operated.append((node, (_recorded(facts, node),)))
        if (kinds := facts.tables.kinds[concept]) and facts.iri(node, STATUS) == PRESENT:
            self.parts.append(Part(kinds, regions, (_recorded(facts, node), *further), where))

    def locate(self, node: str, regions: Iterable[Term], *pieces: Premises) -> None:
        """Keep a finding that is in a region operated on; of an absence, the region is a whole main region."""
        region = next((region for region in regions if region in self.facts.regions), None)
        if region is not None:
            self.operated.append((node, (*pieces, self.facts.regions[region])))

    def coded(self, node: str, code: Code) -> None:
        """Conclude where a diagnosis is, and what its code denies there."""
        facts = self.facts
        typed: Premises = ((node, TYPE, code.iri),)
        shown, by = typed, _OPERATED
        where: dict[Term, Premises] = {}  # what a denial is about
        regions: tuple[Term, ...] = ()
        if code.region:
            place = facts.tables.places[code.region]
            where[code.region] = (*typed, (code.iri, REGION, code.region))
            regions, by, shown = (place.region,), _OF_CODE, (*where[code.region], *place.steps)
            self.locate(node, regions, shown)
        elif code.takes_operated_region:
            shown = (*typed, (code.iri, TAKES_OPERATED_REGION, TRUE))
            where.update((region, (*shown, *premises)) for region, premises in facts.regions.items())
            regions = self.everywhere
            self.operated.append((node, (shown,)))
        self.put(node, where, by)
        if kinds := facts.tables.kinds[code.iri]:
            self.parts.append(Part(kinds, regions, (shown,), {} if code.region else where))
        for concept, steps in code.denies.items():
            denial = f"{node}-denies-{local_name(concept)}"
            self.state(facts.claim, denial, concept, ABSENT, _DENIES, typed, steps)
            self.put(denial, where, by)
            if code.takes_operated_region and not code.region:
                self.operated.append((denial, (shown, steps)))
            else:
                self.locate(denial, [region for region in where if region in regions], shown, steps)

    def put(self, node: str, regions: Regions, by: By) -> None:
        """Conclude the regions of a finding."""
        for region, premises in regions.items():
            self.facts.give(node, REGION, region, by, premises)

    def state(self, of: str, node: str, concept: str, status: str, by: By, *pieces: Premises) -> None:
        """Conclude a finding."""
        self.facts.give(of, FINDING, node, by, *pieces)
        self.facts.give(node, CONCEPT, concept, by, *pieces)
        self.facts.give(node, STATUS, status, by, *pieces)

    def stated_by_procedure(self, procedure: str, code: Code, levels: tuple[str, ...]) -> None:
        """Conclude what the code of a procedure states where that was done."""
        facts = self.facts
        regions = facts.regions_of(procedure, code, levels)
        for concept in code.states:
            node = f"{procedure}-{local_name(concept)}"
            shown = (*facts.of(procedure, CODE, code.iri), (code.iri, STATES, concept))
            self.state(facts.claim, node, concept, PRESENT, _STATES, shown)
            self.put(node, regions, _OPERATED)
            self.operated.append((node, (shown,)))
            if kinds := facts.tables.kinds[concept]:
                self.parts.append(Part(kinds, tuple(regions), (shown,), regions))

    def combine(self) -> None:
        """Conclude what findings in one region state together."""
        facts = self.facts
        for combination, kinds, whole in facts.tables.combinations:
            done = set()
            for chosen in product(*([part for part in self.parts if kind in part.kinds] for kind in kinds)):
                for region in chosen[0].regions:
                    if region in done or not all(region in part.regions for part in chosen):
                        continue
                    done.add(region)
                    node = f"{facts.claim}#{local_name(combination)}-{local_name(str(region))}"
                    shown = joined(
                        piece
                        for part, kind in zip(chosen, kinds, strict=True)
                        for piece in (*part.premises, part.kinds[kind], part.where.get(region, ()))
                    )
                    self.state(facts.claim, node, whole, PRESENT, _COMBINATION, shown)
                    self.put(node, {region: shown}, _COMBINATION)
                    self.locate(node, (region,), shown)

    def stated_by_role(self, line: str, performer: str) -> None:
        """Conclude what the role of the performer of a line denies."""
        role = str(self.facts.iri(performer, ROLE))
        for absence in self.facts.tables.absences[role]:
            concept = str(absence[2])
            node = f"{line}-denies-{local_name(concept)}"
            shown = ((line, PERFORMER, performer), (performer, ROLE, role), absence)
            self.state(line, node, concept, ABSENT, _ROLE, shown)


# Why it follows


def _recorded(facts: Facts, node: str) -> Premises:
    """Return what states a listed fact."""
    return facts.piece((node, CONCEPT, facts.index[node, CONCEPT][0]), (node, STATUS, facts.index[node, STATUS][0]))


def _why_operated(facts: Facts, triple: Triple) -> Pieces | None:
    given = facts.given(_OPERATED.rule, triple)
    return given or ((facts.regions[triple[2]],) if triple[2] in facts.regions else None)


def _why_in_operated(facts: Facts, triple: Triple) -> Pieces | None:
    if triple[2] != OPERATED_REGION:
        return None
    return facts.given(_IN_OPERATED.rule, triple) or (_recorded(facts, str(triple[0])),)


_OPERATED = By(rule("operatedRegion"), _why_operated)
_IN_OPERATED = By(rule("inOperatedRegion"), _why_in_operated)
_OF_CODE, _DENIES, _STATES, _COMBINATION, _ROLE = map(
    giving, ("codeRegion", "codeDenies", "codeStates", "combination", "roleStates")
)
