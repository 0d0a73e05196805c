"""Latency measurements on another node than the trial's, and of the reference before any trial."""

import random
from collections.abc import Sequence
from dataclasses import replace

import ray
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from searchlab.architecture import ImageSpec
from searchlab.errors import Interrupted, TrialFailure, UserError, reason_of
from searchlab.measure.device import out_of_memory, resolve_device
from searchlab.measure.isolation import PATIENT, SAY_AFTER_S, SAY_EVERY_S, Waiting, who_holds
from searchlab.measure.lock_holders import duration
from searchlab.measure.references import REFERENCES
from searchlab.model.early_exit import build
from searchlab.record import LatencyReport, TimeUnit
from searchlab.study import TrialSpec
from searchlab.trial import measure

LOOK_EVERY_S = 1.0

OVERHEAD_S = 10.0
"""Seconds that a process start and a measurement take on an idle node."""


def measured_here(spec: TrialSpec, images: ImageSpec, waiting: Waiting = PATIENT) -> LatencyReport:
    """Measures the latency of a trial's network in this process. It does not depend on the weights."""
    return measure(spec, build(spec.candidate, images).to(resolve_device(spec.device)), images, waiting)


def measured_on(nodes: Sequence[str], images: ImageSpec, spec: TrialSpec, waiting: Waiting = PATIENT) -> LatencyReport:
    """Measures the latency on one of the nodes, which have equal hardware; in this process if none is named.

    Raises:
        Interrupted: `waiting.interrupted` returned True.
        TrialFailure: the network cannot be measured there. Ray's errors of lost nodes and processes pass through.
        UserError: the node cannot measure latencies.
    """
    if not nodes:
        return measured_here(spec, images, waiting)
    place = NodeAffinitySchedulingStrategy(random.choice(nodes), soft=False)
    task = ray.remote(measured_here).options(num_cpus=0, scheduling_strategy=place)
    asked, begun = task.remote(spec, images), waiting.clock()
    says_at = begun + SAY_AFTER_S + OVERHEAD_S
    while not ray.wait([asked], timeout=LOOK_EVERY_S)[0]:
        if waiting.interrupted():
            ray.cancel(asked)
            raise Interrupted
        if (now := waiting.clock()) >= says_at:
            says_at = now + SAY_EVERY_S
            holders = ray.get(ray.remote(who_holds).options(num_cpus=0, scheduling_strategy=place).remote())
            waiting.say(f"measuring on another node for {duration(now - begun)}; its lock is held by {holders}")
    try:
        report: LatencyReport = ray.get(asked)
    except RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from error
        raise TrialFailure("node-unusable", out_of_memory(error.cause) or reason_of(error.cause)) from error
    return report


def reference_unit(nodes: Sequence[str], images: ImageSpec, spec: TrialSpec) -> TimeUnit:
    """Measures the study's unit of time on the reference before the first trials start.

    A local study takes the unit from its first trial. Trials that start at the same time cannot wait for one another.
    """
    reference = replace(spec, candidate=REFERENCES[spec.study.reference])
    return TimeUnit.of(measured_on(nodes, images, reference))
