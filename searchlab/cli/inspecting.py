"""Looking at what was found: `front`, `trials` and `show`."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from searchlab.analysis.test_looks import comparable, looked_at
from searchlab.cli import options as opt
from searchlab.cli.console import console, show, show_json, warn
from searchlab.cli.data_options import root_of
from searchlab.cli.store_options import kept_words
from searchlab.errors import UserError
from searchlab.front.points import FrontPoint, TestPoints, final_front, study_front
from searchlab.record import TrialRecord
from searchlab.report.frames import front_frame, write_csv
from searchlab.report.payloads import front_payload, show_point_payload, trial_payload, trials_payload
from searchlab.report.show import point_view, trial_view
from searchlab.report.tables import front_view, trials_view
from searchlab.search.storage import check_writable
from searchlab.search.store import StudyStore, stored_study
from searchlab.search.study_facts import same_data, unit_of
from searchlab.search.study_folder import check_artefacts, check_present
from searchlab.study import RunOptions, Study

LONGEST_NUMBER = 10
"""No front and no study has numbers of so many digits."""


@dataclass(frozen=True)
class Found:
    """A study in the store, and what is known of its trials.

    `searched` are the records of the search; `records` are the same, or those of the points that were measured again.
    """

    store: StudyStore
    study: Study
    searched: list[TrialRecord]
    records: list[TrialRecord]
    tests: TestPoints

    @classmethod
    def of(cls, name: str | None, where: RunOptions) -> "Found":
        """Reads it; nothing is known of the test split unless it was looked at.

        A trial whose record is damaged is said, and left out.
        """
        store = stored_study(name, where)
        records, wrong = store.readable()
        for error in wrong:
            warn(f"left out: {error}")
        return cls(store, store.definition.study, records, records, {})

    @property
    def final(self) -> "Found":
        """The same with the points that were looked at alone: measured again, and read on the test split."""
        looks = self.store.looks()
        kept = comparable(looks)
        if left_out := [seen for seen in looks if seen not in kept]:
            machine = next(seen.latency.machine.in_full for seen in left_out if seen.latency)
            warn(f"left out: what was measured on another machine does not mix: {machine}")
        records, tests = looked_at(self.searched, kept)
        return replace(self, records=records, tests=tests)

    def front(self, most: int | None) -> list[FrontPoint]:
        """At most so many points of its front, with their numbers among all points of the search's."""
        return final_front(self.study, self.searched, self.records, most=most, tests=self.tests)


