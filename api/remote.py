"""A store on another server, asked by the SPARQL 1.1 Protocol; nobody but that server is ever spoken to.

The grammar has been walked before a query comes here. What the server says in an error is not repeated.
"""

import http.client
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode, urlsplit, urlunsplit

import pyoxigraph as ox

from api.grammar import Parsed, parse
from api.results import Found, Rows

Item = TypeVar("Item")

SECONDS = 60  # without a sign of life; the pool is less patient
ROWS = "application/sparql-results+json, application/sparql-results+xml;q=0.9"
TRIPLES = "application/n-triples, text/turtle;q=0.9"
ACCEPTED = {"select": ROWS, "ask": ROWS, "graph": TRIPLES}
UNION = ("union-default-graph", "true")  # by this the oxigraph server shows all graphs as one


class RemoteError(Exception):
    """The server gave no answer that can be passed on; the message says why, and nothing that the server said."""


class LargeError(Exception):
    """The server's answer is larger than one may be."""


class _Stays(urllib.request.HTTPRedirectHandler):
    """Follows nobody: query and password are for the server that was named."""

    def redirect_request(self, *args: Any) -> None:
        """Take the redirect as the failure that it is."""


OPENER = urllib.request.build_opener(_Stays, urllib.request.ProxyHandler({}))


def query_address(update: str) -> str:
    """Return where a server that takes updates at one address takes queries, as most servers have it.

    `/NAME/update` becomes `/NAME/query`, and `/repositories/NAME/statements` `/repositories/NAME`; else it is the same.
    """
    parts = urlsplit(update)
    path = parts.path
    if path.endswith("/update"):
        path = path.removesuffix("update") + "query"
    return urlunsplit(parts._replace(path=path.removesuffix("/statements")))


def parted(address: str) -> tuple[str, dict[str, str]]:
    """Return an address without its user and password, and the header that carries them."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the store is not an http address")
    headers = {}
    if parts.username:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = f"Basic {b64encode(user).decode()}"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), headers


class Remote:
    """The server at an address for SPARQL queries."""

    def __init__(self, address: str, most: int) -> None:
        self._address, self._headers = parted(address)
        self._most = most

    def refresh(self) -> None:
        """Do nothing: the server answers of what it holds now."""

    def ask(self, parsed: Parsed, request: Mapping[str, Any]) -> Found:
        """Send a query, and return what it finds as it comes in."""
        fields = [("query", bound(parsed.text, request.get("values", {})))]
        graphs = [
            (f"{kind}-graph-uri", iri) for kind in ("default", "named") for iri in request.get(kind, ())
        ]  # named ones alone leave the default graph empty
        fields += graphs or [UNION]
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": ACCEPTED[parsed.kind],
            "Accept-Encoding": "identity",
        }
        sent = urllib.request.Request(self._address, urlencode(fields).encode(), {**headers, **self._headers})
        try:
            answer = OPENER.open(sent, timeout=SECONDS)
        except urllib.error.HTTPError as error:
            error.close()
            raise RemoteError(f"the server of the store answered with status {error.code}") from None
        except (OSError, http.client.HTTPException):
            raise RemoteError("the server of the store cannot be reached") from None
        media = answer.headers.get_content_type()
        body: Any = _Bounded(answer, self._most)
        if parsed.kind == "graph" and (triples := ox.RdfFormat.from_media_type(media)):
            return (quad.triple for quad in whole(ox.parse(body, format=triples)))
        if parsed.kind != "graph" and (rows := ox.QueryResultsFormat.from_media_type(media)):
            with _sound():
                found = ox.parse_query_results(body, format=rows)
            if isinstance(found, ox.QueryBoolean):
                return found
            return Rows(tuple(variable.value for variable in found.variables), whole(found))
        raise RemoteError("the server of the store answered in no format that is read here")


@contextmanager
def _sound() -> Iterator[None]:
    """Tell of an answer that breaks off, or is not of its format, as a fault of the server."""
    try:
        yield
    except (SyntaxError, ValueError, OSError, http.client.HTTPException):
        raise RemoteError("the answer of the server of the store is broken") from None


def whole(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items of an answer as they come in."""
    with _sound():
        yield from items


class _Bounded:
    """A body that may not go on for ever."""

    def __init__(self, body: http.client.HTTPResponse, most: int) -> None:
        self._body, self._left = body, most

    def read(self, size: int = -1) -> bytes:
        """Return the next part."""
        part = self._body.read(size if size >= 0 else self._left + 1)
        self._left -= len(part)
        if self._left < 0:
            raise LargeError
        return part


def bound(text: str, values: Mapping[str, str | Sequence[str]]) -> str:
    """Return a query with values for some of its variables; it is read again, so that what is sent was read."""
    if not values:
        return text
    names = " ".join(f"?{name}" for name in values)
    terms = " ".join(str(term(value)) for value in values.values())
    return parse(f"{text}\nVALUES ({names}) {{ ({terms}) }}\n").text


def term(value: Any) -> ox.NamedNode | ox.Literal:
    """Return the term that a value of a parameter stands for: an IRI, or a text and its datatype."""
    return ox.NamedNode(value) if isinstance(value, str) else ox.Literal(value[0], datatype=ox.NamedNode(value[1]))
