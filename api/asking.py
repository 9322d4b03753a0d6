"""Ask a query from the command line, by the same workers that the service has."""

import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import kg
from api import results
from api.library import Saved, library, read_query
from api.quads import write_index
from api.remote import parted
from api.workers import Answer, Limits, Pool, QueryError, Question
from kg.errors import CoverpathError, Fault, nearest


def media_of(format: str) -> str:
    """Return what to accept for a format of the command line; a table is made of CSV, or is Turtle."""
    return {
        "table": "text/csv, text/turtle;q=0.5",
        "csv": "text/csv",
        "tsv": results.TSV,
        "json": "application/sparql-results+json, application/ld+json;q=0.5",
        "xml": "application/sparql-results+xml",
        "parquet": results.PARQUET,
        "xlsx": results.XLSX,
        "turtle": "text/turtle",
    }[format]


def found(what: str, knowledge: kg.Knowledge) -> Saved:
    """Return the query that is meant: a saved one by name, one in a file, or the text itself."""
    saved = library(knowledge.root)
    if what in saved:
        return saved[what]
    if what.endswith(".rq"):
        try:
            text = Path(what).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise kg.ClaimError([Fault("QUERY", "the file cannot be read", "give a .rq file in UTF-8")]) from None
        return read_query(Path(what).stem, text) if text.startswith("# title:") else _plain(text)
    if "{" not in what:
        help = nearest(what, saved, f"saved queries: {', '.join(saved)}")
        raise kg.ClaimError([Fault("QUERY", "this is no saved query, no .rq file and no SPARQL", help)])
    return _plain(what)


def answer(
    question: Question, knowledge: kg.Knowledge, data: Path | None, claims: Sequence[Path], address: str = ""
) -> Answer:
    """Answer a query over a server, a data directory, or the knowledge and the determinations of some claims."""
    if address:
        try:
            parted(address)
        except ValueError as error:
            raise kg.ClaimError([Fault("--store", str(error), "begin with http:// or https://")]) from None
        return _asked(Path(), question, address)
    if data is not None:
        if not (data / "version").is_file():
            help = "name the data directory of a service that has run, or give claims by --claim"
            raise kg.ClaimError([Fault("--data", "the folder holds no index", help)])
        return _asked(data, question)
    with tempfile.TemporaryDirectory(prefix="coverpath-") as folder:
        write_index(Path(folder), knowledge, _determined(claims, knowledge))
        return _asked(Path(folder), question)


def _determined(claims: Iterable[Path], knowledge: kg.Knowledge) -> Iterable[kg.Determination]:
    return [kg.determine(kg.read_claim(path, knowledge), knowledge) for path in claims]


def _asked(data: Path, question: Question, address: str = "") -> Answer:
    async def ask() -> Answer:
        async with Pool(data, 1, Limits(seconds=60), address) as pool:
            return await pool.ask(question)

    try:
        return asyncio.run(ask())
    except QueryError as error:
        raise kg.ClaimError([Fault("QUERY", str(error), "")]) from None
    except OSError as error:
        raise CoverpathError(str(error)) from None


def _plain(text: str) -> Saved:
    return Saved("query", "", "", (), text)
