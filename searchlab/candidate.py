"""Candidate: everything that decides a training, as frozen plain data; and Choose, the argument of a space."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field
from pydantic.dataclasses import dataclass

from searchlab.architecture import Architecture, ImageSpec, Partitioned, Positive, Torchvision
from searchlab.limits import Limits
from searchlab.serialization import NOUN, stable_id

Share = Annotated[float, Field(ge=0, le=1)]
PositiveReal = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, config=NOUN)
class Head:
    """A head: average pooling to `pool` x `pool`, hidden linear layers, then the class logits.

    `reduce` puts a convolution of 1x1 to so many channels after the pooling, as GoogLeNet's auxiliary classifiers have.
    With `batch_norm` every hidden layer is normalised. Dropout follows every hidden layer; without any, it comes
    before the logits.
    """

    pool: Positive = 1
    hidden: tuple[Positive, ...] = ()
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    batch_norm: bool = False
    reduce: Positive | None = None


@dataclass(frozen=True, config=NOUN)
class Gate:
    """A learned gate: average pooling of the cut's map to `pool` x `pool`, and one linear unit (paper 001, section 4).

    Its score is called "gate": leave where it reaches a threshold, which is 0 in the paper.
    """

    pool: Positive = 1


@dataclass(frozen=True, config=NOUN)
class Exit:
    """An exit: a head on the cut after stage `cut` (0 is the first stage), with its weight in the joint loss."""

    cut: Annotated[int, Field(ge=0)]
    head: Head = Head()
    loss_weight: PositiveReal = 1.0
    gate: Gate | None = None


@dataclass(frozen=True, config=NOUN)
class Augmentation:
    """Augmentation of a training batch on the device. Zero, or "none", omits a step.

    `zoom` is the least share of the image's area that a random resized crop keeps (1: no zoom).
    """

    flip: Literal["none", "random", "alternating"] = "none"
    crop_pixels: Annotated[int, Field(ge=0)] = 0
    cutout_pixels: Annotated[int, Field(ge=0)] = 0
    colour: Share = 0.0
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 0.0
    zoom: Annotated[float, Field(gt=0, le=1)] = 1.0


@dataclass(frozen=True, config=NOUN)
class SixCopies:
    """The offline augmentation of paper 004, section 2.1: six versions of every image, the same in every epoch.

    The versions: unchanged; mirrored; translated by up to 4 pixels; enlarged to 9/8 and cropped; rotated by up to 90
    degrees; recoloured by factors of 0.5 to 1.5. The last four are mirrored at random first. They are computed on the
    device when needed, and not stored.
    """

    kind: Literal["six_copies"] = "six_copies"


@dataclass(frozen=True, config=NOUN)
class Decay:
    """Decay of the learning rate by epochs: when a schedule lowers it, and by which factor.

    "multi_step" lowers it at `milestones`, shares of the phase; "plateau" when the validation error of the final head
    has not fallen for more than `patience` epochs; "every" after every `every` epochs.
    """

    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    milestones: tuple[Share, ...] = (0.5, 0.75)
    patience: Annotated[int, Field(ge=0)] = 10
    every: Positive = 8


@dataclass(frozen=True, config=NOUN)
class HeadTraining:
    """Recipe of heads on a frozen backbone, if it differs from the backbone's.

    `epochs` is their share of all epochs. With `stored`, the features at the cuts are computed once, without
    augmentation, written to disk and memory-mapped (paper 000); the rate then stays as it is.
    """

    optimizer: Literal["sgd", "adam"] = "adam"
    learning_rate: PositiveReal = 1e-3
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 4e-5
    batch_size: Positive = 128
    epochs: Share = 0.25
    stored: bool = False


@dataclass(frozen=True, config=NOUN)
class Training:
    """Training recipe. `learning_rate` is the peak of the schedule; `weight_decay` does not scale with it.

    Per step, weights shrink by rate / peak * weight_decay, which momentum sums up to 1 / (1 - momentum) times as much.
    `gate_loss_weight` is alpha of paper 001: how much cost counts beside error when gates learn, from 0 to 1.
    """

    regime: str = "joint"
    schedule: str = "one_cycle"
    batch_size: Positive = 128
    learning_rate: PositiveReal = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = True
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 5e-5
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.99
    final_loss_weight: PositiveReal = 1.0
    gate_loss_weight: Share = 0.5
    decay: Decay = Decay()
    heads: HeadTraining | None = None
    augmentation: Augmentation | SixCopies = Augmentation()


@dataclass(frozen=True, config=NOUN)
class Candidate:
    """A candidate: an architecture, its exits (the final head is always the last exit), and its training.

    Torchvision's classifiers and partitions without a generalist have their own final head; `final` is then ignored.
    """

    architecture: Architecture
    exits: tuple[Exit, ...] = ()
    final: Head = Head()
    training: Training = Training()

    def __post_init__(self) -> None:
        cuts = [exit.cut for exit in self.exits]
        if cuts != sorted(set(cuts)):
            raise ValueError(f"exits must be ascending by cut, without repetition, not {cuts}")
        last = self.architecture.stages - 2
        if cuts and cuts[-1] > last:
            there = (
                f"the last cut before the final head is {last}"
                if last >= 0
                else "the backbone has no cut for an early exit"
            )
            raise ValueError(f"exit at cut {cuts[-1]}: {there}")
        self._check_gates()
        if isinstance(self.architecture, Partitioned) and 0 in cuts:
            raise ValueError("exit at cut 0: this cut has the router and its experts")

    def _check_gates(self) -> None:
        gated = [exit for exit in self.exits if exit.gate]
        if gated and len(gated) < len(self.exits):
            raise ValueError("either all exits must have a gate, or none")
        if gated and isinstance(self.architecture, Partitioned):
            raise ValueError("gates on a partitioned network are not supported")
        if self.training.regime == "gates" and not gated:
            raise ValueError('regime "gates" needs exits with a gate')

    @cached_property
    def id(self) -> str:
        """Ten hex digits, the same for equal candidates in every process."""
        return stable_id(self)

    @property
    def own_cuts(self) -> tuple[int, ...]:
        """Cuts on which the architecture has a head of its own."""
        if isinstance(self.architecture, Torchvision):
            return (self.architecture.stages - 1,)
        return (0,) if isinstance(self.architecture, Partitioned) else ()

    @property
    def heads(self) -> dict[int, Head]:
        """Cut to the head that the candidate puts there; the final one last, unless it is the architecture's own."""
        last = self.architecture.stages - 1
        final = {} if last in self.own_cuts else {last: self.final}
        return {exit.cut: exit.head for exit in self.exits} | final

    @property
    def cuts(self) -> tuple[int, ...]:
        """The cut of every exit, including the final head's (after the last stage)."""
        return tuple(sorted({*self.heads, *self.own_cuts}))

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The gate of every exit but the final one; empty without learned gates."""
        return tuple(exit.gate for exit in self.exits if exit.gate)


class Choose(Protocol):
    """Argument of a space: Optuna's `suggest_*` methods and the study's constants."""

    @property
    def images(self) -> ImageSpec:
        """The shape of the study's images."""

    @property
    def limits(self) -> Limits:
        """The study's limits."""

    def fit(
        self, candidate: Candidate, share: float = 1.0, *, limits: Limits | None = None, multiple: int = 1
    ) -> Candidate:
        """Returns the candidate in the largest width that meets a share of the study's limits (or of other `limits`).

        Widths are multiples of `multiple` if at least `multiple` channels fit.
        """

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...
    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...
    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


Space = Callable[[Choose], Candidate]
