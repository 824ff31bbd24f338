"""tau* against exact cases, a plain scan of slopes, and the paper's two kinds of pairs."""

import math

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.theory.one_step.large_step import tau_star


def _erf(z):
    return torch.erf(z / math.sqrt(2))


def test_exact_cases():
    found = tau_star(_erf, _erf)
    assert found.value < 1e-12
    assert abs(found.slope) == pytest.approx(math.sqrt(2), rel=1e-4)
    line = tau_star(torch.tanh, torch.nn.Identity())
    assert line.linear == 0
    assert not line.beats_linear
    # A line fits no more than the linear part of a cubic, at slope 3.
    cubic = tau_star(torch.nn.Identity(), lambda z: z**3)
    assert (cubic.value, cubic.slope) == pytest.approx((6.0, 3.0), rel=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_a_plain_scan(seed):
    """Slopes on a grid, both expectations by sampling."""
    student, teacher = ((torch.tanh, torch.relu), (torch.relu, torch.relu))[seed]
    g = torch.Generator().manual_seed(seed)
    x1 = torch.randn(1500, generator=g, dtype=torch.float64)
    x2 = torch.linspace(0.5 / 1500, 1 - 0.5 / 1500, 1500, dtype=torch.float64)
    x2 = math.sqrt(2) * torch.erfinv(2 * x2 - 1)
    x1 = math.sqrt(2) * torch.erfinv(2 * ((torch.argsort(torch.argsort(x1)) + 0.5) / 1500) - 1)
    aim = teacher(x1) - teacher(x2).mean()
    errors = [
        float((aim - student(slope * x1[:, None] + x2).mean(1) + student(x2).mean()).square().mean())
        for slope in np.arange(-2, 2.01, 0.1)
    ]
    assert tau_star(student, teacher).value == pytest.approx(min(errors), rel=0.02)


def test_which_pairs_a_large_step_helps():
    assert tau_star(torch.tanh, torch.tanh).value < 1e-3
    assert tau_star(torch.tanh, torch.tanh).beats_linear
    assert tau_star(torch.relu, torch.relu).beats_linear
    assert not tau_star(torch.tanh, torch.relu).beats_linear


def test_constants_are_refused():
    for student, teacher in ((torch.ones_like, torch.relu), (torch.relu, torch.ones_like)):
        with pytest.raises(TheoryError, match="is constant"):
            tau_star(student, teacher)
