"""The files of ICD-10-CM: what they hold, and the module of all of it, which the engine never reads."""

import csv
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rdflib import OWL, RDF, RDFS, SKOS, Graph, URIRef

import kg
from kg import errors, ontology
from kg.knowledge import knowledge_files
from kg.terms import COV, ICD10CM
from tests.conftest import ROOT

CODES = ROOT / "ontology" / "codes"
HISTORY = [line.split() for line in (CODES / "icd10cm-history.txt").read_text().splitlines() if line[0] != "#"]
RELEASES = [row[0] for row in csv.reader((CODES / "sources/icd10cm-releases.csv").read_text().splitlines()[1:])]
SLICE = ("M51", "I26-I28", "22")  # a category of which the spine holds most, a block, and a chapter


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("build") / "slice.ttl"
    ontology.write_full(target, under=SLICE)
    return target


def classes(graph: Graph) -> set[URIRef]:
    return {cls for cls in graph.subjects(RDF.type, OWL.Class) if isinstance(cls, URIRef)}


@pytest.fixture(scope="module")
def spine() -> Graph:
    return Graph().parse(CODES / "icd10cm-spine.ttl")


def test_every_class_is_described(full: Path, spine: Graph) -> None:
    """Every class has one label, definition, notation and parent; the parent is in the module or in what it imports."""
    graph = Graph().parse(full)
    known = classes(graph) | classes(spine) | {URIRef(COV + "CodedDiagnosis")}
    assert len(classes(graph)) > 50
    for cls in classes(graph):
        for predicate in (RDFS.label, SKOS.definition, SKOS.notation, RDFS.subClassOf):
            assert len(set(graph.objects(cls, predicate))) == 1, (cls, predicate)
        assert set(graph.objects(cls, RDFS.subClassOf)) <= known
        assert str(graph.value(cls, SKOS.notation)) == str(cls).removeprefix(ICD10CM)


def test_no_class_stands_twice(full: Path, spine: Graph) -> None:
    """No class is written twice, nor again when the module for the spine holds it; no label is that of another."""
    written = re.findall(r"^icd10cm:(\S+) a owl:Class", full.read_text(), re.MULTILINE)
    assert len(written) == len(set(written))
    assert not {URIRef(ICD10CM + name) for name in written} & classes(spine)
    graph = Graph().parse(full)
    labels = [str(label) for label in graph.objects(None, RDFS.label)]
    assert len(labels) == len(set(labels))
    assert not set(labels) & set(map(str, spine.objects(None, RDFS.label)))


def test_the_slice_is_what_was_asked_for(full: Path, tmp_path: Path) -> None:
    """A slice holds what is at or below its codes, with what is above, and counts the classes that it wrote."""
    names = {str(cls).removeprefix(ICD10CM) for cls in classes(Graph().parse(full))}
    assert {"M51.A0", "I00-I99", "I26-I28", "I27.83", "U00-U85", "U07.1"} <= names
    assert all(name.startswith(("M51", "I26", "I27", "I28", "U")) for name in names - {"I00-I99"})
    assert ontology.write_full(tmp_path / "again.ttl", under=SLICE) == len(names)


def test_the_same_release_gives_the_same_bytes(full: Path, tmp_path: Path) -> None:
    """The module is the same, byte for byte, whenever it is written."""
    again = tmp_path / "same.ttl"
    ontology.write_full(again, under=SLICE)
    assert again.read_bytes() == full.read_bytes()
    assert not list(tmp_path.glob("*.part"))


def test_progress_sees_each_class(tmp_path: Path) -> None:
    """What shows progress passes every class that is written."""
    seen: list[str] = []

    def progress(codes: Iterable[str]) -> Iterator[str]:
        for code in codes:
            seen.append(code)
            yield code

    assert ontology.write_full(tmp_path / "u.ttl", progress, under=("U07",)) == len(seen) > 2


def test_the_catalog_leads_to_what_is_imported(full: Path) -> None:
    """Beside the module stands a catalog that leads Protégé to every file."""
    files = re.findall(r'uri="([^"]+)"', (full.parent / "catalog-v001.xml").read_text())
    assert "slice.ttl" in files
    assert all((full.parent / file).is_file() for file in files)


def test_a_catalog_of_others_stays(tmp_path: Path) -> None:
    """A catalog that we did not write is left as it is."""
    (tmp_path / "catalog-v001.xml").write_text("<catalog/>")
    ontology.write_full(tmp_path / "u.ttl", under=("U07",))
    assert (tmp_path / "catalog-v001.xml").read_text() == "<catalog/>"


