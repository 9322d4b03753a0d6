"""The proof of a determination holds as it is written, and no change of it goes unseen."""

import ast
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import chain, combinations
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import kg
from benchmarks.claims import five_line_claims
from kg.cases import cases_of
from kg.decide import POSTURES
from kg.replay.book import Book
from kg.replay.criteria import Criterion
from kg.replay.sets import Sets, comes_about, least_sets, tried, walked
from kg.terms import COV
from kg.verify import STEPS, Failure, replayed, verify
from tests.conftest import ROOT
from tests.strategies import random_claims
from tests.test_cli import coverpath, written

FOLDERS = sorted(path.name for path in (ROOT / "shapes").iterdir() if path.is_dir())
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


@pytest.fixture(autouse=True)
def _replayed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replay each claim once: what the replay tells does not depend on the determination that it is compared with."""
    monkeypatch.setattr("kg.verify.replayed", replayed_once)


Replayed = tuple[Mapping[str, Any], list[str]]
_replayed: dict[tuple[int, str, str], tuple[kg.Claim, Replayed]] = {}


def replayed_once(claim: kg.Claim, book: Book, edition: str, posture: str) -> Replayed:
    key = (id(claim), edition, posture)
    if key not in _replayed:
        _replayed[key] = claim, replayed(claim, book, edition, posture)
    return _replayed[key][1]


@pytest.mark.parametrize("posture", POSTURES)
@pytest.mark.parametrize("name", CASES)
def test_every_case_verifies(name: str, posture: str) -> None:
    """The determination of every case holds under every posture, by either form of the third argument."""
    given = determination(name, posture)
    assert verify(given, claim_of(name)) == []
    assert verify(given, claim_of(name), kg.load_knowledge()) == verify(given, claim_of(name), ROOT) == []


@pytest.mark.parametrize("postures", [("advisory",), pytest.param(POSTURES, marks=pytest.mark.fuzz)])
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_case_of_every_policy_verifies(folder: str, postures: tuple[str, ...]) -> None:
    """The determinations of all cases beside the policies hold, under every posture."""
    assert refused((case.document for case in cases_of(folder, kg.load_knowledge())), postures) == []


@pytest.mark.parametrize("count", [20, pytest.param(300, marks=pytest.mark.fuzz)])
def test_claims_of_a_spine_service_verify(count: int) -> None:
    """The determinations of claims like those of a spine service hold, under every posture."""
    assert refused(five_line_claims(count, 7)) == []


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.fuzz)])
def test_whatever_claims_verify(count: int) -> None:
    """The determinations of claims that say whatever a claim can say hold, under every posture."""
    assert refused(random_claims(kg.load_knowledge(), 1, count)) == []


class Refused(NamedTuple):
    """A step at which a determination of the engine is refused."""

    claim: str
    posture: str
    step: str
    place: str
    problem: str


def refused(documents: Iterable[Mapping[str, Any]], postures: Iterable[str] = POSTURES) -> list[Refused]:
    """Return the steps that do not hold of the determinations of claims."""
    knowledge = kg.load_knowledge()
    found = []
    for document in documents:
        claim = kg.parse_claim(json.dumps(document), "json", knowledge)
        for posture in postures:
            given = kg.determine(claim, knowledge, posture=posture).to_dict()
            for failure in verify(given, claim, knowledge):
                found.append(Refused(claim.id, posture, *failure))
        _replayed.clear()  # none of these is asked again
    return found


def test_the_checker_shares_no_module_with_the_evaluator() -> None:
    """What `kg.verify` imports, directly or not, is of the parsers and the terms; of `kg.load` a type is named."""
    seen: set[str] = set()
    waiting = ["verify"]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += imported(ast.parse((ROOT / "kg" / f"{module.replace('.', '/')}.py").read_text()))
    assert not {name.partition(".")[0] for name in seen} & EVALUATOR
    assert {name for name in seen if not name.startswith("replay.")} == {"verify", "graph", "terms", "errors", "lazy"}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the modules of kg that are imported at run time."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "kg":
            inner = node.module.removeprefix("kg").removeprefix(".")
            yield from [inner] if inner else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("kg.") for alias in node.names if alias.name.startswith("kg."))
        yield from imported(node)


# What would change it, by trying


def drawn(rng: random.Random, leaves: int, depth: int = 0) -> Criterion:
    """Draw a criterion of some leaves, joined in every way."""
    kind = rng.choice(("and", "or", "none", "not", "unless")) if depth < 4 else "FactLeaf"
    if depth and rng.random() < 0.3:
        kind = "FactLeaf"
    if kind == "FactLeaf":
        return Criterion(str(rng.randrange(leaves)), kind, "")
    parts = [drawn(rng, leaves, depth + 1) for _ in range(1 if kind == "not" else rng.randint(1, 3))]
    return Criterion(f"{depth}", kind, "", parts=tuple(parts))


@pytest.mark.parametrize("count", [150, pytest.param(5000, marks=pytest.mark.fuzz)])
def test_trying_and_walking_find_what_brute_force_finds(count: int) -> None:
    """Of five leaves, each present or absent, every set is tried: those found suffice and hold no other that does."""
    rng, leaves = random.Random(7), 5

    def of_leaf(leaf: Criterion, positive: bool) -> Sets:
        return [frozenset({2 * int(leaf.iri) + positive})]

    def is_consistent(one: frozenset[int]) -> bool:
        return not any(2 * i in one and 2 * i + 1 in one for i in range(leaves))

    for _ in range(count):
        criterion, positive = drawn(rng, leaves), rng.random() < 0.5
        every = map(frozenset, chain.from_iterable(combinations(range(2 * leaves), n) for n in range(2 * leaves + 1)))
        found: list[frozenset[int]] = []
        for one in every:
            if comes_about(criterion, positive, of_leaf, one) and not any(less <= one for less in found):
                found.append(one)
        assert tried(criterion, positive, of_leaf) == set(found)
        consistent = set(filter(is_consistent, found))
        assert set(walked(criterion, positive, of_leaf, is_consistent)) == consistent
        assert set(least_sets(criterion, positive, of_leaf, is_consistent)) == consistent


# Every edit of every place


Edit = tuple[str, Any]  # what is done, and what a value becomes by it


def places(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield every place of a JSON value with what stands there."""
    yield place, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*place, key))


