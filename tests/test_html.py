"""The page for a reviewer: whole, safe, and saying what the determination says."""

import copy
import json
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import kg
from kg.html import page

EXAMPLES = Path(__file__).parent.parent / "examples"
CASES = [(name, posture) for name in ("c01", "c02") for posture in ("advisory", "payer", "final")]
VOID = {"br", "hr", "img", "input", "link", "meta"}
HOSTILE = "<script>alert('x')</script>\"'&"
LOADS = {"action", "background", "data", "href", "poster", "src", "srcset"}
FAULTY = {"claim": HOSTILE, "faults": [{"place": "/lines/0/code", "problem": HOSTILE, "help": HOSTILE}]}

Json = dict[str, Any]


@cache
def knowledge() -> kg.Knowledge:
    """Load the knowledge once for all tests."""
    return kg.load_knowledge()


@cache
def _determined(name: str, posture: str) -> str:
    claim = kg.read_claim(EXAMPLES / f"{name}.json")
    return json.dumps(kg.determine(claim, knowledge(), posture=posture).to_dict())


def determined(name: str, posture: str = "advisory") -> Json:
    """Determine an example; each call returns a value of its own."""
    return dict(json.loads(_determined(name, posture)))


class Page(HTMLParser):
    """Reads a page: its tags, its text, and the tags that do not balance."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.unbalanced: list[str] = []
        self.shown: list[str] = []
        self.section = ""
        self.sections: dict[str, list[str]] = {}
        self.feed(html)
        self.close()
        self.unbalanced += self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "section":
            self.section = dict(attrs).get("id") or ""
        if tag not in VOID:
            self.stack.append(tag)
        if tag in ("td", "th"):
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack.pop() != tag:
            self.unbalanced.append(f"/{tag}")
        if tag == "section":
            self.section = ""

    def handle_data(self, data: str) -> None:
        if "style" not in self.stack:
            self.shown.append(data)
            self.sections.setdefault(self.section, []).append(data)

    @property
    def text(self) -> str:
        """The text that a reader sees."""
        return _spaced(self.shown)

    def within(self, section: str) -> str:
        """Return the text of one section."""
        return _spaced(self.sections[section])


def _spaced(pieces: list[str]) -> str:
    return " ".join("".join(pieces).split())


def walk(node: Json) -> list[Json]:
    """List the nodes of a criteria tree."""
    return [node, *(below for part in node["parts"] for below in walk(part))]


def hostile(value: Any) -> Any:
    """Return a determination in which every free text is hostile."""
    if isinstance(value, dict):
        kept = ("status", "decision", "decisions", "posture", "criterion", "because", "kind", "to", "line", "stance")
        return {key: one if key in kept else hostile(one) for key, one in value.items()}
    if isinstance(value, list):
        return [hostile(one) for one in value]
    return HOSTILE if isinstance(value, str) else value


@pytest.mark.parametrize(("name", "posture"), CASES)
def test_a_page_is_whole(name: str, posture: str) -> None:
    """Every tag is closed in its order, ids are unique, links lead into the page, and headings skip no rank."""
    read = Page(page([determined(name, posture), FAULTY]))
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    links = {str(attrs["href"]) for tag, attrs in read.tags if tag == "a"}
    ranks = [int(tag[1]) for tag, _ in read.tags if tag in ("h1", "h2", "h3", "h4", "h5")]
    assert read.unbalanced == []
    assert len(ids) == len(set(ids))
    assert links <= {f"#{one}" for one in ids}
    assert ranks[0] == 1
    assert ranks.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(ranks))
    assert ("html", {"lang": "en"}) in read.tags
    assert {"header", "main", "footer"} <= {tag for tag, _ in read.tags}
    assert all("scope" in attrs for tag, attrs in read.tags if tag == "th")


@pytest.mark.parametrize("name", ["c01", "c02"])
def test_a_page_stands_alone(name: str) -> None:
    """Nothing is fetched and nothing runs: no address outside the page, no script, no import in the style."""
    html = page([determined(name)])
    read = Page(html)
    loaded = [value or "" for _, attrs in read.tags for key, value in attrs.items() if key in LOADS]
    assert all(value.startswith("#") for value in loaded)
    assert not {"script", "link", "iframe", "img", "object", "embed"} & {tag for tag, _ in read.tags}
    assert not [key for _, attrs in read.tags for key in attrs if key.startswith("on")]
    assert "url(" not in html
    assert "@import" not in html


def test_hostile_text_is_shown_and_never_read_as_markup() -> None:
    """A claim's id, a source in the record, a fault, and any other text of a determination stay text."""
    value = determined("c01")
    value["claim"] = HOSTILE
    leaf = next(node for node in walk(value["lines"][0]["path"]) if node.get("words"))
    leaf["sources"] = [{"fact": "a fact", "source": HOSTILE}]
    for items in ([value], [FAULTY], [hostile(determined("c01")), hostile(determined("c02", "payer"))]):
        read = Page(page(items))
        assert "script" not in {tag for tag, _ in read.tags}
        assert read.unbalanced == []
        assert HOSTILE in read.text
    assert f"Source in the record: {HOSTILE}" in Page(page([value])).text


