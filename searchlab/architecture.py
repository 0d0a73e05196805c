"""Architectures as frozen plain data, distinguished by `kind`.

A new backbone is a noun here, a member of `OneNetwork`, and one builder in `model/backbones`. Its noun has

- `kind`: a unique name, which is also the key of its builder in `model.stages.BACKBONES`;
- `stages`: the number of its stages;
- `described`: one line of text for lists and titles;
- `width`, if it can be scaled: `model.fit.fit` then finds the largest one under the limits.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal, Self, cast

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

    @property
    def described(self) -> str:
        """Returns for example "resnet 2-2-3 of width 16"."""
        kind = "resnet" if self.block == "basic" else f"{self.block} resnet"
        kernels = (self.first_kernel, self.second_kernel, self.skip_kernel)
        odd = "" if kernels == (3, 3, 1) else f", kernels {kernels[0]} and {kernels[1]}, skips {kernels[2]}"
        return f"{kind} {_dashed(self.blocks)} of width {self.width}{odd}"


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

    @property
    def described(self) -> str:
        """Returns for example "vgg19-like 2-2-4-4-4 of width 64"."""
        # Simonyan and Zisserman's names count three linear layers too.
        return f"vgg{sum(self.convolutions) + 3}-like {_dashed(self.convolutions)} of width {self.width}"


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

    @property
    def described(self) -> str:
        """Returns for example "alexnet of width 32"."""
        return f"alexnet of width {self.width}"


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

    @property
    def described(self) -> str:
        """Returns for example "googlenet of width 16 3x3, residual"."""
        width = "" if self.width == 64 else f" of width {self.width}"
        return f"googlenet{width} {self.large_kernel}x{self.large_kernel}{', residual' if self.residual else ''}"


@dataclass(frozen=True, config=NOUN)
class Torchvision:
    """A torchvision classifier by name, cut after the named modules, in their order of execution.

    `weights` is a local file with its state dict (safetensors); without one it is initialised afresh. A relative path
    starts at the working folder of the process that runs the study, on a cluster too. The network keeps its own
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

    @property
    def described(self) -> str:
        """Returns for example "torchvision resnet50 cut after layer1, layer2"."""
        cuts = f" cut after {', '.join(self.cuts)}" if self.cuts else ""
        return f"torchvision {self.model}{cuts}"


OneNetwork = ResNet | VGG | AlexNet | GoogLeNet | Torchvision
"""All backbones that are one network."""

Backbone = Annotated[OneNetwork, Field(discriminator="kind")]
"""A field with one of them."""


@dataclass(frozen=True, config=NOUN)
class Partitioned:
    """A partitioned network: a router selects a group of classes, the group's expert a class (paper 003).

    `groups` name every class once, by number. With "hard" routing the expert of the likeliest group answers; with
    "soft" routing all do, weighted: sum over g of p(g) p(class | g). With a generalist, the router and its experts form
    the first exit, at the image itself. The generalist's stages and exits follow; its cut i is cut i + 1 here. Router
    and experts are separate networks, each with its own final head.
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

    @property
    def described(self) -> str:
        """Returns for example "2 groups, hard: router resnet 1 of width 4 + 2 experts resnet 2-2 of width 8"."""
        experts = [expert.described for expert in self.experts]
        alike = f"{len(experts)} experts {experts[0]}" if len(set(experts)) == 1 else f"experts {'; '.join(experts)}"
        more = f" + generalist {self.generalist.described}" if self.generalist else ""
        return f"{len(self.groups)} groups, {self.routing}: router {self.router.described} + {alike}{more}"


Architecture = Annotated[OneNetwork | Partitioned, Field(discriminator="kind")]
"""All architectures of a candidate."""


def with_weights(architecture: Architecture, place: Callable[[str], str]) -> Architecture:
    """Replaces the paths of all files of initial weights; in a partition, router and experts may have one."""
    if isinstance(architecture, Torchvision) and architecture.weights:
        return replace(architecture, weights=place(architecture.weights))
    if isinstance(architecture, Partitioned):
        parts = (architecture.router, *architecture.experts)
        router, *experts = (cast(OneNetwork, with_weights(part, place)) for part in parts)
        return replace(architecture, router=router, experts=tuple(experts))
    return architecture


def _dashed(counts: tuple[int, ...]) -> str:
    return "-".join(map(str, counts))
