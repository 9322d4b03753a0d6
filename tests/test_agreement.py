"""The derived SHACL, run by pySHACL, and the evaluator find the same status for every criterion."""

from typing import Any

import pyshacl
import pytest
import rdflib

import kg
from kg.criteria import derived_shapes
from kg.evaluate import evaluate
from kg.explain import Determination
from kg.shapes import Run
from kg.terms import COV, ICD10CM, Blank, Literal, Term, local_name
from tests.conftest import example, parsed

SH = rdflib.Namespace("http://www.w3.org/ns/shacl#")
CLAIMS: dict[str, dict[str, Any]] = {
    "c01": {},
    "c02": {},
    "c01, severe compression present": {"facts": [{"fact": "SevereCordCompression", "status": "present"}]},
    "c01, compression absent and severe compression present": {
        "facts": [
            {"fact": "SevereCordCompression", "status": "present"},
            {"fact": "CordCompression", "status": "absent"},
        ]
    },
    "c02, low conus": {"operation": {"procedures": [{"code": "63200", "levels": ["L5-S1"]}], "conusLevel": "L5"}},
}


@pytest.mark.parametrize("name", CLAIMS)
def test_pyshacl_and_the_evaluator_agree_on_every_criterion(name: str, knowledge: kg.Knowledge) -> None:
    """Both sides of every criterion, on every line: pySHACL conforms where the evaluator finds a witness."""
    claim = parsed({**example(name[:3]), **CLAIMS[name]})
    determination = kg.determine(claim, knowledge)
    ours = statuses(determination)
    theirs = by_pyshacl(determination)
    assert len(ours) == len(knowledge.criteria) * len(claim.lines)
    assert {key: status for key, status in ours.items() if theirs[key] != status} == {}
    assert set(ours.values()) >= {(True, False), (False, True), (False, False)}


def statuses(determination: Determination) -> dict[tuple[str, str], tuple[bool, bool]]:
    """Return the two bits of each criterion at each line, as the evaluator finds them."""
    run = Run(determination.facts().graph)
    found = {}
    for criterion in determination.knowledge.criteria.values():
        for _, line, _ in determination.claim.lines:
            outcome = evaluate(criterion, run, line, {})
            found[criterion.iri, line] = (outcome.met, outcome.refuted)
    return found


def by_pyshacl(determination: Determination) -> dict[tuple[str, str], tuple[bool, bool]]:
    """Return the same, as pySHACL finds them: a probe without a result conforms."""
    knowledge = determination.knowledge
    shapes = rdflib.Graph().parse(data=derived_shapes(knowledge.criteria.values(), knowledge.graph), format="turtle")
    _, report, _ = pyshacl.validate(data_graph(determination), shacl_graph=shapes, max_validation_depth=60)
    failed = {
        (str(report.value(result, SH.sourceShape)), str(report.value(result, SH.focusNode)))
        for result in report.subjects(rdflib.RDF.type, SH.ValidationResult)
    }
    return {
        (iri, line): ((f"{iri}.met.probe", line) not in failed, (f"{iri}.refuted.probe", line) not in failed)
        for iri in knowledge.criteria
        for _, line, _ in determination.claim.lines
    }


def data_graph(determination: Determination) -> rdflib.Graph:
    """Return claim, derived facts and ontology in one graph, without diagnosis codes that the claim cannot reach."""
    facts = determination.facts()
    reached = {
        code
        for diagnosis in facts.graph.objects(determination.claim.iri, COV + "diagnosis")
        for code in determination.knowledge.ancestors(str(facts.graph.value(diagnosis, COV + "code")))
    }
    data = rdflib.Graph()
    for s, p, o in facts.graph:
        if not (isinstance(s, str) and s.startswith(ICD10CM) and s not in reached):
            data.add((node(s), rdflib.URIRef(p), node(o)))
    return data


def node(term: Term) -> rdflib.term.Node:
    """Return a term as rdflib writes it."""
    if isinstance(term, Literal):
        datatype = None if term.language else rdflib.URIRef(term.datatype)
        plain = local_name(term.datatype) == "string"
        return rdflib.Literal(term.value, lang=term.language or None, datatype=None if plain else datatype)
    return rdflib.BNode(term.label) if isinstance(term, Blank) else rdflib.URIRef(term)
