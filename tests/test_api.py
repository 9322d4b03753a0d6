"""The service answers as the command line does, and refuses without repeating what was sent."""

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pyoxigraph as ox
import pytest
from fastapi.testclient import TestClient

import kg
from api.app import create_app
from api.settings import Settings
from api.store import unpack
from kg.convert import convert
from tests.conftest import example, parsed


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(data=tmp_path_factory.mktemp("data")))) as client:
        yield client


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


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


def claim_of(name: str = "c01") -> bytes:
    """Return an example claim as it is sent."""
    return json.dumps(example(name)).encode()


def test_what_is_determined_is_stored_and_found_where_the_answer_says(client: TestClient) -> None:
    """The stored one is the answer, with its id, and each line a recommendation."""
    answer = client.post("/determinations", content=claim_of(), headers={"content-type": "application/json"})
    shown = client.get(answer.headers["location"]).json()
    assert answer.json().items() <= shown.items()
    assert {line["standing"] for line in shown["standing"]} == {"recommendation"} and shown["reviews"] == []


@pytest.mark.parametrize("media", ["text/turtle", "application/ld+json"])
def test_rdf_names_the_determination_as_the_store_does(client: TestClient, media: str) -> None:
    """What is answered as RDF is what the store's name dereferences to."""
    headers = {"content-type": "application/json", "accept": media}
    answer = client.post("/determinations", content=claim_of("c02"), headers=headers)
    id = answer.headers["location"].rpartition("/")[2]
    format = {"text/turtle": ox.RdfFormat.TURTLE, "application/ld+json": ox.RdfFormat.JSON_LD}[media]
    about = {str(quad.subject) for quad in ox.parse(answer.content, format=format)}
    assert f"<https://w3id.org/coverpath/determinations/{id}>" in about
    assert client.get(answer.headers["location"], headers={"accept": media}).content == answer.content


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("text/html;q=0.5,text/turtle", "text/turtle"),
        ("text/turtle;q=0.1,application/json;q=0.9", "application/json"),
        ("image/png,*/*;q=0.1", "application/json"),
        ("text/*", "text/html"),
    ],
)
def test_accept_is_weighed(client: TestClient, accept: str, media: str) -> None:
    """The best liked media type is answered."""
    status, headers, _ = call(client, "POST", "/determinations", claim_of(), accept=accept)
    assert (status, headers["content-type"].partition(";")[0]) == (200, media)


def test_an_answer_is_compressed_for_who_takes_it(client: TestClient) -> None:
    """The same bytes come, in a thirtieth of the size; nobody is sent what they have not asked for."""
    sizes = {}
    for coding in ("identity", "gzip, zstd", "zstd;q=0"):
        headers = {"content-type": "application/json", "accept-encoding": coding}
        with client.stream("POST", "/determinations", content=claim_of(), headers=headers) as answer:
            raw = b"".join(answer.iter_raw())
        assert ("content-encoding" in answer.headers) is (coding == "gzip, zstd")
        sizes[coding] = len(raw)
        whole = unpack(raw) if "content-encoding" in answer.headers else raw
        assert json.loads(whole)["claim"] == "c01"
    assert sizes["gzip, zstd"] * 10 < sizes["identity"] == sizes["zstd;q=0"]


def test_the_same_key_and_claim_get_the_same_answer(client: TestClient) -> None:
    """A retry stores nothing; the key with another claim, policy or posture is a conflict."""
    first = call(client, "POST", "/determinations", claim_of(), idempotency_key="retry-1")
    count = len(client.get("/determinations?limit=500").json())
    again = call(client, "POST", "/determinations", claim_of(), idempotency_key="retry-1")
    assert (first[1]["location"], first[2]) == (again[1]["location"], again[2])
    assert len(client.get("/determinations?limit=500").json()) == count
    for path, body in (("/determinations", claim_of("c02")), ("/determinations?posture=final", claim_of())):
        assert call(client, "POST", path, body, idempotency_key="retry-1")[0] == 409


def test_the_same_key_at_the_same_time_stores_once(client: TestClient) -> None:
    """Retries that overlap get one determination."""
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(call, client, "POST", "/determinations", claim_of(), idempotency_key="x") for _ in range(4)]
        answers = [future.result() for future in sent]
    assert len({answer[1]["location"] for answer in answers}) == 1 and len({answer[2] for answer in answers}) == 1


def test_pages_are_linked(client: TestClient) -> None:
    """Following `next` lists each determination once, the newest first."""
    for _ in range(3):
        call(client, "POST", "/determinations", claim_of("c02"))
    whole = [item["id"] for item in client.get("/determinations?limit=500").json()]
    found: list[str] = []
    path: str | None = "/determinations?limit=2"
    while path:
        answer = client.get(path)
        found += [item["id"] for item in answer.json()]
        path = answer.links.get("next", {}).get("url")
    assert found == whole and len(found) >= 3
    assert client.get(f"/determinations?after={'0' * 32}").status_code == 422


