"""House rules.

Rules of the knowledge are queries in tests/hygiene: the first line says the rule, the second how to mend an offender,
an optional third which folders it reads, and each row is an offender. Rules of the code are patterns, further below.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from pyoxigraph import NamedNode, QuerySolutions, RdfFormat, Store

ROOT = Path(__file__).parent.parent
QUERIES = sorted((ROOT / "tests" / "hygiene").glob("*.rq"))
RULES = [query.stem for query in QUERIES]


@dataclass(frozen=True, slots=True)
class Rule:
    """A house rule as its query states it."""

    words: str
    mend: str
    folders: tuple[str, ...]
    query: str


def read_rule(name: str) -> Rule:
    """Read a rule from its query file."""
    query = (ROOT / "tests" / "hygiene" / f"{name}.rq").read_text("utf-8")
    words, mend, third = (line.removeprefix("# ") for line in query.splitlines()[:3])
    folders = third.removeprefix("graphs: ").split() if third.startswith("graphs: ") else ["ontology"]
    return Rule(words, mend, tuple(folders), query)


def store_of(texts: dict[str, str]) -> Store:
    """Load each Turtle text into a graph that is named by its file."""
    store = Store()
    for file, text in texts.items():
        store.load(text.encode(), RdfFormat.TURTLE, to_graph=NamedNode(f"file:{file}"))
    return store


@cache
def knowledge(folders: tuple[str, ...]) -> Store:
    """Load every Turtle file of some folders of the repository."""
    files = [file for folder in folders for file in sorted((ROOT / folder).rglob("*.ttl"))]
    return store_of({file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in files})


def offenders(rule: Rule, store: Store) -> list[str]:
    """List the rows of a rule's query, one line each."""
    rows = store.query(rule.query, use_default_graph_as_union=True)
    assert isinstance(rows, QuerySolutions)
    return sorted(" ".join(str(value).strip("<>").removeprefix("file:") for value in row) for row in rows)


@pytest.mark.parametrize("name", RULES)
def test_knowledge_keeps_the_house_rules(name: str) -> None:
    """No file in ontology/ or shapes/ offends a house rule."""
    rule = read_rule(name)
    found = offenders(rule, knowledge(rule.folders))
    shown = "\n  ".join(found[:20])
    assert not found, f"{rule.words}\n{rule.mend}\n{len(found)} offenders (tests/hygiene/{name}.rq):\n  {shown}"


PREFIXES = """
@prefix : <https://w3id.org/coverpath/trial#> .
@prefix cov: <https://w3id.org/coverpath/coverage#> .
@prefix dcterms: <http://purl.org/dc/terms/> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""

CLEAN = {
    "ontology": """
<https://w3id.org/coverpath/trial> a owl:Ontology ;
    owl:versionIRI <https://w3id.org/coverpath/trial/1> ;
    owl:versionInfo "1" ;
    dcterms:title "trial"@en ;
    dcterms:description "A trial."@en ;
    dcterms:creator "nobody" ;
    dcterms:license <https://www.apache.org/licenses/LICENSE-2.0> .
cov:region a owl:AnnotationProperty ; rdfs:label "lies in"@en ; skos:definition "Where it lies."@en .
cov:Criterion a owl:Class ; rdfs:label "criterion"@en ; skos:definition "A thing that is asked."@en .
cov:Leaf a owl:Class ; rdfs:subClassOf cov:Criterion ; rdfs:label "leaf"@en ; skos:definition "A test."@en .
cov:FactLeaf a owl:Class ; rdfs:subClassOf cov:Leaf ; rdfs:label "fact leaf"@en ; skos:definition "A fact's test."@en .
:Level a owl:Class ; rdfs:label "level"@en ; skos:definition "A place."@en ;
    rdfs:subClassOf [ a owl:Restriction ; owl:onProperty :within ; owl:someValuesFrom :Level ] .
:within a owl:ObjectProperty ; rdfs:label "is within"@en ; skos:definition "From a place to one around it."@en .
:C4 a :Level ; rdfs:label "C4"@en ; skos:definition "A level."@en ; cov:region :C4 .
""",
    "shapes": """
