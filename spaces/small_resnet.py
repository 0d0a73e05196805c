"""Small residual networks with one to three exits; the cap decides the width."""

from searchlab import Candidate, Choose, Exit, Head, ResNet, Training, even_cuts, standard_augmentation


def space(choose: Choose) -> Candidate:
    """Samples depth, a share of the caps, positions of exits, their heads and weights, and the recipe."""
    layers = choose.suggest_int("layers", 2, 4)
    blocks = tuple(choose.suggest_int(f"blocks{i + 1}", 1, 3) for i in range(4))[:layers]
    share = choose.suggest_float("budget_share", 0.05, 1.0, log=True)
    exits = choose.suggest_int("exits", 1, 3)
    first = choose.suggest_float("first_exit", 0.0, 0.6)
    head = Head(hidden=(32,)) if choose.suggest_categorical("hidden_head", [False, True]) else Head()
    weight = choose.suggest_float("exit_loss_weight", 0.2, 1.0)
    training = Training(
        batch_size=choose.suggest_categorical("batch_size", [64, 128]),
        learning_rate=choose.suggest_float("learning_rate", 0.03, 0.3, log=True),
        label_smoothing=choose.suggest_categorical("label_smoothing", [0.0, 0.1]),
        augmentation=standard_augmentation(choose.images),
    )
    architecture = ResNet(blocks=blocks, width=16)
    hung = tuple(Exit(cut, head, weight) for cut in even_cuts(architecture.stages, exits, first))
    return choose.fit(Candidate(architecture, hung, training=training), share, multiple=4)
