"""The saved queries: what each finds on a few hundred determinations is what their JSON says."""

import asyncio
import csv
import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyoxigraph as ox
import pytest
from openpyxl import load_workbook
from pyarrow import parquet

import kg
from api.library import library, read_queries, read_query
from api.quads import write_index
from api.results import PARQUET, XLSX
from api.snapshots import publish
from api.workers import Answer, Pool, Question
from benchmarks.cases import determinations
from kg.errors import KnowledgeError
from kg.rdf import POSTURES, determination_iri
from kg.terms import ANATOMY, CONDITION, COV, RDFS, SKOS, local_name
from tests.conftest import ROOT

Row = tuple[str, ...]
Json = dict[str, Any]
QUERIES = read_queries(ROOT / "queries")
CLAUSE = "aetna-cpb-0697#unproven-cervical"
PAYER = COV + "payerPosture"
REVIEWS = 3
STEP, WALK = ANATOMY + "directlyCaudalTo", ANATOMY + "caudalTo"


@dataclass(frozen=True)
class Told:
    """A determination, and what its JSON says under each posture."""

    determination: kg.Determination
    of: dict[str, Json]

    @property
    def claim(self) -> str:
        return self.determination.claim.iri

    @property
    def policy(self) -> str:
        return self.determination.policy.id

    def lines(self, posture: str = "payer", decision: str = "") -> Iterator[Json]:
        """Yield the lines that have a decision."""
        yield from (line for line in self.of[posture]["lines"] if decision in ("", line["decision"]))

    def iri(self, line: Json) -> str:
        return f"{self.claim}#line-{line['line']}"


@dataclass(frozen=True)
class World:
    """A store, the determinations that are in it, and how to ask it."""

    knowledge: kg.Knowledge
    told: list[Told]
    ask: Callable[[Question], Answer]

    def text(self, iri: str, predicate: str) -> str:
        return self.knowledge.graph.text(iri, predicate) or ""

    def fact(self, missing: Json) -> str:
        """Return a missing fact as RDF names it: a concept by its IRI, a field by its name."""
        return str(self.knowledge.facts.get(missing["fact"], missing["fact"]))

    def question(self, fact: str) -> str:
        return self.text(fact, COV + "question") if fact.startswith(CONDITION) else ""

    def knows(self, code: str) -> bool:
        return any(self.text(base + code, SKOS + "notation") for base in BASES)

    def rows(self, name: str, **given: str) -> list[Row]:
        question = QUERIES[name].asked(given, "text/csv", self.knowledge)
        _, *rows = csv.reader(io.StringIO(self.ask(question).body.decode(), newline=""))
        return [tuple(row) for row in rows]


BASES = ("http://purl.bioontology.org/ontology/CPT/", "http://purl.bioontology.org/ontology/HCPCS/")


def reviews(told: list[Told]) -> Iterator[tuple[ox.Quad, Row]]:
    """Yield reviews: the first lines that are denied, approved by a person; and the row that each must give."""
    denied = [(one, line) for one in told for line in one.lines("payer", "deny")][:REVIEWS]
    for number, (one, line) in enumerate(denied):
        node = ox.NamedNode(f"{determination_iri(one.determination)}/reviews/{number}")
        row = (one.iri(line), line["code"], "deny", "approve", f"r{number}", "the record was found")
        decision = ox.NamedNode(f"{determination_iri(one.determination)}#line-{line['line']}-payer")
        for predicate, value in (
            ("ofLineDecision", decision),
            ("decision", ox.NamedNode(COV + "approve")),
            ("reviewer", ox.Literal(f"r{number}")),
            ("reason", ox.Literal("the record was found")),
        ):
            yield ox.Quad(node, ox.NamedNode(COV + predicate), value, node), row
        yield ox.Quad(node, RDF_TYPE, ox.NamedNode(COV + "Review"), node), row


RDF_TYPE = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")


