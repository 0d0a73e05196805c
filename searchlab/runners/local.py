"""Trials one after the other, in this process."""

from functools import partial

from searchlab.data.splits import Dataset
from searchlab.runners.source import Source
from searchlab.trial import TrialHooks, run_trial


def run_local(source: Source, dataset: Dataset) -> None:
    """Runs what the source asks for until there is no more.

    Raises:
        Interrupted: the user asked to end; the running trial is left untold.
    """
    while (spec := source.ask()) is not None:
        hooks = TrialHooks(
            source.interrupted, partial(source.on_epoch, spec.number), partial(source.on_rung, spec.number)
        )
        source.tell(run_trial(spec, dataset, hooks))
