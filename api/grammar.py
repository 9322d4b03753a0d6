"""What a query may ask: its grammar is walked before an engine that could obey the rest of it sees the query."""

import re
from typing import NamedTuple

from pyparsing import ParseBaseException, ParseResults
from rdflib.plugins.sparql.parser import parseQuery
from rdflib.plugins.sparql.parserutils import CompValue

MAX_CHARACTERS = 20_000  # of a query; the largest of ours has 2,000
MAX_OPENINGS = 500  # brackets of any kind: nothing is nested deeper than there are brackets

KINDS = {"SelectQuery": "select", "AskQuery": "ask", "ConstructQuery": "graph", "DescribeQuery": "graph"}
REFUSED = {
    "ServiceGraphPattern": "SERVICE is refused: a query reads this store only",
    "DatasetClause": "FROM is refused: name graphs by GRAPH, or by default-graph-uri and named-graph-uri",
}


class RefusedError(Exception):
    """A query that is not run; the message says why, without quoting it."""


class Parsed(NamedTuple):
    """A query that may be run: its text as the engine must get it, its kind, and the prefixes that it declares."""

    text: str
    kind: str
    prefixes: dict[str, str]


def parse(text: str) -> Parsed:
    r"""Parse a query, and refuse what is no query, or reads from anywhere but the store.

    Two parsers see the text: this one, which refuses, and the engine's, which obeys. They must not read it
    differently, so what they are known to treat differently goes first: a lone carriage return ends a comment for
    one of them, and `\u0022` ends a string for the other.
    """
    if len(text) > MAX_CHARACTERS:
        raise RefusedError(f"the query is longer than {MAX_CHARACTERS:,} characters")
    if sum(map(text.count, "([{<")) > MAX_OPENINGS * 2 or sum(map(text.count, "([{")) > MAX_OPENINGS:
        raise RefusedError(f"the query has more than {MAX_OPENINGS} opening brackets")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", text):
        raise RefusedError("the query has a control character")
    if re.search(r"\\u[0-9a-f]{4}", text, re.IGNORECASE):
        raise RefusedError("codepoint escapes are refused: write the character itself")
    try:
        tree = parseQuery(text)
    except ParseBaseException as error:
        raise RefusedError(f"the query is not SPARQL 1.1: line {error.lineno}, column {error.column}") from None
    except RecursionError:
        raise RefusedError("the query is nested too deeply") from None
    except Exception:  # the parser makes terms as it reads, and these raise what they like
        raise RefusedError("the query is not SPARQL 1.1") from None
    prefixes = {}
    for node in walk(tree):
        if node.name in REFUSED:
            raise RefusedError(REFUSED[node.name])
        if node.name == "PrefixDecl":
            prefixes[str(node["prefix"]) if "prefix" in node else ""] = str(node["iri"])
    return Parsed(text, KINDS[tree[1].name], prefixes)


def walk(tree: ParseResults) -> list[CompValue]:
    """Return every node of a parse tree that has a name in the grammar."""
    found: list[CompValue] = []
    left: list[object] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, CompValue):
            found.append(node)
            left.extend(node.values())
        elif isinstance(node, (ParseResults, list, tuple)):
            left.extend(node)
    return found
