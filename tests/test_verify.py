"""The proof of a determination holds as it is written, and no change of it goes unseen."""

import ast
import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import kg
from kg.cases import cases_of
from kg.decide import POSTURES
from kg.terms import COV
from kg.verify import STEPS, Failure, verify
from tests.conftest import ROOT
from tests.test_cli import coverpath, written

FILES = sorted((ROOT / "tests" / "cases").glob("*.json"))
CASES = {path.stem: json.loads(path.read_text())["claim"] for path in FILES}
SAMPLE = 90  # mutations of one determination: of the hundreds that are made, by a fixed seed
MUTATED = ("c01", "c02", "c04", "c15", "c21", "c25")
EVALUATOR = {
    *("plan", "evaluate", "outcome", "docket", "decide", "changes", "sets", "reason", "rules", "explain", "criteria"),
    *("shapes", "check", "knowledge"),
}
Json = dict[str, Any]
Mutation = tuple[str, set[str], Callable[[Json], None]]  # what is changed, the steps that may name it, and how


@cache
def claim_of(name: str) -> kg.Claim:
    return kg.parse_claim(json.dumps(CASES[name]))


@cache
def _written(name: str, posture: str) -> str:
    return json.dumps(kg.determine(claim_of(name), kg.load_knowledge(), posture=posture).to_dict())


def determination(name: str, posture: str = "advisory") -> Json:
    found: Json = json.loads(_written(name, posture))
    return found


@pytest.mark.parametrize("posture", POSTURES)
@pytest.mark.parametrize("name", CASES)
def test_every_case_verifies(name: str, posture: str) -> None:
    """The determination of every case holds under every posture, by either form of the third argument."""
    given = determination(name, posture)
    assert verify(given, claim_of(name)) == []
    assert verify(given, claim_of(name), kg.load_knowledge()) == verify(given, claim_of(name), ROOT) == []


def test_what_facts_state_together_verifies() -> None:
    """A combination of facts is shown by triples that suffice for it, the region in which they meet included."""
    assert [failures for combined, failures in of_all_cases() if combined and failures] == []


@pytest.mark.fuzz
def test_every_case_of_every_policy_verifies() -> None:
    """The determinations of all cases beside the policies hold; those with a combination, as the test above says."""
    assert [failures for combined, failures in of_all_cases() if not combined and failures] == []


@cache
def of_all_cases() -> list[tuple[bool, list[Failure]]]:
    """Return what does not hold of the cases beside the policies, and whether facts state another together."""
    knowledge = kg.load_knowledge()
    found = []
    for folder in sorted(path.name for path in (ROOT / "shapes").iterdir() if path.is_dir()):
        for case in cases_of(folder, knowledge):
            claim = kg.parse_claim(json.dumps(case.document), "json", knowledge)
            given = kg.determine(claim, knowledge).to_dict()
            combined = any(one["rule"] == f"{COV}rule-combination" for one in given["derivations"])
            found.append((combined, verify(given, claim, knowledge)))
    return found


def test_the_checker_shares_no_module_with_the_evaluator() -> None:
    """What `kg.verify` imports, directly or not, is of the parsers and the terms; of `kg.load` a type is named."""
    seen: set[str] = set()
    waiting = ["verify"]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += imported(ast.parse((ROOT / "kg" / f"{module}.py").read_text()))
    assert seen == {"verify", "replay", "replay_lines", "replay_rules", "graph", "terms", "errors"}
    assert not seen & EVALUATOR


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the modules of kg that are imported at run time."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "kg":
            inner = node.module.removeprefix("kg").removeprefix(".")
            yield from [inner.partition(".")[0]] if inner else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("kg."))
        yield from imported(node)


# Mutations


def nodes(path: Json, where: str = "") -> Iterator[tuple[str, Json]]:
    """Yield all nodes of a path."""
    yield where, path
    for i, part in enumerate(path["parts"]):
        yield from nodes(part, f"{where}/{i}")


def trees(given: Json) -> Iterator[tuple[str, Json]]:
    """Yield all nodes of the paths of a determination."""
    for i, line in enumerate(given["lines"]):
        yield from nodes(line["path"], f"line {i}: ")
    for i, edit in enumerate(given["edits"]):
        yield from nodes(edit["path"], f"edit {i}: ")


def at(place: str, change: Callable[[Json], None]) -> Callable[[Json], None]:
    """Return the change of the node at a place."""

    def mutate(given: Json) -> None:
        change(next(node for where, node in trees(given) if where == place))

    return mutate


def put(key: str, value: object) -> Callable[[Json], None]:
    return lambda node: node.update({key: value})


def drop(key: str, i: int) -> Callable[[Json], None]:
    return lambda node: node[key].pop(i)


