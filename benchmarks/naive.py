"""What the service is compared with: FastAPI and pySHACL on the same criteria.

Its graph of the claim is made beforehand, and it neither stores nor explains: it is measured at its best.
"""

import rdflib
from fastapi import FastAPI

import kg
from benchmarks.__main__ import EXAMPLES, with_parts
from kg.criteria import derived_shapes
from tests.engines import data_graph

knowledge = kg.load_knowledge()
determination = kg.determine(kg.read_claim(EXAMPLES[0], knowledge), knowledge)
judged = dict.fromkeys(edit.criterion for edit in knowledge.edits)
for document in (determination.policy, *knowledge.guidelines):
    judged |= dict.fromkeys(knowledge.criteria_of(document).values())
shapes = rdflib.Graph().parse(data=derived_shapes(with_parts(judged), knowledge.graph), format="turtle")
graph = data_graph(determination)
app = FastAPI()


@app.post("/determinations")
def determine() -> dict[str, bool]:
    """Validate the claim that was read beforehand."""
    import pyshacl

    conforms, _, _ = pyshacl.validate(graph, shacl_graph=shapes, max_validation_depth=60)
    return {"conforms": conforms}


@app.get("/health")
def health() -> dict[str, str]:
    """Say that the process runs."""
    return {"status": "ok"}
