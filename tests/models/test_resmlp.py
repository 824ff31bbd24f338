"""The residual perceptron: its blocks against their formulas, its dials, its size at initialization."""

from __future__ import annotations

import pytest
import torch

from similitude.models import ModelError, ResMLP


def inputs(rows: int = 7) -> torch.Tensor:
    return torch.randn(rows, 3, 4, generator=torch.Generator().manual_seed(0))


def built(**dials) -> ResMLP:
    torch_state = torch.get_rng_state()
    try:
        torch.manual_seed(1)
        return ResMLP(12, 5, **dials)
    finally:
        torch.set_rng_state(torch_state)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("block", ["act_last", "act_first", "two_layers"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "abs", "linear"])
def test_blocks_are_their_formulas(activation, block, center):
    model = built(width=16, depth=2, activation=activation, block=block, center=center, branch=0.3)
    phi = {"relu": lambda z: z.clamp(min=0), "tanh": torch.tanh, "abs": torch.abs, "linear": lambda z: z}[
        activation
    ]
    x = inputs().flatten(1) @ model.stem.weight.T
    for i in range(2):
        w = model.get_parameter(f"blocks.{i}.linear.weight").T
        if block == "act_last":
            y = phi(x @ w)
        elif block == "act_first":
            y = phi(x) @ w
        else:
            y = phi(x @ model.get_parameter(f"blocks.{i}.inner.weight").T) @ w
        x = x + 0.3 * (y - y.mean(1, keepdim=True) if center else y)
    torch.testing.assert_close(model(inputs()), x @ model.head.weight.T + model.head.bias)


def test_dials_change_shapes_and_blocks_alone():
    base, wide, deep = built(width=8, depth=2), built(width=16, depth=2), built(width=8, depth=4)
    names = [name for name, _ in base.named_parameters()]
    assert [name for name, _ in wide.named_parameters()] == names
    assert {name for name, _ in deep.named_parameters()} - set(names) == {
        "blocks.2.linear.weight",
        "blocks.3.linear.weight",
    }


def test_the_stream_keeps_its_size_with_branches_by_the_root_of_the_depth():
    sizes = []
    for depth in (16, 128):
        model = built(width=256, depth=depth, activation="linear", branch=depth**-0.5)
        stream = []
        model.head.register_forward_pre_hook(lambda _, args, seen=stream: seen.append(args[0].detach()))
        model(torch.randn(64, 12, generator=torch.Generator().manual_seed(2)))
        sizes.append(float(stream[0].square().mean().sqrt()))
    assert sizes[1] / sizes[0] == pytest.approx(1, abs=0.12)
    assert sizes[1] == pytest.approx(torch.e**0.5, rel=0.15)  # (1 + 1/L)^(L/2)


def test_a_zero_head_starts_at_zero():
    assert not built(width=8, zero_head=True)(inputs()).any()


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"width": 0}, "ResMLP\\(width=0\\)"),
        ({"width": 8, "activation": "swish"}, "activation='swish'.*not one of relu"),
        ({"width": 8, "block": "three"}, "block='three'.*not one of act_last"),
    ],
)
def test_wrong_dials_are_named(dials, message):
    with pytest.raises(ModelError, match=message):
        ResMLP(12, 5, **dials)
