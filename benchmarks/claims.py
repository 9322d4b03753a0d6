"""Claims to measure with: distinct, like those of a spine service, and the same for the same seed."""

import json
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

import kg
from kg.terms import COV, MONITORING, TYPE
from tests.vocabulary import code_of, in_use, main_region, vocabulary

PAYER = "aetna"
STUDIES = ("SomatosensoryEvokedPotential", "MotorEvokedPotential", "NeuromuscularMonitoring", "Electromyography")


def five_line_claims(count: int, seed: int, knowledge: kg.Knowledge | None = None) -> list[dict[str, Any]]:
    """Return claim documents of five lines, no two alike.

    Four studies and continuous monitoring; one or two procedures at one to four neighbouring levels in one region;
    one to four diagnoses of that region or of none; facts of patient and record, most of them present.
    """
    found: dict[str, dict[str, Any]] = {}
    documents = _documents(Random(seed), knowledge or kg.load_knowledge())
    while len(found) < count:
        document = next(documents)
        found.setdefault(json.dumps(document), document)
    return [{"id": f"bench-{seed}-{i}", **document} for i, document in enumerate(found.values(), 1)]


def _documents(random: Random, knowledge: kg.Knowledge) -> Iterator[dict[str, Any]]:
    words = vocabulary(knowledge)
    levels: dict[str, list[str]] = {}
    for name in words.interspaces:
        levels.setdefault(knowledge.notation(knowledge.main_region(knowledge.levels[name])[0]), []).append(name)
    diagnoses, procedures = (
        _by_region(in_use(COV + kind, knowledge), knowledge) for kind in ("CodedDiagnosis", "SpineProcedure")
    )
    studies = [_recording(kind, knowledge) for kind in STUDIES]
    conditions = [name for name in words.facts if name not in words.record]
    while True:
        region = random.choice([region for region in levels if region in procedures])
        count = random.randint(1, min(4, len(levels[region])))
        first = random.randint(0, len(levels[region]) - count)
        performed = random.sample(procedures[region] + procedures[""], random.randint(1, 2))
        facts = random.sample(conditions, random.randint(1, 5)) + random.sample(words.record, random.randint(0, 6))
        yield {
            "payer": PAYER,
            "serviceDate": f"2025-{random.randint(1, 12):02}-{random.randint(1, 28):02}",
            "patient": {"age": random.randint(18, 85), "sex": random.choice(("female", "male"))},
            "diagnoses": random.sample(diagnoses[region] + diagnoses[""], random.randint(1, 4)),
            "operation": {
                "procedures": [{"code": code, "levels": levels[region][first : first + count]} for code in performed]
            },
            "lines": [
                *({"code": random.choice(codes)} for codes in studies),
                {"code": random.choice(words.continuous), "units": random.randint(1, 12)},
            ],
            "facts": [
                {"fact": name, "status": random.choice(("present", "present", "present", "absent"))}
                for name in sorted(facts)
            ],
        }


def _by_region(iris: Iterable[str], knowledge: kg.Knowledge) -> dict[str, list[str]]:
    """Return codes by the region that they name, those that name none under the empty name."""
    found: dict[str, list[str]] = {}
    for iri in sorted(iris):
        found.setdefault(main_region(iri, knowledge), []).append(code_of(iri, knowledge))
    return found


def _recording(kind: str, knowledge: kg.Knowledge) -> list[str]:
    """Return the codes of base studies that record modalities of a kind."""
    graph = knowledge.graph
    return sorted(
        code_of(iri, knowledge)
        for iri in in_use(COV + "BaseStudy", knowledge)
        if any(MONITORING + kind in graph.objects(modality, TYPE) for modality in graph.objects(iri, COV + "modality"))
    )
