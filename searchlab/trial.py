"""Trial: one candidate to one record: build, check, measure, train, tabulate. The place to read first."""

import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from searchlab import phases
from searchlab.architecture import ImageSpec
from searchlab.artefacts import save_artefacts, versions
from searchlab.candidate import Candidate
from searchlab.data.batches import Normaliser
from searchlab.data.splits import Dataset, Split
from searchlab.deploy.latency_check import checked
from searchlab.deploy.own_scores import use_scores
from searchlab.deploy.scores import score_functions
from searchlab.errors import Interrupted, RunError, reason_of
from searchlab.exits.costs import exit_cost_macs, exit_cost_ms
from searchlab.exits.frontier import FrontierSettings, exact_frontier
from searchlab.exits.scores import GATE, available_scores
from searchlab.exits.table import ExitTable
from searchlab.exits.tabulate import tabulate
from searchlab.measure.clocks import Stopwatch
from searchlab.measure.device import has_bf16, out_of_memory, resolve_device
from searchlab.measure.isolation import PATIENT, TrainingLock, Waiting, measuring, training_lock
from searchlab.measure.latency import LatencyOptions, measure_latency
from searchlab.measure.remeasure import until_trusted
from searchlab.model.cost import network_cost
from searchlab.model.early_exit import EarlyExitNetwork, build
from searchlab.model.width import excess_over
from searchlab.operating_point import Frontier
from searchlab.record import DataFacts, Epoch, LatencyReport, State, TrialRecord
from searchlab.seeds import torch_seed
from searchlab.serialization import from_plain, to_plain
from searchlab.study import Study, TrialSpec
from searchlab.train.loop import Hooks, Trained
from searchlab.train.procedure import TrainingContext, procedure_of
from searchlab.trial_hooks import HookError, TrialHooks, as_hook, hook

log = logging.getLogger("searchlab")


@dataclass
class _Epochs:
    """Epochs that a trial finished and began: its use of the budget if it fails."""

    finished: int = 0
    begun: int = 0


@dataclass(frozen=True)
class _TrialContext:
    """Shared inputs of the steps of one trial."""

    spec: TrialSpec
    dataset: Dataset
    device: torch.device
    normaliser: Normaliser
    validation: Split
    watch: Stopwatch
    hooks: TrialHooks
    accuracies: dict[int, tuple[float, ...]] = field(default_factory=dict)
    used: _Epochs = field(default_factory=_Epochs)

    @property
    def study(self) -> Study:
        return self.spec.study

    @property
    def candidate(self) -> Candidate:
        return self.spec.candidate

    @property
    def resumed(self) -> dict[str, Any]:
        """Notes of an earlier process at the last rung; empty if the trial begins here."""
        saved = self.hooks.progress.saved
        return saved.notes if saved else {}

    def note(self, epoch: int, record: TrialRecord) -> None:
        """Stores the notes that belong to the next snapshot."""
        self.hooks.progress.notes = {
            "epoch": epoch,
            "accuracies": list(self.accuracies.items()),
            "latency": to_plain(record.latency) if record.latency else None,
        }

    def phase(self, name: str) -> None:
        """Reports the start of a phase."""
        as_hook(self.hooks.on_phase)(name)

    @property
    def waiting(self) -> Waiting:
        """How the trial waits for a lock."""
        return Waiting(as_hook(self.hooks.say), as_hook(self.hooks.interrupted))

    @property
    def scores(self) -> tuple[str, ...]:
        """Scores of the study that this network can have."""
        return available_scores(self.study.scores, gated=bool(self.candidate.gates))


