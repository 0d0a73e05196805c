"""The staged form of a bundle: one model a segment, in batches from which images that left are removed.

Shape suffixes: N images, L images that leave, C channels or classes, H and W pixels.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchlab.engines.onnx_nodes import IMAGE
from searchlab.engines.onnx_sessions import session_of
from searchlab.engines.onnx_staged import LOGITS, MAP, MAP_IN, SCORE
from searchlab.operating_point import ExitRule


class StagedRuntime:
    """The models of `staged_models` under their rule, by ONNX Runtime."""

    def __init__(self, folder: Path, rule: ExitRule, threads: int = 1) -> None:
        """Raises UserError if a file is no model, or ONNX Runtime cannot run it."""
        self.rule = rule
        self._sessions = {path.stem: session_of(path, threads) for path in sorted(folder.glob("*.onnx"))}

    def logits_batch(self, pixels_NCHW: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Returns logits_NC of the exit where each image left, and exit_N."""
        stay, source = np.arange(len(pixels_NCHW)), pixels_NCHW
        exit_N, logits = np.zeros(len(pixels_NCHW), np.int64), dict[int, NDArray[np.float32]]()
        for place, exit in enumerate(self.rule.exits):
            if not len(stay):
                break
            found = self._run(f"leg_{place}", MAP_IN if place else IMAGE, source)
            last = place == len(self.rule.thresholds)
            leaves_N = np.ones(len(stay), bool) if last else found[SCORE] >= self.rule.thresholds[place]
            if leaves_N.any():
                exit_N[stay[leaves_N]] = exit
                logits |= dict(zip(stay[leaves_N].tolist(), self._logits(place, found, leaves_N), strict=True))
            if not last:
                stay, source = stay[~leaves_N], found[MAP][~leaves_N]
        return np.stack([logits[image] for image in range(len(pixels_NCHW))]), exit_N

    def _logits(
        self, place: int, found: Mapping[str, NDArray[Any]], leaves_N: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        if LOGITS in found:
            left_LC: NDArray[np.float32] = found[LOGITS][leaves_N]
            return left_LC
        return self._run(f"head_{place}", MAP_IN, found[MAP][leaves_N])[LOGITS]

    def _run(self, name: str, given: str, source: NDArray[Any]) -> dict[str, NDArray[Any]]:
        session = self._sessions[name]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, {given: source}), strict=True))
