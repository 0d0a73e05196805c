"""Reference networks: measured beside every candidate, so that latencies compare across runs.

Residual networks of He et al. 2016 for small images: section 4.2 (resnet20), table 1 (resnet18).
"""

from functools import lru_cache

import torch

from searchlab.architecture import ImageSpec, ResNet
from searchlab.candidate import Candidate
from searchlab.errors import unknown
from searchlab.model.early_exit import EarlyExitNetwork, build

REFERENCES: dict[str, Candidate] = {
    "resnet8": Candidate(ResNet(blocks=(1, 1, 1), width=16)),
    "resnet20": Candidate(ResNet(blocks=(3, 3, 3), width=16)),
    "resnet18": Candidate(ResNet(blocks=(2, 2, 2, 2), width=64)),
}


@lru_cache(maxsize=2)
def reference_network(name: str, images: ImageSpec) -> EarlyExitNetwork:
    """Builds the reference of that name for these images, in eval mode with random weights.

    It is built once in a process, so that an engine exports it once. Nobody may change it.

    Raises:
        UserError: the name is unknown.
    """
    if name not in REFERENCES:
        raise unknown("reference", name, REFERENCES)
    # Drawing its weights must not change a trial's random numbers.
    with torch.random.fork_rng(devices=[]):
        return build(REFERENCES[name], images).eval()
