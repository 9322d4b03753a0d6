"""What the ontology holds of a code, in words."""

from collections.abc import Iterator

from kg.errors import ClaimError, Fault, nearest
from kg.knowledge import LABEL, SUBCLASS_OF, Knowledge, icd10cm
from kg.terms import CONDITION, COV, CPT, HCPCS, TYPE, Literal, Term, local_name

SHOWN = (
    *("states", "suggests", "permits", "statesAbsenceOf", "region", "takesOperatedRegion", "modality", "comprises"),
    *("addOnTo", "notWith", "excludes1", "approach", "countedBy", "unitMinutes", "attends", "performedFrom"),
    *("surgicalSite", "billableFrom", "billableUntil", "sourceStatus"),
)


def describe(code: str, knowledge: Knowledge) -> Iterator[str]:
    """Yield what is known of a code, a line each.

    Raises ClaimError for a code that neither the ontology nor the release holds.
    """
    plain = code.upper().replace(".", "")
    known = [iri for iri in (icd10cm(plain), CPT + plain, HCPCS + plain) if knowledge.graph.objects(iri, TYPE)]
    if known:
        yield from _of(known[0], knowledge)
    elif knowledge.in_release(plain) is not None and plain not in knowledge.history:
        kind = "may be reported" if knowledge.in_release(plain) else "is a header and is never reported"
        yield f"{code}: a code of ICD-10-CM that {kind}; the ontology says nothing more of it, so it states nothing"
    elif plain in knowledge.history:
        yield f"{code}: a code of ICD-10-CM that is known to be gone from {knowledge.history[plain]}; it states nothing"
    else:
        near = nearest(code, map(knowledge.notation, knowledge.codes), "check the code")
        raise ClaimError([Fault("CODE", f"`{code[:80]}` is not a code that Coverpath knows", near)])


def _of(iri: str, knowledge: Knowledge) -> Iterator[str]:
    yield f"{knowledge.notation(iri)}  {knowledge.graph.text(iri, LABEL)}"
    parents = [c for c in knowledge.graph.objects(iri, SUBCLASS_OF) if not str(c).startswith(CONDITION)]
    yield from (f"  is a kind of {_name(parent, knowledge)}" for parent in parents)
    stated = [c for c in knowledge.ancestors(iri) if str(c).startswith(CONDITION) and local_name(str(c)) not in KINDS]
    yield from (f"  states {_name(condition, knowledge)}" for condition in stated)
    for name in SHOWN:
        for value in knowledge.graph.objects(iri, COV + name):
            yield f"  {knowledge.label(COV + name)} {_name(value, knowledge)}"


KINDS = ("Fact", "Condition", "SurgicalFact", "RecordFact")


def _name(term: Term, knowledge: Knowledge) -> str:
    if isinstance(term, Literal):
        return term.value.removesuffix("T00:00:00")
    label, notation = knowledge.label(term), knowledge.notation(str(term))
    ours = str(term).startswith("https://w3id.org/coverpath/")
    return label if ours else f"{notation} ({label})"
