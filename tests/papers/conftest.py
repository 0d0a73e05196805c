import pytest
import torch
from gated_subject import GATED, JOINT, subject_of


@pytest.fixture(scope="session")
def gated(digits, tmp_path_factory):
    torch.set_num_threads(1)
    return subject_of(GATED, digits, tmp_path_factory.mktemp("gated"))


@pytest.fixture(scope="session")
def joint(digits, tmp_path_factory):
    torch.set_num_threads(1)
    return subject_of(JOINT, digits, tmp_path_factory.mktemp("joint"))
