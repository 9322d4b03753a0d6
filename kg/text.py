"""A determination as text for a reviewer: decisions first, then why, open along what decided."""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

SIGNS = {
    "met": ("✓", "green"),
    "not-met": ("✗", "red"),
    "undocumented": ("?", "yellow"),
    "conflicting": ("!", "magenta"),
}
COLOURS = {"approve": "green", "deny": "red", "pend": "yellow", "not-billable": "red", "review": "magenta"}
POSTURES = ("advisory", "payer", "final")

Json = dict[str, Any]


def print_all(determinations: Iterable[Json], console: Console, only: int | None = None, whole: bool = False) -> None:
    """Print determinations; `only` one line of them, `whole` with the criteria tree in full."""
    for determination in determinations:
        if "faults" in determination:
            console.print(faults(determination))
        else:
            for part in parts(determination, only, whole):
                console.print(part)
        console.print()


def faults(determination: Json) -> RenderableType:
    """Return what is wrong with a claim."""
    shown = Text.assemble(("claim ", ""), (str(determination["claim"]), "bold"), ": nothing was determined\n")
    for fault in determination["faults"]:
        shown.append(f"  {fault['place']}: {fault['problem']}\n", "red")
        shown.append(f"    help: {fault['help']}\n" if fault["help"] else "")
    return shown


def parts(determination: Json, only: int | None, whole: bool) -> Iterator[RenderableType]:
    """Yield the parts of the text: head, decisions, edits, and each line."""
    policy = determination["policy"]
    yield Text.assemble(
        ("claim ", ""),
        (determination["claim"], "bold"),
        f", {determination['serviceDate']}, under {policy['label']}\n",
        f"edition {policy['edition']}, {determination['posture']} posture: ",
        _decision(determination["decision"]),
        f"\n{determination['notice']}",
    )
    lines = [line for line in determination["lines"] if only in (None, line["line"])]
    yield decisions(lines, determination["posture"])
    for edit in determination["edits"]:
        if only is None or edit["line"] in (None, only):
            yield _edit(edit)
    for line in lines:
        yield Padding(Group(*_line(line, whole)), (1, 0, 0, 0))
    yield Text(f"\nknowledge {determination['knowledge'][:16]}", "dim")


def decisions(lines: list[Json], posture: str) -> Table:
    """Return one row a line with its decision under each posture, the one asked for first."""
    order = [posture, *(name for name in POSTURES if name != posture)]
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for heading in ("line", "code", *order, ""):
        table.add_column(heading)
    for line in lines:
        shown = [_decision(line["decisions"][name]) for name in order]
        table.add_row(str(line["line"]), line["code"], *shown, Text(line["label"], "dim"))
    return table


def _decision(decision: str) -> Text:
    return Text(decision, f"bold {COLOURS.get(decision, '')}")


def _edit(edit: Json) -> Text:
    where = f"line {edit['line']}" if edit["line"] else "claim"
    kind = "edit" if edit["decides"] else "alert, decides nothing"
    shown = Text.assemble((f"{where} ({kind}): ", "bold"), edit["label"])
    shown.append(f" [{edit['clause']}]" if edit["clause"] else "", "dim")
    for words in edit["because"]:
        shown.append(f"\n  {words}" if words else "")
    return shown


def _line(line: Json, whole: bool) -> Iterator[RenderableType]:
    yield Text.assemble(
        (f"line {line['line']}  {line['code']}  ", "bold"),
        _decision(line["decision"]),
        f"  {line.get('reason', '') or line.get('note', '')}".rstrip(),
    )
    tree = Tree(_node(line["path"]), guide_style="dim")
    _grow(tree, line["path"], whole)
    yield tree
    if line["grounds"]:
        clauses = dict.fromkeys(ground["clause"] for ground in line["grounds"])
        names = {node["criterion"]: node["clause"] or node["label"] for node in _walk(line["path"])}
        count = f"{len(clauses)} independent grounds" if len(clauses) > 1 else "one ground"
        yield Text(f"{count}: {', '.join(names.get(c, c.rpartition('#')[2]) for c in clauses)}", "red")
    yield from _listed("approved with these clauses open:", line["caveats"])
    yield from _listed("assumed:", [a for a in line["assumptions"] if not line["caveats"] or "taken not" not in a])
    yield from _listed("open questions:", [f"{item['question'] or item['fact']}" for item in line["missing"]])
    yield from _listed("what would change it, if true and documented:", list(_changes(line["changes"])))
    yield from _listed("guidelines and studies (they decide nothing by themselves):", map(_guidance, line["guidance"]))
    yield from _listed("conflicts:", [f"{item['kind']}: {item['words']}" for item in line["conflicts"]])


def _listed(title: str, items: Iterable[str]) -> Iterator[RenderableType]:
    shown = list(items)
    if shown:
        yield Text(title, "bold")
        for item in shown:
            yield Padding(Text(f"- {item}"), (0, 0, 0, 2))


def _changes(changes: list[Json]) -> Iterator[str]:
    """Yield the changes in words; single facts that lead to the same decision share a line."""
    words = {"approve": "would approve", "deny": "would deny", "secured": "would settle the open exclusion"}
    single: dict[str, list[str]] = {}
    for change in changes:
        facts = [_fact(fact) for fact in change["facts"]]
        if len(facts) == 1:
            single.setdefault(change["to"], []).append(facts[0])
    yield from (f"any one of {', '.join(facts)} {words[to]}" for to, facts in single.items())
    for change in changes:
        if len(change["facts"]) > 1:
            facts = [_fact(fact) for fact in change["facts"]]
            yield f"{', '.join(facts)}, all together, {words[change['to']]}"


