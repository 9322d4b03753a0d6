"""What follows about codes and lines: validity on the date, bases of add-ons, repetitions, minutes and units."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import permutations

from kg.literal import value_of
from kg.rules.derived import Derived, Premises, Stated, rule
from kg.terms import COV, XSD, Literal

CONTINUOUS = COV + "ContinuousMonitoring"
Span = tuple[datetime, datetime, bool]  # start, end, and whether a time zone was given; in UTC where it was


class Lines(Stated):
    """The codes and lines of a claim."""

    def derived(self) -> Iterator[Derived]:
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

    def validity(self) -> Iterator[Derived]:
        dated = (self.claim, COV + "serviceDate", Literal(self.day.isoformat(), XSD + "date"))
        for node in (*self.diagnoses, *self.lines):
            code = self.facts.iri(node, COV + "code")
            if code:
                status, shown = self.knowledge.validity(code, self.day)
                premises: Premises = ((node, COV + "code", code), dated, *shown)
                yield Derived((node, COV + "codeValidity", COV + status), rule("codeValidity"), premises)

    def valid(self, code: str) -> bool:
        """Say whether a code may be reported on the date of service."""
        return self.knowledge.validity(code, self.day)[0] == "ValidCode"

    def base_lines(self) -> Iterator[Derived]:
        codes = {line: self.facts.iri(line, COV + "code") for line in self.lines}
        for line, code in codes.items():
            for parent in self.knowledge.graph.objects(code, COV + "addOnTo") if code else ():
                for other, base in codes.items():
                    steps = self.knowledge.ancestors(base).get(parent) if base and other != line else None
                    if steps is not None:
                        premises = (
                            (line, COV + "code", str(code)),
                            (str(code), COV + "addOnTo", parent),
                            (other, COV + "code", str(base)),
                            *steps,
                        )
                        yield Derived((line, COV + "baseLine", other), rule("baseLine"), premises)

    def duplicates(self) -> Iterator[Derived]:
        codes = [
            (line, self.facts.value(line, COV + "code") or self.facts.value(line, COV + "unknownCode"))
            for line in self.lines
        ]
        for i, (line, code) in enumerate(codes):
            by = COV + ("code" if isinstance(code, str) else "unknownCode")
            for k, (other, another) in enumerate(codes):
                both: Premises = ((line, by, code or ""), (other, by, another or ""))
                contained = (str(another), COV + "comprises", code or "")
                if k < i and code == another:
                    yield Derived((line, COV + "duplicateOf", other), rule("duplicate"), both)
                elif k != i and isinstance(another, str) and contained in self.knowledge.graph and self.valid(another):
                    yield Derived((line, COV + "duplicateOf", other), rule("duplicate"), (*both, contained))

    def excluded_pairs(self) -> Iterator[Derived]:
        codes = {diagnosis: str(self.facts.iri(diagnosis, COV + "code")) for diagnosis in self.diagnoses}
        for one, code in codes.items():
            excluded = self.knowledge.excluded_by(code)
            for other, another in codes.items() if excluded else ():
                hit = next((x for x in excluded if x in self.knowledge.ancestors(another)), None)
                if hit is not None and other != one:
                    premises = (
                        (one, COV + "code", code),
                        *excluded[hit],
                        (other, COV + "code", another),
                        *self.knowledge.ancestors(another)[hit],
                    )
                    yield Derived((one, COV + "excludedBy", other), rule("excludedPair"), premises)

    def repeated_diagnoses(self) -> Iterator[Derived]:
        """Yield diagnoses that repeat an earlier one."""
        first: dict[str, str] = {}
        for diagnosis in self.diagnoses:
            code = str(self.code(diagnosis))
            if code in first:
                premises = ((diagnosis, COV + "code", code), (first[code], COV + "code", code))
                yield Derived((diagnosis, COV + "repeats", first[code]), rule("repeatedDiagnosis"), premises)
            first.setdefault(code, diagnosis)

    def excluded_services(self) -> Iterator[Derived]:
        """Yield lines and procedures whose codes are not reported together; procedures, unless at other levels."""
        for nodes in (self.lines, self.procedures):
            codes = {node: str(code) for node in nodes if (code := self.code(node))}
            for (one, code), (other, another) in permutations(codes.items(), 2):
                stated = (code, COV + "notWith", another)
                if stated in self.knowledge.graph and self.same_place(one, other):
                    premises = ((one, COV + "code", code), stated, (other, COV + "code", another))
                    yield Derived((one, COV + "notTogetherWith", other), rule("notTogether"), premises)

    def same_place(self, one: str, other: str) -> bool:
        """Say whether two procedures share a level, or one of them names none."""
        here, there = (set(self.facts.objects(node, COV + "level")) for node in (one, other))
        return not here or not there or bool(here & there)

    def misplaced(self) -> Iterator[Derived]:
        """Yield procedures with a level outside the region that their code names."""
        for procedure in self.procedures:
            code = self.code(procedure)
            region = self.knowledge.graph.iri(code, COV + "region") if code else None
            for level in self.facts.objects(procedure, COV + "level") if region else ():
                if region not in self.knowledge.wholes(str(level)):
                    premises = (
                        (procedure, COV + "code", str(code)),
                        (str(code), COV + "region", str(region)),
                        (procedure, COV + "level", level),
                    )
                    yield Derived((procedure, COV + "misplacedAt", level), rule("misplaced"), premises)

    def spans(self, line: str) -> tuple[list[Span], Premises]:
        """Return the monitored intervals of a line, with the triples that state them."""
        spans: list[Span] = []
        premises: Premises = ()
        for interval in map(str, self.facts.objects(line, COV + "interval")):
            start, end = (self.facts.value(interval, COV + name) for name in ("start", "end"))
            a, b = (value_of(term) if isinstance(term, Literal) else None for term in (start, end))
            if isinstance(a, datetime) and isinstance(b, datetime) and start and end:
                spans.append((_plain(a), _plain(b), a.tzinfo is not None))
                premises += ((line, COV + "interval", interval), (interval, COV + "start", start))
                premises += ((interval, COV + "end", end),)
        return spans, premises

    def minutes(self) -> Iterator[Derived]:
        """Yield the monitored minutes of lines, the units that they earn, and the units billed beyond these."""
        for line in self.lines:
            spans, premises = self.spans(line)
            if not spans:
                continue
            minutes = minutes_of(spans)
            yield Derived((line, COV + "monitoredMinutes", _number(minutes)), rule("monitoredMinutes"), premises)
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
            premises = (*premises, (line, COV + "code", code), *timed)
            yield Derived((line, COV + "earnedUnits", _number(earned)), rule("earnedUnits"), premises)
            billed = self.facts.value(line, COV + "units")
            excess = (int(billed.value) if isinstance(billed, Literal) else 1) - earned
            if excess > 0:
                shown: Premises = ((line, COV + "units", billed),) if billed else ()
                yield Derived((line, COV + "excessUnits", _number(excess)), rule("earnedUnits"), (*premises, *shown))

    def overlaps(self) -> Iterator[Derived]:
        """Yield continuous lines that report minutes which an earlier continuous line reports as well."""
        earlier: list[tuple[str, list[Span], Premises]] = []
        for line in self.lines:
            code = self.code(line)
            if code is None or CONTINUOUS not in self.knowledge.ancestors(code):
                continue
            spans, premises = self.spans(line)
            for other, others, shown in earlier:
                if any(a < d and c < b and zoned == also for a, b, zoned in spans for c, d, also in others):
                    yield Derived((line, COV + "overlaps", other), rule("overlap"), (*premises, *shown))
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