def edits(value: Any, others: list[str], rng: random.Random) -> Iterator[Edit]:
    """Yield edits of a value: of a text, a number, a truth value, a list or an object."""
    if isinstance(value, str):
        yield "another text", rng.choice(others)
        yield "a longer text", f"{value}x"
        yield "a shorter text", value[:-1]
        yield "letters of the other case", value.swapcase()
    elif isinstance(value, bool):
        yield "the opposite", not value
        yield "a number", int(value)
    elif isinstance(value, int):
        yield "another number", value + rng.choice((-1, 1))
        yield "a fraction", float(value)
        yield "a truth value", bool(value)
    elif isinstance(value, list):
        i, k = (rng.randrange(len(value)) for _ in range(2)) if value else (0, 0)
        yield "one dropped", [*value[:i], *value[i + 1 :]]
        yield "one twice", [*value, *value[i : i + 1]]
        yield "two swapped", [value[{i: k, k: i}.get(n, n)] for n in range(len(value))]
        yield "one more", [*value, rng.choice((rng.choice(others), {}, 7))]
        yield "none", []
    elif isinstance(value, dict):
        key = rng.choice(list(value) or [""])
        yield "a part dropped", {name: one for name, one in value.items() if name != key}
        yield "a part added", {**value, rng.choice(("reason", "words", "at", "approved")): rng.choice(others)}
        yield "a part renamed", {name if name != key else f"{name}s": one for name, one in value.items()}
    yield "nothing", None
    yield "a list of it", [value]


