"""The page for a reviewer says what the determination says, escapes what it shows, and stores only what is saved."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import kg
from api.app import create_app
from api.proof import elements
from api.settings import Settings
from api.sheet import MAX_LINES
from api.spine import spine
from api.whatif import answered, changed
from kg.cases import record_facts
from kg.compare import compare
from kg.html import shown
from tests.test_html import LOADS, Page

EXAMPLES = Path(__file__).parent.parent / "examples"
HOSTILE = "<script>alert('x')</script>\"'&"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Start the service over a data directory of its own."""
    settings = Settings(data=tmp_path_factory.mktemp("data"))
    with TestClient(create_app(settings), follow_redirects=False) as started:
        yield started


def example(name: str, **fields: Any) -> str:
    """Return an example claim, with some fields as given."""
    return json.dumps(json.loads((EXAMPLES / f"{name}.json").read_text("utf-8")) | fields)


def complete(knowledge: kg.Knowledge) -> str:
    """Return an example of whose record all is known but the condition of the patient."""
    known = [{"fact": name, "status": "present"} for name in record_facts(knowledge)]
    return example("c01", facts=json.loads(example("c01"))["facts"] + known)


def judged(client: TestClient, claim: str, fields: Json | None = None, status: int = 200, path: str = "/") -> Page:
    """Send the form of the page, and read what it answers."""
    answer = client.post(path, data={"claim": claim, **(fields or {})})
    assert answer.status_code == status, answer.text[:500]
    return read(answer.text)


def read(text: str) -> Page:
    """Read a page, which is well-formed, runs nothing of its own and loads nothing from elsewhere."""
    page = Page(text)
    assert page.unbalanced == []
    for tag, attributes in page.tags:
        assert tag != "style" and (tag != "script" or attributes.get("src"))
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in LOADS & attributes.keys():
            loads = tag not in ("a", "form") and name != "formaction"
            assert not loads or (attributes[name] or "").startswith("/"), (tag, attributes)
    return page


def column(text: str, posture: str) -> list[str]:
    """Return the decisions that the table of lines shows under a posture."""
    table = text[text.index('<table class="decisions">') :].partition("</table>")[0]
    heads = list(re.findall(r"<th scope=\"col\"[^>]*>(\w+)", table))
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", table, re.S)
    return [re.findall(r'class="badge ([\w-]+)"', row)[heads.index(posture) - 3] for row in rows]


def test_the_page_takes_a_claim(client: TestClient) -> None:
    """The first page offers every policy and example, and lets a browser load and run only what is the service's."""
    answer = client.get("/")
    page = read(answer.text)
    options = [attributes.get("value") for tag, attributes in page.tags if tag == "option"]
    assert {*kg.load_knowledge().policies, "json", "yaml", "turtle"} <= {*options}
    assert "c01" in page.text and answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_an_example_fills_the_form(client: TestClient) -> None:
    """An example is shown before it is determined; a name that no example has is not found."""
    text = client.get("/", params={"example": "c01"}).text
    assert "95938" in read(text).text
    case = next(re.finditer(r"<option>(\S+: [^<]*)</option>", text))[1]
    assert "serviceDate" in read(client.get("/", params={"example": case}).text).text
    assert client.get("/", params={"example": "none such"}).status_code == 404


@pytest.mark.parametrize("posture", ["advisory", "payer", "final"])
@pytest.mark.parametrize("name", ["c01", "c02"])
def test_the_page_says_what_the_determination_says(client: TestClient, name: str, posture: str) -> None:
    """The page shows each decision, each clause with its quote, and each status by words as well as sign."""
    found = kg.determine(kg.parse_claim(example(name)), kg.load_knowledge(), posture=posture).to_dict()
    text = client.post("/", data={"claim": example(name), "posture": posture}).text
    page = read(text)
    for each in ("advisory", "payer", "final"):
        assert column(text, each) == [line["decisions"][each] for line in found["lines"]]
    for line in found["lines"]:
        for question in line["missing"]:
            assert question["question"] in page.text
    pressed = [a["value"] for _, a in page.tags if a.get("aria-pressed") == "true"]
    assert pressed == [posture]
    assert found["notice"] in page.text and "Nobody has reviewed" not in page.text


