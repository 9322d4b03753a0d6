"""A reviewer goes through the page: claim in, tree read, question answered, decision changed, saved, reviewed."""

import json
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import kg
from tests.test_pages import complete

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
PAGES = [
    *("/", "/?example=c01", "/worklist", "/query", "/book", "/book/cigna-0509", "/codes", "/codes/cpt/95938"),
    *("/terms", "/terms?q=cord", "/terms/condition", "/terms/condition/SpinalTumor", "/terms/nothing"),
]
LOOK = """async () => {
    const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const found = await axe.run({ exclude: [["#yasgui"]] }, { runOnly: rules });
    return found.violations.map((v) => [v.id, ...v.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))]);
}"""


def open_example(page: Page, name: str = "c01", posture: str = "advisory") -> None:
    """Choose an example, and determine it."""
    page.goto("/")
    page.get_by_label("Start from an example").select_option(name)
    page.get_by_role("button", name="Show it").click()
    page.get_by_label("Posture").select_option(posture)
    page.get_by_role("button", name="Determine", exact=True).click()
    expect(page.get_by_role("table", name="Decisions, line by line")).to_be_visible()


def paste(page: Page, claim: str, posture: str) -> None:
    """Paste a claim, and determine it."""
    page.goto("/")
    page.get_by_label("The claim").fill(claim)
    page.get_by_label("Posture").select_option(posture)
    page.get_by_role("button", name="Determine", exact=True).click()


def decision(page: Page, line: int) -> str:
    """Return the decision that the heading of a line shows."""
    return page.locator(f"#claim-1-line-{line}-title .badge").inner_text()


def test_a_reviewer_goes_through_the_page(page: Page) -> None:
    """A claim is pasted, its tree read, a question answered; the decision changes, is saved and reviewed."""
    paste(page, complete(kg.load_knowledge()), "payer")
    assert decision(page, 1) == "pend"
    line = page.locator("#claim-1-line-1")
    tree = line.locator(".tree.root")
    expect(tree.get_by_text("monitoring in cervical surgery without a qualifying condition").first).to_be_visible()
    expect(tree.locator(".status.undocumented").first).to_contain_text("? undocumented")
    answers = line.get_by_role("group", name="severe cord compression")
    answers.get_by_role("button", name="present").click()
    expect(page.get_by_role("heading", name="What changed")).to_be_visible()
    assert decision(page, 1) == "approve"
    assert page.evaluate("document.activeElement.id") == "claim-1-line-1-title"
    expect(page.get_by_role("status")).to_contain_text("Line 1: payer from pend to approve.")
    page.get_by_role("button", name="take back").click()
    expect(page.get_by_role("heading", name="What changed")).to_be_hidden()
    assert decision(page, 1) == "pend"
    answers.get_by_role("button", name="present").click()
    page.get_by_role("button", name="Save with the answer").click()
    expect(page).to_have_url(re.compile(r"/determinations/\w+$"))
    assert decision(page, 1) == "approve"
    line = page.locator("#claim-1-line-3")
    expect(line.get_by_text("Nobody has reviewed this line")).to_be_visible()
    line.get_by_text("Record a decision on line 3").click()
    line.get_by_label("Reviewer").fill("Dr. A")
    line.get_by_label("deny").check()
    line.get_by_label("Reason").fill("integral to anesthesia")
    line.get_by_role("button", name="Record").click()
    expect(page.locator("#claim-1-line-3").get_by_text("by Dr. A")).to_be_visible()
    page.goto("/worklist")
    expect(page.get_by_text("1 of 5 lines").first).to_be_visible()


def test_a_file_is_opened(page: Page) -> None:
    """A claim in a file is read into the form, with its format."""
    page.goto("/")
    text = "id: from-a-file\npolicy: aetna-cpb-0697\nserviceDate: 2025-03-14\nlines:\n  - code: 95938\n"
    page.get_by_label("open a file").set_input_files(
        {"name": "claim.yaml", "mimeType": "text/yaml", "buffer": text.encode()}
    )
    expect(page.get_by_label("The claim")).to_have_value(text)
    expect(page.get_by_label("Written as")).to_have_value("yaml")
    page.get_by_role("button", name="Determine", exact=True).click()
    expect(page.get_by_role("heading", name="Claim from-a-file")).to_be_visible()


def test_the_posture_is_switched(page: Page) -> None:
    """The three postures are one press apart, and the page says which is shown."""
    open_example(page)
    page.get_by_role("button", name="final").click()
    expect(page.get_by_role("button", name="final")).to_have_attribute("aria-pressed", "true")
    assert decision(page, 1) == "deny"
    expect(page.get_by_role("button", name="final")).to_be_focused()


def test_a_service_that_does_not_answer_is_told(page: Page) -> None:
    """Where a question cannot be answered, the page says so and stays as it is."""
    open_example(page)
    page.route("**/", lambda route: route.fulfill(status=200, body="{}", content_type="application/problem+json"))
    page.get_by_role("button", name="final").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing changed")
    assert decision(page, 1) == "approve"


