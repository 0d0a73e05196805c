import gc
from itertools import islice

import torch

from searchlab.measure.passes import UNCOUNTED, block_orders, interleaved, quiet_host, warm_up

KINDS = ["whole", "reference", "margin"]


def test_the_order_of_the_blocks_depends_on_the_seed_alone():
    orders = list(islice(block_orders(KINDS, seed=3), 20))
    assert orders == list(islice(block_orders(KINDS, seed=3), 20))
    assert orders != list(islice(block_orders(KINDS, seed=4), 20))
    assert all(sorted(order) == sorted(KINDS) for order in orders)
    assert len({tuple(order) for order in orders}) > 1


def test_blocks_of_all_kinds_alternate_and_their_first_passes_are_not_counted():
    ran = []
    passes = {kind: (lambda kind=kind: ran.append(kind) or [0.5, float(len(ran))]) for kind in KINDS}
    ms = interleaved(passes, budget_s=0, seed=3, fewest_rounds=4)
    warmed = len(ran) - sum(rounds * (length + UNCOUNTED) for rounds, length, _ in (m.shape for m in ms.values()))
    blocks = [kind for order in islice(block_orders(KINDS, seed=3), 4) for kind in order]
    expected = [kind for kind in blocks for _ in range(ms[kind].shape[1] + UNCOUNTED)]
    assert ran[warmed:] == expected
    assert all(m.shape[0] == 4 and m.shape[2] == 2 for m in ms.values())
    # A pass says when it ran: the first of a block are missing.
    first = blocks[0]
    assert ms[first][0, 0, 1] == warmed + UNCOUNTED + 1


def test_warming_up_ends_when_the_median_settles():
    times = iter([9.0] * 5 + [3.0] * 5 + [1.0] * 5 + [1.01] * 5 + [0.5] * 5)
    assert warm_up(lambda: [next(times)], budget_s=3600) == 1.01


def test_warming_up_ends_with_its_budget():
    times = iter(2.0**i for i in range(1000))
    assert warm_up(lambda: [next(times)], budget_s=0) == 4.0


def test_the_host_is_left_as_it_was():
    before = torch.get_num_threads()
    with quiet_host(before + 1):
        assert torch.get_num_threads() == before + 1 and not gc.isenabled()
    assert torch.get_num_threads() == before and gc.isenabled()


def test_two_networks_always_come_after_each_other():
    ran = []
    passes = {kind: (lambda kind=kind: ran.append(kind) or [0.5]) for kind in KINDS}
    ms = interleaved(passes, budget_s=0, seed=3, fewest_rounds=4, between="reference")
    length = ms["whole"].shape[1] + UNCOUNTED
    own = [kind != "reference" for kind in ran[-4 * 4 * length :]]
    assert own == ([True] * length + [False] * length) * 8
    assert ms["whole"].shape == ms["margin"].shape
    assert ms["reference"].shape == (4, 2 * ms["whole"].shape[1], 1)