@pytest.fixture(scope="module")
def world(knowledge: kg.Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = list(determinations(knowledge))
    told = [Told(one, {p: replace(one, posture=p).to_dict() for p in POSTURES}) for one in made]
    data = tmp_path_factory.mktemp("data")
    write_index(data, knowledge, made)
    store = ox.Store(str(data / "index"))
    store.extend(quad for quad, _ in reviews(told))
    publish(data, store)
    del store
    with asyncio.Runner() as runner:
        pool = Pool(data, 1)
        runner.run(pool.start())
        yield World(knowledge, told, lambda question: runner.run(pool.ask(question)))
        runner.run(pool.stop())


def counted(found: Iterable[Row]) -> list[Row]:
    """Return each row once, with how often it was found."""
    return [(*row, str(count)) for row, count in Counter(found).items()]


def distinct(found: Iterable[Row]) -> list[Row]:
    """Return how many different last values the rows have that are otherwise equal."""
    return counted(row[:-1] for row in dict.fromkeys(found))


# What each query must find, from the JSON


def denials_by_clause(world: World) -> list[Row]:
    reasons = world.knowledge.named("DenialReason")
    return distinct(
        (PAYER, clause, reasons[line["reason"]], one.iri(line))
        for one in world.told
        for line in one.lines("payer", "deny")
        if "reason" in line
        for clause in line["because"]
    )


def denials_by_clause_and_region(world: World) -> list[Row]:
    def regions(one: Told) -> set[str]:
        levels = {str(o) for _, p, o in one.determination.claim.facts if p == COV + "level"}
        return {str(region) for x in levels for region in world.knowledge.graph.objects(x, ANATOMY + "partOf")}

    return distinct(
        (PAYER, clause, world.text(clause, COV + "clause"), world.text(region, RDFS + "label"), one.iri(line))
        for one in world.told
        for line in one.lines("payer", "deny")
        for clause in line["because"]
        for region in regions(one)
    )


def denial_reasons_by_code(world: World) -> list[Row]:
    return counted(
        (PAYER, line["code"], line["label"], line["reason"])
        for one in world.told
        for line in one.lines("payer", "deny")
        if world.knows(line["code"])
    )


def facts_that_lines_wait_for(world: World) -> list[Row]:
    return distinct((PAYER, fact, one.iri(line)) for one, line, facts in pending(world) for fact in concepts(facts))


def pending(world: World) -> Iterator[tuple[Told, Json, set[str]]]:
    """Yield pending lines with the facts and fields that they wait for."""
    for one in world.told:
        for line in one.lines("payer", "pend"):
            yield one, line, {world.fact(missing) for missing in line["missing"]}


def concepts(facts: set[str]) -> set[str]:
    return {fact for fact in facts if fact.startswith(CONDITION)}


def lines_one_fact_away(world: World) -> list[Row]:
    return [
        (PAYER, one.claim, str(line["line"]), line["code"], one.policy, fact, world.question(fact))
        for one, line, facts in pending(world)
        if len(facts) == 1 and world.knows(line["code"])
        for fact in facts
    ]


def facts_that_release_most(world: World) -> list[Row]:
    alone = Counter(fact for _, _, facts in pending(world) for fact in concepts(facts) if len(facts) == 1)
    among = Counter(fact for _, _, facts in pending(world) for fact in concepts(facts) if len(facts) > 1)
    return [(PAYER, x, world.question(x), str(alone[x]), str(among[x])) for x in alone.keys() | among.keys()]


def missing_facts_by_policy(world: World) -> list[Row]:
    return counted(
        (PAYER, one.determination.policy.iri, one.policy, fact)
        for one, _, facts in pending(world)
        for fact in concepts(facts)
    )


def questions_for_the_record_room(world: World) -> list[Row]:
    return distinct(
        (PAYER, one.claim, fact, world.question(fact), one.iri(line))
        for one, line, facts in pending(world)
        for fact in concepts(facts)
    )


def approvals_with_caveats(world: World) -> list[Row]:
    return [
        (COV + "advisoryPosture", one.claim, str(line["line"]), line["code"], one.policy, caveat)
        for one in world.told
        for line in one.lines("advisory", "approve")
        if world.knows(line["code"])
        for caveat in dict.fromkeys(line["caveats"])
    ]


def guideline_policy_conflicts(world: World) -> list[Row]:
    return distinct(
        (PAYER, x["kind"], x["policy"], x["guideline"], determination_iri(one.determination) + str(line["line"]))
        for one in world.told
        for line in one.lines("payer")
        for x in line["conflicts"]
    )


def codes_that_suggest(world: World) -> list[Row]:
    found: set[Row] = set()
    for one in world.told:
        facts = one.determination.claim.facts
        codes = {str(o) for s, p, o in facts if p == COV + "code" and "#line-" not in str(s)}
        diagnoses = {str(o) for s, p, o in facts if p == COV + "code" and "#diagnosis-" in str(s)}
        said = {str(o) for _, p, o in facts if p == COV + "concept"} | diagnoses
        covered = {above for x in said for above in world.knowledge.ancestors(x)}
        for code in codes:
            for condition in map(str, world.knowledge.graph.objects(code, COV + "suggests")):
                if condition not in covered and world.question(condition):
                    found.add((one.claim, local_name(code), condition, world.question(condition)))
    return list(found)


def decisions_that_differ_by_policy(world: World) -> list[Row]:
    decided: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for one in world.told:
        for line in one.lines("payer"):
            if world.knows(line["code"]):
                decided.setdefault((one.iri(line), line["code"]), []).append((one.policy, line["decision"]))
    return [
        (PAYER, line, code, *here, *there)
        for (line, code), found in decided.items()
        for here in found
        for there in found
        if here[0] < there[0] and here[1] != there[1]
    ]


def claims_of_a_clause(world: World) -> list[Row]:
    clause = f"https://w3id.org/coverpath/policy/{CLAUSE}"
    found: set[Row] = set()
    for one in world.told:
        for line in (line for posture in POSTURES for line in one.lines(posture)):
            for node in nodes(line["path"]):
                if node["criterion"] == clause:
                    status = world.knowledge.named("Status")[node["status"]]
                    for below in nodes(node):
                        for triple in walked(below["witnesses"]):
                            found.add((clause, one.iri(line), status, *map(lexical, triple)))
    return list(found)


def walked(triples: Iterable[list[str]]) -> list[list[str]]:
    """Return triples, the steps of a walk along the spine as one."""
    found: list[list[str]] = []
    for s, p, o in triples:
        last = found[-1] if found else ["", "", ""]
        if p == STEP and last[1] in (STEP, WALK) and last[2] == s:
            found[-1] = [last[0], WALK, o]
        else:
            found.append([s, p, o])
    return found


def nodes(tree: Json) -> Iterator[Json]:
    """Yield a node of a criteria tree and all below it."""
    yield tree
    for part in tree["parts"]:
        yield from nodes(part)


def lexical(term: str) -> str:
    """Return a term as CSV has it."""
    return str(json.loads(term[: term.rindex('"') + 1])) if term.startswith('"') else term


def unverified_clauses_in_use(world: World) -> list[Row]:
    def source(clause: str) -> str:
        status = world.knowledge.graph.iri(clause, COV + "sourceStatus") or ""
        unverified = world.text(status, COV + "isUnverified") == "true"
        return world.text(status, RDFS + "label") if unverified else ""

    return counted(
        (PAYER, clause, world.text(clause, COV + "clause"), source(clause))
        for one in world.told
        for line in one.lines("payer")
        for clause in line["because"]
        if source(clause)
    )


def lines_where_postures_part(world: World) -> list[Row]:
    return [
        (one.claim, str(line["line"]), line["code"], one.policy, *(line["decisions"][p] for p in POSTURES))
        for one in world.told
        for line in one.lines()
        if len(set(line["decisions"].values())) > 1 and world.knows(line["code"])
    ]


def not_billable_by_edit(world: World) -> list[Row]:
    return counted(
        (PAYER, edit, world.text(edit, RDFS + "label"))
        for one in world.told
        for line in one.lines("payer", "not-billable")
        for edit in line["because"]
    )


def conus_documented(world: World) -> list[Row]:
    lines: dict[Row, set[str]] = {}
    claims: dict[Row, set[str]] = {}
    for one in world.told:
        document = one.determination.claim.document
        conus = "documented" if "conusLevel" in document.get("operation", {}) else "default"
        for line in one.lines():
            row = (PAYER, conus, line["decision"])
            lines.setdefault(row, set()).add(one.iri(line))
            claims.setdefault(row, set()).add(one.claim)
    return [(*row, str(len(claims[row])), str(len(lines[row]))) for row in lines]


def criteria_never_met(world: World) -> list[Row]:
    asked: dict[str, set[str]] = {}
    met: set[str] = set()
    for one in world.told:
        for value in one.of.values():
            trees = [(one.iri(line), line["path"]) for line in value["lines"]]
            trees += [(one.iri(edit), edit["path"]) for edit in value["edits"] if edit["line"]]
            met.update(node["criterion"] for edit in value["edits"] for node in nodes(edit["path"]) if is_met(node))
            for line, tree in trees:
                for node in nodes(tree):
                    asked.setdefault(node["criterion"], set()).add(line)
                    if is_met(node):
                        met.add(node["criterion"])
    return [(x, world.text(x, RDFS + "label"), str(len(asked[x]))) for x in asked.keys() - met]


def is_met(node: Json) -> bool:
    return bool(node["status"] == "met")


def decisions_by_policy(world: World) -> list[Row]:
    return counted((PAYER, one.policy, line["decision"]) for one in world.told for line in one.lines("payer"))


def reviews_that_overrode(world: World) -> list[Row]:
    return list(dict.fromkeys(row for _, row in reviews(world.told)))


EXPECTED: dict[str, Callable[[World], list[Row]]] = {
    find.__name__.replace("_", "-"): find
    for find in (
        approvals_with_caveats,
        claims_of_a_clause,
        codes_that_suggest,
        conus_documented,
        criteria_never_met,
        decisions_by_policy,
        decisions_that_differ_by_policy,
        denial_reasons_by_code,
        denials_by_clause,
        denials_by_clause_and_region,
        facts_that_lines_wait_for,
        facts_that_release_most,
        guideline_policy_conflicts,
        lines_one_fact_away,
        lines_where_postures_part,
        missing_facts_by_policy,
        not_billable_by_edit,
        questions_for_the_record_room,
        reviews_that_overrode,
        unverified_clauses_in_use,
    )
}
GIVEN = {"claims-of-a-clause": {"clause": CLAUSE}}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_finds_what_the_determinations_say(world: World, name: str) -> None:
    """The rows of each saved query follow from the JSON of the same determinations, none more, none less."""
    found = world.rows(name, **GIVEN.get(name, {}))
    assert found
    assert Counter(found) == Counter(EXPECTED[name](world))


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_is_answered_within_a_second(world: World, name: str) -> None:
    """No saved query keeps an analyst waiting on a few hundred determinations.

    The time is the processor's: that of the clock is also that of whatever else this machine does.
    """
    assert len(world.told) >= 300
    question = QUERIES[name].asked(GIVEN.get(name, {}), "text/csv", world.knowledge)
    assert min(world.ask(question).seconds for _ in range(2)) < 1


def test_a_parameter_narrows_the_answer(world: World) -> None:
    """What is given for a variable is what its column holds; another posture gives other rows."""
    final = world.rows("denials-by-clause", posture="final")
    assert {row[0] for row in final} == {COV + "finalPosture"}
    assert final != world.rows("denials-by-clause")
    one = world.rows("missing-facts-by-policy", policy="cigna-0509")
    assert one == [row for row in world.rows("missing-facts-by-policy") if row[2] == "cigna-0509"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"posture": "payers"}, "this is no posture"),
        ({"posture": '"} UNION { ?s ?p ?o } #'}, "this is no posture"),
        ({"stance": "payer"}, "the query has no such parameter"),
    ],
)
def test_a_value_of_another_type_is_refused(knowledge: kg.Knowledge, given: dict[str, str], problem: str) -> None:
    """A parameter takes the values of its type only; the fault says which these are, and repeats nothing."""
    with pytest.raises(kg.ClaimError) as error:
        QUERIES["denials-by-clause"].asked(given, "text/csv", knowledge)
    (fault,) = error.value.faults
    assert fault.problem == problem and fault.help and "UNION" not in str(fault)


