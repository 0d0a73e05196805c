"""Stored features: maps at the cuts, written to disk once, to train heads and gates (paper 000, section 3).

Every cut has one file with a row per image: the map as it is, channel by channel, as float16, which is memory-mapped.
Shape suffixes: N images, F features (of all cuts in a row), C channels or classes, H and W pixels.
"""

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from searchlab.data.batches import Batch, Normaliser, evaluation_batches, seeded_generator, shuffled
from searchlab.data.splits import Split
from searchlab.errors import RunError
from searchlab.model.early_exit import EarlyExitNetwork


class StoredNetwork(EarlyExitNetwork):
    """The heads and gates of a network without its stages, trained in place; its input is features_NF."""

    def __init__(self, network: EarlyExitNetwork, shapes: tuple[tuple[int, ...], ...]) -> None:
        super().__init__({}, list(network.heads), network.cuts, list(network.gates))
        self.shapes = shapes

    def maps(self, images_NCHW: Tensor) -> list[Tensor]:
        """Returns the map at every exit's cut in float32, from features_NF (in place of images)."""
        pieces = torch.split(images_NCHW.float(), [math.prod(shape) for shape in self.shapes], dim=1)
        return [piece_NF.view(-1, *shape) for piece_NF, shape in zip(pieces, self.shapes, strict=True)]


@dataclass(frozen=True, eq=False)
class StoredFeatures:
    """Memory-mapped features of every cut and the labels, with the `shapes` (CHW) of the maps."""

    features: tuple[NDArray[np.float16], ...]
    labels_N: Tensor
    shapes: tuple[tuple[int, ...], ...]

    def steps(self, batch_size: int) -> int:
        """Batches per epoch."""
        return math.ceil(len(self.labels_N) / batch_size)

    def batches(self, number: int, batch_size: int, seed: int) -> Iterator[Batch]:
        """Yields batches of features_NF (float16) and labels_N on the labels' device, in epoch `number`'s order."""
        device = self.labels_N.device
        generator = seeded_generator("cpu", seed, f"stored features, epoch {number}")
        for chosen_N in torch.split(shuffled(len(self.labels_N), batch_size, generator), batch_size):
            rows = chosen_N.numpy()
            features_NF = torch.cat([torch.from_numpy(np.asarray(cut[rows])) for cut in self.features], dim=1)
            yield features_NF.to(device), self.labels_N[chosen_N.to(device)]


@contextmanager
def stored_features(
    network: EarlyExitNetwork, split: Split, normaliser: Normaliser, scratch: Path | None, on_step: Callable[[], None]
) -> Iterator[StoredFeatures]:
    """Stores the features of a split, not augmented, in files that are removed at the end.

    They lie in a folder of their own below `scratch`. `on_step` is called after every thousand images.

    Raises:
        RunError: they cannot be written.
    """
    with ExitStack() as stack:
        try:
            if scratch is not None:
                scratch.mkdir(parents=True, exist_ok=True)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="features-", dir=scratch)))
            shapes = _write(network, split, normaliser, folder, on_step)
        except OSError as error:
            mend = "choose a folder with free disk space, or train heads without `stored`"
            raise RunError(
                "cannot-write", "cannot write features", where=str(scratch or ""), value=str(error), allowed=mend
            ) from error
        yield _read(folder, shapes, split)


def _write(
    network: EarlyExitNetwork, split: Split, normaliser: Normaliser, folder: Path, on_step: Callable[[], None]
) -> tuple[tuple[int, ...], ...]:
    """Writes the files; returns the shapes (CHW) of the maps. Computed in float32 like exit tables, then halved."""
    network.eval()
    shapes: list[tuple[int, ...]] = []
    with ExitStack() as stack:
        # Write first and map afterwards: a full disk is then an error, not a signal that kills the process.
        files = [stack.enter_context(_file(folder, cut).open("wb")) for cut in range(len(network.cuts))]
        for images_NCHW, _ in evaluation_batches(split, normaliser):
            with torch.inference_mode():
                maps = network.maps(images_NCHW)
            for file, map_NCHW in zip(files, maps, strict=True):
                file.write(map_NCHW.flatten(1).half().cpu().contiguous().numpy().data)
            shapes = [tuple(map_NCHW.shape[1:]) for map_NCHW in maps]
            on_step()
    return tuple(shapes)


def _read(folder: Path, shapes: tuple[tuple[int, ...], ...], split: Split) -> StoredFeatures:
    features = tuple(
        np.memmap(_file(folder, cut), np.float16, mode="r", shape=(len(split), math.prod(shape)))
        for cut, shape in enumerate(shapes)
    )
    return StoredFeatures(features, split.labels_N, shapes)


def _file(folder: Path, cut: int) -> Path:
    return folder / f"exit-{cut}.float16"
