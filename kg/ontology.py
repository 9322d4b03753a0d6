"""All of ICD-10-CM as one OWL module, for Protégé and for analysts; the engine never reads it."""

import os
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from kg.errors import KnowledgeError
from kg.graph import read
from kg.knowledge import find_root
from kg.terms import ICD10CM, OWL, TYPE, local_name

Progress = Callable[[Iterable[str]], Iterable[str]]

DEFAULT = Path("build/icd10cm-full.ttl")
SPAN = re.compile(r" \(([A-Z][0-9A][0-9A-Z](?:-[A-Z][0-9A][0-9A-Z])?)\)$")
CATALOG = "catalog-v001.xml"
MODULE = "https://w3id.org/coverpath/codes/icd10cm-full"
HEADER = """\
@prefix cov: <https://w3id.org/coverpath/coverage#> .
@prefix dcterms: <http://purl.org/dc/terms/> .
@prefix icd10cm: <http://purl.bioontology.org/ontology/ICD10CM/> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix vann: <http://purl.org/vocab/vann/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .

<{module}> a owl:Ontology ;
    owl:imports <https://w3id.org/coverpath/codes/icd10cm-spine> ;
    owl:versionIRI <{module}/{version}> ;
    owl:versionInfo "{version}" ;
    dcterms:title "ICD-10-CM"@en ;
    dcterms:description "Every chapter, block and code of ICD-10-CM that the module for the spine does not hold, under its parent. It decides nothing."@en ;
    dcterms:creator "The Coverpath developers" ;
    dcterms:license <https://creativecommons.org/publicdomain/zero/1.0/> ;
    dcterms:source "ICD-10-CM (CMS and NCHS, public domain), as the Python package simple_icd_10_cm {version} holds it"@en ;
    vann:preferredNamespacePrefix "icd10cm" ;
    vann:preferredNamespaceUri "http://purl.bioontology.org/ontology/ICD10CM/" ;
    skos:editorialNote "Written by kg/ontology.py. The dates from and until when a code can be billed stand in the module for the spine alone, and those of other codes in icd10cm-history.txt, as far as they are known."@en .
"""  # noqa: E501  # a literal of Turtle is one line


@cache
def package() -> Any:
    """Return the package that holds the release, which only the extra `ontology` installs.

    Raises a KnowledgeError where it is missing.
    """
    try:
        import simple_icd_10_cm  # type: ignore[import-untyped]
    except ImportError as error:
        raise KnowledgeError(
            "ICD-10-CM", "the package `simple-icd-10-cm` is not installed", "pip install 'coverpath[ontology]'"
        ) from error
    return simple_icd_10_cm


def parent(code: str) -> str:
    """Find what stands above a code, reading a block of one category, named alike, as that category."""
    above = str(package().get_parent(code))
    return above if above != code else str(package().get_parent(code, prioritize_blocks=True))


def lineage(code: str) -> Iterator[str]:
    """Yield a code and everything above it."""
    while code:
        yield code
        code = parent(code)


def name(code: str) -> str:
    """Name a chapter by its range of codes, as its public IRI does, and anything else by its code."""
    found = SPAN.search(package().get_description(code)) if package().is_chapter(code) else None
    return found[1] if found else code


def title(code: str) -> str:
    """Give the official title without the range of codes that chapters and blocks repeat."""
    return SPAN.sub("", package().get_description(code))


def definition(code: str) -> str:
    """Say what a class is by its parent and by what tells it from its siblings."""
    if package().is_chapter(code):
        return f"A coded diagnosis of chapter {code} of ICD-10-CM, which holds the codes {name(code)}."
    verb = "codes as" if package().is_leaf(code) else "files under"
    return f"A diagnosis of {name(parent(code))} ({title(parent(code))}) that ICD-10-CM {verb} {code}."


def text(words: str) -> str:
    """Write an English literal."""
    escaped = words.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"@en'


