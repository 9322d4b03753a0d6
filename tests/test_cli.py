"""The command line, as people and scripts meet it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyoxigraph as ox
import pytest

from tests.conftest import ROOT, example


def coverpath(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kg.cli", *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "120"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def written(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_the_text_names_every_point_of_the_case_documents() -> None:
    """A reader of the two documents finds their clauses, quotes and arguments again."""
    shown = coverpath("determine", "examples/c01.json", "examples/c02.json")
    assert shown.returncode == 0
    text = " ".join(shown.stdout.replace("│", " ").split())
    for point in (
        "considered integral to the administration of anesthesia and is not separately reimbursed",
        "insufficient evidence that this technique provides useful information to the surgeon",
        "ossification of the posterior longitudinal ligament, or severe cord compression",
        "lumbar spine surgery below the end of the spinal cord at L1/2",
        "EEG monitoring during spinal or posterior fossa surgery",
        "giving undivided attention to a unique patient",
        "lies below the cord, cauda equina only",
        "monitors the dorsal column",
        "monitors the corticospinal tract",
        "monitoring showed an occluded iliac artery",
        "guideline-supports--policy-open",
        "two diagnoses exclude each other",
        "only a person may deny care",
    ):
        assert point in text, point


def test_one_claim_is_an_object_and_several_are_an_array(tmp_path: Path) -> None:
    """A faulty claim among several stands in its place with its faults; the others are determined."""
    one = coverpath("determine", "examples/c01.json", "--format", "json")
    assert json.loads(one.stdout)["claim"] == "c01" and one.returncode == 0
    bad = written(tmp_path / "bad.json", {**example("c01"), "id": "bad", "serviceDate": "2025-02-30"})
    several = coverpath("determine", "examples/c01.json", bad, "examples/c02.json", "--format", "json")
    answers = json.loads(several.stdout)
    assert [answer["claim"] for answer in answers] == ["c01", "bad", "c02"]
    assert answers[1]["faults"][0]["place"] == "/serviceDate"
    assert several.returncode == 2 and "/serviceDate" in several.stderr


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "null", '{"id": "x"}', '{"id": 1}', '{"id": "x", "serviceDate": "2025-01-01", "lines": []}', "\x00"],
)
def test_bad_input_is_exit_code_2_without_a_traceback(tmp_path: Path, content: str) -> None:
    """Each fault is one message with place and help."""
    (tmp_path / "claim.json").write_text(content)
    shown = coverpath("determine", tmp_path / "claim.json")
    assert shown.returncode == 2
    assert "help:" in shown.stdout + shown.stderr and "Traceback" not in shown.stdout + shown.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["determine", "nothing.json"], "cannot be read"),
        (["determine", "README.md"], "not a suffix of claim documents"),
        (["determine", "examples/c01.json", "--policy", "aetna"], "not a policy"),
        (["explain", "examples/c01.json", "--line", "9"], "no line 9"),
        (["codes", "M54.99"], "not a code"),
        (["shapes", "aetna-cpb-0679"], "aetna-cpb-0697"),
    ],
)
def test_a_mistaken_command_says_what_to_do(arguments: list[str], says: str) -> None:
    """Names that do not exist are exit code 2 and a message."""
    shown = coverpath(*arguments)
    assert shown.returncode == 2 and says in shown.stdout + shown.stderr


def test_every_posture_is_the_posture_of_the_answer() -> None:
    """`--posture` chooses which decision stands in front; all are given."""
    for posture, decision in (("advisory", "mixed"), ("payer", "mixed"), ("final", "deny")):
        answer = json.loads(
            coverpath("determine", "examples/c01.json", "--posture", posture, "--format", "json").stdout
        )
        assert (answer["posture"], answer["decision"]) == (posture, decision)


def test_explain_shows_what_determine_leaves_closed() -> None:
    """The path in full has passes as well as failures."""
    shown = coverpath("explain", "examples/c02.json", "--line", "1").stdout
    assert "AET-UNPR-CERV" in shown and "a cervical level is operated on" in shown and "AET-DOC-HX" in shown


def test_a_claim_converts_there_and_back(tmp_path: Path) -> None:
    """Every notation of a claim gives the same determination."""
    expected = coverpath("determine", "examples/c01.json", "--format", "json").stdout
    for format, suffix in (("turtle", "ttl"), ("jsonld", "jsonld"), ("json", "json")):
        path = tmp_path / f"c01.{suffix}"
        assert coverpath("claim", "examples/c01.json", "--format", format, "-o", path).returncode == 0
        assert coverpath("determine", path, "--format", "json").stdout == expected


def test_check_decides_nothing() -> None:
    """`check` reports well-formedness and edits only."""
    shown = coverpath("check", "examples/c01.json", "examples/c02.json")
    assert shown.returncode == 0
    assert shown.stdout.splitlines() == [
        "c01: well-formed, 0 edits",
        "c02: well-formed, 1 edit",
        "  claim: two diagnoses exclude each other (alert)",
    ]


def test_codes_tells_stating_from_suggesting() -> None:
    """A code's page says what is evidence and what is only a question."""
    shown = coverpath("codes", "M4712").stdout
    assert "states myelopathy" in shown and "suggests severe cord compression" in shown
    assert "states nothing" in coverpath("codes", "A00.0").stdout


def test_the_queries_answer_on_a_determination() -> None:
    """Queries that need no ontology run on the RDF of the case claims alone, and find rows."""
    store = ox.Store()
    for name in ("c01", "c02"):
        store.load(coverpath("determine", f"examples/{name}.json", "--format", "turtle").stdout, ox.RdfFormat.TURTLE)
    for name in ("denials-by-clause", "facts-that-lines-wait-for"):
        rows = store.query((ROOT / "queries" / f"{name}.rq").read_text())
        assert isinstance(rows, ox.QuerySolutions) and list(rows), name


def test_the_derived_shapes_and_facts_are_turtle() -> None:
    """`shapes` and `facts` write what another SHACL engine reads."""
    for arguments in (["shapes"], ["shapes", "aetna-cpb-0697"], ["facts", "examples/c02.json"]):
        assert list(ox.parse(coverpath(*arguments).stdout, format=ox.RdfFormat.TURTLE))
