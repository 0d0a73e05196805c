"""Tune's ways to ask and to tell, each a translation to the TrialSource, which is the driver over the store.

Nothing is decided and nothing is kept here: Tune's own view of the trials is thrown away with the run.
"""

from pathlib import Path
from typing import Any

from ray.tune import Callback, Checkpoint, Stopper
from ray.tune.experiment import Trial
from ray.tune.result import DONE
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from searchlab.errors import UserError
from searchlab.runners.tune.bridge import Bridge
from searchlab.runners.tune.stepped_trial import News

FAILURE = "Failure #"
"""What every failure begins with in the file in which Tune keeps those of a trial."""


class AskTell(Searcher):
    """Asks the source for trials, and tells it how they ended."""

    def __init__(self, desk: Bridge) -> None:
        super().__init__()
        self.desk = desk

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next trial; FINISHED where there will be no more, None where a running one may yet be tried again."""
        if self.desk.over:
            return self.FINISHED
        task = self.desk.kept(lambda: self.desk.next_task(trial_id))
        if task is None:
            return None if self.desk.tasks and self.desk.error is None else self.FINISHED
        return {"task": task, "number": task.spec.number}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial ended, or was lost too often."""
        if trial_id in self.desk.tasks and not self.desk.over:
            self.desk.kept(lambda: self.desk.end(trial_id))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store is the only truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a resume is a new run over what the store says is unfinished."""


class RungScheduler(FIFOScheduler):
    """Asks the source at every rung. A trial that is to end there is told so, and comes back with its record."""

    def __init__(self, desk: Bridge) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.desk = desk

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """CONTINUE in any case."""
        goes_on = self.desk.kept(lambda: self.desk.follow(trial.trial_id, result["news"]))
        if goes_on is False:
            # A worker does what it is asked in order: this comes before Tune's next step.
            worker = trial.temporary_state.ray_actor
            assert worker is not None
            worker.end_at_rung.remote()
        return str(TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Its process is gone, or it raised: Tune begins it again, or gives it up."""
        self.desk.lost(trial.trial_id, _last_failure(trial))


class Receiver(Callback):
    """Takes what workers send out of Tune's results, so that Tune does not keep it.

    `place` is the folder or URL of the run.
    """

    def __init__(self, desk: Bridge, place: str) -> None:
        self.desk, self.place = desk, place

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A result came, the last one perhaps."""
        news: News = result.pop("news")
        if not result[DONE] or trial.trial_id not in self.desk.tasks:
            return
        if news.mistake:
            self.desk.error = self.desk.error or UserError(news.mistake)
            return
        assert news.record is not None
        self.desk.kept(lambda: self.desk.follow(trial.trial_id, news))
        self.desk.ends[trial.trial_id] = (news.record, news.files or {})

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: Checkpoint, **info: Any
    ) -> None:
        """A checkpoint was written. Tune numbers them in the trial's folder, which lies in the run's."""
        if trial.trial_id in self.desk.tasks and not self.desk.over:
            path = "/".join([self.place, *Path(checkpoint.path).parts[-2:]])
            self.desk.kept(lambda: self.desk.keep(trial.trial_id, checkpoint, path))

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tune begins a trial again."""
        self.desk.retried(trial.trial_id)


class EndsWithDesk(Stopper):
    """Ends the run on an error, or when the user wants it."""

    def __init__(self, desk: Bridge) -> None:
        self.desk = desk

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No trial by itself."""
        return False

    def stop_all(self) -> bool:
        """Everything."""
        return self.desk.over

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles it into its state file, which is never read."""
        return {}


def _last_failure(trial: Trial) -> str:
    """Why a trial failed last, in one line; Tune keeps it in a file."""
    text = Path(trial.error_file).read_text() if trial.error_file else ""
    *_, last = text.split(FAILURE)
    lines = [line.strip() for line in last.splitlines()[1:] if line.strip()]
    # What a trial raised comes last, after the traceback; what Ray says of a process or a node comes first.
    return (lines[-1] if lines[0].startswith("ray::") else lines[0]) if lines else "lost"
