"""The way to Ray, which takes seconds to import and is imported only where it is used."""

import importlib.util
import os

from searchlab.data.splits import Dataset
from searchlab.errors import UserError
from searchlab.runners.trial_source import TrialSource

OWN_RAY = {
    # Listens on 127.0.0.1 alone, as it does on Windows and macOS.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # No process is begun that no trial can use: those of trials have an environment of their own.
    "RAY_prestart_worker_first_driver": "0",
}
"""What makes of Ray one that is for this machine and this run alone."""

TUNE = {
    # We never restore from Tune's own state, and it grows with every trial.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    # What a trial finds goes to the store; Tune's JSON and CSV of the same would be larger than it.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Ctrl-C is the command line's; see `cli.running.ends_on_interrupt`.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Paths in a study are relative to where it was started.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
"""What Tune reads from the environment and nowhere else."""


def run_tune(source: TrialSource, dataset: Dataset) -> None:
    """Runs what the source asks for on a Ray cluster, several trials at a time, until there is no more.

    Raises:
        UserError: ray is not installed, or the cluster cannot run the study; see `runners.tune.run`.
        Interrupted: the user asked to end; running trials are left untold.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError("ray is not installed", where="--runner tune", allowed="pip install 'ray[tune]'")
    for name, value in (TUNE if source.options.cluster.address else TUNE | OWN_RAY).items():
        os.environ.setdefault(name, value)
    from searchlab.runners.tune.run import run_on_tune

    run_on_tune(source, dataset)
