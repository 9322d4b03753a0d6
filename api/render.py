"""Pages: templates filled in, with headers by which a browser fetches and runs only what the service itself sends."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import PackageLoader

from api.answers import HTML, tagged
from kg.html import environment
from kg.terms import PREFIXES, local_name

OURS = "https://w3id.org/coverpath/"
CODES = {"icd10cm": PREFIXES["icd10cm"], "cpt": PREFIXES["cpt"], "hcpcs": PREFIXES["hcpcs"]}
LOADS = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": LOADS,
    "Referrer-Policy": "same-origin",  # with `no-referrer` a browser would not say that a form is ours
    "X-Content-Type-Options": "nosniff",
}
PRIVATE = {"Cache-Control": "no-store"}  # of what shows a claim, no browser keeps a copy
_templates = environment(PackageLoader("api"))


def render(request: Request, template: str, status: int = 200, private: bool = True, **values: Any) -> Response:
    """Fill in a template; every value is escaped. What says nothing of a claim has a tag, and is not sent again."""
    text = _templates.get_template(template).render(page_path=request.url.path, address=address, **values)
    if private or status != HTTPStatus.OK:
        return HTMLResponse(text, status, headers=HEADERS | (PRIVATE if private else {}))
    return tagged(request, text.encode(), HTML, HEADERS)


def address(iri: str) -> str:
    """Return where the service shows a term of ours or a code; the IRI itself where it does not."""
    for system, namespace in CODES.items():
        if iri.startswith(namespace):
            return f"/codes/{system}/{quote(local_name(iri))}"
    return f"/terms/{quote(iri.removeprefix(OURS).replace('#', '/'))}" if iri.startswith(OURS) else iri