def test_policies_are_compared(page: Page) -> None:
    """All policies stand side by side, and one of them is chosen to judge."""
    open_example(page)
    page.get_by_role("button", name="Compare policies").click()
    expect(page.get_by_role("table")).to_contain_text("≠ 1")
    page.get_by_role("button", name="cigna-0509").click()
    expect(page.get_by_text(kg.load_knowledge().policies["cigna-0509"].label)).to_be_visible()


def test_the_proof_is_drawn(page: Page) -> None:
    """The proof of a line is drawn when it is opened, the decision in sight."""
    open_example(page)
    line = page.locator("#claim-1-line-1")
    line.get_by_text("The proof as a graph").click()
    expect(line.locator("canvas").first).to_be_visible()
    drawn = page.evaluate(
        "() => { const d = document.querySelector('#claim-1-line-1 .proof-graph').drawing;"
        " return [d.nodes().length, d.getElementById('line').renderedPosition(), d.width(), d.height()] }"
    )
    nodes, place, width, height = drawn
    assert nodes > 10 and 0 < place["x"] < width and 0 < place["y"] < height
    line.get_by_role("button", name="The whole graph").click()


def test_it_is_used_by_keyboard_alone(page: Page) -> None:
    """Every step is taken with Tab, Enter and Space; focus is seen, and stays where the question was."""
    page.goto("/?example=c01")

    def tab_to(words: str) -> None:
        for _ in range(250):
            page.keyboard.press("Tab")
            active = page.evaluate("document.activeElement.innerText || document.activeElement.value || ''")
            if words in active:
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
                return
        raise AssertionError(f"Tab does not reach {words}")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    tab_to("Determine")
    page.keyboard.press("Enter")
    expect(page.get_by_role("table", name="Decisions, line by line")).to_be_visible()
    tab_to("payer")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="payer")).to_have_attribute("aria-pressed", "true")
    tab_to("present")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What changed")).to_be_visible()
    closed = page.locator(".tree details:not([open]) > summary").first
    closed.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.parentElement.open")


def test_it_is_printed(page: Page) -> None:
    """On paper stand the decisions and what decided, open, and no buttons."""
    open_example(page)
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = false")
    page.emulate_media(media="print")
    expect(page.get_by_role("table", name="Decisions, line by line")).to_be_visible()
    expect(page.get_by_role("navigation", name="Coverpath")).to_be_hidden()
    for name in ("Print", "present", "Save", "Determine again"):
        assert not any(button.is_visible() for button in page.get_by_role("button", name=name).all())
    assert page.pdf().startswith(b"%PDF")


def test_it_reads_without_scripts(browser: Browser, service: str) -> None:
    """Without scripts a claim is determined, a question answered and a determination saved all the same."""
    context = browser.new_context(base_url=service, java_script_enabled=False)
    page = context.new_page()
    open_example(page)
    page.get_by_role("button", name="present").first.click()
    expect(page.get_by_role("heading", name="What changed")).to_be_visible()
    page.get_by_role("button", name="Save with the answer").click()
    expect(page.get_by_role("heading", name="Stored determination")).to_be_visible()
    context.close()


def test_sparql_is_run(page: Page) -> None:
    """A query is run and its answer shown as a table; saved queries are in a menu; the browser keeps neither."""
    claim = (EXAMPLES / "c02.json").read_text("utf-8")
    page.request.post("/determinations", data=claim, headers={"content-type": "application/json"})
    page.goto("/query")

    answer = page.locator(".yasr table.dataTable tbody")
    until = time.monotonic() + 30  # what was stored is soon in the index
    while not answer.get_by_text("deny").is_visible() and time.monotonic() < until:
        page.get_by_role("button", name="Run query").click()
        page.wait_for_timeout(1000)
    expect(answer).to_contain_text("deny")
    menu = page.get_by_label("Saved queries")
    expect(menu).to_be_enabled()
    menu.select_option(index=1)
    expect(page.get_by_role("link", name="its parameters and exports")).to_be_visible()
    kept = json.loads(page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})"))
    assert "".join(kept.values()) == ""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_serves_everyone(page: Page, path: str, axe: str) -> None:
    """No page fails a rule of WCAG 2.2 AA that can be tested, or is wider than the screen."""
    if path == "/terms/nothing":
        page.route("**/terms/nothing", lambda route: route.fulfill(response=route.fetch(), status=200))
    page.goto(path)
    assert_accessible(page, axe)


def test_a_determination_serves_everyone(page: Page, axe: str) -> None:
    """A determination with an answer tried, its comparison, and the stored one with its review form are accessible."""
    open_example(page)
    page.get_by_role("button", name="absent").first.click()
    expect(page.get_by_role("heading", name="What changed")).to_be_visible()
    page.locator("#claim-1-line-1").get_by_text("The proof as a graph").click()
    assert_accessible(page, axe)
    page.get_by_role("button", name="Compare policies").click()
    assert_accessible(page, axe)
    page.get_by_role("button", name="Back to the claim").click()
    page.get_by_role("button", name="Save with the answer").click()
    page.locator("#claim-1-line-1").get_by_text("Record a decision on line 1").click()
    assert_accessible(page, axe)


def assert_accessible(page: Page, axe: str) -> None:
    """Let axe look for what breaks WCAG 2.2 AA, outside of what others wrote."""
    page.evaluate(axe)
    assert page.evaluate(LOOK) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
