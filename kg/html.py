"""A determination as one page for a reviewer: self-contained, printable, open along what decided.

The template shows what `to_dict()` holds and nothing else; here it is only put in the order in which it is read.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined

from kg.terms import CLAIMS, PREFIXES

Json = dict[str, Any]


def page(determinations: list[Json]) -> str:
    """Return one HTML page for determinations and faulty claims, in the order given."""
    template = environment().get_template("determination.html")
    return template.render(items=[shown(item) for item in determinations], prefixes=PREFIXES)


@cache
def environment(*before: BaseLoader) -> Environment:
    """Return what fills in the templates: those of others, who show determinations in theirs, before those of here."""
    found = Environment(
        loader=ChoiceLoader([*before, PackageLoader("kg")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(term=term, words=words)
    return found


def shown(item: Json) -> Json:
    """Return a determination in the order in which it is read; the faults of a claim as they are."""
    return item if "faults" in item else _determination(item)


def _determination(determination: Json) -> Json:
    steps = determination["derivations"]
    edits = [
        {**edit, "path": _marked(_with_steps(edit["path"], steps), {edit["edit"]: set()}, role="edit")}
        for edit in determination["edits"]
    ]
    lines = [_line({**line, "path": _with_steps(line["path"], steps)}, edits) for line in determination["lines"]]
    return {**determination, "lines": lines, "edits": edits}


def _with_steps(node: Json, steps: list[Json]) -> Json:
    """Return a tree whose nodes hold the steps of derivation that they refer to."""
    derived = [steps[place] for place in node.get("derived", ())]
    return {**node, "derived": derived, "parts": [_with_steps(part, steps) for part in node["parts"]]}


def _line(line: Json, edits: list[Json]) -> Json:
    deciding: dict[str, set[str]] = {iri: set() for iri in line["because"]}
    for ground in line["grounds"]:
        deciding.setdefault(ground["clause"], set()).update(ground["criteria"])
    tree = _marked(line["path"], deciding)
    if line["decision"] == "pend":
        tree["parts"] = _open_first({**group, "parts": _open_first(group["parts"])} for group in tree["parts"])
    named = _by_name([tree, *(edit["path"] for edit in edits)])
    guidance = {item["clause"]: item for item in line["guidance"]}
    grounds = [_ground(ground, named) for ground in line["grounds"]]
    told = {leaf["criterion"] for ground in grounds for leaf in ground["leaves"]}
    waiting = {item.get("criterion", "") for item in line["missing"]}
    asked = _asked_by(tree)
    return {
        **line,
        "because": [_reason(iri, named, guidance, told, waiting) for iri in line["because"]],
        "grounds": grounds,
        "missing": [{**item, "asked": asked.get(item.get("criterion", ""), [])} for item in line["missing"]],
        "changes": _changes(line["changes"], named),
        "guidance": [{**item, "weighed": item["clause"] in line["because"]} for item in line["guidance"]],
        "postures": [
            {**group, "because": [_clause_name(iri, named, guidance) for iri in group["because"]]}
            for group in line["postures"]
        ],
        "path": tree,
    }


# The criteria tree


def _marked(
    node: Json,
    deciding: Mapping[str, set[str]],
    on: bool = False,
    wanted: frozenset[str] = frozenset(),
    role: str = "",
) -> Json:
    """Return a tree whose nodes say whether they lie along what decided, and which speak against the line.

    Below a deciding clause the way leads to the leaves of its grounds; without grounds, to the parts that agree.
    """
    if node["criterion"] in deciding:
        on, wanted = True, frozenset(deciding[node["criterion"]]) or wanted
    parts = [
        _marked(
            part, deciding, on and _leads(node, part, wanted), wanted, "exclusion" if node["kind"] == "none" else ""
        )
        for part in node["parts"]
    ]
    return {**node, "parts": parts, "role": role, "decided": on or any(part["decided"] for part in parts)}


def _leads(node: Json, part: Json, wanted: frozenset[str]) -> bool:
    if wanted:
        return any(below["criterion"] in wanted for below in _walk(part))
    if node["kind"] in ("and", "or"):
        return bool(part["status"] == node["status"])
    return node["kind"] in ("not", "none", "unless")


def _walk(node: Json) -> Iterator[Json]:
    yield node
    for part in node["parts"]:
        yield from _walk(part)


def _ends(node: Json) -> Iterator[Json]:
    """Yield the leaves at which the way along what decided ends."""
    further = [part for part in node["parts"] if part["decided"]]
    if node["decided"] and not further:
        yield node
    for part in further:
        yield from _ends(part)


def _by_name(trees: Iterable[Json]) -> dict[str, Json]:
    """Return the first node of each criterion; an exclusion that can be set aside stands for the clause in it."""
    named: dict[str, Json] = {}
    for tree in trees:
        for node in _walk(tree):
            named.setdefault(node["criterion"], node)
            if node["kind"] == "unless":
                named.setdefault(node["parts"][0]["criterion"], node)
    return named


def _asked_by(node: Json, clause: str = "") -> dict[str, list[str]]:
    """Return the clauses that ask each criterion."""
    clause = node["clause"] or clause
    asked = {node["criterion"]: [clause] if clause else []}
    for part in node["parts"]:
        for criterion, clauses in _asked_by(part, clause).items():
            asked[criterion] = list(dict.fromkeys([*asked.get(criterion, []), *clauses]))
    return asked


def _open_first(nodes: Iterable[Json]) -> list[Json]:
    return sorted(nodes, key=lambda node: node["status"] != "undocumented")


# What decided


def _reason(
    iri: str, named: Mapping[str, Json], guidance: Mapping[str, Json], told: set[str], waiting: set[str]
) -> Json:
    """Return a criterion that decided: a guideline's, or a node with the leaves that are not told further below.

    The grounds tell some leaves, the questions others.
    """
    if iri in guidance:
        return {"guidance": guidance[iri]}
    if iri not in named:
        return {"iri": iri}
    node = named[iri]
    leaves = [leaf for leaf in _ends(node) if leaf is not node and leaf["criterion"] not in waiting]
    return {"node": node, "leaves": [] if told & {below["criterion"] for below in _walk(node)} else leaves}


def _ground(ground: Json, named: Mapping[str, Json]) -> Json:
    node = named.get(ground["clause"])
    near = _by_name([node]) if node else {}
    leaves = [near.get(iri) or named.get(iri) or {"criterion": iri} for iri in ground["criteria"]]
    return {"node": node, "iri": ground["clause"], "leaves": leaves}


def _clause_name(iri: str, named: Mapping[str, Json], guidance: Mapping[str, Json]) -> str:
    if iri in guidance:
        return str(guidance[iri]["guideline"])
    node = named.get(iri)
    return str((node["clause"] or node["label"]) if node else iri)


# What would change it


def _changes(changes: list[Json], named: Mapping[str, Json]) -> list[Json]:
    """Return, for each decision, the facts of which one suffices, those needed together, and the choices beside them.

    What all sets have in common is said once: sets often differ in one fact out of many.
    """
    grouped: dict[str, list[list[Json]]] = {}
    for change in changes:
        if facts := [_fact(fact, named) for fact in change["facts"]]:
            grouped.setdefault(change["to"], []).append(facts)
    found = []
    for to, sets in grouped.items():
        single = [one[0] for one in sets if len(one) == 1]
        several = [one for one in sets if len(one) > 1]
        common = [fact for fact in several[0] if all(fact in one for one in several)] if several else []
        rest = [[fact for fact in one if fact not in common] for one in several]
        found.append({"to": to, "any": single, "all": common, "choices": [one for one in rest if one]})
    return found


def _fact(fact: Json, named: Mapping[str, Json]) -> Json:
    """Return a fact or field of the claim with the words for it."""
    if "fact" in fact:
        region = f" ({fact['region']})" if "region" in fact else ""
        return {"name": fact["fact"], "words": f"{words(fact['fact'])}{region}", "status": fact["status"]}
    node = named.get(fact["criterion"])
    label = node["label"] if node else fact["criterion"]
    return {"name": fact["field"], "words": label, "status": fact["status"]}


# Words


def words(name: str) -> str:
    """Return the words that a name in camel case is made of."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()


def term(written: str) -> str:
    """Return a term with the namespace of its IRI shortened to a prefix; a node of a claim without it."""
    for prefix, namespace in PREFIXES.items():
        if written.startswith(namespace):
            return f"{prefix}:{written.removeprefix(namespace)}"
    return written.removeprefix(CLAIMS)
