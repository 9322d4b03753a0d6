"""Build the ICD-10-CM files of this folder from `sources/` and the release that simple_icd_10_cm holds.

Earlier releases are known from earlier versions of that package, each of which holds one: `--list` prints the release
of the version that is installed, and `--compare 2021-01-01=LIST ...` writes sources/icd10cm-changes.csv anew from such
lists. A release is named by the day from which it was in force (sources/icd10cm-releases.csv).
"""

import argparse
import csv
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import simple_icd_10_cm as icd  # type: ignore[import-untyped]

from kg.ontology import definition, lineage, name, parent, text, title

HERE = Path(__file__).parent
PREDICATES = {
    "ENTAILS": "rdfs:subClassOf",
    "SUGGESTS": "cov:suggests",
    "MAY": "cov:permits",
    "CONTRA": "cov:statesAbsenceOf",
}
BILLABLE, HEADER, ABSENT = "billable", "header", ""
EVERY_CODE = "*"  # the row of `validity` that holds where no other does
CODE = r"[A-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4})?"
MENTION = re.compile(rf"({CODE})(?:\.?-({CODE}))?")

Row = dict[str, str]
Pairs = Iterator[tuple[str, str]]


class Sources(NamedTuple):
    """Hold the tables of `sources/`, by the first column of each."""

    states: dict[str, list[Row]]
    regions: dict[str, list[Row]]
    region_overrides: dict[str, list[Row]]
    conditions: dict[str, list[Row]]
    validity: dict[str, list[Row]]
    spine_families: dict[str, list[Row]]
    releases: dict[str, list[Row]]
    changes: dict[str, list[Row]]


