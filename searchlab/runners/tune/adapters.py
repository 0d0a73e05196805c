"""Adapters from Tune's interfaces (searcher, scheduler, callback, stopper) to the bridge.

They hold no state and make no decisions. Tune's own view of the trials is discarded after the run.
"""

from pathlib import Path
from typing import Any

from ray.tune import Callback, Checkpoint, Stopper
from ray.tune.experiment import Trial
from ray.tune.result import DONE
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from searchlab.runners.tune.bridge import Bridge
from searchlab.runners.tune.stepped_trial import Update

FAILURE = "Failure #"
"""Prefix of every failure in Tune's error file of a trial."""


class StoreSearcher(Searcher):
    """Searcher: takes trials from the source and reports their results to it."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.bridge = bridge

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Returns the next trial: FINISHED if none will follow, None while a running trial may be retried."""
        if self.bridge.over:
            return self.FINISHED
        task = self.bridge.kept(lambda: self.bridge.next_task(trial_id))
        if task is None:
            return None if self.bridge.tasks and self.bridge.error is None else self.FINISHED
        return {"task": task, "number": task.spec.number}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Called when a trial has ended or has failed too often."""
        if trial_id in self.bridge.tasks and not self.bridge.over:
            self.bridge.kept(lambda: self.bridge.end(trial_id))

    def save(self, checkpoint_path: str) -> None:
        """Does nothing: the store is the only source of truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Does nothing: a resume is a new Tune run over the unfinished trials in the store."""


class RungScheduler(FIFOScheduler):
    """Scheduler: asks the source at every rung. A stopped trial finishes by itself and returns its record."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bridge = bridge

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Returns CONTINUE in every case; the worker itself stops a trial."""
        goes_on = self.bridge.kept(lambda: self.bridge.follow(trial.trial_id, result["update"]))
        if goes_on is False:
            # An actor runs its calls in order, so this call runs before Tune's next step.
            worker = trial.temporary_state.ray_actor
            assert worker is not None
            worker.end_at_rung.remote()
        return str(TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Called when a worker died or raised. Tune then retries the trial or marks it as failed."""
        self.bridge.lost(trial.trial_id, _last_failure(trial))


class ResultReceiver(Callback):
    """Callback: removes workers' updates from Tune's results, so that Tune does not store them.

    `place` is the folder or URL of the run.
    """

    def __init__(self, bridge: Bridge, place: str) -> None:
        self.bridge, self.place = bridge, place

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Called for every result, the last one included."""
        update: Update = result.pop("update")
        if not result[DONE] or trial.trial_id not in self.bridge.tasks:
            return
        if update.mistake:
            self.bridge.error = self.bridge.error or update.mistake
            return
        assert update.record is not None
        self.bridge.kept(lambda: self.bridge.follow(trial.trial_id, update))
        self.bridge.ends[trial.trial_id] = (update.record, update.files or {})

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: Checkpoint, **info: Any
    ) -> None:
        """Called for every checkpoint. Tune numbers them in the trial's folder, inside the run's folder."""
        if trial.trial_id in self.bridge.tasks and not self.bridge.over:
            path = "/".join([self.place, *Path(checkpoint.path).parts[-2:]])
            self.bridge.kept(lambda: self.bridge.keep(trial.trial_id, checkpoint, path))

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Called when Tune retries a trial."""
        self.bridge.retried(trial.trial_id)


class StopOnError(Stopper):
    """Stopper: ends the run after an error or when the user asks for it."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stops no single trial."""
        return False

    def stop_all(self) -> bool:
        """Whether to stop all trials."""
        return self.bridge.over

    def __getstate__(self) -> dict[str, Any]:
        """Returns no state: Tune pickles stoppers into its state file, which is never read."""
        return {}


def _last_failure(trial: Trial) -> str:
    """The last failure of a trial in one line, from Tune's error file."""
    text = Path(trial.error_file).read_text() if trial.error_file else ""
    *_, last = text.split(FAILURE)
    lines = [line.strip() for line in last.splitlines()[1:] if line.strip()]
    # A trial's exception is the last line, after the traceback; Ray's message about a process or node is the first.
    return (lines[-1] if lines[0].startswith("ray::") else lines[0]) if lines else "lost"
