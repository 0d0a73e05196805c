"""Which driver a running trial belongs to: several may work on one study, and what a dead one began is taken up.

A driver signs the trials that it begins, and shows with a time in the study's attributes that it lives. Machines whose
drivers share a study need clocks that agree within a minute.
"""

import os
import socket
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from optuna.trial import FrozenTrial
from pydantic.dataclasses import dataclass

from searchlab.plain import NOUN, from_plain, to_plain

RENEWED_S, ALIVE_S = 20.0, 120.0
"""So often a driver says that it lives while it works, and so long after the last time it is taken to be alive."""

UNSIGNED_S = 10.0
"""A trial that began less than this ago and has no driver yet is about to be signed."""

OWNER, SIGN = "driver", "driver "
"""The user attribute of a trial that names its driver; what those of a study begin with that hold signs of life."""


@dataclass(frozen=True, config=NOUN)
class Sign:
    """A driver's sign of life: the process, and when (seconds since 1970)."""

    host: str
    pid: int
    at: float

    @property
    def lives(self) -> bool:
        """Whether its driver is at work. On this machine it is seen at once that a process is gone.

        A sign of this very process is one of a driver before: a process has one at a time.
        """
        if time.time() - self.at > ALIVE_S:
            return False
        return self.host != socket.gethostname() or (self.pid != os.getpid() and _runs(self.pid))


class Claim:
    """A driver's name, and when it last said that it lives."""

    def __init__(self) -> None:
        self.owner = uuid4().hex[:12]
        self._signed = -RENEWED_S

    def due(self) -> dict[str, Any]:
        """The attribute of the study to set now; empty where that is not due yet."""
        if time.monotonic() - self._signed < RENEWED_S:
            return {}
        self._signed = time.monotonic()
        return {SIGN + self.owner: to_plain(Sign(socket.gethostname(), os.getpid(), time.time()))}


def living(attributes: Mapping[str, Any]) -> set[str]:
    """The drivers that are at work, by a study's attributes."""
    return set(living_signs(attributes))


def living_signs(attributes: Mapping[str, Any]) -> dict[str, Sign]:
    """The drivers that are at work, by a study's attributes, each with its last sign."""
    values = {name.removeprefix(SIGN): value for name, value in attributes.items() if name.startswith(SIGN)}
    signs = {owner: from_plain(Sign, value, where=f"driver {owner}") for owner, value in values.items()}
    return {owner: sign for owner, sign in signs.items() if sign.lives}


def is_left(trial: FrozenTrial, alive: Collection[str]) -> bool:
    """Whether nobody works on a running trial any more, if these drivers live."""
    if OWNER in trial.user_attrs:
        return trial.user_attrs[OWNER] not in alive
    # Optuna writes local time.
    began = trial.datetime_start
    return began is None or not 0 <= (datetime.now() - began).total_seconds() < UNSIGNED_S


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # It is another user's.
        return True
    return True
