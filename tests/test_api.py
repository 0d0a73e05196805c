"""The Python API as scripts use it, in this process."""

import io
import shutil
import signal
import threading
from contextlib import redirect_stdout
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from raises import raises_code

import searchlab
from searchlab import api
from searchlab.cli.main import main
from searchlab.front.points import study_front
from searchlab.search.store import stored_names, stored_study
from searchlab.session import bundles
from searchlab.session import results as results_module
from searchlab.session.choosing import all_points
from searchlab.session.watch import PlainWatch
from searchlab.study import RunOptions


def little(choose: searchlab.Choose) -> searchlab.Candidate:
    width = choose.suggest_int("width", 2, 8)
    exits = (searchlab.Exit(0), searchlab.Exit(1))
    return searchlab.Candidate(searchlab.ResNet((1, 1), width), exits, training=searchlab.Training(batch_size=64))


def study(**changed) -> searchlab.Study:
    whole = searchlab.Study(space=little, data="digits", objectives=("accuracy", "macs"), epochs=1, trials=2)
    return replace(whole, **changed)


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("api") / "runs"


@pytest.fixture(scope="module")
def results(output) -> searchlab.Results:
    return searchlab.run(study(), output=output, progress=False)


@pytest.mark.slow
def test_a_function_is_searched_and_its_source_is_kept(results, output):
    assert results.study.name == "little-digits" and results.study.space == "little()"
    kept = stored_study("little-digits", RunOptions(output=output)).definition
    assert "def little(choose" in kept.space_text and "import searchlab" in kept.space_text
    assert len(results.trials()) == 2 and list(results.trials().state) == ["complete"] * 2
    assert 0 < results.hypervolume < 1 and "2 trials: 2 complete" in repr(results)


def test_the_frames_are_those_of_the_front(results):
    chosen = study_front(results.study, results.records)
    assert list(results.front().accuracy) == [entry.point.accuracy for entry in chosen]
    assert len(results.front(3)) == min(3, len(chosen))
    points = results.points()
    assert points.on_front.sum() == len(study_front(results.study, results.records, most=None))
    assert len(points) == sum(len(record.frontier.points) for record in results.records)
    assert "<table>" in results._repr_html_() and results.plot().data


def test_the_best_point_is_within_the_limits(results):
    points = results.points()
    assert results.best().accuracy == points.accuracy.max()
    limit = float(points.macs.median())
    best = results.best(max_macs=limit, max_params=None)
    assert best.macs <= limit and best.accuracy == points[points.macs <= limit].accuracy.max()
    least = float(points.accuracy.median())
    cheapest = results.best(min_accuracy=least)
    assert cheapest.accuracy >= least and cheapest.macs == points[points.accuracy >= least].macs.min()
    first = results.point(1)
    assert (first.number, first.accuracy) == (1, results.front().accuracy[0])
    assert "trial" in repr(first) and first.rule.exits and first.params > 0 and first.latency_ms is None


def test_no_point_within_the_limits_names_the_nearest(results):
    least = results.points().macs.min()
    with raises_code("no-results", value="max_macs=1, min_accuracy=0.01", mentions="the nearest is point "):
        results.best(max_macs=1, min_accuracy=0.01)
    nearest = min(results.points().macs)
    assert nearest == least
    with raises_code("no-results", value="max_latency_ms=5"):
        results.best(max_latency_ms=5)
    with raises_code("unknown-limit", value="max_latency", mentions="did you mean 'max_latency_ms'?"):
        results.best(max_latency=5)
    with raises_code("unknown-point", value=99):
        results.point(99)


def test_a_classifier_needs_no_data_set_and_says_what_the_exit_table_says(results, digits, monkeypatch):
    monkeypatch.setattr(bundles, "load_data", None)
    rows = results.points()
    several = rows[[len(exits) > 1 for exits in rows.exits]].sort_values("accuracy").iloc[-1]
    best = results.best(max_macs=several.macs)
    classifier = best.classifier("cpu")
    assert classifier.class_names == digits.class_names
    found = classifier.predict(digits.validation.images_NCHW)
    right = (found.class_index.to_numpy() == digits.validation.labels_N.numpy()).mean()
    assert right == pytest.approx(best.accuracy, abs=0.01)
    shares = [(found.exit == exit).mean() for exit in best.rule.exits]
    assert shares == pytest.approx(best._entry.point.shares, abs=0.01)
    assert found.confidence.between(0, 1).all() and list(found.class_name) == list(map(str, found.class_index))
    one = classifier.predict(digits.validation.images_NCHW[0].numpy())
    assert len(one) == 1 and one.class_index[0] == found.class_index[0]


