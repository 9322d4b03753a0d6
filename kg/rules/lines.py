"""What follows about codes and lines: validity on the date, bases of add-ons, repetitions, minutes and units."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property

from kg.literal import value_of
from kg.rules.derived import CODE, Conclusion, Premises, Stated, follows
from kg.terms import COV, XSD, Literal, Term

DUPLICATE_OF = COV + "duplicateOf"
UNKNOWN = COV + "unknownCode"
CONTINUOUS = COV + "ContinuousMonitoring"
Span = tuple[datetime, datetime, bool]  # start, end, and whether a time zone was given; in UTC where it was


class Lines(Stated):
    """The codes and lines of a claim."""

    def conclusions(self) -> Iterator[Conclusion]:
        """Yield what the coding edits ask about."""
        yield from self.validity()
        yield from self.base_lines()
        yield from self.duplicates()
        yield from self.excluded_pairs()
        yield from self.repeated_diagnoses()
        yield from self.excluded_services()
        yield from self.misplaced()
        yield from self.minutes()
        yield from self.overlaps()

    def validity(self) -> Iterator[Conclusion]:
        dated = (self.claim, COV + "serviceDate", Literal(self.day.isoformat(), XSD + "date"))
        for node in (*self.diagnoses, *self.lines):
            code = self.iri(node, CODE)
            if code:
                status, shown = self.knowledge.validity(code, self.day)
                premises: Premises = ((node, CODE, code), dated, *shown)
                yield follows(node, COV + "codeValidity", COV + status, "codeValidity", premises)

    def valid(self, code: str) -> bool:
        """Say whether a code may be reported on the date of service."""
        return self.knowledge.validity(code, self.day)[0] == "ValidCode"

    @cached_property
    def by_code(self) -> dict[str, list[str]]:
        """Return the lines of each code; the first of them is what the others repeat."""
        found: dict[str, list[str]] = {}
        for line in self.lines:
            if code := self.code(line):
                found.setdefault(code, []).append(line)
        return found

    def base_lines(self) -> Iterator[Conclusion]:
        """Yield the base lines of add-ons: of each code the first line, since the others repeat it."""
        for code, lines in self.by_code.items():
            for parent in map(str, self.knowledge.graph.objects(code, COV + "addOnTo")):
                for base, (other, *_) in self.by_code.items():
                    steps = self.knowledge.ancestors(base).get(parent)
                    for line in lines if steps is not None else ():
                        if line != other:
                            shown = ((line, CODE, code), (code, COV + "addOnTo", parent), (other, CODE, base))
                            yield follows(line, COV + "baseLine", other, "baseLine", shown, steps or ())

    def duplicates(self) -> Iterator[Conclusion]:
        """Yield lines that repeat the first of their code, or are contained in a comprehensive study of the claim."""
        for code, (first, *others) in self.by_code.items():
            for line in others:
                yield follows(line, DUPLICATE_OF, first, "duplicate", ((line, CODE, code), (first, CODE, code)))
            for whole in self.knowledge.graph.subjects(COV + "comprises", code):
                if whole in self.by_code and self.valid(whole):
                    other = self.by_code[whole][0]
                    stated: Premises = ((other, CODE, whole), (whole, COV + "comprises", code))
                    for line in (first, *others):
                        yield follows(line, DUPLICATE_OF, other, "duplicate", ((line, CODE, code),), stated)
        unknown: dict[Term, str] = {}
        for line in self.lines:
            if code_given := self.value(line, UNKNOWN):
                first = unknown.setdefault(code_given, line)
                if first != line:
                    both: Premises = ((line, UNKNOWN, code_given), (first, UNKNOWN, code_given))
                    yield follows(line, DUPLICATE_OF, first, "duplicate", both)

    def excluded_pairs(self) -> Iterator[Conclusion]:
        codes = {diagnosis: str(self.iri(diagnosis, CODE)) for diagnosis in self.diagnoses}
        for one, code in codes.items() if len(codes) > 1 else ():
            excluded = self.knowledge.excluded_by(code)
            for other, another in codes.items() if excluded else ():
                hit = next((x for x in excluded if x in self.knowledge.ancestors(another)), None)
                if hit is not None and other != one:
                    premises = (
                        (one, CODE, code),
                        *excluded[hit],
                        (other, CODE, another),
                        *self.knowledge.ancestors(another)[hit],
                    )
                    yield follows(one, COV + "excludedBy", other, "excludedPair", premises)

    def repeated_diagnoses(self) -> Iterator[Conclusion]:
        """Yield diagnoses that repeat an earlier one."""
        first: dict[str, str] = {}
        for diagnosis in self.diagnoses:
            code = str(self.code(diagnosis))
            if code in first:
                premises = ((diagnosis, CODE, code), (first[code], CODE, code))
                yield follows(diagnosis, COV + "repeats", first[code], "repeatedDiagnosis", premises)
            first.setdefault(code, diagnosis)

    def excluded_services(self) -> Iterator[Conclusion]:
        """Yield lines and procedures whose codes are not reported together; procedures, unless at other levels."""
        by_code: dict[str, list[str]] = {}
        for procedure in self.procedures:
            if code := self.code(procedure):
                by_code.setdefault(code, []).append(procedure)
        for nodes in (self.by_code, by_code):
            for code, ones in nodes.items():
                for another in map(str, self.knowledge.graph.objects(code, COV + "notWith")):
                    for one in ones if another in nodes else ():
                        other = next((x for x in nodes[another] if x != one and self.same_place(one, x)), None)
                        if other:
                            shown = ((one, CODE, code), (code, COV + "notWith", another), (other, CODE, another))
                            yield follows(one, COV + "notTogetherWith", other, "notTogether", shown)

    def same_place(self, one: str, other: str) -> bool:
        """Say whether two procedures share a level, or one of them names none."""
        here, there = (set(self.nodes(node, COV + "level")) for node in (one, other))
        return not here or not there or bool(here & there)

    def misplaced(self) -> Iterator[Conclusion]:
        """Yield procedures with a level outside the region that their code names."""
        for procedure in self.procedures:
            code = self.code(procedure)
            region = self.knowledge.graph.iri(code, COV + "region") if code else None
            for level in self.nodes(procedure, COV + "level") if region else ():
                if region not in self.knowledge.wholes(str(level)):
                    premises = (
                        (procedure, CODE, str(code)),
                        (str(code), COV + "region", str(region)),
                        (procedure, COV + "level", level),
                    )
                    yield follows(procedure, COV + "misplacedAt", level, "misplaced", premises)

    def spans(self, line: str) -> tuple[list[Span], Premises]:
        """Return the monitored intervals of a line, with the triples that state them."""
        spans: list[Span] = []
        premises: Premises = ()
        for interval in map(str, self.nodes(line, COV + "interval")):
            start, end = (self.value(interval, COV + name) for name in ("start", "end"))
            a, b = (value_of(term) if isinstance(term, Literal) else None for term in (start, end))
            if isinstance(a, datetime) and isinstance(b, datetime) and start and end:
                spans.append((_plain(a), _plain(b), a.tzinfo is not None))
                premises += ((line, COV + "interval", interval), (interval, COV + "start", start))
                premises += ((interval, COV + "end", end),)
        return spans, premises

    def minutes(self) -> Iterator[Conclusion]:
        """Yield the monitored minutes of lines, the units that they earn, and the units billed beyond these."""
        for line in self.lines:
            spans, premises = self.spans(line)
            if not spans:
                continue
            minutes = minutes_of(spans)
            yield follows(line, COV + "monitoredMinutes", _number(minutes), "monitoredMinutes", premises)
            code = self.code(line)
            unit, least = (self.knowledge.number(code, COV + name) for name in ("unitMinutes", "remainderMinutes"))
            if code is None or unit is None or least is None:
                continue
            timed = tuple(
                (code, COV + name, value)
                for name in ("unitMinutes", "remainderMinutes")
                for value in self.knowledge.graph.objects(code, COV + name)
            )
            earned = (minutes + unit - least) // unit
            premises = (*premises, (line, CODE, code), *timed)
            yield follows(line, COV + "earnedUnits", _number(earned), "earnedUnits", premises)
            billed = self.value(line, COV + "units")
            excess = (int(billed.value) if isinstance(billed, Literal) else 1) - earned
            if excess > 0:
                shown: Premises = ((line, COV + "units", billed),) if billed else ()
                yield follows(line, COV + "excessUnits", _number(excess), "earnedUnits", (*premises, *shown))

    def overlaps(self) -> Iterator[Conclusion]:
        """Yield continuous lines that report minutes which an earlier continuous line reports as well."""
        earlier: list[tuple[str, list[Span], Premises]] = []
        for line in self.lines:
            code = self.code(line)
            if code is None or CONTINUOUS not in self.knowledge.ancestors(code):
                continue
            spans, premises = self.spans(line)
            for other, others, shown in earlier:
                if any(a < d and c < b and zoned == also for a, b, zoned in spans for c, d, also in others):
                    yield follows(line, COV + "overlaps", other, "overlap", (*premises, *shown))
            earlier.append((line, spans, premises))


def _plain(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant


def _number(n: int) -> Literal:
    return Literal(str(n), XSD + "integer")


def minutes_of(spans: list[Span]) -> int:
    """Return the whole minutes that spans cover together, each minute once."""
    covered = timedelta()
    reached = datetime.min
    for start, end, _ in sorted(spans):
        covered += max(end - max(start, reached), timedelta())
        reached = max(reached, end)
    return covered // timedelta(minutes=1)
