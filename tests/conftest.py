"""What the tests share: the knowledge, and the two case claims."""

import json
from pathlib import Path
from typing import Any

import pytest

import kg

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def knowledge() -> kg.Knowledge:
    return kg.load_knowledge()


def example(name: str) -> dict[str, Any]:
    """Return an example claim document."""
    document: dict[str, Any] = json.loads((ROOT / "examples" / f"{name}.json").read_text())
    return document


def parsed(document: dict[str, Any]) -> kg.Claim:
    """Return the claim that a document states."""
    return kg.parse_claim(json.dumps(document), "json")