def add(key: str, value: object) -> Callable[[Json], None]:
    return lambda node: node[key].append(value)


def line(i: int, change: Callable[[Json], None]) -> Callable[[Json], None]:
    return lambda given: change(given["lines"][i])


STATED = {"tree", "status", "witness", "alternatives", "derivations"}


def of_paths(given: Json, rng: random.Random) -> Iterator[Mutation]:
    """Yield changes of the criteria trees: statuses, words, parts, witnesses."""
    places = list(trees(given))
    proven = [(place, node) for place, node in places if node["witnesses"]]
    for place, node in rng.sample(places, min(40, len(places))):
        others = {"met", "not-met", "undocumented", "conflicting"} - {node["status"]}
        yield f"{place} status", {"status"}, at(place, put("status", rng.choice(sorted(others))))
    for place, node in rng.sample(places, min(15, len(places))):
        for key in ("quote", "label", "clause", "criterion", "kind"):
            yield f"{place} {key}", {"tree"}, at(place, put(key, node[key] + "x"))
    for place, node in [(place, node) for place, node in places if node["parts"]][:30]:
        yield f"{place} hides a part", {"tree"}, at(place, drop("parts", rng.randrange(len(node["parts"]))))
        yield f"{place} adds a part", {"tree"}, at(place, add("parts", node["parts"][0]))
        if len(node["parts"]) > 1:
            yield f"{place} turns its parts", {"tree"}, at(place, turn("parts"))
    for place, node in rng.sample(proven, min(40, len(proven))):
        witnesses = node["witnesses"]
        i = rng.randrange(len(witnesses))
        other = rng.choice([w for _, n in proven for w in n["witnesses"] if w not in witnesses])
        foreign = [
            s
            for _, n in proven
            if sorted(s := n["witnesses"]) != sorted(witnesses) and n["criterion"] != node["criterion"]
        ]
        yield f"{place} drops a triple", {"witness"}, at(place, drop("witnesses", i))
        yield f"{place} pads the witness", {"witness"}, at(place, add("witnesses", other))
        yield f"{place} repeats a triple", {"witness"}, at(place, add("witnesses", witnesses[i]))
        yield f"{place} hides the witness", {"witness"}, at(place, put("witnesses", []))
        forged = [*witnesses[:i], [witnesses[i][0], witnesses[i][1], f"{COV}forged"], *witnesses[i + 1 :]]
        yield f"{place} forges a triple", {"witness"}, at(place, put("witnesses", forged))
        if foreign and not proves(node, swapped := rng.choice(foreign), proven):
            yield f"{place} takes another's witness", {"witness"}, at(place, put("witnesses", swapped))
    for place, node in [(place, node) for place, node in places if "alternatives" in node]:
        for i in range(len(node["alternatives"])):
            if len(claim_parts(node, given)) == len(node["alternatives"]):
                yield f"{place} hides alternative {i}", {"alternatives"}, at(place, drop("alternatives", i))
            worse = [*node["alternatives"][:i], node["alternatives"][i][1:], *node["alternatives"][i + 1 :]]
            yield f"{place} weakens alternative {i}", {"alternatives"}, at(place, put("alternatives", worse))
        yield f"{place} hides all alternatives", {"alternatives"}, at(place, hide("alternatives"))


def claim_parts(node: Json, given: Json) -> set[frozenset[tuple[str, ...]]]:
    """Return what the alternatives of a node rest on in the claim."""
    own = f"/claims/{given['claim']}"
    return {frozenset(tuple(t) for t in one if own in t[0]) for one in node["alternatives"]}


def proves(node: Json, witness: list[list[str]], proven: list[tuple[str, Json]]) -> bool:
    """Say whether a witness of another node is known to be one of this criterion, too."""
    same = (n for _, n in proven if n["criterion"] == node["criterion"])
    begins = {tuple(n["witnesses"][0][:2]) for n in same}
    return tuple(witness[0][:2]) in begins and witness[0][0] == node["witnesses"][0][0]


