"""What every paper owes: tables of its own study's rows, from nothing and from whatever was found."""

import pytest

from searchlab.papers.paper import Finished
from searchlab.papers.registry import PAPERS
from searchlab.search.catalog import available, load_studies
from searchlab.search.launch import check_names

STUDIES = {
    studies[0].table: studies for studies in (load_studies(source) for source in available("study")) if studies[0].table
}


@pytest.mark.parametrize("name", PAPERS)
def test_contract(name):
    paper, studies = PAPERS[name], STUDIES[name]
    assert paper.name == name and paper.title
    for study in studies:
        check_names(study)
        assert study.table == name
    tables = paper.tables([Finished(study) for study in studies])
    assert any("paper" in column for table in tables for column in table.columns), "theirs beside ours"
    for table in tables:
        assert table.title and table.rows and len(set(table.columns)) == len(table.columns)
    rows = {row for study in studies for row in study.rows}
    assert set(paper.params) <= rows


def test_every_table_that_a_study_names_is_there():
    assert set(STUDIES) == set(PAPERS)
