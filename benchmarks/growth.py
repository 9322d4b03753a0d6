"""Claims of more lines and facts, and a policy of more criteria."""

from collections.abc import Iterator
from typing import Any

import kg
from benchmarks.one_core import parsed
from kg.graph import Graph
from kg.knowledge import build
from kg.terms import Blank, Term, Triple


def grown(document: dict[str, Any], lines: int, facts: int) -> kg.Claim:
    """Read a claim with so many lines and listed facts, those that it has said again."""
    names = list(kg.load_knowledge().facts)
    regions = ["cervical", "thoracic", "lumbar", "sacral"]
    listed = [
        {"fact": names[i % len(names)], "status": "present", "region": regions[i % 4], "source": f"page {i}"}
        for i in range(facts)
    ]
    return parsed([{**document, "lines": (document["lines"] * lines)[:lines], "facts": listed}])[0]


def said_again(knowledge: kg.Knowledge, policy: str, times: int) -> kg.Knowledge:
    """Return the knowledge with a policy that says its clauses so many times, each time with criteria of its own."""
    namespace = knowledge.policies[policy].iri.rpartition("#")[0] + "#"
    own = {iri for iri in knowledge.criteria if iri.startswith(namespace)}

    def called(term: Term, copy: int) -> Term:
        if isinstance(term, Blank):
            return Blank(f"{term.label}-{copy}")
        return f"{term}-{copy}" if term in own else term

    def copied(copy: int) -> Iterator[Triple]:
        subjects: list[Term] = [*own]
        for subject in subjects:  # with the blank nodes that these lead to
            for predicate in knowledge.graph.predicates(subject):
                for value in knowledge.graph.objects(subject, predicate):
                    yield called(subject, copy), predicate, called(value, copy)
                    if isinstance(value, Blank):
                        subjects.append(value)

    more = [triple for copy in range(1, times) for triple in copied(copy)]
    return build(Graph(more, below=knowledge.graph), knowledge.hash, knowledge.root)
