"""Two sizes of a model family, compared without building them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from similitude.core.errors import FactoryError, PlanError
from similitude.scaling.axes import build, compare


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


def test_tied_tensors_have_one_pair_with_two_uses():
    def make(width: int) -> nn.Module:
        model = nn.ModuleDict({"tokens": nn.Embedding(5, width), "head": nn.Linear(width, 5, bias=False)})
        model["head"].weight = model["tokens"].weight
        return model

    (pair,) = compare(make, 4, 8).tensors
    assert [use.name for use in pair.uses] == ["tokens.weight", "head.weight"]
    assert [type(use.owner) for use in pair.uses] == [nn.Embedding, nn.Linear]


def test_building_leaves_global_generators_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, two = build(mlp, 4, seed=1), build(mlp, 4, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one[0].weight, two[0].weight)


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
        (nn.LazyLinear, FactoryError, r"leaves 'weight', 'bias' without a shape"),
        (nn.Linear(2, 2), FactoryError, r"make\(4\) failed"),
        ("models:mlp", FactoryError, "is not callable"),
    ],
)
def test_what_is_wrong_with_a_factory_is_said(make, error, text):
    with pytest.raises(error, match=text):
        compare(make, 4, 8)


def test_depth_error_names_examples_and_counts():
    with pytest.raises(
        PlanError, match=r"2 only at 8 \('2.weight', '2.bias'\). Keep depth and structure fixed"
    ):
        compare(lambda w: mlp(w, depth=w // 4 + 1), 4, 8)
