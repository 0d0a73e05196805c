import pytest
from made_up_paper import TABLE
from pydantic import ValidationError
from tiny import IMAGES, made_record, tiny_candidate, tiny_study

from searchlab.model.cost import network_cost
from searchlab.operating_point import Estimate
from searchlab.papers.paper import Finished, Table, cost_table
from searchlab.serialization import from_plain, to_plain
from searchlab.study import TrialSpec

STUDY = tiny_study(enqueue={"narrow": {"width": 2}, "wide": {"width": 6}, "odd": {"width": 4}})


def test_a_table_survives_json_with_its_kinds():
    again = from_plain(Table, to_plain(TABLE))
    assert again == TABLE
    assert [type(cell) for cell in again.rows[0]] == [str, float, Estimate, int, float, str]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValidationError, match="every row of 'T' needs 2 cells"):
        Table("T", ("a", "b"), ((1, 2), (1, 2, 3)))


def test_a_row_is_found_by_its_name_once_it_is_complete():
    records = tuple(
        made_record(TrialSpec(number, tiny_candidate(4), STUDY, row=row), state)
        for number, row, state in ((2, "odd", "failed"), (1, "wide", "complete"))
    )
    finished = Finished(STUDY, records, {1: {"x": 3}})
    assert finished.trial("wide") == records[1] and finished.found("wide") == {"x": 3}
    assert [finished.trial("odd"), finished.trial("narrow"), finished.found("narrow")] == [None] * 3


def test_costs_stand_beside_what_was_published():
    costs = [network_cost(tiny_candidate(width), IMAGES) for width in (2, 6, 4)]
    table = cost_table(STUDY, costs, {"wide": "~1 k"})
    assert table.columns == ("configuration", "parameters (paper)", "parameters", "MACs")
    assert table.rows[:2] == (
        ("narrow", None, costs[0].params, costs[0].macs),
        ("wide", "~1 k", costs[1].params, costs[1].macs),
    )
    plain = cost_table(tiny_study(enqueue=tuple(STUDY.enqueue.values()), max_params=9000), costs, {})
    assert plain.columns == ("configuration", "parameters", "MACs")
    assert plain.rows[2] == ("configuration 2", costs[2].params, costs[2].macs)
    assert plain.notes == ("cap: 9,000 parameters",)