def test_a_question_answered_changes_the_decision(client: TestClient) -> None:
    """An answer is tried at once, what it changes is told, taking it back undoes it, and nothing is stored."""
    claim = complete(kg.load_knowledge())
    before = client.post("/", data={"claim": claim, "posture": "payer"}).text
    assert column(before, "payer")[0] == "pend"
    answer = "present SevereCordCompression cervical"
    assert f'name="answer" value="{answer}"' in before
    after = client.post("/", data={"claim": claim, "posture": "payer", "answer": answer}).text
    page = read(after)
    assert column(after, "payer")[0] == "approve"
    assert "Line 1: payer from pend to approve." in page.text
    assert "severe cord compression (cervical): present" in " ".join(page.text.split())
    tried = [a["value"] for _, a in page.tags if a.get("name") == "tried"]
    assert tried == [answer]
    back = client.post("/", data={"claim": claim, "posture": "payer", "tried": tried, "undo": answer}).text
    assert column(back, "payer") == column(before, "payer") and "What if" not in back
    assert "Nothing is stored yet" in client.get("/worklist").text


def test_a_new_answer_takes_the_place_of_the_old(client: TestClient) -> None:
    """A question has one answer: the one given last."""
    given = {"tried": ["present SpinalTumor", "operation.conusLevel L2"], "answer": "absent SpinalTumor"}
    page = judged(client, example("c01"), given)
    assert [a["value"] for _, a in page.tags if a.get("name") == "tried"] == [
        "operation.conusLevel L2",
        "absent SpinalTumor",
    ]
    page = judged(
        client, example("c01"), {"tried": given["tried"], "take": "cord-1", "cord-1": "operation.conusLevel L4"}
    )
    assert "the cord ends at L4" in " ".join(page.text.split())


@pytest.mark.parametrize("answer", ["present NoSuchFact", "perhaps SpinalTumor", "operation.conusLevel L9", HOSTILE])
def test_an_answer_to_no_question_is_refused(client: TestClient, answer: str) -> None:
    """An answer that names no fact, status or level is a located fault, and determines nothing."""
    page = judged(client, example("c01"), {"answer": answer}, status=422)
    assert "Nothing was determined" in page.text


def test_another_policy_judges(client: TestClient) -> None:
    """The claim is judged under the policy that is chosen, on the first page or among the compared."""
    for policy in kg.load_knowledge().policies.values():
        for field in ("policy", "under"):
            assert policy.label in judged(client, example("c01"), {field: policy.id}).text


def test_policies_stand_side_by_side(client: TestClient) -> None:
    """The comparison shows every policy's decision on every line, and marks where they part."""
    knowledge = kg.load_knowledge()
    table = compare(kg.parse_claim(example("c01")), knowledge)
    page = judged(client, example("c01"), path="/compare")
    text = " ".join(page.text.split())
    for line in table["lines"]:
        shown_line = f"≠ {line['line']} {line['code']}" if not line["agree"] else f"{line['line']} {line['code']}"
        assert shown_line in text
    assert all(policy in text for policy in table["policies"])


def test_faults_are_told_where_they_are(client: TestClient) -> None:
    """A faulty claim is shown again beside its faults, each with its place, and nothing is determined or stored."""
    for path in ("/", "/compare", "/save"):
        page = judged(client, example("c01", diagnoses=["ZZ9"], id=HOSTILE), status=422, path=path)
        assert "/diagnoses/0" in page.text and HOSTILE in page.text.replace("\\", "")
    assert "Nothing is stored yet" in client.get("/worklist").text


def test_a_hostile_claim_is_shown_as_it_is_written(client: TestClient) -> None:
    """Whatever a claim, a source or a review says is text on every page, and never a tag."""
    facts = [{"fact": "SpinalTumor", "status": "present", "region": "cervical", "source": HOSTILE}]
    claim = example("c01", id=HOSTILE, facts=facts)
    for path in ("/", "/compare"):
        assert HOSTILE in judged(client, claim, path=path).text
    address = client.post("/save", data={"claim": claim}).headers["location"]
    told = {"reviewer": HOSTILE, "decision": "deny", "reason": HOSTILE}
    assert client.post(f"{address}/lines/1/reviews", data=told).status_code == 303
    page = read(client.get(address, headers={"accept": "text/html"}).text)
    assert f"by {HOSTILE}" in page.text and f"Claim {HOSTILE}" in page.text
    assert HOSTILE in read(client.get("/worklist").text).text
    assert "script" not in address and "%" not in address


