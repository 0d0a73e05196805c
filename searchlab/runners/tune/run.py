"""Runs a study on Ray Tune: one Tune run over all remaining trials of the source."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

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
from searchlab.runners.tune.adapters import ResultReceiver, RungScheduler, StopOnError, StoreSearcher
from searchlab.runners.tune.bridge import Bridge
from searchlab.runners.tune.cluster import Slots, alive, connected, slots_of
from searchlab.runners.tune.latency import reference_unit
from searchlab.runners.tune.preflight import PreflightRequest, ask_nodes, checked_here, machine_nodes
from searchlab.runners.tune.stepped_trial import Work
from searchlab.runners.tune.worker import Job, Task, TrialWorker
from searchlab.study import TrialSpec, with_engine
from searchlab.trial import run_trial

SHARE_OF_STORE = 0.5
"""Largest share of a node's object store for the data; larger data are read by each process itself."""

RESULTS_PER_S = 50
"""Upper limit of results per second that Tune must process, over all running trials."""


def run_on_tune(source: TrialSource, dataset: Dataset, work: Work = run_trial) -> None:
    """Runs the trials of a source, several at a time; `work` is the function that runs a trial.

    Raises:
        UserError: the cluster is unreachable or cannot run the study, or a trial reports an invalid study.
        Interrupted: the user asked to end; running trials have no result in the store.
    """
    source.on_phase(None, "starting Ray or connecting to the cluster")
    with connected(source.options, 0 if _lies_here(source, dataset) else size_of(dataset)):
        slots = slots_of(source.options)
        source.on_phase(None, "checking the nodes, distributing the images")
        data = _data_for(source, dataset)
        place = f"{(source.options.cluster.storage_path or str(source.options.output.absolute())).rstrip('/')}"
        tasks = Tasks(source, slots, dataset.spec, *_latency_nodes(source, slots, data, place))
        shares_memory = 0 < slots.gpus < 1 or slots.cpus < slots.whole_node_cpus
        bridge = Bridge(source, tasks.task, shares_memory)
        source.on_phase(None, "waiting for Ray to begin the first trial")
        trainable = tune.with_parameters(TrialWorker, job=Job(data, work))
        _tune(bridge, trainable, slots, f"{place}/{source.study.name}")
        bridge.raise_error()


def _data_for(source: TrialSource, dataset: Dataset) -> SharedDataset | OnNode:
    """Returns the images for the object store, or, if they are too large for it, where each process reads them."""
    smallest = min(node["Resources"].get("object_store_memory", 0.0) for node in alive())
    if size_of(dataset) <= SHARE_OF_STORE * smallest and not _lies_here(source, dataset):
        return SharedDataset.of(dataset)
    study = source.study
    data = anywhere(with_size(study.data, study.image_size))
    return OnNode(data, source.options.data_root.absolute(), study.max_images, dataset.hash, study.files)


def _lies_here(source: TrialSource, dataset: Dataset) -> bool:
    """Whether every process can memory-map the same file of images, so that no copy is needed."""
    study, here = source.study, not source.options.cluster.address
    return here and is_folder(study.data) and study.max_images is None and size_of(dataset) > IN_MEMORY_BYTES


def _latency_nodes(
    source: TrialSource, slots: Slots, data: SharedDataset | OnNode, place: str
) -> tuple[tuple[str, ...], bool]:
    """Runs the preflight check; returns the nodes for latencies, and whether trials run on other nodes too.

    Raises:
        UserError: a node cannot run trials, or the latency nodes differ in hardware.
    """
    study, unit, wanted = source.study, source.unit, source.options.cluster.latency_node
    question = PreflightRequest(
        slots.device,
        source.options.threads or slots.threads,
        data if isinstance(data, OnNode) else None,
        place if study.rungs else "",
        with_engine(study, unit.machine.engine if unit else None).engine if study.measures_latency else "",
    )
    # A private Ray has one node, this machine: no task is needed for the check.
    nodes = ask_nodes(question) if source.options.cluster.address else [checked_here(question)]
    if not study.measures_latency:
        return (), False
    chosen = machine_nodes(nodes, wanted)
    machine = chosen[0].machine
    assert machine is not None
    if unit is not None and unit.machine != machine:
        see = "see --latency-node and --cpus-per-trial"
        raise other_machine(unit, machine.in_full, f"study {study.name}", see)
    return tuple(node.id for node in chosen if node.id), len(chosen) < len(nodes)


@dataclass
class Tasks:
    """Makes worker tasks from specs. `elsewhere`: trials also run on nodes that measure no latency."""

    source: TrialSource
    slots: Slots
    images: ImageSpec
    latency_nodes: tuple[str, ...]
    elsewhere: bool

    def task(self, spec: TrialSpec, alone: bool) -> Task:
        """Makes the task of a trial; with `alone`, one with a whole GPU or node."""
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
        return Task(spec, cpus, gpus, alone, every_s, self.latency_nodes if self.elsewhere else (), unit, Path.cwd())


def _tune(bridge: Bridge, trainable: type[TrialWorker], slots: Slots, place: str) -> None:
    name = f"tune-{time.strftime('%Y-%m-%d-%H-%M-%S')}"
    tune.run(
        trainable,
        name=name,
        storage_path=place,
        search_alg=StoreSearcher(bridge),
        scheduler=RungScheduler(bridge),
        stop=StopOnError(bridge),
        callbacks=[ResultReceiver(bridge, f"{place}/{name}"), TBXLoggerCallback()],  # type: ignore[no-untyped-call]
        num_samples=-1,
        max_concurrent_trials=slots.concurrent,
        max_failures=bridge.source.options.cluster.max_failures,
        reuse_actors=True,
        raise_on_failed_trial=False,
        trial_dirname_creator=_name,
        trial_name_creator=_name,
        verbose=0,
    )


def _name(trial: Trial) -> str:
    return f"trial-{trial.config['number']:05d}-{trial.trial_id}"
