"""What would change a decision, and on what a denial rests: sound, minimal and complete, against brute force.

A change is tried as a provider would make it: the claim is determined again with the facts listed. Changes that name
a field of the claim instead of a fact are left out: how it would be filled in is not said.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import chain, combinations, product
from typing import Any

import pytest
from hypothesis import assume

import kg
from kg.changes import OPERATED_REGION
from kg.decide import POSTURES
from kg.terms import local_name
from tests.conftest import example, parsed
from tests.engines import statuses
from tests.strategies import Document, claims, counts, for_all
from tests.test_laws import flat, with_facts

Fact = tuple[str, str, str]  # name, status, region
Facts = frozenset[Fact]
MOST_OPEN = 10  # open facts of a claim up to which every set of few of them is tried
TRIED = 2  # facts documented at once; each claim has some hundred such sets


class Tried:
    """A claim, and what becomes of its lines as facts are listed."""

    def __init__(self, document: Document, knowledge: kg.Knowledge) -> None:
        self.document = document
        self.knowledge = knowledge
        self.answers = {posture: self.determine(frozenset(), posture) for posture in POSTURES}
        self.decisions = cache(self._decisions)

    def claim(self, facts: Facts) -> kg.Claim:
        """Return the claim with further facts listed."""
        listed = (
            {"fact": name, "status": status, **({"region": region} if region in self.knowledge.regions else {})}
            for name, status, region in sorted(facts)
        )
        return parsed(with_facts(self.document, *listed))

    def determine(self, facts: Facts, posture: str) -> list[dict[str, Any]]:
        """Return the answer for each line with further facts listed."""
        determination = kg.determine(self.claim(facts), self.knowledge, posture=posture)
        lines: list[dict[str, Any]] = determination.to_dict()["lines"]
        return lines

    def _decisions(self, facts: Facts) -> list[Mapping[str, str]]:
        return [line["decisions"] for line in self.determine(facts, "payer")]

    def open_facts(self) -> set[tuple[str, str]]:
        """Return name and region of each fact that an open leaf of some line asks for."""
        found = set()
        for line in self.answers["payer"]:
            for node in flat(line["path"]):
                leaf = self.knowledge.criteria.get(node["criterion"])
                if node["status"] == "undocumented" and leaf and leaf.concept:
                    name, region = local_name(leaf.concept), self.knowledge.notation(leaf.region)
                    if name in self.knowledge.facts:
                        found.add((name, region if region in self.knowledge.regions else ""))
        return found

    def asks_for_a_field(self, node: Document) -> bool:
        """Say whether a criterion is open that no fact settles."""
        leaf = self.knowledge.criteria.get(node["criterion"])
        return node["status"] == "undocumented" and leaf is not None and leaf.is_leaf and not leaf.concept

    def changes(self) -> Iterator[tuple[str, int, str, Facts]]:
        """Yield each change of facts alone: posture, line, what it leads to, and the facts."""
        for posture, lines in self.answers.items():
            for i, line in enumerate(lines):
                for change in line["changes"]:
                    if all("fact" in fact for fact in change["facts"]):
                        facts = ((f["fact"], f["status"], self.place(f)) for f in change["facts"])
                        yield posture, i, change["to"], frozenset(facts)

    def place(self, fact: Mapping[str, str]) -> str:
        """Return the region in which a fact is to be listed; empty where the operation was."""
        region = fact.get("region", "")
        return region if region in self.knowledge.regions else ""

    def leads_to(self, posture: str, i: int, to: str, facts: Facts) -> bool:
        """Say whether facts lead a line to what a change promises: a decision, or one caveat fewer."""
        if to != "secured":
            return self.decisions(facts)[i][posture] == to
        before, after = self.answers[posture][i], self.determine(facts, posture)[i]
        return after["decision"] == "approve" and len(after["caveats"]) < len(before["caveats"])


def subsets(facts: Iterable[Fact]) -> Iterator[Facts]:
    """Yield the proper subsets of facts, large ones first."""
    listed = sorted(facts)
    sizes = range(len(listed) - 1, 0, -1)
    return map(frozenset, chain.from_iterable(combinations(listed, size) for size in sizes))


@counts(15, 500)
def test_changes_are_sound(count: int, knowledge: kg.Knowledge) -> None:
    """With the facts of a change listed, the decision is the promised one."""

    def law(document: Document) -> None:
        tried = Tried(document, knowledge)
        for posture, i, to, facts in tried.changes():
            assert tried.leads_to(posture, i, to, facts), (posture, i, to, facts)

    for_all(claims(knowledge), count, law, shrink=False)


@counts(15, 500)
def test_a_change_is_kept_or_a_person_looks(count: int, knowledge: kg.Knowledge) -> None:
    """With its facts listed, a line gets what was promised, or goes to review; never a decision of another kind.

    This is less than soundness, and holds while that does not.
    """

    def law(document: Document) -> None:
        tried = Tried(document, knowledge)
        for posture, i, to, facts in tried.changes():
            after = tried.decisions(facts)[i][posture]
            assert not facts or after in (to.replace("secured", "approve"), "review"), (posture, i, to, facts)

    for_all(claims(knowledge), count, law)


@counts(15, 500)
def test_changes_are_minimal(count: int, knowledge: kg.Knowledge) -> None:
    """With fewer of the facts listed, the decision is not yet the promised one."""

    def law(document: Document) -> None:
        tried = Tried(document, knowledge)
        for posture, i, to, facts in tried.changes():
            for fewer in list(subsets(facts))[:30]:
                assert not tried.leads_to(posture, i, to, fewer), (posture, i, to, facts, fewer)

    for_all(claims(knowledge), count, law)


@counts(15, 500)
def test_changes_contradict_nothing(count: int, knowledge: kg.Knowledge) -> None:
    """The facts of a change contradict neither each other nor the record: on the line no leaf comes into conflict.

    On another line they may: a fact is one of the claim, and the role of a performer denies it for one line. And where
    several regions were operated on, a leaf that asks of the operated region may: what is present in one region and
    absent in another is no contradiction, though it meets that leaf and refutes it.
    """

    def law(document: Document) -> None:
        tried = Tried(document, knowledge)

        @cache
        def conflicting(facts: Facts) -> set[tuple[str, str]]:
            determination = kg.determine(tried.claim(facts), knowledge)
            several = len(determination.reasoned.operated_regions) > 1
            leaves = {iri: one for iri, one in knowledge.criteria.items() if one.is_leaf}
            asked = {iri for iri, leaf in leaves.items() if not (several and leaf.region == OPERATED_REGION)}
            found = statuses(determination, "payer").items()
            return {key for key, status in found if status == (True, True) and key[0] in asked}

        for _, i, _, facts in tried.changes():
            came = conflicting(facts) - conflicting(frozenset())
            assert not [key for key in came if key[1].endswith(f"#line-{i + 1}")], (i, facts)

    for_all(claims(knowledge), count, law)


@counts(4, 200)
def test_changes_are_complete(count: int, knowledge: kg.Knowledge) -> None:
    """Any few open facts that turn a decision to approval or denial contain a change that is named."""

    def law(document: Document) -> None:
        tried = Tried({**document, "lines": document["lines"][:2]}, knowledge)
        asked = sorted(tried.open_facts())
        assume(0 < len(asked) <= MOST_OPEN)
        named: dict[tuple[str, int, str], list[Facts]] = {}
        for posture, i, to, facts in tried.changes():
            named.setdefault((posture, i, to), []).append(facts)
        before = tried.decisions(frozenset())
        for some in (chosen for size in range(1, TRIED + 1) for chosen in combinations(asked, size)):
            for stated in product(("present", "absent"), repeat=len(some)):
                facts = frozenset((name, status, region) for (name, region), status in zip(some, stated, strict=True))
                for i, decisions in enumerate(tried.decisions(facts)):
                    for posture, to in decisions.items():
                        if to in ("approve", "deny") and before[i][posture] in ({"approve", "deny", "pend"} - {to}):
                            listed = named.get((posture, i, to), [])
                            assert any(one <= facts for one in listed), (posture, i, to, facts, listed)

    for_all(claims(knowledge), count, law)


BROKEN_PROMISES = {  # the smallest claims found of which a change does not hold what it promises, and why
    "a clause whose wording is unverified sends the changed line to review": {
        "policy": "anthem-cg-surg-104",
        "lines": [{"code": "95938"}],
    },
    "facts that conflict already send the changed line to review": {
        "policy": "aetna-cpb-0697",
        "operation": {"procedures": [{"code": "22842", "levels": ["T4-T5"]}]},
        "lines": [{"code": "95926"}],
        "facts": [{"fact": "SurgeonNoteReflectsMonitoring", "status": status} for status in ("present", "absent")],
    },
    "no facts at all are to deny a line that waits for base lines which are for review": {
        "policy": "bcbsal-mp-306",
        "lines": [{"code": "95937"}, {"code": "95941"}],
    },
}


@pytest.mark.parametrize("document", [pytest.param(document, id=why) for why, document in BROKEN_PROMISES.items()])
def test_a_change_keeps_its_promise(document: Document, knowledge: kg.Knowledge) -> None:
    """Each claim that once showed a change to be unsound."""
    tried = Tried({"id": "promise", "serviceDate": "2025-03-14", **document}, knowledge)
    for posture, i, to, facts in tried.changes():
        assert tried.leads_to(posture, i, to, facts), (posture, i, to, facts)


# What a denial rests on


def bits(node: Mapping[str, Any], shown: frozenset[str]) -> tuple[bool, bool]:
    """Return met and refuted of a node, if of its leaves some are as the answer says and all others are open."""
    if node["kind"].endswith("Leaf"):
        so = node["criterion"] in shown
        return so and node["status"] in ("met", "conflicting"), so and node["status"] in ("not-met", "conflicting")
    parts = [bits(part, shown) for part in node["parts"]]
    met, refuted = [part[0] for part in parts], [part[1] for part in parts]
    match node["kind"]:
        case "and":
            return all(met), any(refuted)
        case "or":
            return any(met), all(refuted)
        case "none":
            return all(refuted), any(met)
        case "not":
            return refuted[0], met[0]
        case "unless":
            return met[0] and all(refuted[1:]), refuted[0] or any(met[1:])
    raise ValueError(node["kind"])


def minimal_grounds(node: Mapping[str, Any], positive: bool) -> set[frozenset[str]]:
    """Try every set of decided leaves below a node; return the least that suffice to make it met, or refuted."""
    decided = sorted(
        {
            part["criterion"]
            for part in inner_leaves(node)
            if part["status"] != "undocumented" and part["kind"].endswith("Leaf")
        }
    )
    assume(len(decided) <= MOST_DECIDED)
    found: list[frozenset[str]] = []
    for size in range(len(decided) + 1):
        for chosen in map(frozenset, combinations(decided, size)):
            if not any(one <= chosen for one in found) and bits(node, chosen)[0 if positive else 1]:
                found.append(chosen)
    return set(found)


def inner_leaves(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the leaves of a criteria tree, without what they ask elsewhere."""
    if node["kind"].endswith("Leaf"):
        yield node
    else:
        for part in node["parts"]:
            yield from inner_leaves(part)


