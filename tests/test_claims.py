"""Claim documents: equal facts from every format, one located fault for each mistake, and no way in for more."""

import copy
import json
import random
import re
import socket
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import rdflib
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import RdfFormat

import kg
from kg.document import (
    CLAIM_TERMS,
    CONTEXT_IRI,
    FORMATS,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_TRIPLES,
    Field,
    fields_of,
    to_graph,
)
from kg.errors import MAX_FAULTS, Fault
from kg.graph import serialize
from kg.load import claim_schema
from kg.terms import CLAIMS, RDF, XSD, Blank, Term
from tests.conftest import ROOT, example, parsed

EXAMPLES = ["c01", "c02"]
CONTEXT: dict[str, Any] = json.loads((ROOT / "shapes" / "claim-context.jsonld").read_text())["@context"]
TYPED = {"serviceDate": "date", "age": "integer", "units": "integer"}
FLAT = {  # says the same as our context in other words: compact IRIs, nothing scoped
    "c": CLAIM_TERMS,
    **{
        f"c:{name}": {"@id": CLAIM_TERMS + name, "@container": "@list"}
        for name in ("diagnoses", "procedures", "levels", "lines", "intervals", "facts")
    },
    **{f"c:{name}": {"@id": CLAIM_TERMS + name, "@type": XSD + kind} for name, kind in TYPED.items()},
}
REMOVED = object()


def changed(place: str, value: Any, name: str = "c01") -> dict[str, Any]:
    """Return an example with another value at a place such as `/lines/0/code`."""
    document = copy.deepcopy(example(name))
    inner: Any = document
    *way, last = (int(step) if step.isdecimal() else step for step in place.split("/")[1:])
    for step in way:
        inner = inner[step]
    if value is REMOVED:
        del inner[last]
    else:
        inner[last] = value
    return document


def refusal(data: str | bytes, format: str = "json") -> kg.ClaimError:
    """Return the error with which a document is refused."""
    with pytest.raises(kg.ClaimError) as caught:
        kg.parse_claim(data, format)
    return caught.value


def spelled(value: Any) -> Any:
    """Rename every field as the flat context has it."""
    if isinstance(value, dict):
        return {f"c:{name}": spelled(inner) for name, inner in value.items()}
    return [spelled(item) for item in value] if isinstance(value, list) else value


def graph_of(name: str) -> list[tuple[Term, str, Term]]:
    claim = parsed(example(name))
    return list(to_graph(claim.document, claim_schema(kg.load_knowledge().root).fields, claim.iri))


def without_names(name: str, seed: int = 0) -> list[tuple[Term, str, Term]]:
    """Return a document graph in any order, each node of it blank with any label."""
    chance = random.Random(seed)
    triples = graph_of(name)
    nodes: list[Term] = list(dict.fromkeys(s for s, _, _ in triples))
    labels = chance.sample(range(1000), len(nodes))
    blank: dict[Term, Term] = {node: Blank(f"b{label}") for node, label in zip(nodes, labels, strict=True)}
    renamed = [(blank[s], p, blank.get(o, o)) for s, p, o in triples]
    return chance.sample(renamed, len(renamed))


def by_rdflib(name: str, format: str) -> str:
    """Write a document graph by another writer: lists as ( ), nodes as [ ]."""
    text = serialize(without_names(name), RdfFormat.N_TRIPLES, {})
    return rdflib.Graph().parse(data=text, format="nt").serialize(format=format)


WRITTEN: dict[str, tuple[str, Callable[[str], str]]] = {
    "JSON": ("json", lambda name: json.dumps(example(name))),
    "JSON after a byte order mark": ("json", lambda name: "\ufeff" + json.dumps(example(name))),
    "YAML": ("yaml", lambda name: yaml.safe_dump(example(name))),
    "YAML in flow style": ("yaml", lambda name: json.dumps(example(name))),
    "YAML, unquoted": ("yaml", lambda name: re.sub(r"'([^']*)'", r"\1", yaml.safe_dump(example(name)))),
    "JSON-LD, our context by its IRI": ("jsonld", lambda name: json.dumps({"@context": CONTEXT_IRI, **example(name)})),
    "JSON-LD, our IRI in a list": ("jsonld", lambda name: json.dumps({"@context": [CONTEXT_IRI], **example(name)})),
    "JSON-LD, our IRI and another context": (
        "jsonld",
        lambda name: json.dumps({"@context": [CONTEXT_IRI, {"x": "https://example.org/"}], **example(name)}),
    ),
    "JSON-LD, our context inline": ("jsonld", lambda name: json.dumps({"@context": CONTEXT, **example(name)})),
    "JSON-LD, a context of its own": ("jsonld", lambda name: json.dumps({"@context": FLAT, **spelled(example(name))})),
    "JSON-LD, expanded": ("jsonld", lambda name: by_rdflib(name, "json-ld")),
    "JSON-LD, a graph": ("jsonld", lambda name: json.dumps({"@context": [CONTEXT_IRI, {}], "@graph": [example(name)]})),
    "Turtle": ("turtle", lambda name: serialize(graph_of(name), RdfFormat.TURTLE, {"claim": CLAIM_TERMS})),
    "Turtle, by rdflib": ("turtle", lambda name: by_rdflib(name, "turtle")),
    "N-Triples": ("ntriples", lambda name: serialize(graph_of(name), RdfFormat.N_TRIPLES, {})),
    "N-Triples, by rdflib": ("ntriples", lambda name: by_rdflib(name, "nt")),
}


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("written", WRITTEN)
def test_every_format_gives_equal_facts(name: str, written: str) -> None:
    """A claim is the same claim in every format, down to its facts."""
    format, write = WRITTEN[written]
    assert kg.parse_claim(write(name), format) == parsed(example(name))


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("seed", range(5))
def test_order_and_labels_of_triples_do_not_matter(name: str, seed: int) -> None:
    """Shuffled triples with renamed blank nodes are the same claim."""
    text = serialize(without_names(name, seed), RdfFormat.N_TRIPLES, {})
    assert kg.parse_claim(text, "ntriples") == parsed(example(name))


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("seed", range(5))
def test_order_of_keys_facts_and_procedures_does_not_matter(name: str, seed: int) -> None:
    """What has no order of its own is put in one order; a fact that is listed twice counts once."""
    chance = random.Random(seed)

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in chance.sample(list(value), len(value))}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    document = shuffled(example(name))
    chance.shuffle(document["operation"]["procedures"])
    document["facts"] += document["facts"]
    chance.shuffle(document["facts"])
    assert parsed(document) == parsed(example(name))