def test_what_a_person_decides_is_recorded(client: TestClient) -> None:
    """A saved determination has an address; a review is added to its line, and until then it is a recommendation."""
    answer = client.post("/save", data={"claim": example("c02"), "answer": "present Myelopathy"})
    assert answer.status_code == 303
    address = answer.headers["location"]
    html = {"accept": "text/html"}
    page = read(client.get(address, headers=html).text)
    assert "Nobody has reviewed this line: deny is a recommendation, and denies nothing." in page.text
    assert "myelopathy" in page.text.lower() and f"href{address}" not in page.text
    told = {"reviewer": "A. Nurse", "decision": "approve", "reason": "the record shows it"}
    assert client.post(f"{address}/lines/1/reviews", data=told).headers["location"].startswith(address)
    told = {"reviewer": "Dr. B", "decision": "deny", "reason": "seen again"}
    assert client.post(f"{address}/lines/1/reviews", data=told).status_code == 303
    page = read(client.get(address, headers=html).text)
    first, second = page.text.index("by A. Nurse"), page.text.index("by Dr. B")
    assert first < second and "Line 1" in page.text
    assert page.text.count("Nobody has reviewed this line") == len(json.loads(example("c02"))["lines"]) - 1
    assert "1 of 7 lines" in read(client.get("/worklist").text).text


@pytest.mark.parametrize("fields", [{"reason": " "}, {"reviewer": ""}, {"decision": "maybe"}, {"reason": "x" * 5001}])
def test_a_review_says_who_what_and_why(client: TestClient, fields: Json) -> None:
    """A review without a reviewer, a decision or a reason is not recorded."""
    address = client.post("/save", data={"claim": example("c02")}).headers["location"]
    told = {"reviewer": "A. Nurse", "decision": "deny", "reason": "why", **fields}
    answer = client.post(f"{address}/lines/1/reviews", data=told)
    assert answer.status_code == 422 and "give a reason" in read(answer.text).text
    assert "by A. Nurse" not in answer.text


def test_nothing_is_stored_under_other_addresses(client: TestClient) -> None:
    """A determination, line or page of the list that is not there is not found."""
    address = client.post("/save", data={"claim": example("c02")}).headers["location"]
    told = {"reviewer": "A. Nurse", "decision": "deny", "reason": "why"}
    for path in (f"{address}/lines/99/reviews", "/determinations/none/lines/1/reviews"):
        assert client.post(path, data=told).status_code == 404
    assert client.get("/worklist", params={"after": HOSTILE}).status_code == 404
    assert client.get("/determinations/none", headers={"accept": "text/html"}).status_code == 404