MOST_DECIDED = 12  # decided leaves of a clause up to which every set of them is tried
UNLESS = "-unless-restored"


@counts(60, 3000)
def test_grounds_are_complete_and_minimal(count: int, knowledge: kg.Knowledge) -> None:
    """Each least set of leaves by which a clause denies the line is listed, and nothing else.

    Each exclusion denies by itself, the clauses of coverage deny together, and each other clause by itself, that of
    documentation under `final` alone.
    """

    def law(document: Document) -> None:
        for posture in POSTURES:
            for line in kg.determine(parsed(document), knowledge, posture=posture).to_dict()["lines"]:
                listed = [(one["clause"], frozenset(one["criteria"])) for one in line["grounds"]]
                if line["decision"] != "deny":
                    assert listed == []
                    continue
                expected = set()
                for group in line["path"]["parts"]:
                    name = local_name(group["criterion"])
                    if name == "documented" and posture != "final":
                        continue
                    for part in [group] if name == "covered" and len(group["parts"]) > 1 else group["parts"]:
                        clause = part["criterion"].removesuffix(UNLESS)
                        expected |= {(clause, one) for one in minimal_grounds(part, name == "notExcluded")}
                assert len(listed) == len(set(listed)) and set(listed) == expected

    for_all(claims(knowledge), count, law)


