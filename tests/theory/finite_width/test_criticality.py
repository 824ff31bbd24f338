"""Fixed points, depth scales and the critical line against brute iteration, and on thousands of random cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.theory.finite_width.criticality import critical_line, criticality

F = torch.nn.functional
SMOOTH = {torch.tanh: np.tanh, torch.sin: np.sin, torch.sigmoid: lambda z: 1 / (1 + np.exp(-z))}
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(121)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def iterated(phi, C_W: float, C_b: float, layers: int, K: float = 1.0) -> float:
    """Variance after many layers of an infinitely wide network, by Gauss-Hermite quadrature."""
    for _ in range(layers):
        K = C_W * float(WEIGHTS @ phi(np.sqrt(K) * NODES) ** 2) + C_b
    return K


@pytest.mark.parametrize("phi", SMOOTH)
@pytest.mark.parametrize(("C_W", "C_b"), [(1.5, 0.1), (2.5, 0.3), (0.4, 0.02), (1.3, 0.0)])
def test_the_variance_settles_where_iteration_ends(phi, C_W, C_b):
    found = criticality(phi, C_W, C_b=C_b)
    assert found.variance == pytest.approx(iterated(SMOOTH[phi], C_W, C_b, 400), rel=1e-7, abs=1e-12)


@pytest.mark.parametrize(("C_W", "C_b"), [(1.3, 0.3), (0.9, 0.1)])
def test_near_inputs_grow_alike_over_the_depth_scale(C_W, C_b):
    found = criticality(torch.tanh, C_W, C_b=C_b)
    assert found.phase == "ordered"
    x, y = np.meshgrid(NODES, NODES)
    both = np.outer(WEIGHTS, WEIGHTS)
    c, gaps = 0.3, []
    for _ in range(40):
        u, v = math.sqrt(found.variance) * x, math.sqrt(found.variance) * (c * x + math.sqrt(1 - c**2) * y)
        c = (C_W * float((both * np.tanh(u) * np.tanh(v)).sum()) + C_b) / found.variance
        gaps.append(1 - c)
    fitted = -1 / np.polyfit(np.arange(14, 24), np.log(gaps[14:24]), 1)[0]
    assert found.depth_scale == pytest.approx(fitted, rel=0.01)


def test_a_deviation_of_the_variance_shrinks_by_chi_par():
    found = criticality(torch.tanh, 1.5, C_b=0.2)
    step = 1e-5
    moved = iterated(np.tanh, 1.5, 0.2, 1, K=found.variance + step)
    assert found.chi_par == pytest.approx((moved - found.variance) / step, rel=1e-3)


@pytest.mark.parametrize("C_b", [0.01, 0.05, 0.1, 0.3])
def test_the_critical_line_of_tanh(C_b):
    C_W = critical_line(torch.tanh, C_b)
    K = iterated(np.tanh, C_W, C_b, 4000)
    gain = C_W * float(WEIGHTS @ (1 - np.tanh(np.sqrt(K) * NODES) ** 2) ** 2)
    assert gain == pytest.approx(1, abs=1e-5)


def test_the_literature_point_of_tanh():
    found = criticality(torch.tanh, 1.7603, C_b=0.05)  # Schoenholz et al.: critical to four digits
    assert found.chi_perp == pytest.approx(0.9999, abs=2e-4)
    assert found.variance == pytest.approx(0.570, abs=1e-3)


def test_known_critical_points():
    assert critical_line(torch.relu) == 2.0
    assert critical_line(torch.tanh) == pytest.approx(1.0)
    assert critical_line(lambda z: F.leaky_relu(z, 0.1)) == pytest.approx(2 / (1 + 0.1**2))
    assert critical_line(torch.erf) == pytest.approx(math.pi / 4)
    assert critical_line(F.elu) == pytest.approx(1.0)


def test_tanh_without_biases_has_three_phases():
    ordered, critical, chaotic = (criticality(torch.tanh, C_W) for C_W in (0.8, 1.0, 1.5))
    assert (ordered.phase, ordered.variance, ordered.chi_perp) == ("ordered", 0.0, pytest.approx(0.8))
    assert (critical.phase, critical.variance, critical.depth_scale) == ("critical", 0.0, math.inf)
    assert chaotic.phase == "chaotic"
    assert chaotic.variance == pytest.approx(iterated(np.tanh, 1.5, 0.0, 500))
    assert "depth scale" in str(ordered)


def test_relu_keeps_every_variance_at_its_critical_point():
    assert criticality(torch.relu, 2.0, start=7.0).variance == 7.0
    assert criticality(torch.relu, 1.0, C_b=0.5).variance == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("phi", "C_W", "C_b", "says"),
    [
        (torch.relu, 2.5, 0.0, "the critical C_W is 2. Pass C_W of at most 2"),
        (torch.relu, 2.0, 0.1, "grows without bound with the depth; the critical C_W is 2. Pass C_b=0"),
        (F.gelu, 3.0, 0.0, "the critical C_W is 2"),
        (torch.tanh, 0.0, 0.0, "C_W=0: pass a finite number above 0"),
        (torch.tanh, math.nan, 0.0, "C_W=nan: pass a finite number"),
        (torch.tanh, 1.0, -1.0, "C_b=-1: pass a finite number of at least 0"),
        (torch.tanh, "1", 0.0, "C_W='1' is no number"),
        (torch.zeros_like, 1.0, 0.0, "phi is zero everywhere"),
        (lambda z: z.sum(), 1.0, 0.0, "acts entry by entry"),
        (torch.log, 1.0, 0.0, "is not finite"),
        (lambda z: z @ z @ z, 1.0, 0.0, "phi failed on a float64 tensor"),
        (3.0, 1.0, 0.0, "phi is a float"),
        (lambda z: torch.tanh(z).detach(), 1.0, 0.1, "phi has no gradient"),
    ],
)
def test_wrong_use_is_explained(phi, C_W, C_b, says):
    with pytest.raises(TheoryError, match=says):
        criticality(phi, C_W, C_b=C_b)


def test_activations_without_a_critical_line_are_refused():
    with pytest.raises(TheoryError, match="critical without biases alone"):
        critical_line(torch.relu, 0.1)
    with pytest.raises(TheoryError, match="no C_W is critical"):
        critical_line(F.gelu, 0.0)  # near zero its variance grows away from zero


def test_a_module_that_writes_in_place_is_read_as_it_is():
    assert criticality(torch.nn.ReLU(inplace=True), 2.0) == criticality(torch.relu, 2.0)


BOUNDED = (torch.tanh, torch.erf, torch.sin, F.hardtanh, F.elu, F.selu)


@pytest.mark.parametrize("count", [15, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("error")
def test_the_critical_line_is_critical_at_random_biases(count):
    rng = np.random.default_rng(88)
    for _ in range(count):
        phi, C_b = BOUNDED[rng.integers(len(BOUNDED))], float(np.exp(rng.uniform(-12, 0)))
        C_W = critical_line(phi, C_b)
        assert criticality(phi, C_W, C_b=C_b).chi_perp == pytest.approx(1, abs=1e-3)


CASES = (
    torch.tanh,
    torch.relu,
    F.gelu,
    F.silu,
    torch.sin,
    F.elu,
    F.softplus,
    torch.erf,
    F.hardtanh,
    torch.cos,
)


@pytest.mark.parametrize("count", [60, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("error")
def test_random_cases_end_at_a_fixed_point_or_say_why_not(count):
    rng = np.random.default_rng(808)
    unbounded = refused = 0
    z = torch.randn(4000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    z = (z - z.mean()) / z.std()
    for _ in range(count):
        phi = CASES[rng.integers(len(CASES))]
        C_W, start = np.exp(rng.uniform(-6, 4)), np.exp(rng.uniform(-20, 20))
        C_b = 0.0 if rng.random() < 0.3 else np.exp(rng.uniform(-25, 4))
        try:
            found = criticality(phi, C_W, C_b=C_b, start=start)
        except TheoryError as error:
            unbounded += "grows without bound" in str(error)
            refused += 1
            continue
        assert math.isfinite(found.variance)
        assert found.chi_perp >= 0
        assert found.depth_scale >= 0
        if found.variance > 1e-9:
            values = phi(math.sqrt(found.variance) * z).square()
            again, error = C_W * float(values.mean()) + C_b, C_W * float(values.std()) / 4000**0.5
            assert abs(again - found.variance) <= 5 * error + 0.02 * found.variance
    assert 0 < unbounded == refused < count / 2


def test_activations_without_a_slope_at_zero_or_without_a_bound_are_handled():
    assert critical_line(lambda z: torch.relu(z - 1), 0.05) > 1
    with pytest.raises(TheoryError, match="phi grows faster than linearly"):
        criticality(torch.square, 1.0)
    with pytest.raises(TheoryError, match="Pass C_W below 2"):
        criticality(F.softplus, 2.0)
