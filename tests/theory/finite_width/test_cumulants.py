"""Variance, shift and fourth cumulant of finite networks against networks drawn at random."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from similitude.core.errors import TheoryError
from similitude.theory.finite_width.activation import read_activation
from similitude.theory.finite_width.cumulants import variance_cumulants
from similitude.theory.finite_width.log_normal import relu_log_normal, relu_log_size
from similitude.theory.finite_width.moments import moments

NUMPY = {torch.tanh: np.tanh, torch.relu: lambda z: np.maximum(z, 0), torch.sin: np.sin}


def drawn(phi, widths, *, C_W: float, C_b: float, first: float, trials: int, seed: int) -> np.ndarray:
    """Conditional variance of the output of random networks, given their last hidden layer; weights drawn in law."""
    rng = np.random.default_rng(seed)
    S = np.full(trials, first)
    for n in widths:
        z = np.sqrt(S)[:, None] * rng.standard_normal((trials, n))
        S = C_W * (phi(z) ** 2).mean(1) + C_b
    return S


@pytest.mark.parametrize("phi", [torch.tanh, torch.sin, torch.relu, torch.nn.functional.gelu])
@pytest.mark.parametrize("K", [0.03, 1.0, 9.0])
def test_moments_are_integrals(phi, K):
    def expect(power: int, variance: float) -> float:
        def density(z: float) -> float:
            value = float(phi(torch.tensor(z, dtype=torch.float64)))
            return value**power * float(stats.norm.pdf(z, scale=variance**0.5))

        span = 10 * variance**0.5
        halves = [integrate.quad(density, *ends, epsabs=1e-13)[0] for ends in ((-span, 0.0), (0.0, span))]
        return float(sum(halves))

    at, h = moments(read_activation(phi), K), 0.02 * K
    assert at.square * K == pytest.approx(expect(2, K), rel=1e-8)
    assert at.spread * K**2 == pytest.approx(expect(4, K) - expect(2, K) ** 2, rel=1e-7)
    low, middle, high = (expect(2, K + d) for d in (-h, 0, h))
    assert at.slope == pytest.approx((high - low) / (2 * h), rel=2e-3, abs=1e-8)
    assert at.curvature / K == pytest.approx((high - 2 * middle + low) / h**2, rel=5e-3, abs=1e-6)


@pytest.mark.parametrize(
    ("phi", "C_W", "C_b"), [(torch.tanh, 1.0, 0.0), (torch.tanh, 1.5, 0.2), (torch.sin, 1.2, 0.1)]
)
@pytest.mark.parametrize(("n", "L"), [(32, 8), (128, 8), (96, 24)])
def test_fourth_cumulant_is_that_of_random_networks(phi, C_W, C_b, n, L):
    theory = variance_cumulants(phi, [n] * L, C_W=C_W, C_b=C_b)
    trials = 40_000 if n == 32 else 3000
    S = drawn(NUMPY[phi], [n] * L, C_W=C_W, C_b=C_b, first=1.0, trials=trials, seed=n + L)
    measured = S.var() / S.mean() ** 2
    spread = ((S - S.mean()) ** 2).std() / trials**0.5 / S.mean() ** 2
    assert abs(theory.ratio[-1] - measured) <= max(0.06 * measured, 3 * spread)
    mean = theory.variance[-1] + theory.shift[-1]
    assert abs(S.mean() - mean) <= 4 * S.std() / trials**0.5 + 0.1 * abs(theory.shift[-1])
    assert not theory.exact


def test_the_shift_of_the_mean_is_seen():
    theory = variance_cumulants(torch.tanh, [32] * 8, C_W=1.0)
    S = drawn(np.tanh, [32] * 8, C_W=1.0, C_b=0.0, first=1.0, trials=40_000, seed=5)
    error = S.std() / 200
    assert abs(S.mean() - theory.variance[-1]) > 6 * error  # the limit is off
    assert S.mean() == pytest.approx(theory.variance[-1] + theory.shift[-1], rel=0.01)


def test_relu_is_exact_at_every_width():
    widths = [3, 50, 7]
    theory = variance_cumulants(torch.relu, widths, C_W=2.0, first=3.0)
    assert theory.exact
    assert theory.ratio[-1] == pytest.approx(np.prod([1 + 5 / n for n in widths]) - 1)
    assert theory.excess_kurtosis[-1] == pytest.approx(3 * theory.fourth[-1] / 9)
    assert theory.shift.tolist() == [0.0] * 4
    S = drawn(NUMPY[torch.relu], [6, 5], C_W=1.7, C_b=0.4, first=1.0, trials=400_000, seed=2)
    biased = variance_cumulants(torch.relu, [6, 5], C_W=1.7, C_b=0.4)
    assert biased.variance[-1] == pytest.approx(S.mean(), rel=0.01)
    assert biased.ratio[-1] == pytest.approx(S.var() / S.mean() ** 2, rel=0.04)


def test_kurtosis_is_that_of_networks_of_weights():
    g, n, L, trials = torch.Generator().manual_seed(81), 24, 3, 20_000
    z = torch.randn(trials, n, generator=g)
    for _ in range(L):
        weights = torch.randn(trials, n, n, generator=g) * (2 / n) ** 0.5
        z = (weights @ z.relu().unsqueeze(-1)).squeeze(-1)
    kurtosis = float((z**4).mean() / (z**2).mean() ** 2) - 3
    theory = variance_cumulants(torch.relu, [n] * L, C_W=2.0).excess_kurtosis[-1]
    assert kurtosis == pytest.approx(theory, rel=0.1)


def test_depth_over_width_is_the_expansion_parameter_of_tanh():
    ratios = [variance_cumulants(torch.tanh, [L * 10] * L, C_W=1.0).ratio[-1] for L in (64, 512)]
    assert ratios == pytest.approx([2 / 3 / 10] * 2, rel=0.05)


@pytest.mark.parametrize(("n", "L"), [(60, 12), (200, 40), (100, 40)])
def test_sizes_of_relu_networks_are_log_normal(n, L):
    S = drawn(NUMPY[torch.relu], [n] * L, C_W=2.0, C_b=0.0, first=1.0, trials=4000, seed=L)
    beta = relu_log_normal([n] * L)
    exact, error = relu_log_size([n] * L), (beta / 4000) ** 0.5
    assert abs(np.log(S).mean() - exact.mean) <= 3 * error
    assert np.log(S).var() == pytest.approx(exact.variance, rel=4 * (2 / 4000) ** 0.5)
    assert exact.mean == pytest.approx(-beta / 2, rel=0.08)
    assert exact.variance == pytest.approx(beta, rel=0.08)
    tail = float((np.log(S) > 0).mean())
    assert tail == pytest.approx(stats.norm.sf(beta**0.5 / 2), abs=0.025)


def test_narrow_networks_die_now_and_then():
    S = drawn(NUMPY[torch.relu], [2, 3, 2], C_W=2.0, C_b=0.0, first=1.0, trials=40_000, seed=3)
    exact = relu_log_size([2, 3, 2])
    assert (S == 0).mean() == pytest.approx(exact.dead, abs=0.01)
    assert np.log(S[S > 0]).mean() == pytest.approx(exact.mean, abs=0.05)


@pytest.mark.parametrize(
    ("widths", "changed", "says"),
    [
        ([], {}, "widths is empty"),
        ([3, 0], {}, r"widths\[1\]=0: pass a whole number of at least 1"),
        ([2.5], {}, r"widths\[0\]=2.5"),
        ([8], {"C_W": 0.0}, "C_W=0: pass a finite number above 0"),
        ([8], {"first": 0.0}, "first=0: pass a finite number above 0"),
        ([64] * 3000, {"C_W": 4.0}, "leaves the range of numbers by C_W=4"),
        ([1] * 500, {}, "500 layers are too many for widths down to 1"),
    ],
)
def test_wrong_use_is_explained(widths, changed, says):
    with pytest.raises(TheoryError, match=says):
        variance_cumulants(torch.relu, widths, **{"C_W": 2.0, **changed})


@pytest.mark.parametrize("count", [80, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("error")
def test_random_cases_are_finite_or_refused(count):
    rng = np.random.default_rng(81)
    kinds = (torch.tanh, torch.relu, torch.nn.functional.gelu, torch.sigmoid, torch.sin, torch.abs)
    refused = 0
    for _ in range(count):
        widths = [int(n) for n in np.exp(rng.uniform(0, 8, rng.integers(1, 12))).astype(int)]
        C_W, C_b = np.exp(rng.uniform(-3, 3)), max(0.0, rng.normal())
        first = np.exp(rng.uniform(-80, 80))
        try:
            found = variance_cumulants(kinds[rng.integers(6)], widths, C_W=C_W, C_b=C_b, first=first)
        except TheoryError:
            refused += 1
            continue
        assert np.isfinite(found.ratio).all()
        assert (found.ratio >= 0).all()
        assert np.isfinite(found.shift).all()
        assert (found.variance > 0).all()
    assert refused < count / 10