@pytest.mark.parametrize(
    ("suffix", "written"),
    [
        (".json", "JSON"),
        (".JSON", "JSON"),
        (".yaml", "YAML"),
        (".yml", "YAML"),
        (".jsonld", "JSON-LD, our context by its IRI"),
        (".ttl", "Turtle"),
        (".nt", "N-Triples"),
    ],
)
def test_the_suffix_of_a_file_tells_its_format(suffix: str, written: str, tmp_path: Path) -> None:
    """Each suffix is read as its format."""
    path = tmp_path / f"claim{suffix}"
    path.write_text(WRITTEN[written][1]("c01"))
    assert kg.read_claim(path) == kg.read_claim(str(path)) == parsed(example("c01"))


@pytest.mark.parametrize(
    ("name", "problem"),
    [("claim.txt", "`.txt` is not a suffix"), ("claim.rdf", "`.rdf` is not a suffix"), ("none.json", "cannot be read")],
)
def test_a_file_that_is_no_claim_is_named(name: str, problem: str, tmp_path: Path) -> None:
    """The fault of a file that cannot be read is located by the name of the file, without its folder."""
    with pytest.raises(kg.ClaimError) as caught:
        kg.read_claim(tmp_path / name)
    (fault,) = caught.value.faults
    assert fault.place == name
    assert problem in fault.problem
    assert fault.help
    assert str(tmp_path) not in str(caught.value)


def test_faults_of_a_file_say_whose_they_are(tmp_path: Path) -> None:
    """An error names the claim by its identifier, or by its file where the identifier is not known."""
    (tmp_path / "a.json").write_text(json.dumps(changed("/serviceDate", REMOVED)))
    (tmp_path / "b.json").write_text("{")
    for name, claim in (("a", "c01"), ("b", "b")):
        with pytest.raises(kg.ClaimError) as caught:
            kg.read_claim(tmp_path / f"{name}.json")
        assert caught.value.claim == claim


def test_yaml_scalars_stay_text() -> None:
    """No scalar of YAML is read as a number, a date or a truth value."""
    text = """
id: no
serviceDate: 2025-03-14
placeOfService: 02
operation: {procedures: [{code: 00100, units: 08, approach: 1e3}]}
lines: [{code: 95938, performer: {id: 0x10}}]
"""
    document = kg.parse_claim(text, "yaml").document
    assert document["id"] == "no"
    assert document["placeOfService"] == "02"
    assert document["operation"]["procedures"] == [{"code": "00100", "units": "08", "approach": "1e3"}]
    assert document["lines"][0]["performer"] == {"id": "0x10"}


def interval(start: str, end: str) -> list[dict[str, str]]:
    return [{"start": start, "end": end}]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("/diagnoses/0", "M54"),  # a header: a coding edit, decided later
        ("/diagnoses/0", "M5412"),
        ("/diagnoses", []),
        ("/diagnoses", REMOVED),
        ("/operation", REMOVED),
        ("/operation/procedures", []),
        ("/operation/procedures/0/code", "99999"),  # well-formed, and not in the ontology: an alert
        ("/operation/procedures/0/levels/0", "C5"),
        ("/operation/conusLevel", "T12"),
        ("/operation/conusLevel", "L1-L2"),
        ("/lines/0/code", "0000A"),  # well-formed, and not in the ontology: a review
        ("/lines/0/units", "3"),
        ("/lines/0/performer", {}),
        ("/patient", REMOVED),
        ("/facts", []),
        ("/facts", REMOVED),
        ("/facts/0/region", "cervical"),
        ("/payer", REMOVED),
        ("/placeOfService", REMOVED),
        ("/lines/0/intervals", interval("2025-03-14T10:00:00+02:00", "2025-03-14T09:00:00Z")),
    ],
)
def test_what_is_unusual_is_no_fault(place: str, value: Any) -> None:
    """A header, an unknown code and a part that is left out are well-formed."""
    assert parsed(changed(place, value)).id == "c01"


