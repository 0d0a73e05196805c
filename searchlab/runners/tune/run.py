"""A study on Ray Tune: one Tune run over whatever the source still asks for."""

import time
from dataclasses import dataclass, replace

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.logger import TBXLoggerCallback

from searchlab.architecture import ImageSpec
from searchlab.data.folder_spec import anywhere, is_folder, with_size
from searchlab.data.prepared import IN_MEMORY_BYTES
from searchlab.data.shared import OnNode, SharedDataset, size_of
from searchlab.data.splits import Dataset
from searchlab.measure.calibration import other_machine
from searchlab.runners.trial_source import TrialSource
from searchlab.runners.tune.adapters import AskTell, EndsWithDesk, Receiver, RungScheduler
from searchlab.runners.tune.bridge import Bridge
from searchlab.runners.tune.cluster import Slots, alive, connected, slots_of
from searchlab.runners.tune.latency import reference_unit
from searchlab.runners.tune.preflight import Question, answered, machine_nodes, survey
from searchlab.runners.tune.stepped_trial import Work
from searchlab.runners.tune.worker import Job, Task, TrialWorker
from searchlab.study import TrialSpec
from searchlab.trial import run_trial

SHARE_OF_STORE = 0.5
"""Data that would take more of a node's object store than this are read by every process for itself."""

RESULTS_PER_S = 50
"""Results that Tune is asked to handle per second at most, over all running trials."""


def run_on_tune(source: TrialSource, dataset: Dataset, work: Work = run_trial) -> None:
    """Runs what the source asks for, several trials at a time; `work` is what a trial does.

    Raises:
        UserError: the cluster cannot be reached or cannot run the study, or a trial says that the study is wrong.
        Interrupted: the user asked to end; running trials are left untold.
    """
    source.on_phase(None, "starting Ray, or joining its cluster")
    with connected(source.options, 0 if _lies_here(source, dataset) else size_of(dataset)):
        slots = slots_of(source.options)
        source.on_phase(None, "asking the nodes what they have, handing out the images")
        data = _data_for(source, dataset)
        place = f"{(source.options.cluster.storage_path or str(source.options.output.absolute())).rstrip('/')}"
        tasks = Tasks(source, slots, dataset.spec, *_latency_nodes(source, slots, data, place))
        shares_memory = 0 < slots.gpus < 1 or slots.cpus < slots.whole_node_cpus
        desk = Bridge(source, tasks.task, shares_memory)
        source.on_phase(None, "waiting for Ray to begin the first trial")
        trainable = tune.with_parameters(TrialWorker, job=Job(data, work))
        _tune(desk, trainable, slots, f"{place}/{source.study.name}")
        desk.raise_error()


def _data_for(source: TrialSource, dataset: Dataset) -> SharedDataset | OnNode:
    """The images for the object store, or where every process reads them, if they would fill it."""
    smallest = min(node["Resources"].get("object_store_memory", 0.0) for node in alive())
    if size_of(dataset) <= SHARE_OF_STORE * smallest and not _lies_here(source, dataset):
        return SharedDataset.of(dataset)
    study = source.study
    data = anywhere(with_size(study.data, study.image_size))
    return OnNode(data, source.options.data_root.absolute(), study.max_images, dataset.hash, study.files)


def _lies_here(source: TrialSource, dataset: Dataset) -> bool:
    """Whether every process can map the images from the file that this one has mapped, so that nothing is copied."""
    study, here = source.study, not source.options.cluster.address
    return here and is_folder(study.data) and study.max_images is None and size_of(dataset) > IN_MEMORY_BYTES


def _latency_nodes(
    source: TrialSource, slots: Slots, data: SharedDataset | OnNode, place: str
) -> tuple[tuple[str, ...], bool]:
    """The nodes to measure latencies on, and whether trials run on others too; every node is asked what it can.

    Raises:
        UserError: a node cannot run trials, or latencies would be of several machines.
    """
    study, wanted = source.study, source.options.cluster.latency_node
    question = Question(
        slots.device,
        source.options.threads or slots.threads,
        data if isinstance(data, OnNode) else None,
        place if study.rungs else "",
    )
    # A Ray of our own is one node, which is this machine: no process is begun to ask it.
    nodes = survey(question) if source.options.cluster.address else [answered(question)]
    if not study.measures_latency:
        return (), False
    chosen = machine_nodes(nodes, wanted)
    unit, machine = source.unit, chosen[0].machine
    assert machine is not None
    if unit is not None and unit.machine != machine:
        see = "see --latency-node and --cpus-per-trial"
        raise other_machine(unit, machine.in_full, f"study {study.name}", see)
    return tuple(node.id for node in chosen if node.id), len(chosen) < len(nodes)


@dataclass
class Tasks:
    """Makes of a spec what a worker gets. `elsewhere` says that trials run on nodes that latency is not measured on."""

    source: TrialSource
    slots: Slots
    images: ImageSpec
    latency_nodes: tuple[str, ...]
    elsewhere: bool

    def task(self, spec: TrialSpec, alone: bool) -> Task:
        """The trial's task; alone, it has a GPU or a node for itself."""
        slots = self.slots
        spec = replace(
            spec,
            directory=spec.directory and spec.directory.absolute(),
            threads=spec.threads or slots.threads,
            device=slots.device,
        )
        unit = self.source.unit
        if spec.study.measures_latency and unit is None:
            unit = self.source.fix_unit(reference_unit(self.latency_nodes, self.images, spec))
        gpus = max(slots.gpus, 1.0) if alone and slots.gpus else slots.gpus
        spec = replace(spec, gpu_share=min(gpus, 1.0) or 1.0)
        cpus = slots.whole_node_cpus if alone and not slots.gpus else slots.cpus
        every_s = max(2.0, slots.concurrent / RESULTS_PER_S)
        return Task(spec, cpus, gpus, alone, every_s, self.latency_nodes if self.elsewhere else (), unit)


def _tune(desk: Bridge, trainable: type[TrialWorker], slots: Slots, place: str) -> None:
    name = f"tune-{time.strftime('%Y-%m-%d-%H-%M-%S')}"
    tune.run(
        trainable,
        name=name,
        storage_path=place,
        search_alg=AskTell(desk),
        scheduler=RungScheduler(desk),
        stop=EndsWithDesk(desk),
        callbacks=[Receiver(desk, f"{place}/{name}"), TBXLoggerCallback()],  # type: ignore[no-untyped-call]
        num_samples=-1,
        max_concurrent_trials=slots.concurrent,
        max_failures=desk.source.options.cluster.max_failures,
        reuse_actors=True,
        raise_on_failed_trial=False,
        trial_dirname_creator=_name,
        trial_name_creator=_name,
        verbose=0,
    )


def _name(trial: Trial) -> str:
    return f"trial-{trial.config['number']:05d}-{trial.trial_id}"