def run_trial(spec: TrialSpec, dataset: Dataset, hooks: TrialHooks | None = None) -> TrialRecord:
    """Trains and measures one candidate on the training and validation splits; the test split is not read.

    A candidate over a limit is returned as infeasible, untrained. One that raises is returned as failed: it cannot be
    built for this data, diverges, does not fit in memory, or reveals a bug of searchlab.
    With `spec.directory`, the artefacts of a trial that was trained are written there.

    Raises:
        Interrupted: `hooks.interrupted` returned True.
        RunError: the device is missing, or a file cannot be read or written.
        Exception: an exception of a hook.
    """
    device = resolve_device(spec.device)
    use_scores(spec.study)
    if spec.threads is not None:
        torch.set_num_threads(spec.threads)
    if device.type == "cuda":
        # Otherwise a trial that is too large would take the memory of other trials.
        torch.cuda.set_per_process_memory_fraction(spec.gpu_share, device.index)
    hooks, watch = hooks or TrialHooks(), Stopwatch()
    record = TrialRecord(spec.number, "failed", spec.candidate, spec.seed, row=spec.row)
    record = sized(replace(record, data=dataset.facts, versions=versions()), spec.study, dataset.spec)
    if not record.reason:
        # Only now use the device: a network that is too large must not take its memory.
        hooks.on_phase(phases.READING)
        normaliser, validation = Normaliser.of(dataset, device), dataset.validation.to(device)
        bench = _TrialContext(spec, dataset, device, normaliser, validation, watch, hooks)
        bench.accuracies.update({epoch: tuple(shares) for epoch, shares in bench.resumed.get("accuracies", [])})
        record = _recorded(bench, record)
    return replace(record, seconds=watch.seconds())


def sized(record: TrialRecord, study: Study, images: ImageSpec) -> TrialRecord:
    """Adds the network's cost to the record; with a reason if it exceeds a limit, or cannot be built."""
    if record.data.images is None:
        record = replace(record, data=DataFacts(images=images))
    try:
        record = replace(record, cost=network_cost(record.candidate, images))
    except Exception as error:  # as in `_recorded`
        return failed(record, error)
    assert record.cost is not None
    excess = excess_over(record.cost, study.limits)
    return infeasible(record, excess) if excess else record


def failed(record: TrialRecord, error: Exception, epochs: int = 0) -> TrialRecord:
    """Makes the record of a candidate that raised an exception."""
    log.debug("trial %d failed", record.number, exc_info=error)
    return replace(record, state="failed", reason=out_of_memory(error) or reason_of(error), epochs=epochs)


def _recorded(bench: _TrialContext, record: TrialRecord) -> TrialRecord:
    try:
        return _run(bench, record)
    except (Interrupted, RunError):
        raise
    except HookError as error:
        raise error.raised from None
    except OSError as error:
        allowed = "fix the cause, then resume: the trial begins again"
        raise RunError(
            "io-error", f"cannot run trials: {error}", where=str(error.filename or ""), allowed=allowed
        ) from error
    except Exception as error:
        # A candidate may raise any exception in torch, and the next candidate may be fine. An unfinished trial would be
        # the first one of every resume. A fault outside the candidate fails the other trials too, which ends the study.
        return failed(record, error, bench.used.begun)


def _run(bench: _TrialContext, record: TrialRecord) -> TrialRecord:
    """Builds, measures, checks, trains and tabulates."""
    torch.manual_seed(torch_seed(bench.spec.seed))
    bench.phase(phases.BUILDING)
    network = build(bench.candidate, bench.dataset.spec).to(bench.device)
    network = network.to(memory_format=torch.channels_last)
    if bench.study.measures_latency:
        record = replace(record, latency=_measured_before(bench) or _measured(bench, network))
        # One that is not believed is measured again after the training: the machine may be quieter then.
        if (over := _latency_excess(bench.study, record.latency)) and not _disbelief(record):
            return infeasible(record, over)
    trained, record = _train(bench, network, record)
    return _tabulate(bench, trained, record)


def infeasible(record: TrialRecord, excess: dict[str, float]) -> TrialRecord:
    """Makes the record of a candidate over its limits."""
    reason = "over the limit: " + ", ".join(f"{name} by {over:.1%}" for name, over in excess.items())
    return replace(record, state="infeasible", excess=excess, reason=reason)


