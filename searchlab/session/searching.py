"""Runs planned searches with progress messages."""

from contextlib import nullcontext
from threading import Event

from searchlab.errors import Interrupted, NotBegun
from searchlab.report.growth import standing
from searchlab.search.catalog import load_space
from searchlab.search.driver import Driver
from searchlab.search.launch import Launch
from searchlab.search.store import stored_names
from searchlab.session.console import say
from searchlab.session.interrupts import ends_on_interrupt
from searchlab.session.plans import Plan
from searchlab.session.watch import SilentWatch, watch_for


class Stopped(Interrupted):
    """The user interrupted a stored study, which can be resumed."""


def search(plan: Plan, *, progress: bool = True) -> Driver:
    """Searches one study to the end of its budget; with `progress`, reports to standard output.

    Raises:
        UserError: the study, its data, the device, the limits or the store are invalid; nothing was trained.
        NotBegun: the user interrupted it before it was in the store.
        Stopped: the user interrupted it.
    """
    stop = Event()
    watching = watch_for(plan.study, plan.where) if progress else nullcontext(SilentWatch())
    with watching as watch, ends_on_interrupt(stop, watch.say):
        launch = Launch(
            plan.definition, load_space(plan.space), plan.where, watch, plan.runner, stop=stop, say=watch.say
        )
        try:
            driver = plan.begin(launch)
        except NotBegun:
            watch.say("Stopped before the study began: repeat the command to begin it.")
            raise
        except KeyboardInterrupt as interrupt:
            if plan.study.name not in stored_names(plan.where):
                raise
            raise Stopped from interrupt
        except Interrupted as interrupted:
            raise Stopped from interrupted
        if stop.is_set():
            raise Stopped
    if progress:
        say(f"Ended: {driver.ended_by}. {standing(driver.history)}.")
    return driver
