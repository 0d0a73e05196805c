"""Small residual networks with one to three exits; the cap decides the width."""

from searchlab.architecture import ResNet
from searchlab.candidate import Augmentation, Candidate, Choose, Exit, Head, Training
from searchlab.model.cost import fit


def space(choose: Choose) -> Candidate:
    """Depth, a share of the budget, where the exits hang, their heads and weights, and the recipe."""
    layers = choose.suggest_int("layers", 2, 4)
    blocks = tuple(choose.suggest_int(f"blocks{i + 1}", 1, 3) for i in range(4))[:layers]
    share = choose.suggest_float("budget_share", 0.05, 1.0, log=True)
    exits = choose.suggest_int("exits", 1, 3)
    first = choose.suggest_float("first_exit", 0.0, 0.6)
    head = Head(hidden=(32,)) if choose.suggest_categorical("hidden_head", [False, True]) else Head()
    weight = choose.suggest_float("exit_loss_weight", 0.2, 1.0)
    small = choose.images.height < 16
    training = Training(
        batch_size=choose.suggest_categorical("batch_size", [64, 128]),
        learning_rate=choose.suggest_float("learning_rate", 0.03, 0.3, log=True),
        label_smoothing=choose.suggest_categorical("label_smoothing", [0.0, 0.1]),
        augmentation=Augmentation(crop_pixels=1, rotation_degrees=10)
        if small
        else Augmentation(flip="alternating", crop_pixels=4),
    )
    architecture = ResNet(blocks=blocks, width=16)
    last = architecture.stages - 2
    # Evenly from the first exit to the last cut before the final head; on a short backbone some fall together.
    cuts = sorted({round(first * last + (1 - first) * last * i / exits) for i in range(exits)})
    candidate = Candidate(architecture, tuple(Exit(cut, head, weight) for cut in cuts), training=training)
    max_params, max_macs = _share(choose.max_params, share), _share(choose.max_macs, share)
    return fit(candidate, choose.images, max_params, max_macs, multiple=4)


def _share(limit: int | None, share: float) -> int | None:
    return None if limit is None else max(1, int(limit * share))