def of_lines(given: Json, rng: random.Random) -> Iterator[Mutation]:
    """Yield changes of the lines: decisions, reasons, grounds, changes."""
    decisions = ["approve", "deny", "pend", "not-billable", "review"]
    for i, told in enumerate(given["lines"]):
        for decision in decisions:
            if decision != told["decision"]:
                yield f"line {i} is {decision}", {"lines", "decision"}, line(i, put("decision", decision))
            for posture in POSTURES:
                if decision != told["decisions"][posture]:
                    changed = {**told["decisions"], posture: decision}
                    yield f"line {i} is {decision} for {posture}", {"decision"}, line(i, put("decisions", changed))
        regardless = not told["decidedRegardless"]
        yield f"line {i} decided regardless", {"changes"}, line(i, put("decidedRegardless", regardless))
        yield f"line {i} because", {"because"}, line(i, add("because", f"{COV}covered"))
        yield f"line {i} reason", {"because"}, line(i, put("reason", "unproven-by-anyone"))
        yield f"line {i} code", {"lines"}, line(i, put("code", told["code"] + "x"))
        yield f"line {i} flip added", {"changes"}, line(i, add("flips", ["Myelopathy"]))
        yield f"line {i} caveat added", {"decision"}, line(i, add("caveats", "all is well"))
        yield f"line {i} ground added", {"grounds"}, line(i, add("grounds", {"clause": "x", "criteria": ["y"]}))
        for k in range(len(told["because"])):
            yield f"line {i} hides why, {k}", {"because"}, line(i, drop("because", k))
        for k, ground in enumerate(told["grounds"]):
            yield f"line {i} hides ground {k}", {"grounds"}, line(i, drop("grounds", k))
            more = [*told["grounds"][:k], {**ground, "criteria": [*ground["criteria"], "z"]}, *told["grounds"][k + 1 :]]
            yield f"line {i} pads ground {k}", {"grounds"}, line(i, put("grounds", more))
        for k in range(len(told["caveats"])):
            yield f"line {i} hides caveat {k}", {"decision"}, line(i, drop("caveats", k))
        for k in range(len(told["guidance"])):
            yield f"line {i} hides guidance {k}", {"guidance"}, line(i, drop("guidance", k))
        for k in range(len(told["conflicts"])):
            yield f"line {i} hides conflict {k}", {"lines", "guidance"}, line(i, drop("conflicts", k))
        for k in range(len(told["flips"])):
            yield f"line {i} hides flip {k}", {"changes"}, line(i, drop("flips", k))
        yield from of_changes(i, told, rng)


def of_changes(i: int, told: Json, rng: random.Random) -> Iterator[Mutation]:
    for k, change in enumerate(told["changes"]):
        first = change["facts"][0]

        def facts(new: list[Json], k: int = k, change: Json = change) -> Callable[[Json], None]:
            changes = [*told["changes"][:k], {**change, "facts": new}, *told["changes"][k + 1 :]]
            return line(i, put("changes", changes))

        opposite = {"present": "absent", "absent": "present", "met": "not-met", "not-met": "met"}[first["status"]]
        yield f"line {i} turns change {k}", {"changes"}, facts([{**first, "status": opposite}, *change["facts"][1:]])
        yield (
            f"line {i} pads change {k}",
            {"changes"},
            facts([*change["facts"], {"fact": "AxialPain", "status": "present"}]),
        )
        yield f"line {i} empties change {k}", {"changes"}, facts(change["facts"][1:])
        yield f"line {i} repeats change {k}", {"changes"}, line(i, add("changes", change))


def within(key: str, i: int, change: Callable[[Json], None]) -> Callable[[Json], None]:
    """Return the change of one of several things."""
    return lambda given: change(given[key][i])


def repeat(key: str, i: int) -> Callable[[Json], None]:
    return lambda given: given[key].append(given[key][i])


def turn(key: str) -> Callable[[Json], None]:
    return lambda given: given[key].reverse()


def hide(key: str) -> Callable[[Json], None]:
    return lambda given: given.pop(key)


def of_whole(given: Json, rng: random.Random) -> Iterator[Mutation]:
    """Yield changes of what stands beside the lines."""
    for i in range(len(given["lines"])):
        yield f"hides line {i}", {"lines"}, drop("lines", i)
        yield f"repeats line {i}", {"lines"}, repeat("lines", i)
    if len(given["lines"]) > 1:
        yield "turns the lines", {"lines"}, turn("lines")
        yield "swaps paths", {"tree", "status", "witness"}, line(0, put("path", given["lines"][1]["path"]))
    for i, edit in enumerate(given["edits"]):
        yield f"hides edit {i}", {"edits"}, drop("edits", i)
        yield f"repeats edit {i}", {"edits"}, repeat("edits", i)
        for key, value in (("effect", "raises-hell"), ("decides", not edit["decides"]), ("label", "x")):
            yield f"edit {i} {key}", {"edits"}, within("edits", i, put(key, value))
    for i, one in enumerate(given["derivations"]):
        others = [p for d in given["derivations"] for p in d["from"] if p not in one["from"]]
        k, other = rng.randrange(len(one["from"])), rng.choice(others or [["a", "b", "c"]])
        for what, change in (
            ("lacks", drop("from", k)),
            ("pads", add("from", other)),
            ("by", put("rule", f"{COV}rule-none")),
            ("of", turn("triple")),
        ):
            yield f"derivation {i} {what}", {"derivations"}, within("derivations", i, change)
        yield f"derivation {i} hidden", {"derivations"}, drop("derivations", i)
    yield "knowledge", {"knowledge"}, put("knowledge", "0" * 64)
    yield "claim", {"claim"}, put("claim", "another")
    yield "date", {"claim"}, put("serviceDate", "2024-01-01")
    yield "policy", {"claim"}, put("policy", {**given["policy"], "id": "no-such-policy"})
    yield "edition", {"claim"}, put("policy", {**given["policy"], "edition": "another"})
    yield "whole", {"lines"}, put("decision", "mixed" if given["decision"] != "mixed" else "approve")
    for key in given:
        yield f"no {key}", {"document"}, hide(key)
    yield "more", {"document"}, put("approved", True)


