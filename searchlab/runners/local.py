"""Local runner: runs trials in this process, one after the other."""

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
    """Runs trials one after the other, in this process.

    Raises:
        Interrupted: the user asked to end; the running trial has no result in the store.
        RunError: after a trial, this process can no longer use the device.
        UserError: the study's latencies were measured on another machine.
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
            allowed = "`searchlab resume` continues in a new process"
            raise RunError(
                "device-unusable", f"trial {spec.number} left the device unusable", where=spec.device, allowed=allowed
            )
