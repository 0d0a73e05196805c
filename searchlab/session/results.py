"""Results of a study for notebooks and scripts: front, trials, best point, classifier of any point."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.analysis.profiling import ProfileRequest
from searchlab.artefacts import load_network
from searchlab.candidate import Candidate
from searchlab.deploy.classifier import ImageClassifier, ImageFacts
from searchlab.deploy.own_scores import use_scores
from searchlab.errors import Interrupted, UserError, unknown
from searchlab.front.points import FrontPoint, study_front, study_hypervolume
from searchlab.measure.device import resolve_device
from searchlab.operating_point import ExitRule
from searchlab.record import Scales, TrialRecord
from searchlab.report.compared import compared_figure
from searchlab.report.frames import front_frame, points_frame, predictions_frame, trials_frame
from searchlab.report.page import front_table
from searchlab.report.plots import front_figure
from searchlab.report.replicates import replicates_frame
from searchlab.report.tables import trial_counts
from searchlab.search.profiles import profiles_of
from searchlab.search.study_folder import check_artefacts, check_present
from searchlab.session.bundles import ExportOptions, Wanted, complete_facts, export_point, wanted_point
from searchlab.session.choosing import all_points, checked, described, within
from searchlab.session.console import console, say
from searchlab.session.found import Found, point_of, with_test
from searchlab.session.profiling import measure_profile
from searchlab.session.python_words import in_python
from searchlab.session.replicated import replicated
from searchlab.session.replicating import train_again
from searchlab.study import AUTO_ENGINE, RunOptions, Study

if TYPE_CHECKING:
    from pandas import DataFrame

PLACES = ("device", "threads", "name")
"""Arguments of `Results.profile` about where it measures, and under which name."""

MOST = 12
"""Default number of points of a front: those with the largest share of its hypervolume."""

EXPORT = ("pixels", "int8")
"""Options of `export`."""


class Results:
    """Results of a stored study: its front, its trials, and a classifier of any point.

    It is a snapshot of the store; `searchlab.open_study` reads the store again.

    Attributes:
        study: the study, overrides included.
        records: the records of all trials, in the order of their numbers.
    """

    def __init__(self, name: str | None, where: RunOptions, *, progress: bool = True) -> None:
        """Reads a study of a store; the one begun last if the name is None.

        Raises:
            UserError: the store is missing, or the study is unknown.
        """
        self._found, self._where, self._say = Found.of(name, where), where, say if progress else None
        self.study: Study = self._found.study
        self.records: list[TrialRecord] = self._found.records

    @property
    def hypervolume(self) -> float:
        """Hypervolume of the front, a share from 0 to 1."""
        return study_hypervolume(self.study, self.records)

    @in_python()
    def front(self, points: int = MOST, *, test: bool = False, profile: str = "") -> "DataFrame":
        """Returns the Pareto front, one row per point, at most `points` of them; `point` is the argument of `point()`.

        Accuracies are those of the validation split, 0 to 1; latencies are in milliseconds. With `test`, the points are
        measured again and evaluated on the test split (`test_accuracy`) once; the store keeps the results. With
        `profile`, latencies and front are those of a device profile, see `profile()`.

        Raises:
            UserError: latencies are of different machines; the profile is unknown; or, with `test`, data or artefacts
                have changed.
        """
        if profile:
            check_alone("profile", profile, test=test)
            return front_frame(self._found.profiled(profile).front(points))
        found = with_test(self._found, self._where, points, self._say) if test else self._found
        return front_frame(found.front(points))

    def trials(self) -> "DataFrame":
        """Returns one row per trial: state, most accurate point, costs, epochs, seconds and reason."""
        return trials_frame(self.records)

    def points(self) -> "DataFrame":
        """Returns one row per operating point of every complete trial; `point` is its number if it is on the front."""
        return points_frame(all_points(self._found))

    def point(self, number: int) -> "Point":
        """Returns the point of that number on the front, whether or not `front()` shows it.

        Raises:
            UserError: the number is unknown.
        """
        return Point(self, point_of(self._found, number))

    def best(self, **limits: float | None) -> "Point":
        """Returns the most accurate point within limits; the cheapest if accuracy is the only limit.

        Args:
            limits: any of `max_latency_ms`, `min_accuracy` (0 to 1, of the validation split), `max_macs` and
                `max_params`. All points of all complete trials are considered, not only those of the front.

        Raises:
            UserError: no point is within the limits (the error gives the nearest), or a limit is unknown.
        """
        return Point(self, within(self._found, checked(limits)))

    @in_python()
    def export(self, out: str | Path, point: str | int | None = None, **options: Any) -> Path:
        """Writes a point as a folder with one ONNX file, which leaves early and needs no searchlab; returns the folder.

        Args:
            out: the folder, new or empty, or an earlier export of the same point.
            point: "knee" (the default), "best", "cheapest", the number of a front point, or "TRIAL:K".
            options: `max_latency_ms` or `min_accuracy` in place of a point; `pixels` ("uint8" or "float32") is what
                the file takes; with `int8=True` a quantised file beside it, whose accuracy is measured.

        Raises:
            UserError: there is no such point, the folder holds other files, or a layer has no counterpart in ONNX.
        """
        limits = {name: options.pop(name) for name in ("max_latency_ms", "min_accuracy") if name in options}
        wanted = Wanted(None if point is None else str(point), **limits)
        return self._export(wanted_point(self._found, wanted), Path(out), options)

    def _export(self, entry: FrontPoint, folder: Path, options: dict[str, Any]) -> Path:
        for name in options:
            if name not in EXPORT:
                raise unknown("parameter", name, EXPORT, where="export")
        export_point(self._found, self._where, entry, folder, ExportOptions(**options))
        return folder

    @in_python()
    def replicate(self, seeds: int = 3, points: int = MOST, *, device: str | None = None) -> "DataFrame":
        """Trains the front's candidates again, each with fresh seeds; returns the front with what the seeds reach.

        There is one row per point. The search and its front stay as they are. Replicates that the store has are not
        trained again, so the same call goes on after Ctrl-C, and one with more `seeds` adds to what there is.

        Raises:
            UserError: the front is empty, the data or the machine are not those of the study, or another process runs
                it.
            KeyboardInterrupt: Ctrl-C, or a notebook's stop button. All results are kept.
        """
        check_at_least_one(seeds=seeds, points=points)
        store, where = self._found.store, self._where
        try:
            train_again(
                store,
                where if device is None else replace(where, device=device),
                console() if self._say else None,
                seeds,
                points,
            )
        except Interrupted:
            raise KeyboardInterrupt("all results are kept; to continue, repeat the call") from None
        return replicates_frame(self.study, replicated(store, points))

    @property
    def profiles(self) -> list[str]:
        """Names of the study's device profiles, the oldest first."""
        return [each.name for each in profiles_of(self._found.store)]

    @in_python()
    def profile(self, engine: str = AUTO_ENGINE, points: int = MOST, **where: Any) -> "DataFrame":
        """Measures the study's networks in another engine or on another machine, and returns their front.

        Nothing is trained: frontiers are computed from the stored exit tables. Networks that cannot be on the front are
        skipped. The store keeps the result under its name, for `front(profile=...)`; what it has is not measured again.

        Args:
            engine: "onnxruntime", "torch", "openvino" ...; "auto" is the device's own.
            points: the number of points to return, at most.
            where: any of `device`, `threads` (those of the CPU), and `name` (default: the engine's, with device and
                threads if unusual).

        Raises:
            UserError: no network is trained, the engine cannot be used here, or the name is that of another machine.
            KeyboardInterrupt: Ctrl-C, or a notebook's stop button. What was measured is kept.
        """
        request = ProfileRequest(engine, **known_only(where))
        try:
            outcome = measure_profile(self._found.store, self._where, request, console() if self._say else None)
        except Interrupted:
            raise KeyboardInterrupt("all results are kept; to continue, repeat the call") from None
        return front_frame(self._found.profiled(outcome.profile).front(points))

    @in_python()
    def plot(self, *profiles: str) -> Any:
        """Returns a plotly figure of the front with every trial's frontier behind it; a notebook shows it.

        With names of device profiles, the figure has the front of each; "study" is the study's own.

        Raises:
            UserError: no trial is complete, latencies are of different machines, or a profile is unknown.
        """
        if profiles:
            named = {name: self._found.profiled(name).records for name in profiles}
            return compared_figure(self.study, named)
        return front_figure(self.study, self.records)

    def _classifier(self, entry: FrontPoint, device_name: str) -> ImageClassifier:
        record = entry.record
        check_artefacts(self._found.store, [record])
        check_present(self._found.store, [record])
        use_scores(self.study)
        data, device = complete_facts(self._found, self._where, record), resolve_device(device_name)
        assert data.images is not None
        network = load_network(Path(record.directory), record.candidate, data.images)
        facts = ImageFacts(data.images, data.mean, data.std, data.class_names, data.scales or Scales())
        return ImageClassifier(network, entry.point.rule, facts, device)

    def __repr__(self) -> str:
        return f"Results of study {self.study.name}: {trial_counts(self.records)}, hypervolume {self.hypervolume:.3f}"

    def _repr_html_(self) -> str:
        table = front_table(study_front(self.study, self.records, most=MOST))
        return f"<p>{self!r}</p>{table}"


