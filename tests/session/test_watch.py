import io
from dataclasses import replace
from threading import Event

import pytest
from fake_records import doubtful, fake_record
from rich.console import Console
from rich.live import Live
from rich.text import Text
from tiny import made_record, tiny_candidate, tiny_study

from searchlab.front.history import SearchHistory
from searchlab.record import Epoch, Seconds
from searchlab.session import watch as watch_module
from searchlab.session.periodic import ticking
from searchlab.session.watch import LiveWatch, PlainWatch, described, ending, progress, watch_for
from searchlab.study import RunOptions, TrialSpec

STUDY = tiny_study(trials=3, epochs=5)


def spec(number: int) -> TrialSpec:
    return TrialSpec(number, tiny_candidate(4), STUDY)


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, highlight=False)


def ended(watch, record) -> None:
    """A trial ends, as a driver tells it: its record is in the history first."""
    watch.history.add(record)
    watch.on_end(record)


def whole_run(watch) -> None:
    watch.on_begin(SearchHistory(watch.study))
    for number, state in enumerate(("complete", "stopped", "failed")):
        watch.on_start(spec(number))
        watch.on_epoch(number, Epoch(1, 0.25, 0.1))
        ended(watch, made_record(spec(number), state))


def test_a_line_when_a_trial_begins_and_one_when_it_ends():
    printer = console(terminal=False)
    whole_run(PlainWatch(STUDY, printer))
    assert printer.file.getvalue().splitlines() == [
        "trial 0: resnet 1-1 of width 4, exits after stages 0, 1",
        "trial 0: complete in 1.0 s: best 80.0 %, 35.2 k MACs, exits 0, final  [1 of 3]",
        "trial 1: resnet 1-1 of width 4, exits after stages 0, 1",
        "trial 1: stopped: at epoch 1, by none  [2 of 3]",
        "trial 2: resnet 1-1 of width 4, exits after stages 0, 1",
        "trial 2: failed: the loss is nan in epoch 1: the training diverged  [3 of 3]",
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_what_a_trial_waits_for_is_shown(terminal):
    printer = console(terminal=terminal)
    with Live(console=printer, auto_refresh=False, transient=True) as live:
        watch = LiveWatch(STUDY, live.console, live) if terminal else PlainWatch(STUDY, printer)
        watch.on_start(spec(3))
        watch.on_word(3, "measuring waits for [someone]")
        assert "measuring waits for [someone]" in printer.file.getvalue()


def test_a_latency_in_doubt_is_marked_where_its_trial_ends():
    record = fake_record(0)
    assert "~" in watch_module.ending(doubtful(record)) and "~" not in watch_module.ending(record)


def test_a_long_silence_is_broken(monkeypatch):
    printer = console(terminal=False)
    watch = PlainWatch(STUDY, printer)
    monkeypatch.setattr(watch_module, "monotonic", lambda: watch.spoke + PlainWatch.EVERY_S + 1)
    watch.on_epoch(7, Epoch(2, 0.25, 0.1))
    assert printer.file.getvalue() == "trial 7: epoch 2 of 5, loss 0.250\n"


def test_on_a_terminal_the_front_and_the_running_trial_are_drawn_as_they_change():
    printer = console(terminal=True)
    with Live(console=printer, auto_refresh=False, transient=True) as live:
        watch = LiveWatch(STUDY, live.console, live)
        watch.on_begin(SearchHistory(watch.study))
        assert "0 of 3 trials" in printer.file.getvalue() and "preparing" in printer.file.getvalue()
        watch.on_start(spec(0))
        watch.drawn = 0.0
        watch.on_epoch(0, Epoch(2, 0.25, 0.1))
        drawn = printer.file.getvalue()
        assert "trial 0: resnet 1-1 of width 4" in drawn and "epoch 2 of 5, loss 0.250" in drawn
        assert "(validation)" not in drawn
        ended(watch, made_record(spec(0)))
        drawn = printer.file.getvalue()
        assert "(validation)" in drawn and "80.0 %" in drawn and "1 of 3 trials" in drawn


def test_each_of_several_running_trials_has_its_line_and_loses_it_when_it_ends(monkeypatch):
    monkeypatch.setattr(watch_module, "LIVE_TRIALS", 2)
    printer = console(terminal=True)
    with Live(console=printer, auto_refresh=False, transient=True) as live:
        watch = LiveWatch(STUDY, live.console, live)
        watch.on_begin(SearchHistory(watch.study))
        for number in range(3):
            watch.on_start(spec(number))

        def drawn_now() -> str:
            watch.drawn = 0.0
            before = len(printer.file.getvalue())
            watch.on_epoch(1, Epoch(2, 0.25, 0.1))
            return printer.file.getvalue()[before:]

        now = drawn_now()
        assert "trial 0: resnet" in now and "exits after stages 0, 1 · epoch 2 of 5" in now and "and 1 more" in now
        ended(watch, made_record(spec(0)))
        now = drawn_now()
        assert "trial 0: resnet" not in now and "trial 1: resnet" in now and "trial 2: resnet" in now
        assert "more" not in now


def test_epochs_that_come_fast_are_not_all_drawn(monkeypatch):
    printer = console(terminal=True)
    with Live(console=printer, auto_refresh=False, transient=True) as live:
        watch = LiveWatch(STUDY, live.console, live)
        watch.on_begin(SearchHistory(watch.study))
        watch.on_start(spec(0))
        monkeypatch.setattr(watch_module, "monotonic", lambda: watch.drawn + 0.01)
        for epoch in range(1, 6):
            watch.on_epoch(0, Epoch(epoch, 0.25, 0.1))
    assert printer.file.getvalue().count("epoch 3 of 5") == 0


@pytest.mark.parametrize("terminal", [False, True])
def test_the_watch_fits_where_it_prints_and_says_what_is_searched(monkeypatch, terminal):
    printer = console(terminal)
    monkeypatch.setattr(watch_module, "console", lambda: printer)
    with watch_for(STUDY, RunOptions(storage="postgresql://me:secret@host/db")) as watch:
        assert "study tiny" not in printer.file.getvalue(), "the run may still be refused"
        whole_run(watch)
    assert isinstance(watch, LiveWatch) == terminal
    out = printer.file.getvalue()
    assert "study tiny: tiny on digits, 3 trials of 5 epochs" in out
    assert "postgresql://me:***@host/db" in out and "secret" not in out


def test_words_for_a_candidate_a_step_and_an_end():
    assert described(spec(0)) == "resnet 1-1 of width 4, exits after stages 0, 1"
    assert described(replace(spec(1), row="second")) == "second, resnet 1-1 of width 4, exits after stages 0, 1"
    alone = replace(spec(0), candidate=replace(tiny_candidate(4), exits=()))
    assert described(alone) == "resnet 1-1 of width 4, no exits"
    assert progress(Epoch(3, 1.23456, 0.1), STUDY) == "epoch 3 of 5, loss 1.235"
    assert ending(made_record(spec(0), "failed")).startswith("failed: the loss is nan")


@pytest.fixture
def clock(monkeypatch):
    """The time that every watch goes by, in a list."""
    now = [1000.0]
    monkeypatch.setattr(watch_module, "monotonic", lambda: now[0])
    return now


def trained_for(watch, clock, *epochs: int, each_s: float = 10.0) -> None:
    for epoch in epochs:
        clock[0] += each_s
        watch.on_epoch(0, Epoch(epoch, 0.25, 0.1))


def test_what_takes_long_before_a_trial_begins_is_told_while_it_lasts(clock):
    printer = console(terminal=False)
    watch = PlainWatch(STUDY, printer)
    watch.on_phase(None, "reading photos")
    watch.tick()
    assert printer.file.getvalue() == "", "what is done in a moment is not told"
    clock[0] += 3
    watch.tick()
    watch.tick()
    assert printer.file.getvalue() == "reading photos ...\n"


def test_a_long_step_of_a_trial_is_told_while_it_lasts_and_ever_more_seldom(clock):
    printer = console(terminal=False)
    watch = PlainWatch(tiny_study(trials=3, epochs=100), printer)
    watch.on_start(spec(0))
    watch.on_phase(0, "measuring latency")
    clock[0] += PlainWatch.EVERY_S + 1
    watch.tick()
    assert printer.file.getvalue().splitlines()[1:] == ["trial 0: measuring latency"]
    watch.on_phase(0, "training")
    clock[0] += PlainWatch.EVERY_S + 1
    watch.tick()
    assert printer.file.getvalue().splitlines()[2:] == ["trial 0: training, epoch 1 of 100"]
    clock[0] += 3600
    watch.tick()
    before = len(printer.file.getvalue().splitlines())
    clock[0] += 300
    watch.tick()
    assert len(printer.file.getvalue().splitlines()) == before, "after an hour, five minutes are no silence"


def test_time_left_of_trial_and_study_is_told_on_a_pipe(clock):
    printer = console(terminal=False)
    watch = PlainWatch(tiny_study(trials=3, epochs=20), printer)
    watch.on_begin(SearchHistory(watch.study))
    watch.on_start(spec(0))
    watch.on_phase(0, "training")
    trained_for(watch, clock, 1, 2, 3)
    assert printer.file.getvalue().splitlines()[-1] == "trial 0: epoch 3 of 20, loss 0.250, about 3 min left"
    ended(watch, replace(made_record(spec(0)), seconds=Seconds(total=200.0)))
    assert printer.file.getvalue().splitlines()[-1].endswith("[1 of 3, about 7 min left]")


def test_on_a_terminal_each_trial_says_what_it_does_and_for_how_long_yet(clock):
    printer = console(terminal=True)
    with Live(console=printer, auto_refresh=False, transient=True) as live:
        watch = LiveWatch(tiny_study(trials=3, epochs=20), live.console, live)

        def drawn(act) -> str:
            before = len(printer.file.getvalue())
            clock[0] += 1.5
            act()
            return printer.file.getvalue()[before:]

        assert "reading photos ..." in drawn(lambda: watch.on_phase(None, "reading photos"))
        drawn(lambda: watch.on_start(spec(0)))
        assert "exits after stages 0, 1 · measuring latency" in drawn(lambda: watch.on_phase(0, "measuring latency"))
        assert drawn(watch.tick) == "", "nothing is drawn while a latency is measured"
        again = "latency in doubt: measuring again"
        assert f" · {again}" in drawn(lambda: watch.on_word(0, again))
        assert drawn(watch.tick) == "", "nor while it is measured again"
        assert "training, epoch 1 of 20" in drawn(lambda: watch.on_phase(0, "training"))
        trained_for(watch, clock, 1, 2, 3, 4, 5, 6)
        now = drawn(watch.tick)
        assert "0 of 3 trials, about 9 min left" in now and "epoch 6 of 20, loss 0.250, about 2 min left" in now


def test_a_trial_that_is_too_long_for_a_line_takes_two_and_breaks_no_word(clock):
    printer = Console(file=io.StringIO(), force_terminal=True, width=60, highlight=False)
    with Live(console=printer, auto_refresh=False, transient=True) as live:
        watch = LiveWatch(STUDY, live.console, live)
        watch.on_start(spec(0))
        clock[0] += 1
        watch.on_epoch(0, Epoch(2, 0.25, 0.1))
    lines = [line.strip() for line in Text.from_ansi(printer.file.getvalue()).plain.splitlines()]
    assert "trial 0: resnet 1-1 of width 4, exits after stages 0, 1" in lines and "epoch 2 of 5, loss 0.250" in lines


def test_the_watch_is_asked_again_while_a_step_lasts():
    asked = Event()
    with ticking(asked.set, every_s=0.001):
        assert asked.wait(timeout=30)


def test_the_watch_reads_the_drivers_history_and_keeps_none_of_its_own():
    watch, history = PlainWatch(STUDY, console(terminal=False)), SearchHistory(STUDY)
    watch.on_begin(history)
    ended(watch, made_record(spec(0)))
    assert watch.history is history and len(history.records) == 1
    assert watch.printer.file.getvalue().rstrip().endswith("[1 of 3]")