FAULTS = [  # where a value is changed, the value, where the fault is (if elsewhere), words of the fault
    ("/diagnoses/0", "radiculopathy", "", "such as M54.12"),
    ("/diagnoses/0", "M54.12\n", "", "such as M54.12"),
    ("/diagnoses/1", "", "", "such as M54.12"),
    ("/diagnoses/0", "M54.199", "", "no release of ICD-10-CM holds `M54.199`"),
    ("/diagnoses/0", "M54.199", "", "did you mean `M54.9`"),
    ("/diagnoses/0", 5, "", "a text belongs here, not a number"),
    ("/diagnoses/0", ["M54.12"], "", "a text belongs here"),
    ("/diagnoses", "M54.12", "", "`diagnoses` is a list"),
    ("/operation/procedures/0/levels/0", "C4-C7", "", "write each interspace: C4-C5, C5-C6, C6-C7"),
    ("/operation/procedures/0/levels/0", "T12-L3", "", "write each interspace: T12-L1, L1-L2, L2-L3"),
    ("/operation/procedures/0/levels/0", "L5-S2", "", "write each interspace: L5-S1, S1-S2"),
    ("/operation/procedures/0/levels/0", "C5-C4", "", "write each interspace: C4-C5"),
    ("/operation/procedures/0/levels/0", "C9", "", "`C9` is not a level that the ontology holds"),
    ("/operation/procedures/0/levels/0", "c4-c5", "", "did you mean `C4-C5`"),
    ("/operation/procedures/0/levels", "C4-C5", "", "`levels` is a list"),
    ("/operation/procedures/0/levels/0", "C4-C5\n", "", "a level is an interspace such as C4-C5"),
    ("/operation/procedures/5/levels/0", "C9", "", "`C9` is not a level"),
    ("/operation/procedures/0/code", "2255", "", "a `code` of five characters"),
    ("/operation/procedures/0/code", REMOVED, "", "a `code` of five characters"),
    ("/operation/procedures/0/units", -2, "", "`units` is a whole number from 1 to 999"),
    ("/operation/procedures/0/approach", "x" * 101, "", "`approach` is a word or two"),
    ("/operation/procedures", {}, "", "`procedures` is a list"),
    ("/operation", [], "", "fields: procedures, conusLevel"),
    ("/operation/conusLevel", "L9", "", "`L9` is not a level that the ontology holds"),
    ("/operation/conusLevel", "L1-L3", "", "write each interspace: L1-L2, L2-L3"),
    ("/serviceDate", "2025-02-30", "", "a date such as 2025-03-14"),
    ("/serviceDate", "14.03.2025", "", "a date such as"),
    ("/serviceDate", "", "", "a date such as"),
    ("/serviceDate", "2025-03-14T10:00:00", "", "a date such as"),
    ("/serviceDate", "2025-03-14\n", "", "a date such as"),
    ("/serviceDate", REMOVED, "", "a date such as 2025-03-14"),
    ("/serviceDate", 20250314, "", "a text belongs here, not a number"),
    ("/id", REMOVED, "", "a claim has an `id` of 1 to 100 characters"),
    ("/id", "", "", "a claim has an `id` of 1 to 100 characters"),
    ("/id", "x" * 101, "", "a claim has an `id` of 1 to 100 characters"),
    ("/id", "a\u0000b", "", "a claim has an `id` of 1 to 100 characters"),
    ("/id", "x\n", "", "a claim has an `id` of 1 to 100 characters"),
    ("/id", "\ud800", "", "a claim has an `id` of 1 to 100 characters"),
    ("/id", None, "", "a text belongs here"),
    ("/lines", {}, "", "`lines` is a list"),
    ("/lines", REMOVED, "", "a claim has one list of `lines`"),
    ("/lines", [], "", "a claim has at least one line"),
    ("/lines/0", "95938", "", "an object with named fields belongs here"),
    ("/lines/0", None, "", "fields: code, units, technique, performer, intervals"),
    ("/lines/0/code", REMOVED, "", "a line has a `code` of five characters"),
    ("/lines/0/code", 95938, "", "write it in quotes"),
    ("/lines/0/code", "9593", "", "a line has a `code` of five characters"),
    ("/lines/0/code", "95938\n", "", "a line has a `code` of five characters"),
    ("/lines/0/code", "95938 ", "", "a line has a `code` of five characters"),
    ("/lines/0/code", "٩٥٩٣٨", "", "a line has a `code` of five characters"),
    ("/lines/0/modifier", "26", "", "`modifier` is not a field here"),
    ("/lines/0/units", -1, "", "`units` is a whole number from 1 to 999"),
    ("/lines/0/units", 0, "", "`units` is a whole number from 1 to 999"),
    ("/lines/0/units", "three", "", "`units` is a whole number from 1 to 999"),
    ("/lines/0/units", "3\n", "", "`units` is a whole number from 1 to 999"),
    ("/lines/0/units", 1000, "", "`units` is a whole number from 1 to 999"),
    ("/lines/0/units", 10**30, "", "`units` is a whole number from 1 to 999"),
    ("/lines/0/units", 1.5, "", "a whole number belongs here"),
    ("/lines/0/units", True, "", "a whole number belongs here"),
    ("/lines/0/technique", "freerun", "", "did you mean `free-run`?"),
    ("/lines/0/technique", "manual", "", "write free-run, triggered"),
    ("/lines/0/performer", "me", "", "fields: id, role"),
    ("/lines/0/performer", {"id": "a\u0000\nb"}, "/lines/0/performer/id", "the `id` of a performer"),
    ("/lines/0/performer", {"role": "surgon"}, "/lines/0/performer/role", "did you mean `surgeon`?"),
    ("/lines/0/performer", {"role": "nurse"}, "/lines/0/performer/role", "write surgeon, assistant-surgeon,"),
    (
        "/lines/0/intervals",
        interval("2025-03-14T10:00:00", "2025-03-14T09:00:00"),
        "/lines/0/intervals/0",
        "the interval ends before it starts",
    ),
    (
        "/lines/0/intervals",
        interval("2025-03-14T10:00:00Z", "2025-03-14T11:00:00"),
        "/lines/0/intervals/0",
        "one end of the interval has a time zone and the other has not",
    ),
    (
        "/lines/0/intervals",
        interval("10:00", "2025-03-14T11:00:00"),
        "/lines/0/intervals/0/start",
        "a time such as 2025-03-14T08:30:00",
    ),
    (
        "/lines/0/intervals",
        interval("2025-03-14T10:00:00\n", "2025-03-14T11:00:00"),
        "/lines/0/intervals/0/start",
        "a time such as",
    ),
    ("/lines/0/intervals", [{"start": "2025-03-14T10:00:00"}], "/lines/0/intervals/0/end", "an interval has an `end`"),
    ("/patient", [], "", "fields: age, sex"),
    ("/patient/age", -1, "", "`age` is a whole number of years from 0 to 130"),
    ("/patient/age", "old", "", "`age` is a whole number of years from 0 to 130"),
    ("/patient/age", 131, "", "`age` is a whole number of years from 0 to 130"),
    ("/patient/sex", "femal", "", "did you mean `female`"),
    ("/placeOfService", "2", "", "a code of two digits, such as 21"),
    ("/placeOfService", "21\n", "", "a code of two digits, such as 21"),
    ("/placeOfService", 21, "", "a text belongs here, not a number"),
    ("/payer", "\ud800", "", "the name of one payer"),
    ("/policy", "\u001b[2J", "", "the identifier of one policy"),
    ("/payer", 5, "", "a text belongs here, not a number"),
    ("/payor", "aetna", "", "did you mean `payer`?"),
    ("/approved", True, "", "`approved` is not a field here"),
    ("/facts", None, "", "`facts` is a list"),
    ("/facts/0/note", "x", "", "fields: fact, status, region, source"),
    ("/facts/0/fact", "xyzzy", "", "`xyzzy` is not a fact"),
    ("/facts/0/region", "neck", "", "`neck` is not a region"),
    ("/facts/0/fact", REMOVED, "", "such as SevereCordCompression"),
    ("/facts/0/status", REMOVED, "", "leave out a fact that the record does not mention"),
    ("/facts/0/status", "presnt", "", "did you mean `present`?"),
    ("/facts/0/status", "maybe", "", "write present, absent"),
    ("/facts/0/source", "x" * 1001, "", "`source` says in at most 1000 characters"),
    ("/facts", [{"fact": "SevereCordCompresion", "status": "present"}], "/facts/0/fact", "`SevereCordCompression`"),
    ("/facts", [{"fact": "xyzzy", "status": "present"}], "/facts/0/fact", "for example Myelopathy,"),
    (
        "/facts",
        [{"fact": "Myelopathy", "status": "present", "region": "cervicl"}],
        "/facts/0/region",
        "did you mean `cervical`",
    ),
]