@pytest.mark.parametrize(("name", "posture"), CASES)
def test_a_page_says_what_the_determination_says(name: str, posture: str) -> None:
    """Each line shows its decisions, its clauses with their words, its questions, caveats, sources and conflicts."""
    value = determined(name, posture)
    read = Page(page([value]))
    assert all(words in read.text for words in (value["notice"], value["policy"]["label"], value["knowledge"]))
    for line in value["lines"]:
        decisions = " ".join(line["decisions"].values())
        assert f"Line {line['line']} {line['code']} {line['label']} {decisions}" in read.text
        text = read.within(f"claim-1-line-{line['line']}")
        reason = line.get("reason", "").replace("-", " ")
        assert f"{line['code']} {line['label']} {line['decision']} {reason}".strip() in text
        for node in walk(line["path"]):
            said = [
                node["label"],
                node["clause"],
                f"“{node['quote']}”" if node["quote"] else "",
                *node.get("words", []),
            ]
            said += [node.get("question") or node.get("message", "")]
            assert [words for words in said if " ".join(words.split()) not in text] == []
        said = [item["question"] for item in line["missing"]] + line["caveats"] + line["assumptions"]
        said += [item["words"] for item in line["conflicts"]] + [item["label"] for item in line["guidance"]]
        assert [words for words in said if " ".join(words.split()) not in text] == []
    for edit in value["edits"]:
        assert edit["label"] in read.within("claim-1-edits")


@pytest.mark.parametrize(("name", "posture"), CASES)
def test_the_tree_stands_open_along_what_decided(name: str, posture: str) -> None:
    """A line that clauses decided has its tree open down to them; a tree that decided nothing is closed."""
    value = determined(name, posture)
    read = Page(page([value]))
    opened = [attrs for tag, attrs in read.tags if tag == "details" and "open" in attrs]
    assert all(attrs["class"] == "decided" for attrs in opened)
    assert len(opened) >= 3 * len(value["lines"])
    for line in value["lines"]:
        line.update(because=[], grounds=[])
    assert not [attrs for _, attrs in Page(page([value])).tags if "open" in attrs]


def test_a_faulty_claim_stands_among_others() -> None:
    """Each claim has its place on the page in the order given, and a faulty one shows where, what and what helps."""
    fault = {"place": "/serviceDate", "problem": "is no date", "help": "write it as in ISO 8601"}
    text = Page(page([determined("c02"), {"claim": None, "faults": [fault]}, determined("c01")])).text
    assert text.index("Claim c02") < text.index("Claim without an id") < text.index("Claim c01")
    assert "/serviceDate is no date write it as in ISO 8601" in text


def test_equal_input_gives_an_equal_page() -> None:
    """The same determinations give the same bytes, and are left as they were."""
    given = [determined("c01"), determined("c02")]
    before = copy.deepcopy(given)
    assert page(given).encode() == page(before).encode()
    assert given == before