def test_the_engine_does_not_read_it(full: Path, knowledge: kg.Knowledge) -> None:
    """No file of the engine's knowledge is that module, and no class of it is known to the engine."""
    read = knowledge_files(ROOT)
    assert not any("full" in path.name or path.is_relative_to(ROOT / "build") for path in read)
    assert not (ROOT / ontology.DEFAULT).resolve().is_relative_to(ROOT / "ontology")
    for cls in classes(Graph().parse(full)):
        assert not knowledge.graph.predicates(str(cls)), cls


@pytest.mark.parametrize("folder", ["ontology", "ontology/codes", "shapes"])
def test_it_is_not_written_where_the_engine_reads(folder: str) -> None:
    """A target among the files that every start reads is refused, and nothing is written."""
    target = ROOT / folder / "icd10cm-full.ttl"
    with pytest.raises(errors.KnowledgeError, match="every start reads"):
        ontology.write_full(target, under=("U07",))
    assert not target.exists()


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without simple-icd-10-cm the error says what to install."""
    ontology.package.cache_clear()
    monkeypatch.setitem(sys.modules, "simple_icd_10_cm", None)
    with pytest.raises(errors.KnowledgeError, match=r"help: pip install 'coverpath\[ontology\]'"):
        ontology.write_full(tmp_path / "x.ttl")


def test_another_release_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package that holds another release than the list of the engine is refused."""
    codes = ontology.package().get_all_codes()
    monkeypatch.setattr(ontology.package(), "get_all_codes", lambda: codes[:-1])
    with pytest.raises(errors.KnowledgeError, match="another release"):
        ontology.write_full(tmp_path / "x.ttl")


def test_the_files_are_those_of_their_sources() -> None:
    """The ICD-10-CM files are what build.py makes of sources/, and no release contradicts the table of validity."""
    ran = subprocess.run(
        [sys.executable, CODES / "build.py", "--check"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def builder() -> Any:
    spec = importlib.util.spec_from_file_location("ontology_codes_build", CODES / "build.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("code", "start", "end"),
    [
        ("M54.5", "2015-10-01", "2020-10-01"),  # in the release of January 2021 it may be reported
        ("M54.50", "2020-10-01", ""),  # and this one not yet
        ("M51.37", "2015-10-01", ""),  # a header in those of 2025 and 2026
        ("M47.12", "2021-10-01", ""),  # in all three
        ("M47.1", "2015-10-01", ""),  # a header in all three
        ("M99.99X", "2015-10-01", ""),  # in none
    ],
)
def test_a_date_that_a_release_denies_is_found(code: str, start: str, end: str) -> None:
    """A wrong date in the table of validity is found by the releases."""
    build = builder()
    sources = build.Sources(*map(build.read, build.Sources._fields))
    sources.validity[code] = [{"code": code, "billableFrom": start, "billableUntil": end}]
    assert [words.split()[0] for words in build.contradictions(sources)] == [code]


def test_a_missing_date_is_found() -> None:
    """A code of the spine that came between two releases needs its date in the table."""
    build = builder()
    sources = build.Sources(*map(build.read, build.Sources._fields))
    del sources.validity["M51.360"]
    assert [words.split()[0] for words in build.contradictions(sources)] == ["M51.360"]


def test_history_agrees_with_the_release(knowledge: kg.Knowledge) -> None:
    """A code of the history may be reported now if and only if it is not gone, and its dates are those of releases."""
    assert len(HISTORY) > 2000
    assert [code for code, _, _ in HISTORY] == sorted({code for code, _, _ in HISTORY})
    for code, since, gone in HISTORY:
        assert bool(knowledge.in_release(code)) == (gone == "-"), code
        assert {since, gone} <= {"-", *RELEASES[1:]} and (since, gone) != ("-", "-")
        assert gone == "-" or since == "-" or since < gone


@pytest.mark.parametrize(
    ("code", "since", "gone"),
    [
        ("G35", "-", "2026-04-01"),
        ("G35A", "2026-04-01", "-"),
        ("M51A0", "2025-04-01", "-"),
        ("T407X1A", "-", "2025-04-01"),
    ],
)
def test_a_code_came_or_went(code: str, since: str, gone: str) -> None:
    """A code that came, was divided or was deleted is known with the releases between which it was."""
    assert [code, since, gone] in HISTORY


@pytest.mark.parametrize("code", ["M5136", "M51360", "M545", "M5450", "M4712"])
def test_a_dated_or_lasting_code_has_no_history(code: str) -> None:
    """A code whose dates a source states, or which never changed, does not stand in the history."""
    assert code not in {row[0] for row in HISTORY}
