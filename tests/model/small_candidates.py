"""Hypothesis strategies for candidates that can be built, small enough to be built often."""

from hypothesis import strategies as st

from searchlab.architecture import ImageSpec, ResNet
from searchlab.candidate import Candidate, Exit, Head

KERNEL = st.sampled_from([1, 3, 5, 7])
RESNETS = st.builds(
    ResNet,
    blocks=st.lists(st.integers(1, 2), min_size=1, max_size=4).map(tuple),
    width=st.integers(1, 12),
    growth=st.sampled_from([1.0, 1.3, 2.0]),
    first_kernel=KERNEL,
    second_kernel=KERNEL,
    skip_kernel=KERNEL,
    stem_kernel=KERNEL,
    stem_stride=st.sampled_from([1, 2]),
    stem_pool=st.booleans(),
)
IMAGES = st.builds(ImageSpec, st.sampled_from([1, 3]), st.integers(5, 17), st.integers(5, 17), st.integers(2, 12))


@st.composite
def candidates(draw):
    """A candidate that can be built for images of at least 1 x 1 pixel: it pools to 1 x 1."""
    architecture = draw(RESNETS)
    head = st.builds(Head, st.just(1), st.lists(st.integers(1, 9), max_size=2).map(tuple), st.sampled_from([0.0, 0.4]))
    cuts = sorted(draw(st.sets(st.integers(0, architecture.stages - 2), max_size=3)))
    return Candidate(architecture, tuple(Exit(cut, draw(head)) for cut in cuts), draw(head))
