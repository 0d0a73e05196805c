"""From a network and a split to its exit table.

Shape suffixes: N images, K exits, C classes.
"""

import torch

from searchlab.data.batches import Normaliser, evaluation_batches
from searchlab.data.splits import Split
from searchlab.exits.table import ExitTable
from searchlab.model.early_exit import EarlyExitNetwork


def tabulate(network: EarlyExitNetwork, split: Split, normaliser: Normaliser) -> ExitTable:
    """Every exit's logits for every image of a split, in float32, as the deployed network will compute them."""
    network.eval()
    with torch.inference_mode():
        logits_NKC = torch.cat([network(images_NCHW) for images_NCHW, _ in evaluation_batches(split, normaliser)])
    return ExitTable(logits_NKC.float().cpu().numpy(), split.labels_N.cpu().numpy())
