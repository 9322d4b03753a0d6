"""owlrl, an OWL RL reasoner, judges the closure that the engine computes: both are the same, in both directions.

It reads the core ontology and, as it takes minutes for all codes, slices of them. What it adds beyond, and why the
engine ignores that, is the table of ontology/CLOSURE.md; `python -m tests.test_owlrl` prints the figures for it.
"""

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb
from pathlib import Path

import owlrl
import pytest
from rdflib import OWL, RDF, RDFS, XSD, BNode, Graph, Literal, URIRef
from rdflib.term import Node

import kg
from kg.knowledge import CAUDAL, ENCLOSES, EXITS_AT
from kg.terms import ANATOMY, COV, ICD10CM, MONITORING

Triple = tuple[Node, Node, Node]

ROOT = Path(__file__).resolve().parent.parent
CORE = ("anatomy", "claim", "condition", "coverage", "evidence", "monitoring")
SERVICES = ("codes/cpt", "codes/hcpcs")
FAMILIES = re.compile(r"(?:M47|M50|M54|S14)(?:\.|$)")
OURS = "https://w3id.org/coverpath/"
FAULT = "http://www.daml.org/2002/03/agents/agent-ont#"  # owlrl's own words for a contradiction
PART_OF = ANATOMY + "partOf"
CAUDAL_TO = ANATOMY + "caudalTo"


@dataclass(frozen=True, eq=False)
class Judged:
    """What some files assert, and that with all that owlrl entails from it."""

    asserted: Graph
    entailed: Graph
    seconds: float

    def added(self) -> Iterator[Triple]:
        """Yield what owlrl adds."""
        return (triple for triple in self.entailed if triple not in self.asserted)

    def values(self, subject: str, predicate: str) -> set[str]:
        """Return the entailed values of a property."""
        return set(map(str, self.entailed.objects(URIRef(subject), URIRef(predicate))))

    def pairs(self, predicate: str) -> set[tuple[str, str]]:
        """Return each entailed pair of a property."""
        return {(str(s), str(o)) for s, o in self.entailed.subject_objects(URIRef(predicate))}

    def classes(self) -> list[str]:
        """List the classes that the files declare."""
        return sorted(str(cls) for cls in self.asserted.subjects(RDF.type, OWL.Class))

    def individuals(self) -> dict[str, set[str]]:
        """Return each individual that the files declare, with the classes that they assert of it."""
        found: dict[str, set[str]] = {}
        for cls in self.classes():
            for individual in self.asserted.subjects(RDF.type, URIRef(cls)):
                found.setdefault(str(individual), set()).add(cls)
        return found


def slice_of_codes() -> Graph:
    """Return some families of diagnoses, and all that is above them."""
    spine, found = Graph().parse(ROOT / "ontology/codes/icd10cm-spine.ttl"), Graph()
    classes = set(spine.subjects(RDF.type, OWL.Class))
    family = [cls for cls in classes if FAMILIES.match(str(cls).removeprefix(ICD10CM))]
    for cls in {above for member in family for above in spine.transitive_objects(member, RDFS.subClassOf)} & classes:
        for triple in spine.triples((cls, None, None)):
            found.add(triple)
    return found


def judge(asserted: Graph) -> Judged:
    """Let owlrl entail what follows."""
    entailed = Graph()
    for triple in asserted:
        entailed.add(triple)
    began = time.perf_counter()
    owlrl.DeductiveClosure(owlrl.OWLRL_Semantics).expand(entailed)
    return Judged(asserted, entailed, time.perf_counter() - began)


def judge_ontology() -> Judged:
    """Let owlrl judge the core ontology, the services, and the slices of the diagnoses."""
    asserted = slice_of_codes()
    for module in (*CORE, *SERVICES):
        asserted.parse(ROOT / "ontology" / f"{module}.ttl")
    return judge(asserted)


@pytest.fixture(scope="module")
def judged() -> Judged:
    return judge_ontology()


def test_every_module_of_the_core_is_judged() -> None:
    """No module beside `all.ttl` stands in ontology/ that owlrl does not read."""
    assert {file.stem for file in (ROOT / "ontology").glob("*.ttl")} - {"all"} == set(CORE)


