"""One claim under every policy, two editions of one policy, and policies judged as a whole."""

import json
import shutil
from pathlib import Path

import pytest

import kg
from kg.compare import compare, difference
from kg.knowledge import find_root, load_knowledge
from kg.lint import lint
from tests.conftest import example, parsed
from tests.test_cli import coverpath, written


def test_policies_part_on_named_clauses(knowledge: kg.Knowledge) -> None:
    """The same lumbar decompression: one policy denies by its exclusion, another covers it by its list."""
    case = json.loads((Path(__file__).parent / "cases" / "c06.json").read_text())
    comparison = compare(parsed(case["claim"]), knowledge, "payer")
    assert set(comparison["policies"]) == set(knowledge.policies)
    line = comparison["lines"][0]
    assert not line["agree"]
    cells = {
        policy: (cell["decision"], [c["clause"] for c in cell["because"]]) for policy, cell in line["decisions"].items()
    }
    assert cells["aetna-cpb-0697"] == ("deny", ["AET-UNPR-LUMB", "AET-POS-1"])
    assert cells["cms-lcd-l35003"] == ("approve", ["MED-SP4"])
    assert cells["cms-lcd-l34623"][0] == "review"


def test_a_comparison_agrees_with_each_determination(knowledge: kg.Knowledge) -> None:
    """Each cell is the decision that the policy's own determination gives."""
    claim = parsed(example("c01"))
    comparison = compare(claim, knowledge)
    for policy in knowledge.policies:
        lines = kg.determine(claim, knowledge, policy=policy).to_dict()["lines"]
        assert [row["decisions"][policy]["decision"] for row in comparison["lines"]] == [x["decision"] for x in lines]


def test_a_policy_without_an_edition_on_the_date_is_named(knowledge: kg.Knowledge) -> None:
    """A date of service before a policy began leaves it out, and says so."""
    comparison = compare(parsed({**example("c01"), "serviceDate": "2018-03-14"}), knowledge)
    assert {item["policy"] for item in comparison["without"]} == {
        *("anthem-cg-surg-104", "bcbsal-mp-306", "cms-lcd-l35003"),
    }


def test_editions_differ_in_clauses_and_move_decisions(knowledge: kg.Knowledge) -> None:
    """The split of October 2023 turns a cervical denial into an approval, each by its clause."""
    changes = difference("cigna-0509@2016-09-15", "cigna-0509@2023-10-15", [parsed(example("c01"))], knowledge)
    assert {(c["change"], c["clause"]) for c in changes["clauses"]} == {
        ("removed", "CIG-CERV-PRE2023"),
        *(("added", name) for name in ("CIG-CERV-OPLL", "CIG-CERV-CSM", "CIG-CERV-UPD")),
    }
    line = changes["claims"][0]["lines"][0]
    assert (line["before"]["decision"], line["after"]["decision"]) == ("deny", "approve")
    assert [c["clause"] for c in line["before"]["because"]] == ["CIG-CERV-PRE2023"]


def test_an_edition_equals_itself(knowledge: kg.Knowledge) -> None:
    """Editions with the same clauses have no difference."""
    changes = difference("anthem-cg-surg-104@2023-04-12", "anthem-cg-surg-104@2024-04-10", [], knowledge)
    assert changes["clauses"] == []


@pytest.mark.parametrize(
    ("day", "decision"), [("2023-10-14", "deny"), ("2023-10-15", "approve")], ids=["the day before", "the day"]
)
def test_the_date_of_service_chooses_the_edition(knowledge: kg.Knowledge, day: str, decision: str) -> None:
    """An edition answers from its first day on, and the one before it until then."""
    document = {**example("c01"), "serviceDate": day, "payer": "cigna"}
    assert kg.determine(parsed(document), knowledge).to_dict()["lines"][0]["decision"] == decision


def test_medicare_alone_names_both_contractors(knowledge: kg.Knowledge) -> None:
    """`medicare` is an error that names both local determinations (decision rule 25)."""
    with pytest.raises(kg.ClaimError) as error:
        kg.determine(parsed({**example("c01"), "payer": "medicare"}), knowledge)
    assert "cms-lcd-l34623" in str(error.value) and "cms-lcd-l35003" in str(error.value)
    for payer, policy in (("novitas", "cms-lcd-l35003"), ("wps", "cms-lcd-l34623")):
        assert kg.determine(parsed({**example("c01"), "payer": payer}), knowledge).policy.id == policy


