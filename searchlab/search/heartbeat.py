"""Leases: which driver a running trial belongs to. Several may work on one study; what a dead one began is taken up.

A driver writes its name into every trial that it begins or takes up, and a heartbeat into the study's attributes while
it works. Its leases end some time after its last heartbeat; at once where it says that it ended, or where its process
was on this machine and is gone. Machines whose drivers share a study need clocks that agree within a minute.
"""

import json
import logging
import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._rdb.models import TrialModel, TrialUserAttributeModel
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic.dataclasses import dataclass

from searchlab.errors import UserError
from searchlab.search.storage import storage_errors
from searchlab.serialization import NOUN, from_plain, to_plain

RENEWED_S, ALIVE_S = 20.0, 120.0
"""So often a driver renews its leases, and so long after the last time they end."""

UNSIGNED_S = 10.0
"""A trial that began less than this ago and has no driver yet is about to be signed."""

LOOKS_S = 2.0
"""So often a driver that waits for others looks what became of them."""

OWNER, HEARTBEAT = "driver", "driver "
"""The user attribute of a trial that names its driver; what those of a study begin with that hold heartbeats."""

log = logging.getLogger("searchlab")


@dataclass(frozen=True, config=NOUN)
class Heartbeat:
    """A driver's last sign of life: the process, and when (seconds since 1970; 0: it ended).

    `kernel` tells apart machines, and containers on one, that have the same name ("" in stores of earlier versions).
    """

    host: str
    pid: int
    at: float
    kernel: str = ""

    @property
    def lives(self) -> bool:
        """Whether its driver is at work. On this machine it is seen at once that a process is gone.

        A heartbeat of this very process is one of a driver before: a process has one at a time.
        """
        if time.time() > self.until:
            return False
        if self.host != socket.gethostname() or self.kernel not in ("", this_kernel()):
            return True
        return self.pid != os.getpid() and _runs(self.pid)

    @property
    def until(self) -> float:
        """When its leases end, unless they are renewed."""
        return self.at + ALIVE_S

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@cache
def this_kernel() -> str:
    """The boot of this machine and the name space of its process numbers; "" where the system has no such thing."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    return ""


class Leases:
    """The leases of one driver on trials of an Optuna study, under a name of its own."""

    def __init__(self, study: optuna.Study, storage: BaseStorage, url: str) -> None:
        self.study, self.storage, self.url = study, storage, url
        self.owner = uuid4().hex[:12]
        self._renewed = -RENEWED_S

    @contextmanager
    def renewed(self, wait: Callable[[Event, float], bool] = Event.wait) -> Iterator[None]:
        """Renews the leases from a thread, however long the block is at one thing, and ends them after it.

        `wait` waits so many seconds for an event, and says whether it happened.
        """
        over = Event()
        thread = Thread(target=self._renew_until, args=(over, wait), name="heartbeat", daemon=True)
        self.renew()
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            # Where the store cannot be written, they end by themselves.
            with suppress(UserError):
                self._write(0.0)

    def renew(self) -> None:
        """Writes a heartbeat."""
        self._renewed = time.monotonic()
        self._write(time.time())

    def renew_if_due(self) -> None:
        """The same where the last is some time ago: for drivers that run without the thread."""
        if time.monotonic() - self._renewed >= RENEWED_S:
            self.renew()

    def sign(self, trial: Trial) -> bool:
        """Makes a trial that was begun just now this driver's; False where another one took it for abandoned."""
        return self._swap(trial, None)

    def begin(self, attributes: Mapping[str, Any]) -> Trial:
        """A new trial with these attributes, which is this driver's from its first moment."""
        self.renew_if_due()
        made = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs={**attributes, OWNER: self.owner})
        with storage_errors(self.url):
            return Trial(self.study, self.storage.create_new_trial(self.study._study_id, made))

    def take(self, trial: Trial) -> bool:
        """Takes up an abandoned trial; False where it is not abandoned any more. Of several drivers, one gets it."""
        with storage_errors(self.url):
            now, alive = self.storage.get_trial(trial._trial_id), living(self.study.user_attrs)
        if now.state != TrialState.RUNNING or not is_left(now, alive):
            return False
        return self._swap(trial, now.user_attrs.get(OWNER))

    def holds(self, trial: Trial) -> bool:
        """Whether a trial still runs and is this driver's: one that stands still for long loses what it began."""
        with storage_errors(self.url):
            # What a trial says of itself is as it was when it was asked for.
            now = self.storage.get_trial(trial._trial_id)
        return now.state == TrialState.RUNNING and now.user_attrs.get(OWNER) == self.owner

    def write(self, trial: Trial, write: Callable[[], None]) -> bool:
        """Writes something of a trial, unless another driver has it, or ended it; whether it was written."""
        if not self.holds(trial):
            return False
        try:
            write()
        except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
            # Optuna raises either where another driver ended it just now.
            if self.holds(trial):
                raise
            return False
        return True

    def holders(self, numbers: Collection[int]) -> dict[int, Heartbeat | None]:
        """The last heartbeat of the driver of each of these trials; None where it is not signed yet."""
        with storage_errors(self.url):
            beats = heartbeats(self.study.user_attrs)
            trials = [each for each in self.study.get_trials(deepcopy=False) if each.number in numbers]
        return {trial.number: beats.get(trial.user_attrs.get(OWNER, "")) for trial in trials}

    def _renew_until(self, over: Event, wait: Callable[[Event, float], bool]) -> None:
        failed = False
        while not wait(over, RENEWED_S):
            try:
                self.renew()
                failed = False
            except Exception as error:
                # Of any type: the thread must outlive what goes by. What does not, its driver meets at its next step.
                if not failed:
                    log.warning("no heartbeat: %s; after %g s other drivers take up its trials", error, ALIVE_S)
                failed = True

    def _write(self, at: float) -> None:
        beat = Heartbeat(socket.gethostname(), os.getpid(), at, this_kernel())
        with storage_errors(self.url):
            self.study.set_user_attr(HEARTBEAT + self.owner, to_plain(beat))

    def _swap(self, trial: Trial, before: str | None) -> bool:
        """Puts this driver's name in the place of another in one atomic step; False where another name is there now."""
        self.renew_if_due()
        with storage_errors(self.url):
            return swapped(self.storage, trial._trial_id, before, self.owner)


