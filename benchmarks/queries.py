"""Measure the saved queries on a store of a million triples, and what a worker costs beside asking in process.

Each is asked twice: of the files as a hundred graphs at a time leave them, and as the service merges them now and then.
"""

import asyncio
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path

import pyoxigraph as ox

import kg
from api.index import Local, Named, knowledge_triples
from api.library import Saved, library
from api.snapshots import newest, publish
from api.workers import Pool, QueryError, Question
from benchmarks.cases import determinations
from kg.graph import ntriples
from kg.rdf import tell, to_ntriples

TRIPLES = 1_000_000
RUNS = 5
DEAREST = "anthem-cg-surg-104#pathway-affected"  # the clause that takes longest of all
GIVEN = {"claims-of-a-clause": {"clause": DEAREST}}
BATCH = 100  # graphs that are written together


def graphs(made: Iterable[kg.Determination]) -> Iterator[Named]:
    """Yield claim and determination graphs for ever: each of those made, then copies of them under other names."""
    kept = []
    for one in made:
        told = tell(one)
        item = (told.claim, ntriples(one.claim.facts), told.iri, to_ntriples(told, whole=False))
        kept.append(item)
        yield Named(item[0], item[1].encode())
        yield Named(item[2], item[3].encode())
    for copy, (claim, facts, name, triples) in zip(count(1), cycle(kept), strict=False):
        other, renamed = f"{claim}-copy-{copy}", f"{name}-copy-{copy}"
        yield Named(other, facts.replace(claim, other).encode())
        yield Named(renamed, triples.replace(claim, other).replace(name, renamed).encode())


def fill(data: Path, knowledge: kg.Knowledge) -> tuple[Local, int]:
    """Write an index of a million triples, and return it with how many determinations these are."""
    index = Local(data / "index")
    mark = index.begin(list(knowledge_triples(knowledge)), knowledge.hash)
    endless = graphs(determinations(knowledge))
    written = 0
    while mark.triples < TRIPLES:
        batch = {graph.name: graph for graph in islice(endless, BATCH)}
        mark = index.write(list(batch.values()), mark)
        written += BATCH // 2
        print(f"\r{mark.triples:,} triples", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    publish(data, index.store)
    return index, written


async def median(ask: Callable[[], Awaitable[object]], runs: int = RUNS) -> float:
    """Return the median seconds of several runs."""
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        await ask()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


async def measure(data: Path, knowledge: kg.Knowledge, index: Local) -> None:
    """Print start-up, each query, and the cost of a worker."""
    began = time.perf_counter()
    async with Pool(data, 1) as pool:
        print(f"{'start of a worker':44}{time.perf_counter() - began:8.2f} s")
        as_written = {saved.name: await timed(pool, saved, knowledge) for saved in library(knowledge.root).values()}
        print(f"{'to merge the files of the store':44}{index.merge():8.2f} s")
        publish(data, index.store)
        print(f"{'':44}{'written':>10}{'merged':>10}{'rows':>10}")
        for saved in library(knowledge.root).values():
            merged, rows = await timed(pool, saved, knowledge)
            print(f"{saved.name:44}{as_written[saved.name][0]:8.2f} s{merged:8.2f} s{rows:10,}")
        await overhead(data, pool)


async def timed(pool: Pool, saved: Saved, knowledge: kg.Knowledge) -> tuple[float, int]:
    """Return the median seconds of a query, no number where it is stopped at a limit, and its rows."""
    question = asked(saved, knowledge)
    try:
        rows = (await pool.ask(question)).rows
        return await median(partial(pool.ask, question)), rows
    except QueryError:
        return math.nan, 0


def asked(saved: Saved, knowledge: kg.Knowledge) -> Question:
    """Return a saved query with its defaults."""
    return saved.asked(GIVEN.get(saved.name, {}), "text/csv", knowledge)


async def overhead(data: Path, pool: Pool) -> None:
    """Print what a small query costs in process and by a worker, with a text that is new and one that was seen."""
    _, store = newest(data)
    numbers = count()
    text = (
        "PREFIX cov: <https://w3id.org/coverpath/coverage#> SELECT ?line ?code ?decision WHERE {{ "
        "?one a cov:LineDecision ; cov:ofLine ?line ; cov:code ?code ; cov:posture cov:payerPosture ; "
        "cov:decision ?decision . FILTER (?decision != cov:review) }} LIMIT 20 #{}"
    )

    async def here() -> None:
        found = store.query(text.format(0), use_default_graph_as_union=True)
        if isinstance(found, ox.QuerySolutions):
            found.serialize(format=ox.QueryResultsFormat.CSV)

    async def seen() -> None:
        await pool.ask(Question(text.format(0), "text/csv"))

    async def new() -> None:
        await pool.ask(Question(text.format(next(numbers)), "text/csv"))

    for label, ask in (
        ("in process", here),
        ("by a worker, a new text", new),
        ("by a worker, a text it has seen", seen),
    ):
        print(f"{'a small query, ' + label:44}{await median(ask, 50) * 1000:8.2f} ms")


def main() -> None:
    """Fill a store, and print each figure."""
    knowledge = kg.load_knowledge()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        index, written = fill(data, knowledge)
        print(f"{'determinations in the store':44}{written:8,}")
        asyncio.run(measure(data, knowledge, index))


if __name__ == "__main__":
    main()
