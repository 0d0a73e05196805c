"""Heartbeats and leases: several drivers may share a study; trials of a dead driver are taken over.

A driver writes its name into every trial that it begins or takes over, and a heartbeat into the study's attributes
while it works. Its leases expire some time after its last heartbeat; at once if it wrote that it ended, or if its
process was on this machine and is gone. Machines whose drivers share a study need clocks that agree within a minute.
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
"""Seconds between two heartbeats, and from the last heartbeat to the end of the leases."""

UNSIGNED_S = 10.0
"""Age up to which an unsigned trial is not considered abandoned."""

LOOKS_S = 2.0
"""Seconds between two looks of a driver that waits for others."""

OWNER, HEARTBEAT = "driver", "driver "
"""User attribute of a trial with its driver; prefix of a study's attributes with heartbeats."""

log = logging.getLogger("searchlab")


@dataclass(frozen=True, config=NOUN)
class Heartbeat:
    """Heartbeat of a driver: the process, and the time (seconds since 1970; 0: it ended).

    `kernel` distinguishes machines and containers with the same host name ("" in stores of earlier versions).
    """

    host: str
    pid: int
    at: float
    kernel: str = ""

    @property
    def lives(self) -> bool:
        """Whether its driver is alive. On the same machine, a dead process is recognised at once.

        A heartbeat of this process belongs to an earlier driver: a process has one driver at a time.
        """
        if time.time() > self.until:
            return False
        if self.host != socket.gethostname() or self.kernel not in ("", this_kernel()):
            return True
        return self.pid != os.getpid() and _runs(self.pid)

    @property
    def until(self) -> float:
        """When its leases end without another heartbeat."""
        return self.at + ALIVE_S

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@cache
def this_kernel() -> str:
    """Returns boot and process namespace of this machine; "" if the system does not report them."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    return ""


class Leases:
    """Leases of one driver, under a unique name, on trials of an Optuna study."""

    def __init__(self, study: optuna.Study, storage: BaseStorage, url: str) -> None:
        self.study, self.storage, self.url = study, storage, url
        self.owner = uuid4().hex[:12]
        self._renewed = -RENEWED_S

    @contextmanager
    def renewed(self, wait: Callable[[Event, float], bool] = Event.wait) -> Iterator[None]:
        """Renews the leases from a thread during the block, and ends them afterwards.

        `wait` waits this many seconds for an event, and returns whether it happened.
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
            # If the store is not writable, they expire by themselves.
            with suppress(UserError):
                self._write(0.0)

    def renew(self) -> None:
        """Writes a heartbeat."""
        self._renewed = time.monotonic()
        self._write(time.time())

    def renew_if_due(self) -> None:
        """Writes a heartbeat if the last is old: for drivers without the thread."""
        if time.monotonic() - self._renewed >= RENEWED_S:
            self.renew()

    def sign(self, trial: Trial) -> bool:
        """Signs a trial that was just created; returns False if another driver took it as abandoned."""
        return self._swap(trial, None)

    def begin(self, attributes: Mapping[str, Any]) -> Trial:
        """Creates a trial with these attributes, signed by this driver from the start."""
        self.renew_if_due()
        made = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs={**attributes, OWNER: self.owner})
        with storage_errors(self.url):
            return Trial(self.study, self.storage.create_new_trial(self.study._study_id, made))

    def take(self, trial: Trial) -> bool:
        """Takes over an abandoned trial; False if it is not abandoned any more. Only one driver succeeds."""
        with storage_errors(self.url):
            now, alive = self.storage.get_trial(trial._trial_id), living(self.study.user_attrs)
        if now.state != TrialState.RUNNING or not is_left(now, alive):
            return False
        return self._swap(trial, now.user_attrs.get(OWNER))

    def holds(self, trial: Trial) -> bool:
        """Whether a trial still runs and belongs to this driver, which loses it if it stalls for too long."""
        with storage_errors(self.url):
            # The trial object is a snapshot of the time when it was requested.
            now = self.storage.get_trial(trial._trial_id)
        return now.state == TrialState.RUNNING and now.user_attrs.get(OWNER) == self.owner

    def write(self, trial: Trial, write: Callable[[], None]) -> bool:
        """Writes to a trial unless another driver owns or has ended it; returns whether it was written."""
        if not self.holds(trial):
            return False
        try:
            write()
        except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
            # Optuna raises either error if another driver has just ended it.
            if self.holds(trial):
                raise
            return False
        return True

    def holders(self, numbers: Collection[int]) -> dict[int, Heartbeat | None]:
        """Returns the last heartbeat of each trial's driver; None for an unsigned trial."""
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
                # Of any type: the thread must survive temporary faults. The driver reports permanent ones later.
                if not failed:
                    log.warning(
                        "cannot write a heartbeat: %s; after %g s other drivers take its trials over", error, ALIVE_S
                    )
                failed = True

    def _write(self, at: float) -> None:
        beat = Heartbeat(socket.gethostname(), os.getpid(), at, this_kernel())
        with storage_errors(self.url):
            self.study.set_user_attr(HEARTBEAT + self.owner, to_plain(beat))

    def _swap(self, trial: Trial, before: str | None) -> bool:
        """Replaces another driver's name by this one's in one atomic step; False if another name is there now."""
        self.renew_if_due()
        with storage_errors(self.url):
            return swapped(self.storage, trial._trial_id, before, self.owner)


