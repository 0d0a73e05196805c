"""Every rule and policy for leaving early, on one exit table: the accuracy each reaches at half of the full cost.

All are fitted to the validation split and read on the test split, which nothing was fitted to. Half is in MACs, of all
stages and the final head; each family puts forward its most accurate point on the validation split that costs no more
there. What it costs on the test split is shown beside. Intervals are those of one accuracy (Wilson, 95 %); the families
see the same images, so that differences are surer than the intervals look.

Without `--trial` a small network with three early exits is trained on `digits`, for a few epochs, so that the exits
have something to disagree about. With it, DIR is the folder of a trial of CIFAR-10, and `--data` has the images.
"""

import argparse
import json
import tempfile
from pathlib import Path

from common import report

from searchlab.architecture import ResNet
from searchlab.artefacts import load_network
from searchlab.baselines.compare import Row, chosen_at, compare
from searchlab.candidate import Candidate, Exit, Training
from searchlab.data.batches import Normaliser
from searchlab.data.datasets import load
from searchlab.exits.frontier import FrontierSettings
from searchlab.exits.scores import SCORES, available_scores
from searchlab.exits.table import load_table
from searchlab.exits.tabulate import tabulate
from searchlab.objective import accuracy, macs
from searchlab.record import NetworkCost, Profile, TrialRecord
from searchlab.serialization import from_plain
from searchlab.study import Study, TrialSpec
from searchlab.trial import run_trial
from searchlab.trial_files import TABLE

CANDIDATE = Candidate(
    ResNet((1, 1, 1), 8), (Exit(0), Exit(1), Exit(2)), training=Training(batch_size=64, learning_rate=0.1)
)
EPOCHS = 20


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a run under a minute: 21 thresholds an exit, not 101")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the data sets, for --trial")
    parser.add_argument("--trial", type=Path, help="folder of a trial of CIFAR-10; without it digits are trained")
    return parser.parse_args()


def train_digits(folder: Path) -> Path:
    """The artefacts of a trial that is run now."""
    study = Study("none", "digits", (accuracy, macs), name="rules", epochs=EPOCHS, scores=tuple(SCORES))
    record = run_trial(TrialSpec(0, CANDIDATE, study, directory=folder), load("digits", Path()))
    assert record.state == "complete", record.reason
    return folder


def full_macs(cost: NetworkCost) -> int:
    """MACs of the network without early exits."""
    return sum(stage.macs for stage in cost.stages) + cost.heads[-1].macs


def rows_of(folder: Path, data: str, root: Path, levels: int) -> tuple[tuple[Row, ...], NetworkCost, int]:
    """All rules and policies, fitted to the validation split and judged on the test split."""
    record = from_plain(TrialRecord, json.loads((folder / "record.json").read_text()), where=str(folder))
    assert record.cost is not None
    dataset = load(data, root)
    network = load_network(folder, record.candidate, dataset.spec)
    fit_table = load_table(folder / TABLE)
    judge_table = tabulate(network, dataset.test, Normaliser.of(dataset, "cpu"))
    scores = available_scores(tuple(SCORES), fit_table.gates_NG is not None)
    settings = FrontierSettings((accuracy, macs), scores, levels, max_points=10_000)
    return compare(fit_table, judge_table, Profile(record.cost), settings), record.cost, fit_table.samples


def main() -> None:
    args = options()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.trial or train_digits(Path(temporary) / "trial")
        data = "cifar10" if args.trial else "digits"
        rows, cost, fitted_to = rows_of(folder, data, args.data, 21 if args.quick else 101)
    full = full_macs(cost)
    figures: dict[str, float | int | str] = {"data": data, "early exits": len(cost.heads) - 1, "fitted to": fitted_to}
    figures["judged on"] = next(point.judged.samples for row in rows for point in row.points)
    for row in rows:
        chosen = chosen_at(row.points, full / 2)
        if chosen is None:
            figures[row.rule] = row.left_out or ("nothing so cheap" if row.points else "nothing to try")
            continue
        found = chosen.judged.accuracy_estimate
        figures[f"{row.rule}, %"] = 100 * found.value
        figures[f"{row.rule}, interval"] = f"{100 * found.low:.2f} to {100 * found.high:.2f}"
        figures[f"{row.rule}, share of full MACs"] = chosen.judged.macs / full
        figures[f"{row.rule}, % where fitted"] = 100 * chosen.fitted.accuracy
    report("rules", figures, {})


if __name__ == "__main__":
    main()
