import pytest
import torch
from torch import nn

from searchlab.architecture import ImageSpec, ResNet
from searchlab.candidate import Candidate, Exit, Gate
from searchlab.engines import cuda_graphs as module
from searchlab.engines.cuda_graphs import _captured
from searchlab.engines.torch_eager import eager_segments
from searchlab.measure.latency import example_image
from searchlab.model.early_exit import EarlyExitNetwork, build

IMAGES = ImageSpec(1, 8, 8, 10)
CANDIDATE = Candidate(ResNet((1, 1), 4), (Exit(0, gate=Gate()), Exit(1, gate=Gate(2))))


class OnTheHost:
    """What a graph does, without a GPU: reads one fixed tensor, writes another, whatever it is called with."""

    def __init__(self, module, static_input):
        assert not isinstance(module, nn.Identity), "an empty graph"
        assert getattr(module, "capturable", True), "what cannot be captured"
        self.module, self.static_input = module, static_input
        self.output = module(static_input).clone()

    def __call__(self, _):
        return self.output.copy_(self.module(self.static_input))


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(module, "_Replay", OnTheHost)


def outputs(segments, image_NCHW):
    """Every head's and gate's output, routed as the runtime does."""
    found, map_NCHW = {}, image_NCHW
    for cut, stage in enumerate(segments.stages):
        map_NCHW = stage(map_NCHW)
        for kind, parts in (("head", segments.heads), ("gate", segments.gates)):
            for place, (part, at) in enumerate(zip(parts, segments.cuts, strict=False)):
                if at == cut:
                    found[f"{kind} {place}"] = part(map_NCHW).clone()
    return found


def odd_network():
    """Stages and heads with nothing to capture, and a head that cannot be captured."""
    hard = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    hard.capturable = False
    stages = {"image": nn.Identity(), "all": nn.Sequential(nn.Flatten(), nn.Linear(64, 10))}
    return EarlyExitNetwork(stages, [hard, nn.Identity()], (0, 1)).eval()


@pytest.mark.parametrize("make", [lambda: build(CANDIDATE, IMAGES).eval(), odd_network], ids=["gated", "odd"])
def test_captured_pieces_compute_what_the_network_does_for_every_image(make):
    network = make()
    images_NCHW = example_image(IMAGES, 3, torch.device("cpu"))
    with torch.inference_mode():
        captured = _captured(network, images_NCHW[:1])
        plain = eager_segments(network, images_NCHW[:1], channels_last=False)
        for image_1CHW in images_NCHW.split(1):
            found, expected = outputs(captured, image_1CHW), outputs(plain, image_1CHW)
            assert found.keys() == expected.keys() and len(found) == len(network.heads) + len(network.gates)
            for name, output in expected.items():
                torch.testing.assert_close(found[name], output)
