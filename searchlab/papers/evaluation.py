"""Findings about a trial after its training: shared evaluation, statistics, and the file of findings.

Shapes: N images.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searchlab.data.batches import Normaliser
from searchlab.errors import UserError
from searchlab.exits.table import ExitTable, load_table
from searchlab.exits.tabulate import tabulate
from searchlab.exits.top_k import correct_among
from searchlab.operating_point import Estimate, difference_estimate, share_estimate
from searchlab.papers.paper import Findings, Paper, Subject
from searchlab.record import TrialRecord
from searchlab.serialization import to_plain
from searchlab.trial_files import TABLE, disk_errors

FINDINGS = "findings.json"


def evaluate_exits(subject: Subject) -> Findings:
    """Evaluate a trial on the test split; most papers use this.

    `exits` has one entry per exit, the final head's last: its cut, how many of `samples` test images it classifies
    correctly, top-1 and top-3. Sizes: `params`, `macs`, `megabytes` of weights (1e6 bytes). Times:
    `train_seconds`, and `latency_ms` of the whole network, null where it was not measured.
    """
    normaliser = Normaliser.of(subject.dataset, subject.device)
    table = tabulate(subject.network, subject.dataset.test.to(subject.device), normaliser)
    record, tensors = subject.record, subject.network.state_dict().values()
    assert record.cost is not None
    whole = record.latency.whole if record.latency else None
    return {
        "samples": table.samples,
        "exits": [
            {"cut": cut, "correct": correct, "correct_of_3": correct_of_3}
            for cut, correct, correct_of_3 in zip(
                record.candidate.cuts, correct_among(table, 1), correct_among(table, 3), strict=True
            )
        ],
        "params": record.cost.params,
        "macs": record.cost.macs,
        "megabytes": sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 1e6,
        "train_seconds": record.seconds.train,
        "epochs": record.epochs,
        "train_images": len(subject.dataset.train),
        "latency_ms": to_plain(Estimate(whole.p50, whole.low, whole.high)) if whole else None,
    }


def validation_table(subject: Subject) -> ExitTable:
    """Reads the trial's exit table of the validation split.

    Raises:
        UserError: the file is missing or damaged.
    """
    return load_table(Path(subject.record.directory) / TABLE)


def percent_right(findings: Findings, exit: int = -1) -> Estimate:
    """Test accuracy of an exit (the final head's where none is named) in percent, with its 95 % interval."""
    return percent_of(findings["exits"][exit]["correct"], findings["samples"])


def percent_wrong(findings: Findings, exit: int = -1, *, first: int = 1) -> Estimate:
    """Top-1 (or top-3) test error of an exit in percent, with its 95 % interval."""
    hits = findings["exits"][exit][{1: "correct", 3: "correct_of_3"}[first]]
    return percent_of(findings["samples"] - hits, findings["samples"])


def percent_of(hits: int, samples: int) -> Estimate:
    """The share of `hits` in percent, with its 95 % interval."""
    return percent(share_estimate(hits, samples))


def gained_and_lost(right_N: NDArray[np.bool_], baseline_N: NDArray[np.bool_]) -> tuple[int, int]:
    """Numbers of samples that are right here and wrong in the baseline, and wrong here and right in the baseline."""
    return int((right_N & ~baseline_N).sum()), int((baseline_N & ~right_N).sum())


def points_above(gained: int, lost: int, samples: int) -> Estimate:
    """Accuracy gain in points, from samples gained and lost (`gained_and_lost`), with its 95 % interval."""
    return percent(difference_estimate(gained, lost, samples))


def percent(share: Estimate) -> Estimate:
    """A share, or a difference of shares, in percent."""
    return Estimate(100 * share.value, 100 * share.low, 100 * share.high)


def without_findings(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The complete trials that have no findings yet."""
    return [r for r in records if r.state == "complete" and r.directory and not _path(r).is_file()]


def load_findings(records: Sequence[TrialRecord]) -> dict[int, Findings]:
    """Stored findings, by number of the trial.

    Raises:
        UserError: a file is damaged.
    """
    found = {}
    for record in records:
        if record.directory and _path(record).is_file():
            try:
                found[record.number] = json.loads(_path(record).read_text())
            except ValueError as error:
                mend = "delete it, then `searchlab resume` the study"
                raise UserError(
                    "artefact-unreadable", "invalid JSON", where=str(_path(record)), allowed=mend
                ) from error
    return found


def evaluate_trial(paper: Paper, subject: Subject) -> None:
    """Evaluate a trial for a paper and write the findings into its folder, atomically.

    Raises:
        UserError: the disk is full, or the folder cannot be written.
    """
    assert paper.evaluate is not None
    findings = json.dumps(paper.evaluate(subject), indent=1, allow_nan=False)
    path = _path(subject.record)
    with disk_errors(path.parent):
        unfinished = path.with_suffix(".part")
        unfinished.write_text(findings)
        unfinished.replace(path)


def _path(record: TrialRecord) -> Path:
    return Path(record.directory) / FINDINGS