def _fact(fact: Json) -> str:
    name = fact.get("fact") or fact["field"]
    status = {"present": "", "absent": "no ", "met": "", "not-met": "other "}[fact["status"]]
    return f"{status}{name}"


def _guidance(item: Json) -> str:
    said = {"recommends": "recommends", "opposes": "finds no support", "reports": "reports"}[item["stance"]]
    grade = ", ".join(filter(None, (item["evidenceClass"] and f"class {item['evidenceClass']}", item["strength"])))
    statement = f"; {item['statement']}" if "statement" in item else ""
    return f"{item['guideline']} {said}: {item['label']}{statement}" + (f" ({grade})" if grade else "")


def _walk(node: Json) -> Iterator[Json]:
    yield node
    for part in node["parts"]:
        yield from _walk(part)


def _grow(tree: Tree, node: Json, whole: bool) -> None:
    """Grow the tree along what decided; name the clauses that did not in one line a status."""
    open_root = node["criterion"].endswith("#payable") and node["status"] != "not-met"
    shown = node["parts"] if whole or open_root else _responsible(node)
    closed: dict[str, list[str]] = {}
    for part in node["parts"]:
        if any(part is one for one in shown):
            below = [] if whole else _responsible(part)
            only_leaf = below[0] if part["clause"] and len(below) == 1 and not below[0]["parts"] else None
            branch = tree.add(_node(part, only_leaf, whole))
            if only_leaf is None:
                _grow(branch, part, whole)
        elif part["clause"] or node["criterion"].endswith("#payable"):
            closed.setdefault(part["status"], []).append(part["clause"] or part["label"])
    for status, clauses in closed.items():
        sign, colour = SIGNS[status]
        tree.add(Text.assemble((f"{sign} ", colour), (f"{status}: {', '.join(clauses)}", "dim")))


def _responsible(node: Json) -> list[Json]:
    """Return the parts of a node that make its status what it is."""
    status, kind, parts = node["status"], node["kind"], node["parts"]
    if status == "met":
        wanted = {"or": ("met",), "none": (), "SomeLeaf": ("met",)}.get(kind)
    elif status == "not-met":
        wanted = {"and": ("not-met",), "none": ("met",), "EveryLeaf": ("not-met",)}.get(kind)
    else:
        wanted = (status,)
    if wanted is None or kind in ("not", "unless"):
        return list(parts)
    return [part for part in parts if part["status"] in (*wanted, "conflicting")]


def _node(node: Json, leaf: Json | None = None, whole: bool = False) -> Text:
    """Return a node of the tree in words; with `leaf`, the one leaf that decides a clause speaks for it."""
    sign, colour = SIGNS[node["status"]]
    shown = Text.assemble((f"{sign} ", f"bold {colour}"), node["label"], (f"  {node['status']}", colour))
    if node["clause"]:
        shown.append(f"  [{node['clause']}]", "cyan")
    if node["quote"] and (whole or node["clause"]):
        shown.append(f"\n  “{node['quote']}”", "italic")
    told = leaf or node
    for words in told.get("words", ()):
        shown.append(f"\n  {words}" if words else "", "dim")
    if told.get("message") and (whole or leaf or told["status"] == "not-met"):
        shown.append(f"\n  {told['message']}", "dim")
    for source in told.get("sources", ()):
        shown.append(f"\n  record: {source['source']}", "dim")
    return shown


def print_comparison(comparison: Json, console: Console) -> None:
    """Print a claim under several policies: one row a line, one column a policy, then where they part."""
    console.print(
        Text.assemble(
            "claim ",
            (comparison["claim"], "bold"),
            f", {comparison['serviceDate']}, {comparison['posture']} posture, side by side\n{comparison['notice']}",
        )
    )
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("line", "code", *comparison["policies"]):
        table.add_column(heading)
    for line in comparison["lines"]:
        shown = [_decision(line["decisions"][policy]["decision"]) for policy in comparison["policies"]]
        table.add_row(str(line["line"]), line["code"], *shown)
    console.print(table)
    for item in comparison["without"]:
        console.print(f"{item['policy']}: {item['problem']}")
    for line in comparison["lines"]:
        if not line["agree"]:
            console.print(Text(f"\nline {line['line']}  {line['code']}: where the policies part", "bold"))
            for policy, cell in line["decisions"].items():
                names = [item["clause"] or item["label"] for item in cell["because"]]
                why = f" by {', '.join(names)}" if names else f": {cell['note']}" if cell["note"] else ""
                console.print(Text.assemble("  ", _decision(cell["decision"]), f"  {policy}{why}"))


def print_difference(difference: Json, console: Console) -> None:
    """Print what two editions change: clauses, then lines of claims."""
    console.print(Text.assemble(("from ", ""), (difference["before"], "bold"), " to ", (difference["after"], "bold")))
    for change in difference["clauses"]:
        what = f" ({', '.join(change['what'])})" if "what" in change else ""
        console.print(f"  {change['change']}: {change['clause']}, {change['label']}{what}")
    if not difference["clauses"]:
        console.print("  no clause changes")
    for claim in difference["claims"]:
        for line in claim["lines"]:
            was, now = line["before"], line["after"]
            names = [item["clause"] or item["label"] for item in (*was["because"], *now["because"])]
            arrow = Text.assemble(_decision(was["decision"]), " to ", _decision(now["decision"]))
            console.print(Text.assemble(f"claim {claim['claim']} line {line['line']} {line['code']}: ", arrow))
            console.print(f"  by {', '.join(dict.fromkeys(names))}")
    if not difference["claims"]:
        console.print("no decision of the claims given changes")
