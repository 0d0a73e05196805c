"""The projection of partitioned candidates: the widths are the largest that hold the limits."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples
from raises import raises_code

from searchlab.architecture import VGG, ImageSpec, Partitioned, ResNet, Torchvision
from searchlab.candidate import Candidate, Exit
from searchlab.limits import Limits
from searchlab.model.cost import network_cost
from searchlab.model.fit import fit
from searchlab.model.fit_partitioned import fit_partitioned

IMAGES = ImageSpec(1, 8, 8, 7)
GROUPS = ((0, 3), (1,), (2, 4, 5, 6))
NETWORKS = st.builds(ResNet, blocks=st.sampled_from([(1,), (1, 1)]), width=st.integers(1, 12))


@st.composite
def candidates(draw):
    experts = tuple(draw(NETWORKS) for _ in GROUPS)
    generalist = draw(st.none() | NETWORKS)
    exits = (Exit(1),) if generalist and draw(st.booleans()) else ()
    routing = draw(st.sampled_from(["hard", "soft"]))
    return Candidate(Partitioned(GROUPS, draw(NETWORKS), experts, generalist, routing), exits)


def parts(candidate):
    architecture = candidate.architecture
    return [architecture.router, *architecture.experts, *filter(None, [architecture.generalist])]


@examples(30)
@given(candidates(), st.none() | st.integers(500, 60_000), st.none() | st.integers(5_000, 500_000))
def test_the_widths_are_the_largest_that_hold(candidate, max_params, max_macs):
    fitted = fit_partitioned(candidate, IMAGES, Limits(max_params, max_macs))
    if max_params is None and max_macs is None:
        assert fitted == candidate
        return
    widths, before = [part.width for part in parts(fitted)], [part.width for part in parts(candidate)]
    widest = max(widths)
    assert widths == expected_widths(before, widest)
    assert replace_widths(fitted, before) == candidate, "something else than widths was changed"
    if widest > 1:
        assert holds(fitted, max_params, max_macs)
    assert not holds(replace_widths(candidate, expected_widths(before, widest + 1)), max_params, max_macs)


def expected_widths(before, widest):
    return [max(1, width * widest // max(before)) for width in before]


def holds(candidate, max_params, max_macs):
    cost = network_cost(candidate, IMAGES)
    return not (max_params and cost.params > max_params) and not (max_macs and cost.macs > max_macs)


def replace_widths(candidate, widths):
    new = [replace(part, width=width) for part, width in zip(parts(candidate), widths, strict=True)]
    router, experts, generalist = new[0], tuple(new[1:4]), new[4] if len(new) > 4 else None
    architecture = replace(candidate.architecture, router=router, experts=experts, generalist=generalist)
    return replace(candidate, architecture=architecture)


def test_any_backbone_with_a_width_is_fitted():
    architecture = Partitioned(((0, 1, 2), (3, 4, 5, 6)), VGG((1, 1), 4), (ResNet((1,), 8), VGG((1,), 2)))
    fitted = fit_partitioned(Candidate(architecture), IMAGES, Limits(20_000))
    assert 0.7 * 20_000 < network_cost(fitted, IMAGES).params <= 20_000


def test_torchvisions_classifiers_have_no_width():
    small = ResNet((1,), 4)
    candidate = Candidate(Partitioned(((0, 1, 2), (3, 4, 5, 6)), small, (small, Torchvision("resnet18"))))
    assert fit_partitioned(candidate, IMAGES, Limits()) == candidate
    with raises_code("unsupported-network", where="partition", value="torchvision"):
        fit_partitioned(candidate, IMAGES, Limits(1_000))


def test_fit_scales_the_networks_of_a_partition_together_in_multiples_where_it_is_asked_to():
    part = ResNet((1, 1), 16)
    candidate = Candidate(Partitioned(GROUPS, part, (part, replace(part, width=24), part)))
    limits = Limits(60_000)
    assert fit(candidate, IMAGES, limits) == fit_partitioned(candidate, IMAGES, limits)
    fitted = fit(candidate, IMAGES, limits, multiple=4)
    assert all(part.width % 4 == 0 for part in parts(fitted)) and holds(fitted, 60_000, None)
