"""Residual networks below 5 million parameters (paper 004), with none to three exits; the cap decides the width."""

from searchlab import Candidate, Choose, Decay, Exit, ImageSpec, ResNet, SixCopies, Training, even_cuts, flip_and_crop

CAP = 5_000_000
"""The paper's cap, used if the study sets none."""


def space(choose: Choose) -> Candidate:
    """Samples layers, blocks per layer, the three kernels, a share of the cap, positions of exits, and the recipe.

    The paper's six approaches (section 3) are points of it: with the whole budget and no exits, the largest width below
    5 M for their blocks and kernels is the width that the paper chose.
    """
    layers = choose.suggest_int("layers", 2, 4)
    blocks = tuple(choose.suggest_int(f"blocks{i + 1}", 1, 5) for i in range(4))[:layers]
    share = choose.suggest_float("budget_share", 0.02, 1.0, log=True)
    architecture = ResNet(
        blocks,
        width=32,
        first_kernel=choose.suggest_categorical("first_kernel", [1, 3, 5, 7]),
        second_kernel=choose.suggest_categorical("second_kernel", [1, 3, 5, 7]),
        skip_kernel=choose.suggest_categorical("skip_kernel", [1, 3, 5]),
    )
    exits = choose.suggest_int("exits", 0, 3)
    first = choose.suggest_float("first_exit", 0.0, 0.6)
    hung = tuple(Exit(cut) for cut in even_cuts(architecture.stages, exits, first))
    rate = choose.suggest_float("learning_rate", 0.03, 0.3, log=True)
    paper = choose.suggest_categorical("recipe", ["fast", "paper"]) == "paper"
    training = _paper_recipe(rate) if paper else _fast_recipe(rate, choose.images)
    # The share refers to parameters only.
    limits = choose.limits.or_else(max_params=CAP).share(share, macs=1.0)
    return choose.fit(Candidate(architecture, hung, training=training), limits=limits)


def _fast_recipe(rate: float, images: ImageSpec) -> Training:
    return Training(learning_rate=rate, augmentation=flip_and_crop(images))


def _paper_recipe(rate: float) -> Training:
    """Section 2: SGD of momentum 0.9, ÷10 after 15, 25, 35 and 45 of 50 epochs, batches of 32, six times the data."""
    return Training(
        schedule="multi_step",
        decay=Decay(factor=0.1, milestones=(0.3, 0.5, 0.7, 0.9)),
        batch_size=32,
        learning_rate=rate,
        nesterov=False,
        # The paper's 1e-4 is multiplied by the rate at every step.
        weight_decay=1e-4 * rate,
        ema=0.0,
        augmentation=SixCopies(),
    )
