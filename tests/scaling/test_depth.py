"""Exponents of depth: against the sizes that they must keep, counted in a linear residual network."""

import math

import pytest
import torch

from similitude.core.errors import PlanError
from similitude.scaling.depth import depth_powers, residual_exponent


@pytest.mark.parametrize(
    ("given", "alpha"),
    [("depth_mup", 0.5), ("complete_p", 1.0), (0.75, 0.75), (1, 1.0), ("sp", None), (None, None)],
)
def test_a_depth_rule_is_an_exponent(given, alpha):
    assert residual_exponent(given) == alpha


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (0.25, r"outside \[0.5, 1\]: below 1/2 the sum of L branches grows"),
        (1.5, r"outside \[0.5, 1\]: above 1 every branch's share vanishes"),
        (math.nan, r"outside \[0.5, 1\]"),
        ("mup", "depth_rule 'mup' is unknown. Choose one of 'depth_mup', 'complete_p'"),
        (True, "depth_rule=True is no depth rule"),
        ([1], "is no depth rule"),
    ],
)
def test_what_is_no_depth_rule_is_refused(given, text):
    with pytest.raises(PlanError, match=text):
        residual_exponent(given)


def _change(depth: int, alpha: float, family: str) -> float:
    """Change of the last activation after one step of x <- x + depth^-alpha w_l x with scalars w_l, at w = 0."""
    w = torch.zeros(depth, dtype=torch.float64, requires_grad=True)
    x = torch.ones((), dtype=torch.float64)
    for l in range(depth):
        x = x + depth**-alpha * w[l] * x
    (gradient,) = torch.autograd.grad(x, w)
    step = gradient if family == "sgd" else gradient.sign()
    lr = 1e-3 * depth ** depth_powers(alpha, family).lr
    y = torch.ones((), dtype=torch.float64)
    for l in range(depth):
        y = y + depth**-alpha * lr * step[l] * y
    return float(y - 1)


@pytest.mark.parametrize("family", ["sgd", "entrywise", "orthogonalized"])
@pytest.mark.parametrize("alpha", [0.5, 0.7, 1.0])
def test_the_sum_of_all_changes_keeps_its_size(family, alpha):
    shallow, deep = _change(4, alpha, family), _change(256, alpha, family)
    assert deep == pytest.approx(shallow, rel=1e-3)  # to the second order in the learning rate


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_eps_follows_the_gradient(alpha):
    sizes = []
    for depth in (4, 256):
        w = torch.zeros(depth, dtype=torch.float64, requires_grad=True)
        x = torch.ones((), dtype=torch.float64)
        for l in range(depth):
            x = x + depth**-alpha * w[l] * x
        sizes.append(float(torch.autograd.grad(x, w)[0].abs().mean()))
    assert sizes[1] / sizes[0] == pytest.approx(64 ** depth_powers(alpha, "entrywise").eps)
    assert depth_powers(alpha, "sgd").eps == 0


def test_a_shared_tensor_gets_the_gradient_of_all_its_uses():
    """One w in every branch: SGD's gradient is the sum over the uses, a normalized step is not."""
    for family in ("sgd", "entrywise"):
        powers = depth_powers(1.0, family)
        changes = []
        for depth in (4, 256):
            w = torch.zeros((), dtype=torch.float64, requires_grad=True)
            (gradient,) = torch.autograd.grad((1 + w / depth) ** depth, w)
            step = gradient if family == "sgd" else gradient.sign()
            lr = 1e-3 * depth ** (powers.lr + powers.shared_lr)
            changes.append(float((1 + lr * step / depth) ** depth - 1))
        assert changes[1] == pytest.approx(changes[0], rel=1e-3)


def test_an_unknown_family_is_refused():
    with pytest.raises(PlanError, match="optimizer family 'adam' is unknown"):
        depth_powers(0.5, "adam")