def test_what_leaves_early_runs_no_later_stage(results, digits):
    rows = results.points()
    first = next(p for p in all_points(results._found) if p.point.rule.exits == (0,))
    classifier = results_module.Point(results, first).classifier("cpu")
    assert len(rows) > 1
    ran: list[int] = []
    hook = list(classifier.network.stages)[-1].register_forward_hook(lambda *_: ran.append(1))
    assert set(classifier.predict(digits.test.images_NCHW[:300]).exit) == {0} and not ran
    hook.remove()


def test_an_old_record_without_facts_takes_them_from_the_data_set(results, digits):
    record = results.records[0]
    bare = replace(record, data=replace(record.data, mean=(), std=(), class_names=()))
    assert bundles.complete_facts(results._found, results._where, bare) == record.data


def test_a_study_is_opened_again_and_a_misspelt_name_is_one_line(results, output):
    again = searchlab.open_study("little-digits", output)
    assert again.front().equals(results.front()) and searchlab.open_study(output=output).study == results.study
    with raises_code("unknown-study", value="litle-digits", mentions="did you mean 'little-digits'?"):
        searchlab.open_study("litle-digits", output)
    with raises_code("store-not-found", where=str(output / "nowhere" / "studies.db")):
        searchlab.open_study("x", output / "nowhere")


@pytest.mark.slow
def test_a_study_that_is_there_is_gone_on_with_only_if_asked(results, output):
    mentions = ['`searchlab.resume("little-digits")`', "name=NAME"]
    with raises_code("study-exists", mentions=mentions):
        searchlab.run(study(), output=output, progress=False)
    more = searchlab.run(study(), output=output, progress=False, resume=True, trials=3)
    assert len(more.records) == 3 and more.records[:2] == results.records
    with raises_code("definition-changed", value=2, mentions="epochs"):
        searchlab.run(study(), output=output, progress=False, resume=True, epochs=2)


@pytest.mark.slow
def test_a_function_is_gone_on_with_from_its_source(results, output, monkeypatch, capsys):
    """By its name alone, from Python and from the command line: the file that had the function is not read."""
    assert len(searchlab.resume("little-digits", output=output, progress=False, trials=4).records) == 4
    assert main(["resume", "little-digits", "--output", str(output), "--trials", "5"]) == 0
    capsys.readouterr()

    def little(choose: searchlab.Choose) -> searchlab.Candidate:
        return None

    with raises_code("definition-changed", mentions="force=True"):
        searchlab.resume(study(space=little), output=output)
    assert "-    width = choose.suggest_int" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("named", "refused"),
    [
        (
            {"trails": 3},
            raises_code("unknown-parameter", where="searchlab.run", value="trails", mentions="did you mean 'trials'?"),
        ),
        ({"threads": 0}, raises_code("invalid-field", value=0, mentions="threads")),
        ({"sampler": "nobody"}, raises_code("unknown-sampler", value="nobody")),
        ({"runner": "nobody"}, raises_code("unknown-runner", value="nobody")),
        ({"images": "nowhere"}, raises_code("path-not-found", value="nowhere")),
        ({"data": "nowhere"}, raises_code("invalid-usage", where="data", value="nowhere")),
        ({"cluster": searchlab.Cluster()}, raises_code("conflicting-options", mentions='runner="tune"')),
        ({"trials": 0}, raises_code("invalid-field", mentions="trials")),
    ],
)
def test_what_is_invalid_is_one_line_and_writes_nothing(tmp_path, named, refused):
    with refused as raised:
        searchlab.run(study(), output=tmp_path / "runs", **({"progress": False} | named))
    assert "--" not in str(raised.value)
    assert not (tmp_path / "runs" / "studies.db").exists()


