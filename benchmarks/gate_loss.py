"""The loss of learned gates in vector form against the literal double loop over samples and exits, both in torch.

512 samples, 4 exits (the final head among them), forward and backward, taken in turns. The double loop is the formula
of paper 001 as it stands: reach, gate and price of every exit of every sample, added up one by one.
"""

from functools import partial

import torch
from common import arguments, median_seconds, report
from torch import Tensor

from searchlab.train.losses import expected_exit_loss

SAMPLES, EXITS, ALPHA = 512, 4, 0.5
REPEATS, QUICK_REPEATS = 30, 5


def double_loop(gates_NG: Tensor, cross_entropies_NK: Tensor, costs_K: Tensor, alpha: float) -> Tensor:
    total = torch.zeros(())
    for gates_G, cross_entropies_K in zip(gates_NG, cross_entropies_NK, strict=True):
        reach = torch.ones(())
        for exit in range(len(costs_K)):
            gate = torch.sigmoid(gates_G[exit]) if exit < len(gates_G) else torch.ones(())
            price = (1 - alpha) * cross_entropies_K[exit] + alpha * costs_K[exit]
            total = total + reach * gate * price
            reach = reach * (1 - gate)
    return total / len(gates_NG)


def main() -> None:
    args = arguments(__doc__ or "")
    torch.manual_seed(0)
    gates_NG = (3 * torch.randn(SAMPLES, EXITS - 1)).requires_grad_()
    cross_entropies_NK, costs_K = 3 * torch.rand(SAMPLES, EXITS), torch.linspace(0.2, 1, EXITS)
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def forms(name: str) -> None:
        form = expected_exit_loss if name == "vector" else double_loop
        loss = form(gates_NG, cross_entropies_NK, costs_K, ALPHA)
        (gradient_NG,) = torch.autograd.grad(loss, gates_NG)
        found[name] = (loss.detach(), gradient_NG)

    repeats = QUICK_REPEATS if args.quick else REPEATS
    seconds = median_seconds({name: partial(forms, name) for name in ("vector", "double loop")}, repeats)
    (loss, gradient_NG), (literal, literal_NG) = found["vector"], found["double loop"]
    difference, by_gradient = float((loss - literal).abs()), float((gradient_NG - literal_NG).abs().max())
    times = seconds["double loop"] / seconds["vector"]
    figures = {f"{name}, ms": 1e3 * taken for name, taken in seconds.items()}
    figures |= {"times faster": times, "difference": difference, "difference of gradients": by_gradient}
    bars = {
        "times faster": (times, 100.0, "min"),
        "difference": (difference, 1e-6, "max"),
        "difference of gradients": (by_gradient, 1e-6, "max"),
    }
    report("gate_loss", figures, bars)


if __name__ == "__main__":
    main()
