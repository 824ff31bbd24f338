"""Two sizes of a model family, compared without building them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from similitude.core.errors import FactoryError, PlanError
from similitude.scaling.axes import build, build_shapes, compare, small_sizes


def mlp(width: int, depth: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, width), *(nn.Linear(width, width) for _ in range(depth - 1)))


def test_names_shapes_and_ratios():
    pairs = compare(mlp, 4, 12).tensors
    assert [(p.name, p.base_shape, p.shape, p.ratios) for p in pairs] == [
        ("0.weight", (4, 8), (12, 8), (3.0, 1.0)),
        ("0.bias", (4,), (12,), (3.0,)),
        ("1.weight", (4, 4), (12, 12), (3.0, 3.0)),
        ("1.bias", (4,), (12,), (3.0,)),
    ]
    assert compare(mlp, 4, 12).ratio == 3.0


def test_shapes_are_compared_without_memory():
    comparison = compare(lambda w: nn.Linear(w, w), 64, 2**17)
    assert comparison.size == 2**34 + 2**17
    assert all(p.is_meta for p in comparison.target.parameters())


def test_a_factory_that_needs_real_values_is_built_for_real():
    def make(width: int) -> nn.Module:
        model = nn.Linear(width, width)
        assert model.weight.abs().max().item() > 0  # fails on the meta device
        return model

    assert not any(p.is_meta for p in compare(make, 4, 8).target.parameters())


def test_tied_tensors_have_one_pair_with_two_names():
    def make(width: int) -> nn.Module:
        model = nn.ModuleDict({"tokens": nn.Embedding(5, width), "head": nn.Linear(width, 5, bias=False)})
        model["head"].weight = model["tokens"].weight
        return model

    (pair,) = compare(make, 4, 8).tensors
    assert (pair.name, pair.aliases) == ("tokens.weight", ("head.weight",))
    assert (pair.base_shape, pair.shape) == ((5, 4), (5, 8))


def test_building_leaves_global_generators_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, two = build(mlp, 4, seed=1), build(mlp, 4, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one.get_parameter("0.weight"), two.get_parameter("0.weight"))


def _tied_when_wide(width: int) -> nn.Module:
    model = nn.Sequential(nn.Linear(width, width), nn.Linear(width, width))
    if width > 4:
        model[1].weight = model[0].weight
    return model


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda w: mlp(w, depth=w),
            PlanError,
            r"make\(4\) and make\(8\) have different parameters, so their depth",
        ),
        (lambda w: mlp(7), PlanError, r"same shapes: the width that make receives changes nothing"),
        (_tied_when_wide, PlanError, "share one tensor at one size and not at the other"),
        (
            lambda w: nn.ParameterList([torch.zeros([w] * (1 if w == 4 else 2))]),
            PlanError,
            "not one tensor at two widths",
        ),
        (lambda: nn.Linear(1, 1), FactoryError, r"make\(4\) failed with TypeError.*takes 0 positional"),
        (lambda w: None, FactoryError, r"make\(4\) returned a NoneType, not an nn.Module"),
        (lambda w: 1 // 0, FactoryError, r"ZeroDivisionError: .*\. make must take the width alone"),
        (lambda width: 1 // 0, FactoryError, r"make\(width=4\) failed with ZeroDivisionError"),
        (nn.LazyLinear, FactoryError, r"leaves 'weight', 'bias' without a shape"),
        (nn.Linear(2, 2), FactoryError, r"make\(width=4\) failed"),
        ("models:mlp", FactoryError, "is not callable"),
    ],
)
def test_what_is_wrong_with_a_factory_is_said(make, error, text):
    with pytest.raises(error, match=text):
        compare(make, 4, 8)


def test_depth_error_names_examples_and_counts():
    with pytest.raises(
        PlanError, match=r"2 only in make\(8\) \('2.weight', '2.bias'\). Keep depth and structure fixed"
    ):
        compare(lambda w: mlp(w, depth=w // 4 + 1), 4, 8)


def test_dials_reach_the_factory():
    def make(depth: int, width: int) -> nn.Sequential:
        return mlp(width, depth)

    comparison = compare(make, {"width": 4, "depth": 3}, {"depth": 3, "width": 12})
    assert [t.shape for t in comparison.tensors][::2] == [(12, 8), (12, 12), (12, 12)]
    for model in (build(make, {"width": 4, "depth": 5}), build_shapes(make, {"width": 4, "depth": 5})):
        assert len(list(model.children())) == 5
    with pytest.raises(PlanError, match=r"depth \(2 -> 3\) differs"):
        compare(make, {"width": 4, "depth": 2}, {"width": 8, "depth": 3})


def test_a_factory_without_a_dial_of_the_size_says_what_it_must_take():
    with pytest.raises(
        FactoryError,
        match=r"make\(4, 2\) failed with TypeError: .*make must take width, depth and return an nn.Module: "
        r"wrap it, e.g. lambda width, depth: Model\(width=width, depth=depth\)",
    ):
        build(lambda n: mlp(n), {"width": 4, "depth": 2})


def widths(make: Callable[..., nn.Module], base: int, target: int, **options: int) -> list[int]:
    return [size["width"] for size in small_sizes(make, base, target, **options)]


def square(width: int) -> nn.Module:
    return nn.Linear(width, width, bias=False)


def only_multiples(of: int) -> Callable[[int], nn.Module]:
    def make(width: int) -> nn.Module:
        if width % of:
            raise ValueError(f"{width} is not divisible by {of}")
        return square(width)

    return make


def test_small_sizes_lie_around_the_base_and_leave_out_the_target():
    assert widths(square, 64, 4096) == [64, 128, 256]
    assert widths(square, 64, 128) == [32, 64, 256]
    assert widths(square, 64, 32) == [64, 128, 256]
    assert widths(square, 64, 4096, count=2) == [64, 128]
    assert widths(square, 64, 64) == [64, 128, 256]
    assert widths(square, 1, 512) == [1, 2, 4]


def test_small_sizes_are_those_that_the_factory_builds():
    assert widths(only_multiples(64), 64, 512) == [64, 128, 256]
    assert widths(only_multiples(100), 100, 200) == [100, 300, 400]
    assert widths(only_multiples(2), 6, 12) == [2, 6, 24]


def test_small_sizes_are_affordable():
    found = small_sizes(square, 4096, 2**17, most_parameters=2**20)
    assert [size["width"] for size in found] == [64, 128, 256]
    # What is affordable goes below the base rather than above it.
    assert widths(square, 1024, 2**17, most_parameters=2**20) == [256, 512, 1024]
    assert widths(square, 512, 2**17, most_parameters=2**20) == [128, 256, 512]
    # Nothing smaller can be built: what is dear is better than nothing.
    assert widths(only_multiples(512), 4096, 2**17, most_parameters=2**20) == [512, 1024]
    assert widths(only_multiples(512), 512, 2**17, most_parameters=2**20) == [512, 1024]
    assert widths(square, 4096, 2**17, most_parameters=0) == []


def test_small_sizes_have_the_structure_of_the_base_and_grow():
    def deeper_when_wide(width: int) -> nn.Module:
        return mlp(width, 3 if width > 100 else 2)

    assert widths(deeper_when_wide, 64, 96) == [16, 32, 64]

    def capped(width: int) -> nn.Module:
        return square(min(width, 64))

    assert widths(capped, 64, 4096) == [16, 32, 64]


@pytest.mark.parametrize(("most", "found"), [(2**20, [64, 256]), (10_000, [64])])
def test_the_target_is_used_only_where_nothing_else_can_be_built(most, found):
    shapes = {64: 64, 256: 256}

    def make(width: int) -> nn.Module:
        return square(shapes[width])

    assert widths(make, 64, 256, most_parameters=most) == found


def test_small_sizes_keep_the_other_dials():
    def make(width: int, depth: int) -> nn.Module:
        return mlp(width, depth)

    found = small_sizes(make, {"width": 64, "depth": 3}, {"width": 512, "depth": 3})
    assert found == tuple({"width": n, "depth": 3} for n in (64, 128, 256))


def test_a_base_that_cannot_be_built_is_an_error():
    with pytest.raises(FactoryError, match=r"make\(width=64\) failed with ValueError"):
        small_sizes(only_multiples(100), 64, 4096)