def _measured(bench: _TrialContext, network: EarlyExitNetwork) -> LatencyReport:
    begun = time.perf_counter()
    waiting = bench.waiting
    bench.phase(phases.MEASURING)
    if bench.hooks.measure:
        with hook():
            report = bench.hooks.measure(bench.spec, waiting)
    else:
        report = measure(bench.spec, network, bench.dataset.spec, waiting)
    bench.watch.lap("measure", begun)
    with hook():
        return bench.hooks.in_unit(report)


def measure(spec: TrialSpec, network: EarlyExitNetwork, images: ImageSpec, waiting: Waiting = PATIENT) -> LatencyReport:
    """Measures the latency of a trial's network on this node, while no trial of ours trains there.

    One that is in doubt is measured again; see `until_trusted`.
    """
    device, options = resolve_device(spec.device), LatencyOptions(threads=spec.threads, engine=spec.study.engine)
    use_scores(spec.study)
    scores = score_functions(available_scores(spec.study.scores, gated=bool(spec.candidate.gates)))

    def measured() -> LatencyReport:
        with measuring(waiting):
            return measure_latency(network, spec.study.reference, images, scores, device, options)

    return until_trusted(measured, waiting)


def _measured_before(bench: _TrialContext) -> LatencyReport | None:
    """Returns the latency that an earlier process of this trial measured."""
    found = bench.resumed.get("latency")
    return from_plain(LatencyReport, found) if found else None


def _disbelief(record: TrialRecord) -> str:
    return record.latency.disbelief if record.latency else ""


def _latency_excess(study: Study, report: LatencyReport | None) -> dict[str, float]:
    return study.limits.excess(latency_ms=report.whole.p50) if report else {}


def _train(bench: _TrialContext, network: EarlyExitNetwork, record: TrialRecord) -> tuple[Trained, TrialRecord]:
    begun = time.perf_counter()
    bench.phase(phases.TRAINING)
    with training_lock(bench.device, waiting=bench.waiting) as lock:
        hooks = Hooks(
            lambda: _after_step(bench, lock),
            lambda epoch, judged: _after_epoch(bench, record, epoch, judged),
            progress=bench.hooks.progress,
            on_phase=bench.phase,
        )
        trained = procedure_of(bench.candidate)(network, bench.candidate, _training_context(bench, record, hooks))
    bench.watch.lap("train", begun)
    state: State = "stopped" if trained.stopped else "complete"
    reason = f"at epoch {len(trained.curve)}, by {bench.study.early_stopping}" if trained.stopped else ""
    curve = tuple(replace(row, accuracy=bench.accuracies.get(row.epoch, ())) for row in trained.curve)
    return trained, replace(record, state=state, reason=reason, curve=curve, epochs=len(curve))


def _training_context(bench: _TrialContext, record: TrialRecord, hooks: Hooks) -> TrainingContext:
    return TrainingContext(
        train=bench.dataset.train.to(bench.device),
        validation=bench.validation,
        normaliser=bench.normaliser,
        images=bench.dataset.spec,
        epochs=bench.study.epochs,
        seed=bench.spec.seed,
        bf16=has_bf16(bench.device),
        exit_costs=_exit_costs(bench, record),
        scratch=bench.spec.directory,
        hooks=hooks,
    )


def _exit_costs(bench: _TrialContext, record: TrialRecord) -> tuple[float, ...]:
    """Returns the cost of leaving at each exit with all exits in use: milliseconds if measured, else MACs."""
    assert record.cost is not None
    exits, score = range(len(record.cost.heads)), GATE if bench.candidate.gates else bench.scores[0]
    if record.latency is not None:
        return tuple(exit_cost_ms(record.cost, record.latency.segments, exits, score).tolist())
    return tuple(exit_cost_macs(record.cost, exits, score).tolist())


def _after_step(bench: _TrialContext, lock: TrainingLock) -> None:
    with hook():
        interrupted = bench.hooks.interrupted()
    if interrupted:
        raise Interrupted
    bench.used.begun = bench.used.finished + 1
    lock.breathe()


