"""Papers by the name that `Study.table` gives."""

from searchlab.papers.checkpoint import CHECKPOINT
from searchlab.papers.deeper import DEEPER
from searchlab.papers.gates import GATES
from searchlab.papers.limited import LIMITED
from searchlab.papers.paper import Paper
from searchlab.papers.partitions import PARTITIONS

PAPERS: dict[str, Paper] = {
    "paper_checkpoint": CHECKPOINT,
    "paper_deeper": DEEPER,
    "paper_gates": GATES,
    "paper_limited": LIMITED,
    "paper_partitions": PARTITIONS,
}
