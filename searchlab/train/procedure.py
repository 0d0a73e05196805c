"""Training procedures by kind of architecture.

A new procedure imports `TrainingContext` and `standard_procedure` from their own modules and is one line in
`PROCEDURES`.
"""

from searchlab.candidate import Candidate
from searchlab.train.context import Procedure, TrainingContext
from searchlab.train.partitioned import partitioned_procedure
from searchlab.train.standard import standard_procedure

__all__ = ["PROCEDURES", "Procedure", "TrainingContext", "procedure_of"]

PROCEDURES: dict[str, Procedure] = {"partitioned": partitioned_procedure}
"""Kind of architecture to its training procedure, where that is not the standard one."""


def procedure_of(candidate: Candidate) -> Procedure:
    """The training procedure for a candidate's architecture."""
    return PROCEDURES.get(candidate.architecture.kind, standard_procedure)