@pytest.mark.parametrize(("place", "value", "at", "words"), FAULTS)
def test_a_mistake_gives_one_located_fault(place: str, value: Any, at: str, words: str) -> None:
    """Each mistake has one fault, which says where it is, what it is and what to do."""
    (fault,) = refusal(json.dumps(changed(place, value))).faults
    assert fault.place == (at or place)
    assert words in str(fault)
    assert fault.problem
    assert fault.help
    assert fault.help.strip() != "write"
    assert str(fault).encode()


def test_a_fault_can_be_shown_in_a_terminal() -> None:
    """What a terminal would obey, or no encoding can write, is escaped in a fault."""
    for name in ("\ud800", "\u001b[2J"):
        for format in ("json", "jsonld", "yaml"):
            error = refusal(json.dumps({**example("c01"), name: 1}), format)
            assert str(error).encode()
            assert "\u001b" not in str(error)
    refusal("\ud800", "json")


def test_a_claim_has_few_faults_however_long_it_is() -> None:
    """At most fifty faults are listed, and the last says how many more there are."""
    faults = refusal("{" + ",".join(f'"{i}": 0' for i in range(20_000)) + "}").faults
    assert len(faults) == MAX_FAULTS
    assert faults[-1].problem == "19,951 more faults are not shown"


def lists_of(fields: Mapping[str, Field]) -> set[str]:
    """Name the fields that hold lists."""
    inner = [lists_of(field.fields) for field in fields.values()]
    return {name for name, field in fields.items() if field.is_list}.union(*inner)


def test_every_list_is_short() -> None:
    """Each list has a limit, and one that is longer is refused before it is read."""
    assert lists_of(fields_of(CONTEXT)) == set(MAX_ITEMS)
    document = example("c01")
    document["facts"] = [{"fact": "x", "status": "y"}] * (MAX_ITEMS["facts"] + 1)
    (fault,) = refusal(json.dumps(document)).faults
    assert (fault.place, fault.problem) == ("/facts", "`facts` has more than 2,000 members")


def long(code: str) -> dict[str, Any]:
    """Return a claim with as many lines and facts as one may have."""
    facts = [{"fact": "Myelopathy", "status": "present", "source": f"note {i}"} for i in range(MAX_ITEMS["facts"])]
    return {**example("c01"), "lines": [{"code": code, "units": 1}] * MAX_ITEMS["lines"], "facts": facts}


@pytest.mark.parametrize("code", ["95938", "9593"])
def test_a_long_claim_takes_little_memory(code: str) -> None:
    """What is kept of a list grows with its length, not with the square of it."""
    text = json.dumps(long(code))
    tracemalloc.start()
    read_or_refuse(text, "json")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000_000


def test_every_mistake_of_a_document_is_reported_at_once() -> None:
    """Two mistakes give two faults, of fields and of names alike."""
    wrong = changed("/lines/0/units", 0)
    wrong["lines"][1]["technique"] = "manual"
    assert [f.place for f in refusal(json.dumps(wrong)).faults] == ["/lines/0/units", "/lines/1/technique"]
    wrong = changed("/operation/procedures/0/levels/0", "C4-C7")
    wrong["diagnoses"][1] = "M54.199"
    assert {f.place for f in refusal(json.dumps(wrong)).faults} == {
        "/operation/procedures/0/levels/0",
        "/diagnoses/1",
    }


PREFIXES = f"@prefix c: <{CLAIM_TERMS}> .\n@prefix xsd: <{XSD}> .\n"
SMALL = f'{PREFIXES}<#it> c:id "t" ; c:serviceDate "2025-03-14"^^xsd:date ; c:lines ( [ c:code "95938" ] ) .\n'
DEEP = MAX_DEPTH + 1
TRIPLE_TERMS = "<a:a> <b:b> " + "<<( <a:a> <b:b> " * 30_000 + "<c:c>" + " )>>" * 30_000 + " ."

