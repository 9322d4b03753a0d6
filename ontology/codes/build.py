"""Build the ICD-10-CM files of this folder from `sources/` and the release that simple_icd_10_cm holds."""

import argparse
import csv
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import simple_icd_10_cm as icd  # type: ignore[import-untyped]

HERE = Path(__file__).parent
PREDICATES = {
    "ENTAILS": "rdfs:subClassOf",
    "SUGGESTS": "cov:suggests",
    "MAY": "cov:permits",
    "CONTRA": "cov:statesAbsenceOf",
}
EVERY_CODE = "*"  # the row of `validity` that holds where no other does
CODE = r"[A-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4})?"
MENTION = re.compile(rf"({CODE})(?:\.?-({CODE}))?")
SPAN = re.compile(r" \(([A-Z][0-9A][0-9A-Z](?:-[A-Z][0-9A][0-9A-Z])?)\)$")

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


def parent(code: str) -> str:
    """Find what stands above a code, reading a block of one category, named alike, as that category."""
    above = str(icd.get_parent(code))
    return above if above != code else str(icd.get_parent(code, prioritize_blocks=True))


def lineage(code: str) -> Iterator[str]:
    """Yield a code and everything above it."""
    while code:
        yield code
        code = parent(code)


def name(code: str) -> str:
    """Name a chapter by its range of codes, as its public IRI does, and anything else by its code."""
    found = SPAN.search(icd.get_description(code)) if icd.is_chapter(code) else None
    return found[1] if found else code


def title(code: str) -> str:
    """Give the official title without the range of codes that chapters and blocks repeat."""
    return SPAN.sub("", icd.get_description(code))


def definition(code: str) -> str:
    """Say what a class is by its parent and by what tells it from its siblings."""
    if icd.is_chapter(code):
        return f"A coded diagnosis of chapter {code} of ICD-10-CM, which holds the codes {name(code)}."
    verb = "codes as" if icd.is_leaf(code) else "files under"
    return f"A diagnosis of {name(parent(code))} ({title(parent(code))}) that ICD-10-CM {verb} {code}."


def text(words: str) -> str:
    """Write an English literal."""
    escaped = words.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"@en'


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


def release() -> str:
    """List every code of the release, undotted, headers marked."""
    codes = filter(icd.is_category_or_subcategory, dict.fromkeys(icd.get_all_codes()))
    return header("release") + "".join(
        sorted(f"{code.replace('.', '')}{'' if icd.is_leaf(code) else '-'}\n" for code in codes)
    )


def main() -> int:
    """Write both files, or with --check say which of them differ from what would be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of date")
    check = parser.parse_args().check
    built = {
        "icd10cm-spine.ttl": ontology(Sources(*map(read, Sources._fields))),
        "icd10cm-release.txt": release(),
    }
    if not check:
        for file, words in built.items():
            (HERE / file).write_bytes(words.encode())
    stale = [file for file, words in built.items() if (HERE / file).read_bytes() != words.encode()]
    for file in stale:
        print(f"{file} differs from its sources\nhelp: run `python ontology/codes/build.py`", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
