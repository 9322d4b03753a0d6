"""How a service runs: where it keeps its data, who may reach it, and what bounds a request."""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from api.remote import query_address

PREFIX = "COVERPATH_"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a service; each is read from the environment, as `COVERPATH_DATA` and so on.

    `store` is the address of a SPARQL 1.1 Update endpoint that holds the RDF index instead of the data directory, and
    `store_query` that of its queries, where it does not follow from the other.
    """

    data: Path = Path("coverpath-data")
    store: str = ""
    store_query: str = ""
    workers: int = 2  # processes that determine
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]", "testserver")  # that `Host` may name; `*` is any
    origins: tuple[str, ...] = ()  # pages of other hosts that may read answers (CORS)
    rate: float = 1000.0  # requests a second from one key, or from one address where there are no keys
    deadline: float = 5.0  # seconds that one determination may take
    body_seconds: float = 10.0  # within which a body must have arrived
    batch_bytes: int = 100_000_000  # of a batch; a claim has its own limit

    @property
    def queries(self) -> str:
        """Return the address that is asked; none where the index is in the data directory."""
        return self.store_query or query_address(self.store)

    @classmethod
    def from_environment(cls, **given: Any) -> Self:
        """Read the settings; what is given goes before the environment."""
        found: dict[str, Any] = {}
        for field in fields(cls):
            text = os.environ.get(PREFIX + field.name.upper())
            if text is not None:
                found[field.name] = _read(text, type(field.default))
        return cls(**{**found, **{name: value for name, value in given.items() if value is not None}})


def _read(text: str, kind: type) -> Any:
    if kind is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return kind(text)
