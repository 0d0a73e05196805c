"""What every paper owes: tables of its own study's rows, from nothing and from whatever was found."""

import pytest

from searchlab.papers.paper import Finished
from searchlab.search.catalog import available, load_studies
from searchlab.search.launch import check_names
from searchlab.search.paper_packages import known_papers, load_paper

STUDIES = {
    studies[0].paper: studies for studies in (load_studies(source) for source in available("study")) if studies[0].paper
}


@pytest.mark.parametrize("name", known_papers())
def test_contract(name):
    paper, studies = load_paper(name), STUDIES[name]
    assert paper.title
    for study in studies:
        check_names(study)
        assert study.paper == name
    tables = paper.tables([Finished(study) for study in studies])
    assert any("paper" in column for table in tables for column in table.columns), "theirs beside ours"
    for table in tables:
        assert table.title and table.rows and len(set(table.columns)) == len(table.columns)
    rows = {row for study in studies for row in study.rows}
    assert set(paper.params) <= rows


def test_the_five_papers_are_there_and_every_paper_that_a_study_names():
    assert set(STUDIES) == set(known_papers())
    assert set(STUDIES) == {f"paper_{name}" for name in ("checkpoint", "deeper", "gates", "limited", "partitions")}