:both a cov:Criterion ; rdfs:label "both"@en ; sh:and ( :opll :opll ) .
:opll a cov:FactLeaf ; rdfs:label "OPLL"@en ; sh:message "no OPLL is recorded"@en .
:claim a sh:NodeShape ; sh:property [ sh:path :within ; sh:or ( [ sh:class :Level ] [ sh:nodeKind sh:IRI ] ) ] .
""",
}

OFFENDERS = [
    ("declared-value", ":C4 cov:region :C99 ."),
    ("labelled-criterion", ":unlabelled a cov:FactLeaf ; sh:message 'none'@en ."),
    ("labelled-criterion", ":unlabelled sh:not :opll ."),
    ("leaf-message", ":silent a cov:FactLeaf ; rdfs:label 'silent'@en ."),
    ("lower-case-label", ":T a owl:Class ; rdfs:label 'Spinal level'@en ."),
    ("named-member", ":join a cov:Criterion ; rdfs:label 'join'@en ; sh:or ( :opll [ sh:minCount 1 ] ) ."),
    ("named-member", ":join a cov:Criterion ; rdfs:label 'join'@en ; sh:not [ sh:minCount 1 ] ."),
    ("no-blank-node", ":C4 skos:scopeNote [ rdfs:comment 'a note'@en ] ."),
    ("no-blank-node", ":C4 :within [ a :Level ] ."),
    ("no-blank-node", "[] a :Level ."),
    ("no-blank-node", "[] a owl:Axiom ; owl:annotatedSource :C4 ."),
    ("no-broader", ":C4 skos:broader :C4 ."),
    ("no-dangling-term", ":C4 :inside :C4 ."),
    ("no-dangling-term", ":C4 :within :C99 ."),
    ("no-domain-or-range", ":within rdfs:domain :Level ."),
    ("no-domain-or-range", ":within rdfs:range :Level ."),
    ("no-inverse", ":within owl:inverseOf :within ."),
    ("no-payer", "cov:Policy a owl:Class . :policy a cov:Policy ."),
    ("no-payer", "cov:LocalPolicy rdfs:subClassOf cov:Policy . :policy a cov:LocalPolicy ."),
    ("no-payer", ":C4 skos:scopeNote 'as Aetna has it'@en ."),
    ("no-punning", ":C4 a owl:Class ."),
    ("no-punning", ":within a owl:Class ."),
    ("no-xsd-date", ":C4 dcterms:created '2026-01-01'^^xsd:date ."),
    ("one-definition", ":C4 skos:definition 'Another one.'@en ."),
    ("one-definition", ":C5 a :Level ."),
    ("one-label", ":C4 rdfs:label 'C4'@de ."),
    ("one-label", ":C5 a :Level ."),
    ("one-label", ":C5 a :Level ; rdfs:label 'C5' ."),
    ("one-ontology-a-file", ":C4 a :Level ."),
    ("ontology-header", "<https://w3id.org/coverpath/second> a owl:Ontology ."),
    ("unique-label", ":C5 a :Level ; rdfs:label 'c4'@en ."),
]


def trial(rule: Rule, planted: str = "") -> Store:
    """Load the clean files of the folders that a rule reads, and one file more in the last of them."""
    texts = {f"{folder}/clean.ttl": PREFIXES + CLEAN[folder] for folder in rule.folders}
    return store_of(texts | ({f"{rule.folders[-1]}/planted.ttl": PREFIXES + planted} if planted else {}))


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_whole(name: str) -> None:
    """Each rule says how to mend an offender, passes clean files, and has an offender to find."""
    rule = read_rule(name)
    assert rule.mend.startswith("Mend: ")
    assert offenders(rule, trial(rule)) == []
    assert name in {offended for offended, _ in OFFENDERS}, "plant an offender in OFFENDERS"


@pytest.mark.parametrize(("name", "planted"), OFFENDERS)
def test_a_rule_finds_its_offender(name: str, planted: str) -> None:
    """Each rule finds the offender that is planted among clean files."""
    rule = read_rule(name)
    assert offenders(rule, trial(rule, planted))


CODES = {
    "a CPT code": re.compile(r"(?<![\w.#])[0-9]{4}[0-9TF](?![\w#]|\.[0-9])"),
    "an ICD-10-CM or HCPCS code": re.compile(r"(?<![\w.#])[A-Z][0-9]{2}(?:\.[0-9A-Z]{1,4}|[0-9A-Z]{1,4})(?!\w)"),
    "a payer": re.compile(r"(?<![^\W_])(?:aetna|anthem|bcbs\w*|cigna|medicare|novitas|wps)(?![^\W_])", re.IGNORECASE),
    "a policy's number": re.compile(r"\b(?:cpb[- ]?[0-9]{4}|l3[0-9]{4}|cg-surg-[0-9]+|mp-[0-9]{3})\b", re.IGNORECASE),
}


def medicine_in(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and fault for each string of a Python source that holds a code, a payer or a policy."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for what, pattern in CODES.items():
                if match := pattern.search(node.value):
                    yield node.lineno, f"`{match[0]}` is {what}"


def test_medicine_is_turtle() -> None:
    """No string in the Python of kg or api holds a medical code, a payer or a policy."""
    found = [
        f"{file.relative_to(ROOT).as_posix()}:{line}: {fault}"
        for package in ("kg", "api")
        for file in sorted((ROOT / package).rglob("*.py"))
        for line, fault in medicine_in(file.read_text("utf-8"))
    ]
    assert not found, "knowledge belongs in ontology/ or shapes/; read it from there:\n  " + "\n  ".join(found)


@pytest.mark.parametrize(
    "literal", ["95938", "0213T", "M54.12", "M5412", "G0453", "as in 95861 or 95886", "aetna-cpb-0697", "lcd-l35003"]
)
def test_medicine_in_python_is_found(literal: str) -> None:
    """A code, a payer or a policy within any string is found, in an f-string too."""
    assert 2 in [line for line, _ in medicine_in(f"x = 1\ny = {literal!r}")]
    assert list(medicine_in(f"y = f'{{x}} {literal}'"))


@pytest.mark.parametrize(
    "literal", ["T12-L1", "C4-C5", "[0-9]{5}", "ICD10CM/", "2026-11-21", "sha256", "1,000", "UTF-8"]
)
def test_other_strings_in_python_pass(literal: str) -> None:
    """Levels, patterns, dates and namespaces are no medical codes."""
    assert list(medicine_in(f"y = {literal!r}")) == []


MACHINE = {
    "a path of one machine": re.compile(r"(?:^|[^a-z])/(?:work|tmp|root|home|Users)/[A-Za-z]"),
    "the host of a package registry": re.compile(r"pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian\.org"),
}


def machine_in(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and fault for each line that only one machine or one registry can serve."""
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in MACHINE.items():
            if match := pattern.search(line):
                yield number, f"`{match[0].strip()}` is {what}"


def tracked() -> list[Path]:
    """List the text files that git tracks, or would track if they were added."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    files = [ROOT / name for name in names if name and not name.endswith(".lock")]
    return [file for file in files if file.is_file() and b"\0" not in file.read_bytes()]


def test_no_file_depends_on_a_machine() -> None:
    """No tracked file names a registry host or a path of one machine."""
    found = [
        f"{file.relative_to(ROOT).as_posix()}:{line}: {fault}"
        for file in tracked()
        for line, fault in machine_in(file.read_text("utf-8", errors="replace"))
    ]
    assert not found, "use a path within the repository, `mktemp`, or the client's own settings:\n  " + "\n  ".join(
        found
    )


@pytest.mark.parametrize("line", ["cd /" + "tmp/x", "index = https://pypi" + ".org/simple", "#!/" + "root/bin/python"])
def test_a_machine_in_a_file_is_found(line: str) -> None:
    """A registry host or a machine's path is found with its line."""
    assert [number for number, _ in machine_in(f"first\n{line}")] == [2]