def test_class_hierarchy(judged: Judged, knowledge: kg.Knowledge) -> None:
    """What is above a class for the engine is what owlrl entails, but for owl:Thing."""
    classes = judged.classes()
    assert len(classes) > 500
    for cls in classes:
        assert set(knowledge.ancestors(cls)) == judged.values(cls, str(RDFS.subClassOf)) - {str(OWL.Thing)}, cls


def test_classes_of_individuals(judged: Judged, knowledge: kg.Knowledge) -> None:
    """The classes of an individual are those above its asserted ones, as owlrl entails them, but for owl:Thing."""
    individuals = judged.individuals()
    assert len(individuals) > 200
    for individual, classes in individuals.items():
        above = {str(cls) for asserted in classes for cls in knowledge.ancestors(asserted)}
        builtin = {str(OWL.Thing), str(OWL.NamedIndividual)}
        assert above == judged.values(individual, str(RDF.type)) - builtin, individual


def test_parts_and_wholes(judged: Judged, knowledge: kg.Knowledge) -> None:
    """What a structure is part of for the engine is itself and what owlrl entails, and nothing is part of itself."""
    structures = [str(i) for i in judged.entailed.subjects(RDF.type, URIRef(ANATOMY + "Structure"))]
    assert len(structures) > 100
    for structure in structures:
        wholes = judged.values(structure, PART_OF)
        assert structure not in wholes
        assert set(knowledge.wholes(structure)) == {structure} | wholes, structure
    assert {part for part, _ in judged.pairs(PART_OF)} <= set(structures)


def test_levels(judged: Judged, knowledge: kg.Knowledge) -> None:
    """The levels of the engine are the entailed instances of anatomy:SpinalLevel."""
    entailed = judged.entailed.subjects(RDF.type, URIRef(ANATOMY + "SpinalLevel"))
    assert knowledge.level_iris == set(map(str, entailed))
    assert len(knowledge.levels) == len(knowledge.level_iris)


def test_order_of_levels(judged: Judged, knowledge: kg.Knowledge) -> None:
    """A level ranks after another if and only if owlrl entails that it is caudal to it, and the order is total."""
    ordered = sorted(knowledge.level_iris, key=knowledge.rank)
    ranked = {(caudal, rostral) for rostral, caudal in combinations(ordered, 2)}
    assert list(knowledge.levels.values()) == ordered
    assert judged.pairs(CAUDAL_TO) == ranked
    assert len(ranked) == comb(len(ordered), 2)


def test_walks(judged: Judged, knowledge: kg.Knowledge) -> None:
    """The walk from a level up to another is a chain of asserted steps, where owlrl entails the order of its ends."""
    for caudal, rostral in judged.pairs(CAUDAL_TO):
        walk = knowledge.walk(caudal, rostral)
        assert walk[0][0] == caudal and walk[-1][2] == rostral
        assert all(first[2] == second[0] for first, second in pairwise(walk))
        assert all((URIRef(str(s)), URIRef(p), URIRef(str(o))) in judged.asserted for s, p, o in walk)
        assert {p for _, p, _ in walk} == {CAUDAL}


def test_other_properties_are_as_asserted(judged: Judged) -> None:
    """Of our properties, owlrl adds only to `partOf` and `caudalTo`: what a canal encloses is as asserted."""
    added = {str(p) for _, p, _ in judged.added() if str(p).startswith(OURS)}
    assert added == {PART_OF, CAUDAL_TO}
    assert judged.pairs(ENCLOSES)


def test_enclosed(judged: Judged, knowledge: kg.Knowledge) -> None:
    """A place holds what owlrl knows it to enclose, and the roots that leave at it or at a level that is part of it."""
    exits, wholes = judged.pairs(EXITS_AT), judged.pairs(PART_OF)
    for place in (*knowledge.level_iris, *knowledge.regions.values()):
        roots = {root for root, level in exits if level == place or (level, place) in wholes}
        assert set(knowledge.enclosed(place)) == judged.values(place, ENCLOSES) | roots, place


def test_courses(judged: Judged, knowledge: kg.Knowledge) -> None:
    """What a study follows is what owlrl knows its modalities to monitor and those pathways to run through."""
    studies = {study for study, _ in judged.pairs(COV + "modality")}
    assert len(studies) > 20
    for study in studies:
        modalities = judged.values(study, COV + "modality")
        pathways = {x for modality in modalities for x in judged.values(modality, MONITORING + "monitors")}
        courses = {x for pathway in pathways for x in judged.values(pathway, MONITORING + "runsThrough")}
        assert set(map(str, knowledge.courses(study))) == courses, study


