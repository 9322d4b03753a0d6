"""Measure determinations, and engines of SHACL on the same shapes and claims in the same run; print the figures."""

import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

import kg
from benchmarks.claims import five_line_claims
from benchmarks.growth import grown, said_again
from benchmarks.one_core import CLAIMS, HALF, POLICY, SEED, explain, on_one_core, parsed, seconds
from kg.criteria import Criterion, derived_shapes
from kg.verify import verify
from tests.engines import ENGINES, Union, ntriples, within

EXAMPLES = [Path(__file__).resolve().parent.parent / "examples" / name for name in ("c01.json", "c02.json")]
COMPARED = {"pySHACL": 2, "pyshifty": 20, "shacl-rust": 10}  # claims that each engine is given


def times(measures: Iterable[Callable[[], object]], said: str) -> list[float]:
    """Return the seconds that each of several things takes, with a bar for those who wait."""
    console = Console(stderr=True)
    return [seconds(measure) for measure in track(list(measures), said, console=console, transient=True)]


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


def explain_all(documents: Sequence[dict[str, Any]]) -> float:
    """Return the seconds of determining and telling some claims, their reading not counted."""
    claims = parsed(documents)
    return seconds(lambda: [explain(claim) for claim in claims])


def main() -> None:
    """Print each figure beside what it is compared with."""
    loaded = seconds(kg.load_knowledge)
    knowledge = kg.load_knowledge()
    rows: list[tuple[str, str]] = []
    command = [sys.executable, "-m", "kg.cli", "determine", str(EXAMPLES[0]), "--format", "json"]
    run = [lambda: subprocess.run(command, check=True, capture_output=True)] * 5
    rows.append(("whole process, one claim, wall", f"{statistics.median(times(run, 'whole process')):.2f} s"))
    rows.append(("reading the knowledge", f"{loaded:.2f} s"))
    prepared = seconds(partial(kg.prepare, knowledge))
    rows.append(("looking up all codes before the first claim", f"{prepared:.2f} s"))

    measured = on_one_core()
    ours = measured[f"next {HALF}"][0]
    for said, (half, most, rate) in measured.items():
        shown = f"p50 {half * 1000:.2f} ms, p99 {most * 1000:.2f} ms, {rate:.0f} /s"
        rows.append((f"five lines, explained: {said}", shown))
    documents = list(five_line_claims(CLAIMS, SEED))
    claims = parsed(documents)
    for claim in claims:
        explain(claim)
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(explain_all, (documents[:100], documents[100:200])))
        both = seconds(lambda: list(pool.map(explain_all, (documents[:HALF], documents[HALF:]))))
    rows.append(("two processes, once more, reading the documents included", f"{CLAIMS / both:.0f} /s"))

    judged = dict.fromkeys(edit.criterion for edit in knowledge.edits)
    for document in (knowledge.policies[POLICY], *knowledge.guidelines):
        judged |= dict.fromkeys(knowledge.criteria_of(document).values())
    criteria = with_parts(judged)
    union = Union(knowledge)
    rows.append(("criteria that the engines are given, two shapes each", f"{len(criteria)}"))
    for engine, count in COMPARED.items():
        graphs = [ntriples(union(kg.determine(claim, knowledge, POLICY).triples())) for claim in claims[:count]]
        able = {*within(engine, knowledge)}
        judge = ENGINES[engine](derived_shapes([one for one in criteria if one.iri in able], knowledge.graph))
        judge(graphs[0])
        theirs = statistics.median(times([partial(judge, graph) for graph in graphs], engine))
        rows.append((f"{engine}, one claim, and times ours", f"{theirs * 1000:,.1f} ms, {theirs / ours:,.0f}"))

    for lines, facts in ((5, 10), (25, 10), (100, 10), (200, 10), (200, 100), (200, 1000)):
        claim = grown(documents[0], lines, facts)
        taken = statistics.median(times([partial(explain, claim)] * 5, "growth"))
        rows.append((f"one claim of {lines} lines and {facts} facts", f"{taken * 1000:.1f} ms"))
    for policy in knowledge.policies:
        taken = sum(times([partial(explain, claim, policy) for claim in claims[:200]], policy))
        rows.append((f"five lines under {policy}", f"{200 / taken:.0f} /s"))

    told = explain(kg.read_claim(EXAMPLES[0]))
    verify(told, kg.read_claim(EXAMPLES[0]), knowledge)  # reads the knowledge
    replay = times([lambda: verify(told, kg.read_claim(EXAMPLES[0]), knowledge)] * 5, "verify")
    rows.append(("verify, one claim of five lines, knowledge read", f"{statistics.median(replay) * 1000:.0f} ms"))
    rows.append(
        ("memory of this process at its most", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")
    )
    for many in (1, 2, 4, 8):
        more = said_again(knowledge, POLICY, many)
        kg.prepare(more)
        taken = statistics.median(times([partial(explain, claim, POLICY, more) for claim in claims], "growth")[HALF:])
        count = len(more.criteria_of(more.policies[POLICY]))
        rows.append((f"five lines under a policy of {count} criteria", f"{taken * 1000:.2f} ms"))
    for label, value in rows:
        print(f"{label:60}{value}")


if __name__ == "__main__":
    main()
