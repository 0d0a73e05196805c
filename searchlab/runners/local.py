"""Trials one after the other, in this process."""

from functools import partial

from searchlab.data.splits import Dataset
from searchlab.errors import RunError
from searchlab.measure.calibration import calibrated
from searchlab.measure.device import is_usable, resolve_device
from searchlab.record import LatencyReport, TimeUnit
from searchlab.runners.trial_source import TrialSource
from searchlab.trial import run_trial
from searchlab.trial_hooks import TrialHooks


def run_local(source: TrialSource, dataset: Dataset) -> None:
    """Runs what the source asks for until there is no more.

    Raises:
        Interrupted: the user asked to end; the running trial is left untold.
        RunError: a trial left the device unusable for this process.
        UserError: this is another machine than that which the study's latencies are of.
    """

    def in_unit(report: LatencyReport) -> LatencyReport:
        return calibrated(report, source.fix_unit(TimeUnit.of(report)))

    while (spec := source.ask()) is not None:
        hooks = TrialHooks(
            source.interrupted,
            partial(source.on_epoch, spec.number),
            partial(source.on_rung, spec.number),
            in_unit=in_unit,
            say=partial(source.on_word, spec.number),
            on_phase=partial(source.on_phase, spec.number),
        )
        record = run_trial(spec, dataset, hooks)
        source.tell(record)
        if record.state == "failed" and not is_usable(resolve_device(spec.device)):
            allowed = "`searchlab resume` goes on in a new process"
            raise RunError(f"trial {spec.number} left the device unusable", where=spec.device, allowed=allowed)
