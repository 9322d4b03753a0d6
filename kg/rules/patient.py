"""What is known of the patient: where findings are, what codes and roles state, what facts state together."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import NamedTuple

from kg.rules.derived import By, Pieces, Premises, joined, rule
from kg.rules.facts import CODE, Facts
from kg.rules.tables import REGION, TRUE, Code
from kg.terms import COV, ITSELF, TYPE, Term, Triple, local_name

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
    found = _Findings(facts)
    for node in facts.nodes(ITSELF, FINDING):
        if concept := facts.iri(node, CONCEPT):
            found.recorded(node, concept)
        elif code := facts.code(node):
            found.coded(node, code)
    for procedure, known, levels in facts.procedures:
        if known and known.states:
            found.stated_by_procedure(procedure, known, levels)
    if found.parts:
        found.combine()
    for node in found.unlocated:
        facts.conclude(node, REGION, (OPERATED_REGION,), (_IN_OPERATED,))
    for line, _ in facts.lines:
        if performer := facts.iri(line, PERFORMER):
            found.stated_by_role(line, performer)


class _Findings:
    """The findings of a claim, as they are found."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.everywhere = tuple(facts.regions)
        self.and_operated = (*self.everywhere, OPERATED_REGION)
        self.parts: list[Part] = []
        self.unlocated: list[str] = []  # where the operation was, though no region follows for them

    def recorded(self, node: str, concept: str) -> None:
        """Conclude where a listed fact is; without a region, it concerns the operated one (decision rule 3)."""
        facts, regions = self.facts, self.everywhere
        where: Regions = facts.regions
        further: Pieces = ()
        if region := facts.iri(node, REGION):
            place = facts.tables.places[region]
            whole = place.region == region or facts.iri(node, STATUS) == PRESENT  # of an absence, of all of a region
            regions, where, further = (place.region,) if whole else (), {}, (((node, REGION, region),), place.steps)
            self.locate(node, _OPERATED, {}, self.operated(regions, _recorded(facts, node), *further))
        elif regions:
            facts.conclude(node, REGION, self.and_operated, _LOCATED)
        else:
            self.unlocated.append(node)
        if (kinds := facts.tables.kinds[concept]) and facts.iri(node, STATUS) == PRESENT:
            self.parts.append(Part(kinds, regions, (_recorded(facts, node), *further), where))

    def coded(self, node: str, code: Code) -> None:
        """Conclude where a diagnosis is, and what its code denies there."""
        facts = self.facts
        typed: Premises = ((node, TYPE, code.iri),)
        shown, by = typed, _OPERATED
        where: dict[Term, Premises] = {}
        regions: tuple[Term, ...] = ()
        if code.region:
            place = facts.tables.places[code.region]
            where[code.region] = (*typed, (code.iri, REGION, code.region))
            regions, by, shown = (place.region,), _OF_CODE, (*where[code.region], *place.steps)
        elif code.takes_operated_region:
            shown = (*typed, (code.iri, TAKES_OPERATED_REGION, TRUE))
            where.update((region, (*shown, *premises)) for region, premises in facts.regions.items())
            regions = self.everywhere
        follows = code.takes_operated_region and not code.region
        self.locate(node, by, where, (shown,) if follows else self.operated(regions, shown))
        if kinds := facts.tables.kinds[code.iri]:
            self.parts.append(Part(kinds, regions, (shown,), where if follows else {}))
        for concept, steps in code.denies.items():
            denial = f"{node}-denies-{local_name(concept)}"
            self.state(ITSELF, denial, concept, ABSENT, _DENIES, typed, steps)
            whole = [region for region in where if region in regions]
            self.locate(denial, by, where, (shown, steps) if follows else self.operated(whole, shown, steps))

    def stated_by_procedure(self, procedure: str, code: Code, levels: tuple[str, ...]) -> None:
        """Conclude what the code of a procedure states where that was done."""
        facts = self.facts
        regions = facts.regions_of(procedure, code, levels)
        for concept in code.states:
            node = f"{procedure}-{local_name(concept)}"
            shown = (*facts.of(procedure, CODE, code.iri), (code.iri, STATES, concept))
            self.state(ITSELF, node, concept, PRESENT, _STATES, shown)
            self.locate(node, _OPERATED, regions, (shown,))
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
                    node = f"#{local_name(combination)}-{local_name(str(region))}"
                    shown = joined(
                        piece
                        for part, kind in zip(chosen, kinds, strict=True)
                        for piece in (*part.premises, part.kinds[kind], part.where.get(region, ()))
                    )
                    self.state(ITSELF, node, whole, PRESENT, _COMBINATION, shown)
                    self.locate(node, _COMBINED_REGION, {region: shown}, self.operated((region,), shown))

    def stated_by_role(self, line: str, performer: str) -> None:
        """Conclude what the role of the performer of a line denies."""
        role = str(self.facts.iri(performer, ROLE))
        for absence in self.facts.tables.absences[role]:
            concept = str(absence[2])
            shown = ((line, PERFORMER, performer), (performer, ROLE, role), absence)
            self.state(line, f"{line}-denies-{local_name(concept)}", concept, ABSENT, _ROLE, shown)

    def state(self, of: str, node: str, concept: str, status: str, by: By, *pieces: Premises) -> None:
        """Conclude a finding."""
        facts = self.facts
        facts.stated[node] = by.rule, pieces
        facts.conclude(of, FINDING, (node,), (by,))
        facts.conclude(node, CONCEPT, (concept,), (by,))
        facts.conclude(node, STATUS, (status,), (by,))

    def operated(self, regions: Iterable[Term], *pieces: Premises) -> Pieces:
        """Return what shows that a finding in some regions is where the operation was; nothing if it is not."""
        region = next((region for region in regions if region in self.facts.regions), None)
        return () if region is None else (*pieces, self.facts.regions[region])

    def locate(self, node: str, by: By, where: Regions, operated: Pieces) -> None:
        """Conclude the regions of a finding, with the operated one if it is there."""
        facts = self.facts
        facts.located[node] = where, operated
        if not operated:
            if where:
                facts.conclude(node, REGION, tuple(where), (by,))
        elif where:
            facts.conclude(node, REGION, (*where, OPERATED_REGION), (by, _IN_OPERATED))
        else:
            self.unlocated.append(node)


