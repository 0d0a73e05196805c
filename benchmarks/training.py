"""Images per second of our training loop on CIFAR-10 against the usual one, and the accuracy of both.

The usual loop: PIL images with torchvision's transforms (crop of 4 pixels' padding, flip, ToTensor, Normalize) as its
CIFAR10 class applies them, a DataLoader with 2 workers, float32, contiguous memory, SGD with Nesterov momentum. Ours:
`searchlab.train.loop` as trials use it. Both: the same early-exit network from the same initial weights, batch 128, the
one-cycle schedule, the joint loss of all exits, the same images and epochs. Epochs alternate and are timed apart.

Two networks: a narrow one of 16 to 64 channels, trained for whole epochs so that accuracies compare; and one of 64 to
256 channels, as paper 004's, for a few steps a turn, for its speed alone.
"""

import copy
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from common import arguments, machine, report
from PIL import Image
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToTensor

from searchlab.architecture import ResNet
from searchlab.candidate import Augmentation, Candidate, Exit, Training
from searchlab.data.batches import Batch, Normaliser, TrainBatches
from searchlab.data.datasets import load
from searchlab.data.splits import Dataset as Images
from searchlab.data.splits import Split
from searchlab.exits.tabulate import tabulate
from searchlab.measure.device import has_bf16, resolve_device
from searchlab.model.cost import network_cost
from searchlab.model.early_exit import EarlyExitNetwork, build
from searchlab.record import Epoch
from searchlab.train.loop import BatchSource, Hooks, train
from searchlab.train.losses import exits_cross_entropy
from searchlab.train.regimes import phases

EPOCHS, FEW_STEPS, FEW_TURNS = 4, 20, 4
AUGMENTATION = Augmentation(flip="alternating", crop_pixels=4)
RECIPE = Training(learning_rate=0.15, ema=0.99, augmentation=AUGMENTATION)
NARROW = Candidate(ResNet((2, 2, 2), 16), (Exit(2), Exit(4)), training=RECIPE)
WIDE = Candidate(ResNet((2, 2, 2), 64), (Exit(2), Exit(4)), training=RECIPE)


Labelled = tuple[torch.Tensor, int]
"""An image and its label; batches of them are tensors of both."""


class PilImages(Dataset[Labelled]):
    """A split as torchvision's CIFAR10 gives it: PIL images through a transform, one by one."""

    def __init__(self, split: Split, transform: Compose) -> None:
        self.images_NHWC = split.images_NCHW.permute(0, 2, 3, 1).numpy()
        self.labels = split.labels_N.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Labelled:
        return self.transform(Image.fromarray(self.images_NHWC[index])), self.labels[index]


class UsualLoop:
    """The usual training loop of public repositories, one epoch at a time."""

    def __init__(self, network: EarlyExitNetwork, loader: DataLoader[Labelled], steps: int, epochs: int) -> None:
        self.network, self.loader, self.steps = network, loader, steps
        self.device = next(network.parameters()).device
        self.optimizer = torch.optim.SGD(
            network.parameters(),
            lr=RECIPE.learning_rate,
            momentum=RECIPE.momentum,
            weight_decay=RECIPE.weight_decay / RECIPE.learning_rate,
            nesterov=True,
        )
        self.schedule = OneCycleLR(
            self.optimizer, RECIPE.learning_rate, total_steps=steps * epochs + 1, pct_start=0.25, cycle_momentum=False
        )
        self.weights_K = torch.ones(len(network.cuts), device=self.device)

    def epoch(self) -> None:
        self.network.train()
        for images_NCHW, labels_N in islice(self.loader, self.steps):
            logits_NKC = self.network(images_NCHW.to(self.device, non_blocking=True))
            labels_N = labels_N.to(self.device, non_blocking=True)
            loss = exits_cross_entropy(logits_NKC, labels_N, self.weights_K, 0.0)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.schedule.step()
            loss.item()


