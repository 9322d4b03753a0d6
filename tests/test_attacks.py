"""Attacks on the running service: nothing is fetched, read or leaked, nothing dies, and normal claims go on.

The numbers are those of the table of attacks in the threat study; attacks on SPARQL are tested with the endpoint.
"""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from kg.document import CLAIM_TERMS
from tests.conftest import example
from tests.service import Service
from tests.test_api import claim_of

JSON, JSONLD, TURTLE = "application/json", "application/ld+json", "text/turtle"
PATIENT = "CANARY-PATIENT-4711"
SECRET = "CANARY-FILE-0815"
CODE = "https://w3id.org/coverpath/claims/attack"


class Canary(BaseHTTPRequestHandler):
    """Answers everything with a JSON-LD context, and remembers that it was asked."""

    asked: list[str] = []  # noqa: RUF012  # one server of one test module

    def do_GET(self) -> None:
        """Remember."""
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "application/ld+json")
        self.end_headers()
        self.wfile.write(b'{"@context": {}}')

    do_POST = do_GET

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def canary() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Canary)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("attacked") / "data", body_seconds="2") as service:
        yield service


def attacks(canary: str, file: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield name, media type and body of each attack; what they would fetch or read are canaries."""
    claim = example("c01")
    for number, context in (
        ("1", canary),
        ("1 import", {"@import": canary}),
        ("1 scoped", {"a": {"@id": "urn:a", "@context": canary}}),
        ("2", file.as_uri()),
        ("2 relative", "claim-context.jsonld"),
    ):
        yield f"{number} context", JSONLD, json.dumps({**claim, "@context": context}).encode()
        yield f"{number} context in a list", JSONLD, json.dumps({**claim, "@context": [context]}).encode()
    yield "3 a path for a claim", JSON, json.dumps(file.as_uri()).encode()
    yield "3 a path for Turtle", TURTLE, f"<{file.as_uri()}>".encode()
    imports = f"<{CODE}> <http://www.w3.org/2002/07/owl#imports> <{canary}> ."
    yield "4 owl:imports", TURTLE, imports.encode()
    doctype = f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "{file.as_uri()}">]><r>&x;</r>'
    for media in ("application/rdf+xml", "application/xml", "application/trix", "text/n3", TURTLE, JSON, JSONLD):
        yield f"11 XXE as {media}", media, doctype.encode()
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    yield "12 laughs", "application/rdf+xml", f'<!DOCTYPE r [<!ENTITY l0 "ha">{laughs}]><r>&l9;</r>'.encode()
    yield "13 one huge literal", TURTLE, b'<urn:a> <urn:b> "' + b"&lt;" * 200_000 + b'" .'
    for depth in (100, 1_000, 3_500, 100_000):
        yield (
            f"14 nested Turtle {depth}",
            TURTLE,
            b"<urn:a> <urn:b> " + b"[ <urn:b> " * depth + b"1" + b"]" * depth + b" .",
        )
        yield f"14 nested lists {depth}", TURTLE, b"<urn:a> <urn:b> " + b"( " * depth + b")" * depth + b" ."
        for media in (JSON, JSONLD):
            yield f"15 nested objects {depth} {media}", media, b'{"a":' * depth + b"1" + b"}" * depth
            yield f"15 nested lists {depth} {media}", media, b"[" * depth + b"]" * depth
    for type_ in ("decimal", "double", "integer"):
        number = "1E+999999999" if type_ != "integer" else "9" * 200_000
        text = f'<{CODE}> <{CLAIM_TERMS}serviceDate> "{number}"^^<http://www.w3.org/2001/XMLSchema#{type_}> .'
        yield f"17 {type_} that expands", TURTLE, text.encode()
    for type_ in ("HTML", "XMLLiteral"):
        literal = "<b>" * 10_000
        text = f'<{CODE}> <{CLAIM_TERMS}id> "{literal}"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#{type_}> .'
        yield f"18 {type_}", TURTLE, text.encode()
    yield (
        "20 a number of many digits",
        JSON,
        claim_with(patient={"age": 0}).replace(b'"age": 0', b'"age": ' + b"9" * 300_000),
    )
    yield "24 a text for a regex", JSON, claim_with(diagnoses=["a" * 60_000 + "!"] * 3)
    for predicate in ("owl#sameAs", "owl#equivalentClass"):
        text = "".join(f"<urn:a{n}> <http://www.w3.org/2002/07/{predicate}> <urn:a{n + 1}> .\n" for n in range(500))
        yield f"26 {predicate}", TURTLE, text.encode()
    condition = "https://w3id.org/coverpath/condition#"
    for line in (
        f"<{condition}Radiculopathy> <http://www.w3.org/2004/02/skos/core#broader> <{condition}SpinalTumor> .",
        f"<{condition}Radiculopathy> <http://www.w3.org/2000/01/rdf-schema#subClassOf> <{condition}SpinalTumor> .",
        "<https://w3id.org/coverpath/anatomy#C4> <https://w3id.org/coverpath/anatomy#directlyCaudalTo> <urn:l1> .",
        f"<{CODE}> <http://www.w3.org/ns/shacl#deactivated> true .",
    ):
        yield f"27 {line[:60]}", TURTLE, line.encode()
    yield "32 what is malformed", TURTLE, f'<urn:a> <urn:{PATIENT}> "{PATIENT}'.encode()
    yield "32 an ill-typed value", TURTLE, f'<{CODE}> <{CLAIM_TERMS}serviceDate> "{PATIENT}"^^<urn:d> .'.encode()
    for body in (b"@prefix", b"<", b"\xff\xfe", b"@base <", b'"', b"\x00", b"[" * 3, b"<urn:a> a ,"):
        yield f"33 {body!r}", TURTLE, body
        yield f"33 {body!r} as JSON", JSON, body
    for text in ("NaN", "Infinity", "-Infinity", "1e999", '"\\ud800"', "9" * 5_000, '"\\u0661"'):
        yield f"HTTP: {text[:12]}", JSON, aged(text)
    yield "HTTP: a key twice", JSON, b'{"id": "a", "id": "b"}'
    yield "HTTP: an unknown field", JSON, claim_with(approved=True)


def claim_with(**fields: object) -> bytes:
    """Return a claim with some fields put in place of its own."""
    return json.dumps({**example("c01"), **fields}).encode()


def aged(age: str) -> bytes:
    """Return a claim of a patient whose age is any text."""
    return claim_with(patient={"age": 0}).replace(b'"age": 0', f'"age": {age}'.encode())


def test_no_attack_gets_anything(service: Service, canary: str, tmp_path: Path) -> None:
    """Each is refused in time as a problem; meanwhile a normal claim is determined; nothing is stored of any."""
    file = tmp_path / "secret.jsonld"
    file.write_text(json.dumps({"@context": {"secret": SECRET}}))
    before = service.client.get("/ready").json()["entries"]
    tried = 0
    for name, media, body in attacks(canary, file):
        began = time.monotonic()
        answer = service.client.post("/determinations", content=body, headers={"content-type": media})
        took = time.monotonic() - began
        assert 400 <= answer.status_code < 500 or answer.status_code == 503, (name, answer.status_code)
        assert answer.headers["content-type"] == "application/problem+json", name
        assert took < 6, (name, took)
        assert SECRET not in answer.text and PATIENT not in answer.text, name
        tried += 1
    assert tried > 60
    assert Canary.asked == []
    normal = service.client.post("/determinations", content=claim_of(), headers={"content-type": JSON})
    assert normal.status_code == 200
    assert service.client.get("/ready").json()["entries"] == before + 1


PLACES: dict[str, dict[str, object]] = {
    "id": {"id": [PATIENT]},
    "payer": {"payer": PATIENT},
    "policy": {"policy": PATIENT},
    "date": {"serviceDate": PATIENT},
    "place of service": {"placeOfService": PATIENT},
    "sex": {"patient": {"age": 54, "sex": PATIENT}},
    "age": {"patient": {"age": PATIENT}},
    "name": {"patient": {"name": PATIENT}},
    "unknown field": {PATIENT: 1},
    "diagnosis": {"diagnoses": [PATIENT]},
    "procedure": {"operation": {"procedures": [{"code": PATIENT}]}},
    "level": {"operation": {"procedures": [{"code": "22551", "levels": [PATIENT]}]}},
    "conus": {"operation": {"conusLevel": PATIENT, "procedures": []}},
    "line": {"lines": [{"code": PATIENT}]},
    "technique": {"lines": [{"code": "95938", "technique": PATIENT}]},
    "role": {"lines": [{"code": "95938", "performer": {"id": PATIENT, "role": PATIENT}}]},
    "interval": {"lines": [{"code": "95938", "intervals": [{"start": PATIENT, "end": PATIENT}]}]},
    "fact": {"facts": [{"fact": PATIENT, "status": "present"}]},
    "status": {"facts": [{"fact": "Myelopathy", "status": PATIENT}]},
    "region": {"facts": [{"fact": "Myelopathy", "status": "present", "region": PATIENT}]},
}


@pytest.mark.parametrize("place", PLACES)
def test_what_is_faulty_is_not_repeated(service: Service, place: str) -> None:
    """A fault says where it is; the value that is there stays with the sender."""
    for sent, type_ in (
        (claim_with(**PLACES[place]), JSON),
        (claim_with(**PLACES[place]) + b"\n", "application/x-ndjson"),
    ):
        answer = service.client.post("/determinations", content=sent, headers={"content-type": type_})
        assert answer.status_code in (200, 422)
        assert "faults" in answer.text or "errors" in answer.text
        assert PATIENT not in answer.text, answer.text


def test_no_stream_address_or_figure_repeats_a_claim(service: Service) -> None:
    """Of claims that are stored and of paths that are asked for, logs and figures hold ids and routes alone."""
    sent = claim_with(id=PATIENT, facts=[{"fact": "Myelopathy", "status": "present", "source": PATIENT}])
    headers = {"content-type": JSON, "idempotency-key": PATIENT, "x-request-id": PATIENT, "user-agent": PATIENT}
    answer = service.client.post("/determinations", content=sent, headers=headers)
    assert answer.status_code == 200 and PATIENT not in str(answer.headers)
    for path in (f"/{PATIENT}", f"/determinations/{PATIENT}", f"/policies?name={PATIENT}", f"/policies/{PATIENT}"):
        assert PATIENT not in service.client.get(path).text or path.startswith("/policies?")
    service.client.request(PATIENT, "/policies")
    service.indexed()
    assert PATIENT not in service.client.get("/metrics").text
    assert PATIENT not in service.told() and '"determination": "' in service.told()


def test_a_hostile_head_harms_nothing(service: Service) -> None:
    """What is not HTTP, or too much of it, ends its own connection."""
    for text in (
        b"\x16\x03\x01" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 200_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 50_000,
    ):
        with socket.create_connection(("127.0.0.1", service.port), 10) as connection:
            try:
                connection.sendall(text)
                connection.settimeout(5)
                connection.recv(1_000)
            except OSError:
                pass
    assert service.client.get("/health").status_code == 200


def test_slow_bodies_are_cut_while_others_are_served(service: Service) -> None:
    """Twenty clients that send a byte a second are hung up on; a normal claim does not wait for them."""
    heads = ("POST /determinations HTTP/1.1", "Host: localhost", f"Content-Type: {JSON}", "Content-Length: 100000")
    head = "\r\n".join((*heads, "", "{")).encode()

    def slow() -> bytes:
        with socket.create_connection(("127.0.0.1", service.port), 10) as connection:
            connection.sendall(head)
            connection.settimeout(10)
            return connection.recv(1_000)

    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(slow) for _ in range(20)]
        began = time.monotonic()
        assert service.client.post("/determinations", content=claim_of(), headers={"content-type": JSON}).is_success
        assert time.monotonic() - began < 5
        assert all(b" 408 " in future.result(20) for future in waiting)


def test_a_process_that_dies_is_replaced(service: Service) -> None:
    """Whatever takes a process down takes one claim with it."""
    for child in Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split():
        if b"api.engine" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(int(child), signal.SIGKILL)
    answers = [
        service.client.post("/determinations", content=claim_of(), headers={"content-type": JSON}).status_code
        for _ in range(4)
    ]
    assert answers.count(503) <= 2 and answers[-1] == 200
