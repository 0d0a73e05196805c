"""Entry to the Ray runner. Ray takes seconds to import, so it is imported only when a study uses it."""

import importlib.util
import os

from searchlab.data.splits import Dataset
from searchlab.errors import UserError
from searchlab.runners.trial_source import TrialSource

OWN_RAY = {
    # Listens on 127.0.0.1 alone, as it does on Windows and macOS.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Do not prestart workers: trials use workers with an environment of their own.
    "RAY_prestart_worker_first_driver": "0",
}
"""Environment of a private Ray instance: this machine and this run only."""

TUNE = {
    # searchlab never restores from Tune's own state, which grows with every trial.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    # Results go to the store; Tune's JSON and CSV loggers would write larger copies.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Ctrl-C is handled by `session.interrupts.ends_on_interrupt`.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Paths in a study are relative to the folder where it was started.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
"""Options that Tune reads from the environment only."""


def run_tune(source: TrialSource, dataset: Dataset) -> None:
    """Runs several trials at a time, on Ray.

    Raises:
        UserError: ray is not installed, or the cluster cannot run the study; see `runners.tune.run`.
        Interrupted: the user asked to end; running trials have no result in the store.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError(
            "package-missing", "ray is not installed", where="--runner tune", allowed="pip install 'ray[tune]'"
        )
    for name, value in (TUNE if source.options.cluster.address else TUNE | OWN_RAY).items():
        os.environ.setdefault(name, value)
    from searchlab.runners.tune.run import run_on_tune

    run_on_tune(source, dataset)
