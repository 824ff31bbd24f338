"""Finite differences that settle, against closed forms: smooth, kinked, rounded, flat."""

import pytest
import torch

from similitude.landscape.doctor_reference import relative, settle

D = torch.float64
THETA = torch.linspace(0.5, 2.0, 40, dtype=D)
V = torch.randn(40, generator=torch.Generator().manual_seed(0), dtype=D)
SCALE = float(THETA.norm() / V.norm())


def test_a_smooth_gradient_settles_at_the_exact_product():
    found = settle(lambda t: (THETA + t * V).exp(), scale=SCALE, dtype=D)
    exact = THETA.exp() * V
    assert found.settled
    assert not found.rough
    assert found.error(exact) < 1e-9
    assert found.size == pytest.approx(float(exact.norm()), rel=1e-6)


def test_kinks_beside_the_point_are_stepped_over():
    """|x| has its kinks 1e-6 away from the entries: longer steps cross them and give something of order 1 / step."""
    near = THETA.sign() * 1e-6

    def gradient(t):
        x = near + t * V
        return x.sign() + 3 * x

    found = settle(gradient, scale=SCALE, dtype=D)
    assert found.rough
    assert found.settled
    assert found.error(3 * V) < 1e-3


def test_a_kink_at_the_point_does_not_settle():
    found = settle(lambda t: (t * V).sign(), scale=SCALE, dtype=D)
    assert not found.settled


def test_no_curvature_is_no_error():
    found = settle(lambda t: THETA, scale=SCALE, dtype=D)
    assert found.settled
    assert found.error(torch.zeros(40, dtype=D)) == 0
    assert found.error(1e-3 * V) > 0.1


def test_rounding_inside_shows_as_uncertainty():
    """The gradient is rounded to float32 on the way: its differences are as uncertain as they are wrong."""
    found = settle(lambda t: (THETA + t * V).float().exp().double(), scale=SCALE, dtype=D)
    wrong = found.error(THETA.exp() * V)
    assert found.settled
    assert wrong > 1e-6
    assert wrong <= 3 * found.uncertainty


def test_relative_distance():
    one = torch.ones(4)
    assert relative(one, one, 0.0) == 0.0
    assert relative(one, 2 * one, 4.0) == 0.5
    assert relative(one, 2 * one, 0.0) == float("inf")
    assert relative(one * float("nan"), one, 1.0) == float("inf")
