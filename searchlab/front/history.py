"""History of a search: hypervolume against training spent, trial by trial in order of their ends.

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
    """State of a study after a trial; `trained`, `epochs` and `training` (epochs x MACs) are totals."""

    record: TrialRecord
    trained: int
    epochs: int
    training: float
    hypervolume: float


class SearchHistory:
    """Owner of a study's ended trials: records, steps, front and cost scales. Call `add` when a trial ends.

    A driver has one, and passes it to its observers. The reference point of hypervolumes is fixed: accuracy 0 and
    infinite cost. Cost scales come from the study's limits or its first complete trial (`cost_scales`). If trials run
    at the same time and a later one ends first, the scales change once more when the first completes. All steps are
    then recomputed.
    """

    def __init__(self, study: Study, records: Sequence[TrialRecord] = ()) -> None:
        self.study = study
        self.steps: list[Step] = []
        self.front: list[Entry] = []
        self.cost_scales: dict[str, float] = {}
        self._compute(records)

    def add(self, record: TrialRecord) -> None:
        """Adds a trial that ended."""
        records = [*self.records, record]
        if cost_scales(self.study, records) == self.cost_scales:
            step, self.front = self._step(record, self.last, self.front)
            self.steps.append(step)
        else:
            self._compute(records)

    @property
    def records(self) -> list[TrialRecord]:
        """Records of all ended trials, in the order of their ends."""
        return [step.record for step in self.steps]

    @property
    def hypervolume(self) -> float:
        """Hypervolume of the front; 0.0 before a trial is complete."""
        return self.last.hypervolume if self.last else 0.0

    @property
    def last(self) -> Step | None:
        """The last step; None before the first trial ended."""
        return self.steps[-1] if self.steps else None

    @property
    def trained(self) -> list[Step]:
        """Steps of trials that were trained, for any number of epochs."""
        return [step for step in self.steps if step.record.epochs]

    @property
    def noise(self) -> float:
        """Growth of the hypervolume if every point of the front were one standard error more accurate.

        To first order, a hypervolume is the sum of the front's accuracies, each weighted by its interval of cost. All
        were measured on the same images, so their errors may have any correlation. This value is an upper bound of the
        standard error of the sum, reached at full correlation. The standard error of an accuracy is binomial, from the
        width of its Wilson interval, which is positive even at 100 %. Errors of latency are ignored. 0.0 if accuracy is
        not an objective.
        """
        objectives = self.study.objectives
        if accuracy not in objectives or not self.front:
            return 0.0
        points = [point for _, point in self.front]
        values_PM, reference_M = scaled_values(points, objectives, self.cost_scales), reference_of(objectives)
        raised_PM = values_PM.copy()
        raised_PM[:, objectives.index(accuracy)] -= [_standard_error(point) for point in points]
        return hypervolume(raised_PM, reference_M) - hypervolume(values_PM, reference_M)

    def own(self, record: TrialRecord) -> float:
        """Returns the hypervolume of a trial's frontier alone; 0.0 if it is not complete."""
        return self._volume(entries_of(record, self.study))

    def _compute(self, records: Sequence[TrialRecord]) -> None:
        """Computes every step. Other threads may read meanwhile, so attributes are replaced at the end."""
        self.cost_scales = cost_scales(self.study, records)
        steps: list[Step] = []
        front: list[Entry] = []
        for record in records:
            step, front = self._step(record, steps[-1] if steps else None, front)
            steps.append(step)
        self.steps, self.front = steps, front

    def _step(self, record: TrialRecord, before: Step | None, front: list[Entry]) -> tuple[Step, list[Entry]]:
        """Returns the step of a trial that ends after another step, and the front after it."""
        before = before or Step(record, 0, 0, 0.0, 0.0)
        volume = before.hypervolume
        if entries := entries_of(record, self.study):
            # Of equal points, keep that of the trial with the lowest number.
            by_number = sorted([*front, *entries], key=lambda entry: entry[0].number)
            front = front_of(by_number, self.study.objectives)
            volume = self._volume(front)
        training = before.training + (record.epochs * record.cost.macs if record.cost else 0.0)
        trained, epochs = before.trained + bool(record.epochs), before.epochs + record.epochs
        return Step(record, trained, epochs, training, volume), front

    def _volume(self, entries: Sequence[Entry]) -> float:
        front = front_of(entries, self.study.objectives)
        values_PM = scaled_values([point for _, point in front], self.study.objectives, self.cost_scales)
        return hypervolume(values_PM, reference_of(self.study.objectives))


def _standard_error(point: OperatingPoint) -> float:
    interval = point.accuracy_estimate
    return (interval.high - interval.low) / (2 * Z)