def test_a_required_value_is_asked_for(knowledge: kg.Knowledge) -> None:
    """A query about one clause says that it needs one."""
    with pytest.raises(kg.ClaimError, match="a value is needed"):
        QUERIES["claims-of-a-clause"].asked({}, "text/csv", knowledge)


def test_values_never_enter_the_text(knowledge: kg.Knowledge) -> None:
    """A value goes beside the query, so that none can end a string and begin a pattern."""
    hostile = 'x" } UNION { ?s ?p ?o . #'
    text = "# title: t\n# question: q\n# parameters:\n#   t: {type: text}\nSELECT ?t WHERE { ?s ?p ?t }"
    saved = read_query("t", text)
    question = saved.asked({"t": hostile}, "text/csv", knowledge)
    assert question.query == text
    assert question.values["t"] == (hostile, "http://www.w3.org/2001/XMLSchema#string")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { ?s ?p ?o }",
        "# title: only\nASK {}",
        "# title: t\n# question: q\n# parameters:\n#   x: {type: person}\nASK {}",
        "# title: [\nASK {}",
    ],
)
def test_a_query_that_does_not_say_what_it_asks_stops_the_start(text: str) -> None:
    """A saved query has a title, a question, and parameters of known types."""
    with pytest.raises(KnowledgeError):
        read_query("x", text)


