"""Who is let in: by default nobody; what a key opens, its role says; what is too much is refused."""

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.access import Keys, Rate, Role, is_local
from api.app import create_app
from api.guard import MAX_BODY
from api.settings import Settings
from api.store import DATABASE, Store
from tests.test_api import claim_of
from tests.test_cli import coverpath

REVIEW = {"line": 1, "reviewer": "one", "decision": "deny", "reason": "because"}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A key of each role, and where they are kept."""
    data = tmp_path_factory.mktemp("data")
    with closing(Store(data)) as store:
        return {"data": str(data)} | {role.name: Keys(store).add(f"a {role.name}", role) for role in Role}


@pytest.fixture(scope="module")
def client(secrets: dict[str, str]) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(data=Path(secrets["data"]), workers=1))) as client:
        yield client


def bearing(secret: str, **headers: str) -> dict[str, str]:
    """Return the headers of a request with a key."""
    return {"authorization": f"Bearer {secret}", "content-type": "application/json", **headers}


def test_no_route_answers_without_a_key_but_those_of_operations(client: TestClient) -> None:
    """Every route of the application, and one that does not exist, asks for a key."""
    paths = {*client.app.openapi()["paths"], "/docs", "/openapi.json", "/nothing"}  # type: ignore[attr-defined]
    assert len(paths) > 8
    for path in paths - {"/health", "/ready"}:
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = client.request(method, path.replace("{id}", "0" * 32))
            assert answer.status_code == 401, (method, path)
            assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/health").status_code == client.get("/ready").status_code == 200


def test_a_role_opens_what_it_says_and_nothing_more(client: TestClient, secrets: dict[str, str]) -> None:
    """Readers read, submitters also submit, admins also record decisions."""
    opened = {}
    for role in Role:
        headers = bearing(secrets[role.name])
        sent = client.post("/determinations", content=claim_of(), headers=headers)
        first = client.get("/determinations", headers=headers)
        id = first.json()[0]["id"] if first.json() else "0" * 32
        review = client.post(f"/determinations/{id}/reviews", json=REVIEW, headers=headers)
        unknown = client.delete(f"/determinations/{id}", headers=headers)
        opened[role.name] = (first.status_code, sent.status_code, review.status_code, unknown.status_code)
    assert opened == {
        "reader": (200, 403, 403, 403),
        "submitter": (200, 200, 403, 403),
        "admin": (200, 200, 201, 405),
    }


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer wrong", "Basic", "Basic !!!", f"Basic {b64encode(b'x:wrong').decode()}", "Digest x"],
)
def test_what_is_no_key_opens_nothing(client: TestClient, authorization: str) -> None:
    """Malformed credentials are 401, never a fault."""
    assert client.get("/determinations", headers={"authorization": authorization}).status_code == 401


def test_a_browser_sends_the_key_as_password(client: TestClient, secrets: dict[str, str]) -> None:
    """The answer to a request without key makes a browser ask."""
    assert client.get("/policies").headers["www-authenticate"].startswith("Basic ")
    word = b64encode(f"anyone:{secrets['reader']}".encode()).decode()
    assert client.get("/policies", headers={"authorization": f"Basic {word}"}).status_code == 200


def test_keys_are_not_kept(client: TestClient, secrets: dict[str, str]) -> None:
    """Nothing in the data directory holds a key."""
    kept = b"".join(file.read_bytes() for file in Path(secrets["data"]).glob("*") if file.is_file())
    assert not any(secrets[role.name].encode() in kept for role in Role)


def test_one_key_does_not_get_the_answer_of_another(client: TestClient, secrets: dict[str, str]) -> None:
    """Idempotency keys of two callers do not meet."""
    places = [
        client.post("/determinations", content=claim_of(), headers=bearing(secrets[name], **{"idempotency-key": "1"}))
        for name in ("submitter", "admin")
    ]
    assert places[0].headers["location"] != places[1].headers["location"]


def test_the_command_line_adds_lists_and_revokes(tmp_path: Path) -> None:
    """A key is printed once; revoked, it opens nothing; with all revoked, the service stays closed."""
    data = tmp_path / "data"
    secret = coverpath("keys", "add", "clinic", "--role", "reader", "--data", str(data)).stdout.strip()
    listed = coverpath("keys", "list", "--data", str(data)).stdout
    assert "reader" in listed and "clinic" in listed and secret not in listed
    with TestClient(create_app(Settings(data=data, workers=1))) as client:
        assert client.get("/policies", headers=bearing(secret)).status_code == 200
        coverpath("keys", "revoke", listed.split()[0], "--data", str(data))
        client.app.state.keys.listed()  # type: ignore[attr-defined]  # as after a second
        assert client.get("/policies", headers=bearing(secret)).status_code == 401
        assert client.get("/policies").status_code == 401
    assert "revoked" in coverpath("keys", "list", "--data", str(data)).stdout
    assert coverpath("keys", "revoke", listed.split()[0], "--data", str(data)).returncode == 2
    assert coverpath("store", "check", "--data", str(data)).returncode == 0


def test_without_keys_the_service_keeps_to_this_machine(tmp_path: Path) -> None:
    """Another address is refused before anything listens, and a caller from elsewhere by the service itself."""
    refused = coverpath("serve", "--host", "0.0.0.0", "--port", "1", "--data", str(tmp_path / "data"))
    assert refused.returncode == 1 and "without keys" in refused.stderr
    app = create_app(Settings(data=tmp_path / "data", workers=1))
    with TestClient(app, client=("192.0.2.1", 4711)) as client:
        assert client.get("/policies").status_code == 403
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.0.2.1", False), ("example.org", False)],
)  # fmt: skip
def test_which_addresses_are_of_this_machine(host: str, local: bool) -> None:
    """What listens everywhere is not of this machine alone."""
    assert is_local(host) is local


def test_a_caller_that_asks_too_often_waits(tmp_path: Path) -> None:
    """Over its rate a caller is told when to come again; another caller is not held up."""
    with TestClient(create_app(Settings(data=tmp_path / "data", workers=1, rate=2))) as client:
        answers = [client.get("/health") for _ in range(8)]
    assert [answer.status_code for answer in answers][:4] == [200] * 4
    assert answers[-1].status_code == 429 and int(answers[-1].headers["retry-after"]) >= 1
    rate = Rate(rate=2, burst=4)
    assert [rate.wait("one") for _ in range(4)] == [0.0] * 4 and rate.wait("one") > 0 and rate.wait("other") == 0


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1"])
def test_a_name_that_leads_here_by_trick_is_refused(client: TestClient, secrets: dict[str, str], host: str) -> None:
    """A page whose name was bound to this machine's address gets nothing."""
    assert client.get("/policies", headers=bearing(secrets["reader"], host=host)).status_code == 421


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_a_page_of_another_site_cannot_write(
    client: TestClient, secrets: dict[str, str], headers: dict[str, str]
) -> None:
    """A browser's credentials are of no use to other sites."""
    sent = client.post("/determinations", content=claim_of(), headers=bearing(secrets["admin"], **headers))
    assert sent.status_code == 403
    own = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}
    assert client.post("/determinations", content=claim_of(), headers=bearing(secrets["admin"], **own)).is_success