def test_only_forms_of_the_service_are_read(client: TestClient) -> None:
    """A form from another site, of another type, too large or badly written is refused, without echo."""
    claim = {"claim": example("c01")}
    for headers in ({"origin": "https://elsewhere.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        for path in ("/", "/save", "/compare", "/determinations/x/lines/1/reviews"):
            assert client.post(path, data=claim, headers=headers).status_code == 403
    assert client.post("/", data=claim, headers={"origin": "http://testserver"}).status_code == 200
    assert client.post("/", json=claim).status_code == 415
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/", content=b"claim=" + b"x" * 4_000_000, headers=form).status_code == 413
    for body in (b"claim=%ff", "claim=é".encode(), b"&a=1" * 3000):
        assert client.post("/", content=body, headers=form).status_code == 400
    assert client.post("/", data={"posture": "payer"}).status_code == 422


def test_a_page_has_an_end(client: TestClient) -> None:
    """A claim of more lines than a page bears is refused by the form; where it is stored, the page shows the first."""
    claim = example("c02", lines=[{"code": "95938"}] * (MAX_LINES + 2))
    for path in ("/", "/compare", "/save"):
        assert "/lines" in judged(client, claim, status=422, path=path).text
    address = client.post("/determinations", content=claim, headers={"content-type": "application/json"}).headers[
        "location"
    ]
    text = read(client.get(address, headers={"accept": "text/html"}).text).text
    assert "2 further lines are not shown here" in text and f"Line {MAX_LINES + 1}" not in text


def test_only_files_of_ours_are_sent(client: TestClient) -> None:
    """The styles and scripts that pages name are sent; no other file is."""
    text = (
        "".join(client.get(path).text for path in ("/", "/query"))
        + client.post("/", data={"claim": example("c01")}).text
    )
    for path in {*re.findall(r'"(/static/[^"]+)"', text)}:
        assert client.get(path).status_code == 200
    for name in ("none.js", "..%2fpages.py", "%2e%2e/pages.py"):
        assert client.get(f"/static/{name}").status_code == 404


def test_an_answer_is_a_fact_of_the_claim() -> None:
    """An answer replaces what was listed of the same fact and region, and leaves the rest and the claim as they are."""
    listed = {"fact": "Myelopathy", "status": "absent"}
    elsewhere = {**listed, "region": "lumbar"}
    document = {"id": "x", "facts": [listed, elsewhere]}
    found = answered(document, ["present Myelopathy", "absent SpinalTumor cervical", "operation.conusLevel L2"])
    tumor = {"fact": "SpinalTumor", "status": "absent", "region": "cervical"}
    assert found["facts"] == [elsewhere, {"fact": "Myelopathy", "status": "present"}, tumor]
    assert found["operation"] == {"procedures": [], "conusLevel": "L2"}
    assert document == {"id": "x", "facts": [listed, elsewhere]}


def test_equal_determinations_differ_in_nothing() -> None:
    """Between a determination and itself nothing changed."""
    found = kg.determine(kg.parse_claim(example("c01")), kg.load_knowledge()).to_dict()
    assert changed(found, found) == {"lines": [], "criteria": []}


def test_the_picture_shows_the_operation() -> None:
    """The picture has every level in order, marks the operated ones, and shows what each holds and where it lies."""
    knowledge = kg.load_knowledge()
    picture = spine(kg.determine(kg.parse_claim(example("c02")), knowledge))
    assert [level["name"] for level in picture["levels"]] == list(knowledge.levels)
    assert all(a["bottom"] == b["y"] for a, b in zip(picture["levels"], picture["levels"][1:], strict=False))
    (level,) = picture["operated"]
    assert (level["name"], level["position"]) == ("L5-S1", "below the cord")
    assert "cauda equina" in level["encloses"]
    assert (picture["first"], picture["last"], picture["imaged"]) == ("T12-L1", "L1-L2", False)


def test_the_picture_follows_imaging() -> None:
    """Where imaging shows the cord to end, the picture ends it there; without an operation it has no operated level."""
    knowledge = kg.load_knowledge()
    low = example("c02", operation={**json.loads(example("c02"))["operation"], "conusLevel": "S1"})
    picture = spine(kg.determine(kg.parse_claim(low), knowledge))
    assert picture["imaged"] and picture["last"] == "S1" and not picture["open"]
    assert picture["operated"][0]["position"] != "below the cord"
    bare = example("c02", operation={"procedures": []})
    assert spine(kg.determine(kg.parse_claim(bare), knowledge))["operated"] == []


@pytest.mark.parametrize("name", ["c01", "c02"])
def test_the_proof_is_one_graph(name: str) -> None:
    """Every node of a proof is reached from the decision, and every criterion along what decided is in it."""
    found = shown(kg.determine(kg.parse_claim(example(name)), kg.load_knowledge()).to_dict())
    for line in found["lines"]:
        drawn = [item["data"] for item in elements(line)]
        assert len({data["id"] for data in drawn}) == len(drawn)
        nodes = {data["id"] for data in drawn if "source" not in data}
        edges = [(data["source"], data["target"]) for data in drawn if "source" in data]
        reached = {"line"}
        while further := {target for source, target in edges if source in reached} - reached:
            reached |= further
        assert reached == nodes
        labels = " ".join(data["label"] for data in drawn)
        assert all(reason["node"]["label"] in labels for reason in line["because"] if "node" in reason)