def test_the_library_goes_with_the_knowledge(knowledge: kg.Knowledge) -> None:
    """There are at least fifteen saved queries, each with the expectation that proves it."""
    assert library(knowledge.root).keys() == QUERIES.keys() == EXPECTED.keys()
    assert len(QUERIES) >= 15


def test_exports_hold_the_same_rows(world: World) -> None:
    """CSV, Parquet and XLSX have the same rows; numbers are numbers in the latter two."""
    asked = [QUERIES["decisions-by-policy"].asked({}, media, world.knowledge) for media in (PARQUET, XLSX)]
    columns, book = (world.ask(question) for question in asked)
    assert columns.media == PARQUET and book.media == XLSX
    table = parquet.read_table(io.BytesIO(columns.body))
    assert str(table.schema.field("lines").type) == "int64"
    sheet = load_workbook(io.BytesIO(book.body))["result"]
    names, *rows = sheet.iter_rows(values_only=True)
    assert list(names) == table.column_names
    assert rows == [tuple(row.values()) for row in table.to_pylist()]
    assert [tuple(map(str, row)) for row in rows] == world.rows("decisions-by-policy")


def test_a_text_in_a_workbook_is_never_a_formula(world: World) -> None:
    """What a claim says is shown, not run, when an analyst opens it."""
    text = """SELECT ?a ?b ?c { VALUES (?a ?b) { ("=1+1" 1.5) ("@x" 2.5) } BIND ("\t" AS ?c) }"""
    sheet = load_workbook(io.BytesIO(world.ask(Question(text, XLSX)).body))["result"]
    cells = list(sheet.iter_rows(min_row=2))
    assert [row[0].value for row in cells] == ["=1+1", "@x"]
    assert all(row[0].data_type == "s" for row in cells)
    assert [row[1].value for row in cells] == [1.5, 2.5]


