"""Real trials that take their time, so that they can be hit; workers import this module by its name."""

import json
import os
import time
from pathlib import Path

import ray

from searchlab.data.splits import Dataset
from searchlab.record import Epoch, TrialRecord
from searchlab.study import TrialSpec
from searchlab.trial import run_trial
from searchlab.trial_hooks import TrialHooks

EPOCH_S = 0.15

HELD_FROM, HOLD = 4, "hold"
"""Trials from this number on wait after their first epoch for as long as the folder has this file."""

LOST_NODE = "lost-node"
"""Trials on the node that this file of the folder names stay in their epoch.

A worker outlives its node's raylet for a while, and would end its trial in that time.
"""


def slow_trial(folder: Path, spec: TrialSpec, dataset: Dataset, hooks: TrialHooks) -> TrialRecord:
    """A trial that says in a file where it runs, and takes a moment longer in every epoch."""
    node, place = ray.get_runtime_context().get_node_id(), folder / f"{spec.number}.json"

    def on_epoch(epoch: Epoch) -> None:
        # In one step: the test reads it at any moment.
        partial = place.with_suffix(".partial")
        partial.write_text(json.dumps({"pid": os.getpid(), "node": node, "epoch": epoch.epoch}))
        partial.replace(place)
        time.sleep(EPOCH_S)
        while spec.number >= HELD_FROM and epoch.epoch > 1 and (folder / HOLD).exists():
            time.sleep(EPOCH_S)
        while (folder / LOST_NODE).exists() and (folder / LOST_NODE).read_text() == node:
            time.sleep(EPOCH_S)
        hooks.on_epoch(epoch)

    own = TrialHooks(hooks.interrupted, on_epoch, hooks.on_rung, hooks.progress)
    return run_trial(spec, dataset, own)
