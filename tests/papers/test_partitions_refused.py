"""A partition that misses or repeats a class is one line with the class's name, before anything is trained."""

import pytest
from raises import raises_code
from tiny import Seen, tiny_study

from searchlab.architecture import Partitioned, ResNet
from searchlab.candidate import Candidate
from searchlab.search.launch import Launch, start
from searchlab.search.spaces import check_partitions
from searchlab.search.store import Definition
from searchlab.study import RunOptions

SMALL = ResNet((1,), 4)
HALVES = {
    "whole": ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9)),
    "missing": ((0, 1, 2, 3, 4), (5, 6, 8, 9)),
    "twice": ((0, 1, 2, 3, 4), (4, 5, 6, 7, 8, 9)),
    "eleven": ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9, 10)),
}


def space_of(*kinds):
    """Of two halves of the classes, right or wrong."""

    def space(choose):
        kind = kinds[choose.suggest_int("kind", 0, len(kinds) - 1)]
        choose.suggest_float("rate", 0.1, 0.2)
        return Candidate(Partitioned(HALVES[kind], SMALL, (SMALL, SMALL)))

    return space


@pytest.mark.parametrize(("kind", "value"), [("missing", "7"), ("twice", "4"), ("eleven", "number 10")])
def test_what_is_enqueued_is_looked_at_before_any_training(tmp_path, kind, value):
    study = tiny_study(enqueue={"good one": {"kind": 0}, "bad one": {"kind": 1}})
    options = RunOptions(data_root=tmp_path, output=tmp_path / "runs", device="cpu")
    launch = Launch(Definition(study, study, ""), space_of("whole", kind), options, Seen())
    with raises_code("invalid-partition", where="study tiny, bad one, partition", value=value):
        start(launch)
    assert launch.watch.notes == [] and not (tmp_path / "runs" / "studies.db").exists()


def test_samples_are_looked_at_too(digits):
    check_partitions(space_of("whole"), digits, tiny_study())
    with raises_code("invalid-partition", where="study tiny, partition", value="7"):
        check_partitions(space_of("whole", "missing"), digits, tiny_study())
    with raises_code("invalid-partition", where="study tiny, trial 0, partition", value="7"):
        check_partitions(space_of("whole", "missing"), digits, tiny_study(enqueue=({"kind": 1},)))
