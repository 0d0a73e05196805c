"""The naive twin of what a driver tells the sampler: every point is tried."""

import math

from searchlab.front.pareto import hypervolume, non_dominated, values_of
from searchlab.study import Study


def naive_best(study: Study, record, others) -> list[float]:
    """The point that adds most hypervolume to the points of the others, by trying each; the first of equals.

    Where none adds any, the one that is nearest to a non-dominated point of the others.
    """
    unit = {
        o.name: getattr(study, f"max_{o.name}") or float(getattr((others or [record])[0].cost, o.name))
        for o in study.objectives
        if o.sign > 0
    }

    def scaled(points):
        rows = values_of(points, study.objectives)
        for column, objective in enumerate(study.objectives):
            if objective.sign > 0:
                rows[:, column] /= rows[:, column] + unit[objective.name]
        return rows

    def volume(points) -> float:
        rows = scaled(points)
        top = values_of(points, study.objectives)[0] * 0 + [1.0 if o.sign > 0 else 0.0 for o in study.objectives]
        return hypervolume(rows, top)

    points = [point for other in others for point in other.frontier.points]
    before = volume(points) if points else 0.0
    gains = [volume([*points, point]) - before for point in record.frontier.points]
    best = next(point for point, gain in zip(record.frontier.points, gains, strict=True) if gain >= max(gains) - 1e-12)
    if max(gains) < 1e-12:
        front = scaled([points[i] for i in non_dominated(scaled(points))])
        best = min(record.frontier.points, key=lambda point: min(math.dist(scaled([point])[0], row) for row in front))
    return [float(getattr(best, objective.name)) for objective in study.objectives]
