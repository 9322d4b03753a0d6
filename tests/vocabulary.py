"""What a claim can say: the codes, levels, facts and dates that the knowledge holds, grouped by what they mean.

Nothing is listed by hand: a code that is added to the ontology is used from then on. One code of a group is as good
as another to the criteria, so a test that draws a group first meets the rare ones as often as the common.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

import kg
from kg.terms import ANATOMY, CONDITION, COV, CPT, HCPCS, ICD10CM, SH, SKOS, TYPE, Literal, local_name, written

OWL_CLASS = "http://www.w3.org/2002/07/owl#Class"
MEANING = {  # what a code says that a criterion or a rule reads
    COV + name
    for name in (
        *("states", "statesAbsenceOf", "suggests", "permits", "region", "takesOperatedRegion", "surgicalSite"),
        *("modality", "performedFrom", "attends", "isAddOn", "comprises", "unitMinutes", "remainderMinutes"),
        *("billableUntil", "notWith"),
    )
}
Group = tuple[str, ...]


@dataclass(frozen=True)
class Vocabulary:
    """What claims are made of, as documents write it."""

    diagnoses: tuple[Group, ...]
    excluding: tuple[Group, ...]  # pairs of diagnoses that exclude each other
    operations: tuple[Group, ...]
    studies: tuple[Group, ...]  # the codes of service lines
    continuous: Group
    not_together: tuple[Group, ...]  # pairs of services that are not reported together
    unknown: Group  # well-formed codes of services that the ontology does not hold
    levels: Group
    interspaces: Group
    regions: Group
    facts: Group
    record: Group  # the facts about who monitored, how, and what was written down
    roles: Group
    techniques: Group
    policies: Group
    days: Mapping[str, Group]  # for each policy: today, each border of validity or edition, and the day before it


def vocabulary(knowledge: kg.Knowledge) -> Vocabulary:
    """Read from the knowledge what claims can say."""
    graph = knowledge.graph
    classes = [s for s in graph.subjects(TYPE, OWL_CLASS) if isinstance(s, str)]
    services = [s for s in classes if s.startswith((CPT, HCPCS))]
    operative = {s for s in services if COV + "OperativeProcedure" in knowledge.ancestors(s)}
    named = {code_of(s, knowledge) for s in services}
    levels = knowledge.levels
    borders = sorted({day for border in _borders(knowledge) for day in (border - DAY, border)})
    return Vocabulary(
        diagnoses=(
            *_alike((s for s in classes if s.startswith(ICD10CM) and _is_code(s)), knowledge),
            *_unstudied({code_of(s, knowledge).replace(".", "") for s in classes}, knowledge),
        ),
        excluding=tuple(sorted(set(_excluding(classes, knowledge)))),
        operations=_alike(operative, knowledge),
        studies=_alike(set(services) - operative, knowledge),
        continuous=tuple(code_of(s, knowledge) for s in in_use(COV + "ContinuousMonitoring", knowledge)),
        not_together=tuple(
            (code_of(s, knowledge), code_of(str(other), knowledge))
            for s in services
            for other in graph.objects(s, COV + "notWith")
        ),
        unknown=tuple(code for n in range(9) if (code := f"{n:05}") not in named),
        levels=tuple(levels),
        interspaces=tuple(name for name, iri in levels.items() if (iri, TYPE, ANATOMY + "Interspace") in graph),
        regions=tuple(knowledge.regions),
        facts=tuple(knowledge.facts),
        record=tuple(n for n, iri in knowledge.facts.items() if CONDITION + "RecordFact" in knowledge.ancestors(iri)),
        roles=tuple(knowledge.named("Role")),
        techniques=tuple(knowledge.named("Technique")),
        policies=tuple(knowledge.policies),
        days={
            policy.id: tuple(str(day) for day in (TODAY, *borders) if policy.edition(day))
            for policy in knowledge.policies.values()
        },
    )


def code_of(iri: str, knowledge: kg.Knowledge) -> str:
    """Return a code as documents write it."""
    return knowledge.graph.text(iri, SKOS + "notation") or local_name(iri)


def main_region(iri: str, knowledge: kg.Knowledge) -> str:
    """Return the main region of the spine that a code names, by its name; empty if it names none."""
    region = knowledge.graph.iri(iri, COV + "region")
    return knowledge.notation(knowledge.main_region(region)[0]) if region else ""


def in_use(kind: str, knowledge: kg.Knowledge) -> list[str]:
    """Return the codes below a class of codes that may be reported today."""
    graph = knowledge.graph
    return [
        s
        for s in graph.subjects(TYPE, OWL_CLASS)
        if isinstance(s, str)
        and s.startswith((CPT, HCPCS, ICD10CM))
        and kind in knowledge.ancestors(s)
        and graph.value(s, COV + "billableUntil") is None
        and (graph.value(s, COV + "billableFrom") is not None or not s.startswith(ICD10CM))  # a header has no start
    ]


DAY = timedelta(days=1)
TODAY = date(2025, 3, 14)


def _is_code(iri: str) -> bool:
    """Say whether a class is a code and no range of codes, such as a chapter."""
    return "-" not in local_name(iri)


def _alike(iris: Iterable[str], knowledge: kg.Knowledge) -> tuple[Group, ...]:
    """Group codes by what they mean."""

    def meaning(iri: str) -> list[str]:
        graph = knowledge.graph
        above = {a for a in map(str, knowledge.ancestors(iri)) if not a.startswith(ICD10CM) and a != iri}
        said = {f"{p} {written(o)}" for p in graph.predicates(iri) if p in MEANING for o in graph.objects(iri, p)}
        header = "" if graph.value(iri, COV + "billableFrom") else "a header, or of all times"
        asked = {f"asked by {name}" for name in map(str, graph.subjects(SH + "hasValue", iri))}
        return sorted({*above, *said, *asked, header})

    ordered = sorted(iris, key=lambda iri: (meaning(iri), iri))
    return tuple(tuple(code_of(iri, knowledge) for iri in group) for _, group in groupby(ordered, meaning))


def _unstudied(studied: set[str], knowledge: kg.Knowledge) -> Iterator[Group]:
    """Yield codes of the release and of former releases about which the ontology says nothing."""
    for listed in (knowledge.release.splitlines(), knowledge.history):
        codes = [code for code in listed if code.isalnum() and code not in studied]
        yield tuple(codes[:: len(codes) // 8])


def _excluding(classes: list[str], knowledge: kg.Knowledge) -> Iterator[Group]:
    below: dict[str, list[str]] = {}
    for s in classes:
        if s.startswith(ICD10CM) and knowledge.graph.value(s, COV + "billableFrom"):
            for above in knowledge.ancestors(s):
                below.setdefault(str(above), []).append(s)
    for s in classes:
        for excluded in map(str, knowledge.graph.objects(s, COV + "excludes1")):
            if s in below and excluded in below:
                yield code_of(below[s][0], knowledge), code_of(below[excluded][-1], knowledge)


def _borders(knowledge: kg.Knowledge) -> Iterator[date]:
    for document in knowledge.policies.values():
        for edition in document.editions:
            yield from (day for day in (edition.start, edition.end) if day)
    for _, p, o in knowledge.graph:
        if p in (COV + "billableFrom", COV + "billableUntil") and isinstance(o, Literal):
            yield date.fromisoformat(o.value[:10])
