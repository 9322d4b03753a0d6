"""Running the service, and what is done to its data directory from the command line."""

import logging
import sys
from asyncio import TimerHandle
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

import kg
from api.access import Keys, is_local
from api.app import create_app
from api.index import Index
from api.remote import parted
from api.settings import Settings
from api.store import Head, Store
from kg.knowledge import find_root

HEAD_SECONDS = 10.0  # within which the head of a request must have come
LINGER = 10  # seconds for requests that run when the service is told to stop


class Protocol(HttpToolsProtocol):
    """HTTP that hangs up on who opens a connection and does not ask."""

    _timer: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for a request, but not for long."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_SECONDS, transport.abort)

    def on_message_begin(self) -> None:
        """Wait for the whole head, as for the first one."""
        super().on_message_begin()
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def on_headers_complete(self) -> None:
        """Be patient from here on: the body has a time of its own."""
        self._rest()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the time."""
        self._rest()
        super().connection_lost(exc)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def run(settings: Settings, host: str, port: int, examples: bool, say: Callable[[str], None]) -> None:
    """Serve until told to stop.

    Raises CoverpathError where strangers could reach a service without keys.
    """
    if settings.queries:
        _refuse_address(settings)
    with closing(Store(settings.data)) as store:
        required = Keys(store).required()
        if not required and not is_local(host):
            raise kg.CoverpathError(
                "without keys the service listens on this machine alone\nhelp: `coverpath keys add NAME --role admin`"
            )
        if examples and not store.page(limit=1):
            _put_examples(store)
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    logging.getLogger("coverpath").setLevel(logging.INFO)
    say(f"http://{host}:{port}/ serves {settings.data.absolute()}; /docs describes it")
    if not required:
        say("no keys: it listens on this machine alone, and everyone here may do everything")
    uvicorn.run(
        create_app(settings),
        host=host,
        port=port,
        http=Protocol,
        access_log=False,  # ours has ids only
        log_level="warning",
        server_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=LINGER,
    )


def _refuse_address(settings: Settings) -> None:
    try:
        for address in filter(None, (settings.store, settings.queries)):
            parted(address)
    except ValueError as error:
        raise kg.CoverpathError(f"{error}\nhelp: give one that begins with http:// or https://") from None


def check(data: Path, head: str | None) -> Iterator[str]:
    """Yield what is not as it was written, in the journal and then in the index.

    The index is passed over while a service owns it.
    """
    kept = None
    if head is not None:
        seq, _, digest = head.partition(" ")
        kept = Head(int(seq), bytes.fromhex(digest))
    with closing(Store(data, checked=False)) as store:
        found = list(store.check(kept))
        yield from found
        if not found and (data / "index").exists():
            with closing(Index(store, kg.load_knowledge(), mend=False)) as index:
                yield from index.faults()


def rebuild(data: Path, address: str) -> int:
    """Make the index again from the journal, and return how many entries it holds."""
    with closing(Store(data)) as store, closing(Index(store, kg.load_knowledge(), address)) as index:
        index.rebuild()
        count = 0
        while step := index.step():
            count += step
        return count


def _put_examples(store: Store) -> None:
    knowledge = kg.load_knowledge()
    for path in sorted((find_root() / "examples").glob("c*.json")):
        claim = kg.read_claim(path, knowledge)
        store.save(claim, kg.determine(claim, knowledge))