def test_a_space_without_a_source_writes_nothing(tmp_path):
    with raises_code("invalid-space"):
        searchlab.run(study(space=lambda choose: None), output=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_file_of_several_studies_asks_for_one(tmp_path):
    (tmp_path / "two.py").write_text(
        "from searchlab import Study\n\ndef study():\n"
        "    return Study('small_resnet', 'digits', name='a'), Study('small_resnet', 'digits', name='b')\n"
    )
    with raises_code("several-studies", mentions="a, b"):
        searchlab.run(tmp_path / "two.py", output=tmp_path / "runs", progress=False)


def test_every_override_is_a_field_of_a_study_or_says_where_it_runs():
    known = {field.name for kind in (searchlab.Study, RunOptions) for field in fields(kind)}
    assert set(api.Overrides.__annotations__) - known == {"images", "smoke", "warm_start", "resume"}
    assert set(api.ResumeOverrides.__annotations__) - known == {"force"}


def test_without_progress_nothing_is_printed_in_any_thread(tmp_path):
    """Signals are the main thread's: a search in another thread leaves them alone."""
    found: list = []
    printed, before = io.StringIO(), signal.getsignal(signal.SIGINT)

    def search() -> None:
        found.append(searchlab.run(study(trials=1), output=tmp_path / "runs", progress=False))

    with redirect_stdout(printed):
        thread = threading.Thread(target=search)
        thread.start()
        thread.join()
    assert len(found[0].records) == 1 and printed.getvalue() == ""
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.slow
def test_an_interrupt_keeps_everything_and_says_how_to_go_on(tmp_path, monkeypatch):
    output, printed = tmp_path / "runs", io.StringIO()
    monkeypatch.setattr(PlainWatch, "on_epoch", lambda *_: signal.raise_signal(signal.SIGINT))
    with redirect_stdout(printed), pytest.raises(KeyboardInterrupt, match="all results are kept"):
        searchlab.run(study(), output=output)
    assert 'Stopped. All results are kept. To continue: searchlab.resume("little-digits")' in printed.getvalue()
    assert stored_names(RunOptions(output=output)) == ["little-digits"]
    monkeypatch.undo()
    assert len(searchlab.resume(output=output, progress=False).records) == 2


NOTEBOOK = """\
import searchlab; r = searchlab.run("digits", trials=4, epochs=6, min_accuracy=0.05)
r.front()
r.best(max_latency_ms=1000).classifier().predict(images)"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_three_lines_in_a_notebook_search_and_classify(tmp_path, monkeypatch, digits):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    from searchlab.data.image_files import as_image

    for number, image_CHW in enumerate(digits.test.images_NCHW[:3]):
        as_image(np.asarray(image_CHW[0])).save(tmp_path / f"{number}.png")
    monkeypatch.setenv("PYTHONPATH", str(Path(searchlab.__file__).parent.parent))
    given = nbformat.v4.new_code_cell('images = ["0.png", "1.png", "2.png"]')
    cells = [given, *(nbformat.v4.new_code_cell(line) for line in NOTEBOOK.splitlines())]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    search, front, classified = (cell.outputs for cell in notebook.cells[1:])
    said = "".join(output.get("text", "") for output in search)
    assert "trial 0: resnet" in said and "Ended: 4 of 4 trials" in said
    assert "accuracy" in front[0].data["text/html"]
    table = classified[0].data["text/html"]
    assert "0.png" in table and "class_name" in table and "confidence" in table


@pytest.mark.slow
def test_replicates_are_those_of_the_command(results, output, tmp_path, capsys):
    shutil.copytree(output, tmp_path / "runs")
    again = searchlab.open_study("little-digits", output=tmp_path / "runs")
    for count in ("seeds", "points"):
        with raises_code("invalid-usage", where="replicate", value=0):
            again.replicate(**{count: 0})
    frame = again.replicate(seeds=1, points=2)
    assert "trial" in frame and len(frame) == min(2, len(results.front()))
    assert "replicates of its front" in capsys.readouterr().out
    written = tmp_path / "front.csv"
    command = ["front", "little-digits", "--replicates", "--points", "2", "--csv", str(written)]
    assert main([*command, "--output", str(tmp_path / "runs")]) == 0
    assert list(pd.read_csv(written).columns) == list(frame.columns)
    assert list(pd.read_csv(written).trial) == list(frame.trial)
    quiet = searchlab.Results("little-digits", RunOptions(output=tmp_path / "runs"), progress=False)
    capsys.readouterr()
    assert quiet.replicate(seeds=1, points=2).equals(frame) and capsys.readouterr().out == ""
