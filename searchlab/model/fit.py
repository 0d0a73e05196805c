"""Projection to the limits: spaces sample parameters in fixed ranges, and the limits determine the width."""

from dataclasses import replace

from searchlab.architecture import ImageSpec, Partitioned
from searchlab.candidate import Candidate
from searchlab.limits import Limits
from searchlab.model.fit_partitioned import fit_partitioned
from searchlab.model.width import rounded, widest, with_width


def fit(candidate: Candidate, images: ImageSpec, limits: Limits, *, multiple: int = 1) -> Candidate:
    """Returns the candidate with the largest base width that meets the caps on size, all heads counted.

    Without a cap on size it is returned unchanged. If at least `multiple` channels fit, the width is rounded down to a
    multiple of it: convolutions on 16 channels can take half the time of those on 20. If not even width 1 fits, the
    candidate is returned with width 1, and is then recorded as infeasible. The networks of a partition are scaled
    together (`fit_partitioned`).

    Raises:
        UserError: there is a cap, but the architecture has no base width.
    """
    if not limits.cap_size:
        return candidate
    if isinstance(candidate.architecture, Partitioned):
        return fit_partitioned(candidate, images, limits, multiple=multiple)
    backbone = with_width(candidate.architecture, where="architecture")

    def widened(width: int) -> Candidate:
        return replace(candidate, architecture=replace(backbone, width=width))

    return widened(rounded(widest(widened, images, limits, start=backbone.width), multiple))
