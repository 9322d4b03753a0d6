"""The spine as a picture: its levels, those operated on, where the cord ends, and what each operated level holds."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pyoxigraph as ox

from kg.convert import facts_turtle
from kg.explain import Determination
from kg.graph import Graph, parse
from kg.knowledge import Knowledge
from kg.terms import ANATOMY, COV, TYPE, Term

Json = dict[str, Any]
Point = tuple[float, float]
TOP, MIDDLE, CANAL = 12, 70, 56
NEAR, FAR = (18, 9), (11, 4)  # heights of a vertebra and an interspace, near an operated level and far from any


def spine(determination: Determination) -> Json:
    """Return what the picture of a claim's operation shows, with the place of each part in it."""
    knowledge, operation = determination.knowledge, determination.claim.document.get("operation", {})
    facts = Graph(parse(facts_turtle(determination).encode(), ox.RdfFormat.TURTLE))
    sites = {iri: s for s, p, iri in facts if p == COV + "level" and facts.subjects(COV + "site", s)}
    levels = _levels(knowledge, [iri in sites for iri in knowledge.levels.values()])
    cord = ANATOMY + "SpinalCord"
    imaged = operation.get("conusLevel", "")
    bounds = (knowledge.graph.iri(cord, ANATOMY + name) for name in ("endsAtEarliest", "endsAtLatest"))
    first, last = (imaged, imaged) if imaged else (knowledge.notation(bound or "") for bound in bounds)
    ends = [next(level["bottom"] for level in levels if level["name"] == name) for name in (first, last)]
    end = levels[-1]["bottom"]
    return {
        "levels": levels,
        "height": end + TOP,
        "canal": _line(0, end),
        "cord": _line(0, ends[0]),
        "open": _line(ends[0], ends[1]) if first != last else "",
        "below": [_line(ends[0], end, shift) for shift in (-3, 0, 3)],
        "first": first,
        "last": last,
        "ends": ends,
        "imaged": bool(imaged),
        "operated": _operated(facts, sites, levels, knowledge),
    }


def _levels(knowledge: Knowledge, operated: list[bool]) -> list[Json]:
    """Return the levels from the head down, each with its place; those near an operated one are drawn larger."""
    found: list[Json] = []
    y, region = float(TOP), ""
    for i, (name, iri) in enumerate(knowledge.levels.items()):
        is_disc = (iri, TYPE, ANATOMY + "Interspace") in knowledge.graph
        near = any(operated[max(0, i - 4) : i + 5])
        height = (NEAR if near else FAR)[is_disc]
        begins = not is_disc and knowledge.main_region(iri)[0] != region
        region = region if is_disc else knowledge.main_region(iri)[0]
        level = {"name": name, "iri": iri, "disc": is_disc, "y": y, "bottom": y + height, "height": height}
        found.append({**level, "x": MIDDLE + _bend(y + height / 2), "named": near or begins})
        y += height
    return found


def _operated(facts: Graph, sites: Mapping[Term, Term], levels: list[Json], knowledge: Knowledge) -> list[Json]:
    """Return the operated levels from the head down: where each lies to the cord, and what it encloses."""
    found = []
    for level in levels:
        if site := sites.get(level["iri"]):
            position = facts.iri(site, COV + "cordPosition")
            held = [knowledge.label(thing) for thing in knowledge.enclosed(level["iri"])]
            lies = knowledge.label(position) if position else ""
            found.append({**level, "position": lies, "encloses": held, "label": level["y"] + level["height"] / 2})
    for above, below in pairwise(found):  # labels of neighbouring levels do not touch
        below["label"] = max(below["label"], above["label"] + 15)
    return found


def _bend(y: float) -> float:
    """Return how far the spine lies to one side at a height: forward at the neck and the loin, backward between."""
    return 11 * math.sin(y / 62 + 2.3)


def _line(top: float, bottom: float, shift: float = 0) -> str:
    """Return the points of a line down the canal, as SVG writes them."""
    heights = [top + i * (bottom - top) / 40 for i in range(41)]
    points: list[Point] = [(MIDDLE + CANAL + _bend(y) + shift, y) for y in heights]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