@dataclass
class Race:
    """Both loops over the same network and images, turn by turn."""

    dataset: Images
    candidate: Candidate
    device: torch.device

    def run(self, steps: int | None, turns: int) -> dict[str, float]:
        """Images per second of either, `steps` (None: all of an epoch) a turn; the networks stay for `accuracy`."""
        batches = TrainBatches(
            self.dataset.train.to(self.device), self.normaliser, AUGMENTATION, RECIPE.batch_size, seed=0
        )
        steps = steps or batches.steps
        torch.manual_seed(0)
        self.theirs = build(self.candidate, self.dataset.spec).to(self.device)
        network = copy.deepcopy(self.theirs).to(memory_format=torch.channels_last)
        usual = UsualLoop(self.theirs, self._loader(), steps, turns)
        seconds: dict[str, list[float]] = {"usual": [], "ours": []}
        began = time.perf_counter()

        def turn(epoch: Epoch, judged: EarlyExitNetwork) -> bool:
            """After one of our epochs: what it took; then one of the usual loop's."""
            nonlocal began
            seconds["ours"].append(time.perf_counter() - began)
            begin = time.perf_counter()
            usual.epoch()
            seconds["usual"].append(time.perf_counter() - begin)
            began = time.perf_counter()
            return True

        def some(epoch: int) -> Iterator[Batch]:
            return islice(batches.epoch(epoch), steps)

        plan = phases(self.candidate, turns)
        source, hooks = BatchSource(some, steps), Hooks(on_epoch=turn)
        self.ours = train(network, plan, RECIPE, source, hooks, bf16=has_bf16(self.device)).network
        # The first turn warms both up: allocators, workers, choice of algorithms.
        return {name: steps * RECIPE.batch_size / statistics.median(taken[1:]) for name, taken in seconds.items()}

    @property
    def normaliser(self) -> Normaliser:
        return Normaliser.of(self.dataset, self.device)

    def _loader(self) -> DataLoader[Labelled]:
        steps = [RandomCrop(32, 4), RandomHorizontalFlip(), ToTensor(), Normalize(self.dataset.mean, self.dataset.std)]
        images = PilImages(self.dataset.train, Compose(steps))
        return DataLoader(images, RECIPE.batch_size, shuffle=True, num_workers=2, drop_last=True)

    def accuracy(self, network: EarlyExitNetwork) -> float:
        """Share of the test split that the final head gets right."""
        table = tabulate(network, self.dataset.test.to(self.device), self.normaliser)
        return float(table.correct_NK[:, -1].mean())


def main() -> None:
    args = arguments(__doc__ or "")
    device, dataset = resolve_device("auto"), load("cifar10", args.data)
    figures: dict[str, float | str] = {"bf16": str(has_bf16(device))}
    bars: dict[str, tuple[float, float, str]] = {}
    for candidate in (NARROW, WIDE):
        race = Race(dataset, candidate, device)
        whole = candidate is NARROW and not args.quick
        rate = race.run(None if whole else FEW_STEPS, EPOCHS if whole else FEW_TURNS)
        name = f"{network_cost(candidate, dataset.spec).params / 1e6:.2g} M parameters"
        figures |= {f"images/s, ours, {name}": rate["ours"], f"images/s, usual, {name}": rate["usual"]}
        bars[f"times faster, {name}"] = (rate["ours"] / rate["usual"], 3.0, "min")
        if whole:
            ours, theirs = race.accuracy(race.ours), race.accuracy(race.theirs)
            figures |= {"epochs": EPOCHS, "test accuracy, ours, %": 100 * ours, "test accuracy, usual, %": 100 * theirs}
            bars["points above the usual"] = (100 * (ours - theirs), -1.0, "min")
    where = machine() if device.type == "cpu" else f"{torch.cuda.get_device_name(device)}, {machine()}"
    report("training", figures, bars, where=where)


if __name__ == "__main__":
    main()