def write_full(target: Path = DEFAULT, progress: Progress | None = None, under: Collection[str] = ()) -> int:
    """Write every class of ICD-10-CM that the module for the spine lacks as Turtle, and return how many those are.

    With `under`, only what is at or below some codes, chapters or blocks, and what is above them.
    A catalog goes beside the file, so that Protégé finds what it imports.

    Raises a KnowledgeError where the package is missing or of another release, or where the engine would read the file.
    """
    root = find_root()
    refuse_knowledge_folder(target, root)
    codes = release(root)
    shared = {words for words, count in Counter(map(title, codes)).items() if count > 1}
    held = spine(root)
    below = frozenset(under)
    wanted = {above for code in codes if not below or not below.isdisjoint(lineage(code)) for above in lineage(code)}
    missing = [code for code in codes if code in wanted and name(code) not in held]
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with part.open("w", encoding="utf-8", newline="\n") as file:
        file.write(HEADER.format(module=MODULE, version=version("simple-icd-10-cm")))
        for code in progress(missing) if progress else missing:
            file.write(block(code, shared))
    part.replace(target)
    write_catalog(target, root)
    return len(missing)


def block(code: str, shared: Collection[str]) -> str:
    """Write one class as Turtle; a title that several share gets its code beside it."""
    own, above, words = name(code), parent(code), title(code)
    return (
        f"\nicd10cm:{own} a owl:Class ;\n"
        f"    rdfs:subClassOf {f'icd10cm:{name(above)}' if above else 'cov:CodedDiagnosis'} ;\n"
        f"    rdfs:label {text(f'{words} ({own})' if words in shared else words)} ;\n"
        f"    skos:definition {text(definition(code))} ;\n"
        f'    skos:notation "{own}" .\n'
    )


def release(root: Path) -> list[str]:
    """List chapters, blocks and codes in the order of the release, which is the one that the engine knows."""
    codes = list(dict.fromkeys(map(str, package().get_all_codes())))
    lines = (root / "ontology/codes/icd10cm-release.txt").read_text("utf-8").splitlines()
    known = {line.rstrip("-") for line in lines if line and not line.startswith("#")}
    found = {code.replace(".", "") for code in codes if package().is_category_or_subcategory(code)}
    if found != known:
        raise KnowledgeError(
            "ICD-10-CM",
            f"`simple-icd-10-cm` {version('simple-icd-10-cm')} holds another release than Coverpath",
            "pip install --force-reinstall 'coverpath[ontology]'",
        )
    return codes


def spine(root: Path) -> frozenset[str]:
    """Return the names of the classes that the module for the spine holds."""
    file = "ontology/codes/icd10cm-spine.ttl"
    return frozenset(
        local_name(s)
        for s, p, o in read(root / file, file)
        if p == TYPE and o == OWL + "Class" and isinstance(s, str) and s.startswith(ICD10CM)
    )


def refuse_knowledge_folder(target: Path, root: Path) -> None:
    """Refuse a file that every start of the engine would read."""
    if any(target.resolve().is_relative_to((root / folder).resolve()) for folder in ("ontology", "shapes")):
        raise KnowledgeError(
            str(target), "every start reads all that is in this folder", f"write it elsewhere, such as {DEFAULT}"
        )


def write_catalog(target: Path, root: Path) -> None:
    """Write beside a file where what it imports is found; leave a catalog that is not ours as it is."""
    catalog = target.with_name(CATALOG)
    if catalog.exists() and MODULE not in catalog.read_text("utf-8"):
        return
    home = root / "ontology"
    entries = {MODULE: target.name}
    for entry in ET.parse(home / CATALOG).iter("{urn:oasis:names:tc:entity:xmlns:xml:catalog}uri"):
        file = os.path.relpath(home / entry.attrib["uri"], target.resolve().parent)
        entries[entry.attrib["name"]] = Path(file).as_posix()
    lines = [f"    <uri name={quoteattr(iri)} uri={quoteattr(file)}/>\n" for iri, file in sorted(entries.items())]
    catalog.write_text(
        '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
        '<catalog prefer="public" xmlns="urn:oasis:names:tc:entity:xmlns:xml:catalog">\n'
        f"{''.join(lines)}</catalog>\n",
        encoding="utf-8",
    )


__all__ = ["DEFAULT", "write_full"]
