"""Records of trials: costs, latencies, learning curve, frontier, and state."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from searchlab.architecture import ImageSpec
from searchlab.candidate import Candidate
from searchlab.operating_point import Estimate, ExitRule, Frontier, OperatingPoint
from searchlab.serialization import NOUN

State = Literal["running", "interrupted", "complete", "stopped", "infeasible", "failed"]
"""State of a trial. Interrupted: begun, without a result, and no driver works on it."""


@dataclass(frozen=True, config=NOUN)
class SegmentCost:
    """Parameters and MACs (per image) of a stage, a head or a gate."""

    name: str
    params: int
    macs: int


@dataclass(frozen=True, config=NOUN)
class NetworkCost:
    """Static costs of a network: its stages in a row, its heads (final last), the cut of each head, and its gates.

    There is a gate for every head but the last, or none.
    """

    stages: tuple[SegmentCost, ...]
    heads: tuple[SegmentCost, ...]
    cuts: tuple[int, ...]
    gates: tuple[SegmentCost, ...] = ()

    def __post_init__(self) -> None:
        if len(self.heads) != len(self.cuts):
            raise ValueError("needs one cut for every head")
        if len(self.gates) not in (0, len(self.heads) - 1):
            raise ValueError("needs one gate for every head but the last, or none")

    @property
    def params(self) -> int:
        """Parameters of every stage, head and gate."""
        return sum(part.params for part in (*self.stages, *self.heads, *self.gates))

    @property
    def macs(self) -> int:
        """MACs of an image that passes every stage, head and gate."""
        return sum(part.macs for part in (*self.stages, *self.heads, *self.gates))


@dataclass(frozen=True, config=NOUN)
class Machine:
    """Machine and engine of a latency measurement. Latencies of different ones never mix in one front.

    `engine` is what executed the networks, with its version. Records of before there were engines have none: they are
    of PyTorch, eager on a CPU and in CUDA graphs on a GPU.
    """

    device: Literal["cpu", "cuda"]
    name: str
    threads: int
    driver: str
    torch: str
    python: str
    engine: str = ""
    engine_version: str = ""

    def __post_init__(self) -> None:
        if not self.engine:
            object.__setattr__(self, "engine", "torch" if self.device == "cpu" else "cuda-graphs")
        if not self.engine_version:
            object.__setattr__(self, "engine_version", self.torch)

    @property
    def executed_by(self) -> str:
        """The engine with its version: "onnxruntime 1.31.1"."""
        return f"{self.engine} {self.engine_version}"

    @property
    def hardware(self) -> str:
        """What executes the engine: "cpu (2 threads) AMD EPYC"."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        kind = f"cpu ({threads})" if self.device == "cpu" else "cuda"
        return f"{kind} {self.name}"

    @property
    def label(self) -> str:
        """Short name for footers: "cpu (2 threads) AMD EPYC, onnxruntime 1.31.1"."""
        return f"{self.hardware}, {self.executed_by}"

    @property
    def in_full(self) -> str:
        """Full description, to tell two machines apart."""
        torch = [] if self.engine_version == self.torch else [f"torch {self.torch}"]
        return ", ".join([self.label, f"driver {self.driver or 'none'}", *torch, f"python {self.python}"])


@dataclass(frozen=True, config=NOUN)
class Quantiles:
    """Latency in milliseconds: median, 90th and 99th percentile, and the median's 95 % bootstrap interval."""

    p50: float
    p90: float
    p99: float
    low: float
    high: float


@dataclass(frozen=True, config=NOUN)
class SegmentLatency:
    """Milliseconds that every stage, head and gate, and an exit decision by each score, add to a sample.

    The latency of leaving at an exit is additive: the stages up to its cut, the heads of the used exits up to it, and a
    decision at each of them that is not the last one in use. With gates: instead of the heads that were passed, the
    gates up to it, and the one head that was taken.
    """

    stages_ms: tuple[float, ...]
    heads_ms: tuple[float, ...]
    decision_ms: dict[str, float]
    gates_ms: tuple[float, ...] = ()


@dataclass(frozen=True, config=NOUN)
class Profile:
    """Cost and latency of one network on one device. Without `latency` only parameters and MACs are known."""

    cost: NetworkCost
    latency: SegmentLatency | None = None


@dataclass(frozen=True, config=NOUN)
class LatencyCheck:
    """Comparison of the additive model with the routed network, end to end, over the same samples.

    `rule` and `images` describe the comparison; None and 0 if no rule was used, and in records of earlier versions.
    """

    additive_ms: float
    end_to_end_ms: float
    rule: ExitRule | None = None
    images: int = 0

    @property
    def error(self) -> float:
        """Relative error of the additive model; negative if it is too low."""
        return self.additive_ms / self.end_to_end_ms - 1


DIFFERENCE = {"cpu": 0.10, "cuda": 0.05}
"""Largest accepted relative error of the additive latency, by type of device."""

BELIEVED = 0.25
"""Largest relative error of the additive latency, on any device, at which a trial has a latency at all."""

WAITED = 0.20
"""Largest accepted share of a measurement's time in which its threads wait for a core."""

FASTER = 1.5
"""Largest accepted speed of the reference, as a multiple of that in the study's unit of time."""


