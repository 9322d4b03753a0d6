"""Claims a second on one core: several rounds, each with other claims, in a process that has just begun."""

import json
import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

from rich.console import Console
from rich.progress import track

import kg
from benchmarks.claims import five_line_claims

POLICY = "aetna-cpb-0697"
CLAIMS, SEED = 1000, 20261122
HALF = CLAIMS // 2
BEFORE = 5000  # claims after which a process has met most of the codes and places that claims name
ROUNDS = 5  # of a single one half may fall into a time when the machine does something else


def seconds(measure: Callable[[], object]) -> float:
    """Return the seconds that something takes once."""
    began = time.perf_counter()
    measure()
    return time.perf_counter() - began


def parsed(documents: Iterable[dict[str, Any]]) -> list[kg.Claim]:
    """Read claim documents."""
    return [kg.parse_claim(json.dumps(document), "json") for document in documents]


def explain(claim: kg.Claim, policy: str = POLICY, knowledge: kg.Knowledge | None = None) -> dict[str, Any]:
    """Determine a claim and tell all of it."""
    return kg.determine(claim, knowledge or kg.load_knowledge(), policy).to_dict()


def one_core(seed: int) -> dict[str, list[float]]:
    """Return the seconds of determining and telling each of some claims, in a process that has just begun."""
    kg.prepare(kg.load_knowledge())
    claims = parsed(five_line_claims(CLAIMS, seed))

    def taken(some: Iterable[kg.Claim]) -> list[float]:
        return [seconds(partial(explain, claim)) for claim in some]

    found = {f"first {HALF}": taken(claims[:HALF]), f"next {HALF}": taken(claims[HALF:])}
    found[f"all {CLAIMS:,} once more"] = taken(claims)
    for earlier in five_line_claims(BEFORE, seed + 1):
        explain(parsed([earlier])[0])
    found[f"{HALF} after {BEFORE:,} others"] = taken(parsed(five_line_claims(HALF, seed + 2)))
    return found


def on_one_core() -> dict[str, tuple[float, ...]]:
    """Return median and 99th percentile of the seconds, and claims a second: each the median of all rounds."""
    console = Console(stderr=True)
    rounds: dict[str, list[tuple[float, ...]]] = {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        seeds = [SEED + 10 * i for i in range(ROUNDS)]
        for found in track(pool.map(one_core, seeds), "distinct claims", ROUNDS, console=console, transient=True):
            for said, taken in found.items():
                cut = statistics.quantiles(taken, n=100)
                rounds.setdefault(said, []).append((cut[49], cut[98], len(taken) / sum(taken)))
    return {said: tuple(map(statistics.median, zip(*found, strict=True))) for said, found in rounds.items()}
