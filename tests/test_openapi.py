"""The description of the service is true: its examples run, and whatever is sent, the answers are as it says."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.service import Service
from tests.test_api import claim_of, until

Json = dict[str, Any]
# A description can say what a claim is made of, not which codes there are: what fits it may be refused all the same.
LEFT_OUT = "positive_data_acceptance"


JSON = "application/json"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("described") / "data", deadline="60") as service:
        stored = service.client.post("/determinations", content=claim_of(), headers={"content-type": JSON})
        assert stored.status_code == 200
        until(lambda: service.client.get("/sparql", params={"query": "ASK {}"}).status_code == 200, 180)
        yield service


def newest(service: Service) -> str:
    """Return the name of the determination that was stored last."""
    id: str = service.client.get("/determinations").json()[0]["id"]
    return id


def fuzz(service: Service, report: Path, most: int) -> Json:
    """Let schemathesis send what the description allows and what it does not, and return what it counted."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{service.url}/openapi.json"]
    command += ["--checks", "all", "--exclude-checks", LEFT_OUT, "--generation-deterministic", "--seed", "1"]
    command += ["--max-examples", str(most), "--continue-on-failure", "--warnings", "off", "--no-color"]
    command += ["--request-timeout", "60", "--max-response-time", "60"]  # on a busy machine
    command += ["--report", "json", "--report-json-path", str(report)]
    known = {"SCHEMATHESIS_HOOKS": "tests.openapi_hooks", "COVERPATH_TEST_ID": newest(service)}
    environment = {**os.environ, **known, "PYTHONPATH": str(ROOT)}
    told = subprocess.run(command, cwd=report.parent, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout[-20_000:] + told.stderr
    counted: Json = json.loads(report.read_text())["test_cases"]
    return counted


def test_whatever_is_sent_is_answered_as_described(service: Service, tmp_path: Path) -> None:
    """Hundreds of requests, of every operation: no fault of the service, and no answer that is not described."""
    assert fuzz(service, tmp_path / "report.json", 1)["generated"] > 500


@pytest.mark.fuzz
def test_ten_thousand_requests_are_answered_as_described(service: Service, tmp_path: Path) -> None:
    """The same ten thousand times."""
    assert fuzz(service, tmp_path / "report.json", 600)["generated"] >= 10_000


def examples(operation: Json, id: str) -> Iterator[tuple[Json, str, Any]]:
    """Yield the requests that an operation shows: parts of the address, media type and body."""
    given = {"id": id, "line": 1} | {
        parameter["name"]: parameter["example"]
        for parameter in operation.get("parameters", ())
        if "example" in parameter
    }
    bodies = operation.get("requestBody", {"content": {"": {"example": None}}})["content"]
    for media, body in bodies.items():
        yield given, media, body["example"]


def test_every_example_of_the_description_runs(service: Service) -> None:
    """Each operation is shown by an example for each media type that it reads, and answers it as it says."""
    document = service.client.get("/openapi.json").json()
    ran = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for given, media, shown in examples(operation, newest(service)):
                address = path.format(**{"path": "", "name": "", **given})
                query = {"query": given["query"]} if "query" in given else {}
                body = {"data": shown} if media.endswith("urlencoded") else {"content": text_of(shown)}
                headers = {"content-type": media} if media else {}
                answer = service.client.request(method, address, params=query, headers=headers, **body)
                assert answer.is_success or answer.is_redirect, (method, address, media, answer.text[:500])
                described = operation["responses"][str(answer.status_code)].get("content", {"": {}})
                assert answer.headers.get("content-type", "").partition(";")[0] in described, (method, path)
                ran += 1
    assert ran > len(document["paths"])


def text_of(shown: Any) -> str | None:
    """Return an example as it is sent."""
    return shown if shown is None or isinstance(shown, str) else json.dumps(shown)


def test_every_error_of_every_operation_is_described(service: Service) -> None:
    """Each operation tells of its errors as problems, each with an example."""
    document = service.client.get("/openapi.json").json()
    schema = document["components"]["schemas"]["Problem"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            errors = {status: one for status, one in operation["responses"].items() if status >= "400"}
            assert {"421", "429", "500"} <= errors.keys(), (method, path)
            for status, answer in errors.items():
                problem = answer["content"]["application/problem+json"]
                assert problem["example"]["status"] == int(status)
                assert problem["example"].keys() >= set(schema["required"])


def test_head_is_get_without_a_body(service: Service) -> None:
    """Whatever can be looked at can be asked for its head."""
    for path in ("/", "/health", "/policies", f"/determinations/{newest(service)}", "/terms", "/nothing"):
        whole, head = service.client.get(path), service.client.head(path)
        assert (head.status_code, head.content) == (whole.status_code, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]
        assert head.headers["content-length"] == str(len(whole.content)) or "content-encoding" in whole.headers
