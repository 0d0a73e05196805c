"""Computes the exit table of a network on a split.

Shape suffixes: N images, K exits, C classes, G gates.
"""

import torch

from searchlab.data.batches import Normaliser, evaluation_batches
from searchlab.data.splits import Split
from searchlab.exits.table import ExitTable
from searchlab.model.early_exit import EarlyExitNetwork


def tabulate(network: EarlyExitNetwork, split: Split, normaliser: Normaliser) -> ExitTable:
    """Returns the logits of every exit and gate for every image, in float32, like the deployed network."""
    network.eval()
    logits, gates = [], []
    with torch.inference_mode():
        for images_NCHW, _ in evaluation_batches(split, normaliser):
            maps = network.maps(images_NCHW)
            logits.append(network.logits(maps))
            if len(network.gates):
                gates.append(network.gate_logits(maps))
    gates_NG = torch.cat(gates).float().cpu().numpy() if gates else None
    return ExitTable(torch.cat(logits).float().cpu().numpy(), split.labels_N.cpu().numpy(), gates_NG)
