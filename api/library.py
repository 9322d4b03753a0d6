"""Saved queries: SPARQL in files, each a question in words, with typed parameters."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

import kg
from api.workers import Question, Value
from kg.errors import Fault, KnowledgeError, nearest
from kg.terms import CPT, HCPCS, ICD10CM, XSD


@dataclass(frozen=True, slots=True)
class Parameter:
    """A variable of a query that is given a value before the query runs; without one it is any."""

    name: str
    type: str
    default: str
    required: bool


@dataclass(frozen=True, slots=True)
class Saved:
    """A query that is kept in a file."""

    name: str
    title: str
    question: str
    parameters: tuple[Parameter, ...]
    text: str

    def asked(self, given: Mapping[str, str], accept: str, knowledge: kg.Knowledge) -> Question:
        """Return the query with values for its parameters; raise ClaimError for those that are no such values.

        A value goes to the engine as a term beside the query, never into its text.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        faults = [
            Fault(f"parameter {name}"[:80], "the query has no such parameter", f"parameters: {', '.join(known) or '-'}")
            for name in given
            if name not in known
        ]
        values: dict[str, Value] = {}
        for parameter in self.parameters:
            text = given.get(parameter.name, "") or parameter.default
            if text:
                try:
                    values[parameter.name] = read_value(parameter.type, text, knowledge)
                except ValueError as error:
                    faults.append(Fault(f"parameter {parameter.name}", f"this is no {parameter.type}", str(error)))
            elif parameter.required:
                faults.append(Fault(f"parameter {parameter.name}", "a value is needed", f"give a {parameter.type}"))
        if faults:
            raise kg.ClaimError(faults, self.name)
        return Question(self.text, accept, values)


def read_queries(folder: Path) -> dict[str, Saved]:
    """Read the queries of a folder, by name."""
    return {path.stem: read_query(path.stem, path.read_text("utf-8")) for path in sorted(folder.glob("*.rq"))}


def read_query(name: str, text: str) -> Saved:
    """Read a query; its first lines, each a comment, say in YAML what it asks and for which parameters.

    title: what the answer holds
    question: the same, as one would ask it
    parameters: for each variable that may be given, its `type`, and a `default` or `required: true`
    """
    front = re.match(r"(?:#.*\n)*", text)
    words = "".join(line.removeprefix("#").removeprefix(" ") for line in (front[0] if front else "").splitlines(True))
    try:
        found = yaml.load(words, yaml.BaseLoader)
        parameters = tuple(
            Parameter(variable, item["type"], item.get("default", ""), item.get("required") == "true")
            for variable, item in found.get("parameters", {}).items()
        )
        saved = Saved(name, found["title"], found["question"], parameters, text)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        help = "begin it with comments: title, question, parameters"
        raise KnowledgeError(f"{name}.rq", "the query does not say what it asks", help) from None
    for parameter in parameters:
        if parameter.type not in {*CHOICES, *READERS}:
            help = f"types: {', '.join((*CHOICES, *READERS))}"
            raise KnowledgeError(f"{name}.rq", f"`{parameter.type}` is no type of a parameter", help)
    return saved


def read_value(type: str, text: str, knowledge: kg.Knowledge) -> Value:
    """Return the term that a text of a type stands for; raise ValueError, which says what is welcome."""
    if type in CHOICES:
        choices = CHOICES[type](knowledge)
        if text in choices:
            return choices[text]
        if text in choices.values():
            return text
        raise ValueError(nearest(text, choices, f"for example {', '.join(list(choices)[:6])}"))
    datatype, pattern, example = READERS[type]
    if len(text) > 1000 or not re.fullmatch(pattern, text):
        raise ValueError(f"write it like {example}")
    return text, XSD + datatype


def _clauses(knowledge: kg.Knowledge) -> dict[str, str]:
    documents = (*knowledge.policies.values(), *knowledge.guidelines)
    clauses = (clause.iri for document in documents for edition in document.editions for clause in edition.clauses)
    return {iri.rpartition("/")[2]: iri for iri in clauses}


def _codes(knowledge: kg.Knowledge) -> dict[str, str]:
    subjects = {s for s, _, _ in knowledge.graph if isinstance(s, str) and s.startswith((CPT, HCPCS, ICD10CM))}
    return {knowledge.notation(iri): iri for iri in sorted(subjects)}


CHOICES: Mapping[str, Callable[[kg.Knowledge], Mapping[str, str]]] = {
    "posture": lambda knowledge: knowledge.named("Posture"),
    "decision": lambda knowledge: knowledge.named("Decision"),
    "policy": lambda knowledge: {policy.id: policy.iri for policy in knowledge.policies.values()},
    "fact": lambda knowledge: knowledge.facts,
    "clause": _clauses,
    "code": _codes,
}
READERS = {
    "text": ("string", r"[^\x00-\x1f\ud800-\udfff]+", "any text"),
    "integer": ("integer", r"-?[0-9]{1,18}", "42"),
    "date": ("date", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "2026-01-31"),
}


@cache
def library(root: Path) -> dict[str, Saved]:
    """Return the queries that go with the knowledge of a folder."""
    return read_queries(root / "queries")