def front(
    study: opt.StoredStudy = None,
    test: Annotated[
        bool, typer.Option("--test", help="Measure the front's points again and read them on the test split, once.")
    ] = False,
    replicates: Annotated[
        bool, typer.Option("--replicates", help="What fresh seeds reach there, as `searchlab replicate` trained them.")
    ] = False,
    points: opt.Points = 12,
    as_json: opt.AsJson = False,
    csv: opt.Csv = None,
    data: opt.DataRoot = None,
    device: opt.Device = "auto",
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """The Pareto front: which network, under which exit rule, gives which accuracy at which cost.

    Accuracies are those of the validation split, which also decided what is shown. --test gives the figures to quote:
    it records that the test split was read, and a point that was read before is not read again.
    """
    found = Found.of(study, opt.kept_at(output, storage))
    # Where nothing is read from it, it may lie anywhere.
    root = root_of(data, [found.study] if test or data is not None else [])
    where = RunOptions(data_root=root, output=output, storage=storage, device=device)
    if replicates:
        if test:
            raise UserError("--replicates have test figures of their own", where="front", allowed="leave out --test")
        from searchlab.cli.replicating import show_replicated

        show_replicated(found.store, points, as_json=as_json, csv=csv)
        return
    if test:
        found = _with_test(found, where, points, quiet=as_json)
    chosen = found.front(points)
    if csv is not None:
        write_csv(csv, front_frame(chosen))
    if as_json:
        show_json(front_payload(found.study, found.records, chosen))
    else:
        show(front_view(found.study, found.records, chosen, kept_words(where)))


def _with_test(found: Found, where: RunOptions, most: int, *, quiet: bool) -> Found:
    """The final front: what `front` chose, measured again, with its test figures; dominated points fall out."""
    from searchlab.analysis.test_evaluation import Unread, look
    from searchlab.data.prepared import LoadHooks
    from searchlab.search.launch import load_data

    chosen = study_front(found.study, found.records, most=most)
    looks = found.store.looks()
    # What was read on another machine is known, too: it is left out, and said to be, whenever the front is shown.
    before, known = comparable(looks), {(seen.trial, point.rule) for seen in looks for point in seen.validation}
    new = [point for point in chosen if (point.record.number, point.point.rule) not in known]
    if new:
        check_writable(found.store.storage, found.store.url)
        check_artefacts(found.store, [point.record for point in new])
        check_present(found.store, [point.record for point in new])
        say = partial(console().print, markup=False, highlight=False, soft_wrap=True)
        dataset = load_data(found.study, where, None if quiet else LoadHooks(say))
        same_data(found.store, found.records, dataset)
        unit = unit_of(found.store, found.records)
        held = next((seen.latency.machine for seen in before if seen.latency), unit and unit.machine)
        device = "cpu" if where.device == "auto" and held and held.device == "cpu" else where.device
        again = look(found.study, new, dataset, device, before, unit)
        if not quiet:
            points = "1 point" if len(new) == 1 else f"{len(new)} points"
            console().print(f"Measuring {points} again and reading the test split ...")
        for seen in again:
            if isinstance(seen, Unread):
                warn(f"left out: trial {seen.trial} could not be looked at: {seen.reason}")
            else:
                found.store.add_looks([seen])
    return found.final


def trials(
    study: opt.StoredStudy = None,
    as_json: opt.AsJson = False,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Every trial: how it ended, its most accurate point and what that costs, and why it stopped or failed."""
    where = opt.kept_at(output, storage)
    found = Found.of(study, where)
    if as_json:
        show_json(trials_payload(found.study, found.records))
    else:
        show(trials_view(found.study, found.records, kept_words(where)))


def show_one(
    targets: Annotated[
        list[str],
        typer.Argument(help="Number of a front point, and the study (the one begun last).", metavar="N [STUDY]"),
    ],
    trial: Annotated[bool, typer.Option("--trial", help="N is the number of a trial, on the front or not.")] = False,
    test: Annotated[
        bool, typer.Option("--test", help="The point as `front --test` measured it again, with its test accuracy.")
    ] = False,
    as_json: opt.AsJson = False,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """One point of the front in full: candidate, costs per stage and head, exits, thresholds, latency, machine."""
    number, name = _number_and_study(targets)
    where = opt.kept_at(output, storage)
    found = Found.of(name, where)
    found = found.final if test and not trial else found
    if trial:
        record = _trial(found, number)
        payload, view = trial_payload(found.study, record), trial_view(found.study, record, kept_words(where))
    else:
        point = _point(found, number)
        payload, view = show_point_payload(found.study, point), point_view(found.study, point)
    _warn_of_others(found, record if trial else point.record)
    if as_json:
        show_json(payload)
    else:
        show(view)


def _warn_of_others(found: Found, record: TrialRecord) -> None:
    """What is shown is in the store; its artefacts, which are named, may be another study's by now."""
    try:
        check_artefacts(found.store, [record])
        check_present(found.store, [record])
    except UserError as error:
        warn(f"mind the artefacts: {error}")


def _number_and_study(targets: list[str]) -> tuple[int, str | None]:
    # `isdigit` would take "²", of which `int` makes nothing.
    numbers = [target for target in targets if target.isdecimal() and len(target) < LONGEST_NUMBER]
    names = [target for target in targets if target not in numbers]
    if len(numbers) != 1 or len(names) > 1:
        raise UserError("give one number", where="show", value=" ".join(targets), allowed="searchlab show N [STUDY]")
    return int(numbers[0]), names[0] if names else None


def _trial(found: Found, number: int) -> TrialRecord:
    for record in found.records:
        if record.number == number:
            return record
    known = [record.number for record in found.records]
    allowed = f"{min(known)} to {max(known)}" if known else "there is none yet"
    raise UserError("no such trial", where=f"study {found.study.name}", value=number, allowed=allowed)


def _point(found: Found, number: int) -> FrontPoint:
    """The point of that number, whether `front` shows it or leaves it out."""
    chosen = {point.number: point for point in found.front(most=None)}
    if number in chosen:
        return chosen[number]
    where = f"front of {found.study.name}"
    if not chosen:
        raise UserError("no such point", where=where, value=number, allowed="there is no front yet")
    if found.records is found.searched:
        allowed = f"1 to {len(chosen)}; --trial takes a trial's number"
        raise UserError("no such point", where=where, value=number, allowed=allowed)
    known = ", ".join(map(str, chosen))
    raise UserError("no such point was measured again", where=where, value=number, allowed=f"known: {known}")
