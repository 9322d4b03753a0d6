"""Who may do what: keys and their roles, kept in the journal; without any key only this machine is answered.

A key is shown once, when it is made; the journal holds its hash.
"""

import hashlib
import secrets
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

import orjson

from api.store import KEY, REVOCATION, Draft, Store, compact, pack, unpack

REFRESH = 1.0  # seconds after which a key that was revoked is refused
OPEN = frozenset({"/health", "/ready"})


class Role(IntEnum):
    """What a key may do; each role may do what those before it may."""

    reader = 1  # look and ask
    submitter = 2  # have claims determined
    admin = 3  # record what a person decided


# What a path asks for where it is not the rule: reading is for readers, anything else for admins.
NEEDS: Mapping[tuple[str, str], Role] = {
    ("POST", "determinations"): Role.submitter,
    ("POST", "sparql"): Role.reader,
    ("POST", "queries"): Role.reader,
    ("POST", ""): Role.reader,  # the page tries a claim, and stores nothing
    ("POST", "compare"): Role.reader,
    ("POST", "save"): Role.submitter,
}


class Key(NamedTuple):
    """A key as the journal knows it."""

    id: str
    name: str
    role: Role
    made: str
    revoked: bool


class Keys:
    """The keys of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read_at = float("-inf")
        self._keys: dict[str, Key] = {}

    def add(self, name: str, role: Role) -> str:
        """Make a key and return it; it is not kept and cannot be shown again."""
        secret = secrets.token_urlsafe(32)
        value = {"name": name, "role": role.name, "hash": _hashed(secret)}
        self._store.submit(Draft(KEY, pack(compact(value)))).result()
        return secret

    def revoke(self, id: str) -> None:
        """Let a key open nothing any more.

        Raises LookupError where there is no such key.
        """
        if not any(key.id == id and not key.revoked for key in self.listed()):
            raise LookupError("no key has this identifier; `coverpath keys list` lists them")
        self._store.submit(Draft(REVOCATION, b"", id=id)).result()

    def listed(self) -> list[Key]:
        """Return all keys, those revoked too."""
        self._read_at = float("-inf")
        return list(self._all().values())

    def required(self) -> bool:
        """Say whether there are keys; when all are revoked, nobody is let in."""
        return bool(self._all())

    def holder(self, authorization: str) -> Key | None:
        """Return the key that a request bears: as a bearer token, or as the password that a browser asks for."""
        scheme, _, rest = authorization.partition(" ")
        secret = rest.strip()
        if scheme.lower() == "basic":
            try:
                secret = b64decode(secret, validate=True).decode().partition(":")[2]
            except ValueError:
                return None
        elif scheme.lower() != "bearer":
            return None
        key = self._all().get(_hashed(secret))
        return None if key is None or key.revoked else key

    def _all(self) -> Mapping[str, Key]:
        now = time.monotonic()
        if now - self._read_at > REFRESH:
            self._keys, self._read_at = self._read(), now
        return self._keys

    def _read(self) -> dict[str, Key]:
        entries = self._store.of_kind(KEY, REVOCATION)
        revoked = {entry.id for entry in entries if entry.kind == REVOCATION}
        found = {}
        for entry in entries:
            if entry.kind == KEY:
                value = orjson.loads(unpack(entry.body))
                key = Key(entry.id, value["name"], Role[value["role"]], entry.made, entry.id in revoked)
                found[value["hash"]] = key
        return found


@dataclass(slots=True)
class Rate:
    """A bucket for each caller: it fills at a steady rate, and each request takes one token from it."""

    rate: float
    burst: float
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def wait(self, caller: str) -> float:
        """Take a token, and return 0; or the seconds after which there is one."""
        now = time.monotonic()
        if len(self._buckets) > 10_000:
            full = self.burst / self.rate
            self._buckets = {name: item for name, item in self._buckets.items() if now - item[1] < full}
        tokens, then = self._buckets.get(caller, (self.burst, now))
        tokens = min(self.burst, tokens + (now - then) * self.rate)
        if tokens < 1:
            self._buckets[caller] = tokens, now
            return (1 - tokens) / self.rate
        self._buckets[caller] = tokens - 1, now
        return 0.0


def needed(method: str, path: str) -> Role | None:
    """Return the role that a request needs; None where everyone may ask."""
    if path in OPEN:
        return None
    parts = path.strip("/").split("/")
    if method in ("GET", "HEAD", "OPTIONS"):
        return Role.reader
    if len(parts) > 1 and parts[0] == "determinations":
        return Role.admin  # a review
    return NEEDS.get((method, parts[0]), Role.admin)


@lru_cache(maxsize=1024)
def is_local(host: str) -> bool:
    """Say whether an address is of this machine alone."""
    if host in ("localhost", "testclient"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _hashed(secret: str) -> str:
    """Hash a key; it is random and long, so that no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()