def test_one_interpreter_on_two_claims_is_an_alert_of_the_run(tmp_path: Path) -> None:
    """Overlapping intervals of one interpreter are told beside the determinations, which do not change."""
    paths = []
    for name, start, end in (("a", "08:00", "10:00"), ("b", "09:30", "11:00"), ("c", "11:00", "12:00")):
        document = {**example("c01"), "id": name}
        document["lines"][4] |= {
            "performer": {"id": "i7", "role": "interpreting-physician"},
            "intervals": [{"start": f"2025-03-14T{start}:00", "end": f"2025-03-14T{end}:00"}],
        }
        paths.append(written(tmp_path / f"{name}.json", document))
    alone = [json.loads(coverpath("determine", path, "--format", "json").stdout) for path in paths]
    together = coverpath("determine", *paths, "--format", "json")
    assert json.loads(together.stdout) == alone
    assert together.stderr.splitlines() == [
        "alert of the run: one interpreter reports the same minutes on a line 5 and b line 5"
    ]


def test_the_policies_are_clean() -> None:
    """No clause is dead, shadowed, contradictory or unreachable, and every quote stands in its source."""
    shown = coverpath("policy", "lint")
    assert (shown.returncode, shown.stderr.strip()) == (0, "0 findings")


def test_lint_names_a_criterion_without_a_case(tmp_path: Path) -> None:
    """A folder whose cases never meet or refute a criterion is told so."""
    for folder in ("ontology", "shapes"):
        shutil.copytree(find_root() / folder, tmp_path / folder)
    (tmp_path / "shapes/aan-acns-2012/cases.yaml").write_text("[]")
    found = [str(finding) for finding in lint(load_knowledge(tmp_path))]
    assert found and all("aan-acns-2012" in one and "is decided by no case" in one for one in found)


CLAUSE = """
aetna:planted a cov:{kind} ;
    rdfs:label "planted"@en ;
    skos:definition "A clause that a test planted."@en ;
    cov:inEdition aetna:as-quoted-2025-11 ;
    cov:order 90 ;
    cov:clause "PLANTED" ;
    cov:sourceStatus cov:seen ;
    cov:reason cov:Unproven ;
    {rest} .
"""


@pytest.mark.parametrize(
    ("kind", "rest", "problem"),
    [
        ("ExclusionClause", "sh:and ( line:cervical aetna:not-cervical )", "can be met by no facts"),
        ("ExclusionClause", "cov:concerns aetna:nothing ; sh:and ( line:cervical )", "concerns no code"),
        (
            "UnprovenClause",
            "cov:concerns line:eeg ; sh:and ( line:spinal-surgery line:every-level-below-cord )",
            "is shadowed by",
        ),
        (
            "CoverageClause",
            "cov:concerns line:ssep ; sh:and ( line:spinal-surgery line:cervical aetna:no-qualifying-condition )",
            "is dead",
        ),
        ("ExclusionClause", 'cov:concerns line:vep ; cov:quote "words that nobody wrote"@en', "does not contain"),
        ("ExclusionClause", "cov:concerns line:vep ; cov:subsumedBy aetna:unproven-eeg", "is not subsumed by"),
    ],
)
def test_lint_finds_what_is_planted(tmp_path: Path, kind: str, rest: str, problem: str) -> None:
    """Each kind of fault is found, and named with its clause."""
    for folder in ("ontology", "shapes"):
        shutil.copytree(find_root() / folder, tmp_path / folder)
    criteria = tmp_path / "shapes/aetna-cpb-0697/criteria.ttl"
    skos = "@prefix skos: <http://www.w3.org/2004/02/skos/core#> .\n"
    helpers = """
aetna:not-cervical a cov:Criterion ; rdfs:label "not cervical"@en ; sh:not line:cervical .
aetna:nothing a cov:Criterion ; rdfs:label "two kinds at once"@en ; sh:and ( line:supply line:study ) .
"""
    criteria.write_text(skos + criteria.read_text() + helpers + CLAUSE.format(kind=kind, rest=rest))
    found = [str(finding) for finding in lint(load_knowledge(tmp_path), with_cases=False)]
    assert found and all("`PLANTED`" in one or "`planted`" in one for one in found)
    assert any(problem in one for one in found)