# Why it follows


def _recorded(facts: Facts, node: str) -> Premises:
    """Return what states a listed fact."""
    return (node, CONCEPT, facts.index[node, CONCEPT][0]), (node, STATUS, facts.index[node, STATUS][0])


def _why_region(facts: Facts, triple: Triple) -> Pieces | None:
    node, _, region = triple
    where = facts.located[node][0] if node in facts.located else facts.regions
    return (where[region],) if region in where else None


def _why_in_operated(facts: Facts, triple: Triple) -> Pieces | None:
    node, _, region = triple
    if region != OPERATED_REGION:
        return None
    return facts.located[node][1] if node in facts.located else (_recorded(facts, str(node)),)


def _stating(name: str) -> By:
    by = rule(name)

    def why(facts: Facts, triple: Triple) -> Pieces | None:
        stated = facts.stated.get(triple[2] if triple[1] == FINDING else triple[0])
        return stated[1] if stated and stated[0] == by else None

    return By(by, why)


_OPERATED, _OF_CODE, _COMBINED_REGION = (
    By(rule(name), _why_region) for name in ("operatedRegion", "codeRegion", "combination")
)
_IN_OPERATED = By(rule("inOperatedRegion"), _why_in_operated)
_LOCATED = (_OPERATED, _IN_OPERATED)
_DENIES, _STATES, _COMBINATION, _ROLE = map(_stating, ("codeDenies", "codeStates", "combination", "roleStates"))
