"""Knowledge that no claim should be judged by is refused when it is loaded, in words that its author can act on."""

import shutil
from pathlib import Path

import pytest
from pyoxigraph import RdfFormat

import kg
from kg import errors
from kg.criteria import Criterion, read_criteria
from kg.graph import Graph, parse
from kg.knowledge import build, knowledge_files
from kg.load import claim_schema
from kg.outcome import side_of
from tests.conftest import ROOT, example, parsed

TRIAL = "https://example.org/trial#"
PREFIXES = f"""@prefix : <{TRIAL}> .
@prefix anatomy: <https://w3id.org/coverpath/anatomy#> .
@prefix condition: <https://w3id.org/coverpath/condition#> .
@prefix cov: <https://w3id.org/coverpath/coverage#> .
@prefix line: <https://w3id.org/coverpath/line#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
WORDS = 'rdfs:label "trial"@en ; sh:message "no trial is recorded"@en'
FACT = f"a cov:FactLeaf ; {WORDS} ; cov:asksFor condition:Myelopathy"
NUMBER = f"a cov:NumberLeaf ; {WORDS} ; sh:path cov:units"
LEAF = f"a cov:KnownLeaf ; {WORDS} ; sh:path cov:code"

Refused = list[tuple[type[errors.KnowledgeError], str, str]]


def extended(knowledge: kg.Knowledge, turtle: str) -> Graph:
    """Lay further Turtle over the graph of the real knowledge."""
    return Graph(parse((PREFIXES + turtle).encode(), RdfFormat.TURTLE, blank="trial-"), below=knowledge.graph)


def read(knowledge: kg.Knowledge, turtle: str) -> dict[str, Criterion]:
    """Read the criterion `:it` of further Turtle."""
    return read_criteria(extended(knowledge, turtle), [TRIAL + "it"])


def assert_says(error: errors.KnowledgeError, words: str) -> None:
    """Assert that an error says where it is and what to do, on two lines, and has some words."""
    where, _, rest = str(error).partition(": ")
    problem, _, help = rest.partition("\nhelp: ")
    assert all((where, problem, help))
    assert "\n" not in problem + help
    assert words in str(error)


DANGLING: Refused = [
    (errors.DanglingReferenceError, f":it {WORDS} ; sh:and ( :gone ) .", "it: `it` names `gone`, which does not exist"),
    (errors.DanglingReferenceError, f":it {WORDS} ; sh:and ( line:ssep :gone ) .", "`it` names `gone`"),
    (errors.DanglingReferenceError, f":it {WORDS} ; sh:or ( :gone line:ssep ) .", "`it` names `gone`"),
    (errors.DanglingReferenceError, f":it {WORDS} ; sh:not :gone .", "`it` names `gone`"),
    (errors.DanglingReferenceError, f":it {WORDS} ; sh:not :on . :on {WORDS} ; sh:not :gone .", "`on` names `gone`"),
    (errors.DanglingReferenceError, f":it a cov:EveryLeaf ; {WORDS} ; sh:path cov:x ; sh:node :gone .", "`gone`"),
    (errors.DanglingReferenceError, f":it a cov:SomeLeaf ; {WORDS} ; sh:path cov:x ; sh:node :gone .", "`gone`"),
    (errors.DanglingReferenceError, f":it {WORDS} ; cov:concerns :gone .", "`it` names `gone`"),
    (errors.DanglingReferenceError, f":it {WORDS} ; cov:concerns :gone ; sh:and ( line:ssep ) .", "`it` names `gone`"),
    (errors.DanglingReferenceError, "", "it: `it` does not exist"),
    (
        errors.DanglingReferenceError,
        f":it a cov:FactLeaf ; {WORDS} ; cov:asksFor condition:Myelopathy ; cov:inRegion anatomy:CervcalRegion .",
        "`CervcalRegion` does not exist",
    ),
]
CIRCULAR: Refused = [
    (errors.CircularReferenceError, f":it {WORDS} ; sh:and ( :it ) .", "it -> it"),
    (errors.CircularReferenceError, f":it {WORDS} ; sh:not :on . :on {WORDS} ; sh:or ( :it ) .", "it -> on -> it"),
    (errors.CircularReferenceError, f":it a cov:EveryLeaf ; {WORDS} ; sh:path cov:x ; sh:node :it .", "it -> it"),
    (errors.CircularReferenceError, f":it {WORDS} ; cov:concerns :it ; sh:and ( line:ssep ) .", "it -> it"),
]
BACK = "[ sh:inversePath cov:code ]"
UNREADABLE = (  # paths that a claim and the ontology are not walked along
    "[ sh:inversePath cov:baseLine ]",
    "( [ sh:oneOrMorePath cov:baseLine ] cov:code )",
    "( cov:ofClaim [ sh:zeroOrOnePath cov:operation ] cov:procedure )",
    f"( cov:code {BACK} cov:baseLine )",
    f"( cov:code ( rdf:type {BACK} ) )",
    f"[ sh:alternativePath ( cov:code ( cov:code [ sh:zeroOrMorePath {BACK} ] ) ) ]",
    f"( cov:code [ sh:alternativePath ( rdf:type {BACK} ) ] )",
)
UNREADABLE_TO_NODES = (
    "cov:code",
    "( cov:code rdf:type )",
    "[ sh:alternativePath ( cov:baseLine cov:exposure ) ]",
    "( [ sh:zeroOrMorePath cov:baseLine ] cov:exposure )",
    "( cov:ofClaim [ sh:zeroOrOnePath cov:operation ] )",
    "( cov:ofClaim [ sh:inversePath cov:ofClaim ] cov:exposure )",
)
ONWARD = "the path does not go along properties of the claim, and then forwards through the ontology"
TO_NODES = "the path does not lead forwards, and in one way, from node to node of the claim"
UNSUPPORTED: Refused = [
    (errors.UnsupportedShapeError, f":it {LEAF} ; sh:hasVaule 1 .", "`sh:hasVaule`"),
    (errors.UnsupportedShapeError, f":it {LEAF} ; sh:hasVaule 1 .", "did you mean `hasValue`?"),
    (errors.UnsupportedShapeError, f":it {LEAF} ; sh:minCont 1 .", "did you mean `minCount`"),
    (errors.UnsupportedShapeError, f":it {WORDS} ; sh:adn ( line:ssep ) .", "did you mean `and`"),
    (errors.UnsupportedShapeError, f":it {LEAF} ; sh:minCount 1 ; sh:class cov:Code .", "`sh:class`"),
    (errors.UnsupportedShapeError, f":it {LEAF} ; sh:minCount 1 ; sh:deactivated true .", "`sh:deactivated`"),
    (errors.UnsupportedShapeError, f":it {LEAF} ; sh:minCount 1 ; sh:and ( line:ssep ) .", "either tests or joins"),
    (errors.UnsupportedShapeError, f":it {WORDS} ; sh:and ( line:ssep ) ; sh:or ( line:mep ) .", "joins in one way"),
    (errors.UnsupportedShapeError, f":it {LEAF} ; a cov:NumberLeaf ; sh:minInclusive 1 .", "either tests or joins"),
    (errors.UnsupportedShapeError, f":it {WORDS} ; cov:concerns line:ssep ; sh:or ( line:mep ) .", "`cov:concerns`"),
    (
        errors.UnsupportedShapeError,
        f":it a cov:NumberLeaf ; {WORDS} ; sh:path cov:units ; sh:minInclusive cov:eight .",
        "`sh:minInclusive` needs a literal",
    ),
    *(
        (errors.UnsupportedShapeError, f":it {turtle} .", words)
        for turtle, words in (
            (f"{LEAF} ; sh:minCount 0", "`sh:minCount` of a known leaf is 1"),
            (f"{LEAF} ; sh:minCount 2", "`sh:minCount` of a known leaf is 1"),
            (f"{LEAF} ; sh:minCount true", "`sh:minCount` of a known leaf is 1"),
            (f"{LEAF} ; sh:hasValue 1 , 2", "`sh:hasValue` has 2 values"),
            (f"{LEAF} ; sh:hasValue []", "a value without a name"),
            (f"{LEAF} ; sh:hasValue 1 ; sh:minInclusive 5", "`sh:minInclusive` has no meaning beside `cov:KnownLeaf`"),
            (f"{LEAF} ; sh:hasValue 1 ; sh:node line:ssep", "`sh:node` has no meaning beside `cov:KnownLeaf`"),
            (f"{LEAF} ; sh:minCount 1 ; cov:concerns line:ssep", "`cov:concerns` has no meaning"),
            (f"{LEAF} ; sh:hasValue 1 ; cov:knwonBy cov:code", "`cov:knwonBy` is no term of the ontology"),
            (f"{WORDS} ; sh:and ( line:ssep ) , ( line:mep )", "`sh:and` has 2 values"),
            (f"{WORDS} ; sh:not line:ssep , line:mep", "`sh:not` has 2 values"),
            (f"{WORDS} ; sh:and ( line:ssep ) ; sh:path cov:x", "`sh:path` has no meaning beside `sh:and`"),
            (f"{WORDS} ; sh:and ( line:ssep ) ; sh:minCount 1", "`sh:minCount` has no meaning beside `sh:and`"),
            (f"{WORDS} ; cov:cluase '2(b)' ; sh:and ( line:ssep )", "did you mean `clause`"),
            (f"{FACT} ; cov:asksFor condition:Radiculopathy", "`cov:asksFor` has 2 values"),
            (f"{FACT} ; sh:path cov:x", "`sh:path` has no meaning beside `cov:FactLeaf`"),
            (f"{NUMBER} ; sh:minInclusive 'eight'", "`sh:minInclusive` needs a literal that is a number"),
            (f"{NUMBER} ; sh:minInclusive 8 , 9", "`sh:minInclusive` has 2 values"),
        )
    ),
    *(
        (errors.UnsupportedShapeError, f":it a cov:KnownLeaf ; {WORDS} ; {paths} .", ONWARD)
        for path in UNREADABLE
        for paths in (f"sh:minCount 1 ; sh:path {path}", f"sh:hasValue 1 ; sh:path cov:code ; cov:knownBy {path}")
    ),
    *(
        (errors.UnsupportedShapeError, f":it a cov:SomeLeaf ; {WORDS} ; sh:node line:ssep ; sh:path {path} .", TO_NODES)
        for path in UNREADABLE_TO_NODES
    ),
]
INCOMPLETE: Refused = [
    (
        errors.IncompleteCriterionError,
        ':it a cov:KnownLeaf ; rdfs:label "x" ; sh:path cov:x ; sh:minCount 1 .',
        "message",
    ),
    (
        errors.IncompleteCriterionError,
        ':it a cov:KnownLeaf ; sh:message "x" ; sh:path cov:x ; sh:minCount 1 .',
        "label",
    ),
    (errors.IncompleteCriterionError, ":it a cov:Criterion ; sh:and ( line:ssep ) .", "label"),
    (errors.IncompleteCriterionError, f":it {LEAF} .", "`sh:hasValue ...`"),
    (
        errors.IncompleteCriterionError,
        f":it {LEAF} ; sh:hasValue 1 ; sh:minCount 1 .",
        "either for one value or for any",
    ),
    (errors.IncompleteCriterionError, f":it {FACT} ; cov:inRegion 'cervical' .", "`cov:inRegion` names nothing"),
    (
        errors.IncompleteCriterionError,
        f":it {WORDS} ; sh:and _:l . _:l rdf:first line:ssep ; rdf:rest _:l .",
        "a join names criteria",
    ),
    (errors.IncompleteCriterionError, f":it a cov:KnownLeaf ; {WORDS} ; sh:minCount 1 .", "no path"),
    (errors.IncompleteCriterionError, f":it a cov:NumberLeaf ; {WORDS} ; sh:minInclusive 1 .", "no path"),
    (errors.IncompleteCriterionError, f":it a cov:EveryLeaf ; {WORDS} ; sh:node line:ssep .", "no path"),
    (errors.IncompleteCriterionError, f":it a cov:SomeLeaf ; {WORDS} ; sh:path cov:x .", "`sh:node`"),
    (errors.IncompleteCriterionError, f":it a cov:NumberLeaf ; {WORDS} ; sh:path cov:units .", "`sh:minInclusive 8`"),
    (errors.IncompleteCriterionError, f":it {WORDS} ; sh:and ( line:ssep [ {LEAF} ; sh:minCount 1 ] ) .", "an IRI"),
    (errors.IncompleteCriterionError, f":it {WORDS} ; sh:not [ {LEAF} ; sh:minCount 1 ] .", "an IRI"),
    (errors.IncompleteCriterionError, f":it {WORDS} ; sh:and () .", "a join names criteria"),
    (errors.IncompleteCriterionError, f":it {WORDS} ; sh:or line:ssep .", "a join names criteria"),
    (errors.IncompleteCriterionError, f':it {WORDS} ; sh:or ( "line:ssep" ) .', "a join names criteria"),
    (errors.IncompleteCriterionError, f":it a cov:Criterion ; {WORDS} .", "neither tests nor joins"),
    (errors.IncompleteCriterionError, f":it a cov:KnwonLeaf ; {WORDS} .", "neither tests nor joins"),
    (errors.IncompleteCriterionError, f":it a cov:FactLeaf ; {WORDS} .", "`cov:asksFor condition:...`"),
    (
        errors.IncompleteCriterionError,
        f":it a cov:FactLeaf ; {WORDS} ; cov:asksFor condition:Myelopaty .",
        "a class of the ontology",
    ),
    (errors.IncompleteCriterionError, f":it a cov:FactLeaf ; {WORDS} ; cov:asksFor 'Myelopathy' .", "a class of"),
]
PATHS: Refused = [
    (errors.KnowledgeError, f":it a cov:KnownLeaf ; {WORDS} ; sh:minCount 1 ; sh:path {path} .", words)
    for path, words in (
        ("[ sh:zeroOrMorPath cov:x ]", "it: this is not a property path"),
        ("[ sh:zeroOrMorePath cov:x ; sh:inversePath cov:y ]", "it: this is not a property path"),
        ("'code'", "it: this is not a property path"),
        ("()", "it: this is not a property path"),
        ("[ sh:alternativePath () ]", "it: a path has a list without members"),
        ("_:p . _:p sh:inversePath _:p", "it: the path leads back into itself"),
        ("_:p . _:p rdf:first cov:x ; rdf:rest _:p", "it: a path has a list without members or without end"),
        ("[ sh:inversePath " * 50 + "cov:x" + "]" * 50, "it: the path nests more than 30 deep"),
    )
]
DEEP: Refused = [
    (
        errors.KnowledgeError,
        "".join(f":{i} {WORDS} ; sh:not :{i + 1} .\n" for i in range(2000)).replace(":0 ", ":it "),
        "nests more than 100 deep",
    )
]
HERE = "[ sh:zeroOrMorePath cov:x ]"  # a path that reaches its own focus, so that there always is a value
VACUOUS: Refused = [
    (errors.VacuousLeafError, f":it {LEAF} ; sh:hasValue 1 ; cov:knownBy {HERE} .", "refuted where nothing is known"),
    (
        errors.VacuousLeafError,
        f":it a cov:KnownLeaf ; {WORDS} ; sh:path {HERE} ; sh:minCount 1 .",
        "met where nothing is known",
    ),
    (
        errors.VacuousLeafError,
        f":it a cov:NumberLeaf ; {WORDS} ; sh:path {HERE} ; sh:minInclusive 1 .",
        "refuted where nothing is known",
    ),
    (
        errors.VacuousLeafError,
        f":it {WORDS} ; sh:not :on . :on {LEAF} ; sh:hasValue 1 ; cov:knownBy {HERE} .",
        "on: the leaf is refuted",
    ),
]


@pytest.mark.parametrize(
    ("kind", "turtle", "words"), [*DANGLING, *CIRCULAR, *UNSUPPORTED, *INCOMPLETE, *PATHS, *DEEP, *VACUOUS]
)
def test_a_criterion_that_could_not_be_judged_rightly_is_refused(
    kind: type[errors.KnowledgeError], turtle: str, words: str, knowledge: kg.Knowledge
) -> None:
    """Each mistake of an author has its kind of error, which says where, what and how to mend it."""
    with pytest.raises(errors.KnowledgeError) as caught:
        read(knowledge, turtle)
    assert caught.type is kind
    assert_says(caught.value, words)


NEVER = {  # leaves that no claim could ever meet, because a name is written wrongly or the limits exclude all
    "a property on the path": f"a cov:KnownLeaf ; {WORDS} ; sh:path ( cov:cdoe cov:modality ) ; sh:minCount 1",
    "a property of what is known": f"{LEAF} ; sh:hasValue cov:Present ; cov:knownBy cov:cdoe",
    "the value": f"{LEAF} ; sh:hasValue cov:Presnet",
    "the property of a number": f"a cov:NumberLeaf ; {WORDS} ; sh:path cov:untis ; sh:minInclusive 1",
    "the property of things": f"a cov:EveryLeaf ; {WORDS} ; sh:path cov:stie ; sh:node line:below-cord",
    "limits": f"{NUMBER} ; sh:minInclusive 8 ; sh:maxExclusive 8",
}


@pytest.mark.parametrize("turtle", NEVER.values(), ids=NEVER.keys())
def test_a_leaf_that_nothing_can_meet_is_refused(turtle: str, knowledge: kg.Knowledge) -> None:
    """A term that the ontology does not hold selects nothing: the author is told, and no line waits for it."""
    with pytest.raises(kg.KnowledgeError):
        read(knowledge, f":it {turtle} .")


UNTARGETED = {  # shapes of claim documents that would check nothing
    "no target": "sh:nodeKind sh:IRI",
    "a term of SHACL": "sh:targetSubjectOf <https://w3id.org/coverpath/claim#lines> ; sh:nodeKind sh:IRI",
    "a field": "sh:targetSubjectsOf <https://w3id.org/coverpath/claim#linse> ; sh:nodeKind sh:IRI",
}


@pytest.mark.parametrize("turtle", UNTARGETED.values(), ids=UNTARGETED.keys())
def test_a_shape_of_claims_that_checks_nothing_is_refused(turtle: str, tmp_path: Path) -> None:
    """A shape that no target and no other shape leads to would let every claim pass."""
    root = copied(tmp_path)
    with (root / "shapes/claim.ttl").open("a") as file:
        file.write(f"\n<https://example.org/trial> a sh:NodeShape ; {turtle} .\n")
    with pytest.raises(kg.KnowledgeError):
        claim_schema(root)


def test_a_deep_criterion_is_judged(knowledge: kg.Knowledge) -> None:
    """A clause thirty joins deep decides its line as one that says the same in one join."""
    joins = "".join(f":{i} {WORDS} ; sh:not :{i + 1} .\n" for i in range(30))
    clause = f"{CLAUSE} ; {SEEN} .".replace("line:ssep", ":0")
    trial = build(
        extended(knowledge, f"{POLICY} :it {clause}\n{joins} :30 {WORDS} ; sh:and ( line:ssep ) ."), "", knowledge.root
    )
    lines = kg.determine(parsed(example("c01")), trial, policy="trial").to_dict()["lines"]
    assert [line["decision"] for line in lines] == ["approve", "deny", "deny", "deny", "approve"]


CLAUSE = f"a cov:Criterion , cov:CoverageClause ; {WORDS} ; sh:and ( line:ssep ) ; cov:inEdition :edition"
IN_EDITION = f"{WORDS} ; sh:and ( line:ssep ) ; cov:inEdition :edition ; cov:sourceStatus cov:seen"
SEEN = "cov:sourceStatus cov:seen"
FROM, UNTIL = "cov:effectiveFrom", "cov:effectiveUntil"
OTHER = f":other a cov:Edition ; cov:ofPolicy :policy ; {FROM} '2025-02-01'^^xsd:date ."
POLICY = ':policy a cov:Policy ; skos:notation "trial" . :edition a cov:Edition ; cov:ofPolicy :policy .\n'


@pytest.mark.parametrize(
    ("turtle", "where", "words"),
    [
        (f"{POLICY} :it {CLAUSE} .", "it", "write `cov:sourceStatus cov:seen`"),
        (f":it a cov:Edit ; {WORDS} ; sh:and ( line:ssep ) .", "it", "write `cov:effect cov:StopsLine`"),
        (f"{POLICY} :it {CLAUSE} ; a cov:Edit ; cov:sourceStatus cov:seen .", "it", "write `cov:effect cov:StopsLine`"),
        (":policy a cov:Policy . :edition a cov:Edition ; cov:ofPolicy :policy .", "policy", "has an identifier"),
        (':policy a cov:Policy ; skos:notation "trial" .', "policy", "and an edition"),
        (':guideline a cov:Guideline ; skos:notation "trial" .', "guideline", "and an edition"),
        (f"{POLICY} :it {CLAUSE} ; {SEEN} ; sh:or ( line:mep ) .", "it", "joins in one way"),
        (f"{POLICY} :it a cov:Criterion ; {IN_EDITION} .", "it", "a clause is of one kind, and this is of 0"),
        (f"{POLICY} :it {CLAUSE} ; a cov:BillingClause ; {SEEN} .", "it", "and this is of 2"),
        (f"{POLICY} :it {CLAUSE} ; {SEEN} ; cov:order 'first' .", "it", "`cov:order` is `first`"),
        (f"{POLICY} :it {CLAUSE} ; cov:sourceStatus cov:sene .", "it", "did you mean `seen` or"),
        (f"{POLICY} :it {CLAUSE} ; {SEEN} ; cov:reason cov:Unprovne .", "it", "did you mean `Unproven`?"),
        (f":it a cov:Edit ; {WORDS} ; sh:and ( line:ssep ) ; cov:effect cov:StopsLien .", "it", "`StopsLine`"),
        (f"{POLICY} :it {CLAUSE} ; {SEEN} ; cov:restoredBy :gone .", "it", "`cov:restoredBy` names `gone`"),
        (f"{POLICY} :it {CLAUSE} ; {SEEN} ; cov:inEdition :gone .", "it", "`cov:inEdition` names `gone`"),
        (f"{POLICY} :edition cov:ofPolicy :gone .", "edition", "`cov:ofPolicy` names `gone`"),
        (f"{POLICY} :policy cov:ofPayer :gone .", "policy", "`cov:ofPayer` names `gone`"),
        (f"{POLICY} :it {CLAUSE.partition(' ; cov:inEdition')[0]} ; {SEEN} .", "it", "the clause is in no edition"),
        (f"{POLICY} [] {CLAUSE} ; {SEEN} .", "_", "the clause has no name"),
        (f"{POLICY} :edition cov:effectiveFrom '2025-13-01'^^xsd:date .", "edition", "is not one day"),
        (f"{POLICY} :edition {FROM} '2025-01-01'^^xsd:date , '2026-01-01'^^xsd:date .", "edition", "is not one day"),
        (f"{POLICY} {OTHER}", "other", "is in force while `edition` is"),
        (f"{POLICY} {OTHER} :edition {UNTIL} '2025-02-02'^^xsd:date .", "other", "is in force while `edition` is"),
        (
            f"{POLICY} :edition {UNTIL} '2025-01-01'^^xsd:date ; {FROM} '2025-01-01'^^xsd:date .",
            "edition",
            "ends before",
        ),
        (POLICY.replace("trial", "aetna-cpb-0697"), "policy", "is the identifier of `policy` too"),
    ],
)
def test_a_policy_that_lacks_something_is_refused(turtle: str, where: str, words: str, knowledge: kg.Knowledge) -> None:
    """A clause says how its wording is known, an edit what it does, a policy its identifier and edition."""
    with pytest.raises(kg.KnowledgeError) as caught:
        build(extended(knowledge, turtle), "", knowledge.root)
    assert str(caught.value).startswith(where)
    assert_says(caught.value, words)


def test_a_whole_policy_is_read(knowledge: kg.Knowledge) -> None:
    """What the refused policies lack is all that they lack."""
    turtle = f"{POLICY} :it {CLAUSE} ; a cov:Edit ; cov:effect cov:StopsLine ; cov:sourceStatus cov:seen ."
    policy = build(extended(knowledge, turtle), "", knowledge.root).policies["trial"]
    assert [[clause.iri for clause in edition.clauses] for edition in policy.editions] == [[TRIAL + "it"]]


def test_editions_may_follow_each_other(knowledge: kg.Knowledge) -> None:
    """An edition may begin on the day on which the one before it is no longer in force."""
    turtle = f"{POLICY} {OTHER} :edition {UNTIL} '2025-02-01'^^xsd:date ."
    editions = build(extended(knowledge, turtle), "", knowledge.root).policies["trial"].editions
    assert [edition.name for edition in editions] == ["edition", "other"]


def test_equal_names_of_policies_are_kept_apart(knowledge: kg.Knowledge) -> None:
    """Two criteria with one local name in two namespaces keep their own paths."""
    other = TRIAL.replace("trial", "other")
    leaves = "".join(
        f"<{iri}it> a cov:KnownLeaf ; {WORDS} ; sh:path ( {path} ) ; sh:minCount 1 .\n"
        for iri, path in ((TRIAL, "cov:code cov:modality"), (other, "cov:performer cov:role"))
    )
    criteria = read_criteria(extended(knowledge, leaves), [TRIAL + "it", other + "it"])
    shown = [str(met.constraints[0].shapes[0].path) for c in criteria.values() if (met := c.met)]  # type: ignore[attr-defined]
    assert ["modality" in shown[0], "role" in shown[0], "role" in shown[1]] == [True, False, True]


def test_criteria_may_be_nested_deeply(knowledge: kg.Knowledge) -> None:
    """A criterion ninety joins deep is read whole."""
    joins = "".join(
        f":{i} {WORDS} ; sh:{'or' if i % 3 else 'and'} ( line:ssep :{i + 1} ) .\n"
        if i % 2
        else f":{i} {WORDS} ; sh:not :{i + 1} .\n"
        for i in range(90)
    )
    read_all = read(knowledge, f":it {WORDS} ; sh:and ( :0 ) .\n{joins} :90 {LEAF} ; sh:minCount 1 .")
    assert len(read_all) == 93
    assert [leaf.iri for leaf in read_all[TRIAL + "it"].leaves()][-1] == TRIAL + "90"


def test_every_criterion_has_words_and_two_sides(knowledge: kg.Knowledge) -> None:
    """Each criterion that was loaded has a label; each leaf a message and both of its shapes."""
    criteria = knowledge.criteria.values()
    assert [c.iri for c in criteria if not c.label] == []
    assert [c.iri for c in criteria if c.is_leaf and not (c.message and c.met and c.refuted)] == []


def copied(root: Path) -> Path:
    """Copy the files of the knowledge into a folder."""
    for path in (*knowledge_files(ROOT), ROOT / "shapes" / "claim-context.jsonld"):
        target = root / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return root


def test_equal_files_have_equal_hashes_wherever_they_are(tmp_path: Path) -> None:
    """The hash follows from names and bytes of the files alone."""
    first = copied(tmp_path / "first")
    second = shutil.copytree(first, tmp_path / "second")
    assert kg.load_knowledge(first).hash == kg.load_knowledge(second).hash


@pytest.mark.parametrize("name", ["ontology/anatomy.ttl", "shapes/line.ttl", "ontology/codes/icd10cm-release.txt"])
def test_a_changed_byte_changes_the_hash(name: str, tmp_path: Path) -> None:
    """Knowledge in which one byte of one file differs has another hash."""
    before = copied(tmp_path / "before")
    after = shutil.copytree(before, tmp_path / "after")
    with (after / name).open("ab") as file:
        file.write(b"\n")
    assert kg.load_knowledge(before).hash != kg.load_knowledge(after).hash


def test_a_renamed_file_changes_the_hash(tmp_path: Path) -> None:
    """Knowledge in which one file has another name has another hash."""
    before = copied(tmp_path / "before")
    after = shutil.copytree(before, tmp_path / "after")
    (after / "shapes/line.ttl").rename(after / "shapes/lines.ttl")
    assert kg.load_knowledge(before).hash != kg.load_knowledge(after).hash


def test_a_file_that_is_not_turtle_is_named(tmp_path: Path) -> None:
    """A syntax error in a file of the knowledge stops the load and names the file and the line."""
    root = copied(tmp_path)
    (root / "shapes/line.ttl").write_text("@prefix : <https://example.org/> .\n:a :b .\n")
    with pytest.raises(kg.KnowledgeError) as caught:
        kg.load_knowledge(root)
    assert str(caught.value).startswith("shapes/line.ttl: this is not Turtle")
    assert_says(caught.value, "line 2")


def test_knowledge_is_read_once(knowledge: kg.Knowledge) -> None:
    """A second load returns the same knowledge."""
    assert kg.load_knowledge() is knowledge


@pytest.mark.parametrize("positive", [True, False])
def test_a_join_of_another_kind_comes_to_nothing(positive: bool) -> None:
    """A kind of join that somebody adds, and of which nobody says what it comes to, is not taken for another."""
    with pytest.raises(ValueError, match="xor"):
        side_of("xor", 2, positive)
