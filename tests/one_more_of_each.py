"""One more name in every dict of extensions, as docs/guide/extend.md says: a plugin of pytest's.

`pytest -p one_more_of_each tests` must pass: adding one breaks no test.
"""

from pathlib import Path

import numpy as np
import torch
from optuna.samplers import BaseSampler, RandomSampler

from searchlab.baselines.rules import POLICY_FAMILIES, RULE_FAMILIES
from searchlab.data.augment import STEPS
from searchlab.data.datasets import DATASETS, synthetic_images
from searchlab.data.splits import Dataset, assemble, three_way
from searchlab.deploy.scores import SCORE_FUNCTIONS
from searchlab.exits.scores import SCORES
from searchlab.measure.references import REFERENCES
from searchlab.search.early_stopping import EARLY_STOPPING
from searchlab.search.launch import RUNNERS
from searchlab.search.samplers import SAMPLERS
from searchlab.train.regimes import REGIMES
from searchlab.train.schedules import SCHEDULES


def data(root: Path, download: bool) -> Dataset:
    names = ("rows", "columns", "checks", "rings")
    return assemble("made_up_data", three_way(synthetic_images(400, seed=1), names), names)


def score(logits_NKC: np.ndarray) -> np.ndarray:
    shifted = logits_NKC.astype(np.float64)
    return 1 / np.exp(shifted - shifted.max(axis=-1, keepdims=True)).sum(axis=-1)


def score_torch(logits_NC: torch.Tensor) -> torch.Tensor:
    shifted = logits_NC.double()
    return 1 / (shifted - shifted.amax(dim=-1, keepdim=True)).exp().sum(dim=-1)


def sampler(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


DATASETS["made_up_data"] = data
SCORES["made_up_score"] = score
SCORE_FUNCTIONS["made_up_score"] = score_torch
SAMPLERS["made_up_sampler"] = sampler
STEPS["made_up_step"] = lambda images_NCHW, draw: images_NCHW
SCHEDULES["made_up_schedule"] = SCHEDULES["one_cycle"]
REGIMES["made_up_regime"] = REGIMES["joint"]
REFERENCES["made_up_reference"] = REFERENCES["resnet8"]
EARLY_STOPPING["made-up-rule"] = EARLY_STOPPING["accuracy-asha"]
RULE_FAMILIES["made_up_rules"] = RULE_FAMILIES["shared_threshold"]
POLICY_FAMILIES["made_up_policies"] = POLICY_FAMILIES["patience"]
RUNNERS["made-up-runner"] = RUNNERS["local"]