def _after_epoch(bench: _TrialContext, record: TrialRecord, epoch: Epoch, judged: EarlyExitNetwork) -> bool:
    bench.used.finished = epoch.epoch
    before = bench.resumed.get("epoch", 0)
    if epoch.epoch < before:
        return True
    if epoch.epoch > before:
        with hook():
            bench.hooks.on_epoch(epoch)
    at_rung = epoch.epoch in bench.study.rungs
    if not at_rung and not bench.study.curves:
        return True
    bench.phase(phases.TABULATING)
    table = tabulate(judged, bench.validation, bench.normaliser)
    bench.accuracies[epoch.epoch] = tuple(table.correct_NK.mean(axis=0).tolist())
    goes_on = not at_rung or _at_rung(bench, record, epoch, table)
    bench.phase(phases.TRAINING)
    return goes_on


def _at_rung(bench: _TrialContext, record: TrialRecord, epoch: Epoch, table: ExitTable) -> bool:
    """Reports the frontier at a rung; returns whether the trial continues."""
    bench.phase(phases.SEARCHING)
    # Early in a training no point may reach `min_accuracy`; one point would then represent the trial.
    frontier = _frontier(bench, record, table, min_accuracy=0.0)
    bench.note(epoch.epoch, record)
    with hook():
        return bench.hooks.on_rung(epoch.epoch, frontier)


def _frontier(bench: _TrialContext, record: TrialRecord, table: ExitTable, min_accuracy: float) -> Frontier:
    study = bench.study
    settings = FrontierSettings(study.objectives, bench.scores, study.thresholds_per_exit, min_accuracy=min_accuracy)
    return exact_frontier(table, record.profile, settings)


def _tabulate(bench: _TrialContext, trained: Trained, record: TrialRecord) -> TrialRecord:
    """Computes the validation split's exit table and frontier, checks the latency, writes the artefacts."""
    begun = time.perf_counter()
    bench.phase(phases.TABULATING)
    table = tabulate(trained.network, bench.validation, bench.normaliser)
    bench.phase(phases.SEARCHING)
    record = replace(record, frontier=_frontier(bench, record, table, bench.study.min_accuracy))
    last = replace(record.curve[-1], accuracy=tuple(table.correct_NK.mean(axis=0).tolist()))
    record = replace(record, curve=(*record.curve[:-1], last))
    bench.watch.lap("evaluate", begun)
    if record.latency is not None and record.state == "complete" and bench.hooks.measure is None:
        bench.phase(phases.CHECKING)
        record = _checked(bench, trained.network, record, table)
    if record.state == "complete" and _disbelief(record):
        record = _measured_at_last(bench, trained.network, record, table)
    if bench.spec.directory is not None:
        bench.phase(phases.WRITING)
        record = replace(record, directory=str(bench.spec.directory.absolute()), seconds=bench.watch.seconds())
        save_artefacts(bench.spec.directory, trained.network, table, record)
    return record


def _measured_at_last(
    bench: _TrialContext, network: EarlyExitNetwork, record: TrialRecord, table: ExitTable
) -> TrialRecord:
    """Measures the latency that was not believed once more; failed, with its artefacts, if it is not believed again.

    In the process that measures for itself, `_checked` has measured it again already.
    """
    if bench.hooks.measure is not None:
        record = replace(record, latency=_measured(bench, network))
        record = replace(record, frontier=_frontier(bench, record, table, bench.study.min_accuracy))
    if not (why := _disbelief(record)):
        return record
    return replace(record, state="failed", reason=f"its latency could not be measured: {why}", frontier=None)


def _checked(bench: _TrialContext, network: EarlyExitNetwork, record: TrialRecord, table: ExitTable) -> TrialRecord:
    """Checks the latency; a doubtful one is measured again, and the frontier computed again."""
    begun, given = time.perf_counter(), (network, table, bench.validation, bench.normaliser, bench.waiting)
    found = checked(record, *given)
    bench.watch.lap("measure", begun)
    if found.latency is None or not found.latency.doubt:
        return found
    again = replace(record, latency=_measured(bench, network))
    again = checked(replace(again, frontier=_frontier(bench, again, table, bench.study.min_accuracy)), *given)
    return min(again, found, key=lambda each: each.latency.worry if each.latency else 0.0)
