"""Shared arguments and options of commands, and their conversion."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from searchlab.errors import UserError, unknown
from searchlab.objective import OBJECTIVES, Objective
from searchlab.study import Cluster, RunOptions
from searchlab.user_file import is_file_name

STORE, LIMITS, RAY = "Storage", "Overrides", "Ray cluster (--runner tune)"

StudyName = Annotated[str, typer.Argument(help="A study: its name, or a path to its .py file.", metavar="STUDY")]
StoredStudy = Annotated[
    str | None, typer.Argument(help="A study in the store; default: the one begun last.", metavar="[STUDY]")
]
Bundle = Annotated[Path, typer.Argument(help="A folder that `searchlab export` wrote.", metavar="DIR")]
Output = Annotated[Path, typer.Option(help="Folder for the store and the artefacts of trials.", rich_help_panel=STORE)]
Storage = Annotated[
    str,
    typer.Option(
        help="Any Optuna storage URL, such as sqlite:///FILE.db; default: studies.db in the output folder.",
        metavar="URL",
        rich_help_panel=STORE,
    ),
]
DataRoot = Annotated[
    str | None,
    typer.Option("--data", help="Folder that holds the files of data sets; default: data.", metavar="FOLDER"),
]
Images = Annotated[
    str | None,
    typer.Option(
        help="Your own images, one folder per class: PATH or URL, with ?size=N for N x N pixels; or a .py file. "
        "They replace the study's. STUDY may then be a space (default: 30 epochs, at most 300,000 parameters).",
        metavar="PATH",
    ),
]
Download = Annotated[bool, typer.Option("--download", help="Download missing data set files.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, or cuda:N.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads for training and measuring; default: torch's.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Csv = Annotated[Path | None, typer.Option(help="Write the table to this file, too.", metavar="FILE")]
Points = Annotated[
    int, typer.Option(min=1, help="Maximum number of points to show, those with most of the hypervolume.")
]
Profile = Annotated[
    str,
    typer.Option(
        help="Use the latencies of this profile, from `searchlab profile`; default: the study's.", metavar="NAME"
    ),
]

Trials = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Total number of trials. Without it, --hours, --epochs-total and --until-stalled lift the study's limit.",
        rich_help_panel=LIMITS,
    ),
]
Hours = Annotated[float | None, typer.Option(help="Begin no trial after this many hours.", rich_help_panel=LIMITS)]
EpochsTotal = Annotated[
    int | None,
    typer.Option(min=1, help="Begin no trial once this many epochs are trained in total.", rich_help_panel=LIMITS),
]
UntilStalled = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Begin no trial once the last N trained trials added no more to the hypervolume than its noise.",
        metavar="N",
        rich_help_panel=LIMITS,
    ),
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Epochs of every trial.", rich_help_panel=LIMITS)]
MaxParams = Annotated[
    int | None, typer.Option(min=1, help="Cap on parameters, all heads counted.", rich_help_panel=LIMITS)
]
MaxMacs = Annotated[int | None, typer.Option(min=1, help="Cap on MACs per image.", rich_help_panel=LIMITS)]
MaxLatency = Annotated[
    float | None,
    typer.Option("--max-latency", help="Cap on the whole network's latency, ms.", rich_help_panel=LIMITS),
]
Seed = Annotated[
    int | None, typer.Option(min=0, help="Seed of the sampler and of the trainings.", rich_help_panel=LIMITS)
]
WarmStart = Annotated[
    str | None,
    typer.Option(
        help="A finished study of the same space: the networks on its front are tried first.",
        metavar="STUDY",
        rich_help_panel=LIMITS,
    ),
]
Smoke = Annotated[
    bool,
    typer.Option(
        "--smoke",
        help="Test run as study STUDY-smoke, always new: one epoch of a few hundred images, only the enqueued trials.",
    ),
]
Name = Annotated[str | None, typer.Option(help="Name in the store; default: the study's own.", rich_help_panel=STORE)]


Address = Annotated[
    str | None,
    typer.Option(
        help="Address of a running Ray cluster: HOST:PORT, or auto; default: a new local Ray.", rich_help_panel=RAY
    ),
]
CpusPerTrial = Annotated[
    float | None, typer.Option(min=0.01, help="CPU cores per trial, also its threads; default: 1.", rich_help_panel=RAY)
]
GpusPerTrial = Annotated[
    float | None,
    typer.Option(min=0.0, help="GPUs per trial, such as 0.25; default: 1 if the cluster has any.", rich_help_panel=RAY),
]
Concurrent = Annotated[
    int | None,
    typer.Option(min=1, help="Maximum number of trials at a time; default: as many as fit.", rich_help_panel=RAY),
]
MaxFailures = Annotated[
    int | None,
    typer.Option(min=0, help="Retries of a trial whose process or node was lost; default: 3.", rich_help_panel=RAY),
]
StoragePath = Annotated[
    str | None,
    typer.Option(
        help="Folder or URL for checkpoints that every node can write to; default: the output folder.",
        metavar="PATH",
        rich_help_panel=RAY,
    ),
]
LatencyNode = Annotated[
    str | None,
    typer.Option(
        help="If nodes differ: part of the name of the processor or GPU to measure latency on.",
        metavar="NAME",
        rich_help_panel=RAY,
    ),
]


def kept_at(output: Path, storage: str) -> RunOptions:
    """Makes the run options of a command that only reads a study."""
    return RunOptions(output=output, storage=storage)


def cluster_of(runner: str, **given: Any) -> Cluster:
    """Makes a Cluster from the options that are not None.

    Raises:
        UserError: an option is given, but the study does not run on Ray.
    """
    options = {name: value for name, value in given.items() if value is not None}
    if options and runner != "tune":
        name, value = next(iter(options.items()))
        option = f"--{name.replace('_', '-')}"
        raise UserError(
            "conflicting-options",
            "needs --runner tune",
            where=option,
            value=value,
            allowed="add --runner tune, or omit it",
        )
    return Cluster(**options)


OWN_CLUSTER = Cluster()
"""A private Ray on this machine."""

CLUSTER: dict[str, Any] = {
    "address": Address,
    "cpus_per_trial": CpusPerTrial,
    "gpus_per_trial": GpusPerTrial,
    "concurrent": Concurrent,
    "max_failures": MaxFailures,
    "storage_path": StoragePath,
    "latency_node": LatencyNode,
}
"""The fields of a `Cluster` as options."""


def on_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Replaces the parameter `cluster` of a command by the options of `CLUSTER`."""

    @wraps(command)
    def called(**given: Any) -> None:
        nodes = cluster_of(given["runner"], **{name: given.pop(name) for name in CLUSTER})
        command(**given, cluster=nodes)

    options = [Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=kind) for name, kind in CLUSTER.items()]
    own = signature(command, eval_str=True)
    kept = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in own.parameters.values() if each.name != "cluster"]
    vars(called)["__signature__"] = own.replace(parameters=[*kept, *options])
    called.__annotations__ = {each.name: each.annotation for each in [*kept, *options]} | {"return": None}
    return called


def sampler_of(name: str | None) -> str | None:
    """Returns a sampler's name; a file as absolute path, so that the study finds it from other folders.

    Raises:
        UserError: the file does not exist.
    """
    if name is None or not is_file_name(name):
        return name
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        raise UserError(
            "path-not-found",
            "sampler file not found",
            where="--sampler",
            value=name,
            allowed="a name or a path to a .py file",
        )
    return str(path)


def objectives_of(names: str | None) -> tuple[Objective, ...] | None:
    """Parses a comma-separated list of objectives.

    Raises:
        UserError: an objective is unknown, or their number is not two or three.
    """
    if names is None:
        return None
    found = [name.strip() for name in names.split(",")]
    for name in found:
        if name not in OBJECTIVES:
            raise unknown("objective", name, OBJECTIVES, where="--objectives")
    if not 2 <= len(set(found)) == len(found) <= 3:
        allowed = f"two or three different ones of {', '.join(sorted(OBJECTIVES))}"
        raise UserError("invalid-usage", "invalid objectives", where="--objectives", value=names, allowed=allowed)
    return tuple(OBJECTIVES[name] for name in found)
