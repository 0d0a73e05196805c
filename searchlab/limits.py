"""Limits: the caps of a study, used by its space and by the check of a trial."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from searchlab.architecture import Positive
from searchlab.errors import UserError
from searchlab.serialization import NOUN


@dataclass(frozen=True, config=NOUN)
class Limits:
    """Caps on a network: parameters and MACs per image, all heads counted, and its latency. None: no cap."""

    max_params: Positive | None = None
    max_macs: Positive | None = None
    max_latency_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @property
    def cap_size(self) -> bool:
        """Whether parameters or MACs are capped."""
        return self.max_params is not None or self.max_macs is not None

    def or_else(self, max_params: int) -> "Limits":
        """Adds a cap on parameters if there is none."""
        return Limits(self.max_params or max_params, self.max_macs, self.max_latency_ms)

    def share(self, params: float, macs: float | None = None) -> "Limits":
        """Returns a share of the caps on parameters and MACs, rounded down, at least 1.

        `macs` is the share of the cap on MACs where it is another. The cap on latency stays as it is.

        Raises:
            UserError: a share is not from 0 to 1.
        """
        of_macs = params if macs is None else macs
        for share in (params, of_macs):
            if not 0 <= share <= 1:
                raise UserError("invalid-field", "invalid share of a cap", value=share, allowed="from 0 to 1")
        return Limits(_share(self.max_params, params), _share(self.max_macs, of_macs), self.max_latency_ms)

    def excess(
        self, *, params: int | None = None, macs: int | None = None, latency_ms: float | None = None
    ) -> dict[str, float]:
        """Returns by what share each figure exceeds its cap; empty if all caps hold."""
        pairs = {
            "params": (params, self.max_params),
            "macs": (macs, self.max_macs),
            "latency_ms": (latency_ms, self.max_latency_ms),
        }
        return {
            name: value / cap - 1
            for name, (value, cap) in pairs.items()
            if value is not None and cap is not None and value > cap
        }


def _share(cap: int | None, share: float) -> int | None:
    # A cap may have more digits than a float.
    return cap if cap is None or share == 1 else max(1, int(cap * share))
