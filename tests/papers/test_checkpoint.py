from dataclasses import replace

import pytest
from paper_parts import names
from tiny import made_record, tiny_candidate

from searchlab.operating_point import Estimate
from searchlab.papers.paper import Finished
from searchlab.record import TrialRecord
from searchlab.search.catalog import find, load_studies
from searchlab.serialization import to_plain
from searchlab.study import Study, TrialSpec

BASE, CHANGES, CHECKPOINT, TABLE_2 = names("checkpoint", "tables", "BASE", "CHANGES", "PAPER", "TABLE_2")
CheckpointFound, NetworkFound, TargetFound, Timing = names(
    "checkpoint", "evaluation", "CheckpointFound", "NetworkFound", "TargetFound", "Timing"
)

STUDIES = load_studies(find("study", "paper_checkpoint"))
THE_PAPERS, SMALL = STUDIES[:2], STUDIES[2]
NOTHING = [Finished(study) for study in STUDIES]


def about(value: float) -> Estimate:
    return Estimate(value, value - 1, value + 1)


def made_up(checkpoints: int, targets=range(11)) -> NetworkFound:
    """What is found at target t of checkpoint i is 10 i + t, in one unit or another."""

    def target(i: int, t: int) -> TargetFound:
        of = 10 * i + t
        changes = (about(of), about(100 + of), about(200 + of))
        return TargetFound(t / 10, 3.0, *changes, ((2.0,),), ((1.0,),))

    found = [CheckpointFound(i, f"stage {i}", tuple(target(i, t) for t in targets)) for i in range(checkpoints)]
    return NetworkFound(about(77), 45_000, 5_000, 10_000, tuple(found), Timing(200, 2, 3, 5, "an abacus"))


def filled(row: str, found: NetworkFound) -> list[Finished]:
    return [
        Finished(study, (trained(study, row),), {7: to_plain(found)}) if row in study.rows else Finished(study)
        for study in STUDIES
    ]


def trained(study: Study, row: str) -> TrialRecord:
    """The trial of a row, whatever its number."""
    return made_record(TrialSpec(7, tiny_candidate(), study, row=row))


def test_every_figure_of_the_paper_is_there_before_anything_was_run():
    first, second, third, figure = CHECKPOINT.tables(NOTHING)
    assert {row[0]: (row[1], row[3]) for row in first.rows} == BASE
    assert [len(table.rows) for table in (first, second, third, figure)] == [5, 30, 33, 33]
    groups = [(row[0], row[1], row[3], row[5]) for row in second.rows]
    assert groups[0] == ("AlexNet on CIFAR-10", 0.6, 0.48, -4.19)
    assert groups[-1] == ("ResNet50 on CIFAR-100", 0.501, -10.81, 20.74)
    assert [row[0] for row in third.rows] == ["14"] * 11 + ["20"] * 11 + ["26"] * 11
    named = {row[0]: (row[1], row[5]) for row in figure.rows if row[5] is not None}
    assert named == {"4a": (0.7, 25), "4c": (0.8, 15), "4e": (0.9, 6)}
    assert all(row[2] is row[4] is row[6] is None for table in (second, third, figure) for row in table.rows)


def test_the_studies_have_the_papers_networks_and_nothing_else():
    for study, data in zip(THE_PAPERS, ("CIFAR-10", "CIFAR-100"), strict=True):
        assert study.rows == tuple(f"{name} on {data}" for name in BASE)
        assert study.trials == len(study.enqueue) == 5
    assert set(TABLE_2) < {row for study in THE_PAPERS for row in study.rows}


def test_ours_stand_beside_the_target_that_the_papers_share_belongs_to():
    _, _, third, _ = CHECKPOINT.tables(filled("ResNet34 on CIFAR-100", made_up(3)))
    for position, row in enumerate(third.rows):
        assert (row[2].value, row[4].value, row[6].value) == (
            *((layer := 10 * (position // 11)) + position % 11, 100 + layer + position % 11),
            200 + layer + position % 11,
        )
    # Of what the paper lets in a tenth more than it aims at.
    assert (third.rows[24][1], third.rows[24][2].value) == (0.255, 22)


@pytest.mark.parametrize("row", TABLE_2)
def test_every_group_of_table_2_has_its_network(row):
    found = made_up(1)
    first, second, *_ = CHECKPOINT.tables(filled(row, found))
    ours = {each[0] for each in second.rows if each[2] is not None}
    assert ours == {row}
    assert [each[2].value for each in second.rows if each[0] == row] == [
        int(10 * each[0] + 1e-6) for each in TABLE_2[row]
    ]
    assert sum(cell == found.accuracy for each in first.rows for cell in each) == 1


def test_a_target_that_no_threshold_meets_and_a_checkpoint_that_is_missing_are_left_empty():
    _, _, _, figure = CHECKPOINT.tables(filled("InceptionV1 on CIFAR-100", made_up(2, targets=(0, 10))))
    assert [row[2] is not None for row in figure.rows] == ([True] + [False] * 9 + [True]) * 2 + [False] * 11


def test_the_smoke_runs_are_the_same_rows():
    smoke = [replace(study, name=study.name + "-smoke", data="digits_32x32") for study in THE_PAPERS]
    found = to_plain(made_up(1))
    finished = [Finished(study, (trained(study, study.rows[0]),), {7: found}) for study in smoke]
    first, *_ = CHECKPOINT.tables(finished)
    assert [row[2] is not None and row[4] is not None for row in first.rows] == [True, False, False, False, False]


def test_one_study_alone_fills_what_it_can():
    first, *_ = CHECKPOINT.tables(filled("AlexNet on CIFAR-10", made_up(1))[:1])
    assert first.rows[0][2].value == 77 and all(row[4] is None for row in first.rows)


def test_notes_say_how_it_was_measured():
    first, second, third, _ = CHECKPOINT.tables(filled("AlexNet on CIFAR-10", made_up(1)))
    assert "45,000 training images" in first.notes[0]
    (line,) = [note for note in second.notes if "abacus" in note]
    assert all(part in line for part in ("5,000 validation", "200 of 10,000", "warm-up 2, then 3 x 5"))
    assert not any("abacus" in note for note in third.notes)
    assert all(column in second.columns for column in CHANGES)


@pytest.mark.parametrize("row", SMALL.rows)
def test_a_network_that_is_not_the_papers_has_a_table_of_its_own_once_it_was_found(row):
    *papers, own = CHECKPOINT.tables(filled(row, made_up(2)))
    assert len(papers) == 4 and all(each[2] is None for table in papers[1:] for each in table.rows)
    assert own.title.startswith(row) and [each[0] for each in own.rows] == [1] * 11 + [2] * 11
    assert [each[1].value for each in own.rows] == [*range(11), *range(10, 21)]
    assert any("abacus" in note for note in own.notes)


def test_one_epoch_has_no_interval():
    found = made_up(1, targets=(10,))
    (target,) = found.checkpoints[0].targets
    once = replace(target, runtime_change=Estimate(7, 7, 7))
    checkpoint = replace(found.checkpoints[0], targets=(once,))
    _, second, *_ = CHECKPOINT.tables(filled("AlexNet on CIFAR-10", replace(found, checkpoints=(checkpoint,))))
    assert second.rows[4][4:] == (target.accuracy_change, 7.84, 7)
