"""TrainingContext: the inputs of a training procedure: images, hooks, exit costs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from searchlab.architecture import ImageSpec
from searchlab.candidate import Candidate, SixCopies, Training
from searchlab.data.batches import Batch, Normaliser, TrainBatches
from searchlab.data.six_copies import SixCopiesBatches
from searchlab.data.splits import Split
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.train.loop import Hooks, Trained


@dataclass(frozen=True, eq=False)
class TrainingContext:
    """All inputs of a training procedure besides the network and its candidate.

    Attributes:
        train: training split, on the device like `validation`.
        validation: validation split, for schedules that depend on an error.
        exit_costs: cost of leaving at each exit, in any unit; gates learn from it.
        scratch: the folder for stored features, which are removed afterwards. None: the system's temporary folder.
    """

    train: Split
    validation: Split
    normaliser: Normaliser
    images: ImageSpec
    epochs: int
    seed: int
    bf16: bool
    exit_costs: tuple[float, ...]
    scratch: Path | None
    hooks: Hooks

    @property
    def scaled_costs(self) -> tuple[float, ...]:
        """Returns `exit_costs` as shares of the largest."""
        largest = max(self.exit_costs)
        assert largest > 0 and min(self.exit_costs) >= 0, self.exit_costs
        return tuple(cost / largest for cost in self.exit_costs)


Procedure = Callable[[EarlyExitNetwork, Candidate, TrainingContext], Trained]
"""Trains a freshly built network in place; returns the averaged network and the curve."""


class Batches(Protocol):
    """Function from an epoch's number, counted from 0, to its batches; there are `steps` of them."""

    @property
    def steps(self) -> int: ...

    def epoch(self, number: int) -> Iterator[Batch]: ...


def batches_for(split: Split, normaliser: Normaliser, training: Training, seed: int) -> Batches:
    """Returns the augmented batches of a recipe.

    Raises:
        UserError: the augmentation does not fit the size of the images.
    """
    augmentation, batch_size = training.augmentation, training.batch_size
    if isinstance(augmentation, SixCopies):
        return SixCopiesBatches(split, normaliser, batch_size, seed)
    return TrainBatches(split, normaliser, augmentation, batch_size, seed)
