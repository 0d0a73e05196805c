"""Reading of a stored study: records, front, single points, and stored test evaluations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from searchlab.analysis.test_looks import comparable, looked_at
from searchlab.errors import UserError
from searchlab.front.points import FrontPoint, TestPoints, final_front, study_front
from searchlab.record import TrialRecord
from searchlab.search.profiles import OWN, profiled
from searchlab.search.storage import check_writable
from searchlab.search.store import StudyStore, stored_study
from searchlab.search.study_facts import same_data, unit_of
from searchlab.search.study_folder import check_artefacts, check_present
from searchlab.session.console import warn
from searchlab.study import RunOptions, Study

if TYPE_CHECKING:
    from searchlab.data.splits import Dataset

Say = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """A stored study with its trials.

    `searched` are the records of the search; `records` are the same, or those of the points that were measured again.
    """

    store: StudyStore
    study: Study
    searched: list[TrialRecord]
    records: list[TrialRecord]
    tests: TestPoints

    @classmethod
    def of(cls, name: str | None, where: RunOptions) -> "Found":
        """Reads a study; test figures are included only if they were evaluated before.

        A trial with a damaged record is omitted with a warning.
        """
        store = stored_study(name, where)
        records, wrong = store.readable()
        for error in wrong:
            warn(f"omitted: {error}")
        return cls(store, store.definition.study, records, records, {})

    @property
    def final(self) -> "Found":
        """Restricts the study to the evaluated points: measured again, and read on the test split."""
        looks = self.store.looks()
        kept = comparable(looks)
        if left_out := [seen for seen in looks if seen not in kept]:
            machine = next(seen.latency.machine.in_full for seen in left_out if seen.latency)
            warn(f"omitted: measurements of another machine cannot be compared: {machine}")
        records, tests = looked_at(self.searched, kept)
        return replace(self, records=records, tests=tests)

    def profiled(self, profile: str) -> "Found":
        """Returns the study with the latencies and frontiers of a device profile; "" and "study": its own.

        Raises:
            UserError: the study has no profile of this name.
        """
        if profile in ("", OWN):
            return self
        records = profiled(self.store, self.searched, profile)
        return replace(self, searched=records, records=records, tests={})

    def front(self, most: int | None) -> list[FrontPoint]:
        """Returns at most so many points of its front, with their numbers on the whole front."""
        return final_front(self.study, self.searched, self.records, most=most, tests=self.tests)


def with_test(found: Found, where: RunOptions, most: int, say: Say | None) -> Found:
    """Returns the final front: the points of `study_front`, measured again, with test figures, without dominated ones.

    `say` receives messages before long steps.

    Raises:
        UserError: the store is read-only, the data differ, or artefacts of a trial are missing or damaged.
    """
    from searchlab.data.prepared import LoadHooks
    from searchlab.search.launch import load_data

    chosen = study_front(found.study, found.records, most=most)
    new = unseen(found, chosen)
    if new:
        check_writable(found.store.storage, found.store.url)
        check_artefacts(found.store, [point.record for point in new])
        check_present(found.store, [point.record for point in new])
        dataset = load_data(found.study, where, LoadHooks(say) if say else None)
        same_data(found.store, found.records, dataset)
        look_at(found, where, new, dataset, say)
    return found.final


def unseen(found: Found, points: Sequence[FrontPoint]) -> list[FrontPoint]:
    """Returns those of some points that were not read on the test split."""
    known = {(seen.trial, point.rule) for seen in found.store.looks() for point in seen.validation}
    return [point for point in points if (point.record.number, point.point.rule) not in known]


def look_at(found: Found, where: RunOptions, points: Sequence[FrontPoint], dataset: "Dataset", say: Say | None) -> None:
    """Measures points again, reads them on the test split, and records that.

    Raises:
        UserError: evaluations so far are of another machine, or artefacts of a trial are missing or damaged.
    """
    from searchlab.analysis.test_evaluation import Unread, look

    # Evaluations of another machine are left out, and every view of the front says so.
    before, unit = comparable(found.store.looks()), unit_of(found.store, found.records)
    held = next((seen.latency.machine for seen in before if seen.latency), unit and unit.machine)
    device = "cpu" if where.device == "auto" and held and held.device == "cpu" else where.device
    again = look(found.study, points, dataset, device, before, unit)
    if say:
        count = "1 point" if len(points) == 1 else f"{len(points)} points"
        say(f"Measuring {count} again and reading the test split ...")
    for seen in again:
        if isinstance(seen, Unread):
            warn(f"omitted: trial {seen.trial} could not be evaluated: {seen.reason}")
        else:
            found.store.add_looks([seen])


def trial_of(found: Found, number: int) -> TrialRecord:
    """Returns the trial of a number.

    Raises:
        UserError: the number is unknown.
    """
    for record in found.records:
        if record.number == number:
            return record
    known = [record.number for record in found.records]
    allowed = f"{min(known)} to {max(known)}" if known else "the study has none yet"
    raise UserError("unknown-trial", "unknown trial", where=f"study {found.study.name}", value=number, allowed=allowed)


def point_of(found: Found, number: int) -> FrontPoint:
    """Returns the point of that number, whether or not `front` shows it.

    Raises:
        UserError: the number is unknown.
    """
    chosen = {point.number: point for point in found.front(most=None)}
    if number in chosen:
        return chosen[number]
    where = f"front of {found.study.name}"
    if not chosen:
        raise UserError("unknown-point", "unknown point", where=where, value=number, allowed="the front is empty")
    if found.records is found.searched:
        allowed = f"1 to {len(chosen)}; --trial takes a trial's number"
        raise UserError("unknown-point", "unknown point", where=where, value=number, allowed=allowed)
    known = ", ".join(map(str, chosen))
    raise UserError(
        "unknown-point",
        "the point was not evaluated on the test split",
        where=where,
        value=number,
        allowed=f"known: {known}",
    )
