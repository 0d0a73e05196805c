"""Paper 003: its tables beside ours, partitions against one network image by image, and what its study enqueues."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paper_parts import names, part
from tiny import made_point, made_record, tiny_candidate

from searchlab.architecture import ImageSpec, Partitioned, ResNet
from searchlab.data.partitions import PARTITIONS, origins
from searchlab.model.cost import network_cost
from searchlab.operating_point import ExitRule
from searchlab.papers.evaluation import points_above
from searchlab.papers.paper import Finished
from searchlab.search.catalog import find, load_space, load_studies
from searchlab.search.spaces import enqueued_candidates
from searchlab.serialization import to_plain
from searchlab.study import TrialSpec

partitions = part("partitions", "tables")
ALONE, CPU, FOUR, THREE = names("partitions", "tables", "ALONE", "CPU", "FOUR", "THREE")
PartitionFound, RoutedFound, packed, training_macs, unpacked = names(
    "partitions", "evaluation", "PartitionFound", "RoutedFound", "packed", "training_macs", "unpacked"
)

SOURCE = find("study", "paper_partitions")
FULL, ON_CPU, SMALL = load_studies(SOURCE)
SPACE = load_space(find("space", "partitions", beside=SOURCE.path))
CIFAR = ImageSpec(3, 32, 32, 100)


def candidates(study, images=CIFAR):
    return dict(zip(study.rows, enqueued_candidates(SPACE, images, study), strict=True))


# -- the study


def test_the_papers_rows_are_the_studys_own():
    assert FULL.rows == (*THREE, *FOUR) and ON_CPU.rows == tuple(CPU)
    assert {published.epochs for published in (THREE | FOUR).values()} == {FULL.epochs}
    assert {published.epochs for published in CPU.values()} == {ON_CPU.epochs}


@pytest.mark.parametrize("study", [FULL, ON_CPU], ids=lambda study: study.name)
def test_the_papers_networks_are_as_large_as_its_tables_say(study):
    for row, candidate in candidates(study).items():
        architecture = candidate.architecture
        published, groups = (THREE | FOUR | CPU)[row], int(row[0])
        assert architecture.groups == PARTITIONS[f"paper_{groups}"] and architecture.routing == "hard"
        assert architecture.router == ResNet((2, 2, 2, 2), 64)
        assert len({*architecture.experts}) == 1 and architecture.generalist is None
        assert 4 * network_cost(candidate, CIFAR).params / 1_024_000 == pytest.approx(published.megabytes, abs=0.6)


def test_small_ones_have_the_size_and_the_training_of_the_one_network():
    found = candidates(SMALL)
    size, work = network_cost(found[ALONE], CIFAR).params, training_macs(found[ALONE], CIFAR, SMALL.epochs)
    assert isinstance(found[ALONE].architecture, ResNet) and size == 985_268
    for candidate in found.values():
        assert network_cost(candidate, CIFAR).params == pytest.approx(size, rel=0.02)
        assert training_macs(candidate, CIFAR, SMALL.epochs) == pytest.approx(work, rel=0.04)
        assert candidate.training == found[ALONE].training
    parts = [c.architecture for c in found.values() if isinstance(c.architecture, Partitioned)]
    assert all(part.width == 16 for each in parts for part in (each.router, *each.experts))
    assert len({each.groups for each in parts}) == 7 and {len(each.groups) for each in parts} == {3, 4}
    assert {each.routing for each in parts} == {"hard", "soft"} and any(each.generalist for each in parts)


def test_stand_in_images_have_no_partition_but_by_number():
    """What a smoke run falls back on where CIFAR-100 is not there."""
    for row, candidate in candidates(SMALL, ImageSpec(3, 32, 32, 10)).items():
        groups = () if row == ALONE else candidate.architecture.groups
        assert groups == (() if row == ALONE else origins(10)["by_number"](4 if "4 groups" in row else 3))


# -- the space


def changed(row, images=CIFAR, cap=SMALL.max_params, **choices):
    known = SMALL.enqueue[row] | choices
    study = replace(SMALL, enqueue={row: known}, trials=1, max_params=cap)
    (candidate,) = enqueued_candidates(SPACE, images, study)
    return candidate


@pytest.mark.parametrize("origin", ["none", *origins(100)])
def test_every_origin_is_a_choice(origin):
    architecture = changed("paper, 3 groups", partition=origin).architecture
    if origin == "none":
        assert isinstance(architecture, ResNet)
    else:
        assert architecture.groups == origins(100)[origin](3)


@pytest.mark.parametrize("row", [ALONE, "paper, 3 groups"])
def test_absolute_widths_give_way_to_the_cap_and_relative_ones_fill_it(row):
    for widths in ("absolute", "relative"):
        assert 450_000 < network_cost(changed(row, cap=500_000, widths=widths), CIFAR).params <= 500_000
    assert changed(row, cap=2_000_000) == changed(row)
    assert 1_800_000 < network_cost(changed(row, cap=2_000_000, widths="relative"), CIFAR).params <= 2_000_000


def test_exits_hang_on_the_generalist_alone_or_behind_router_and_experts():
    alone = changed(ALONE, generalist_exits=2)
    behind = changed("paper, 3 groups, generalist", generalist_network="resnet16_large", generalist_exits=2, cap=None)
    assert [exit.cut for exit in alone.exits] == [1, 4] and [exit.cut for exit in behind.exits] == [2, 5]
    assert changed("paper, 3 groups", generalist_exits=2).exits == ()


# -- image by image


def test_training_work_is_that_of_all_passes():
    found = candidates(SMALL)
    assert training_macs(found[ALONE], CIFAR, 7) == 7 * network_cost(found[ALONE], CIFAR).macs
    # Soft routing costs all experts; the generalist learns for three of the seven epochs, the router for two.
    three, generalist = found["paper, 3 groups"], found["paper, 3 groups, generalist"]
    part = ResNet((2, 2, 3), 16)
    router = network_cost(replace(found[ALONE], architecture=part), replace(CIFAR, classes=3)).macs
    expert = network_cost(three, CIFAR).macs - router
    assert training_macs(three, CIFAR, 7) == pytest.approx(3 * router + 4 * expert, abs=10)
    cost = network_cost(generalist, CIFAR)
    last, routed = cost.macs - cost.heads[0].macs, cost.heads[0].macs
    assert training_macs(generalist, CIFAR, 7) == pytest.approx(3 * last + routed * 2, rel=1e-3)


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_bits_come_back(right):
    assert unpacked(packed(np.array(right)), len(right)).tolist() == right


# -- the tables

MACHINE = "cuda NVIDIA H200"
ROUTED = RoutedFound((2, 1, 1), router_correct=3, sent=(2, 1, 1), soft_alone=1, hard_alone=0)
POINT = made_point(TrialSpec(0, tiny_candidate(4), SMALL), 80, 0.5)


def found_with(right=(True, True, False, False), **fields) -> PartitionFound:
    made = {
        **{"samples": len(right), "correct": sum(right), "correct_of_3": 3, "right": packed(np.array(right))},
        **{"params": 1_000_000, "macs": 6.2e7, "megabytes": 4.1, "train_seconds": 180.0, "train_images": 45_000},
        **{"passes": 7, "training_macs": 9.6e12, "machine": MACHINE, "routed": ROUTED, "frontier": ((POINT, POINT),)},
    }
    return PartitionFound(**made | fields)


def filled(study, **found):
    """Rows of every table, by the first cell that differs."""
    findings = {number: to_plain(each) for number, each in enumerate(found.values())}
    records = [made_record(TrialSpec(number, tiny_candidate(4), study, row=row)) for number, row in enumerate(found)]
    return partitions.tables([Finished(study, tuple(records), findings)])


def test_what_was_not_run_is_empty_beside_the_papers_figures():
    three, four, cpu, small = partitions.tables([Finished(FULL), Finished(ON_CPU), Finished(SMALL)])
    for table, groups, published in ((three, 3, THREE), (four, 4, FOUR), (cpu, 4, CPU)):
        for row, theirs in zip(table.rows, published.values(), strict=True):
            assert row[: groups + 1] == ("ResNet-18", *[theirs.expert] * groups)
            assert row[groups + 1 : -1 : 2] == tuple(asdict(theirs).values())[1:]
            assert set(row[groups + 2 :: 2]) == {None} and row[-1] is None
    assert [row[0] for row in small.rows] == list(SMALL.rows)
    assert all(cell is None for row in small.rows for cell in row[1:])


def test_ours_stands_beside_theirs():
    three, four = filled(FULL, **{"3 groups, PreResNet": found_with(passes=120, train_seconds=90.0, megabytes=52.7)})
    row = dict(zip(three.columns, three.rows[2], strict=True))
    assert (row["top 1 % (paper)"], row["top 1 %"].value, row["top 3 %"].value) == (46.92, 50, 75)
    assert (row["epochs"], row["training min"], row["memory MB"]) == (120, 1.5, 52.7)
    assert row["router right %"].value == 75
    assert three.rows[1][5] is None and four.rows[0][6] is None
    assert MACHINE in " ".join(three.notes) and "PreResNet-44" in " ".join(three.notes)


def test_partitions_are_compared_with_the_one_network_on_the_same_images():
    alone = found_with((True, False, False, True), routed=None)
    (table,) = filled(SMALL, **{ALONE: alone, "paper, 4 groups": found_with((True, True, True, False))})
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    four, one = rows["paper, 4 groups"], rows[ALONE]
    assert four["points above one network"] == points_above(2, 1, 4)
    assert (four["groups"], four["sizes of groups"], four["sent to each expert %"]) == (3, "2, 1, 1", "50, 25, 25")
    assert four["soft less hard routing, points"].value == 25 and four["router right %"].value == 75
    assert (four["parameters"], four["MACs"], four["training T MACs"]) == (1_000_000, 62_000_000, 9.6)
    assert (four["memory MB"], four["training s"]) == (4.1, 180.0)
    assert one["points above one network"] is None and one["groups"] is None and one["top 1 %"].value == 50


def test_without_the_one_network_there_is_nothing_to_compare_with():
    (table,) = filled(SMALL, **{"paper, 4 groups": found_with()})
    row = dict(zip(table.columns, table.rows[SMALL.rows.index("paper, 4 groups")], strict=True))
    assert row["points above one network"] is None and row["top 1 %"].value == 50


def test_a_generalist_has_a_frontier_to_be_shown():
    whole = replace(POINT, rule=ExitRule("margin", (1,), ()), shares=(1.0,), correct_per_exit=(80,))
    shown = found_with(frontier=((POINT, replace(POINT, correct=70)), (whole, whole)))
    _, table = filled(SMALL, **{"paper, 3 groups, generalist": shown})
    routed, generalist = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert (routed["score"], routed["threshold"], routed["experts answer %"]) == ("margin", 0.5, 50)
    assert (routed["validation %"], routed["top 1 %"].value) == (80, 70)
    assert generalist["threshold"] is None and generalist["experts answer %"] == 0
