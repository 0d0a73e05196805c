from dataclasses import replace

import numpy as np
import pytest
from profiled import made_study, report_of, table_of

from searchlab.analysis.profile_bounds import MARGIN, Bounds, frontier_with
from searchlab.exits.table import save_table


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study, and two records of one network: `good` has the table of the better one."""
    store, _ = made_study(tmp_path_factory.mktemp("bounds") / "runs", trials=1)
    return store.definition.study, store.records()[0]


def trial_with(record, folder, number, best):
    folder.mkdir(exist_ok=True)
    save_table(table_of(1, best), folder / "exit_table.npz")
    return replace(record, number=number, directory=str(folder))


def measured(study, record, ms_per_macs):
    report = report_of(record.cost, ms_per_macs)
    return replace(record, latency=report, frontier=frontier_with(study, record, report.segments))


def larger(record, times):
    """The record with a network of so many times the MACs and parameters."""

    def grown(parts):
        return tuple(replace(part, macs=times * part.macs, params=times * part.params) for part in parts)

    cost = replace(record.cost, stages=grown(record.cost.stages), heads=grown(record.cost.heads))
    return replace(record, cost=cost)


def test_nothing_is_out_of_reach_before_anything_is_measured(made):
    study, record = made
    assert not Bounds(study).out_of_reach(record)


@pytest.mark.parametrize(("times", "out"), [(1, False), (5, True)])
def test_a_less_accurate_network_is_out_of_reach_if_it_is_much_larger(made, tmp_path, times, out):
    study, record = made
    bounds = Bounds(study)
    bounds.add(measured(study, trial_with(record, tmp_path / "good", 0, 0.9), 1e-6))
    worse = larger(trial_with(record, tmp_path / "worse", 1, 0.4), times)
    assert bounds.out_of_reach(worse) is out


def test_a_more_accurate_network_is_never_out_of_reach(made, tmp_path):
    study, record = made
    bounds = Bounds(study)
    bounds.add(measured(study, trial_with(record, tmp_path / "worse", 0, 0.4), 1e-6))
    assert not bounds.out_of_reach(larger(trial_with(record, tmp_path / "good", 1, 0.9), 1000))


def test_no_network_within_the_margin_that_is_on_the_front_is_skipped(made, tmp_path):
    """Whatever is skipped is dominated, if it does at most MARGIN times as many MACs per millisecond."""
    study, record = made
    first = measured(study, trial_with(record, tmp_path / "good", 0, 0.8), 1e-6)
    bounds, skipped = Bounds(study), 0
    bounds.add(first)
    for times in (1, 2, 3, 4, 6):
        for best in (0.4, 0.6, 0.75, 0.82):
            other = larger(trial_with(record, tmp_path / f"{times}-{best}", times, best), times)
            found = measured(study, replace(other, number=100 * times + round(100 * best)), 1e-6 / MARGIN)
            if bounds.out_of_reach(replace(found, latency=None)):
                skipped += 1
                for point in found.frontier.points:
                    better = [p for p in first.frontier.points if p.accuracy >= point.accuracy]
                    assert min(p.latency_ms for p in better) <= point.latency_ms + 1e-12
    assert skipped


def test_a_faster_network_widens_the_reach(made, tmp_path):
    study, record = made
    bounds = Bounds(study)
    bounds.add(measured(study, trial_with(record, tmp_path / "good", 0, 0.9), 1e-6))
    worse = larger(trial_with(record, tmp_path / "worse", 1, 0.4), 5)
    assert bounds.out_of_reach(worse)
    quick = measured(study, trial_with(record, tmp_path / "quick", 2, 0.1), 1e-9)
    bounds.add(quick)
    assert np.isfinite(bounds._fastest["macs"]) and not bounds.out_of_reach(worse)