def written_at(place: tuple[str | int, ...]) -> str:
    """Return a place as failures name it."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).lstrip(".")


def accepted(given: Json, claim: kg.Claim, count: int, seed: str) -> tuple[int, list[str]]:
    """Make so many edits of a determination; return how many changed it, and those that were not refused where made.

    Another posture makes another determination, which holds if it is what the engine answers then.
    """
    rng, made, wrong = random.Random(seed), 0, []
    root = {"": given}
    found = list(places(given))
    texts = [value for _, value in found if isinstance(value, str)]
    by_depth: dict[str, list[tuple[tuple[str | int, ...], Any]]] = {}  # by what they are called, so that each is tried
    for place, value in found:
        by_depth.setdefault("/".join("" if isinstance(key, int) else key for key in place[-3:]), []).append(
            (place, value)
        )
    for kind in rng.choices(list(by_depth), k=count):
        place, value = rng.choice(by_depth[kind])
        what, edited = rng.choice(list(edits(value, texts, rng)))
        if json.dumps(edited, sort_keys=True) == json.dumps(value, sort_keys=True):
            continue
        made += 1
        *above, last = ("", *place)
        parent: Any = root
        for key in above:
            parent = parent[key]
        parent[last] = edited
        failures = verify(root[""], claim)
        named = [written_at(place), *(failure.place for failure in failures)]
        is_true = place == ("posture",) and edited in POSTURES
        if not is_true and not any(a.startswith(named[0]) or named[0].startswith(a) or place == () for a in named[1:]):
            wrong.append(f"{named[0]}: {what}: {failures}")
        parent[last] = value
    return made, wrong


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.fuzz)])
@pytest.mark.parametrize("name", CASES)
def test_every_edit_of_a_case_is_refused(name: str, count: int) -> None:
    """Whatever is changed at whatever place of the determination of a case, that place is named."""
    for posture in POSTURES:
        made, wrong = accepted(determination(name, posture), claim_of(name), count, f"{name} {posture}")
        assert wrong == [] and made > 0.7 * count
        assert verify(determination(name, posture), claim_of(name)) == []


@pytest.mark.parametrize("count", [15, pytest.param(300, marks=pytest.mark.fuzz)])
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_edit_under_every_policy_is_refused(folder: str, count: int) -> None:
    """Whatever is changed of the determinations of cases of each policy and guideline, the place is named."""
    cases = cases_of(folder, kg.load_knowledge())
    for i, case in enumerate(random.Random(folder).sample(cases, min(5, len(cases)))):
        claim = kg.parse_claim(json.dumps(case.document))
        given = json.loads(json.dumps(kg.determine(claim, kg.load_knowledge(), posture=POSTURES[i % 3]).to_dict()))
        made, wrong = accepted(given, claim, count, case.name)
        assert wrong == [] and made > 0.7 * count


# Edits that forge a proof, each refused by the step that it belongs to


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


def test_criteria_without_end_are_refused() -> None:
    """A tree that nests deeper than any policy does is refused by its form, without an error."""
    given = determination("c01")
    for _ in range(400):
        given["lines"][0]["path"] = {**given["lines"][0]["path"], "parts": [given["lines"][0]["path"]]}
    assert [failure.step for failure in verify(given, claim_of("c01"))] == ["document"]


@pytest.mark.parametrize("text", ["\x1b[31mapproved", "\ud800", "\r\nholds"])
def test_what_a_terminal_would_obey_is_shown_escaped(text: str) -> None:
    """The problem that is named holds no control character and nothing that no encoding can write."""
    given = determination("c01")
    given["lines"][0]["caveats"] = [text]
    (failure,) = verify(given, claim_of("c01"))
    assert str(failure).isprintable() and str(failure).startswith("decision: lines[0].caveats")
