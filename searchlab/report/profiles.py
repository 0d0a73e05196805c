"""Device profiles as text, as a table and as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from searchlab.front.points import FrontPoint, study_hypervolume
from searchlab.record import DeviceProfile, TrialRecord
from searchlab.report import units
from searchlab.report.layout import FirstThatFits, Footer, figures, plain_table, words
from searchlab.serialization import to_plain
from searchlab.study import Study


@dataclass(frozen=True)
class Profiled:
    """A device profile with the records and the front that it gives."""

    profile: DeviceProfile
    records: Sequence[TrialRecord]
    front: Sequence[FrontPoint]

    @property
    def measured(self) -> int:
        """Number of networks with a latency."""
        return sum(record.frontier is not None for record in self.records)


def skipped_words(skipped: Sequence[int], failed: Mapping[int, str]) -> list[str]:
    """Says how many networks were not measured, and why."""
    lines = []
    if skipped:
        trials = ", ".join(map(str, skipped))
        lines.append(
            f"{units.counted(len(skipped), 'network')} skipped, out of reach of the front even at twice the MACs or "
            f"parameters per millisecond of the fastest: {'trial' if len(skipped) == 1 else 'trials'} {trials}"
        )
    if failed:
        lines.append(
            f"{units.counted(len(failed), 'network')} left out, without a latency: repeat the command to try again"
        )
    return lines


def profiles_view(study: Study, profiles: Sequence[Profiled], kept: str = "") -> RenderableType:
    """Returns one line per profile: name, networks, front, engine and machine. `kept` as in `front_view`."""
    if not profiles:
        return Footer((f"No profiles of study {study.name}", f"searchlab profile {study.name}{kept} measures one"))
    columns = [words("profile"), figures("networks"), figures("front"), figures("hypervolume")]
    columns += [words("engine", wrap_from=12), words("machine", wrap_from=12)]
    rows = [
        [
            each.profile.name,
            str(each.measured),
            units.counted(len(each.front), "point"),
            f"{study_hypervolume(study, each.records):.3f}",
            each.profile.unit.machine.executed_by,
            each.profile.unit.machine.hardware,
        ]
        for each in profiles
    ]
    names = " ".join(f"--profile {name}" for name in ["study", *(each.profile.name for each in profiles)])
    tables = tuple(plain_table(columns, rows, gap=gap) for gap in (3, 2, 1))
    next_ = Footer((f"next: searchlab plot {study.name}{kept} {names}",))
    return Group(FirstThatFits(tables), Text(""), next_)


def profiles_payload(study: Study, profiles: Sequence[Profiled]) -> dict[str, Any]:
    """Returns every profile of a study: name, machine, numbers of networks and points, and hypervolume."""
    return {
        "study": study.name,
        "profiles": [
            {
                "profile": each.profile.name,
                "when": each.profile.when,
                "machine": to_plain(each.profile.unit.machine),
                "networks": each.measured,
                "points": len(each.front),
                "hypervolume": study_hypervolume(study, each.records),
            }
            for each in profiles
        ],
    }
