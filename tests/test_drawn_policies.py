"""Policies that are drawn at random: whatever their clauses are and however they are joined, the answers hold.

What no encoded policy asks of the core is asked by some of these. That an answer holds is said by the replay, which
shares no rule with the engine.
"""

import json
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest

import kg
from kg.decide import POSTURES
from kg.knowledge import build
from kg.replay.background import Background
from kg.replay.book import Book
from kg.verify import differences, replayed
from tests.conftest import example, parsed
from tests.strategies import random_claims
from tests.test_knowledge import POLICY, TRIAL, WORDS, extended

EDITION = f"{TRIAL}edition"
NAMED = ':policy rdfs:label "trial"@en .'
KINDS = ("Coverage", "Condition", "Exclusion", "Unproven", "Performer", "Billing", "Documentation")
LINES = ("study", "cervical", "lumbar", "spinal-surgery")
ASKED = ("cord-at-risk", "pathway-at-risk", "every-level-below-cord", "near-cord")  # of other nodes
CONCERNS = ("ssep", "study", "continuous", "monitoring", "any-modality")
STATUSES = ("seen",) * 5 + ("memory",)
REGIONS = ("OperatedRegion", "CervicalRegion", "LumbarRegion")


def policy(knowledge: kg.Knowledge, random: Random) -> str:
    """Draw a policy, `trial`: leaves, joins of them, and clauses of every kind."""
    names = random.sample(sorted(knowledge.facts), 5)
    concepts = [(name, knowledge.facts[name]) for name in names]
    leaves, turtle = [f"line:{name}" for name in (*random.sample(LINES, 3), *random.sample(ASKED, 2))], [POLICY, NAMED]

    def some(of: list[str], least: int, most: int) -> str:
        return " ".join(random.sample(of, random.randint(least, most)))

    for name, concept in concepts:
        region = f" ; cov:inRegion {_region(random.choice(REGIONS))}" if random.random() < 0.3 else ""
        turtle.append(f":{name} a cov:FactLeaf ; {WORDS} ; cov:asksFor <{concept}>{region} .")
        leaves += [f":{name}"] * 2  # what is asked for in two places may be torn between them
    turtle.append(f":units a cov:NumberLeaf ; {WORDS} ; sh:path cov:units ; sh:minInclusive 4 .")
    nodes = list(dict.fromkeys([*leaves, ":units"]))
    for i in range(5):
        join = random.choice(("and", "or", "not", "or"))
        of = random.choice(nodes) if join == "not" else f"( {some(nodes, 1, 3)} )"
        turtle.append(f":join-{i} a cov:Criterion ; {WORDS} ; sh:{join} {of} .")
        nodes.append(f":join-{i}")
    kinds = ["Coverage", *random.choices(KINDS, k=random.randint(1, 6))]
    for i, kind in enumerate(kinds):
        concerns = random.choice(CONCERNS) if random.random() < 0.5 else ""
        turtle.append(
            f":clause-{i} a cov:Criterion , cov:{kind}Clause ; {WORDS} ; cov:inEdition :edition ; cov:order {i} ;"
            f" cov:sourceStatus cov:{random.choice(STATUSES)} ;"
            f" sh:{'and' if concerns else random.choice(('and', 'or', 'or'))} ( {some(nodes, 1, 2)} )"
            + (f" ; cov:concerns line:{concerns}" if concerns else "")
            + (f" ; cov:reason cov:{random.choice(('Unproven', 'Bundled'))}" if random.random() < 0.3 else "")
            + (" ; cov:restoredBy :clause-0" if kind in ("Exclusion", "Unproven") and random.random() < 0.4 else "")
            + (" ; a cov:Edit ; cov:effect cov:StopsLine" if kind == "Billing" and random.random() < 0.3 else "")
            + " ."
        )
    return "\n".join(turtle)


def _region(name: str) -> str:
    return f"cov:{name}" if name == "OperatedRegion" else f"anatomy:{name}"


