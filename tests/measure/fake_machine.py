"""A machine whose clock moves only by what pieces of a network take: less where its cache holds their weights."""

from types import SimpleNamespace

import torch

from searchlab.engines.segments import Segments
from searchlab.measure import clocks, end_to_end, passes


class FakeMachine:
    """`cache` is how many weights it holds; a piece whose weights are not there takes half as long again."""

    def __init__(self, monkeypatch, cache):
        self.now_ns, self.cache, self.held = 0, cache, {}
        clock = SimpleNamespace(perf_counter_ns=self._tick, perf_counter=lambda: self._tick() / 1e9)
        for module in (clocks, passes, end_to_end):
            monkeypatch.setattr(module, "time", clock)

    def _tick(self):
        self.now_ns += 1
        return self.now_ns

    def run(self, name, ms, weights):
        """Takes `ms` of time, with the least recently used weights dropped from the cache for these."""
        there = self.held.pop(name, None)
        self.held[name] = weights
        while sum(self.held.values()) > self.cache:
            del self.held[next(iter(self.held))]
        self.now_ns += round(1e6 * ms * (1.0 if there else 1.5))

    def piece(self, name, ms, weights, output_of=lambda map_NCHW: map_NCHW):
        """A call that takes time here."""

        def call(map_NCHW):
            self.run(name, ms, weights)
            return output_of(map_NCHW)

        return call


def segments_on(machine, *, exits, gated):
    """Two stages an exit. A sample full of k is sure at exit k and after it: its logits and gates are above 0 there."""

    def sure(exit):
        return lambda map_NCHW: (exit + 0.5 - map_NCHW.mean()).reshape(1, 1)

    stages = [machine.piece(f"stage {i}", 0.2, 2.0 + 2.0 * i) for i in range(2 * exits)]
    heads = [machine.piece(f"head {i}", 0.05, 1.0, sure(i)) for i in range(exits)]
    gates = [machine.piece(f"gate {i}", 0.03, 0.1, sure(i)) for i in range(exits - 1)] if gated else []
    return Segments(stages, heads, tuple(range(1, 2 * exits, 2)), gates)


def sample_for(exit):
    """image_1CHW that is sure at this exit."""
    return torch.full((1, 1, 2, 2), float(exit))
