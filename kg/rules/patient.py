"""What is known of the patient: where findings are, what codes and roles state, what facts state together."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

from kg.knowledge import Knowledge
from kg.load import Claim
from kg.rules.derived import CODE, Conclusion, Pieces, Premises, Stated, follows, given, joined, rule
from kg.rules.operation import REGION, Operation
from kg.terms import COV, TYPE, XSD, Literal, local_name

PRESENT = COV + "Present"
ABSENT = COV + "Absent"
OPERATED_REGION = COV + "OperatedRegion"
FINDING = COV + "finding"
CONCEPT = COV + "concept"
STATUS = COV + "status"
_TRUE = Literal("true", XSD + "boolean")
_IN_OPERATED_REGION = rule("inOperatedRegion")


class Finding(NamedTuple):
    """A finding with its concept (a condition, or the class of a code), regions, and what shows it."""

    node: str
    concept: str
    status: str
    regions: tuple[str, ...]
    premises: Pieces
    follows: bool = False  # it is where the operation was, wherever that is
    where: Mapping[str, Premises] = {}  # what else shows that it is in a region


class Patient(Stated):
    """The findings of a claim."""

    def __init__(self, claim: Claim, knowledge: Knowledge, operation: Operation) -> None:
        super().__init__(claim, knowledge)
        self.where = operation
        self.operated_regions = operation.operated_regions

    def conclusions(self) -> Iterator[Conclusion]:
        """Yield the regions of findings and the findings that codes, roles and other findings state."""
        findings: list[Finding] = []
        for node in self.nodes(self.claim, FINDING):
            concept = self.iri(node, CONCEPT)
            if concept:
                yield from self._recorded(node, concept, findings)
            else:
                yield from self._coded(node, findings)
        yield from self._stated_by_procedures(findings)
        yield from self._combined(findings)
        yield from self._in_operated_region(findings)
        yield from self._stated_by_roles()

    def _recorded(self, node: str, concept: str, findings: list[Finding]) -> Iterator[Conclusion]:
        status = str(self.iri(node, STATUS))
        shown = ((node, CONCEPT, concept), (node, STATUS, status))
        region = self.iri(node, REGION)
        if region:
            main, steps = self.knowledge.main_region(region)
            where = (main,) if status == PRESENT or main == region else ()
            findings.append(Finding(node, concept, status, where, (shown, ((node, REGION, region),), steps)))
            return
        yield from self._regions(node, self.operated_regions, "operatedRegion")
        regions = self.operated_regions
        findings.append(Finding(node, concept, status, tuple(regions), (shown,), True, regions))

    def _regions(self, node: str, regions: Mapping[str, Premises], name: str) -> Iterator[Conclusion]:
        if regions:
            yield Conclusion(node, REGION, tuple(regions), rule(name), lambda region: (regions[str(region)],))

    def _coded(self, node: str, findings: list[Finding]) -> Iterator[Conclusion]:
        code = str(self.iri(node, CODE))
        typed: Premises = ((node, TYPE, code),)
        region = self.knowledge.graph.iri(code, REGION)
        silent = (code, COV + "takesOperatedRegion", _TRUE)
        follows = not region and silent in self.knowledge.graph
        if region:
            main, steps = self.knowledge.main_region(region)
            where = {region: (*typed, (code, REGION, region))}
            located: tuple[str, ...] = (main,)
            shown, name = (*where[region], *steps), "codeRegion"
        else:
            where = {place: (*typed, silent, *why) for place, why in self.operated_regions.items() if follows}
            located, shown, name = tuple(where), ((*typed, silent) if follows else typed), "operatedRegion"
        yield from self._regions(node, where, name)
        beyond = where if follows else {}
        findings.append(Finding(node, code, PRESENT, located, (shown,), follows, beyond))
        for concept, steps in self.knowledge.denied_by(code).items():
            denial = f"{node}-denies-{local_name(concept)}"
            yield from self._stated(self.claim, denial, concept, ABSENT, "codeDenies", typed, steps)
            yield from self._regions(denial, where, name)
            whole = tuple(place for place in where if place in located)
            findings.append(Finding(denial, concept, ABSENT, whole, (shown, steps), follows))

    def _stated(
        self, of: str, node: str, concept: str, status: str, name: str, *premises: Premises
    ) -> Iterator[Conclusion]:
        yield follows(of, FINDING, node, name, *premises)
        yield follows(node, CONCEPT, concept, name, *premises)
        yield follows(node, STATUS, status, name, *premises)

    def _stated_by_procedures(self, findings: list[Finding]) -> Iterator[Conclusion]:
        for procedure in self.procedures:
            code = self.code(procedure)
            for concept in self.knowledge.graph.objects(code, COV + "states") if code else ():
                node = f"{procedure}-{local_name(str(concept))}"
                premises = (*self.where.of(procedure, CODE, str(code)), (str(code), COV + "states", concept))
                regions = self.where.procedure_regions(procedure)
                yield from self._stated(self.claim, node, str(concept), PRESENT, "codeStates", premises)
                yield from self._regions(node, regions, "operatedRegion")
                findings.append(Finding(node, str(concept), PRESENT, tuple(regions), (premises,), True, regions))

    def _combined(self, findings: list[Finding]) -> Iterator[Conclusion]:
        stated: list[Finding] = []
        for combination, parts, whole in self.knowledge.combinations:
            found = [
                [f for f in findings if f.status == PRESENT and part in self.knowledge.ancestors(f.concept)]
                for part in parts
            ]
            done = set()
            for chosen in product(*found):
                for region in chosen[0].regions:
                    if region in done or not all(region in finding.regions for finding in chosen):
                        continue
                    done.add(region)
                    node = f"{self.claim}#{local_name(combination)}-{local_name(region)}"
                    premises = joined(
                        piece
                        for f, part in zip(chosen, parts, strict=True)
                        for piece in (*f.premises, self.knowledge.ancestors(f.concept)[part], f.where.get(region, ()))
                    )
                    stated.append(Finding(node, whole, PRESENT, (region,), (premises,)))
                    yield from self._stated(self.claim, node, whole, PRESENT, "combination", premises)
                    yield follows(node, REGION, region, "combination", premises)
        findings += stated

    def _in_operated_region(self, findings: list[Finding]) -> Iterator[Conclusion]:
        """Locate findings where the operation was; an absence only if it is that of a whole main region."""
        for finding in findings:
            region = next((region for region in finding.regions if region in self.operated_regions), None)
            if finding.follows or region:
                shown = () if finding.follows or region is None else self.operated_regions[region]
                pieces = (*finding.premises, shown)
                yield Conclusion(finding.node, REGION, (OPERATED_REGION,), _IN_OPERATED_REGION, given(*pieces))

    def _stated_by_roles(self) -> Iterator[Conclusion]:
        for line in self.lines:
            performer = self.iri(line, COV + "performer")
            role = self.iri(performer, COV + "role") if performer else None
            for concept in self.knowledge.graph.objects(role, COV + "statesAbsenceOf") if role else ():
                node = f"{line}-denies-{local_name(str(concept))}"
                premises = (
                    (line, COV + "performer", str(performer)),
                    (str(performer), COV + "role", str(role)),
                    (str(role), COV + "statesAbsenceOf", concept),
                )
                yield from self._stated(line, node, str(concept), ABSENT, "roleStates", premises)