def refused(knowledge: kg.Knowledge, documents: Iterable[dict[str, Any]], background: Background) -> list[str]:
    """Return where answers under `trial` differ from what the replay tells."""
    book = Book(knowledge.graph, background)
    found = []
    for document in documents:
        claim = parsed({**document, "policy": "trial"})
        for posture in POSTURES:
            given = json.loads(json.dumps(kg.determine(claim, knowledge, posture=posture).to_dict()))
            told, flawed = replayed(claim, book, EDITION, posture)
            failures = differences(given, {**told, "knowledge": given["knowledge"]})
            found += [f"{claim.id} {posture}: {one}" for one in (*failures, *flawed)]
    return found


@pytest.mark.parametrize("seed", [*range(24), *(pytest.param(seed, marks=pytest.mark.fuzz) for seed in range(24, 200))])
def test_answers_under_a_drawn_policy_hold(seed: int, knowledge: kg.Knowledge) -> None:
    """Every line, under every posture, is answered as the replay tells it."""
    trial = build(extended(knowledge, policy(knowledge, Random(seed))), "", knowledge.root)
    background = Background(trial.graph, knowledge.root)
    assert refused(trial, random_claims(knowledge, seed, 4), background) == []


def test_what_an_unverified_clause_decides_is_not_decided_regardless(knowledge: kg.Knowledge) -> None:
    """A fact that refutes coverage, and whose absence only an unverified clause takes for a denial, is asked."""
    turtle = f"""{POLICY} {NAMED}
        :ill a cov:FactLeaf ; {WORDS} ; cov:asksFor condition:Myelopathy .
        :well a cov:Criterion ; {WORDS} ; sh:not :ill .
        :covered a cov:Criterion , cov:CoverageClause ; {WORDS} ; cov:inEdition :edition ;
            cov:sourceStatus cov:seen ; sh:and ( :well ) .
        :asked a cov:Criterion , cov:ConditionClause ; {WORDS} ; cov:inEdition :edition ;
            cov:sourceStatus cov:memory ; sh:and ( :ill ) ."""
    trial = build(extended(knowledge, turtle), "", knowledge.root)
    document = {**example("c01"), "facts": []}
    line = kg.determine(parsed(document), trial, "trial", "payer").to_dict()["lines"][0]
    assert line["decision"] == "pend" and not line["decidedRegardless"]
    assert refused(trial, [document], Background(trial.graph, knowledge.root)) == []


def test_a_leaf_that_names_no_field_is_one_thing_or_the_other(knowledge: kg.Knowledge) -> None:
    """Of two exclusions one holds, however many units there are: nobody is asked, and nothing is approved."""
    excluding = "a cov:Criterion , cov:ExclusionClause ; cov:inEdition :edition ; cov:sourceStatus cov:seen"
    turtle = f"""{POLICY} {NAMED}
        :units a cov:NumberLeaf ; {WORDS} ; sh:path cov:units ; sh:minInclusive 4 .
        :few a cov:Criterion ; {WORDS} ; sh:not :units .
        :covered a cov:Criterion , cov:CoverageClause ; {WORDS} ; cov:inEdition :edition ;
            cov:sourceStatus cov:seen ; sh:and ( line:study ) .
        :one {excluding} ; {WORDS} ; sh:and ( :units ) .
        :other {excluding} ; {WORDS} ; sh:and ( :few ) ."""
    trial = build(extended(knowledge, turtle), "", knowledge.root)
    document = example("c01")
    document = {**document, "lines": [{"code": line["code"]} for line in document["lines"]]}
    for posture in POSTURES:
        line = kg.determine(parsed(document), trial, "trial", posture).to_dict()["lines"][0]
        assert (line["decision"], line["missing"], line["decidedRegardless"]) == ("deny", [], True)
    assert refused(trial, [document], Background(trial.graph, knowledge.root)) == []