class Standby:
    """Standby of a driver without work: waits until the others are known to be alive, or their leases end.

    `wait` waits for seconds, or less if the user interrupts; `say` receives one message.
    """

    def __init__(self, leases: Leases, wait: Callable[[float], object], say: Callable[[str], None]) -> None:
        self.leases, self.wait, self.say = leases, wait, say
        self.first: dict[int, Heartbeat | None] = {}
        self.said: set[int] = set()

    def over(self, trials: Mapping[int, str]) -> bool:
        """Whether the drivers of all these trials (with their names for messages) are known to be alive; else waits.

        A driver is known to be alive if it wrote a heartbeat since the first check.
        """
        now = self.leases.holders(trials)
        silent = {number: beat for number, beat in now.items() if beat == self.first.setdefault(number, beat)}
        for number, beat in silent.items():
            if beat is not None and number not in self.said:
                self.said.add(number)
                until = datetime.fromtimestamp(beat.until).strftime("%H:%M:%S")
                self.say(f"waiting for a heartbeat of {beat}, which runs {trials[number]}; until {until} at the latest")
        if silent:
            self.wait(LOOKS_S)
        return not silent

    def elsewhere(self, trials: Mapping[int, str]) -> str:
        """Says where these trials run: "trial 3 runs elsewhere (process 12 on node7)"."""
        places = sorted({str(beat) for beat in self.leases.holders(trials).values() if beat})
        runs = "runs" if len(trials) == 1 else "run"
        return f"{', '.join(trials.values())} {runs} elsewhere ({', '.join(places)})"


def heartbeats(attributes: Mapping[str, Any]) -> dict[str, Heartbeat]:
    """Returns the last heartbeat of every driver, including dead ones, from a study's attributes."""
    values = {name.removeprefix(HEARTBEAT): value for name, value in attributes.items() if name.startswith(HEARTBEAT)}
    return {owner: from_plain(Heartbeat, value, where=f"driver {owner}") for owner, value in values.items()}


def living(attributes: Mapping[str, Any]) -> dict[str, Heartbeat]:
    """Returns the live drivers, from a study's attributes."""
    return {owner: beat for owner, beat in heartbeats(attributes).items() if beat.lives}


def is_left(trial: FrozenTrial, alive: Collection[str]) -> bool:
    """Whether a running trial is abandoned, given the live drivers."""
    if OWNER in trial.user_attrs:
        return trial.user_attrs[OWNER] not in alive
    # Optuna stores local time.
    began = trial.datetime_start
    return began is None or not 0 <= (datetime.now() - began).total_seconds() < UNSIGNED_S


def swapped(storage: BaseStorage, trial_id: int, before: str | None, after: str) -> bool:
    """Replaces the name of a trial's driver; False if it has another one, or has ended.

    Optuna has no atomic step for attributes, so on a database this is one statement on its table.
    """
    storage = getattr(storage, "_backend", storage)
    if not isinstance(storage, RDBStorage):
        # An in-memory store has one process and one driver.
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
        # It was signed in the meantime.
        return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # It belongs to another user.
        return True
    return True
