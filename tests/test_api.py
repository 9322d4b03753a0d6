"""The service answers as the command line does, and refuses without repeating what was sent."""

import json
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

import kg
from api.app import create_app
from api.settings import Settings
from kg.convert import convert
from tests.conftest import example, parsed


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(data=tmp_path_factory.mktemp("data")))) as client:
        yield client


def call(
    client: TestClient, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Send one request; the names of headers are written with underscores."""
    sent = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.request(method, path, content=body, headers=sent)
    return answer.status_code, dict(answer.headers), answer.content


def test_a_claim_gets_the_determination_that_the_engine_gives(client: TestClient, knowledge: kg.Knowledge) -> None:
    """JSON, JSON-LD and Turtle of one claim get the same answer."""
    claim = parsed(example("c01"))
    expected = kg.determine(claim, knowledge).to_dict()
    for media, format in (("application/json", "json"), ("application/ld+json", "jsonld"), ("text/turtle", "turtle")):
        body = convert(claim, knowledge, format).encode()
        status, _, answer = call(client, "POST", "/determinations", body, content_type=media)
        assert (status, json.loads(answer)) == (200, expected)


@pytest.mark.parametrize(("accept", "media"), [("text/turtle", "text/turtle"), ("text/html,*/*", "text/html")])
def test_the_answer_is_what_accept_asks_for(client: TestClient, accept: str, media: str) -> None:
    """Turtle for machines, HTML for people."""
    status, headers, _ = call(client, "POST", "/determinations", json.dumps(example("c02")).encode(), accept=accept)
    assert status == 200
    assert headers["content-type"].startswith(media)


def test_faults_are_problems_that_do_not_repeat_the_input(client: TestClient) -> None:
    """A faulty claim is 422 with located faults; the patient's data stays out of the answer."""
    document = {**example("c01"), "serviceDate": "yesterday", "patient": {"age": 54, "sex": "CANARY-4711"}}
    status, headers, answer = call(client, "POST", "/determinations", json.dumps(document).encode())
    assert (status, headers["content-type"]) == (422, "application/problem+json")
    assert {error["place"] for error in json.loads(answer)["errors"]} == {"/serviceDate", "/patient/sex"}
    assert b"CANARY" not in answer and b"yesterday" not in answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (("POST", "/determinations", b"<rdf/>", {"content_type": "application/rdf+xml"}), 415),
        (("POST", "/determinations", b"{}", {"accept": "image/png"}), 406),
        (("POST", "/determinations", b" " * 1_000_001, {}), 413),
        (("POST", "/determinations?posture=kind", b"{}", {}), 422),
        (("POST", "/determinations", b"{", {}), 422),
        (("GET", "/policies/none", b"", {}), 404),
        (("GET", "/nothing", b"", {}), 404),
    ],
)
def test_what_is_refused_is_a_problem(
    client: TestClient, request_: tuple[str, str, bytes, dict[str, str]], status: int
) -> None:
    """Every refusal is problem+json with the status that fits."""
    method, path, body, headers = request_
    answered, answer, content = call(client, method, path, body, **headers)
    assert (answered, answer["content-type"]) == (status, "application/problem+json")
    assert json.loads(content)["title"]


def test_policies_show_their_clauses(client: TestClient, knowledge: kg.Knowledge) -> None:
    """Each policy is listed, and shows its clauses in the order of the source."""
    listed = json.loads(call(client, "GET", "/policies")[2])
    assert [document["id"] for document in listed] == list(knowledge.policies)
    for document in listed:
        shown = json.loads(call(client, "GET", f"/policies/{document['id']}")[2])
        assert all(clause["criterion"] and clause["clause"] for e in shown["editions"] for clause in e["clauses"])


def test_the_service_says_that_it_is_ready(client: TestClient, knowledge: kg.Knowledge) -> None:
    """Readiness names the knowledge that every answer rests on."""
    assert json.loads(call(client, "GET", "/health")[2]) == {"status": "ok"}
    assert json.loads(call(client, "GET", "/ready")[2])["knowledge"] == knowledge.hash
