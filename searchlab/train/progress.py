"""Progress of a training: snapshots from which another process continues to the same weights.

A procedure runs the loop once or several times, always in the same order. Every run of the loop calls
`Progress.enter`, which restores the run's state from the snapshot; for a finished run, its final state.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from searchlab.record import Epoch
from searchlab.serialization import from_plain, to_plain

Schedule = LRScheduler | ReduceLROnPlateau


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A snapshot: named tensors and JSON data; `notes` are the trial's own."""

    tensors: dict[str, Tensor]
    loops: list[dict[str, Any]]
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Loop:
    """One run of the loop. An earlier process ran `restored` epochs of its curve."""

    network: nn.Module
    averaged: nn.Module
    curve: list[Epoch] = field(default_factory=list)
    restored: int = 0
    optimizer: Optimizer | None = None
    schedule: Schedule | None = None
    saved: tuple[dict[str, Any], dict[str, Tensor]] | None = None

    def phase(self, optimizer: Optimizer, schedule: Schedule, begin: int, end: int) -> None:
        """Registers the optimizer and schedule of epochs `begin` to `end`; restores them from a snapshot."""
        self.optimizer, self.schedule = optimizer, schedule
        if self.saved is not None and begin < self.restored <= end:
            plain, tensors = self.saved
            _load_optimizer(optimizer, plain["groups"], _below("optimizer", tensors))
            schedule.load_state_dict(plain["schedule"])

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Returns the state from which the run can continue."""
        assert self.optimizer is not None and self.schedule is not None
        optimizer = self.optimizer.state_dict()
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for index, state in optimizer["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items() if value is not None}
        tensors["random"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random_cuda"] = torch.cuda.get_rng_state()
        return {"groups": optimizer["param_groups"], "schedule": self.schedule.state_dict()}, tensors


class Progress:
    """The runs of the loop so far. `saved` is the snapshot of an earlier process; `notes` go into the next snapshot."""

    def __init__(self, saved: Snapshot | None = None) -> None:
        self.saved = saved
        self.notes: dict[str, Any] = {}
        self.loops: list[Loop] = []

    def enter(self, network: nn.Module, averaged: nn.Module) -> Loop:
        """Returns the next run of the loop; restores weights and random state from a snapshot of this run."""
        number, loop = len(self.loops), Loop(network, averaged)
        self.loops.append(loop)
        if self.saved is None or number >= len(self.saved.loops):
            return loop
        plain, tensors = self.saved.loops[number], _below(str(number), self.saved.tensors)
        loop.curve = [from_plain(Epoch, epoch) for epoch in plain["curve"]]
        loop.restored = len(loop.curve)
        averaged.load_state_dict(_below("averaged", tensors))
        if number == len(self.saved.loops) - 1:
            network.load_state_dict(_below("network", tensors))
            torch.set_rng_state(tensors["random"])
            if "random_cuda" in tensors:
                torch.cuda.set_rng_state(tensors["random_cuda"])
            loop.saved = plain, tensors
        return loop

    def snapshot(self) -> Snapshot:
        """Makes a snapshot; call it between epochs, and write it before training continues."""
        tensors: dict[str, Tensor] = {}
        loops: list[dict[str, Any]] = []
        for number, loop in enumerate(self.loops):
            own = {f"averaged.{name}": tensor for name, tensor in loop.averaged.state_dict().items()}
            plain: dict[str, Any] = {"curve": [to_plain(epoch) for epoch in loop.curve]}
            if loop is self.loops[-1]:
                more, current = loop.state()
                plain, own = plain | more, own | current
            tensors |= {f"{number}.{name}": tensor for name, tensor in own.items()}
            loops.append(plain)
        return Snapshot(tensors, loops, self.notes)


def _below(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors with names that begin with `name` and a dot, without this prefix."""
    return {each.removeprefix(f"{name}."): tensor for each, tensor in tensors.items() if each.startswith(f"{name}.")}


def _load_optimizer(optimizer: Optimizer, groups: list[dict[str, Any]], tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    # Fused steps need the optimizer's state in the memory format of its parameter, channels last or not.
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            if value.shape == parameter.shape:
                values[key] = torch.empty_like(parameter).copy_(value)
