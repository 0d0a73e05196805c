"""Command `table`: the tables of papers, our results beside the published ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from searchlab.cli import options as opt
from searchlab.cli.console import show, show_json
from searchlab.data.datasets import image_spec
from searchlab.data.folder_spec import with_size
from searchlab.errors import UserError
from searchlab.model.cost import network_cost
from searchlab.papers.evaluation import load_findings, without_findings
from searchlab.papers.paper import Finished, Paper, Table, cost_table
from searchlab.report.papers import tables_markdown, tables_payload, tables_view, write_csv
from searchlab.search.catalog import load_space, named_studies, space_of
from searchlab.search.paper_packages import load_paper
from searchlab.search.smoke import SMOKE
from searchlab.search.spaces import enqueued_candidates
from searchlab.search.store import stored_names, stored_study
from searchlab.search.study_folder import check_artefacts
from searchlab.session.console import console
from searchlab.session.data_options import root_of
from searchlab.study import RunOptions, Study


@dataclass(frozen=True)
class Written:
    """A study with its results so far, and the file that it is written in, beside which its paper may lie."""

    finished: Finished
    file: Path | None

    @property
    def study(self) -> Study:
        return self.finished.study


@dataclass(frozen=True)
class Filled:
    """Tables with a title, and lines on missing results with the commands that compute them."""

    title: str
    tables: tuple[Table, ...]
    missing: tuple[str, ...] = ()


def table(
    study: opt.StudyName,
    params: Annotated[
        bool,
        typer.Option("--params", help="Show parameters and MACs of the enqueued configurations; needs no run."),
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the tables to this file, too.", metavar="FILE")] = None,
    as_json: opt.AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    data: opt.DataRoot = None,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Show the tables of a paper's study, ours beside the paper's; "–" marks what was not run.

    STUDY is the name of a file, or of one of several studies in a file; STUDY-smoke is the study of `run --smoke`.
    """
    where = RunOptions(data_root=root_of(data), output=output, storage=storage)
    filled = costs(study, where) if params else filled_from(stored_as(study, where))
    if csv is not None:
        write_csv(csv, filled.tables)
    if as_json:
        show_json(tables_payload(study, filled.title, filled.tables, filled.missing))
    elif markdown:
        console().print(tables_markdown(filled.tables), markup=False, soft_wrap=True)
    else:
        show(tables_view(filled.tables, filled.missing))


def stored_as(name: str, where: RunOptions) -> list[Written]:
    """Returns the stored study of that name; else all studies of the file of that name, run or not.

    Raises:
        UserError: neither exists.
    """
    known = stored_names(where)
    if name in known:
        return [_finished(name, where)]
    suffix = SMOKE if name.endswith(SMOKE) else ""
    source, studies = named_studies(name.removesuffix(SMOKE))
    parts = [replace(study, name=study.name + suffix) for study in studies]
    return [
        _finished(part.name, where) if part.name in known else Written(Finished(part), source.path) for part in parts
    ]


def _finished(name: str, where: RunOptions) -> Written:
    store = stored_study(name, where)
    records = tuple(store.records())
    check_artefacts(store, [record for record in records if record.state == "complete"])
    return Written(Finished(store.definition.study, records, load_findings(records)), store.definition.file)


def filled_from(studies: Sequence[Written]) -> Filled:
    """Makes the tables of the paper that the studies name.

    Raises:
        UserError: they name no paper, or an unknown one.
    """
    study = studies[0].study
    if not study.paper:
        allowed = f"see `searchlab front {study.name}`, or --params"
        raise UserError("no-table", "the study belongs to no paper", where=f"study {study.name}", allowed=allowed)
    paper, finished = load_paper(study.paper, studies[0].file), [each.finished for each in studies]
    missing = tuple(line for each in finished for line in _missing(each, paper))
    return Filled(paper.title, paper.tables(finished), missing)


def _missing(finished: Finished, paper: Paper) -> list[str]:
    """Lists the missing results for the tables of a paper, each with the command that computes them."""
    study, ended = finished.study, {record.row or record.number: record for record in finished.records}
    if not ended:
        name = study.name.removesuffix(SMOKE)
        return [f"{study.name} was not run: searchlab run {name}{' --smoke' if name != study.name else ''}"]
    lines, left = [], []
    for number in range(len(study.enqueue)):
        name = study.row_of(number)
        record, row = ended.get(name or number), name or f"trial {number}"
        if record is None or record.state in ("running", "interrupted"):
            left.append(row)
        elif record.state != "complete":
            lines.append(f"{row}: {record.state}, {record.reason}")
    again = f"searchlab resume {study.name}"
    if left:
        most = study.most_trials
        more = f" --trials {len(study.enqueue)}" if most is not None and most < len(study.enqueue) else ""
        lines.append(f"not trained: {', '.join(left)}: {again}{more}")
    if paper.evaluate and (unknown := without_findings(finished.records)):
        lines.append(f"not evaluated: {', '.join(f'trial {record.number}' for record in unknown)}: {again}")
    return lines


def costs(name: str, where: RunOptions) -> Filled:
    """Computes parameters and MACs of all configurations that a file's studies enqueue.

    Raises:
        UserError: the study is unknown, enqueues nothing, or enqueues a configuration outside its space.
    """
    source, studies = named_studies(name.removesuffix(SMOKE))
    tables = []
    for study in studies:
        images = image_spec(with_size(study.data, study.image_size), where.data_root, study.files)
        space = load_space(space_of(study, source.path))
        found = [network_cost(each, images) for each in enqueued_candidates(space, images, study)]
        if found:
            tables.append(cost_table(study, found, load_paper(study.paper, source.path).params if study.paper else {}))
    if not tables:
        allowed = "--params lists enqueued configurations: see `searchlab trials` after a run"
        raise UserError("no-table", "the study enqueues no configurations", where=f"study {name}", allowed=allowed)
    return Filled(studies[0].description, tuple(tables))
