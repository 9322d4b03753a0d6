"""What README and CONTRIBUTING promise, run."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kg
from kg.knowledge import find_root, load_knowledge
from tests.conftest import ROOT, parsed
from tests.test_cli import coverpath

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def blocks(text: str, info: str) -> list[str]:
    """Return the fenced blocks of a kind."""
    return re.findall(rf"^```{re.escape(info)}\n(.*?)^```$", text, re.M | re.S)


def test_the_python_example_prints_what_the_readme_says() -> None:
    """The example of the Python interface is run as it stands."""
    program = blocks(README, "python")[0]
    shown = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout in blocks(README, "")


def test_the_claim_of_the_readme_is_determined(knowledge: kg.Knowledge) -> None:
    """The example claim is well-formed, and its documented qualifier meets the cervical clause."""
    claim = parsed(json.loads(blocks(README, "json")[0]))
    line = kg.determine(claim, knowledge).to_dict()["lines"][0]
    assert line["decision"] == "approve" and not any("UNPR-CERV" in caveat for caveat in line["caveats"])


def test_the_output_of_the_readme_is_what_the_command_prints() -> None:
    """Every quoted line of output is found in it."""
    shown = coverpath("determine", "examples/c02.json").stdout
    quoted = [
        line
        for block in blocks(README, "")
        for line in block.splitlines()
        if re.match(r"claim c02|edition|1  |L5", line)
    ]
    flat = " ".join(shown.replace("│", " ").split())
    assert len(quoted) == 4 and all(" ".join(line.split()) in flat for line in quoted)


def test_every_command_of_the_readme_exists() -> None:
    """Each command that the README names has a help of its own, and each command is named."""
    named = set(re.findall(r"^coverpath (\w+)", README, re.M))
    listed = set(re.findall(r"^  (\w+) ", coverpath("--help").stdout.partition("Commands")[2], re.M))
    assert named and named == listed


def test_every_file_that_the_readme_names_exists() -> None:
    """Links and folders of the map lead somewhere."""
    for name in re.findall(r"\]\((\w[\w./-]+)\)|`((?:shapes|ontology|queries|examples)/[\w./-]*)`", README):
        assert (ROOT / "".join(name)).exists(), name
    for folder in re.findall(r"^(\w+)/ ", README, re.M):
        assert (ROOT / folder).is_dir(), folder


@pytest.fixture
def copied_root(tmp_path: Path) -> Path:
    """A copy of ontology and shapes, to add a policy to."""
    for folder in ("ontology", "shapes"):
        shutil.copytree(find_root() / folder, tmp_path / folder)
    return tmp_path


def test_a_policy_is_added_in_the_five_steps_of_contributing(copied_root: Path) -> None:
    """The files of the steps, put where they say, make a policy whose cases come out as written."""
    import yaml

    folder = copied_root / "shapes" / "example-1"
    folder.mkdir()
    files = re.findall(r"^```\w+ ([\w.]+)\n(.*?)^```$", CONTRIBUTING, re.M | re.S)
    assert [name for name, _ in files] == ["policy.ttl", "criteria.ttl", "source.md", "cases.yaml"]
    for name, text in files:
        (folder / name).write_text(text)
    knowledge = load_knowledge(copied_root)
    for case in yaml.safe_load((folder / "cases.yaml").read_text()):
        listed = [{"fact": name, "status": "absent"} for name in case["claim"].get("facts", {}).get("absent", [])]
        document = {"id": "x", "serviceDate": "2025-03-14", **case["claim"], "facts": listed}
        claim = kg.parse_claim(json.dumps(document), "json", knowledge)
        answer = kg.determine(claim, knowledge, policy="example-1", posture="payer").to_dict()
        for expected in case["expect"]:
            line = answer["lines"][expected["line"] - 1]
            assert line["decision"] == expected["payer"], case["name"]
            assert [iri.rpartition("#")[2] for iri in line["because"]] == expected["because"]
    words = (folder / "source.md").read_text()
    assert all(quote in words for quote in re.findall(r'cov:quote "([^"]+)"', (folder / "policy.ttl").read_text()))
