"""What stands before every route: who asks, how often, how much, how slowly; and what is written down of it.

The access log has one JSON object a request: ids and routes, never a path as it was sent, a query or a body.
"""

import asyncio
import json
import logging
import time
import traceback
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import Key, Rate, is_local, needed
from api.problems import problem
from api.settings import Settings
from api.store import new_id

MAX_BODY = 4_000_000  # of any request but a batch; a claim has its own, smaller limit
BATCH = "application/x-ndjson"
SAFE = ("GET", "HEAD", "OPTIONS")
METHODS = frozenset({*SAFE, "POST", "PUT", "PATCH", "DELETE"})
HEADERS = {
    "cache-control": "private, no-cache",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
log = logging.getLogger("coverpath")


class Guard:
    """Lets a request through to the application, or answers it."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.rate = Rate(settings.rate, 2 * settings.rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard one request; what is no request passes."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, request, status = time.perf_counter(), new_id(), 500
        started, method = False, scope["method"]
        if method == "HEAD":  # what GET answers, without its body
            scope = {**scope, "method": "GET"}

        async def sent(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            elif method == "HEAD" and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        headers = Headers(scope=scope)
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        try:
            refused = self._refused(scope, headers, state)
            if refused is None:
                body = _Body(receive, headers, self.settings)
                await self.app(scope, body.receive, sent)
            else:
                await refused(scope, receive, sent)
        except Exception as error:  # told by kind and place, since its words may repeat what was sent
            place = traceback.extract_tb(error.__traceback__)[-1]
            _write("error", request=request, kind=type(error).__name__, place=f"{place.name}:{place.lineno}")
            if not started:
                await problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of the service; nothing was determined")(
                    scope, receive, sent
                )
        finally:
            self._note(scope, method, state, request, status, time.perf_counter() - began)

    def _refused(self, scope: Scope, headers: Headers, state: MutableMapping[str, Any]) -> Response | None:
        """Return what to answer in place of the application, if anything."""
        host = _hostname(headers.get("host", ""))
        if "*" not in self.settings.hosts and host not in {name.strip("[]") for name in self.settings.hosts}:
            return problem(HTTPStatus.MISDIRECTED_REQUEST, "the service does not answer under this host name")
        keys, key = scope["app"].state.keys, None
        caller = str((scope.get("client") or ("",))[0])
        role = None if self._asks_first(scope["method"], headers) else needed(scope["method"], scope["path"])
        if keys.required():
            key = keys.holder(headers.get("authorization", ""))
            state["key"] = key
            caller = key.id if key else caller
        if wait := self.rate.wait(caller):
            retry = {"Retry-After": str(int(wait) + 1)}
            return problem(HTTPStatus.TOO_MANY_REQUESTS, "too many requests; send fewer", headers=retry)
        if role is not None and not keys.required():
            if not is_local(caller):
                return problem(HTTPStatus.FORBIDDEN, "without keys the service answers this machine alone")
        elif role is not None:
            if key is None:
                ask = {"WWW-Authenticate": 'Basic realm="Coverpath", charset="UTF-8"'}
                return problem(HTTPStatus.UNAUTHORIZED, "send an API key", headers=ask)
            if key.role < role:
                return problem(HTTPStatus.FORBIDDEN, f"this needs a key of the role {role.name}")
        if scope["method"] not in SAFE and self._foreign(headers):
            return problem(HTTPStatus.FORBIDDEN, "a page of another site sent this")
        return None

    def _asks_first(self, method: str, headers: Headers) -> bool:
        """Say whether a browser asks if a page of a listed site may send something; it sends no key with that."""
        is_question = method == "OPTIONS" and "access-control-request-method" in headers
        return is_question and headers.get("origin") in self.settings.origins

    def _foreign(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        return origin.partition("://")[2] != headers.get("host", "") and origin not in self.settings.origins

    def _note(
        self,
        scope: Scope,
        method: str,
        state: MutableMapping[str, Any],
        request: str,
        status: int,
        seconds: float,
    ) -> None:
        route = getattr(scope.get("route"), "path", "")  # the template, not what was sent
        method = method if method in METHODS else "other"
        metrics, key = scope["app"].state.metrics, state.get("key")
        metrics.requests.labels(method, route, status).inc()
        metrics.seconds.labels(route).observe(seconds)
        _write(
            "request",
            request=request,
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            **({"key": key.id} if isinstance(key, Key) else {}),
            **({"determination": state["determination"]} if "determination" in state else {}),
        )


class _Body:
    """The body of a request: cut where it is too long, or too slow."""

    def __init__(self, receive: Receive, headers: Headers, settings: Settings) -> None:
        self._receive = receive
        batch = headers.get("content-type", "").partition(";")[0].strip().lower() == BATCH
        self._left = settings.batch_bytes if batch else MAX_BODY
        self._seconds = settings.body_seconds
        self._batch = batch
        self._until: float | None = None
        self._whole = False

    async def receive(self) -> Message:
        """Return the next part."""
        if self._whole:
            return await self._receive()  # the client goes, some day
        now = asyncio.get_running_loop().time()
        if self._until is None or self._batch:  # a batch may take as long as it goes on coming
            self._until = now + self._seconds
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            close = {"Connection": "close"}
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, "the body came too slowly", headers=close) from None
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            close = {"Connection": "close"}
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large", headers=close)
        self._whole = not message.get("more_body", False)
        return message


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _write(event: str, **fields: Any) -> None:
    log.info(json.dumps({"event": event, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **fields}))
