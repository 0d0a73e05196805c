"""Commands that show results: `front`, `trials` and `show`."""

from pathlib import Path
from typing import Annotated

import typer

from searchlab.cli import options as opt
from searchlab.cli.console import show, show_json
from searchlab.cli.store_options import kept_words
from searchlab.errors import UserError
from searchlab.record import TrialRecord
from searchlab.report.frames import front_frame, write_csv
from searchlab.report.payloads import front_payload, show_point_payload, trial_payload, trials_payload
from searchlab.report.show import point_view, trial_view
from searchlab.report.tables import front_view, trials_view
from searchlab.search.study_folder import check_artefacts, check_present
from searchlab.session.console import console, warn
from searchlab.session.data_options import root_of
from searchlab.session.found import Found, point_of, trial_of, with_test
from searchlab.study import RunOptions

LONGEST_NUMBER = 10
"""Maximum number of digits of a point's or trial's number."""


def front(
    study: opt.StoredStudy = None,
    test: Annotated[
        bool, typer.Option("--test", help="Measure the front's points again and evaluate them on the test split.")
    ] = False,
    replicates: Annotated[
        bool, typer.Option("--replicates", help="Show the results of fresh seeds, from `searchlab replicate`.")
    ] = False,
    profile: opt.Profile = "",
    points: opt.Points = 12,
    as_json: opt.AsJson = False,
    csv: opt.Csv = None,
    data: opt.DataRoot = None,
    device: opt.Device = "auto",
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Show the Pareto front: accuracy and cost of its networks, each with an exit rule.

    Accuracies are those of the validation split, which the search optimises. --test gives the figures to publish: each
    point is evaluated on the test split once, and the store keeps the result.
    """
    found = Found.of(study, opt.kept_at(output, storage))
    # The output folder is checked only if images are read.
    root = root_of(data, [found.study] if test or data is not None else [])
    where = RunOptions(data_root=root, output=output, storage=storage, device=device)
    _check_together(test=test, replicates=replicates, profile=profile)
    if replicates:
        from searchlab.cli.replicating import show_replicated

        show_replicated(found.store, points, as_json=as_json, csv=csv)
        return
    if test:
        found = with_test(found, where, points, None if as_json else _say)
    found = found.profiled(profile)
    chosen = found.front(points)
    if csv is not None:
        write_csv(csv, front_frame(chosen))
    if as_json:
        show_json(front_payload(found.study, found.records, chosen))
    else:
        show(front_view(found.study, found.records, chosen, kept_words(where, profile), profile))


def _check_together(*, test: bool, replicates: bool, profile: str) -> None:
    """Raises UserError if two options of `front` exclude each other."""
    if test and replicates:
        raise UserError(
            "conflicting-options",
            "--test and --replicates exclude each other",
            where="front",
            allowed="--replicates includes test figures: omit --test",
        )
    if profile and (test or replicates):
        other = "--test" if test else "--replicates"
        raise UserError(
            "conflicting-options",
            f"--profile and {other} exclude each other",
            where="--profile",
            value=profile,
            allowed=f"{other} uses the latencies of the study's own machine: omit one of them",
        )


def _say(line: str) -> None:
    console().print(line, markup=False, highlight=False, soft_wrap=True)


def trials(
    study: opt.StoredStudy = None,
    as_json: opt.AsJson = False,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Show every trial: its state, its most accurate point with costs, and why it stopped or failed."""
    where = opt.kept_at(output, storage)
    found = Found.of(study, where)
    if as_json:
        show_json(trials_payload(found.study, found.records))
    else:
        show(trials_view(found.study, found.records, kept_words(where)))


def show_one(
    targets: Annotated[
        list[str],
        typer.Argument(
            help="Number of a point on the front, then a study; default: the study begun last.", metavar="N [STUDY]"
        ),
    ],
    trial: Annotated[bool, typer.Option("--trial", help="N is the number of a trial, not of a point.")] = False,
    test: Annotated[
        bool, typer.Option("--test", help="Show the point as `front --test` evaluated it, with its test accuracy.")
    ] = False,
    profile: opt.Profile = "",
    as_json: opt.AsJson = False,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Show one point of the front: candidate, costs per stage and head, exits, thresholds, latency, machine."""
    number, name = _number_and_study(targets)
    where = opt.kept_at(output, storage)
    found = Found.of(name, where)
    _check_together(test=test, replicates=False, profile=profile)
    found = found.final if test and not trial else found.profiled(profile)
    if trial:
        record = trial_of(found, number)
        payload, view = trial_payload(found.study, record), trial_view(found.study, record, kept_words(where))
    else:
        point = point_of(found, number)
        payload, view = show_point_payload(found.study, point), point_view(found.study, point)
    _warn_of_others(found, record if trial else point.record)
    if as_json:
        show_json(payload)
    else:
        show(view)


def _warn_of_others(found: Found, record: TrialRecord) -> None:
    """Warns if the artefacts of a trial have been overwritten by another study."""
    try:
        check_artefacts(found.store, [record])
        check_present(found.store, [record])
    except UserError as error:
        warn(f"the artefacts may be those of another study: {error}")


def _number_and_study(targets: list[str]) -> tuple[int, str | None]:
    # `isdigit` accepts "²", which `int` rejects.
    numbers = [target for target in targets if target.isdecimal() and len(target) < LONGEST_NUMBER]
    names = [target for target in targets if target not in numbers]
    if len(numbers) != 1 or len(names) > 1:
        raise UserError(
            "invalid-usage",
            "one number is needed",
            where="show",
            value=" ".join(targets),
            allowed="searchlab show N [STUDY]",
        )
    return int(numbers[0]), names[0] if names else None
