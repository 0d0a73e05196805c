"""Command `profile`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from searchlab.cli import options as opt
from searchlab.cli.console import show, show_json
from searchlab.cli.store_options import kept_words
from searchlab.errors import Interrupted, UserError
from searchlab.report.frames import front_frame, write_csv
from searchlab.report.payloads import front_payload
from searchlab.report.profiles import profiles_payload, profiles_view
from searchlab.report.tables import front_view
from searchlab.session.console import console
from searchlab.session.data_options import root_of
from searchlab.session.found import Found
from searchlab.session.profiles import profiles_found
from searchlab.study import AUTO_ENGINE, RunOptions


def profile(
    study: opt.StoredStudy = None,
    engine: Annotated[
        str, typer.Option(help="What executes the networks: see `searchlab run --help`; default: the device's own.")
    ] = AUTO_ENGINE,
    name: Annotated[
        str, typer.Option(help="Name of the profile; default: the engine's, with device and threads if unusual.")
    ] = "",
    listed: Annotated[bool, typer.Option("--list", help="List the profiles of the study; measure nothing.")] = False,
    points: opt.Points = 12,
    as_json: opt.AsJson = False,
    csv: opt.Csv = None,
    data: opt.DataRoot = None,
    device: opt.Device = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of the engine; default: the engine's own number.")
    ] = None,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Measure a study's networks in another engine or on another machine, without training, and show their front.

    Every frontier is computed anew from the stored exit tables, so the front may have other networks and other exits.
    Networks that cannot be on the front are skipped. The result is kept beside the study under the profile's name: the
    same command again measures what is missing, also after Ctrl-C. `searchlab front STUDY --profile NAME` shows the
    front again, `plot STUDY --profile A --profile B` draws two in one picture ("study" is the study's own).
    """
    found = Found.of(study, opt.kept_at(output, storage))
    if listed:
        _list(found, kept_words(opt.kept_at(output, storage)), as_json=as_json)
        return
    root = root_of(data, [found.study] if data is not None else [])
    where = RunOptions(data_root=root, output=output, storage=storage, device=device, threads=threads)
    outcome = _measured(found, where, (engine, device, threads, name), as_json=as_json)
    seen = found.profiled(outcome.profile)
    chosen = seen.front(points)
    if csv is not None:
        write_csv(csv, front_frame(chosen))
    if as_json:
        figures = {"before": outcome.before, "measured": outcome.measured, "skipped": outcome.skipped}
        failed = {str(number): reason for number, reason in outcome.failed.items()}
        front = front_payload(seen.study, seen.records, chosen)
        show_json({"profile": outcome.profile, **figures, "failed": failed, "front": front})
    else:
        show(front_view(seen.study, seen.records, chosen, kept_words(where, outcome.profile), outcome.profile))


def _measured(found: Found, where: RunOptions, asked: tuple[str, str, int | None, str], *, as_json: bool) -> Any:
    """Measures what is missing.

    Raises:
        UserError: no network could be measured, or as `analysis.profiling.profile`.
    """
    # Only now: `--list` computes nothing, and needs no torch.
    from searchlab.analysis.profiling import ProfileRequest
    from searchlab.session.profiling import measure_profile

    printer = Console(stderr=True, highlight=False) if as_json else console()
    try:
        outcome = measure_profile(found.store, where, ProfileRequest(*asked), printer)
    except Interrupted:
        printer.print("Stopped. All results are kept. To continue, repeat the command.", soft_wrap=True)
        raise
    if not outcome.before and not outcome.measured:
        number, reason = next(iter(outcome.failed.items()))
        allowed = f"trial {number}: {reason}"
        raise UserError(
            "no-results", "no network could be measured", where=f"study {found.study.name}", allowed=allowed
        )
    return outcome


def _list(found: Found, kept: str, *, as_json: bool) -> None:
    profiles = profiles_found(found)
    if as_json:
        show_json(profiles_payload(found.study, profiles))
    else:
        show(profiles_view(found.study, profiles, kept))
