"""The tables of a paper that was never written, and what its study would leave."""

from searchlab import Paper, Table
from searchlab.lab import Estimate, evaluate_exits, percent_right

PUBLISHED = {"narrow": 91.5, "wide": 95.67}


def tables(studies):
    columns = ("data", "width", "accuracy % (paper)", "accuracy %", "parameters")
    rows = []
    for finished in studies:
        for name, published in PUBLISHED.items():
            record, found = finished.trial(name), finished.found(name)
            ours = (percent_right(found), record.cost.params) if found else (None, None)
            rows.append((finished.study.data, name, published, *ours))
    return (Table("Table 1: widths", columns, tuple(rows), ("made up",)),)


PAPER = Paper("On Widths", tables, evaluate_exits, {"narrow": "~1 k"})

TABLE = Table(
    "Table 7",
    ("network", "test accuracy % (paper)", "test accuracy %", "parameters", "ms | batch", "note"),
    (
        ("small | fast", 95.1, Estimate(95.671, 95.25, 96.049), 4_971_338, 0.41239, "as is"),
        ("large", 94.24, None, None, None, None),
    ),
    ("a note",),
)
