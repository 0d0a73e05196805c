"""What every space file owes: candidates that can be built, hold the study's limits, differ, and survive JSON."""

import itertools
import re
from pathlib import Path

import optuna
import pytest
from optuna.trial import FixedTrial
from tiny import IMAGES, tiny_study

from searchlab.architecture import ImageSpec
from searchlab.candidate import Candidate
from searchlab.limits import Limits
from searchlab.model.cost import network_cost
from searchlab.model.width import excess_over
from searchlab.search.catalog import SourceFile, load_space
from searchlab.search.places import name_of
from searchlab.search.spaces import propose
from searchlab.serialization import from_plain, to_plain
from searchlab.study import Study

ROOT = Path(__file__).parent.parent
FILES = [*sorted((ROOT / "spaces").glob("*.py")), *sorted((ROOT / "studies" / "papers").glob("*/space.py"))]
SPACES = [
    pytest.param(path, marks=() if path.stem == "small_resnet" else pytest.mark.slow, id=name_of(path))
    for path in FILES
]
"""All spaces; quick tests look at one of them."""

LIMITS = [
    pytest.param(ImageSpec(1, 8, 8, 10), {"max_params": 60_000}, id="8x8x1"),
    pytest.param(ImageSpec(1, 28, 28, 10), {"max_params": 100_000, "max_macs": 10_000_000}, id="28x28x1"),
    pytest.param(ImageSpec(3, 32, 32, 100), {"max_params": 300_000, "max_macs": 30_000_000}, id="32x32x3"),
]
PARTS = 5
"""Of the thousand samples of a space, each drawn with a seed of its own: so that they can be shared out."""


def sampled(path: Path, images: ImageSpec, count: int, seed: int = 0, **limits: int) -> list[Candidate]:
    """What a space makes of random suggestions."""
    space, study = load_space(SourceFile(name_of(path), path)), Study(name_of(path), "none", **limits)
    trials = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [propose(space, trials.ask(), images, study) for _ in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("path", SPACES)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_one_of_a_thousand_samples_can_be_built_and_holds_the_limits(path, part):
    for limit in LIMITS:
        images, limits = limit.values
        count = 1000 // PARTS // len(LIMITS) + 1
        candidates = sampled(path, images, count, seed=part, **limits)
        over = {c.id: excess for c in candidates if (excess := excess_over(network_cost(c, images), Limits(**limits)))}
        assert over == {}
        assert all(from_plain(Candidate, to_plain(candidate)) == candidate for candidate in candidates)
        assert len({candidate.id for candidate in candidates}) > 0.9 * count


@pytest.mark.parametrize("path", SPACES)
@pytest.mark.parametrize(("images", "limits"), LIMITS)
def test_a_space_needs_no_limits(path, images, limits):
    assert all(network_cost(candidate, images).params > 0 for candidate in sampled(path, images, 20))


@pytest.mark.parametrize("path", SPACES)
def test_the_limits_are_used_and_not_only_held(path):
    """Half of what is allowed is within reach; else the cap would be an empty promise."""
    images, allowed = ImageSpec(3, 32, 32, 10), 300_000
    costs = [network_cost(c, images).params for c in sampled(path, images, 50, max_params=allowed)]
    assert max(costs) > allowed / 2


@pytest.mark.parametrize("path", SPACES)
def test_the_same_suggestions_make_the_same_candidate(path):
    images = ImageSpec(1, 8, 8, 10)
    one, again = (sampled(path, images, 10, max_params=60_000) for _ in range(2))
    assert one == again


def test_every_space_is_looked_at():
    assert {"small_resnet", "everything", "checkpoint", "deeper", "gates", "limited", "partitions"} <= set(
        map(name_of, FILES)
    )


def test_the_space_of_the_guide_works_with_and_without_gates_and_head_widths():
    guide = (Path(__file__).parent.parent / "docs/guide/studies.md").read_text()
    names = {}
    (text,) = [block for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "Gate(" in block]
    exec(text, names)
    for hidden, gated in itertools.product((0, 32, 64), (False, True)):
        known = {"depth": 2, "head_width": hidden, "gated": gated}
        candidate = propose(names["space"], FixedTrial(known), IMAGES, tiny_study(max_params=20_000))
        assert bool(candidate.gates) == gated and candidate.exits[0].head.hidden == ((hidden,) if hidden else ())
        assert 15_000 < network_cost(candidate, IMAGES).params <= 20_000