class Standby:
    """How a driver that has nothing left to begin waits for others: until they are seen to live, or their leases end.

    `wait` waits for seconds, or less where the user wants an end; `say` is told once what is waited for.
    """

    def __init__(self, leases: Leases, wait: Callable[[float], object], say: Callable[[str], None]) -> None:
        self.leases, self.wait, self.say = leases, wait, say
        self.first: dict[int, Heartbeat | None] = {}
        self.said: set[int] = set()

    def over(self, trials: Mapping[int, str]) -> bool:
        """Whether the drivers of all these trials, each with its name for the user, are known to live; else it waits.

        A driver is known to live that showed it since the first look.
        """
        now = self.leases.holders(trials)
        silent = {number: beat for number, beat in now.items() if beat == self.first.setdefault(number, beat)}
        for number, beat in silent.items():
            if beat is not None and number not in self.said:
                self.said.add(number)
                until = datetime.fromtimestamp(beat.until).strftime("%H:%M:%S")
                self.say(f"waiting for a sign of life of {beat}, which began {trials[number]}; at most until {until}")
        if silent:
            self.wait(LOOKS_S)
        return not silent

    def elsewhere(self, trials: Mapping[int, str]) -> str:
        """Which of these trials run where, for the user: "trial 3 runs elsewhere (process 12 on node7)"."""
        places = sorted({str(beat) for beat in self.leases.holders(trials).values() if beat})
        runs = "runs" if len(trials) == 1 else "run"
        return f"{', '.join(trials.values())} {runs} elsewhere ({', '.join(places)})"


def heartbeats(attributes: Mapping[str, Any]) -> dict[str, Heartbeat]:
    """The last heartbeat of every driver, dead ones included, by a study's attributes."""
    values = {name.removeprefix(HEARTBEAT): value for name, value in attributes.items() if name.startswith(HEARTBEAT)}
    return {owner: from_plain(Heartbeat, value, where=f"driver {owner}") for owner, value in values.items()}


def living(attributes: Mapping[str, Any]) -> dict[str, Heartbeat]:
    """The drivers that are at work, by a study's attributes."""
    return {owner: beat for owner, beat in heartbeats(attributes).items() if beat.lives}


def is_left(trial: FrozenTrial, alive: Collection[str]) -> bool:
    """Whether nobody works on a running trial any more, if these drivers live."""
    if OWNER in trial.user_attrs:
        return trial.user_attrs[OWNER] not in alive
    # Optuna writes local time.
    began = trial.datetime_start
    return began is None or not 0 <= (datetime.now() - began).total_seconds() < UNSIGNED_S


def swapped(storage: BaseStorage, trial_id: int, before: str | None, after: str) -> bool:
    """Puts a name as a trial's driver in the place of another; False where it has another one, or has ended.

    Optuna has no atomic step for attributes, so on a database this is one statement on its table.
    """
    storage = getattr(storage, "_backend", storage)
    if not isinstance(storage, RDBStorage):
        # In memory: one process has it, and one driver.
        if storage.get_trial(trial_id).user_attrs.get(OWNER) != before:
            return False
        storage.set_trial_user_attr(trial_id, OWNER, after)
        return True
    kept: Any = TrialUserAttributeModel
    try:
        with storage.engine.begin() as connection:
            if before is None:
                values = {"trial_id": trial_id, "key": OWNER, "value_json": json.dumps(after)}
                connection.execute(sqlalchemy.insert(kept).values(values))
                return True
            running = sqlalchemy.select(TrialModel.trial_id).where(TrialModel.state == TrialState.RUNNING)
            here = (kept.trial_id == trial_id) & (kept.key == OWNER) & kept.trial_id.in_(running)
            swap = sqlalchemy.update(kept).where(here & (kept.value_json == json.dumps(before)))
            return int(connection.execute(swap.values(value_json=json.dumps(after))).rowcount) == 1
    except sqlalchemy.exc.IntegrityError:
        # It was signed meanwhile.
        return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # It is another user's.
        return True
    return True
