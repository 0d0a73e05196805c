"""Architectures as frozen plain data, distinguished by `kind`.

Every one says how many stages it is cut into. Those with a `width` can be fitted under a cap (`model.cost.fit`). A new
one is a noun here, a member of `Architecture`, and one builder in `model/backbones`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from searchlab.serialization import NOUN

Kernel = Literal[1, 3, 5, 7]
Positive = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config=NOUN)
class ImageSpec:
    """Shape of the images to classify: channels, height and width in pixels, number of classes."""

    channels: Positive
    height: Positive
    width: Positive
    classes: Annotated[int, Field(ge=2)]


@dataclass(frozen=True, config=NOUN)
class ResNet:
    """A residual network (He et al. 2016; basic blocks as in paper 004, section 3).

    Layer i has `blocks[i]` blocks of `width * growth**i` channels; every layer but the first halves the map.
    `first_kernel` and `second_kernel` are those of a block's two convolutions, `skip_kernel` that of its projection. In
    a bottleneck, `second_kernel` is that of the convolution in the middle. The stem is one convolution; with
    `stem_stride` 2 it halves the map, and with `stem_pool` a max pooling halves it (again), as for images of 224
    pixels. Stages: the stem, every block, and the last normalisation where blocks are
    "preactivation" (He et al. 2016, "Identity mappings").
    """

    blocks: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=6)]
    width: Positive
    growth: Annotated[float, Field(ge=1, le=4)] = 2.0
    first_kernel: Kernel = 3
    second_kernel: Kernel = 3
    skip_kernel: Kernel = 1
    stem_kernel: Kernel = 3
    stem_stride: Literal[1, 2] = 1
    stem_pool: bool = False
    block: Literal["basic", "bottleneck", "preactivation"] = "basic"
    kind: Literal["resnet"] = "resnet"

    @property
    def stages(self) -> int:
        """Number of stages."""
        return 1 + sum(self.blocks) + (self.block == "preactivation")


@dataclass(frozen=True, config=NOUN)
class VGG:
    """VGG: 3x3 convolutions in blocks; a pooling at the end of each block halves the map (Simonyan and Zisserman 2015).

    Block i has `convolutions[i]` of `width * 2**i` channels, at most 8 * `width`. Stages: every convolution, the
    pooling with the last of its block. Configuration D of the paper (VGG16) is (2, 2, 3, 3, 3), E (VGG19) the default.
    """

    convolutions: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=5)] = (2, 2, 4, 4, 4)
    width: Positive = 64
    batch_norm: bool = True
    kind: Literal["vgg"] = "vgg"

    @property
    def stages(self) -> int:
        """Number of stages."""
        return sum(self.convolutions)


@dataclass(frozen=True, config=NOUN)
class AlexNet:
    """AlexNet: five convolutions (Krizhevsky et al. 2012), kernels and strides for images of 32x32 pixels.

    Channels are `width` times 1, 3, 6, 4, 4; the first convolution has stride 2, pooling follows the first, second and
    fifth. Stages: every convolution, the pooling with it.
    """

    width: Positive = 64
    kind: Literal["alexnet"] = "alexnet"

    @property
    def stages(self) -> int:
        """Number of stages."""
        return 5


@dataclass(frozen=True, config=NOUN)
class GoogLeNet:
    """GoogLeNet: nine inception modules with batch normalisation (Szegedy et al. 2015, table 1: `width` 64).

    `large_kernel` is that of the branch that the paper gives 5x5 and torchvision 3x3 (paper 002, section 3.2.3);
    `residual` adds the identity around every module whose output has its input's shape. The "large" stem is the
    paper's, for images of 224 pixels (it divides them by 8); the "small" one keeps the map: one convolution of 3x3.
    Stages: the stem, then every module, the pooling after 3b and 4e with it. Auxiliary classifiers are exits.
    """

    width: Positive = 64
    large_kernel: Literal[3, 5] = 5
    residual: bool = False
    stem: Literal["small", "large"] = "small"
    kind: Literal["googlenet"] = "googlenet"

    @property
    def stages(self) -> int:
        """Number of stages."""
        return 10


@dataclass(frozen=True, config=NOUN)
class Torchvision:
    """A torchvision classifier by name, cut after the named modules, in their order of execution.

    `weights` is a local file with its state dict (safetensors); without one it is initialised afresh. It keeps its own
    classifier, for as many classes as the images have. Stages: the piece up to each cut, and the rest.
    """

    model: str
    cuts: tuple[str, ...] = ()
    weights: str = ""
    kind: Literal["torchvision"] = "torchvision"

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.cuts) + 1


Backbone = Annotated[ResNet | VGG | AlexNet | GoogLeNet | Torchvision, Field(discriminator="kind")]
"""All backbones that are one network."""


@dataclass(frozen=True, config=NOUN)
class Partitioned:
    """A partitioned network: a router selects a group of classes, the group's expert a class (paper 003).

    `groups` name every class once, by number. With "hard" routing the expert of the likeliest group answers; with
    "soft" routing all do, weighted: sum over g of p(g) p(class | g). With a generalist, the router and its experts are
    the first exit, which hangs on the image itself, and the generalist's stages and exits follow; its own cut i is cut
    i + 1 here. Router and experts are networks of their own, each with a final head of its own.
    """

    groups: Annotated[tuple[Annotated[tuple[int, ...], Field(min_length=1)], ...], Field(min_length=2)]
    router: Backbone
    experts: tuple[Backbone, ...]
    generalist: Backbone | None = None
    routing: Literal["hard", "soft"] = "hard"
    kind: Literal["partitioned"] = "partitioned"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.experts) != len(self.groups):
            raise ValueError(f"{len(self.groups)} groups need as many experts, not {len(self.experts)}")
        return self

    @property
    def stages(self) -> int:
        """Number of stages: the image itself, then the generalist's."""
        return 1 + (self.generalist.stages if self.generalist else 0)


Architecture = Annotated[ResNet | VGG | AlexNet | GoogLeNet | Torchvision | Partitioned, Field(discriminator="kind")]
"""All architectures of a candidate."""
