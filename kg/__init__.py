"""Coverpath's engine: a claim in, a determination with its path out.

claim = kg.read_claim("claim.json")
kg.determine(claim, kg.load_knowledge()).to_dict()
"""

from kg.decide import ADVISORY, POSTURES, decide
from kg.errors import ClaimError, CoverpathError, Fault, KnowledgeError, nearest
from kg.explain import Determination
from kg.knowledge import Document, Knowledge, lasting, load_knowledge
from kg.load import Claim, parse_claim, read_claim
from kg.reason import reason
from kg.rules.tables import tables_of
from kg.words import phrases_of


def determine(claim: Claim, knowledge: Knowledge, policy: str | None = None, posture: str = ADVISORY) -> Determination:
    """Determine a claim under the edition of a policy that is in force on its date of service.

    `policy` goes before the claim's own policy, and that before its payer's. Raises ClaimError where no policy or
    no edition of it can be chosen.
    """
    document = choose_policy(claim, knowledge, policy)
    edition = document.edition(claim.service_date)
    if edition is None:
        problem = f"`{document.id}` has no edition in force on {claim.service_date}"
        raise ClaimError([Fault("/serviceDate", problem, "check the date, or name another policy")], claim.id)
    if posture not in POSTURES:
        raise ClaimError([Fault("posture", f"`{posture}` is not a posture", f"use {', '.join(POSTURES)}")], claim.id)
    reasoned = reason(claim, knowledge)
    lines, hits = decide(claim, reasoned, knowledge, edition)
    return Determination(claim, document, edition, posture, lines, hits, reasoned, knowledge)


def prepare(knowledge: Knowledge) -> None:
    """Look up what is asked and said of each code, so that no claim waits for it.

    It takes as long as some 150 claims: it is worth while for a process that determines more.
    """
    with lasting():
        tables_of(knowledge).fill()
        phrases_of(knowledge).fill()


def choose_policy(claim: Claim, knowledge: Knowledge, policy: str | None = None) -> Document:
    """Return the policy to judge a claim under."""
    name = policy or claim.policy
    if name:
        if name in knowledge.policies:
            return knowledge.policies[name]
        help = nearest(name, knowledge.policies, f"policies: {', '.join(knowledge.policies)}")
        raise ClaimError([Fault("/policy", f"`{name[:80]}` is not a policy that Coverpath holds", help)], claim.id)
    if not claim.payer:
        help = "name a `payer` or a `policy`, or give --policy"
        raise ClaimError([Fault("/payer", "neither payer nor policy is named", help)], claim.id)
    policies = knowledge.payers.get(claim.payer, ())
    if len(policies) == 1:
        return knowledge.policies[policies[0]]
    if policies:
        problem = f"`{claim.payer}` has several policies: {', '.join(policies)}"
        raise ClaimError([Fault("/payer", problem, "name one under `policy`")], claim.id)
    help = nearest(claim.payer, knowledge.payers, f"payers: {', '.join(knowledge.payers)}")
    raise ClaimError([Fault("/payer", f"`{claim.payer[:80]}` is not a payer that Coverpath holds", help)], claim.id)


__all__ = [
    "Claim",
    "ClaimError",
    "CoverpathError",
    "Determination",
    "Knowledge",
    "KnowledgeError",
    "determine",
    "load_knowledge",
    "parse_claim",
    "prepare",
    "read_claim",
]
