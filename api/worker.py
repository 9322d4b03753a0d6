"""One worker: answer queries over a store that it may only read, one at a time, until standard input ends.

It is a process of its own because no limit on a query holds inside the process that runs it: time is kept by the
pool, which kills; memory and processor time by the system. A request is a line of JSON; an answer is a line of JSON,
and then as many bytes as that line says.
"""

import gc
import json
import os
import resource
import select
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pyoxigraph as ox

from api import grammar, results, snapshots
from api.offline import go_offline
from api.remote import LargeError, Remote, RemoteError, term

POLL = 0.2  # seconds between two looks at the version while there is nothing to do

parse = lru_cache(maxsize=512)(grammar.parse)


class Source(Protocol):
    """What is asked: an index in a folder, or a server."""

    def refresh(self) -> None:
        """See what is new."""

    def ask(self, parsed: grammar.Parsed, request: Mapping[str, Any]) -> results.Found:
        """Run a query; where no graphs are named, it sees all of them as one, and each under its name."""


class Index:
    """The store of a data directory as its owner last published it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.version, self.store = snapshots.newest(data)

    def refresh(self) -> None:
        """Open the store anew if its owner has published since: an open store does not see what comes after."""
        if snapshots.version(self.data) != self.version:
            self.version, self.store = snapshots.newest(self.data)

    def ask(self, parsed: grammar.Parsed, request: Mapping[str, Any]) -> results.Found:
        """Run a query here."""
        values: dict[ox.Variable, Any] = {
            ox.Variable(name): term(value) for name, value in request.get("values", {}).items()
        }
        default: list[Any] = [ox.NamedNode(iri) for iri in request.get("default", ())]
        named: list[Any] = [ox.NamedNode(iri) for iri in request.get("named", ())]
        graphs: dict[str, Any] = (
            {"default_graph": default, "named_graphs": named}
            if default or named
            else {"use_default_graph_as_union": True}
        )
        found = self.store.query(parsed.text, substitutions=values, **graphs)
        if isinstance(found, ox.QuerySolutions):
            return results.Rows(tuple(variable.value for variable in found.variables), found)
        return found


def answer(request: Mapping[str, Any], source: Source) -> tuple[dict[str, Any], bytes]:
    """Answer a request: what kind of answer it is, and the bytes of it."""
    try:
        parsed = parse(request["query"])
    except grammar.RefusedError as error:
        return {"refused": str(error)}, b""
    offers = results.OFFERS[parsed.kind]
    media = results.chosen(request["accept"], offers)
    if media is None:
        return {"offers": offers}, b""
    limit = request["rows"]
    try:
        found = source.ask(parsed, request)
        if isinstance(found, ox.QueryBoolean):
            return {"media": media, "rows": 1}, found.serialize(format=results.RESULTS[media]) or b""
        rows: list[Any] = list(islice(found.rows if isinstance(found, results.Rows) else found, limit + 1))
    except grammar.RefusedError as error:
        return {"refused": str(error)}, b""
    except LargeError:
        return {"large": True}, b""
    except RemoteError as error:
        return {"failed": str(error)}, b""
    except (SyntaxError, ValueError, RuntimeError) as error:
        position = "" if isinstance(error, RuntimeError) else f": {str(error).partition(': ')[0]}"
        return {"refused": f"the query cannot be run{position}"}, b""
    head = {"media": media, "rows": min(len(rows), limit), "capped": len(rows) > limit}
    if isinstance(found, results.Rows):
        table = results.Table(found.names, [tuple(row) for row in rows[:limit]])
        return head, results.write_table(table, media)
    return head, results.write_graph(rows[:limit], media, parsed.prefixes)


def limit_memory(budget: int) -> None:
    """Bound the address space to what is in use now and a budget."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + budget
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def limit_processor(seconds: int) -> None:
    """Let the system end a query that runs on when the pool is no longer there to end it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def opened(data: Path, most: int) -> Source:
    """Open what is asked: the server that the environment names, or else the index, and then no network."""
    if address := os.environ.get(ADDRESS):
        return Remote(address, WORDIER * most)
    go_offline()
    return Index(data)


def main(data: str, memory: str, seconds: str, most: str) -> None:
    """Serve requests from standard input."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold what the store holds
    source = opened(Path(data), int(most))
    parse("SELECT * { ?s ?p ?o }")  # the parser sets itself up when it is first used
    limit_memory(int(memory))
    gc.freeze()
    out = sys.stdout.buffer
    out.write(b"ready\n")
    out.flush()
    while True:
        while not select.select([0], [], [], POLL)[0]:
            source.refresh()
        line = sys.stdin.buffer.readline()
        if not line:
            return
        source.refresh()
        limit_processor(int(seconds))
        began = time.process_time()
        try:
            head, body = answer(json.loads(line), source)
        except MemoryError:
            os._exit(MEMORY)
        if len(body) > int(most):
            head, body = {"large": True}, b""
        head["seconds"] = time.process_time() - began
        out.write(json.dumps({**head, "bytes": len(body)}).encode() + b"\n" + body)
        out.flush()


ADDRESS = "COVERPATH_STORE_QUERY"  # in the environment, since arguments are seen by everyone on a machine
WORDIER = 4  # times: how much longer rows are as JSON than in the shortest format
MEMORY = 9  # the exit status that says so, where Python notices first

if __name__ == "__main__":
    main(*sys.argv[1:])
