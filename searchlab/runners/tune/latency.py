"""Latency on another node than a trial's own, where nodes differ; and the reference's, before any trial."""

import random
from collections.abc import Sequence
from dataclasses import replace

import ray
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from searchlab.architecture import ImageSpec
from searchlab.errors import TrialFailure, UserError, reason_of
from searchlab.measure.device import out_of_memory, resolve_device
from searchlab.measure.references import REFERENCES
from searchlab.model.early_exit import build
from searchlab.record import LatencyReport
from searchlab.study import TrialSpec
from searchlab.trial import measure


def measured_here(spec: TrialSpec, images: ImageSpec) -> LatencyReport:
    """The latency of a trial's network in this process. It does not depend on the weights."""
    device = resolve_device(spec.device)
    return measure(spec, build(spec.candidate, images).to(device), images, device)


def measured_on(nodes: Sequence[str], images: ImageSpec, spec: TrialSpec) -> LatencyReport:
    """The same on one of the nodes, which are of one machine; in this process where none is named.

    Raises:
        TrialFailure: the network cannot be measured there. What Ray says of a lost node or process is raised as it is.
        UserError: the node cannot measure anything.
    """
    if not nodes:
        return measured_here(spec, images)
    place = NodeAffinitySchedulingStrategy(random.choice(nodes), soft=False)
    task = ray.remote(measured_here).options(num_cpus=0, scheduling_strategy=place)
    try:
        report: LatencyReport = ray.get(task.remote(spec, images))
    except RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from error
        raise TrialFailure(out_of_memory(error.cause) or reason_of(error.cause)) from error
    return report


def reference_ms(nodes: Sequence[str], images: ImageSpec, spec: TrialSpec) -> float:
    """What the reference takes before any trial runs: the unit of those that begin together.

    A study on one process takes it from its first trial, for which several that begin at once cannot wait.
    """
    reference = replace(spec, candidate=REFERENCES[spec.study.reference])
    return measured_on(nodes, images, reference).reference.p50
