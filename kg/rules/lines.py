"""What follows about codes and lines: validity on the date, bases of add-ons, repetitions, minutes and units."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from kg.literal import value_of
from kg.rules.derived import Conclusion, Pieces, Premises, rule
from kg.rules.stated import CODE, LEVEL, Stated
from kg.rules.tables import REGION, Code
from kg.terms import COV, XSD, Literal, Term

ADD_ON_TO = COV + "addOnTo"
BASE_LINE = COV + "baseLine"
CODE_VALIDITY = COV + "codeValidity"
COMPRISES = COV + "comprises"
DUPLICATE_OF = COV + "duplicateOf"
EXCLUDED_BY = COV + "excludedBy"
INTERVAL = COV + "interval"
NOT_WITH = COV + "notWith"
SERVICE_DATE = COV + "serviceDate"
UNITS = COV + "units"
UNKNOWN = COV + "unknownCode"
_VALIDITY, _BASE, _DUPLICATE, _EXCLUDED, _REPEATED, _TOGETHER, _MISPLACED, _MINUTES, _UNITS, _OVERLAP = map(
    rule,
    (
        "codeValidity",
        "baseLine",
        "duplicate",
        "excludedPair",
        "repeatedDiagnosis",
        "notTogether",
        "misplaced",
        "monitoredMinutes",
        "earnedUnits",
        "overlap",
    ),
)
ByCode = dict[str, list[str]]


class Span(NamedTuple):
    """A monitored interval, in UTC where a time zone was given."""

    start: datetime
    end: datetime
    is_zoned: bool


class Timed(NamedTuple):
    """A line with its monitored intervals and the triples that state them."""

    line: str
    code: Code | None
    spans: list[Span]
    premises: Premises


class Lines:
    """The codes and lines of a claim."""

    def __init__(self, stated: Stated) -> None:
        self.stated = stated
        self.codes = stated.tables.codes
        self.coded = [(line, code) for line, code in stated.lines if code]
        self.by_code: ByCode = {}  # the first of the lines of a code is what the others repeat
        for line, code in self.coded:
            self.by_code.setdefault(code.iri, []).append(line)

    def conclusions(self) -> list[Conclusion]:
        """Return what the coding edits ask about."""
        stated = self.stated
        found = self.validity()
        for iri, lines in self.by_code.items():
            if self.codes[iri].added_to:
                found += self.base_lines(self.codes[iri], lines)
        for iri, lines in self.by_code.items():
            if len(lines) > 1 or self.codes[iri].contained_in:
                found += self.duplicates(self.codes[iri], lines)
        if len(self.coded) < len(stated.lines):
            found += self.unknown_duplicates()
        if len(stated.diagnoses) > 1:
            found += self.excluded_pairs()
            found += self.repeated_diagnoses()
        found += self.excluded_services()
        found += self.misplaced()
        if intervals := [(line, code, shown) for line, code in stated.lines if (shown := stated.nodes(line, INTERVAL))]:
            timed = [timed for given in intervals if (timed := self.timed(*given)).spans]
            found += self.minutes(timed)
            found += self.overlaps(timed)
        return found

    def validity(self) -> list[Conclusion]:
        """Return what each code is on the date of service."""
        stated = self.stated
        dated = (stated.claim, SERVICE_DATE, stated.index[stated.claim, SERVICE_DATE][0])
        found: list[Conclusion] = []
        for node, code in (*stated.diagnoses, *self.coded):
            _, validity, shown = code.period(stated.day)
            premises = ((node, CODE, code.iri), dated, *shown)
            found.append(Conclusion(node, CODE_VALIDITY, validity, _VALIDITY, (premises,)))
        return found

    def base_lines(self, code: Code, lines: list[str]) -> Iterator[Conclusion]:
        """Yield the base lines of add-ons: of each code the first line, since the others repeat it."""
        for parent in code.added_to:
            for base, (other, *_) in self.by_code.items():
                steps = self.codes[base].above.get(parent)
                for line in lines if steps is not None else ():
                    if line != other:
                        shown = ((line, CODE, code.iri), (code.iri, ADD_ON_TO, parent), (other, CODE, base))
                        yield Conclusion(line, BASE_LINE, (other,), _BASE, (shown, steps or ()))

    def duplicates(self, code: Code, lines: list[str]) -> Iterator[Conclusion]:
        """Yield lines that repeat the first of their code, or are contained in a comprehensive study of the claim."""
        first, *others = lines
        for line in others:
            both = ((line, CODE, code.iri), (first, CODE, code.iri))
            yield Conclusion(line, DUPLICATE_OF, (first,), _DUPLICATE, (both,))
        for whole in code.contained_in:
            if whole in self.by_code and self.codes[whole].is_valid(self.stated.day):
                other = self.by_code[whole][0]
                stated: Premises = ((other, CODE, whole), (whole, COMPRISES, code.iri))
                for line in lines:
                    yield Conclusion(line, DUPLICATE_OF, (other,), _DUPLICATE, (((line, CODE, code.iri),), stated))

    def unknown_duplicates(self) -> Iterator[Conclusion]:
        """Yield lines that repeat a code that the ontology does not hold."""
        found: dict[Term, str] = {}
        for line, _ in self.stated.lines:
            if given := self.stated.value(line, UNKNOWN):
                first = found.setdefault(given, line)
                if first != line:
                    both = ((line, UNKNOWN, given), (first, UNKNOWN, given))
                    yield Conclusion(line, DUPLICATE_OF, (first,), _DUPLICATE, (both,))

    def excluded_pairs(self) -> Iterator[Conclusion]:
        """Yield diagnoses that exclude another."""
        for one, code in self.stated.diagnoses:
            for other, another in self.stated.diagnoses if code.excludes else ():
                hit = next((x for x in code.excludes if x in another.above), None)
                if hit is not None and other != one:
                    shown = (
                        (one, CODE, code.iri),
                        *code.excludes[hit],
                        (other, CODE, another.iri),
                        *another.above[hit],
                    )
                    yield Conclusion(one, EXCLUDED_BY, (other,), _EXCLUDED, (shown,))

    def repeated_diagnoses(self) -> Iterator[Conclusion]:
        """Yield diagnoses that repeat an earlier one."""
        found: dict[str, str] = {}
        for diagnosis, code in self.stated.diagnoses:
            first = found.setdefault(code.iri, diagnosis)
            if first != diagnosis:
                both = ((diagnosis, CODE, code.iri), (first, CODE, code.iri))
                yield Conclusion(diagnosis, COV + "repeats", (first,), _REPEATED, (both,))

    def excluded_services(self) -> Iterator[Conclusion]:
        """Yield lines and procedures whose codes are not reported together; procedures, unless at other levels."""
        procedures: ByCode = {}
        for procedure, code, _ in self.stated.procedures:
            if code:
                procedures.setdefault(code.iri, []).append(procedure)
        for nodes in (self.by_code, procedures):
            for iri, ones in nodes.items():
                for another in self.codes[iri].not_with:
                    for one in ones if another in nodes else ():
                        other = next((x for x in nodes[another] if x != one and self.same_place(one, x)), None)
                        if other:
                            shown = ((one, CODE, iri), (iri, NOT_WITH, another), (other, CODE, another))
                            yield Conclusion(one, COV + "notTogetherWith", (other,), _TOGETHER, (shown,))

    def same_place(self, one: str, other: str) -> bool:
        """Say whether two procedures share a level, or one of them names none."""
        here, there = (set(self.stated.nodes(node, LEVEL)) for node in (one, other))
        return not here or not there or bool(here & there)

    def misplaced(self) -> Iterator[Conclusion]:
        """Yield procedures with a level outside the region that their code names."""
        for procedure, code, levels in self.stated.procedures:
            for level in levels if code and code.region else ():
                if code and code.region and code.region not in self.stated.tables.places[level].wholes:
                    shown = (
                        (procedure, CODE, code.iri),
                        (code.iri, REGION, code.region),
                        (procedure, LEVEL, level),
                    )
                    yield Conclusion(procedure, COV + "misplacedAt", (level,), _MISPLACED, (shown,))

    def timed(self, line: str, code: Code | None, intervals: tuple[str, ...]) -> Timed:
        """Return a line with its monitored intervals."""
        spans: list[Span] = []
        premises: Premises = ()
        for interval in intervals:
            start, end = (self.stated.value(interval, COV + name) for name in ("start", "end"))
            a, b = (value_of(term) if isinstance(term, Literal) else None for term in (start, end))
            if isinstance(a, datetime) and isinstance(b, datetime) and start and end:
                spans.append(Span(_plain(a), _plain(b), a.tzinfo is not None))
                premises += ((line, INTERVAL, interval), (interval, COV + "start", start))
                premises += ((interval, COV + "end", end),)
        return Timed(line, code, spans, premises)

    def minutes(self, timed: list[Timed]) -> Iterator[Conclusion]:
        """Yield the monitored minutes of lines, the units that they earn, and the units billed beyond these."""
        for line, code, spans, premises in timed:
            minutes = minutes_of(spans)
            yield Conclusion(line, COV + "monitoredMinutes", (_number(minutes),), _MINUTES, (premises,))
            if code is None or code.unit_minutes is None or code.remainder_minutes is None:
                continue
            earned = (minutes + code.unit_minutes - code.remainder_minutes) // code.unit_minutes
            shown = (*premises, (line, CODE, code.iri), *code.timed)
            yield Conclusion(line, COV + "earnedUnits", (_number(earned),), _UNITS, (shown,))
            billed = self.stated.value(line, UNITS)
            excess = (int(billed.value) if isinstance(billed, Literal) else 1) - earned
            if excess > 0:
                pieces: Pieces = ((*shown, (line, UNITS, billed)) if billed else shown,)
                yield Conclusion(line, COV + "excessUnits", (_number(excess),), _UNITS, pieces)

    def overlaps(self, timed: list[Timed]) -> Iterator[Conclusion]:
        """Yield continuous lines that report minutes which an earlier continuous line reports as well."""
        earlier: list[Timed] = []
        for here in timed:
            if here.code and here.code.is_continuous:
                for there in earlier:
                    if any(_overlap(one, other) for one in here.spans for other in there.spans):
                        shown = (*here.premises, *there.premises)
                        yield Conclusion(here.line, COV + "overlaps", (there.line,), _OVERLAP, (shown,))
                earlier.append(here)


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end and one.is_zoned == other.is_zoned


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