def coverpath(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "kg.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_line_asks_of_claims() -> None:
    """`coverpath query` answers a saved query, a file and a text over claims that it determines itself."""
    claims = ("--claim", "examples/c01.json", "--claim", "examples/c02.json", "--format", "csv")
    saved = coverpath("query", "denials-by-clause", *claims)
    assert saved.returncode == 0 and len(saved.stdout.splitlines()) > 3
    assert coverpath("query", "queries/denials-by-clause.rq", *claims).stdout == saved.stdout
    final = coverpath("query", "denials-by-clause", *claims, "--param", "posture=final")
    assert "finalPosture" in final.stdout and "payerPosture" not in final.stdout
    count = "SELECT (COUNT(*) AS ?n) { ?c a <https://w3id.org/coverpath/coverage#Claim> }"
    assert coverpath("query", count, *claims).stdout.split() == ["n", "2"]


def test_the_command_line_says_what_is_wrong() -> None:
    """A name that is misspelled, a value of no use and a folder without an index are bad input."""
    for arguments, words in (
        (("denials-by-claus", "--claim", "examples/c01.json"), "denials-by-clause"),
        (("denials-by-clause", "--param", "posture=x"), "this is no posture"),
        (("SELECT * { SERVICE <http://x/> {} }",), "SERVICE is refused"),
        (("ASK {}", "--data", "examples"), "holds no index"),
    ):
        shown = coverpath("query", *arguments)
        assert shown.returncode == 2 and words in shown.stderr and not shown.stdout
    assert "no claim" not in coverpath("query").stdout
    assert "Which clauses deny lines" in coverpath("query").stdout


def test_the_command_line_writes_tables_and_files(tmp_path: Path) -> None:
    """A table is for people; Parquet and XLSX go to files."""
    shown = coverpath("query", "decisions-by-policy", "--claim", "examples/c01.json")
    assert shown.returncode == 0 and "approve" not in shown.stderr and "aetna-cpb-0697" in shown.stdout
    target = tmp_path / "rows.parquet"
    arguments = ("--claim", "examples/c01.json", "--format", "parquet", "-o", target)
    assert coverpath("query", "decisions-by-policy", *arguments).returncode == 0
    assert parquet.read_table(target).num_rows == len(shown.stdout.splitlines()) - 4


def test_the_notebook_runs_and_shows_what_it_says() -> None:
    """Each cell of the example runs, and what its author saw is what is seen."""
    path = ROOT / "examples" / "analysis.ipynb"
    names: Json = {}
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            written = io.StringIO()
            with pytest.MonkeyPatch.context() as patch, suppress(SystemExit):
                patch.chdir(ROOT / "examples")
                patch.setattr(sys, "stdout", written)
                exec("".join(cell["source"]), names)
            shown = "".join(text for output in cell["outputs"] for text in output["text"])
            assert written.getvalue() == shown
