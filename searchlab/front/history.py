"""How the hypervolume of a study grew with the training it spent, trial by trial in the order in which they ended.

Training is counted in epochs x MACs, those of one image through the whole network. Times the training images, times
three (a step goes once forward and about twice as far backward), that is every multiply-accumulate of a training; both
factors are the same for all trials of a study, so they are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from searchlab.front.pareto import hypervolume
from searchlab.front.points import Entry, cost_scales, entries_of, front_of, reference_of, scaled_values
from searchlab.objective import accuracy
from searchlab.operating_point import OperatingPoint
from searchlab.record import TrialRecord
from searchlab.study import Study

Z = 1.959963984540054
"""Standard errors on either side of a 95 % interval."""


@dataclass(frozen=True)
class Step:
    """Where a study stood when a trial ended; `trained`, `epochs` and `training` (epochs x MACs) are sums so far."""

    record: TrialRecord
    trained: int
    epochs: int
    training: float
    hypervolume: float


class SearchHistory:
    """The steps of a study so far. `add` a trial when it ended, however it did.

    The reference point is frozen: accuracy 0 and boundless cost, in units that the study's limits or its first complete
    trial fixed (`cost_scales`). Where trials run at once and a later one overtakes the first, the units change one
    last time when that completes; every step is then in the new ones.
    """

    def __init__(self, study: Study, records: Sequence[TrialRecord] = ()) -> None:
        self.study = study
        self.steps: list[Step] = []
        self.front: list[Entry] = []
        self.units: dict[str, float] = {}
        self._again(records)

    def add(self, record: TrialRecord) -> None:
        """One more trial ended."""
        records = [*(step.record for step in self.steps), record]
        if cost_scales(self.study, records) == self.units:
            self._append(record)
        else:
            self._again(records)

    @property
    def last(self) -> Step | None:
        """Where the study stands; None before its first trial ended."""
        return self.steps[-1] if self.steps else None

    @property
    def trained(self) -> list[Step]:
        """The steps of trials that were trained, for however many epochs."""
        return [step for step in self.steps if step.record.epochs]

    @property
    def noise(self) -> float:
        """What the hypervolume would grow by if every point of the front were one standard error more accurate.

        To first order a hypervolume is a sum of the front's accuracies, each times the stretch of cost that is its own.
        As all were counted on the same images their errors may have any correlation; the standard error of the sum is
        at most this, which it is where all err alike. The standard error of an accuracy is the binomial one, by the
        width of its Wilson interval, which does not vanish at 100 %. Errors of latency are not in it. 0.0 where
        accuracy is no objective.
        """
        objectives = self.study.objectives
        if accuracy not in objectives or not self.front:
            return 0.0
        points = [point for _, point in self.front]
        values_PM, reference_M = scaled_values(points, objectives, self.units), reference_of(objectives)
        raised_PM = values_PM.copy()
        raised_PM[:, objectives.index(accuracy)] -= [_standard_error(point) for point in points]
        return hypervolume(raised_PM, reference_M) - hypervolume(values_PM, reference_M)

    def own(self, record: TrialRecord) -> float:
        """The hypervolume of a trial's frontier alone; 0.0 where it is not complete."""
        return self._volume(entries_of(record, self.study))

    def _again(self, records: Sequence[TrialRecord]) -> None:
        self.units, self.steps, self.front = cost_scales(self.study, records), [], []
        for record in records:
            self._append(record)

    def _append(self, record: TrialRecord) -> None:
        before = self.last or Step(record, 0, 0, 0.0, 0.0)
        volume = before.hypervolume
        if entries := entries_of(record, self.study):
            self.front = front_of([*self.front, *entries], self.study.objectives)
            volume = self._volume(self.front)
        training = before.training + (record.epochs * record.cost.macs if record.cost else 0.0)
        trained, epochs = before.trained + bool(record.epochs), before.epochs + record.epochs
        self.steps.append(Step(record, trained, epochs, training, volume))

    def _volume(self, entries: Sequence[Entry]) -> float:
        front = front_of(entries, self.study.objectives)
        values_PM = scaled_values([point for _, point in front], self.study.objectives, self.units)
        return hypervolume(values_PM, reference_of(self.study.objectives))


def _standard_error(point: OperatingPoint) -> float:
    interval = point.accuracy_estimate
    return (interval.high - interval.low) / (2 * Z)
