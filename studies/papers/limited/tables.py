"""Paper 004, "Image Classification with Limited Sized ResNets" (Ganz and Adya 2022): table 1."""

from collections.abc import Sequence

from searchlab import Cell, Finished, Paper, Table
from searchlab.lab import Estimate, evaluate_exits, percent_right

ACCURACY = {
    "Approach I": 94.24,
    "Approach II (a)": 95.67,
    "Approach II (b)": 95.17,
    "Approach III (a)": 95.10,
    "Approach III (b)": 93.82,
    "Approach IV": 92.42,
}
"""Test accuracy on CIFAR-10 in percent, table 1."""

PARAMS = dict.fromkeys(ACCURACY, "~4.9 M")
"""Parameter counts of section 3."""

COLUMNS = (
    *("architecture", "test accuracy % (paper)", "test accuracy %", "parameters (paper)", "parameters", "MACs"),
    *("latency ms", "training s", "epochs"),
)


def tables(studies: Sequence[Finished]) -> tuple[Table, ...]:
    """Table 1, from the one study of the paper."""
    (finished,) = studies
    rows = tuple((name, ACCURACY[name], *_ours(finished, name)) for name in ACCURACY)
    return (Table("Table 1: Model Performance Table", COLUMNS, rows, _notes(finished)),)


def _ours(finished: Finished, name: str) -> tuple[Cell, ...]:
    record, found = finished.trial(name), finished.found(name)
    if record is None or found is None:
        return (None, PARAMS[name], *[None] * (len(COLUMNS) - 4))
    latency = found["latency_ms"]
    cells = (found["params"], found["macs"], latency and Estimate(**latency), found["train_seconds"], found["epochs"])
    return (percent_right(found), PARAMS[name], *cells)


def _notes(finished: Finished) -> tuple[str, ...]:
    images = {found["train_images"] for found in finished.findings.values()}
    trained = f"ours: {' or '.join(f'{count:,}' for count in sorted(images))} training images" if images else ""
    protocol = "the paper trains on all 50,000, ours holds 5,000 of them out for validation"
    return (f"{trained}; {protocol}" if trained else protocol,)


PAPER = Paper("Image Classification with Limited Sized ResNets", tables, evaluate_exits, PARAMS)
