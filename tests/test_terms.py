"""The ontology in the browser: every term has an address, for people and for machines, and no link leads nowhere."""

import html
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

import kg
from api.app import create_app
from api.render import OURS, address
from api.results import chosen as preferred
from api.settings import Settings
from api.terms import described, terms_of
from kg.cases import cases_of
from kg.graph import Graph, parse
from kg.knowledge import Document
from kg.terms import COV, CPT, ICD10CM, Blank, Literal
from tests.test_pages import read

HTML = {"accept": "text/html"}
BOOKS = [*kg.load_knowledge().policies.values(), *kg.load_knowledge().guidelines]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Start the service over a data directory of its own."""
    with TestClient(create_app(Settings(data=tmp_path_factory.mktemp("data")))) as started:
        yield started


def names() -> list[str]:
    """List every named thing of our namespaces that the knowledge says something of."""
    return sorted({s for s, _, _ in kg.load_knowledge().graph if isinstance(s, str) and s.startswith(OURS)})


def test_every_term_dereferences(client: TestClient) -> None:
    """Each term of our namespaces has a page with its label and definition, at the address that its IRI tells."""
    knowledge = kg.load_knowledge()
    assert len(names()) > 800
    for iri in names():
        answer = client.get(address(iri), headers=HTML)
        assert answer.status_code == 200, iri
        module, _, name = iri.removeprefix(OURS).partition("#")
        assert unquote(answer.url.path) == f"/terms/{module}/{name}".rstrip("/")
        if name:
            assert html.escape(knowledge.label(iri), quote=False) in html.unescape(answer.text), iri
            for definition in knowledge.graph.objects(iri, "http://www.w3.org/2004/02/skos/core#definition"):
                assert isinstance(definition, Literal) and definition.value in html.unescape(answer.text)


@pytest.mark.parametrize(
    ("media", "format"), [("text/turtle", ox.RdfFormat.TURTLE), ("application/ld+json", ox.RdfFormat.JSON_LD)]
)
def test_a_machine_gets_all_that_is_said(client: TestClient, media: str, format: ox.RdfFormat) -> None:
    """Turtle and JSON-LD of a term hold each triple about it, and nothing else."""
    knowledge = kg.load_knowledge()
    for iri in [*names()[::40], f"{CPT}95938", f"{ICD10CM}M54.12"]:
        answer = client.get(address(iri), headers={"accept": media})
        assert answer.headers["content-type"].startswith(media) and answer.headers["vary"] == "Accept"
        members = terms_of(knowledge).modules.get(iri.removeprefix(OURS), ())
        wanted = Graph(t for one in (iri, *members) for t in described(one, knowledge.graph))
        found = Graph(parse(answer.content, format))

        def named(graph: Graph) -> set[tuple[object, ...]]:
            return {t for t in graph if not any(isinstance(term, Blank) for term in t)}

        assert named(found) == named(wanted) and len(found) == len(wanted), iri


def test_a_term_says_where_it_stands(client: TestClient) -> None:
    """The page of a term has its parents, children and codes, what uses it, and the clauses that ask for it."""
    text = read(client.get("/terms/condition/CordCompression", headers=HTML).text).text
    assert "severe cord compression" in text
    page = client.get("/terms/condition/SpinalTumor", headers=HTML).text
    for words in ("disorder of the spine", "spinal neoplasm", "C72.0", "AET-UNPR-CERV"):
        assert words in page
    page = client.get("/terms/line/ssep", headers=HTML).text
    assert "AET-POS-1" in page and 'href="/book/cigna-0509"' in page
    page = client.get("/codes/cpt/95938", headers=HTML).text
    assert "95925" in page and "base study" in page


def test_search_finds_labels_synonyms_and_codes(client: TestClient) -> None:
    """A term is found by any of its names, in any case; the nearest stands first; other words find nothing."""

    def found(words: str) -> list[str]:
        text = client.get("/terms", params={"q": words}).text
        return re.findall(r'<li><a href="([^"]+)"', text.partition("<h2>Modules")[0])

    assert found("spinal cord")[0] == "/terms/anatomy/SpinalCord"
    assert "/terms/condition/SpinalTumor" in found("Spinal TUMOUR")
    assert "/terms/monitoring/MotorEvokedPotential" in found("mep")
    assert found("M54.12")[0] == "/codes/icd10cm/M54.12"
    assert found("no such words here") == []
    hostile = "<script>alert(1)</script>"
    assert hostile in "".join(
        str(attributes.get("value")) for _, attributes in read(client.get("/terms", params={"q": hostile}).text).tags
    )


def test_no_link_leads_nowhere(client: TestClient) -> None:
    """What pages of terms, codes and policies link to is there, within the service and within the page."""
    starts = ["/terms", "/terms?q=cord", "/codes", "/book", *(f"/book/{document.id}" for document in BOOKS)]
    starts += [f"/terms/{name}" for name in terms_of(kg.load_knowledge()).modules] + ["/terms/condition/SpinalTumor"]
    links = set()
    for start in starts:
        answer = client.get(start, headers=HTML)
        assert answer.status_code == 200, start
        read(answer.text)
        ids = {*re.findall(r'\bid="([^"]+)"', answer.text)}
        for link in map(html.unescape, re.findall(r'<a\b[^>]*href="([^"]+)"', answer.text)):
            page, _, place = link.partition("#")
            assert page or place in ids, (start, link)
            links.add(page)
    examples = {link for link in links if link.startswith("/?example=")}
    stored = {"", "/", "/worklist", "/query"} | examples
    kept = sorted(links - stored)
    assert len(kept) > 800
    for link in kept[::3]:
        assert client.get(link, headers=HTML).status_code == 200, link
    for link in sorted(examples)[::40]:
        assert client.get(link).status_code == 200, link


@pytest.mark.parametrize("document", BOOKS, ids=lambda document: document.id)
def test_a_policy_reads_as_a_book(client: TestClient, document: Document) -> None:
    """A book has every clause in the order of the source, its quote, its standing, and every case."""
    text = read(client.get(f"/book/{document.id}").text).text
    at = 0
    for edition in document.editions:
        for clause in edition.clauses:
            at = text.index(clause.criterion.label, at)
            assert clause.criterion.quote in text
            for leaf in clause.criterion.leaves():
                assert leaf.label in text
    assert text.count("⚠ unverified") == sum(not c.verified for e in document.editions for c in e.clauses)
    assert all(case.name in text for case in cases_of(document.id, kg.load_knowledge()))


def test_what_is_not_there_is_not_found(client: TestClient) -> None:
    """An address that no term, code or policy has is not found, and does not repeat what was asked."""
    name = "<script>none</script>"
    for path in ("/terms/", "/terms/condition/", "/codes/cpt/", "/codes/none/", "/book/"):
        answer = client.get(path + quote(name), headers=HTML)
        assert answer.status_code == 404 and "none</script>" not in answer.text
    assert client.get("/terms/condition/SpinalTumor", headers={"accept": "image/png"}).status_code == 406


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("text/turtle", "text/turtle"),
        ("text/turtle;q=0.5, application/ld+json", "application/ld+json"),
        ("text/*;q=0.5, text/html;q=0", "text/turtle"),
        ("application/*", "application/ld+json"),
        ("text/turtle;q=high", None),
        ("image/png", None),
    ],
)
def test_the_media_type_that_is_asked_for_most_is_sent(accept: str, chosen: str | None) -> None:
    """Of the media types on offer, the one with the greatest weight is chosen; none where all weigh nothing."""
    assert preferred(accept, ("text/html", "text/turtle", "application/ld+json")) == chosen


def test_addresses_are_within_the_service() -> None:
    """A term of ours and a code have an address of the service; any other IRI stays itself."""
    assert address(f"{COV}Policy") == "/terms/coverage/Policy"
    assert address(f"{ICD10CM}M54.12") == "/codes/icd10cm/M54.12"
    assert address("http://example.org/x") == "http://example.org/x"


def test_machines_are_told_of_nothing_as_of_any_error(client: TestClient) -> None:
    """A browser gets a page that leads on; what accepts no page gets a problem."""
    for path in ("/terms/none/Such", "/codes/cpt/none", "/book/none"):
        assert client.get(path).headers["content-type"].startswith("text/html")
        told = client.get(path, headers={"accept": "text/turtle"})
        assert (told.status_code, told.headers["content-type"]) == (404, "application/problem+json")
