"""Write a determination as RDF: its whole proof, or the part that queries ask for."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

from kg.knowledge import Knowledge
from kg.rdf.form import (
    COMMENT,
    CRITERION,
    DAY,
    DERIVATION,
    DERIVED_FROM,
    EDIT,
    EDIT_TELLS,
    FACT,
    LEAF_TELLS,
    LINE,
    LINE_TELLS,
    OBJECT,
    OF_CRITERION,
    POSTURES,
    PREDICATE,
    STATUS,
    SUBJECT,
    TEXT,
    WORDS,
    Field,
    Json,
    Said,
    Told,
    names,
)
from kg.terms import COV, CPT, HCPCS, OWL, RDF, RDFS, TYPE

EARL = "http://www.w3.org/ns/earl#"
AT_NODE, HAS_PART, WITNESS, HAS_STATUS = (COV + name for name in ("atNode", "hasPart", "witness", "hasStatus"))
POSTURE, OF_LINE, CODE, SOURCE = COV + "posture", COV + "ofLine", COV + "code", COV + "source"
GUIDANCE, LISTS_ALL, ALTERNATIVE = COV + "guidance", COV + "listsAllOf", COV + "alternative"
IN_ORDER, OF_PROPERTY = COV + "inOrder", COV + "ofProperty"
HAS_LINE_DECISION, HAS_CLAIM_DECISION, HAS_EDIT = (
    COV + name for name in ("hasLineDecision", "hasClaimDecision", "hasEdit")
)
HAS_DERIVATION, SERVICE_DATE, KNOWLEDGE_HASH = COV + "hasDerivation", COV + "serviceDate", COV + "knowledgeHash"
OF_CLAIM, UNDER_POLICY, UNDER_EDITION = COV + "ofClaim", COV + "underPolicy", COV + "underEdition"
A_STATUS = (TYPE, (COV + "CriterionStatus",))


class Writer:
    """Writes one determination. Nodes are named in the order in which they are told; one told again is the same."""

    def __init__(self, told: Told, whole: bool) -> None:
        self.told, self.whole, self.knowledge = told, whole, told.knowledge
        self._about: dict[str, list[tuple[str, str]]] = {}
        self._known: dict[tuple[str, Said], str] = {}
        self._count: Counter[str] = Counter()
        self._statements: dict[tuple[tuple[str, str, str], ...], str] = {}
        self._walked = _walked(self.knowledge)
        self._trees: dict[int, str] = {}  # by identity: what lines share is one object of the value
        self._proved: set[str] = set()
        self._statuses = names(self.knowledge, "Status")
        self._postures = names(self.knowledge, "Posture")

    def text(self) -> str:
        """Return the determination as N-Triples, what is said of a node together."""
        self.determination()
        if self.whole:
            self.proof()
        return "".join(
            f"<{subject}> <{predicate}> {term if _is_literal(term) else f'<{term}>'} .\n"
            for subject, about in self._about.items()
            for predicate, term in about
        )

    # Nodes

    def say(self, subject: str, said: Said) -> None:
        """Say something of a node; where names do not tell the order of a list, say that too."""
        about = self._about.setdefault(subject, [])
        for predicate, terms in said:
            about += [(predicate, term) for term in dict.fromkeys(terms)]
            if self.whole and len(terms) > 1 and list(terms) != in_order(terms):
                members = ((f"{RDF}_{i}", (term,)) for i, term in enumerate(terms, 1))
                order = self.node("order", ((TYPE, (RDF + "Seq",)), (OF_PROPERTY, (predicate,)), *members))
                about.append((IN_ORDER, order))

    def node(self, name: str, said: Said, more: Said = ()) -> str:
        """Return the node of which something is said, and say more of a new one."""
        key = (name, said)
        node = self._known.get(key)
        if node is None:
            node = self._known[key] = self.new(name, said)
            self.say(node, more)
        return node

    def new(self, name: str, said: Said) -> str:
        """Return a new node of which something is said."""
        self._count[name] += 1
        node = f"{self.told.iri}#{name}-{self._count[name]}"
        self.say(node, said)
        return node

    def said(self, value: Json, fields: Iterable[Field]) -> Said:
        """Return what RDF says of a JSON object."""
        return tuple(
            (predicate, kind.terms(value[key], self) if many else (kind.term(value[key], self),))
            for key, predicate, kind, many in fields
            if key in value
        )

    def statements(self, triples: list[list[str]]) -> tuple[str, ...]:
        """Return the nodes of triples; steps of a walk along a property are the one triple that follows from them."""
        nodes, i = [], 0
        while i < len(triples):
            start, predicate, end = triples[i]
            whole, j = self._walked.get(predicate), i + 1
            while whole and j < len(triples) and triples[j][0] == end and triples[j][1] == predicate:
                end, j = triples[j][2], j + 1
            steps = tuple([(s, p, o) for s, p, o in triples[i:j]])
            if (node := self._statements.get(steps)) is None:
                said = (
                    (SUBJECT, (start,)),
                    (PREDICATE, (whole if whole and j > i + 1 else predicate,)),
                    (OBJECT, (end,)),
                )
                node = self._statements[steps] = self.new("witness", said)
            nodes.append(node)
            i = j
        return tuple(nodes)

    # The determination

    def determination(self) -> None:
        """Say what the determination is about, and what it says of each line under each posture."""
        told = self.told
        first = told.of[POSTURES[0]]
        self.say(
            told.iri,
            (
                (TYPE, (COV + "Determination",)),
                (OF_CLAIM, (told.claim,)),
                (UNDER_POLICY, (told.policy,)),
                (UNDER_EDITION, (told.edition,)),
                (KNOWLEDGE_HASH, (TEXT.term(first["knowledge"], self),)),
            ),
        )
        for posture, value in told.of.items():
            for line in value["lines"]:
                self.line(line, posture)
        self.say(told.iri, ((HAS_EDIT, tuple(map(self.edit, first["edits"]))),))

    def line(self, line: Json, posture: str) -> None:
        """Say what is decided of a line under a posture, and show its criteria tree."""
        node = self.of_posture(line, posture)
        self.say(self.told.iri, ((HAS_LINE_DECISION, (node,)),))
        about = self._about.setdefault(node, [(TYPE, COV + "LineDecision")])
        about += [(OF_LINE, self.of_line(line)), (CODE, self.code(line["code"])), (POSTURE, self._postures[posture])]
        self.say(node, self.said(line, LINE))
        for fact in dict.fromkeys(FACT.term(one["fact"], self) for one in line["missing"]):
            about.append((COV + ("missingField" if _is_literal(fact) else "missing"), fact))
        about.append((HAS_STATUS, self.status(line["path"])))

    def of_posture(self, line: Json, posture: str) -> str:
        """Return the decision on a line under a posture."""
        return f"{self.told.iri}#line-{line['line']}-{posture}"

    def of_line(self, value: Json) -> str:
        """Return the line that a decision or an edit is about."""
        return f"{self.told.claim}#line-{value['line']}"

    def code(self, code: str) -> str:
        """Return the IRI of a code, or the code itself where the ontology does not hold it."""
        iri = (CPT if code[:1].isdigit() else HCPCS) + code
        return iri if self.knowledge.graph.objects(iri, TYPE) else TEXT.term(code, self)

    def edit(self, edit: Json) -> str:
        """Return the node of an edit that holds."""
        line = () if edit["line"] is None else ((OF_LINE, (self.of_line(edit),)),)
        status = (HAS_STATUS, (self.status(edit["path"]),))
        return self.node("edit", ((TYPE, (COV + "EditHit",)), *self.said(edit, EDIT), *line, status))

    def status(self, tree: Json) -> str:
        """Return the node of a status, with all below it."""
        node = self._trees.get(id(tree))
        if node is None:
            said: Said = (A_STATUS, (OF_CRITERION, (tree["criterion"],)), (STATUS, (self._statuses[tree["status"]],)))
            if "at" in tree:
                said += ((AT_NODE, (tree["at"],)),)
            if tree["parts"]:
                said += ((HAS_PART, tuple([self.status(part) for part in tree["parts"]])),)
            if tree["witnesses"]:
                said += ((WITNESS, self.statements(tree["witnesses"])),)
            node = self._trees[id(tree)] = self.node("status", said)
        return node

    # The rest of its proof: after the above, so that the nodes of that have the same names without it

    def proof(self) -> None:
        """Say what follows from what, what would change a decision, and all of it in words."""
        told = self.told
        first = told.of[POSTURES[0]]
        day = DAY.term(first["serviceDate"], self)
        self.say(told.claim, ((SERVICE_DATE, (day,)),))
        notice = (COMMENT, (WORDS.term(first["notice"], self),))
        self.say(told.iri, (notice, (DERIVED_FROM, (told.claim, told.edition))))
        for posture, value in told.of.items():
            derivations = tuple(DERIVATION.term(one, self) for one in value["derivations"])
            node = f"{told.iri}#{posture}"
            self.say(told.iri, ((HAS_CLAIM_DECISION, (node,)),))
            about = (TYPE, (COV + "ClaimDecision",)), (POSTURE, (self._postures[posture],))
            self.say(node, (*about, (HAS_DERIVATION, derivations)))
            for line in value["lines"]:
                self.told_of_line(line, posture, derivations)
            for edit in value["edits"] if value is first else ():
                self.say(self.edit(edit), self.said(edit, EDIT_TELLS))
                self.told_of_tree(edit["path"], derivations)
        for steps, node in tuple(self._statements.items()):
            if len(steps) > 1:
                self.say(node, ((DERIVED_FROM, tuple([self.statements([list(step)])[0] for step in steps])),))

    def told_of_line(self, line: Json, posture: str, derivations: Sequence[str]) -> None:
        """Say why a line is decided so, and what would change it."""
        node = self.of_posture(line, posture)
        self.say(node, (*self.said(line, LINE_TELLS), (GUIDANCE, tuple(one["clause"] for one in line["guidance"]))))
        listed = dict.fromkeys(self.told_of_tree(line["path"], derivations))
        self._about[node] += [(LISTS_ALL, status) for status in listed]

    def told_of_tree(self, tree: Json, derivations: Sequence[str]) -> list[str]:
        """Say what is told of each status of a tree, and return those of which all sets of witnesses are listed."""
        node = self.status(tree)
        if node not in self._proved:
            self._proved.add(node)
            self.describe(tree)
            outcome = self.knowledge.graph.iri(self._statuses[tree["status"]], EARL + "outcome")
            self.say(node, ((EARL + "outcome", (outcome,) if outcome else ()), *self.said(tree, LEAF_TELLS)))
            self.say(node, self.said(tree, CRITERION[:1]) if "at" in tree else ())
            self.say(node, ((DERIVED_FROM, tuple(derivations[i] for i in tree.get("derived", ()))),))
        if "alternatives" in tree and all(p != ALTERNATIVE for p, _ in self._about[node]):
            self.say(node, ((ALTERNATIVE, tuple(map(self.alternative, tree["alternatives"]))),))
        below = [self.told_of_tree(part, derivations) for part in tree["parts"]]
        return [*([node] if "alternatives" in tree else []), *chain.from_iterable(below)]

    def alternative(self, triples: list[list[str]]) -> str:
        """Return the node of a set of witnesses that suffices."""
        return self.node("alternative", ((WITNESS, self.statements(triples)),))

    def describe(self, tree: Json) -> None:
        """Say where in the record the facts of a status stand, and what no knowledge says of its criterion."""
        for one in tree.get("sources", ()):
            self.add(one["fact"], SOURCE, TEXT.term(one["source"], self))
        if tree["criterion"] not in self.knowledge.criteria:
            for predicate, (term,) in self.said(tree, CRITERION):
                self.add(tree["criterion"], predicate, term)

    def add(self, subject: str, predicate: str, term: str) -> None:
        """Say something of a node that is not of this document, once."""
        about = self._about.setdefault(subject, [])
        if (predicate, term) not in about:
            about.append((predicate, term))


def _walked(knowledge: Knowledge) -> dict[str, str]:
    """Return the properties whose steps make walks, each with the transitive one that a walk is of."""

    def compute() -> dict[str, str]:
        above = ((s, o) for s, p, o in knowledge.graph if p == RDFS + "subPropertyOf")
        transitive = OWL + "TransitiveProperty"
        return {str(s): str(o) for s, o in above if (o, TYPE, transitive) in knowledge.graph}

    return knowledge.remember(("walked",), compute)


def in_order(terms: Iterable[str]) -> list[str]:
    """Return terms in the order of their names, shorter ones first."""
    return sorted({*terms}, key=lambda term: (len(term), term))


def _is_literal(term: str) -> bool:
    """Say whether a term, as JSON carries it, is no IRI."""
    return term[0] in '"_'
