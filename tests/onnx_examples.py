"""Small networks of every kind, and ONNX models run in ONNX Runtime, for the tests of graphs and of bundles."""

from functools import cache

import numpy as np
import onnxruntime as ort
import torch

from searchlab.architecture import ImageSpec, Partitioned, ResNet, Torchvision
from searchlab.candidate import Candidate, Exit, Gate, Head
from searchlab.deploy.runtime import EarlyExitRuntime
from searchlab.deploy.scores import score_functions
from searchlab.exits.scores import GATE
from searchlab.model.early_exit import build
from searchlab.operating_point import ExitRule

GREY, COLOUR = ImageSpec(1, 8, 8, 10), ImageSpec(3, 32, 32, 10)
GROUPS = ((4, 0, 9), (1,), (5, 2, 3, 6, 7, 8))
EXITS = (Exit(1), Exit(2, Head(pool=3, hidden=(8,), batch_norm=True)))


def partitioned(routing, generalist=None):
    return Partitioned(GROUPS, ResNet((1,), 3), (ResNet((1,), 2),) * 3, generalist, routing)


EXAMPLES = {
    "plain": (Candidate(ResNet((2, 1, 1), 4), EXITS), GREY),
    "gated": (Candidate(ResNet((2, 1), 4), (Exit(0, gate=Gate()), Exit(2, Head(pool=3), gate=Gate(3)))), GREY),
    "preactivation": (Candidate(ResNet((1, 1), 4, block="preactivation"), (Exit(1),)), GREY),
    "hard": (Candidate(partitioned("hard")), GREY),
    "soft": (Candidate(partitioned("soft")), GREY),
    "hard, generalist": (Candidate(partitioned("hard", ResNet((1, 1), 4)), (Exit(2),)), GREY),
    "soft, generalist": (Candidate(partitioned("soft", ResNet((1, 1), 4)), (Exit(2),)), GREY),
    "torchvision": (Candidate(Torchvision("shufflenet_v2_x0_5", ("stage2",)), (Exit(0),)), COLOUR),
}
"""Name to candidate and images."""


@cache
def network_of(name):
    """A network whose heads and gates answer images differently, and its images; do not change it."""
    candidate, images = EXAMPLES[name]
    torch.manual_seed(0)
    network = build(candidate, images)
    samples_NCHW = noise(images, 32)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
        for gate in network.gates:
            torch.nn.init.normal_(gate.unit.linear.weight)
        # Statistics of real maps: folded normalisation is seen.
        maps = network.train().maps(samples_NCHW)
        network.logits(maps)
        if len(network.gates):
            network.gate_logits(maps)
        for head in network.heads:
            if hasattr(head, "router"):
                # Every group is the likeliest of some images.
                head.router.eval()
                head.router.head[-1].weight.mul_(20)
                head.router.head[-1].bias.sub_(head.router(samples_NCHW).mean(dim=0))
    return network.eval(), images


def noise(images, samples, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, images.channels, images.height, images.width, generator=generator)


def scores_of(name):
    """The scores that can decide in a network."""
    return ["max_softmax", "max_logit", "margin", "entropy"] + [GATE] * bool(network_of(name)[0].gates)


def rules_for(name, score, samples_NCHW):
    """All exits in use, at thresholds that half of the samples reach; and the last exit alone."""
    network, _ = network_of(name)
    with torch.inference_mode():
        maps = network.maps(samples_NCHW)
        signals = network.gate_logits(maps)[:, :, None] if score == GATE else network.logits(maps)
        function = score_functions([score])[score]
        score_KN = [function(signals[:, k]).double().numpy() for k in range(len(network.cuts) - 1)]
    exits = tuple(range(len(network.cuts)))
    return [ExitRule(score, exits, tuple(_between(score_N) for score_N in score_KN)), ExitRule(score, exits[-1:], ())]


def _between(score_N):
    """A threshold at the widest gap near the median: no score is so near that a last digit decides."""
    ordered = np.sort(score_N)
    middle = ordered[len(ordered) // 4 : -len(ordered) // 4]
    gap = int(np.diff(middle).argmax())
    return float((middle[gap] + middle[gap + 1]) / 2)


def expected(name, rule, samples_NCHW):
    """logits_NC and exit_N of the torch runtime."""
    logits_NC, exit_N = EarlyExitRuntime(network_of(name)[0], rule).logits_batch(samples_NCHW)
    return logits_NC.numpy(), exit_N.numpy()


def session(model):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def outputs_of(model, images_NCHW, **more):
    """Every output of a model for one image after the other, stacked."""
    running = session(model)
    rows = [running.run(None, {"image": image[None], **more}) for image in images_NCHW]
    names = [each.name for each in running.get_outputs()]
    return {name: np.concatenate([row[at] for row in rows]) for at, name in enumerate(names)}
