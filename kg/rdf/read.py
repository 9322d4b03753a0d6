"""Read a determination from the triples that say it."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any
from urllib.parse import unquote

from kg.check import ALERT
from kg.criteria import Criterion
from kg.knowledge import OPPOSITION, RECOMMENDATION, Clause, Knowledge
from kg.rdf.form import (
    COMMENT,
    CRITERION,
    DAY,
    DERIVATION,
    DERIVED_FROM,
    EDIT,
    EDIT_TELLS,
    LABEL,
    LEAF_TELLS,
    LINE,
    LINE_TELLS,
    NUMBER,
    OF_CRITERION,
    POSTURES,
    STATEMENT,
    STATUS,
    TEXT,
    WORDS,
    Field,
    Json,
    Told,
    unreadable,
)
from kg.rdf.write import (
    ALTERNATIVE,
    AT_NODE,
    CODE,
    GUIDANCE,
    HAS_CLAIM_DECISION,
    HAS_DERIVATION,
    HAS_EDIT,
    HAS_LINE_DECISION,
    HAS_PART,
    HAS_STATUS,
    IN_ORDER,
    KNOWLEDGE_HASH,
    LISTS_ALL,
    OF_CLAIM,
    OF_LINE,
    OF_PROPERTY,
    POSTURE,
    SERVICE_DATE,
    SOURCE,
    UNDER_EDITION,
    UNDER_POLICY,
    WITNESS,
)
from kg.terms import CLAIMS, COV, RDF, TYPE, Literal, Term, Triple, local_name, written

Lines = Mapping[str, Mapping[int, Term]]


class Reader:
    """Reads one determination."""

    def __init__(self, triples: Iterable[Triple], knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self._about: dict[Term, dict[str, dict[Term, None]]] = {}
        for s, p, o in triples:
            self._about.setdefault(s, {}).setdefault(p, {})[o] = None
        found = [s for s, about in self._about.items() if COV + "Determination" in about.get(TYPE, ())]
        if len(found) != 1:
            raise unreadable(f"it holds {len(found) or 'no'} determination{'' if len(found) < 2 else 's'}")
        self.iri = found[0]

    # Nodes

    def many(self, node: Term, predicate: str) -> list[Term]:
        """Return the values of a property, in order."""
        about = self._about.get(node, {})
        for order in about.get(IN_ORDER, ()):
            if self.one(order, OF_PROPERTY) == predicate:
                members = [name for name in self._about[order] if name.startswith(f"{RDF}_")]
                return [self.one(order, name) for name in sorted(members, key=_shorter)]
        return sorted(about.get(predicate, ()), key=lambda term: _shorter(written(term)))

    def one(self, node: Term, predicate: str) -> Term:
        """Return the only value of a property."""
        values = self._about.get(node, {}).get(predicate, {})
        if len(values) != 1:
            name, found = local_name(written(node))[:80], len(values) or "no"
            raise unreadable(f"`{name}` has {found} `{local_name(predicate)}` where there is one")
        return next(iter(values))

    def any(self, node: Term, predicate: str) -> Term | None:
        """Return the only value of a property that may be left out."""
        return self.one(node, predicate) if predicate in self._about.get(node, {}) else None

    def object(self, node: Term, fields: Iterable[Field]) -> Json:
        """Return the JSON object that a node stands for."""
        about = self._about.get(node, {})
        return {
            key: kind.values(self.many(node, predicate), self) if many else kind.value(self.one(node, predicate), self)
            for key, predicate, kind, many in fields
            if many or predicate in about
        }

    # The determination

    def told(self) -> Told:
        """Return what the determination says under each posture."""
        claim, policy, edition = (str(self.one(self.iri, x)) for x in (OF_CLAIM, UNDER_POLICY, UNDER_EDITION))
        lines: dict[str, dict[int, Term]] = {posture: {} for posture in POSTURES}
        for node in self.many(self.iri, HAS_LINE_DECISION):
            number: int = NUMBER.value(self.one(node, COV + "lineNumber"), self)
            lines.setdefault(self.named(node, POSTURE), {})[number] = node
        if any(of.keys() != lines[POSTURES[0]].keys() for of in lines.values()):
            raise unreadable("it does not decide each line under each posture")
        head = {
            "claim": unquote(claim.removeprefix(CLAIMS)),
            "policy": self.policy(policy, edition),
            "serviceDate": DAY.value(self.one(claim, SERVICE_DATE), self),
            "notice": TEXT.value(self.one(self.iri, COMMENT), self),
            "knowledge": TEXT.value(self.one(self.iri, KNOWLEDGE_HASH), self),
        }
        of = {posture: {**head, **self.value(posture, lines)} for posture in POSTURES}
        return Told(str(self.iri), claim, policy, edition, of, self.knowledge)

    def policy(self, iri: str, edition: str) -> Json:
        """Return how JSON names a policy and its edition."""
        for policy in self.knowledge.policies.values():
            for one in policy.editions:
                if (policy.iri, one.iri) == (iri, edition):
                    return {"id": policy.id, "edition": one.name, "label": policy.label}
        raise unreadable(f"no policy here has the edition `{local_name(edition)[:80]}`")

    def named(self, node: Term, predicate: str) -> str:
        """Return the short name of a value."""
        return self.knowledge.notation(str(self.one(node, predicate)))

    def value(self, posture: str, lines: Lines) -> Json:
        """Return what is told under one posture."""
        nodes = [x for x in self.many(self.iri, HAS_CLAIM_DECISION) if self.named(x, POSTURE) == posture]
        derivations = [one for node in nodes for one in self.many(node, HAS_DERIVATION)]
        tree = _Trees(self, derivations)
        judged = [self.line(number, posture, lines, tree) for number in sorted(lines[posture])]
        decisions = {line["decision"] for line in judged}
        return {
            "posture": posture,
            "decision": decisions.pop() if len(decisions) == 1 else "mixed",
            "lines": judged,
            "edits": [self.edit(node, tree) for node in self.many(self.iri, HAS_EDIT)],
            "conflicts": [conflict for line in judged for conflict in line["conflicts"]],
            "derivations": [DERIVATION.value(node, self) for node in derivations],
        }

    def line(self, number: int, posture: str, lines: Lines, trees: "_Trees") -> Json:
        """Return what is decided of a line under a posture."""
        nodes = {name: lines[name][number] for name in POSTURES}
        node, of = nodes[posture], {name: self.object(nodes[name], LINE[1:3]) for name in POSTURES}
        line = self.object(node, (*LINE, *LINE_TELLS))
        code = self.one(node, CODE)
        return {
            **line,
            "code": code.value if isinstance(code, Literal) else local_name(written(code)),
            "decisions": {name: told["decision"] for name, told in of.items()},
            "flips": _flips(line["changes"]),
            "conflicts": [{**conflict, "line": number} for conflict in line["conflicts"]],
            "guidance": [self.guidance(str(clause)) for clause in self.many(node, GUIDANCE)],
            "postures": _separated(of),
            "path": trees.tree(self.one(node, HAS_STATUS), frozenset(self.many(node, LISTS_ALL))),
        }

    def edit(self, node: Term, trees: "_Trees") -> Json:
        """Return an edit that holds."""
        line = self.any(node, OF_LINE)
        iri = str(self.one(node, OF_CRITERION))
        return {
            **self.object(node, (*EDIT, *EDIT_TELLS)),
            "line": None if line is None else int(written(line).rpartition("-")[2]),
            "decides": self.one(node, COV + "effect") != COV + ALERT,
            "clause": self.criterion(iri)["clause"],
            "path": trees.tree(self.one(node, HAS_STATUS), frozenset()),
        }

    def criterion(self, iri: str) -> Json:
        """Return the words of a criterion, from the knowledge if that holds it."""
        known = self.knowledge.criteria.get(iri)
        if known is None:
            return {key: kind.value(self.one(iri, predicate), self) for key, predicate, kind, _ in CRITERION}
        return {"label": known.label, "clause": known.clause, "quote": known.quote, "kind": known.kind}

    def guidance(self, iri: str) -> Json:
        """Return what a clause of a guideline says."""
        guideline, clause = _guidelines(self.knowledge).get(iri) or _no_guideline(iri)
        graph, criterion = self.knowledge.graph, clause.criterion
        told = {
            "guideline": guideline,
            "clause": iri,
            "label": criterion.label,
            "quote": criterion.quote,
            "stance": STANCES.get(clause.kind, "reports"),
            "evidenceClass": graph.text(iri, COV + "evidenceClass") or "",
            "strength": graph.text(iri, COV + "strength") or "",
            "sourceStatus": clause.source_status,
        }
        if speaks := graph.iri(iri, COV + "speaksOf"):
            verb = "affirms" if graph.text(iri, COV + "holdsThat") == "true" else "denies"
            told["statement"] = f"{verb} that monitoring {self.knowledge.label(speaks)}"
        return told


class _Trees:
    """Reads the criteria trees of one posture."""

    def __init__(self, reader: Reader, derivations: list[Term]) -> None:
        self.reader, self.knowledge = reader, reader.knowledge
        self.places = {node: i for i, node in enumerate(derivations)}
        self._told: dict[tuple[Term, bool], Json] = {}

    def tree(self, node: Term, listed: frozenset[Term]) -> Json:
        """Return the status of a criterion with all below it; of some, all sets of witnesses are listed."""
        reader = self.reader
        iri = str(reader.one(node, OF_CRITERION))
        known = self.knowledge.criteria.get(iri)
        at, label = reader.any(node, AT_NODE), reader.any(node, LABEL)
        told = {
            "criterion": iri,
            **reader.criterion(iri),
            **({"label": WORDS.value(label, reader)} if label else {}),
            "status": reader.named(node, STATUS),
            **({"at": written(at)} if at else {}),
            "witnesses": STATEMENT.values(reader.many(node, WITNESS), reader),
            "parts": [self.tree(part, listed) for part in reader.many(node, HAS_PART)],
        }
        if known and known.is_leaf:
            told |= self.leaf(node, known, told)
        if node in listed:
            sets = reader.many(node, ALTERNATIVE)
            told["alternatives"] = [STATEMENT.values(reader.many(one, WITNESS), reader) for one in sets]
        return told

    def leaf(self, node: Term, leaf: Criterion, told: Json) -> Json:
        """Return what is told of a leaf besides."""
        reader = self.reader
        found: Json = reader.object(node, LEAF_TELLS)
        if told["status"] in ("not-met", "undocumented"):
            found["message"] = leaf.message
        if derived := [self.places.get(one, -1) for one in reader.many(node, DERIVED_FROM)]:
            found["derived"] = derived
        if leaf.concept:
            facts = dict.fromkeys(s for s, p, _ in told["witnesses"] if p == COV + "concept")
            listed = ((fact, TEXT.value(x, reader)) for fact in facts for x in reader.many(fact, SOURCE))
            if sources := [{"fact": fact, "source": source} for fact, source in listed]:
                found["sources"] = sources
        return found


STANCES = {**dict.fromkeys(RECOMMENDATION, "recommends"), **dict.fromkeys(OPPOSITION, "opposes")}


def _guidelines(knowledge: Knowledge) -> dict[str, tuple[str, Clause]]:
    """Return the clauses of guidelines, each with the guideline."""

    def compute() -> dict[str, tuple[str, Clause]]:
        clauses = ((g.id, clause) for g in knowledge.guidelines for edition in g.editions for clause in edition.clauses)
        return {clause.iri: (id, clause) for id, clause in clauses}

    return knowledge.remember(("clauses of guidelines",), compute)


def _no_guideline(iri: str) -> Any:
    raise unreadable(f"no guideline here has the clause `{local_name(iri)[:80]}`")


def _flips(changes: Iterable[Json]) -> list[list[str]]:
    """Return the sets of facts whose presence changes the decision."""
    sets = (change["facts"] for change in changes if all(fact["status"] == "present" for fact in change["facts"]))
    return [list(one) for one in dict.fromkeys(tuple(fact["fact"] for fact in facts) for facts in sets)]


def _separated(of: Mapping[str, Json]) -> list[Json]:
    """Return which criteria separate the postures of a line."""
    if len({told["decision"] for told in of.values()}) == 1:
        return []
    groups = groupby(sorted(of, key=lambda name: of[name]["decision"]), key=lambda name: of[name]["decision"])
    return [
        {"decision": decision, "postures": (members := list(names)), "because": of[members[0]]["because"]}
        for decision, names in groups
    ]


def _shorter(name: str) -> tuple[int, str]:
    return len(name), name