def faults(judged: Judged) -> list[str]:
    """List what owlrl reports to be contradictory, and what it entails to be an owl:Nothing."""
    graph = judged.entailed
    reports = [str(o) for s, p, o in graph if str(p).startswith(FAULT)]
    members = [f"{s} is an owl:Nothing" for s in graph.subjects(RDF.type, OWL.Nothing)]
    empty = [f"{s} has no instance" for s in graph.subjects(RDFS.subClassOf, OWL.Nothing) if s != OWL.Nothing]
    return reports + members + empty


def test_the_ontology_is_consistent(judged: Judged) -> None:
    """Owlrl finds no contradiction, no instance of owl:Nothing and no class without instances."""
    assert faults(judged) == []


@pytest.mark.parametrize(
    ("planted", "told"),
    [
        ("a:C4 a a:Vertebra , a:Interspace . a:Vertebra owl:disjointWith a:Interspace .", "Disjoint classes"),
        ("a:C4 a a:Gone . a:Gone rdfs:subClassOf owl:Nothing .", "is an owl:Nothing"),
        ("a:Gone a owl:Class ; rdfs:subClassOf owl:Nothing .", "has no instance"),
    ],
)
def test_a_contradiction_is_found(planted: str, told: str) -> None:
    """A contradiction that is planted is reported."""
    prefixes = f"@prefix a: <{ANATOMY}> . @prefix owl: <{OWL}> . @prefix rdfs: <{RDFS}> ."
    graph = Graph().parse(data=f"{prefixes} {planted}", format="turtle")
    assert any(told in fault for fault in faults(judge(graph)))


NAMESPACES = {str(OWL): "owl:", str(RDFS): "rdfs:", str(RDF): "rdf:", str(XSD): "xsd:"}
DATATYPES = ("xsd:", "rdf:HTML", "rdf:PlainLiteral", "rdf:XMLLiteral", "rdf:langString", "rdfs:Literal")


def short(term: Node) -> str:
    """Write a term of the W3C with its prefix, and any other as what it is."""
    for namespace, prefix in NAMESPACES.items():
        if isinstance(term, URIRef) and term.startswith(namespace):
            return prefix + term.removeprefix(namespace)
    return "a literal" if isinstance(term, Literal) else "a blank node" if isinstance(term, BNode) else "a term"


def kind(triple: Triple) -> str:
    """Name the kind of an entailed triple as the tables of CLOSURE.md do."""
    subject, predicate, value = map(short, triple)
    if predicate == "a term":
        return f"`anatomy:{str(triple[1]).removeprefix(ANATOMY)}`"
    if triple[0] == triple[2]:
        return f"`{predicate}` of {'a literal' if subject == 'a literal' else 'a term'} to itself"
    if predicate == "rdf:type" and subject == "a literal":
        return "`rdf:type` of a literal"
    if predicate == "rdf:type" and not subject.startswith("a "):
        return f"`rdf:type` of {'a datatype' if subject.startswith(DATATYPES) else 'a term of OWL or RDFS'}: `{value}`"
    between = [
        "a datatype" if x.startswith(DATATYPES) else x if x.startswith("a ") else f"`{x}`" for x in (subject, value)
    ]
    return f"`{predicate}` from {between[0]} to {between[1]}"


def table() -> set[str]:
    """Return the kinds that the tables of CLOSURE.md list."""
    rows = (ROOT / "ontology/CLOSURE.md").read_text("utf-8").splitlines()
    return {row.split("|")[1].strip() for row in rows if row.startswith("| `")}


def test_the_tables_list_what_owlrl_adds(judged: Judged) -> None:
    """The kinds of triples in the tables of CLOSURE.md are exactly those that owlrl adds."""
    assert table() == {kind(triple) for triple in judged.added()}


def main() -> None:
    """Print what owlrl adds, by kind, with an example each."""
    judged = judge_ontology()
    sizes = len(judged.asserted), len(judged.entailed), judged.seconds
    print("{} triples asserted, {} after {:.0f} s".format(*sizes))
    examples = {kind(triple): triple for triple in sorted(judged.added(), reverse=True)}
    for name, count in Counter(map(kind, judged.added())).most_common():
        print(f"| {name} | {count} |", " ".join(term.n3(judged.asserted.namespace_manager) for term in examples[name]))


if __name__ == "__main__":
    main()