def read(table: str) -> dict[str, list[Row]]:
    """Read one table of the sources, its rows grouped by their first column."""
    grouped: dict[str, list[Row]] = {}
    with (HERE / "sources" / f"icd10cm-{table.replace('_', '-')}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            grouped.setdefault(next(iter(row.values())), []).append(row)
    return grouped


def header(file: str) -> str:
    """Read what a file begins with."""
    return (HERE / "sources" / f"icd10cm-{file}-header.txt").read_text(encoding="utf-8")


def mentioned(note: str, codes: list[str]) -> Iterator[str]:
    """Yield the topmost of our codes that an Excludes1 note names, one by one or as a range."""
    for low, high in MENTION.findall(note):
        named = [code for code in codes if code == low or (high and low <= code[: len(high)] <= high)]
        yield from (code for code in named if parent(code) not in named)


def validity(code: str, sources: Sources) -> Pairs:
    """Yield from when and until when a code can be billed; a header never could, unless a table says so."""
    for row in sources.validity.get(code, sources.validity[EVERY_CODE] if icd.is_leaf(code) else []):
        for column in ("billableFrom", "billableUntil"):
            if row[column]:
                yield f"cov:{column}", f'"{row[column]}T00:00:00"^^xsd:dateTime'


def place(code: str, sources: Sources) -> Pairs:
    """Yield the region of a code, or that it takes that of the operation."""
    regions = dict.fromkeys(state["region"] for state in sources.states.get(code, []))
    for row in sources.region_overrides.get(code) or [row for region in regions for row in sources.regions[region]]:
        if row["anatomy"]:
            yield "cov:region", f"anatomy:{row['anatomy']}"
        elif row["silent"]:
            yield "cov:takesOperatedRegion", "true"


def knowledge(code: str, strength: str, sources: Sources) -> Pairs:
    """Yield the conditions of which a code speaks with one strength."""
    for state in sources.states.get(code, []):
        if state["strength"] == strength:
            yield PREDICATES[strength], f"condition:{sources.conditions[state['condition']][0]['class']}"


def statements(code: str, codes: list[str], shared: set[str], sources: Sources) -> Pairs:
    """Yield all that the file says of one class."""
    yield "rdfs:subClassOf", f"icd10cm:{name(parent(code))}" if parent(code) else "cov:CodedDiagnosis"
    yield from (("rdfs:subClassOf", f"condition:{row['class']}") for row in sources.spine_families.get(code, []))
    yield from knowledge(code, "ENTAILS", sources)
    yield "rdfs:label", text(f"{title(code)} ({name(code)})" if title(code) in shared else title(code))
    yield from (("skos:altLabel", text(term)) for term in icd.get_inclusion_term(code))
    yield "skos:definition", text(definition(code))
    yield "skos:notation", f'"{name(code)}"'
    yield from validity(code, sources)
    yield from place(code, sources)
    for strength in ("SUGGESTS", "MAY", "CONTRA"):
        yield from knowledge(code, strength, sources)
    for note in icd.get_excludes1(code):
        yield from (("cov:excludes1", f"icd10cm:{other}") for other in mentioned(note, codes))


def block(code: str, pairs: Pairs) -> str:
    """Write one class as Turtle, each predicate where it is first given."""
    objects: dict[str, dict[str, None]] = {}
    for predicate, value in pairs:
        objects.setdefault(predicate, {})[value] = None
    lines = [f"    {predicate} {' , '.join(values)}" for predicate, values in objects.items()]
    return f"icd10cm:{name(code)} a owl:Class ;\n" + " ;\n".join(lines) + " .\n"


def ontology(sources: Sources) -> str:
    """Write the codes of the sources and everything above them, in the order of the release."""
    wanted = {above for code in sources.states for above in lineage(code)}
    codes = [code for code in dict.fromkeys(icd.get_all_codes()) if code in wanted]
    shared = {words for words, count in Counter(map(title, codes)).items() if count > 1}
    below_blocks = [code for code in codes if icd.is_category_or_subcategory(code)]
    return "\n".join(
        [header("spine"), *(block(code, statements(code, below_blocks, shared, sources)) for code in codes)]
    )


def listed() -> dict[str, str]:
    """Return every code of the release, undotted and sorted, and whether it may be reported or is a header."""
    codes = filter(icd.is_category_or_subcategory, dict.fromkeys(icd.get_all_codes()))
    return dict(sorted((code.replace(".", ""), BILLABLE if icd.is_leaf(code) else HEADER) for code in codes))


def release(codes: Mapping[str, str]) -> str:
    """Write a release, one code a line, headers marked."""
    return "".join(f"{code}{'' if kind == BILLABLE else '-'}\n" for code, kind in codes.items())


def earlier(file: Path) -> dict[str, str]:
    """Read a release as `--list` prints it."""
    lines = file.read_text("utf-8").split()
    return {line.rstrip("-"): HEADER if line.endswith("-") else BILLABLE for line in lines}


def changes(now: Mapping[str, str], before: Mapping[str, Mapping[str, str]]) -> str:
    """Write what each earlier release said of the codes of which the present one says something else."""
    rows = [
        (code, *said)
        for code in sorted({code for codes in (now, *before.values()) for code in codes})
        if {now.get(code, ABSENT)} != set(said := [codes.get(code, ABSENT) for codes in before.values()])
    ]
    return "".join(f"{','.join(row)}\n" for row in (("code", *before), *rows))


def spans(sources: Sources) -> Iterator[tuple[str, list[str]]]:
    """Yield each code that may not be reported in every release, with the releases in which it may."""
    present, now = list(sources.releases)[-1], listed()
    for code, (row,) in sources.changes.items():
        said = {**row, present: now.get(code, ABSENT)}
        if any(said[day] == BILLABLE for day in sources.releases):
            yield code, [day for day in sources.releases if said[day] == BILLABLE]


def history(sources: Sources) -> str:
    """Write the first release of each code that came and the first release without each code that went.

    A code of which the validity table gives the dates is left out.
    """
    days = list(sources.releases)
    dated = {code.replace(".", "") for code in sources.validity}
    lines = []
    for code, valid in spans(sources):
        since = "-" if valid[0] == days[0] else valid[0]
        gone = "-" if valid[-1] == days[-1] else days[days.index(valid[-1]) + 1]
        lines += [f"{code} {since} {gone}\n"] if code not in dated and (since, gone) != ("-", "-") else []
    return header("history") + "".join(lines)


def contradictions(sources: Sources) -> Iterator[str]:
    """Yield each date of the validity table that a release denies, and each code of the spine that lacks its date."""
    days, now = list(sources.releases), listed()
    found = dict(spans(sources))
    usual = {code: days if kind == BILLABLE else [] for code, kind in now.items()}
    for code, rows in sources.validity.items():
        plain = code.replace(".", "")
        if code != EVERY_CODE:
            stated = [d for d in days for r in rows if r["billableFrom"] <= d < (r["billableUntil"] or "9")]
            valid = found.get(plain, usual.get(plain, []))
            if stated != valid:
                yield f"{code} can be billed on {stated} by the table, and on {valid} by the releases"
    for code in sources.states:
        if code.replace(".", "") in found and code not in sources.validity:
            yield f"{code} could not be billed in every release, and the table does not say from or until when it can"


def main() -> int:
    """Write all files, or with --check say which of them differ from what would be written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of date")
    parser.add_argument("--list", action="store_true", help="print the release of the installed package, no more")
    parser.add_argument("--compare", nargs="+", metavar="DAY=LIST", help="compare the release with earlier ones")
    options = parser.parse_args()
    if options.list:
        print(release(listed()), end="")
        return 0
    if options.compare:
        before = {day: earlier(Path(file)) for day, _, file in (pair.partition("=") for pair in options.compare)}
        (HERE / "sources" / "icd10cm-changes.csv").write_bytes(changes(listed(), before).encode())
    sources = Sources(*map(read, Sources._fields))
    built = {
        "icd10cm-spine.ttl": ontology(sources),
        "icd10cm-release.txt": header("release") + release(listed()),
        "icd10cm-history.txt": history(sources),
    }
    if not options.check:
        for file, words in built.items():
            (HERE / file).write_bytes(words.encode())
    stale = [file for file, words in built.items() if (HERE / file).read_bytes() != words.encode()]
    for file in stale:
        print(f"{file} differs from its sources\nhelp: run `python ontology/codes/build.py`", file=sys.stderr)
    wrong = list(contradictions(sources))
    for words in wrong:
        print(f"{words}\nhelp: correct sources/icd10cm-validity.csv", file=sys.stderr)
    return int(bool(stale or wrong))


if __name__ == "__main__":
    sys.exit(main())
