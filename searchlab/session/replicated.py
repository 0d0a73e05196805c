"""Reading of a study's front with its stored replicates."""

from searchlab.analysis.stored_replicates import replicates_of
from searchlab.errors import UserError
from searchlab.front.points import study_front
from searchlab.front.replicates import Repeated, repeated
from searchlab.search.store import StudyStore


def replicated(store: StudyStore, points: int = 12) -> list[Repeated]:
    """Returns the front's points with their readings.

    Raises:
        UserError: the study has no replicates.
    """
    study, found = store.definition.study, replicates_of(store)
    if not found:
        allowed = f"`searchlab replicate {study.name}` trains them"
        raise UserError("no-results", "the study has no replicates", where=f"study {study.name}", allowed=allowed)
    return repeated(study_front(study, store.records(), most=points), found)
