"""Claim documents for property tests: whatever a claim can say, so that every leaf is reached on both sides.

One generator serves both uses. Given a seed it draws many and unlike claims fast; given hypothesis' own randomness,
a claim that fails is shrunk to what it fails by.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import kg
from tests.vocabulary import Group, Vocabulary, vocabulary

T = TypeVar("T")
Document = dict[str, Any]
MINUTES = (1, 7, 8, 15, 30, 31, 60, 180)  # at and around the thresholds by which time is billed
MIDNIGHT = datetime(2025, 3, 14)

words_of: Callable[[kg.Knowledge], Vocabulary] = cache(vocabulary)


def claims(knowledge: kg.Knowledge, policy: str = "") -> st.SearchStrategy[Document]:
    """Draw claim documents that the knowledge accepts, under one policy or any."""
    return st.randoms(use_true_random=False).map(lambda random: claim(Draw(random, words_of(knowledge)), policy))


def random_claims(knowledge: kg.Knowledge, seed: int, count: int, policy: str = "") -> Iterator[Document]:
    """Yield claim documents, the same for the same seed."""
    draw = Draw(Random(seed), words_of(knowledge))
    for i in range(count):
        yield {**claim(draw, policy), "id": f"drawn-{seed}-{i}"}


def counts(short: int, long: int) -> pytest.MarkDecorator:
    """Ask a law of so many claims in the short run, and of so many in the long one."""
    return pytest.mark.parametrize("count", [short, pytest.param(long, marks=pytest.mark.fuzz)])


def for_all(drawn: st.SearchStrategy[T], count: int, law: Callable[[T], None], shrink: bool = True) -> None:
    """Ask a law of so many drawn values, always the same; the failure that is shown is the smallest found.

    A law that is known to fail is not shrunk: that takes minutes, and no one looks.
    """
    asked = settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        suppress_health_check=list(HealthCheck),  # a determination is slow work for hypothesis
    )
    asked(given(drawn)(law))()


class Draw:
    """Choices: of one, of some, whether at all."""

    def __init__(self, random: Random, words: Vocabulary) -> None:
        self.random = random
        self.words = words

    def one(self, items: Sequence[T]) -> T:
        return items[self.random.randrange(len(items))]

    def some(self, most: int, draw: Callable[[], T], least: int = 0) -> list[T]:
        return [draw() for _ in range(self.random.randint(least, most))]

    def often(self, times: int = 1, of: int = 2) -> bool:
        """Say yes so many times of so many; the simpler claim is the one without."""
        return self.random.randrange(of) >= of - times

    def code(self, groups: Sequence[Group]) -> str:
        """Draw what a code means first, then which of those that mean it."""
        return self.one(self.one(groups))

    def maybe(self, **fields: Callable[[], Any]) -> Document:
        """Draw some of the fields of an object."""
        return {name: draw() for name, draw in fields.items() if self.often()}


def claim(draw: Draw, policy: str = "") -> Document:
    """Draw a claim document."""
    words = draw.words
    policy = policy or draw.one(words.policies)
    days = words.days[policy]
    return {
        "id": "drawn",
        "policy": policy,
        "serviceDate": draw.one(days) if draw.often() else days[0],
        "diagnoses": diagnoses(draw),
        "operation": operation(draw),
        "lines": lines(draw),
        "facts": facts(draw),
    }


def diagnoses(draw: Draw) -> list[str]:
    """Draw diagnosis codes, at times two that exclude each other, or one that is given twice."""
    some = draw.some(3, lambda: draw.code(draw.words.diagnoses))
    if draw.often(1, 8):
        some += draw.one(draw.words.excluding)
    return some + some[:1] if draw.often(1, 16) else some


def operation(draw: Draw) -> Document:
    """Draw an operation: procedures with levels or without, and where the cord ends."""
    words = draw.words
    procedures = draw.some(3, lambda: procedure(draw))
    if draw.often(1, 8):
        procedures += [{"code": code} for code in draw.one(words.not_together)]
    return {"procedures": procedures, **draw.maybe(conusLevel=lambda: draw.one(words.levels))}


def procedure(draw: Draw) -> Document:
    """Draw a procedure at neighbouring interspaces or at any levels."""
    words = draw.words

    def levels() -> list[str]:
        if draw.often(1, 4):
            return list(dict.fromkeys(draw.some(3, lambda: draw.one(words.levels))))
        first = draw.random.randrange(len(words.interspaces))
        return list(words.interspaces[first : first + draw.random.randint(1, 4)])

    code = draw.one(words.unknown) if draw.often(1, 16) else draw.code(words.operations)
    return {"code": code, **draw.maybe(units=lambda: draw.random.randint(1, 3), levels=levels)}


def lines(draw: Draw) -> list[Document]:
    """Draw service lines, at times two that exclude each other or report the same minutes.

    Their times have a zone on all of them or on none.
    """
    zone = draw.one(("", "Z", "-05:00"))
    pair: list[Document] = []
    if draw.often(1, 16):
        pair = [{"code": code} for code in draw.one(draw.words.not_together)]
    elif draw.often(1, 16):
        times = [interval(draw, zone)]
        pair = [{"code": draw.one(draw.words.continuous), "intervals": times} for _ in range(2)]
    return draw.some(5 - len(pair), lambda: line(draw, zone), least=1) + pair


def line(draw: Draw, zone: str) -> Document:
    """Draw a service line."""
    words = draw.words
    return {
        "code": draw.one(words.unknown) if draw.often(1, 16) else draw.code(words.studies),
        **draw.maybe(
            units=lambda: draw.random.randint(1, 12),
            technique=lambda: draw.one(words.techniques),
            performer=lambda: draw.maybe(id=lambda: draw.one(("A", "B")), role=lambda: draw.one(words.roles)),
            intervals=lambda: draw.some(2, lambda: interval(draw, zone)),
        ),
    }


def interval(draw: Draw, zone: str) -> Document:
    """Draw a time in which a line was monitored."""
    start = MIDNIGHT + timedelta(minutes=draw.one((420, 450, 480)))
    end = start + timedelta(minutes=draw.one(MINUTES))
    return {"start": start.isoformat() + zone, "end": end.isoformat() + zone}


def facts(draw: Draw) -> list[Document]:
    """Draw listed facts; at times all those of the record beside them, so that what is left open is the rest."""
    some = draw.some(8, lambda: fact(draw))
    if draw.often(1, 4):
        named = {item["fact"] for item in some}
        some += [{"fact": name, "status": "present"} for name in draw.words.record if name not in named]
    return some


def fact(draw: Draw) -> Document:
    """Draw a listed fact."""
    words = draw.words
    status = draw.one(("present", "absent"))
    region = {"region": draw.one(words.regions)} if draw.often(1, 3) else {}
    return {"fact": draw.one(words.facts), "status": status, **region}
