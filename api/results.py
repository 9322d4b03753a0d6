"""Write what a query found in the format that was asked for."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import pyoxigraph as ox

XSD = "http://www.w3.org/2001/XMLSchema#"
TSV = "text/tab-separated-values"
PARQUET = "application/vnd.apache.parquet"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

RESULTS = {
    "application/sparql-results+json": ox.QueryResultsFormat.JSON,
    "application/json": ox.QueryResultsFormat.JSON,
    "application/sparql-results+xml": ox.QueryResultsFormat.XML,
    "application/xml": ox.QueryResultsFormat.XML,
    "text/csv": ox.QueryResultsFormat.CSV,
    TSV: ox.QueryResultsFormat.TSV,
}
GRAPHS = {
    "text/turtle": ox.RdfFormat.TURTLE,
    "application/n-triples": ox.RdfFormat.N_TRIPLES,
    "application/ld+json": ox.RdfFormat.JSON_LD,
}
OFFERS: Mapping[str, tuple[str, ...]] = {  # the first is what is written where all are welcome
    "select": (*RESULTS, PARQUET, XLSX),
    "ask": tuple(RESULTS),
    "graph": tuple(GRAPHS),
}

Term = ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple | None


class Table(NamedTuple):
    """Rows of a SELECT query under the names of its variables."""

    names: tuple[str, ...]
    rows: list[tuple[Term, ...]]


class Rows(NamedTuple):
    """The same while they are still being found."""

    names: tuple[str, ...]
    rows: Iterable[ox.QuerySolution]


Found = ox.QueryBoolean | Rows | Iterable[ox.Triple]  # of ASK, of SELECT, of CONSTRUCT and DESCRIBE


def chosen(accept: str, offers: Sequence[str]) -> str | None:
    """Return the offer that an Accept header likes best, if it likes any (RFC 9110, section 12.5.1)."""
    ranges: dict[str, float] = {}
    for part in accept.lower().split(","):
        name, _, rest = part.partition(";")
        weight = next((p.partition("=")[2] for p in rest.split(";") if p.strip().startswith("q=")), "1")
        try:
            ranges[name.strip() or "*/*"] = float(weight)
        except ValueError:
            ranges[name.strip()] = 0.0

    def liked(offer: str) -> float:
        general = (offer, f"{offer.partition('/')[0]}/*", "*/*")
        return next((ranges[name] for name in general if name in ranges), 0.0)

    best = max(offers, key=liked)  # the first of equals
    return best if liked(best) > 0 else None


def write_table(table: Table, media: str) -> bytes:
    """Write rows in one of the formats of SELECT."""
    if media == PARQUET:
        return _parquet(table)
    if media == XLSX:
        return _xlsx(table)
    if media == TSV:
        return _tsv(table)
    found = ox.parse_query_results(_tsv(table), format=ox.QueryResultsFormat.TSV)
    return found.serialize(format=RESULTS[media]) or b""


def write_graph(triples: Iterable[ox.Triple], media: str, prefixes: Mapping[str, str]) -> bytes:
    """Write the triples of a CONSTRUCT or DESCRIBE query, with the prefixes that it declared."""
    return ox.serialize(triples, format=GRAPHS[media], prefixes=dict(prefixes)) or b""


def plain(term: Term) -> Any:
    """Return a term as a value of Python: a number, a day, a truth or a text."""
    if term is None:
        return None
    if not isinstance(term, ox.Literal):
        return term.value if isinstance(term, ox.NamedNode) else str(term)
    try:
        return READERS.get(term.datatype.value, str)(term.value)
    except (ValueError, InvalidOperation):
        return term.value


def _tsv(table: Table) -> bytes:
    """Write rows as N-Triples writes terms, which is TSV; the engine makes the other formats of it."""
    lines = ["\t".join(f"?{name}" for name in table.names)]
    lines += ["\t".join("" if term is None else str(term) for term in row) for row in table.rows]
    return "".join(f"{line}\n" for line in lines).encode()


def _parquet(table: Table) -> bytes:
    """Write rows as Parquet; a column whose values are not of one type is one of texts."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = {}
    for place, name in enumerate(table.names):
        values = [plain(row[place]) for row in table.rows]
        kinds = {type(value) for value in values if value is not None}
        if len(kinds) > 1:
            values = [None if value is None else str(value) for value in values]
        columns[name] = pa.array(values, None if kinds else pa.string())
    sink = io.BytesIO()
    parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


def _xlsx(table: Table) -> bytes:
    """Write rows as a workbook of one sheet; a text is never a formula, whatever it begins with."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    book = Workbook(write_only=True)
    sheet = book.create_sheet("result")

    def cell(value: Any) -> Any:
        if isinstance(value, datetime):  # a workbook knows no time zones
            value = value.isoformat()
        if not isinstance(value, str):
            return value
        found = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", value))
        found.data_type = "s"
        return found

    sheet.append([cell(name) for name in table.names])
    for row in table.rows:
        sheet.append([cell(plain(term)) for term in row])
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def read_csv(data: bytes) -> tuple[list[str], list[list[str]]]:
    """Read rows back from CSV, for a page or a terminal to show."""
    names, *rows = csv.reader(io.StringIO(data.decode(), newline=""))
    return names, rows


def _truth(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text]


READERS: Mapping[str, Callable[[str], Any]] = {
    XSD + "integer": int,
    XSD + "decimal": Decimal,
    XSD + "double": float,
    XSD + "boolean": _truth,
    XSD + "date": date.fromisoformat,
    XSD + "dateTime": datetime.fromisoformat,
}