class Point:
    """A network of a study with an exit rule and its figures; see `classifier()`.

    Attributes:
        number: its number on the front, as in `Results.front()`; None if it is not on the front.
        record: the record of the trial that trained the network.
    """

    def __init__(self, results: Results, entry: FrontPoint) -> None:
        self._results, self._entry = results, entry
        self.number, self.record = entry.number or None, entry.record

    @property
    def trial(self) -> int:
        """Number of the trial that trained the network."""
        return self.record.number

    @property
    def candidate(self) -> Candidate:
        """The network and its training, as proposed by the space."""
        return self.record.candidate

    @property
    def rule(self) -> ExitRule:
        """The exit rule: exits in use, score and thresholds."""
        return self._entry.point.rule

    @property
    def accuracy(self) -> float:
        """Share of correct validation images, 0 to 1."""
        return self._entry.point.accuracy

    @property
    def latency_ms(self) -> float | None:
        """Expected milliseconds per image on the study's machine; None if not measured."""
        return self._entry.point.latency_ms

    @property
    def macs(self) -> float:
        """Expected MACs per image."""
        return self._entry.point.macs

    @property
    def params(self) -> int:
        """Parameters to deploy: stages up to the last exit in use, and the heads in use."""
        return self._entry.point.params

    @in_python()
    def classifier(self, device: str = "auto") -> "Classifier":
        """Makes the classifier of the trained network under the point's rule; `device` is auto, cpu, cuda or cuda:N.

        Raises:
            UserError: the weights are missing or damaged, or the facts about the data are unknown and the data missing.
        """
        return Classifier(self._results._classifier(self._entry, device))

    @in_python()
    def export(self, out: str | Path, **options: Any) -> Path:
        """Writes the point as a folder with one ONNX file, as `Results.export`; returns the folder.

        Raises:
            UserError: the folder holds other files, or a layer has no counterpart in ONNX.
        """
        return self._results._export(self._entry, Path(out), options)

    def __repr__(self) -> str:
        return described(self._entry)


