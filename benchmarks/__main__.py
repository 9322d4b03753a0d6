"""Measure a determination, and pySHACL on the same shapes and claims in the same run; print the figures."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pyshacl
import rdflib
from rich.console import Console
from rich.progress import track

import kg
from kg.criteria import Criterion, derived_shapes
from kg.verify import verify
from tests.engines import data_graph

EXAMPLES = [Path(__file__).resolve().parent.parent / "examples" / name for name in ("c01.json", "c02.json")]


def median(measure: Callable[[], object], runs: int, said: str) -> float:
    """Return the median seconds of several runs."""
    seconds = []
    for _ in track(range(runs), said, console=Console(stderr=True), transient=True):
        began = time.perf_counter()
        measure()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def with_parts(criteria: Iterable[Criterion]) -> list[Criterion]:
    """Return criteria and all below them, each once."""
    found: dict[str, Criterion] = {}

    def visit(criterion: Criterion) -> None:
        for part in criterion.parts:
            visit(part)
        found[criterion.iri] = criterion

    for criterion in criteria:
        visit(criterion)
    return list(found.values())


def main() -> None:
    """Print each figure beside what it is compared with."""
    began = time.perf_counter()
    knowledge = kg.load_knowledge()
    loaded = time.perf_counter() - began
    claims = [kg.read_claim(path, knowledge) for path in EXAMPLES]
    determinations = [kg.determine(claim, knowledge) for claim in claims]
    judged = dict.fromkeys(edit.criterion for edit in knowledge.edits)
    for document in (determinations[0].policy, *knowledge.guidelines):
        judged |= dict.fromkeys(knowledge.criteria_of(document).values())
    shapes = rdflib.Graph().parse(data=derived_shapes(with_parts(judged), knowledge.graph), format="turtle")
    graphs = [data_graph(determination) for determination in determinations]
    command = [sys.executable, "-m", "kg.cli", "determine", str(EXAMPLES[0]), "--format", "json"]

    cold = median(lambda: subprocess.run(command, check=True, capture_output=True), 5, "whole process")
    ours = median(lambda: [kg.determine(claim, knowledge).to_dict() for claim in claims], 20, "coverpath") / len(claims)
    theirs = median(
        lambda: [pyshacl.validate(graph, shacl_graph=shapes, max_validation_depth=60) for graph in graphs], 3, "pySHACL"
    ) / len(graphs)
    told = determinations[0].to_dict()
    verify(told, claims[0], knowledge)  # reads the knowledge
    replayed = median(lambda: verify(told, claims[0], knowledge), 5, "verify")
    for label, value in (
        ("whole process, one claim, wall", f"{cold:.2f} s"),
        ("reading the knowledge", f"{loaded:.2f} s"),
        ("one claim, three postures, to_dict() included", f"{ours * 1000:.1f} ms"),
        (f"pySHACL, same claims, the same {len(with_parts(judged))} criteria", f"{theirs * 1000:.0f} ms"),
        ("pySHACL / coverpath", f"{theirs / ours:.0f}"),
        ("verify, one claim of five lines, knowledge read", f"{replayed * 1000:.0f} ms"),
    ):
        print(f"{label:52}{value}")


if __name__ == "__main__":
    main()
