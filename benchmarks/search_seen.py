"""The table of `search_table.py`, as replays look at it."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from search_space import AXES, Parameters
from search_table import EPOCHS, THRESHOLDS

from searchlab.front.pareto import Values, hypervolume, non_dominated

REFERENCE_POINT = np.array([0.0, 1.0])
"""Accuracy 0 and boundless latency, in the values of `values_PM`."""


def values_PM(accuracy_P: Values, latency_P: Values) -> Values:
    """As `front.scaled_values`: accuracy with its sign turned, latency c as c / (c + 1)."""
    latency_P = np.asarray(latency_P, dtype=np.float64)
    return np.column_stack([-np.asarray(accuracy_P, dtype=np.float64), latency_P / (latency_P + 1)])


@dataclass(frozen=True, eq=False)
class Network:
    """One candidate: its MACs, and for each epoch its frontier and what sampled thresholds give, as values_PM."""

    macs: int
    two_exits: bool
    frontiers: tuple[Values, ...]
    sampled: tuple[Values, ...]

    def point(self, epoch: int, levels: tuple[int, int]) -> Values:
        """The one row of a vector of thresholds, after an epoch; the second is of no use where there is one exit."""
        first, second = levels
        row = first * len(THRESHOLDS) + second if self.two_exits else first
        return self.sampled[epoch - 1][row : row + 1]


@dataclass(frozen=True, eq=False)
class Seen:
    """All candidates, by their parameters."""

    networks: dict[tuple[int | str, ...], Network]

    def network(self, parameters: Parameters) -> Network:
        return self.networks[tuple(parameters[name] for name in AXES)]

    @cached_property
    def mean_macs(self) -> float:
        return float(np.mean([network.macs for network in self.networks.values()]))

    @cached_property
    def volume(self) -> float:
        """The hypervolume of the whole table."""
        rows = np.concatenate([network.frontiers[-1] for network in self.networks.values()])
        return hypervolume(rows[non_dominated(rows)], REFERENCE_POINT)


@lru_cache
def load_seen(path: Path) -> Seen:
    """Reads the table."""
    networks: dict[tuple[int | str, ...], Network] = {}
    for _, rows in pd.read_parquet(path).sort_values("epoch").groupby("number"):
        assert len(rows) == EPOCHS, "every candidate has every epoch"
        first = rows.iloc[0]
        networks[tuple(first[name] for name in AXES)] = Network(
            macs=int(first["macs"]),
            two_exits=str(first["exits"]).startswith("both"),
            frontiers=tuple(map(values_PM, rows["frontier_accuracy"], rows["frontier_latency"])),
            sampled=tuple(map(values_PM, rows["sampled_accuracy"], rows["sampled_latency"])),
        )
    return Seen(networks)
