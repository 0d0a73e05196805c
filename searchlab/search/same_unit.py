"""Checks of a study that goes on: its new latencies must be in the unit, machine and engine of those so far."""

from dataclasses import replace

import torch

from searchlab.engines.catalog import ENGINES, engine_again, engine_named
from searchlab.measure.calibration import other_machine, other_reference
from searchlab.measure.device import this_machine
from searchlab.record import TimeUnit
from searchlab.study import AUTO_ENGINE, RunOptions, Study


def same_reference(unit: TimeUnit | None, study: Study) -> None:
    """Raises UserError if the study's latencies were measured beside another reference."""
    if unit is not None and study.measures_latency and unit.reference_name != study.reference:
        raise other_reference(unit, study.reference, f"study {study.name}")


def same_machine(unit: TimeUnit | None, study: Study, options: RunOptions, device: torch.device) -> RunOptions:
    """Returns the options with the study's number of threads, if none is requested.

    Raises:
        UserError: the study's latencies are of another machine, so that new ones could not enter its front.
    """
    if unit is None:
        return options
    threads = options.threads or unit.machine.threads
    if study.engine == AUTO_ENGINE:
        engine, device = engine_again(unit.machine, device)
    else:
        engine, device = engine_named(study.engine, device)
    here = this_machine(device, threads, engine)
    if here != unit.machine:
        raise other_machine(unit, here.in_full, f"study {study.name}", "see --device, --threads and --engine")
    if options.threads is None and threads == ENGINES[engine].threads():
        # No number was asked for: the engine takes its own, and trainings theirs.
        return options
    return replace(options, threads=threads)
