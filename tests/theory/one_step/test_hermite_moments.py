"""Moments of activations against closed forms, an adaptive integral, and inputs that have none."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from similitude.core.errors import TheoryError
from similitude.theory.finite_width.activation import read_activation
from similitude.theory.one_step.hermite import HermiteMoments, hermite_moments, moments_at


def _erf(z):
    return torch.erf(z / math.sqrt(2))


@pytest.mark.parametrize(
    ("phi", "mean", "linear", "square"),
    [
        (torch.relu, 1 / math.sqrt(2 * math.pi), 0.5, 0.5),
        (torch.abs, math.sqrt(2 / math.pi), 0.0, 1.0),
        (lambda z: z**2 - 1, 0.0, 0.0, 2.0),
        (lambda z: z**3, 0.0, 3.0, 15.0),
        (torch.sign, 0.0, math.sqrt(2 / math.pi), 1.0),
        (_erf, 0.0, 1 / math.sqrt(math.pi), 1 / 3),
        (torch.nn.Identity(), 0.0, 1.0, 1.0),
    ],
)
def test_closed_forms(phi, mean, linear, square):
    found = hermite_moments(phi)
    assert (found.mean, found.linear) == pytest.approx((mean, linear), abs=1e-9)
    assert found.power + found.mean**2 == pytest.approx(square, rel=1e-9)
    assert found.rest == pytest.approx(math.sqrt(max(square - mean**2 - linear**2, 0.0)), abs=1e-8)


def test_moments_of_every_neuron():
    """phi(location + scale z), also where the kink is away from zero, and where a neuron is constant."""
    location, scale = np.array([0.3, -2.0, 1.0, 0.7]), np.array([1.0, 0.5, 3.0, 0.0])
    found = np.array(moments_at(read_activation(torch.relu), location, scale))
    for i, (at, by) in enumerate(zip(location, scale, strict=True)):

        def mean(power, at=at, by=by):
            def value(z):
                return z ** (power % 2) * max(at + by * z, 0.0) ** (1 + power // 2) * stats.norm.pdf(z)

            return integrate.quad(value, -12, 12, points=[-at / by] if by else None, epsabs=1e-11)[0]

        first, linear, second = mean(0), mean(1), mean(2)
        rest = math.sqrt(max(second - first**2 - linear**2, 0.0))
        assert found[:, i] == pytest.approx((first, linear, rest), abs=2e-5)


def test_without_a_rest_it_is_exactly_zero():
    assert hermite_moments(lambda z: 3 * z + 1).rest == 0


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: hermite_moments(lambda z: 1e200 * torch.tanh(z)), "no finite variance"),
        (lambda: hermite_moments(lambda z: z.sum()), "acts entry by entry"),
        (lambda: hermite_moments("relu"), "phi is a str"),
        (lambda: HermiteMoments(0.0, math.nan, 1.0), "linear=nan: pass finite moments"),
        (lambda: HermiteMoments(0.0, 1.0, -1.0), "rest=-1.0 is a root mean square"),
        (lambda: HermiteMoments(0.0, 1e200, 1.0), "beyond float64"),
    ],
)
def test_bad_activations(make, text):
    with pytest.raises(TheoryError, match=text):
        make()
