"""Partitions of CIFAR-100 into 2 to 8 groups, induced from its images: what `searchlab.data.cifar100_partitions` keeps.

By pixel means: spectral clustering of every class's mean image of 8x8 pixels (train split), which needs no training. By
embedding means: likewise of its mean features, those that the final head of a small network reads (train split). By
confusion: spectral clustering of what the same network confuses on the validation split. The test split is not read.
Prints three tables, a digit per class in the official order.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from searchlab.architecture import ResNet
from searchlab.candidate import Augmentation, Candidate, Training
from searchlab.data.batches import Normaliser, evaluation_batches
from searchlab.data.datasets import load
from searchlab.data.partitions import Groups, induced_by_confusion, induced_by_means, pooled_pixels
from searchlab.data.splits import Dataset
from searchlab.exits.tabulate import tabulate
from searchlab.exits.top_k import confusion_of
from searchlab.measure.device import has_bf16, resolve_device
from searchlab.model.early_exit import EarlyExitNetwork, build
from searchlab.train.loop import Hooks
from searchlab.train.procedure import TrainingContext, procedure_of

SEED, MOST = 0, 8
RECIPE = Training(learning_rate=0.15, augmentation=Augmentation(flip="alternating", crop_pixels=4))
CANDIDATE = Candidate(ResNet((1, 1, 1), 32), training=RECIPE)


def trained(dataset: Dataset, epochs: int, device: torch.device) -> EarlyExitNetwork:
    torch.manual_seed(SEED)
    network = build(CANDIDATE, dataset.spec).to(device).to(memory_format=torch.channels_last)
    train, validation, normaliser = (
        dataset.train.to(device),
        dataset.validation.to(device),
        Normaliser.of(dataset, device),
    )
    hooks = Hooks(on_epoch=lambda epoch, _: print(f"epoch {epoch.epoch}: loss {epoch.loss:.3f}", flush=True) or True)
    context = TrainingContext(
        train, validation, normaliser, dataset.spec, epochs, SEED,
        bf16=has_bf16(device), exit_costs=(), scratch=None, hooks=hooks,
    )  # fmt: skip
    return procedure_of(CANDIDATE)(network, CANDIDATE, context).network


def embeddings(network: EarlyExitNetwork, dataset: Dataset, device: torch.device) -> NDArray[np.float32]:
    """Mean of the last map of every training image."""
    batches = evaluation_batches(dataset.train.to(device), Normaliser.of(dataset, device))
    with torch.inference_mode():
        return torch.cat([network.maps(images)[-1].mean(dim=(2, 3)) for images, _ in batches]).cpu().numpy()


def digits(groups: Groups) -> str:
    group_of = {number: index for index, group in enumerate(groups) for number in group}
    return "".join(str(group_of[number]) for number in range(len(group_of)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    dataset, device = load("cifar100", chosen.data), resolve_device(chosen.device)
    labels_N, counts = dataset.train.labels_N.numpy(), range(2, MOST + 1)
    pixels = pooled_pixels(dataset.train)
    tables = {"BY_PIXEL_MEANS": {count: induced_by_means(pixels, labels_N, count, SEED) for count in counts}}
    if chosen.epochs:
        network = trained(dataset, chosen.epochs, device)
        table = tabulate(network, dataset.validation.to(device), Normaliser.of(dataset, device))
        print(f"accuracy on the validation split: {100 * table.correct_NK[:, 0].mean():.1f} %")
        features, confusion = embeddings(network, dataset, device), confusion_of(table).astype(np.float64)
        means = {count: induced_by_means(features, labels_N, count, SEED) for count in counts}
        tables |= {"BY_EMBEDDING_MEANS": means}
        tables |= {"BY_CONFUSION": {count: induced_by_confusion(confusion, count, SEED) for count in counts}}
    for name, partitions in tables.items():
        print(f"{name} = {{")
        for count, groups in partitions.items():
            print(f'    {count}: "{digits(groups)}",  # {", ".join(str(len(group)) for group in groups)}')
        print("}")


if __name__ == "__main__":
    main()