UNREADABLE = [  # format, document, place of the fault, words of it
    ("json", '{"id": "x",\n  "lines": [}', "line 2, column 13", "this is not JSON"),
    ("json", "", "line 1, column 1", "this is not JSON"),
    ("json", '{"id": "x"} {}', "line 1, column 13", "this is not JSON"),
    ("json", '{"id": "a\tb"}', "line 1, column 10", "this is not JSON"),
    ("json", b'{"id": "\xff"}', "document", "not UTF-8"),
    ("json", '{"id": "a", "id": "b"}', "document", "the field `id` is given twice"),
    ("json", '{"lines": [{"code": "95938", "code": "95939"}]}', "document", "the field `code` is given twice"),
    (
        "json",
        '["' + "]" * 5000 + '",' + "[" * 5000 + "]" * 5000 + "]",
        "document",
        f"nested more than {MAX_DEPTH} deep",
    ),
    ("json", '{"id": NaN}', "document", "not finite"),
    ("json", '{"id": -Infinity}', "document", "not finite"),
    ("json", '{"lines": [{"units": 1e999}]}', "/lines/0/units", "a whole number belongs here"),
    ("json", "[]", "document", "an object with named fields belongs here"),
    ("json", "null", "document", "an object with named fields belongs here"),
    ("json", "{}", "document", "this is not a claim"),
    ("json", '{"id": "x", "payer": "aetna"}', "document", "this is not a claim"),
    ("json", "[" * DEEP + "]" * DEEP, "document", f"nested more than {MAX_DEPTH} deep"),
    ("json", "[" * 100_000, "document", f"nested more than {MAX_DEPTH} deep"),
    ("json", " " * (MAX_BYTES + 1), "document", "more than 1,000,000 bytes"),
    ("json", f'{{"id": {"9" * 900_000}}}', "/id", "a text belongs here"),
    ("json", f'{{"id": "{"9" * 900_000}"}}', "/id", "more than 64,000 characters"),
    ("yaml", "id: x\n lines: ]", "line 2, column 7", "this is not YAML"),
    ("yaml", "id: [x\n", "line 2, column 1", "this is not YAML"),
    ("yaml", "\tid: x", "line 1, column 1", "this is not YAML"),
    ("yaml", "--- {}\n--- {}", "line 2, column 5", "a second document begins"),
    ("yaml", "id: a\n? [x]\n: y", "line 2, column 3", "the name of a field is a text"),
    ("yaml", "id: a\nlines:\n- code: b\n  code: c", "line 4, column 3", "the field `code` is given twice"),
    ("yaml", "payer: &a x\nid: *a", "line 2, column 5", "aliases are not read"),
    ("yaml", "patient: &a {age: 3}\noperation:\n  <<: *a", "line 3, column 7", "aliases are not read"),
    ("yaml", "a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]", "line 2, column 8", "aliases are not read"),
    ("yaml", "!!python/object/apply:os.getcwd []", "document", "an object with named fields belongs here"),
    ("yaml", "", "document", "an object with named fields belongs here"),
    ("yaml", "[" * 100_000, "document", f"nested more than {MAX_DEPTH} deep"),
    ("yaml", "- " * 10_000, "document", f"nested more than {MAX_DEPTH} deep"),
    ("yaml", b"id: \xff", "document", "not UTF-8"),
    ("turtle", '@prefix c: <https://example.org/> .\n<#it> c:id "x" ;; ..', "line 2, column 20", "this is not turtle"),
    ("turtle", '<#it> x:id "x" .', "line 1, column 7", "this is not turtle"),
    ("turtle", "\n\n<a> <b> ", "line 3, column 9", "this is not turtle"),
    ("turtle", b"\xff", "line 1, column 1", "this is not turtle"),
    ("turtle", "", "document", "the graph holds 0 claims"),
    ("turtle", "[" * 100_000, "document", "nested more than 64 deep"),
    *(
        ("turtle", before + TRIPLE_TERMS, "document", "nested more than 64 deep")
        for before in (
            "",
            "# don't\n",
            '<a> <b> \'x\\\'\' , """a"b\\"""" , \'\' .',
            "<it's> a:b\\' a:c\\' .",
            "<\u00a0'> <b> <c> .",
        )
    ),
    ("ntriples", TRIPLE_TERMS, "document", "nested more than 64 deep"),
    ("turtle", "<a> <b> ( " + "1 " * MAX_TRIPLES + ") .", "document", "more than 20,000 triples"),
    ("turtle", f"{SMALL} <<( <a> <b> <c> )>> <d> <e> .", "line 4, column 2", "this is not turtle"),
    ("ntriples", '<a:a> <b:b> "c" .\n<a:a> <b:b> .\n', "line 2, column 13", "this is not ntriples"),
    ("ntriples", "junk", "line 1, column 1", "this is not ntriples"),
    ("jsonld", '{"@context": ', "line 1, column 14", "this is not JSON"),
    ("jsonld", "[]", "document", "the graph holds 0 claims"),
    ("jsonld", json.dumps(example("c01")), "document", "the graph holds 0 claims"),
    ("jsonld", "[" * 100_000, "document", f"nested more than {MAX_DEPTH} deep"),
    ("rdfxml", "<rdf:RDF/>", "document", "`rdfxml` is not a format of claims"),
    ("xml", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///x">]><x>&e;</x>', "document", "`xml` is not a format"),
    ("json", '<?xml version="1.0"?><rdf:RDF/>', "line 1, column 1", "this is not JSON"),
    ("turtle", '<?xml version="1.0"?><rdf:RDF/>', "line 1, column 1", "this is not turtle"),
]


@pytest.mark.parametrize(("format", "document", "place", "words"), UNREADABLE)
def test_what_cannot_be_read_gives_one_located_fault(
    format: str, document: str | bytes, place: str, words: str
) -> None:
    """A document with a mistake of syntax, or one built to do harm, has one fault with its line and column."""
    (fault,) = refusal(document, format).faults
    assert fault.place == place
    assert words in str(fault)
    assert fault.help


OTHER = (
    "@prefix anatomy: <https://w3id.org/coverpath/anatomy#> .\n"
    "@prefix condition: <https://w3id.org/coverpath/condition#> .\n"
    "@prefix cov: <https://w3id.org/coverpath/coverage#> .\n"
    "@prefix icd: <http://purl.bioontology.org/ontology/ICD10CM/> .\n"
    "@prefix owl: <http://www.w3.org/2002/07/owl#> .\n"
    "@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .\n"
    "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
    "@prefix sh: <http://www.w3.org/ns/shacl#> .\n"
    "@prefix skos: <http://www.w3.org/2004/02/skos/core#> .\n"
)
STRANGERS = [  # triples that are no fields of the claim, and one of them as a fault names it
    ("icd:M54.12 rdfs:subClassOf condition:SevereCordCompression .", "M54.12 subClassOf SevereCordCompression"),
    ("condition:Radiculopathy skos:broader condition:SevereCordCompression .", "Radiculopathy broader"),
    ("condition:CordCompression rdfs:subClassOf condition:SevereCordCompression .", "CordCompression subClassOf"),
    ("anatomy:L1 anatomy:directlyCaudalTo anatomy:C4 .", "L1 directlyCaudalTo C4"),
    ("anatomy:C4 anatomy:partOf anatomy:LumbarRegion .", "C4 partOf LumbarRegion"),
    ("<https://w3id.org/coverpath/policy/aetna-cpb-0697#cord-integrity> sh:deactivated true .", "cord-integrity"),
    ("<https://w3id.org/coverpath/coding#duplicate> cov:effect cov:RaisesAlert .", "duplicate effect RaisesAlert"),
    ("<#it> owl:sameAs <#other> .", "it sameAs other"),
    ("<#it> owl:imports <https://example.org/> .", "it imports"),
    ("<#it> a cov:Claim .", "it type Claim"),
    ("<#it> cov:finding [ a icd:G95.20 ; cov:status cov:Present ] .", "it finding []"),
    ("<#it> cov:decision cov:approve .", "it decision approve"),
    ("<#other> a c:Claim .", "other type Claim"),
    ("<#it> a c:Line .", "it type Line"),
    ("<#it> c:patient [ a c:Claim ] .", "[] type Claim"),
    ("<#it> c:note 5 .", "it note a text"),
    ('<#it> c:payer "aetna" , "cigna" .', "it payer a text"),
    ('<#it> c:lines ( [ c:code "95939" ] ) .', "it lines []"),
    (
        '<#it> c:diagnoses _:l . _:l rdf:first "M54.12" , "R20.2" ; rdf:rest () .',
        "[] first a text",
    ),
    ("<#it> c:diagnoses _:l . _:l rdf:rest () .", "[] rest nil"),
]


@pytest.mark.parametrize(("triples", "stranger"), STRANGERS)
def test_a_claim_states_facts_about_itself_only(triples: str, stranger: str) -> None:
    """A triple about a code, the ontology, a policy or anything but the claim's fields is refused, never merged."""
    assert kg.parse_claim(SMALL, "turtle").id == "t"
    faults = refusal(OTHER + SMALL + triples, "turtle").faults
    assert any(fault.place.startswith(f"triple {stranger}") for fault in faults)
    assert {fault.problem for fault in faults} == {"a claim states facts about itself only"}


def test_a_claim_may_say_that_it_is_a_claim() -> None:
    """The type of a claim is allowed and changes nothing."""
    assert kg.parse_claim(f"{SMALL} <#it> a c:Claim .", "turtle") == kg.parse_claim(SMALL, "turtle")


@pytest.mark.parametrize(
    ("triples", "place", "words"),
    [
        ('<#it> c:diagnoses "M54.12" .', "/diagnoses", "`diagnoses` is a list"),
        ("<#it> c:diagnoses [] .", "/diagnoses", "`diagnoses` is a list"),
        ("<#it> c:diagnoses <https://example.org/nothing> .", "/diagnoses", "`diagnoses` is a list"),
        ('<#it> c:diagnoses _:l . _:l rdf:first "M54.12" .', "triple [] first a text", "about itself only"),
        ('<#it> c:diagnoses _:l . _:l rdf:first "M54.12" ; rdf:rest "x" .', "/diagnoses", "`diagnoses` is a list"),
        ('<#it> c:diagnoses _:l . _:l rdf:first "M54.12" ; rdf:rest _:l .', "/diagnoses", "stands in two places"),
        ('<#it> c:diagnoses ( "M54.12"^^xsd:integer ) .', "/diagnoses/0", "a text belongs here"),
        ('<#it> c:patient "x" .', "/patient", "an object with named fields"),
        ("<#it> c:patient () .", "/patient", "an object with named fields"),
        ("<#it> c:patient <https://example.org/nothing> .", "/patient", "an object with named fields"),
        ('<#it> c:operation "22551" .', "/operation", "an object with named fields"),
        ('<#it> c:facts ( _:f _:f ) . _:f c:fact "Myelopathy" .', "/facts/1", "stands in two places"),
        ('<#it> c:patient [ c:age "5" ] .', "/patient/age", "a literal of xsd:integer"),
        (f"<#it> c:patient [ c:age {'9' * 500} ] .", "/patient/age", "`age` is a whole number"),
        ("<#it> c:patient [ c:age -1 ] .", "/patient/age", "`age` is a whole number"),
        ('<#it> c:patient [ c:age "old"^^xsd:integer ] .', "/patient/age", "`age` is a whole number"),
    ],
)
def test_what_cannot_be_read_of_a_graph_is_refused_and_not_dropped(triples: str, place: str, words: str) -> None:
    """A value of another kind than its field's, or a list that is none, has one located fault."""
    (fault,) = refusal(OTHER + SMALL + triples, "turtle").faults
    assert fault.place == place
    assert words in str(fault)


@pytest.mark.parametrize("kind", ["Claim", "claim:Claim", CLAIM_TERMS + "Claim", ["Claim"]])
def test_both_ways_into_jsonld_agree(kind: str | list[str]) -> None:
    """A claim may have a type and a name, whether our context stands alone or in a list."""
    document = {**example("c01"), "@type": kind, "@id": "https://example.org/c01"}
    for context in (CONTEXT_IRI, CONTEXT, [CONTEXT_IRI, {}]):
        assert kg.parse_claim(json.dumps({"@context": context, **document}), "jsonld") == parsed(example("c01"))


@pytest.mark.parametrize("context", [CONTEXT_IRI, [CONTEXT_IRI, {}]])
@pytest.mark.parametrize("name", ["service date", "@included", "@foo", "<x>"])
def test_names_that_jsonld_would_drop_are_refused(name: str, context: Any) -> None:
    """A name that becomes no IRI is refused, as in JSON."""
    (fault,) = refusal(json.dumps({"@context": context, **example("c01"), name: "x"}), "jsonld").faults
    assert f"`{name}` is not a field" in fault.problem


@pytest.mark.parametrize("written", WRITTEN)
def test_brackets_within_a_text_are_no_nesting(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets and quotes of a text do not count as nesting, in any format."""
    document = changed("/facts/0/source", "'\"\\ # <" + "([{" * 40)
    monkeypatch.setitem(globals(), "example", lambda name: document)
    format, write = WRITTEN[written]
    if written != "YAML, unquoted":
        assert kg.parse_claim(write("c01"), format) == parsed(document)


def test_a_graph_holds_one_claim() -> None:
    """Two claims in one graph are refused, in Turtle and in JSON-LD."""
    second = '<#two> c:id "u" ; c:serviceDate "2025-03-14"^^xsd:date ; c:lines ( [ c:code "95938" ] ) .'
    both = json.dumps({"@context": [CONTEXT_IRI, {}], "@graph": [example("c01"), example("c02")]})
    for document, format in ((SMALL + second, "turtle"), (both, "jsonld")):
        (fault,) = refusal(document, format).faults
        assert (fault.place, fault.problem) == ("document", "the graph holds 2 claims")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("payer", f'"<b>{"<b>" * 10_000}"^^<{RDF}HTML>'),
        ("payer", f"\"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///x'>]><x>&e;</x>\"^^<{RDF}XMLLiteral>"),
        ("payer", '"aetna"@en'),
        ("payer", "<https://example.org/aetna>"),
        ("payer", "[]"),
        ("payer", '"1E+999999999"^^xsd:decimal'),
        ("payer", '"aetna"^^<https://example.org/own>'),
    ],
)
def test_other_literals_than_a_claim_needs_are_refused(field: str, value: str) -> None:
    """A text is a plain literal: a datatype outside the list is refused unread."""
    (fault,) = refusal(f"{SMALL} <#it> c:{field} {value} .", "turtle").faults
    assert fault.place == f"/{field}"
    assert fault.problem == "a text belongs here"


@pytest.mark.parametrize("age", ['"1E+999999999"^^xsd:decimal', "54.0", "5.4e1", '"54"^^xsd:byte'])
def test_a_number_is_a_plain_whole_number(age: str) -> None:
    """A decimal with a huge exponent and a double are refused, and never computed."""
    (fault,) = refusal(f"{SMALL} <#it> c:patient [ c:age {age} ] .", "turtle").faults
    assert fault.place == "/patient/age"
    assert "whole number" in fault.problem


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Listen on a port of this machine, so that any attempt to fetch leaves a connection waiting."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server
        with pytest.raises(BlockingIOError):
            server.accept()


REMOTE: dict[str, Callable[[str], Any]] = {
    "by name": lambda url: {"@context": url, **example("c01")},
    "in a list": lambda url: {"@context": [CONTEXT_IRI, url], **example("c01")},
    "in a list of lists": lambda url: {"@context": [[url]], **example("c01")},
    "imported": lambda url: {"@context": {"@version": 1.1, "@import": url}, **example("c01")},
    "of a term": lambda url: {
        "@context": {"@version": 1.1, "@vocab": CLAIM_TERMS, "patient": {"@id": "c:p", "@context": url}},
        **example("c01"),
    },
    "of an inner node": lambda url: {
        "@context": [CONTEXT_IRI, {}],
        **{**example("c01"), "patient": {"@context": url, "age": 3}},
    },
    "of a graph": lambda url: {"@graph": [{"@context": url, **example("c01")}]},
}


@pytest.mark.parametrize("how", REMOTE)
def test_a_remote_context_is_refused_and_never_fetched(how: str, listener: socket.socket) -> None:
    """A context that is not ours is refused where it is only named, and the help says so."""
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/context.jsonld"
    (fault,) = refusal(json.dumps(REMOTE[how](url)), "jsonld").faults
    assert "contexts are never fetched" in fault.help


@pytest.mark.parametrize("how", REMOTE)
def test_a_context_in_a_file_is_refused_and_never_read(how: str, tmp_path: Path) -> None:
    """A context is not read from the disk either, though the file holds a good one."""
    path = tmp_path / "context.jsonld"
    path.write_text(json.dumps({"@context": CONTEXT}))
    for url in (path.as_uri(), str(path), path.name):
        (fault,) = refusal(json.dumps(REMOTE[how](url)), "jsonld").faults
        assert "contexts are never fetched" in fault.help


@pytest.mark.parametrize(
    ("format", "document"),
    [
        ("turtle", "@prefix owl: <http://www.w3.org/2002/07/owl#> . {small} <#it> owl:imports <{url}> ."),
        ("turtle", "@base <{url}> . {small} <a> <b> <c> ."),
        ("turtle", "{small} <#it> <http://www.w3.org/2000/01/rdf-schema#seeAlso> <{url}> ."),
        ("yaml", "id: !<{url}> x\nlines: !include {url}"),
        ("rdfxml", '<!DOCTYPE x [<!ENTITY % e SYSTEM "{url}"> %e;]><x/>'),
    ],
)
def test_nothing_else_is_fetched(format: str, document: str, listener: socket.socket) -> None:
    """No import, base, tag or entity of any format opens a connection."""
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    refusal(document.format(small=SMALL, url=url), format)


SECRET = "ssn 078-05-1120 "
LONG = SECRET * 200


@pytest.mark.parametrize(
    ("format", "document"),
    [
        *(
            ("json", json.dumps(changed(place, LONG)))
            for place in (
                *("/id", "/serviceDate", "/diagnoses/0", "/lines/0/code", "/lines/0/technique", "/patient/sex"),
                *("/facts/0/fact", "/facts/0/status", "/facts/0/region", "/facts/0/source", "/patient", "/lines"),
                *("/operation/conusLevel", "/operation/procedures/0/levels/0", "/lines/0/units", f"/{'x' * 9000}"),
            )
        ),
        ("json", f'{{"id": "{LONG}" "x"}}'),
        ("json", f'{{"{LONG}": 1, "{LONG}": 2}}'),
        ("yaml", f'id: "{LONG}'),
        ("yaml", f"{'x' * 120}: {LONG}\n{'x' * 120}: {LONG}"),
        ("turtle", f'{SMALL} <#it> c:payer "{LONG}'),
        ("turtle", f'{SMALL} <#it> c:payer "{LONG}"@en .'),
        ("turtle", f'{SMALL} <#it> c:note "{LONG}" .'),
        ("ntriples", f'<a:a> <b:b> "{LONG}'),
        ("jsonld", json.dumps({"@context": {"id": LONG}, "id": LONG})),
    ],
)
def test_a_fault_repeats_no_long_value(format: str, document: str) -> None:
    """A message is short, holds no more than the start of a value, and nothing of a traceback."""
    error = refusal(document, format)
    assert str(error).count(SECRET.strip()) <= 8
    assert len(str(error)) < 1000
    assert not re.search(r"Traceback|File \"|\bError\b|Exception|<class|object at 0x", str(error))


NAMES = st.sampled_from(
    [
        *("id", "serviceDate", "lines", "code", "units", "facts", "fact", "status", "operation", "procedures"),
        *("levels", "performer", "intervals", "patient", "@context", "@id", "@graph", "@type", "@value", "@list"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


def read_or_refuse(data: str | bytes, format: str) -> None:
    """Read a document; the only thing that may be raised is a ClaimError with faults that are whole."""
    faults: tuple[Fault, ...] = ()
    try:
        kg.parse_claim(data, format)
    except kg.ClaimError as error:
        faults = error.faults or (Fault("", "", ""),)
    assert all(fault.place and fault.problem and fault.help for fault in faults)


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(FORMATS))
def test_no_bytes_are_too_strange(data: bytes, format: str) -> None:
    """Bytes of any kind are read or refused."""
    read_or_refuse(data, format)


@settings(deadline=None)
@given(st.text(max_size=200), st.sampled_from(FORMATS))
def test_no_text_is_too_strange(data: str, format: str) -> None:
    """Text of any kind is read or refused."""
    read_or_refuse(data, format)


@settings(deadline=None)
@given(VALUES, st.sampled_from(("json", "jsonld", "yaml")))
def test_no_json_is_too_strange(value: Any, format: str) -> None:
    """JSON of any shape is read or refused."""
    read_or_refuse(json.dumps(value), format)


def places(value: Any, above: str = "") -> list[str]:
    """List the places of all values within a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in inner for place in (f"{above}/{key}", *places(item, f"{above}/{key}"))]


@settings(deadline=None)
@given(st.sampled_from(places(example("c01"))), VALUES, st.booleans())
def test_no_value_within_a_claim_is_too_strange(place: str, value: Any, linked: bool) -> None:
    """A claim with any value at any place is read or refused, as JSON and as JSON-LD."""
    document = changed(place, value)
    if linked:
        read_or_refuse(json.dumps({"@context": [CONTEXT_IRI, {}], **document}), "jsonld")
    else:
        read_or_refuse(json.dumps(document), "json")


@settings(deadline=None)
@given(st.sampled_from(sorted(WRITTEN)), st.data())
def test_no_damage_to_a_claim_is_too_strange(written: str, data: st.DataObject) -> None:
    """A claim of any format with bytes replaced is read or refused."""
    format, write = WRITTEN[written]
    whole = write("c01").encode()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(start + 40, len(whole))))
    read_or_refuse(whole[:start] + data.draw(st.binary(max_size=10)) + whole[end:], format)


def test_the_identifier_of_a_claim_is_only_a_part_of_its_iri() -> None:
    """No identifier makes the IRI of a claim one of the ontology."""
    for identifier in ("../anatomy#C4", "https://w3id.org/coverpath/anatomy#C4", "a b/c#d", "é", "%2e%2e"):
        claim = parsed(changed("/id", identifier))
        assert claim.id == identifier
        assert re.fullmatch(re.escape(CLAIMS) + r"[A-Za-z0-9._~%-]+", claim.iri)
