"""Replay of the rules: every fact that follows from a claim, with all the minimal sets of triples that show it.

Written from the descriptions of the rules in `ontology/coverage.ttl` and from the decision rules, for `kg.verify`
alone. It derives naively and keeps every support, in the order of the claim and of the ontology: a determination
tells the first, and the others say whether that one is minimal.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise, product

from kg.graph import Graph
from kg.replay.background import CORD, PART_OF, SPINE, SUBCLASS_OF, Background
from kg.replay.supports import ALREADY, Piece, Support, Supports, at_once, minimal, one_walk, said, together
from kg.terms import ANATOMY, COV, TYPE, XSD, Literal, Term, Triple, local_name

Derivations = dict[Triple, dict[str, Supports]]  # each derived triple, by each rule that gives it
Rule = Iterator[tuple[str, Triple, Iterable[Support]]]

TRUE = Literal("true", XSD + "boolean")
CONUS, CAUDA_EQUINA = ANATOMY + "ConusMedullaris", ANATOMY + "CaudaEquina"
OPERATED_REGION = COV + "OperatedRegion"


def derive(claim: str, facts: Iterable[Triple], know: Background) -> Derivations:
    """Return every triple that follows from the facts of a claim, with its rules and their minimal supports."""
    found: Derivations = {}
    for rule, triple, supports in Stated(claim, Graph(facts), know).follow():
        by = found.setdefault(triple, {})
        by[COV + "rule-" + rule] = minimal((*by.get(COV + "rule-" + rule, ()), *supports))
    return found


Finding = tuple[str, dict[str, Supports], Supports]  # what is present, where and why, and why at all


class Stated:
    """The facts of one claim, and the rules."""

    def __init__(self, claim: str, facts: Graph, know: Background) -> None:
        self.claim, self.facts, self.know = claim, facts, know
        self.operation = f"{claim}#operation"
        self.procedures = self.of(self.operation, "procedure")
        self.diagnoses = self.of(claim, "diagnosis")
        self.lines = [str(line) for line in facts.subjects(COV + "ofClaim", claim)]
        self.sites = self.places()
        self.operated: dict[str, Supports] = {}
        for place, supports in self.sites.items():
            region, ways = know.main_region(place)
            shown = at_once(together(supports, ways))
            self.operated[region] = minimal((*self.operated.get(region, ()), *shown))

    def of(self, node: str, name: str) -> list[str]:
        """Return the values of a property of the claim."""
        return [value for value in self.facts.objects(node, COV + name) if isinstance(value, str)]

    def code(self, node: str) -> str:
        """Return the code of a line, procedure or diagnosis."""
        return next(iter(self.of(node, "code")), "")

    def procedure(self, procedure: str, *more: Triple) -> Supports:
        """Return what shows something of a procedure."""
        return said((self.operation, COV + "procedure", procedure), *more)

    def follow(self) -> Rule:
        """Yield every triple that follows, with the rule and the supports by which it does."""
        for rule in (self.located, self.exposed, self.surgical, self.findings, self.roles):
            yield from rule()
        for rule in (self.valid, self.bases, self.duplicates, self.exclusions, self.repeated, self.apart):
            yield from rule()
        yield from self.misplaced()
        yield from self.timed()

    # The operation

    def places(self) -> dict[str, Supports]:
        """Return the levels that procedures name, then the regions of codes that name no level within them."""
        found: dict[str, list[Support]] = defaultdict(list)
        for p in self.procedures:
            for level in self.of(p, "level"):
                found[level] += self.procedure(p, (p, COV + "level", level))
        levels = tuple(found)
        for p in self.procedures:
            region, shown = self.region_of_code(p)
            named = any(region in self.know.above(PART_OF, level) for level in levels)
            if region and not named and not self.of(p, "level"):
                found[region] += shown
        return {place: minimal(supports) for place, supports in found.items()}

    def region_of_code(self, procedure: str) -> tuple[str, Supports]:
        """Return the region that the code of a procedure names, and what shows it."""
        code = self.code(procedure)
        region = self.know.graph.iri(code, COV + "region") or ""
        return region, self.procedure(procedure, (procedure, COV + "code", code), (code, COV + "region", region))

    def site(self, place: str) -> str:
        """Return the node of an operated place."""
        return f"{self.claim}#site-{local_name(place)}"

    def located(self) -> Rule:
        """Yield the operated sites, and how they lie to the cord."""
        for place, supports in self.sites.items():
            rule = "siteOfLevel" if place in self.know.rank else "siteOfCode"
            yield rule, (self.operation, COV + "site", self.site(place)), supports
            yield rule, (self.site(place), COV + "level", place), supports
            position, rule, shown = self.position(place)
            if position:
                yield rule, (self.site(place), COV + "cordPosition", position), together(supports, shown)

    def position(self, place: str) -> tuple[str, str, Supports]:
        """Return how a place lies to the end of the cord: where imaging shows it, else wherever it may be."""
        know, conus = self.know, self.facts.iri(self.operation, COV + "conusLevel")
        extent = know.extent(place)
        if conus:
            bound: Term = conus
            if (conus, TYPE, ANATOMY + "Interspace") not in know.graph:
                under = know.spine[know.rank[conus] + 1 :][:1]
                bound = next((x for x in under if (x, TYPE, ANATOMY + "Interspace") in know.graph), conus)
            shown = together(said((self.operation, COV + "conusLevel", conus)), (one_walk(know.walk(bound, conus)),))
            latest, earliest = (bound, shown, "belowConus"), (bound, shown, "atConus")
        else:
            names = ("endsAtLatest", "endsAtEarliest")
            ends = [know.graph.value(CORD, ANATOMY + name) or "" for name in names]
            why = [said((CORD, ANATOMY + name, end)) for name, end in zip(names, ends, strict=True)]
            latest, earliest = (ends[0], why[0], "belowCord"), (ends[1], why[1], "atCord")
        first, last = extent[0], extent[-1]
        if know.rank[first] > know.rank[latest[0]]:
            steps = together(know.within(first, place), (one_walk(know.walk(first, latest[0])),))
            return COV + "BelowCord", latest[2], together(at_once(steps), latest[1])
        if know.rank[last] <= know.rank[earliest[0]]:
            steps = together(know.within(last, place), (one_walk(know.walk(earliest[0], last)),))
            return COV + "AtCord", earliest[2], together(at_once(steps), earliest[1])
        return "", "", ()

    def exposed(self) -> Rule:
        """Yield the exposure of each line at each site, and what is at risk there."""
        for line in self.lines:
            code = self.code(line)
            courses, coded = self.know.courses(code), said((line, COV + "code", code))
            for place, site in self.sites.items() if courses else ():
                node, here = f"{line}-at-{local_name(place)}", together(coded, site)
                position, _, shown = self.position(place)
                yield "exposure", (line, COV + "exposure", node), here
                yield "exposure", (node, COV + "atSite", self.site(place)), here
                if position or CONUS not in courses:
                    yield "settled", (node, COV + "isSettled", TRUE), together(here, shown) if position else here
                for structure, held in self.canal(place, position, shown).items():
                    if structure in courses:
                        shown_there = together(coded, courses[structure], site, held)
                        yield "atRisk", (node, COV + "atRisk", structure), shown_there

    def canal(self, place: str, position: str, shown: Supports) -> dict[Term, Supports]:
        """Return what the canal holds at a place; what it holds of the cord, if it is known where the cord ends."""
        held = self.know.enclosed(place)
        roots = {x: supports for x, supports in held.items() if not self.know.is_cord(x)}
        if position == COV + "BelowCord":
            return roots if CAUDA_EQUINA in roots else {**roots, CAUDA_EQUINA: shown}
        if position != COV + "AtCord":
            return roots
        if len(roots) == len(held):
            return {**roots, CONUS: shown}
        return {x: supports if x in roots else together(supports, shown) for x, supports in held.items()}

    def surgical(self) -> Rule:
        """Yield where the operation was."""

        def at(place: Term) -> Triple:
            return self.operation, COV + "surgicalSite", place

        for p in self.procedures:
            code = self.code(p)
            for place, ways in self.know.stated(code, COV + "surgicalSite").items() if code else ():
                yield "surgicalSite", at(place), together(self.procedure(p, (p, COV + "code", code)), ways)
        for level, supports in self.sites.items():
            yield "surgicalSite", at(SPINE), together(supports, self.know.above(PART_OF, level)[SPINE])
        for d in self.diagnoses if not self.procedures else ():
            code = self.code(d)
            shown = said((self.claim, COV + "diagnosis", d), (d, TYPE, code))
            for place, ways in self.know.stated(code, COV + "surgicalSite").items():
                yield "surgicalSite", at(place), together(shown, ways)

    # The patient

    def findings(self) -> Rule:
        """Yield where findings are, what codes state and deny, and what facts state together."""
        present: list[Finding] = []
        for node in self.of(self.claim, "finding"):
            concept = next(iter(self.of(node, "concept")), "")
            if concept:
                yield from self.recorded(node, concept, present)
            else:
                yield from self.coded(node, present)
        for p in self.procedures:
            yield from self.of_procedure(p, present)
        yield from self.combined(present)

    def recorded(self, node: str, concept: str, present: list[Finding]) -> Rule:
        """Yield where a listed fact is."""
        status, region = (next(iter(self.of(node, name)), "") for name in ("status", "region"))
        shown = said((node, COV + "concept", concept), (node, COV + "status", status))
        if region:
            main, ways = self.know.main_region(region)
            there = together(shown, said((node, COV + "region", region)), ways)
            where = {main: there} if status == COV + "Present" or main == region else {}
            why_at_all = there
            yield from self.in_operated(node, {place: together(there, self.operated.get(place, ())) for place in where})
        else:
            where = {place: together(shown, why) for place, why in self.operated.items()}
            yield from self.at(node, self.operated, "operatedRegion")
            why_at_all = shown
            yield from self.in_operated(node, {"": shown})
        if status == COV + "Present":
            present.append((concept, where, why_at_all))

    def coded(self, node: str, present: list[Finding]) -> Rule:
        """Yield where a diagnosis is, and what its code denies."""
        code = self.code(node)
        typed = (node, TYPE, code)
        region = self.know.graph.iri(code, COV + "region")
        anywhere = (code, COV + "takesOperatedRegion", TRUE)
        where: dict[str, Supports] = {}
        located: dict[str, Supports] = {}
        operated: dict[str, Supports] = {}
        shown = said(typed)
        rule = "codeRegion" if region else "operatedRegion"
        if region:
            where = {region: said(typed, (code, COV + "region", region))}
            main, ways = self.know.main_region(region)
            shown = at_once(together(where[region], ways))
            located = {main: shown}
            operated = {main: together(shown, self.operated.get(main, ()))}
        elif anywhere in self.know.graph:
            shown = said(typed, anywhere)
            where = located = {place: at_once(together(shown, why)) for place, why in self.operated.items()}
            operated = {"": shown}
        yield from self.at(node, where, rule)
        yield from self.in_operated(node, operated)
        present.append((code, located, shown))
        for concept, ways in self.know.stated(code, COV + "statesAbsenceOf").items():
            denial = f"{node}-denies-{local_name(str(concept))}"
            yield from self.stated(self.claim, denial, concept, "Absent", "codeDenies", together(said(typed), ways))
            yield from self.at(denial, where, rule)
            whole = [place for place in operated if place in where or not place]
            also = {place: self.operated.get(place, ALREADY if not place else ()) for place in whole}
            yield from self.in_operated(denial, {place: together(shown, ways, why) for place, why in also.items()})

    def of_procedure(self, p: str, present: list[Finding]) -> Rule:
        """Yield what the code of a procedure states."""
        code = self.code(p)
        for concept in self.know.graph.objects(code, COV + "states") if code else ():
            node = f"{p}-{local_name(str(concept))}"
            shown = self.procedure(p, (p, COV + "code", code), (code, COV + "states", concept))
            places = {level: self.procedure(p, (p, COV + "level", level)) for level in self.of(p, "level")}
            region, why = self.region_of_code(p)
            if not places and region:
                places = {region: why}
            regions: dict[str, Supports] = {}
            for place, supports in places.items():
                main, ways = self.know.main_region(place)
                regions[main] = minimal((*regions.get(main, ()), *at_once(together(supports, ways))))
            regions = regions or self.operated
            yield from self.stated(self.claim, node, concept, "Present", "codeStates", shown)
            yield from self.at(node, regions, "operatedRegion")
            yield from self.in_operated(node, {"": shown})
            present.append((str(concept), {r: together(shown, why) for r, why in regions.items()}, shown))

    def combined(self, present: list[Finding]) -> Rule:
        """Yield what facts state together, in the region in which they meet."""
        graph = self.know.graph
        for rule in graph.subjects(TYPE, COV + "Rule"):
            whole = graph.iri(rule, COV + "establishes")
            parts = graph.objects(rule, COV + "combines") if whole else ()
            each = [[f for f in present if part in self.know.above(SUBCLASS_OF, f[0])] for part in parts]
            for chosen in product(*each) if whole and parts else ():
                for region in chosen[0][1]:
                    if not all(region in where for _, where, _ in chosen):
                        continue
                    node = f"{self.claim}#{local_name(str(rule))}-{local_name(region)}"
                    ways = [self.know.above(SUBCLASS_OF, f[0])[part] for f, part in zip(chosen, parts, strict=True)]
                    found = (x for f, way in zip(chosen, ways, strict=True) for x in (f[2], way, f[1][region]))
                    shown = at_once(together(*found))
                    yield from self.stated(self.claim, node, whole or "", "Present", "combination", shown)
                    yield "combination", (node, COV + "region", region), shown
                    yield from self.in_operated(node, {region: together(shown, self.operated.get(region, ()))})

    def roles(self) -> Rule:
        """Yield what the role of a performer denies of a line."""
        for line in self.lines:
            for performer in self.of(line, "performer"):
                for role in self.of(performer, "role"):
                    for concept in self.know.graph.objects(role, COV + "statesAbsenceOf"):
                        steps = ((line, COV + "performer", performer), (performer, COV + "role", role))
                        shown = said(*steps, (role, COV + "statesAbsenceOf", concept))
                        node = f"{line}-denies-{local_name(str(concept))}"
                        yield from self.stated(line, node, concept, "Absent", "roleStates", shown)

    def stated(self, of: str, node: str, concept: Term, status: str, rule: str, shown: Supports) -> Rule:
        """Yield a finding that follows."""
        yield rule, (of, COV + "finding", node), shown
        yield rule, (node, COV + "concept", concept), shown
        yield rule, (node, COV + "status", COV + status), shown

    def at(self, node: str, where: Mapping[str, Supports], rule: str) -> Rule:
        """Yield the regions of a finding."""
        for place, shown in where.items():
            yield rule, (node, COV + "region", place), shown

    def in_operated(self, node: str, shown: Mapping[str, Supports]) -> Rule:
        """Yield that a finding is where the operation was, if something shows it."""
        for supports in shown.values():
            if supports:
                yield "inOperatedRegion", (node, COV + "region", OPERATED_REGION), supports

    # Codes and lines

    def valid(self) -> Rule:
        """Yield what each code is on the date of service."""
        day = self.facts.value(self.claim, COV + "serviceDate")
        for node in (*self.diagnoses, *self.lines):
            code = self.code(node)
            if code and isinstance(day, Literal):
                status, bounds = self.know.validity(code, date.fromisoformat(day.value))
                shown = said((node, COV + "code", code), (self.claim, COV + "serviceDate", day), *bounds)
                yield "codeValidity", (node, COV + "codeValidity", COV + status), shown

    def first_of(self, nodes: Iterable[str]) -> dict[str, list[str]]:
        """Return nodes by their codes, in the order of the claim."""
        found: dict[str, list[str]] = {}
        for node in nodes:
            if code := self.code(node):
                found.setdefault(code, []).append(node)
        return found

    def bases(self) -> Rule:
        """Yield the base lines of add-ons."""
        by_code = self.first_of(self.lines)
        for line in self.lines:
            code = self.code(line)
            for parent in self.know.graph.objects(code, COV + "addOnTo") if code else ():
                for base, (first, *_) in by_code.items():
                    ways = self.know.above(SUBCLASS_OF, base).get(parent, ())
                    add_on = (line, COV + "code", code), (code, COV + "addOnTo", parent), (first, COV + "code", base)
                    if ways and first != line:
                        yield "baseLine", (line, COV + "baseLine", first), together(said(*add_on), ways)

    def duplicates(self) -> Rule:
        """Yield lines that repeat another or are contained in a comprehensive study."""
        by_code = self.first_of(self.lines)
        day = self.facts.value(self.claim, COV + "serviceDate")
        unknown: dict[Term, str] = {}
        for line in self.lines:
            code, other = self.code(line), self.facts.value(line, COV + "unknownCode")
            name, value, first = ("code", code, by_code[code][0]) if code else ("unknownCode", other or "", line)
            if other is not None:
                first = unknown.setdefault(other, line)
            if first != line:
                both = said((line, COV + name, value), (first, COV + name, value))
                yield "duplicate", (line, COV + "duplicateOf", first), both
            for whole in self.know.graph.subjects(COV + "comprises", code) if code else ():
                if whole in by_code and isinstance(day, Literal):
                    over = by_code[str(whole)][0]
                    comprised = said((over, COV + "code", whole), (whole, COV + "comprises", code))
                    if self.know.validity(str(whole), date.fromisoformat(day.value))[0] == "ValidCode":
                        shown = together(said((line, COV + "code", code)), comprised)
                        yield "duplicate", (line, COV + "duplicateOf", over), shown

    def exclusions(self) -> Rule:
        """Yield diagnoses that exclude each other."""
        for one, other in product(self.diagnoses, repeat=2):
            code, another = self.code(one), self.code(other)
            above = self.know.above(SUBCLASS_OF, another) if one != other else {}
            for excluded, ways in self.know.stated(code, COV + "excludes1").items() if above else ():
                if excluded in above:
                    this, that = said((one, COV + "code", code)), said((other, COV + "code", another))
                    shown = at_once(together(this, ways, that, above[excluded]))
                    yield "excludedPair", (one, COV + "excludedBy", other), shown

    def repeated(self) -> Rule:
        """Yield diagnoses that repeat an earlier one."""
        for code, (first, *others) in self.first_of(self.diagnoses).items():
            for other in others:
                both = said((other, COV + "code", code), (first, COV + "code", code))
                yield "repeatedDiagnosis", (other, COV + "repeats", first), both

    def apart(self) -> Rule:
        """Yield lines and procedures whose codes are not reported together, each with the first such other."""
        for nodes in (self.first_of(self.lines), self.first_of(self.procedures)):
            for code, ones in nodes.items():
                for another in map(str, self.know.graph.objects(code, COV + "notWith")):
                    for one in ones:
                        others = (x for x in nodes.get(another, ()) if x != one and self.meet(one, x))
                        for other in islice(others, 1):
                            barred = ((one, COV + "code", code), (code, COV + "notWith", another))
                            shown = said(*barred, (other, COV + "code", another))
                            yield "notTogether", (one, COV + "notTogetherWith", other), shown

    def meet(self, one: str, other: str) -> bool:
        """Say whether two procedures share a level, or one of them names none."""
        here, there = set(self.of(one, "level")), set(self.of(other, "level"))
        return not here or not there or bool(here & there)

    def misplaced(self) -> Rule:
        """Yield levels outside the region that the code of their procedure names."""
        for p in self.procedures:
            code = self.code(p)
            region = self.know.graph.iri(code, COV + "region") if code else None
            for level in self.of(p, "level"):
                if region and region not in self.know.above(PART_OF, level):
                    named = ((p, COV + "code", code), (code, COV + "region", region))
                    yield "misplaced", (p, COV + "misplacedAt", level), said(*named, (p, COV + "level", level))

    def timed(self) -> Rule:
        """Yield the monitored minutes of lines, the units that these earn, and the minutes reported twice."""
        before: list[tuple[str, list[tuple[datetime, datetime]], Piece]] = []
        for line in self.lines:
            spans, shown = self.spans(line)
            code = self.code(line)
            if not spans:
                continue
            number = _minutes(spans)
            yield "monitoredMinutes", (line, COV + "monitoredMinutes", _number(number)), said(*shown)
            sizes = [
                (COV + name, self.know.graph.value(code, COV + name)) for name in ("unitMinutes", "remainderMinutes")
            ]
            unit, least = (int(size.value) if isinstance(size, Literal) else 0 for _, size in sizes)
            if unit and least:
                counted = (*shown, (line, COV + "code", code), *((code, p, size or "") for p, size in sizes))
                earned = 0
                while earned * unit + least <= number:
                    earned += 1
                yield "earnedUnits", (line, COV + "earnedUnits", _number(earned)), said(*counted)
                billed = self.facts.value(line, COV + "units")
                excess = (int(billed.value) if isinstance(billed, Literal) else 1) - earned
                if excess > 0:
                    units = ((line, COV + "units", billed),) if billed else ()
                    yield "earnedUnits", (line, COV + "excessUnits", _number(excess)), said(*counted, *units)
            if COV + "ContinuousMonitoring" in self.know.above(SUBCLASS_OF, code):
                for other, others, why in before:
                    if any(a < d and c < b for a, b in spans for c, d in others):
                        yield "overlap", (line, COV + "overlaps", other), said(*shown, *why)
                before.append((line, spans, shown))

    def spans(self, line: str) -> tuple[list[tuple[datetime, datetime]], Piece]:
        """Return the intervals of a line, and the triples that state them."""
        spans: list[tuple[datetime, datetime]] = []
        shown: list[Triple] = []
        for interval in self.of(line, "interval"):
            ends = [self.facts.value(interval, COV + name) for name in ("start", "end")]
            times = [datetime.fromisoformat(end.value) for end in ends if isinstance(end, Literal)]
            start, end = (t.astimezone(UTC).replace(tzinfo=None) if t.tzinfo else t for t in times)
            spans.append((start, end))
            shown.append((line, COV + "interval", interval))
            shown += ((interval, COV + name, e or "") for name, e in zip(("start", "end"), ends, strict=True))
        return spans, tuple(shown)


def _minutes(spans: list[tuple[datetime, datetime]]) -> int:
    """Return the whole minutes that lie in at least one of some intervals: between neighbouring ends, all or none."""
    ends = sorted({end for span in spans for end in span})
    covered = (b - a for a, b in pairwise(ends) if any(start <= a and b <= end for start, end in spans))
    return sum(covered, timedelta()) // timedelta(minutes=1)


def _number(n: int) -> Literal:
    return Literal(str(n), XSD + "integer")