def mutations(name: str, posture: str) -> list[Mutation]:
    given, rng = determination(name, posture), random.Random(f"{name} {posture}")
    made = [mutation for kind in (of_paths, of_lines, of_whole) for mutation in kind(given, rng)]
    return rng.sample(made, min(SAMPLE, len(made)))


@pytest.mark.parametrize("name", MUTATED)
def test_every_mutation_is_refused_at_its_step(name: str) -> None:
    """Whatever is changed in a determination, the step that it belongs to names it."""
    accepted: list[str] = []
    for posture in ("advisory", "final"):
        for what, steps, mutate in mutations(name, posture):
            given = determination(name, posture)
            mutate(given)
            failures = verify(given, claim_of(name))
            if not {failure.step for failure in failures} & steps:
                accepted.append(f"{posture}: {what}: {failures}")
        assert verify(determination(name, posture), claim_of(name)) == []
    assert accepted == []


def test_there_are_more_than_a_thousand_mutations() -> None:
    """The number that was promised."""
    assert sum(len(mutations(name, posture)) for name in MUTATED for posture in ("advisory", "final")) >= 1_000


def test_another_claim_of_the_same_name_is_refused() -> None:
    """A determination proves nothing of a claim with the same id and other facts."""
    changed = {**CASES["c01"], "facts": [{"fact": "SpinalTumor", "status": "present"}]}
    failures = verify(determination("c01"), kg.parse_claim(json.dumps(changed)))
    assert {failure.step for failure in failures} & {"status", "witness", "decision"}


def test_failures_come_in_the_order_of_the_steps() -> None:
    """The first step that does not hold is named first, and each step once."""
    given = determination("c01")
    given["lines"][0]["path"]["status"] = "met"
    given["lines"][0]["because"] = []
    given["decision"] = "approve"
    steps = [failure.step for failure in verify(given, claim_of("c01"))]
    assert steps == ["lines", "status", "because"]
    assert list(STEPS) == sorted(STEPS, key=list(STEPS).index)


# The command


def test_the_command_says_what_was_checked(tmp_path: Path) -> None:
    """A proof that holds ends with 0 and the list of the steps."""
    proof = written(tmp_path / "proof.json", determination("c01"))
    document = written(tmp_path / "claim.json", CASES["c01"])
    shown = coverpath("verify", proof, document)
    assert shown.returncode == 0 and all(told in shown.stdout for told in STEPS.values())


def test_the_command_names_the_first_step_that_does_not_hold(tmp_path: Path) -> None:
    """A proof that does not hold ends with 3."""
    given = determination("c01")
    given["lines"][0]["path"]["status"] = "met"
    proof, document = written(tmp_path / "proof.json", given), written(tmp_path / "claim.json", CASES["c01"])
    shown = coverpath("verify", proof, document)
    assert shown.returncode == 3 and "status: lines[0].path" in shown.stderr and "Traceback" not in shown.stderr


@pytest.mark.parametrize("text", ["", "[]", "{", "[[[[", '"x"', "[" * 5_000])
def test_the_command_refuses_what_is_no_determination(tmp_path: Path, text: str) -> None:
    """Bad input ends with 2 and a message."""
    (tmp_path / "proof.json").write_text(text)
    document = written(tmp_path / "claim.json", CASES["c01"])
    shown = coverpath("verify", tmp_path / "proof.json", document)
    assert shown.returncode == 2 and "Traceback" not in shown.stderr and shown.stderr


@pytest.mark.parametrize("value", [None, [], {}, "x", 7, [[]], {"id": 1}])
def test_hostile_documents_fail_at_the_first_step(value: object) -> None:
    """Whatever stands in place of a part, the form of the document is refused, without an error."""
    for key in ("claim", "policy", "lines", "edits", "derivations", "knowledge", "posture"):
        given = determination("c01")
        given[key] = value
        if key in ("claim", "knowledge") and isinstance(value, str):
            continue
        if key in ("edits", "derivations", "lines") and value == []:
            continue
        failures: list[Failure] = verify(given, claim_of("c01"))
        assert [failure.step for failure in failures] == ["document"], key
