"""Short names of architectures: "resnet 2-2-3 of width 16"."""

from collections.abc import Callable
from typing import Any

from searchlab.architecture import VGG, AlexNet, Architecture, GoogLeNet, Partitioned, ResNet, Torchvision


def _resnet(net: ResNet) -> str:
    kind = "resnet" if net.block == "basic" else f"{net.block} resnet"
    kernels = (net.first_kernel, net.second_kernel, net.skip_kernel)
    odd = "" if kernels == (3, 3, 1) else f", kernels {kernels[0]} and {kernels[1]}, skips {kernels[2]}"
    return f"{kind} {_dashed(net.blocks)} of width {net.width}{odd}"


def _vgg(net: VGG) -> str:
    # Simonyan and Zisserman's names count three linear layers too.
    return f"vgg{sum(net.convolutions) + 3}-like {_dashed(net.convolutions)} of width {net.width}"


def _alexnet(net: AlexNet) -> str:
    return f"alexnet of width {net.width}"


def _googlenet(net: GoogLeNet) -> str:
    width = "" if net.width == 64 else f" of width {net.width}"
    return f"googlenet{width} {net.large_kernel}x{net.large_kernel}{', residual' if net.residual else ''}"


def _torchvision(net: Torchvision) -> str:
    cuts = f" cut after {', '.join(net.cuts)}" if net.cuts else ""
    return f"torchvision {net.model}{cuts}"


def _partitioned(net: Partitioned) -> str:
    experts = [described(expert) for expert in net.experts]
    alike = f"{len(experts)} experts {experts[0]}" if len(set(experts)) == 1 else f"experts {'; '.join(experts)}"
    more = f" + generalist {described(net.generalist)}" if net.generalist else ""
    return f"{len(net.groups)} groups, {net.routing}: router {described(net.router)} + {alike}{more}"


def _dashed(counts: tuple[int, ...]) -> str:
    return "-".join(map(str, counts))


WORDS: dict[str, Callable[[Any], str]] = {
    "resnet": _resnet,
    "vgg": _vgg,
    "alexnet": _alexnet,
    "googlenet": _googlenet,
    "torchvision": _torchvision,
    "partitioned": _partitioned,
}


def described(architecture: Architecture) -> str:
    """Returns the architecture in one line, for lists and titles."""
    return WORDS[architecture.kind](architecture)
