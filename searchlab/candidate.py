"""Everything that decides a training, as frozen plain data, and what a space is made of."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field
from pydantic.dataclasses import dataclass

from searchlab.plain import NOUN, stable_id

Kernel = Literal[1, 3, 5, 7]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
PositiveReal = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, config=NOUN)
class ImageSpec:
    """The shape of what is classified: channels, height and width in pixels, number of classes."""

    channels: Positive
    height: Positive
    width: Positive
    classes: Annotated[int, Field(ge=2)]


@dataclass(frozen=True, config=NOUN)
class ResNet:
    """A residual network of basic blocks (He et al. 2016; the layout of paper 004, section 3).

    Layer i has `blocks[i]` blocks of `width * growth**i` channels; every layer but the first halves the map.
    `first_kernel` and `second_kernel` are those of a block's two convolutions, `skip_kernel` that of its projection.
    The stem is one convolution; with `stem_stride` 2 it halves the map. Stages: the stem, then each block.
    """

    blocks: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=6)]
    width: Positive
    growth: Annotated[float, Field(ge=1, le=4)] = 2.0
    first_kernel: Kernel = 3
    second_kernel: Kernel = 3
    skip_kernel: Kernel = 1
    stem_kernel: Kernel = 3
    stem_stride: Literal[1, 2] = 1
    kind: Literal["resnet"] = "resnet"

    @property
    def stages(self) -> int:
        """How many stages it is cut into: the stem and every block."""
        return 1 + sum(self.blocks)


Architecture = ResNet
"""Every backbone that a candidate may name; a new one is one dataclass here and one builder in model/backbones."""


@dataclass(frozen=True, config=NOUN)
class Head:
    """Average pooling of the cut's map to `pool` x `pool`, hidden linear layers, then the class logits."""

    pool: Positive = 1
    hidden: tuple[Positive, ...] = ()
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


@dataclass(frozen=True, config=NOUN)
class Exit:
    """A head on the cut after stage `cut` (0 is the stem), with the weight of its loss in joint training."""

    cut: Annotated[int, Field(ge=0)]
    head: Head = Head()
    loss_weight: PositiveReal = 1.0


@dataclass(frozen=True, config=NOUN)
class Augmentation:
    """What is done to a training batch on the device. Zero, or "none", leaves a step out."""

    flip: Literal["none", "random", "alternating"] = "none"
    crop_pixels: Annotated[int, Field(ge=0)] = 0
    cutout_pixels: Annotated[int, Field(ge=0)] = 0
    colour: Share = 0.0
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 0.0


@dataclass(frozen=True, config=NOUN)
class Training:
    """The recipe. `learning_rate` is the peak of the schedule, and `weight_decay` does not grow with it.

    Per step, weights shrink by rate / peak * weight_decay, which momentum sums up to 1 / (1 - momentum) times as much.
    """

    regime: str = "joint"
    schedule: str = "one_cycle"
    batch_size: Positive = 128
    learning_rate: PositiveReal = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 5e-5
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.99
    final_loss_weight: PositiveReal = 1.0
    augmentation: Augmentation = Augmentation()


@dataclass(frozen=True, config=NOUN)
class Candidate:
    """An architecture, the exits hung on it (the final head is always the last exit), and how it is trained."""

    architecture: Architecture
    exits: tuple[Exit, ...] = ()
    final: Head = Head()
    training: Training = Training()

    def __post_init__(self) -> None:
        cuts = [exit.cut for exit in self.exits]
        if cuts != sorted(set(cuts)):
            raise ValueError(f"exits must be ascending by cut, none twice, not {cuts}")
        if cuts and cuts[-1] > self.architecture.stages - 2:
            raise ValueError(
                f"exit at cut {cuts[-1]}: the last cut before the final head is {self.architecture.stages - 2}"
            )

    @cached_property
    def id(self) -> str:
        """Ten hex digits, the same for equal candidates in every process."""
        return stable_id(self)

    @property
    def cuts(self) -> tuple[int, ...]:
        """The cut of every exit, the final head's (after the last stage) included."""
        return (*(exit.cut for exit in self.exits), self.architecture.stages - 1)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The head of every exit, the final one last."""
        return (*(exit.head for exit in self.exits), self.final)


class Choose(Protocol):
    """What a space is called with: Optuna's `suggest_*`, and what the study fixes."""

    @property
    def images(self) -> ImageSpec:
        """The shape of the study's images."""

    @property
    def max_params(self) -> int | None:
        """The study's cap on parameters, all heads counted."""

    @property
    def max_macs(self) -> int | None:
        """The study's cap on MACs per image."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...
    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...
    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


Space = Callable[[Choose], Candidate]
