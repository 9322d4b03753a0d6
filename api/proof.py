"""The proof of a line as a graph: its decision, the criteria along what decided, and the triples at their ends."""

from collections.abc import Callable, Iterator
from typing import Any

from kg.html import term
from kg.text import SIGNS

Json = dict[str, Any]
MOST = 8  # triples of one leaf that are drawn; the criteria tree holds all


def elements(line: Json) -> list[Json]:
    """Return nodes and edges of a line that is put in order for reading."""
    top = f"line {line['line']}, {line['code']}: {line['decision']}"
    found = [_node("line", top, f"decision {line['decision']}")]
    for i, reason in enumerate(line["because"]):
        if "guidance" in reason:
            told = reason["guidance"]
            found += [_node(f"g{i}", f"{told['guideline']}: {told['label']}", "guideline"), _edge("line", f"g{i}")]
    names = _names()
    found += list(_criteria(line["path"], "line", names))
    return list({item["data"]["id"]: item for item in found}.values())


def _names() -> Callable[[], str]:
    count = iter(range(1_000_000))
    return lambda: f"c{next(count)}"


def _criteria(node: Json, above: str, names: Callable[[], str]) -> Iterator[Json]:
    """Yield a criterion that lies along what decided, those below it, and at the ends their evidence."""
    if not node["decided"]:
        return
    name = names()
    clause = f" ({node['clause']})" if node["clause"] else ""
    yield _node(name, f"{SIGNS[node['status']][0]} {node['label']}{clause}", f"criterion {node['status']}")
    yield _edge(above, name)
    further = [part for part in node["parts"] if part["decided"]]
    for part in further:
        yield from _criteria(part, name, names)
    if not further:
        yield from _evidence(node["witnesses"][:MOST], name)


def _evidence(triples: list[list[str]], leaf: str) -> Iterator[Json]:
    subjects = dict.fromkeys(triple[0] for triple in triples)
    objects = {triple[2] for triple in triples}
    for s, p, o in triples:
        yield _node(f"t {s}", term(s), "term")
        yield _node(f"t {o}", term(o), "term")
        yield _edge(f"t {s}", f"t {o}", term(p))
    for subject in subjects:
        if subject not in objects:
            yield _edge(leaf, f"t {subject}", "evidence")


def _node(id: str, label: str, classes: str) -> Json:
    return {"data": {"id": id, "label": label}, "classes": classes}


def _edge(source: str, target: str, label: str = "") -> Json:
    data = {"id": f"{source}>{label}>{target}", "source": source, "target": target, "label": label}
    return {"data": data, "classes": "evidence" if label else ""}