def test_what_has_not_changed_is_not_sent_again(client: TestClient) -> None:
    """A tag stands for the content: a review changes it."""
    place = call(client, "POST", "/determinations", claim_of())[1]["location"]
    policy = client.get("/policies").json()[0]["id"]
    looked_up = ("/terms", "/terms/coverage/Claim", "/codes", "/book", f"/book/{policy}", "/queries", "/sparql")
    files = ("/.well-known/void", "/static/coverpath.css")
    for path in (place, "/determinations", "/policies", f"/policies/{policy}", *looked_up, *files):
        tag = client.get(path).headers["etag"]
        answer = client.get(path, headers={"if-none-match": tag})
        assert (answer.status_code, answer.content) == (304, b"")
    tag = client.get(place).headers["etag"]
    review = {"line": 1, "reviewer": "one", "decision": "deny", "reason": "because"}
    assert client.post(f"{place}/reviews", json=review).status_code == 201
    assert client.get(place, headers={"if-none-match": tag}).status_code == 200


def test_only_a_person_makes_a_decision_stand(client: TestClient) -> None:
    """A denial is a recommendation until someone records a review; the last word counts, and all stay."""
    place = call(client, "POST", "/determinations", claim_of())[1]["location"]
    denied = next(line["line"] for line in client.get(place).json()["lines"] if line["decision"] == "deny")
    for decision in ("deny", "approve"):
        sent = {"line": denied, "reviewer": "one", "decision": decision, "reason": "because"}
        assert client.post(f"{place}/reviews", json=sent).json()["decision"] == decision
    shown = client.get(place).json()
    standing = {item["line"]: (item["standing"], item["decision"]) for item in shown["standing"]}
    assert standing.pop(denied) == ("decided by a person", "approve")
    assert {said for said, _ in standing.values()} == {"recommendation"}
    assert [review["decision"] for review in client.get(f"{place}/reviews").json()] == ["deny", "approve"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"line": 99},
        {"decision": "maybe"},
        {"reviewer": " "},
        {"reason": "x" * 10_001},
        {"CANARY-4711": 1},
        {"line": "CANARY-4711"},
    ],
)
def test_a_review_that_is_not_one_is_refused(client: TestClient, wrong: dict[str, object]) -> None:
    """Faults are located, and what was sent is not repeated, neither values nor names."""
    place = call(client, "POST", "/determinations", claim_of())[1]["location"]
    sent = {"line": 1, "reviewer": "one", "decision": "deny", "reason": "because", **wrong}
    answer = client.post(f"{place}/reviews", json=sent)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"] and "CANARY" not in answer.text


def test_a_batch_is_answered_line_by_line(client: TestClient) -> None:
    """A faulty claim spoils no other, and the order is that of the lines."""
    body = b"\n".join((claim_of("c01"), b"{", claim_of("c02"), b"", claim_of("c01")))
    answer = client.post("/determinations", content=body, headers={"content-type": "application/x-ndjson"})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [line.get("claim") for line in lines] == ["c01", None, "c02", "c01"] and lines[1]["faults"]
    stored = client.get(f"/determinations/{lines[2]['id']}").json()
    assert stored["lines"] == lines[2]["lines"]


def test_nothing_faulty_is_stored(client: TestClient) -> None:
    """A claim with faults leaves the journal as it was."""
    before = client.get("/ready").json()["entries"]
    assert call(client, "POST", "/determinations", b'{"id": "x"}')[0] == 422
    assert client.get("/ready").json()["entries"] == before


def test_figures_name_routes_and_outcomes_only(client: TestClient) -> None:
    """Prometheus reads the figures; a path that was sent is no label."""
    client.get("/determinations/CANARY-4711")
    client.get("/CANARY-4711")
    text = client.get("/metrics").text
    assert 'coverpath_requests_total{method="POST",route="/determinations",status="200"}' in text
    assert "CANARY" not in text


def test_every_answer_has_an_id_and_no_browser_guesses_it(client: TestClient) -> None:
    """Headers that protect stand on every answer, refusals too."""
    for path in ("/health", "/nothing", "/determinations"):
        headers = client.get(path).headers
        assert len(headers["x-request-id"]) == 32 and headers["x-content-type-options"] == "nosniff"


def test_the_description_needs_no_other_host(client: TestClient) -> None:
    """The page and all that it loads come from the service."""
    page = client.get("/docs").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded and all(path.startswith("/") and client.get(path).is_success for path in loaded)
