"""What follows about codes and lines: validity on the date, bases of add-ons, repetitions, minutes and units."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from kg.literal import value_of
from kg.rules.derived import By, Pieces, Premises, rule
from kg.rules.facts import CODE, Facts, giving
from kg.rules.sites import LEVEL
from kg.rules.tables import REGION, Code
from kg.terms import COV, ITSELF, XSD, Literal, Term, Triple

BASE_LINE = COV + "baseLine"
CODE_VALIDITY = COV + "codeValidity"
COMPRISES = COV + "comprises"
DUPLICATE_OF = COV + "duplicateOf"
EARNED_UNITS = COV + "earnedUnits"
EXCESS_UNITS = COV + "excessUnits"
EXCLUDED_BY = COV + "excludedBy"
INTERVAL = COV + "interval"
MISPLACED_AT = COV + "misplacedAt"
MONITORED_MINUTES = COV + "monitoredMinutes"
NOT_TOGETHER_WITH = COV + "notTogetherWith"
NOT_WITH = COV + "notWith"
OVERLAPS = COV + "overlaps"
REPEATS = COV + "repeats"
SERVICE_DATE = COV + "serviceDate"
UNITS = COV + "units"
UNKNOWN = COV + "unknownCode"
ByCode = dict[Code, list[str]]


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


def lines(facts: Facts) -> None:
    """Conclude what the coding edits ask about."""
    for node, code in facts.diagnoses:
        facts.conclude(node, CODE_VALIDITY, code.period(facts.day).validity, _VALIDITY)
    by_code: ByCode = {}  # the first of the lines of a code is what the others repeat
    for line, known in facts.lines:
        if known:
            facts.conclude(line, CODE_VALIDITY, known.period(facts.day).validity, _VALIDITY)
            by_code.setdefault(known, []).append(line)
    for code in by_code:
        if code.added_to:
            _base_lines(facts, code, by_code)
    for code in by_code:
        if len(by_code[code]) > 1 or code.contained_in:
            _duplicates(facts, code, by_code)
    if any(code is None for _, code in facts.lines):
        _unknown_duplicates(facts)
    if len(facts.diagnoses) > 1:
        _excluded_pairs(facts)
        _repeated_diagnoses(facts)
    _excluded_services(facts, by_code)
    _misplaced(facts)
    if timed := [
        _timed(facts, line, code, shown) for line, code in facts.lines if (shown := facts.nodes(line, INTERVAL))
    ]:
        _minutes(facts, timed)
        _overlaps(facts, timed)


def _base_lines(facts: Facts, code: Code, by_code: ByCode) -> None:
    """Conclude the base lines of add-ons: of each code the first line, since the others repeat it."""
    for parent in code.added_to:
        bases = [(lines[0], base) for base, lines in by_code.items() if parent in base.above]
        for line in by_code[code]:
            known = facts.nodes(line, BASE_LINE)
            others = [(base, other) for base, other in bases if base != line and base not in known]
            by = tuple([facts.kept.base_lines[line, code, parent, base, other] for base, other in others])
            if others:
                facts.conclude(line, BASE_LINE, tuple([base for base, _ in others]), by)


def _duplicates(facts: Facts, code: Code, by_code: ByCode) -> None:
    """Conclude which lines repeat the first of their code, or are contained in a comprehensive study of the claim."""
    first, *others = by_code[code]
    for line in others:
        facts.give(line, DUPLICATE_OF, first, _DUPLICATE, ((line, CODE, code.iri), (first, CODE, code.iri)))
    for iri in code.contained_in:
        whole = facts.tables.codes[iri]
        if whole in by_code and whole.is_valid(facts.day):
            other = by_code[whole][0]
            stated = ((other, CODE, iri), (iri, COMPRISES, code.iri))
            for line in by_code[code]:
                facts.give(line, DUPLICATE_OF, other, _DUPLICATE, ((line, CODE, code.iri),), stated)


def _unknown_duplicates(facts: Facts) -> None:
    """Conclude which lines repeat a code that the ontology does not hold."""
    found: dict[Term, str] = {}
    for line, code in facts.lines:
        if code is None and (given := facts.value(line, UNKNOWN)):
            first = found.setdefault(given, line)
            if first != line:
                facts.give(line, DUPLICATE_OF, first, _DUPLICATE, ((line, UNKNOWN, given), (first, UNKNOWN, given)))


def _excluded_pairs(facts: Facts) -> None:
    """Conclude which diagnoses exclude another."""
    for one, code in facts.diagnoses:
        for other, another in facts.diagnoses if code.excludes else ():
            hit = next((x for x in code.excludes if x in another.above), None)
            if hit is not None and other != one:
                steps = ((one, CODE, code.iri), *code.excludes[hit])
                shown = (*steps, (other, CODE, another.iri), *another.above[hit])
                facts.give(one, EXCLUDED_BY, other, _EXCLUDED, shown)


def _repeated_diagnoses(facts: Facts) -> None:
    """Conclude which diagnoses repeat an earlier one."""
    found: dict[Code, str] = {}
    for diagnosis, code in facts.diagnoses:
        first = found.setdefault(code, diagnosis)
        if first != diagnosis:
            facts.give(diagnosis, REPEATS, first, _REPEATED, ((diagnosis, CODE, code.iri), (first, CODE, code.iri)))


def _excluded_services(facts: Facts, lines: ByCode) -> None:
    """Conclude which lines and procedures are not reported together; procedures, unless at other levels."""
    procedures: ByCode = {}
    for procedure, code, _ in facts.procedures:
        if code:
            procedures.setdefault(code, []).append(procedure)
    for nodes in (lines, procedures):
        for code, ones in nodes.items():
            for iri in code.not_with:
                for one in ones:
                    others = nodes.get(facts.tables.codes[iri], ())
                    other = next((x for x in others if x != one and _share_place(facts, one, x)), None)
                    if other:
                        shown = ((one, CODE, code.iri), (code.iri, NOT_WITH, iri), (other, CODE, iri))
                        facts.give(one, NOT_TOGETHER_WITH, other, _TOGETHER, shown)


def _share_place(facts: Facts, one: str, other: str) -> bool:
    """Say whether two procedures share a level, or one of them names none."""
    here, there = (set(facts.nodes(node, LEVEL)) for node in (one, other))
    return not here or not there or bool(here & there)


def _misplaced(facts: Facts) -> None:
    """Conclude which procedures have a level outside the region that their code names."""
    for procedure, code, levels in facts.procedures:
        if code and code.region:
            for level in levels:
                if code.region not in facts.tables.places[level].wholes:
                    coded = ((procedure, CODE, code.iri), (code.iri, REGION, code.region))
                    facts.give(procedure, MISPLACED_AT, level, _MISPLACED, (*coded, (procedure, LEVEL, level)))


def _timed(facts: Facts, line: str, code: Code | None, intervals: tuple[str, ...]) -> Timed:
    """Return a line with its monitored intervals."""
    spans: list[Span] = []
    premises: Premises = ()
    for interval in intervals:
        start, end = (facts.value(interval, COV + name) for name in ("start", "end"))
        a, b = (value_of(term) if isinstance(term, Literal) else None for term in (start, end))
        if isinstance(a, datetime) and isinstance(b, datetime) and start and end:
            spans.append(Span(_plain(a), _plain(b), a.tzinfo is not None))
            premises += ((line, INTERVAL, interval), (interval, COV + "start", start))
            premises += ((interval, COV + "end", end),)
    return Timed(line, code, spans, premises)


def _minutes(facts: Facts, timed: list[Timed]) -> None:
    """Conclude the monitored minutes of lines, the units that they earn, and the units billed beyond these."""
    for line, code, spans, premises in timed:
        minutes = minutes_of(spans)
        facts.give(line, MONITORED_MINUTES, _number(minutes), _MINUTES, premises)
        if code is None or code.unit_minutes is None or code.remainder_minutes is None:
            continue
        earned = (minutes + code.unit_minutes - code.remainder_minutes) // code.unit_minutes
        shown = (*premises, (line, CODE, code.iri), *code.timed)
        facts.give(line, EARNED_UNITS, _number(earned), _UNITS, shown)
        billed = facts.value(line, UNITS)
        excess = (int(billed.value) if isinstance(billed, Literal) else 1) - earned
        if excess > 0:
            facts.give(
                line, EXCESS_UNITS, _number(excess), _UNITS, (*shown, (line, UNITS, billed)) if billed else shown
            )


def _overlaps(facts: Facts, timed: list[Timed]) -> None:
    """Conclude which continuous lines report minutes that an earlier continuous line reports as well."""
    continuous = [one for one in timed if one.code and one.code.is_continuous]
    for i, here in enumerate(continuous):
        for there in continuous[:i]:
            if any(_overlap(one, other) for one in here.spans for other in there.spans):
                facts.give(here.line, OVERLAPS, there.line, _OVERLAP, (*here.premises, *there.premises))


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


# Why it follows


def _why_valid(facts: Facts, triple: Triple) -> Pieces:
    node = str(triple[0])
    dated = (ITSELF, SERVICE_DATE, facts.index[ITSELF, SERVICE_DATE][0])
    code = facts.code(node)
    return (*facts.coded(node), dated), code.period(facts.day).shown if code else ()


_VALIDITY = (By(rule("codeValidity"), _why_valid),)
_DUPLICATE, _EXCLUDED, _REPEATED, _TOGETHER, _MISPLACED, _MINUTES, _UNITS, _OVERLAP = map(
    giving,
    (
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
