"""How answers are written: in the media type that is liked best, and not again where nothing changed."""

import hashlib
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Request, Response
from starlette.exceptions import HTTPException

JSON, JSONLD, TURTLE, HTML = "application/json", "application/ld+json", "text/turtle", "text/html"
ANSWERS = (JSON, JSONLD, TURTLE, HTML)


async def whole(request: Request, most: int) -> bytes:
    """Return the body; one that is too large is refused before it is all read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send at most {most:,} bytes")
    return bytes(body)


def tagged(request: Request, content: bytes, media: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a tag of the content; or that it has not changed, to who has it."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**(headers or {}), "ETag": tag}
    known = [item.strip().removeprefix("W/") for item in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, media_type=media, headers=headers)


def takes(request: Request, coding: str) -> bool:
    """Say whether an answer may be compressed in a way; only who names it has it."""
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == coding:
            return _number(weight.strip().removeprefix("q=") or "1") > 0
    return False


def chosen(accept: str) -> str:
    """Return the media type that an Accept header likes best among those that the service writes."""
    liked: list[tuple[float, str]] = []
    for part in accept.split(","):
        media, *options = (piece.strip().lower() for piece in part.split(";"))
        quality = next((option[2:] for option in options if option.startswith("q=")), "1")
        liked.append((_number(quality), media))
    for weight, media in sorted(liked, key=lambda item: -item[0]):
        if weight <= 0:
            continue
        if media in ANSWERS:
            return media
        if media in ("*/*", "application/*", ""):
            return ANSWERS[0]
        if media == "text/*":
            return HTML
    raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"accept one of {', '.join(ANSWERS)}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