# Whether asking would matter


@counts(10, 300)
def test_decided_regardless_is_what_every_completion_says(count: int, knowledge: kg.Knowledge) -> None:
    """True where each way to document all open facts, present or absent, gives the same decision; else false."""

    def law(document: Document) -> None:
        # Without roles: a completion would contradict what the role on another line says.
        lines = [{key: value for key, value in line.items() if key != "performer"} for line in document["lines"][:2]]
        tried = Tried({**document, "lines": lines}, knowledge)
        asked = sorted(tried.open_facts())
        assume(0 < len(asked) <= 5)
        every = [
            tried.decisions(
                frozenset((name, status, region) for (name, region), status in zip(asked, stated, strict=True))
            )
            for stated in product(("present", "absent"), repeat=len(asked))
        ]
        for posture, lines in tried.answers.items():
            for i, line in enumerate(lines):
                if any("field" in fact for change in line["changes"] for fact in change["facts"]):
                    continue  # what a field would bring is not tried
                if not line["decidedRegardless"] and any(map(tried.asks_for_a_field, flat(line["path"]))):
                    continue  # what a field would bring may be that a person must look
                if {fact["fact"] for fact in line["missing"]} - {name for name, _ in asked}:
                    continue  # nor is that the record is completed, which lacks what was asked for (decision rule 17)
                assert line["decidedRegardless"] == (len({decisions[i][posture] for decisions in every}) == 1)

    for_all(claims(knowledge), count, law)


def test_a_line_added_to_others_can_be_proven_with_them(knowledge: kg.Knowledge) -> None:
    """Under `final` a base study without documents is denied, and what is added to it; documents approve both."""
    document = {**example("c01"), "facts": []}
    line = kg.determine(parsed(document), knowledge, "anthem-cg-surg-104", "final").to_dict()["lines"][-1]
    assert (line["decision"], line["decidedRegardless"]) == ("deny", False) and line["missing"]
    facts = [{"fact": fact["fact"], "status": fact["status"]} for fact in line["changes"][0]["facts"]]
    proven = kg.determine(parsed({**document, "facts": facts}), knowledge, "anthem-cg-surg-104", "final").to_dict()
    assert line["changes"][0]["to"] == proven["lines"][-1]["decision"] == "approve"