class Classifier:
    """A trained network with its exit rule, normalisation and class names, ready for images.

    Attributes:
        class_names: names of the classes, by index.
        network: the trained torch module, in eval mode.
        rule: the exit rule.
    """

    def __init__(self, classifier: ImageClassifier) -> None:
        self._classifier = classifier
        self.class_names, self.network, self.rule = classifier.class_names, classifier.network, classifier.rule

    def predict(self, images: Any) -> "DataFrame":
        """Classifies one image or several; one row each: class, confidence (0 to 1), and exit.

        Args:
            images: paths of image files, PIL images, numpy arrays or torch tensors, alone or in a list; an array of
                H,W or H,W,C or C,H,W, or of several such images, of uint8 or of fractions from 0 to 1. They are
                resized, cropped and normalised like the training images.

        Raises:
            UserError: a file is missing or unreadable, or an array has an invalid shape, type or range.
        """
        return predictions_frame(self._classifier.classified(images))


def check_alone(name: str, value: object, **others: bool) -> None:
    """Raises UserError if a parameter is given together with one that excludes it."""
    for other, given in others.items():
        if given:
            what = f"{name} and {other} exclude each other"
            raise UserError("conflicting-options", what, where=name, value=value, allowed="omit one of them")


def known_only(where: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `Results.profile` about its place.

    Raises:
        UserError: one is unknown.
    """
    for name in where:
        if name not in PLACES:
            raise unknown("parameter", name, PLACES, where="profile")
    return where


def check_at_least_one(**counts: int) -> None:
    """Raises UserError if one of the counts is below 1."""
    for name, count in counts.items():
        if count < 1:
            raise UserError("invalid-usage", f"invalid {name}", where="replicate", value=count, allowed="at least 1")
