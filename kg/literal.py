"""What a literal means: well-formed or not, and smaller or larger than another.

Specification: https://www.w3.org/TR/xmlschema11-2/, for the datatypes that claims and policies use.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

from kg.terms import RDF, XSD, Literal

_DATE = re.compile(r"-?[0-9]{4}-[0-9]{2}-[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})?")
_DATETIME = re.compile(r"-?[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
_DOUBLE = re.compile(r"([+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?)|[+-]?INF|NaN")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_DIGITS = 400  # beyond this a number is an attack, not a measurement

Comparable = Decimal | float | date | datetime | str | bool


def _date(text: str) -> date:
    return date.fromisoformat(text[:10])


def _datetime(text: str) -> datetime:
    return datetime.fromisoformat(text)


_INTEGERS: dict[str, tuple[int | None, int | None]] = {
    "integer": (None, None),
    "long": (-(2**63), 2**63 - 1),
    "int": (-(2**31), 2**31 - 1),
    "short": (-(2**15), 2**15 - 1),
    "byte": (-(2**7), 2**7 - 1),
    "nonNegativeInteger": (0, None),
    "positiveInteger": (1, None),
    "nonPositiveInteger": (None, 0),
    "negativeInteger": (None, -1),
    "unsignedLong": (0, 2**64 - 1),
    "unsignedInt": (0, 2**32 - 1),
    "unsignedShort": (0, 2**16 - 1),
    "unsignedByte": (0, 2**8 - 1),
}
_FORMS: dict[str, tuple[re.Pattern[str], Callable[[str], Comparable]]] = {
    XSD + "decimal": (_DECIMAL, Decimal),
    XSD + "double": (_DOUBLE, float),
    XSD + "float": (_DOUBLE, float),
    XSD + "date": (_DATE, _date),
    XSD + "dateTime": (_DATETIME, _datetime),
    XSD + "boolean": (re.compile("true|false|0|1"), lambda text: text in ("true", "1")),
}
_TEXT = {XSD + "string", RDF + "langString"}


def value_of(literal: Literal) -> Comparable | None:
    """Return what a literal stands for, or None where its form is wrong or its datatype not known."""
    if literal.datatype in _TEXT:
        return literal.value
    text = literal.value.strip(" \t\r\n")
    if len(text) > _DIGITS:
        return None
    if literal.datatype.startswith(XSD) and (bounds := _INTEGERS.get(literal.datatype[len(XSD) :])):
        if not _INTEGER.fullmatch(text):
            return None
        number = int(text)
        low, high = bounds
        inside = (low is None or number >= low) and (high is None or number <= high)
        return Decimal(number) if inside else None
    form = _FORMS.get(literal.datatype)
    if form is None or not form[0].fullmatch(text):
        return None
    try:
        return form[1](text)
    except (ValueError, ArithmeticError):
        return None


def well_formed(literal: Literal) -> bool:
    """Say whether a literal is written as its datatype asks; unknown datatypes are taken on trust."""
    known = literal.datatype in _FORMS or literal.datatype.removeprefix(XSD) in _INTEGERS
    return not known or value_of(literal) is not None


def compare(left: Literal, right: Literal) -> int | None:
    """Return -1, 0 or 1 as left is smaller than, equal to or larger than right; None where neither can be said."""
    a, b = value_of(left), value_of(right)
    if a is None or b is None:
        return None
    if isinstance(a, float) and isinstance(b, Decimal):
        b = float(b)
    if isinstance(b, float) and isinstance(a, Decimal):
        a = float(a)
    if type(a) is not type(b):
        return None
    try:
        return -1 if a < b else 1 if a > b else 0 if a == b else None  # type: ignore[operator]
    except TypeError:  # one instant with a time zone, one without
        return None