def test_a_browser_may_ask_before_it_sends_from_a_listed_site(tmp_path: Path) -> None:
    """A page of a listed site is told without a key what it may send with one; other pages are told nothing."""
    with closing(Store(tmp_path / "data")) as store:
        secret = Keys(store).add("a page", Role.reader)
    site = "https://pages.example.org"
    question = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    sent = {"content-type": "application/x-www-form-urlencoded"}
    with TestClient(create_app(Settings(data=tmp_path / "data", workers=1, origins=(site,)))) as client:
        told = client.options("/sparql", headers={"origin": site, **question})
        assert told.status_code == 200 and "POST" in told.headers["access-control-allow-methods"]
        assert client.options("/sparql", headers={"origin": "https://evil.example", **question}).status_code == 401
        assert client.options("/sparql", headers={"origin": site}).status_code == 401
        assert client.post("/sparql", content=b"x=1", headers={"origin": site, **sent}).status_code == 401
        keyed = {"origin": site, "authorization": f"Bearer {secret}", **sent}
        answer = client.post("/sparql", content=b"x=1", headers=keyed)
        assert answer.status_code == 400 and answer.headers["access-control-allow-origin"] == site


def test_a_body_that_is_too_large_is_cut(client: TestClient, secrets: dict[str, str]) -> None:
    """A claim has a limit, and so has every other body."""
    headers = bearing(secrets["admin"])
    assert client.post("/determinations", content=b" " * 1_000_001, headers=headers).status_code == 413
    place = f"/determinations/{'0' * 32}/reviews"
    assert client.post(place, content=b" " * (MAX_BODY + 1), headers=headers).status_code == 413


def test_a_claim_over_its_time_is_given_up(tmp_path: Path) -> None:
    """The process that was at it is replaced, and the next claim is determined; nothing of the first is stored."""
    with TestClient(create_app(Settings(data=tmp_path / "data", workers=1))) as client:
        engine = client.app.state.engine  # type: ignore[attr-defined]
        engine.deadline = 0.001
        late = client.post("/determinations", content=claim_of(), headers={"content-type": "application/json"})
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
        assert client.get("/ready").status_code == 503  # the only process is being replaced
        engine.deadline = 30
        assert client.post(
            "/determinations", content=claim_of(), headers={"content-type": "application/json"}
        ).is_success
        assert client.get("/ready").json()["entries"] == 1 and (tmp_path / "data" / DATABASE).exists()


def test_more_claims_than_can_wait_are_sent_away() -> None:
    """A queue without end would answer nobody in time."""
    from api.engine import WAITING, BusyError, Engine, Job

    async def tried() -> None:
        engine = Engine(size=1, deadline=0.05)  # never started: none is idle
        sent = [engine.determine(Job(b"{}")) for _ in range(WAITING + 1)]
        answers = await asyncio.gather(*sent, return_exceptions=True)
        assert all(isinstance(answer, BusyError) for answer in answers)

    asyncio.run(tried())
