"""Objectives of a study: name, direction and unit."""

from typing import Any, Literal

from pydantic.dataclasses import dataclass

from searchlab.errors import did_you_mean
from searchlab.serialization import NOUN


@dataclass(frozen=True, config=NOUN)
class Objective:
    """One axis of the front. `name` is a field of OperatingPoint."""

    name: str
    direction: Literal["maximize", "minimize"]
    unit: str
    label: str

    @property
    def sign(self) -> int:
        """+1 if less is better, -1 if more is: values times sign are minimised."""
        return 1 if self.direction == "minimize" else -1


accuracy = Objective("accuracy", "maximize", "%", "accuracy")
latency_ms = Objective("latency_ms", "minimize", "ms", "latency")
macs = Objective("macs", "minimize", "MAC", "MACs")
params = Objective("params", "minimize", "", "parameters")

OBJECTIVES: dict[str, Objective] = {o.name: o for o in (accuracy, latency_ms, macs, params)}


def named(objective: Any) -> Any:
    """Returns the objective of that name; returns anything but a name unchanged.

    Raises:
        ValueError: no objective has that name.
    """
    if not isinstance(objective, str):
        return objective
    if objective not in OBJECTIVES:
        raise ValueError(
            f"unknown objective; {did_you_mean(objective, OBJECTIVES)}known: {', '.join(sorted(OBJECTIVES))}"
        )
    return OBJECTIVES[objective]