@dataclass(frozen=True, config=NOUN)
class LatencyReport:
    """Result of a trial's latency measurement, interleaved with the reference's.

    `check` uses real images after the training. `mixed` is made during the measurement, with samples that leave at
    different exits. `waited` is the share of the time in which its threads were runnable but had no core.

    All figures are in the study's unit of time: measured milliseconds divided by `drift`, the slowdown of the reference
    since the study's first measurement. A shared machine drifts by tens of percent; ratios are not affected.
    """

    machine: Machine
    batch_size: int
    segments: SegmentLatency
    whole: Quantiles
    reference_name: str
    reference: Quantiles
    ratio: Estimate
    check: LatencyCheck | None = None
    drift: float = 1.0
    mixed: LatencyCheck | None = None
    waited: float = 0.0

    @property
    def worry(self) -> float:
        """Strongest doubt about the figures, as a multiple of the accepted value; above 1 they are in doubt."""
        check = self.check or self.mixed
        differs = abs(check.error) / DIFFERENCE[self.machine.device] if check else 0.0
        return max(differs, self.waited / WAITED, 1 / self.drift / FASTER)

    @property
    def disbelief(self) -> str:
        """Why the figures are no latency at all; "" if they are one, perhaps in doubt."""
        check = self.check or self.mixed
        return self.doubt if check and abs(check.error) > BELIEVED else ""

    @property
    def doubt(self) -> str:
        """Why the figures are in doubt; "" if they are not."""
        if self.worry <= 1:
            return ""
        check = self.check or self.mixed
        if check and abs(check.error) > DIFFERENCE[self.machine.device]:
            return f"additive and end-to-end latency differ by {100 * abs(check.error):.0f} %"
        if self.waited > WAITED:
            return f"its threads waited for a core for {100 * self.waited:.0f} % of the time"
        return f"the study's unit of time is too long: the reference is {1 / self.drift:.1f} times faster now"


@dataclass(frozen=True, config=NOUN)
class TimeUnit:
    """A study's unit of time: the reference's median latency in the first measurement, and its machine."""

    reference_name: str
    reference_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    machine: Machine

    @classmethod
    def of(cls, report: LatencyReport) -> "TimeUnit":
        """Returns the unit of a report."""
        return cls(report.reference_name, report.reference.p50, report.machine)


@dataclass(frozen=True, config=NOUN)
class Epoch:
    """One row of the learning curve. `accuracy` is that of every exit on the validation split, if evaluated."""

    epoch: int
    loss: float
    learning_rate: float
    accuracy: tuple[float, ...] = ()


@dataclass(frozen=True, config=NOUN)
class Seconds:
    """Wall-clock seconds of the parts of a trial."""

    measure: float = 0.0
    train: float = 0.0
    evaluate: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, config=NOUN)
class Scales:
    """Conversion of a data set's pixels to bytes, the same for all of its images.

    Attributes:
        integers: the value of 16- and 32-bit integers that becomes 255.
        floats: that of fractions.
        background: the grey level that transparent images are laid on.
    """

    integers: int = 65535
    floats: int = 255
    background: int = 255


@dataclass(frozen=True, config=NOUN)
class DataFacts:
    """Facts about the training data that are needed to use a network without the data.

    `mean` and `std` are those of the normalisation, per channel, for pixels scaled to 0..1. `hash` covers class names,
    splits, labels and pixels. Fields that an earlier version did not record are empty or None.
    """

    name: str = ""
    images: ImageSpec | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    class_names: tuple[str, ...] = ()
    hash: str = ""
    scales: Scales | None = None


@dataclass(frozen=True, config=NOUN)
class TrialRecord:
    """One candidate, trained and measured. `reason` says why it stopped, failed or is infeasible.

    `excess` gives, for an infeasible candidate, how far it is over each limit, as a share of the limit.
    `frontier` is that of the validation split. `row` is the name of its enqueued configuration in tables.
    `directory` is the folder of its artefacts; as stored it is relative to the output folder, whose id is `output`.
    """

    number: int
    state: State
    candidate: Candidate
    seed: int
    data: DataFacts = DataFacts()
    cost: NetworkCost | None = None
    latency: LatencyReport | None = None
    curve: tuple[Epoch, ...] = ()
    frontier: Frontier | None = None
    seconds: Seconds = Seconds()
    reason: str = ""
    excess: dict[str, float] = Field(default_factory=dict)
    directory: str = ""
    output: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    epochs: Annotated[int, Field(ge=0)] = 0
    row: str = ""

    @property
    def profile(self) -> Profile:
        """Cost and latency of the network, whose cost must be known."""
        assert self.cost is not None
        return Profile(self.cost, self.latency.segments if self.latency else None)


@dataclass(frozen=True, config=NOUN)
class TestLook:
    """One evaluation of a trial's points on the test split, after a new latency measurement.

    `validation` and `test` follow each other: the same rule on either split, with the new latency.
    """

    trial: int
    when: str
    latency: LatencyReport | None
    validation: tuple[OperatingPoint, ...]
    test: tuple[OperatingPoint, ...]


@dataclass(frozen=True, config=NOUN)
class DeviceProfile:
    """The latencies of a study's networks in one engine on one machine, beside those that the search measured.

    `unit` is its unit of time, as that of a study. `when` is the time of its first measurement, in ISO 8601.
    """

    name: str
    unit: TimeUnit
    when: str


@dataclass(frozen=True, config=NOUN)
class ProfiledTrial:
    """A trial's network in a device profile: its latency in the profile's unit of time, and its frontier with it."""

    trial: int
    latency: LatencyReport
    frontier: Frontier
