"""The cost of overfitting: the agnostic bound, its tightness, effective ranks, kinds, and the estimate without labels."""

import math
import warnings

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.theory.ridge.effective_rank import coefficient_bound, effective_ranks
from similitude.theory.ridge.exponents import exponents
from similitude.theory.ridge.implicit import ridgeless
from similitude.theory.ridge.leave_one_out import overfitting_coefficient
from similitude.theory.ridge.overfitting import cost_of_overfitting, noise_risk, taxonomy
from similitude.theory.ridge.risk import rf_risk
from similitude.theory.ridge.spectrum import Spectrum
from similitude.theory.ridge.taxonomy import taxonomy_of


def _random(rng):
    modes = int(rng.integers(5, 200))
    values = (
        np.sort(10 ** rng.uniform(-5, 0, modes))[::-1]
        if rng.random() < 0.5
        else np.arange(1, modes + 1) ** -1.4
    )
    return Spectrum(values, rng.exponential(size=modes) * (rng.random(modes) < rng.random()))


def test_no_task_costs_more_than_the_coefficient():
    rng = np.random.default_rng(0)
    for _ in range(200):
        spectrum = _random(rng)
        n = rng.uniform(1, spectrum.rank)
        found = cost_of_overfitting(spectrum, n, noise=rng.choice([0.0, 10 ** rng.uniform(-4, 4)]))
        assert 1 <= found.cost <= found.coefficient * (1 + 1e-9)
        assert found.coefficient <= found.bound * (1 + 1e-9)


def test_the_bound_is_tight_for_noise():
    spectrum = Spectrum(np.arange(1, 2001) ** -1.5, np.arange(1, 2001) ** -1.5)
    found = cost_of_overfitting(spectrum, 100, noise=1e7)
    assert found.cost == pytest.approx(found.coefficient, rel=1e-3)
    costs = [cost_of_overfitting(spectrum, 100, noise=noise).cost for noise in (0, 0.1, 1, 10, 1e3, 1e5)]
    assert costs == sorted(costs)


@pytest.mark.parametrize("n", [20, 100, 500])
def test_the_coefficient_is_a_local_exponent(n):
    """E_0 = -d log kappa / d log n: how fast implicit regularization falls."""
    spectrum, step = Spectrum.power_law(1.5, 1.5), 1e-4
    slope = (ridgeless(spectrum, n * (1 - step)) - ridgeless(spectrum, n * (1 + step))) / (2 * step)
    assert noise_risk(spectrum, n) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("alpha", [1.1, 1.5, 2.0, 3.0, 4.0])
def test_power_laws_are_tempered(alpha):
    spectrum = Spectrum.power_law(alpha, 1.5)
    found = taxonomy(spectrum, (1000, 3000, 10_000))
    assert found.kind == "tempered"
    assert found.coefficients[-1] == pytest.approx(alpha, abs=2e-3)
    assert effective_ranks(spectrum, 900).r == pytest.approx(900 / (alpha - 1), rel=0.02)


def test_fast_and_slow_decays():
    i = np.arange(1, 3001.0)
    fast = Spectrum(np.exp(-i / 2), 0 * i)
    assert [noise_risk(fast, n) for n in (50, 200, 500)] == pytest.approx([25, 100, 250], rel=0.02)
    assert taxonomy(fast, (50, 200, 500)).kind == "catastrophic"
    # 1 / (i log^2 i) up to 10^80, on levels of equal width in log i
    edges = np.concatenate([np.arange(1.5, 2000), np.geomspace(2000, 1e80, 20_000)])
    middle = np.sqrt(edges[1:] * edges[:-1])
    slow = Spectrum(1 / (middle * np.log(middle) ** 2), 0 * middle, np.diff(edges))
    found = taxonomy(slow, (100, 1000, 10_000))
    assert found.kind == "benign"
    assert list(found.coefficients) == sorted(found.coefficients, reverse=True)


def test_humps_on_the_sphere():
    spectrum = Spectrum.sphere(np.exp, 60, levels=14)
    at = {n: noise_risk(spectrum, n) for n in (120, 400, 1000)}
    assert at[120] > at[400] < at[1000]


def test_effective_ranks_by_hand():
    spectrum = Spectrum([0.5, 2.0], [0, 0], multiplicity=[4, 2])  # 2, 2, .5, .5, .5, .5
    assert effective_ranks(spectrum, 1).r == pytest.approx((2 + 2) / 2)
    assert pytest.approx(4**2 / (4 + 1)) == effective_ranks(spectrum, 1).R
    assert pytest.approx(1) == effective_ranks(spectrum, 5).R
    with pytest.raises(TheoryError, match="k=6: a kernel of rank 6"):
        effective_ranks(spectrum, 6)
    assert coefficient_bound(spectrum, 100).value == math.inf


def test_sizes_beyond_the_rank():
    spectrum = Spectrum(np.ones(10), np.ones(10))
    assert noise_risk(spectrum, 40) == pytest.approx(40 / 30)
    assert noise_risk(spectrum, 10) == math.inf
    found = cost_of_overfitting(spectrum, 10, noise=1.0)
    assert found.cost == found.coefficient == math.inf
    assert found.taxonomy.kind == "catastrophic"
    assert "catastrophic" in str(found)


def test_kinds_by_slope():
    for slope, kind in ((-0.2, "benign"), (0.0, "tempered"), (0.15, "undetermined"), (1.0, "catastrophic")):
        sizes = np.array([10.0, 100, 1000])
        found = taxonomy_of(sizes.tolist(), (1 + 0.1 * sizes**slope).tolist())
        assert (found.kind, found.slope) == (kind, pytest.approx(slope, abs=1e-9))
    assert taxonomy_of((1, 2), (1.0, 1.0)).kind == "benign"
    with pytest.raises(TheoryError, match="two different sizes"):
        taxonomy_of((5, 5), (1.1, 1.1))
    with pytest.raises(TheoryError, match="E_0 is at least 1"):
        taxonomy_of((5, 6), (1.1, 0.9))


def test_the_estimate_leaves_one_out():
    """Against n refits, each to noise on n - 1 samples."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((25, 6))
    K = np.exp(-np.square(X[:, None] - X[None]).sum(-1) / 8)
    for ridge in (0.0, 0.3):
        risks = []
        for i in range(25):
            rest = [j for j in range(25) if j != i]
            weights = np.linalg.solve(K[np.ix_(rest, rest)] + ridge * np.eye(24), K[rest, i])
            risks.append(1 + (weights**2).sum())
        assert overfitting_coefficient(K, ridge=ridge) == pytest.approx(np.mean(risks), rel=1e-6)


def test_the_estimate_finds_the_spectrum_s_coefficient():
    rng = np.random.default_rng(0)
    values = np.arange(1, 2001) ** -1.5
    found = []
    for _ in range(8):
        phi = rng.standard_normal((150, 2000)) * np.sqrt(values)
        found.append(overfitting_coefficient(phi @ phi.T))
    assert np.mean(found) == pytest.approx(noise_risk(Spectrum(values, values), 149), rel=0.02)


def test_what_no_fit_interpolates():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 20))
    X[7] = X[3]
    with pytest.raises(TheoryError, match="samples 3 and 7 are the same to the kernel"):
        overfitting_coefficient(X @ X.T)
    assert overfitting_coefficient(X @ X.T, ridge=0.1) > 1
    with pytest.raises(TheoryError, match=r"K\[1, 1\] is 0"):
        overfitting_coefficient(np.diag([1.0, 0.0]))
    with pytest.raises(TheoryError, match="not positive definite"):
        overfitting_coefficient([[1.0, 2.0], [2.0, 1.0]], ridge=0.1)
    line = np.linspace(0, 1, 40)
    with pytest.warns(UserWarning, match="nearly singular: the"):
        overfitting_coefficient(np.exp(-(np.subtract.outer(line, line) ** 2)))


@pytest.mark.slow
def test_three_thousand_coefficients():
    rng = np.random.default_rng(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3000):
            levels = int(rng.integers(1, 8))
            values = 10 ** rng.uniform(-9, 9, levels) * (rng.random(levels) < 0.9)
            values[0] = values[0] or 1.0
            spectrum = Spectrum(values, 0 * values, np.floor(10 ** rng.uniform(0, 9, levels)))
            n = rng.choice([spectrum.rank, 10 ** rng.uniform(0, 9)])
            coefficient = noise_risk(spectrum, n)
            assert 1 - 1e-9 <= coefficient <= coefficient_bound(spectrum, n).value * (1 + 1e-9)
            assert rf_risk(spectrum, n, noise=1.0).coefficient == pytest.approx(coefficient)


def test_the_bound_holds_where_levels_differ_by_sixty_orders_of_magnitude():
    # 10^60 modes follow on 200 thousand that matter: R_0 is that of the latter.
    values, counts = np.array([1e189, 1e122]), np.array([2e5, 1e60])
    spectrum = Spectrum(values, [0.0, 0.0], counts)
    assert coefficient_bound(spectrum, 2).value == pytest.approx(1 / (1 - 2 / 2e5), rel=1e-12)
    assert coefficient_bound(spectrum, 2).value >= noise_risk(spectrum, 2) * (1 - 1e-12)
    assert pytest.approx(1e60) == effective_ranks(spectrum, 200_000).R
    tiny = Spectrum(np.array([1.0, 1e-190]), [0.0, 0.0], np.array([1.0, 300.0]))
    assert pytest.approx(300) == effective_ranks(tiny, 1).R  # squares of 1e-190 are no numbers


def test_sizes_behind_the_peak_of_a_finite_rank_say_benign():
    spectrum = Spectrum([1.0], [0.0], multiplicity=[50])
    assert taxonomy(spectrum, [50, 100, 200, 400]).kind == "benign"
    assert taxonomy(spectrum, [20, 40, 50]).kind == "catastrophic"
    assert taxonomy(spectrum, [50, 100]).kind == "undetermined"


def test_the_estimate_does_not_depend_on_units():
    K = np.eye(4) + 0.2
    for scale in (1e-300, 1e300):
        assert overfitting_coefficient(scale * K) == pytest.approx(overfitting_coefficient(K), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s: rf_risk(s, None), "n=None is no number"),
        (lambda s: rf_risk(s, 3, ridge="optimal"), "ridge='optimal' is no number"),
        (lambda s: rf_risk(s, 3, features=[8]), r"features=\[8\] is no number"),
        (lambda s: rf_risk(np.eye(3), 3), r"spectrum is a ndarray. Pass Spectrum.from_kernel"),
        (lambda s: noise_risk(np.eye(3), 3), "spectrum is a ndarray"),
        (lambda s: effective_ranks("a", 3), "spectrum is a str"),
        (lambda s: overfitting_coefficient(s), "K is a Spectrum. Pass the matrix"),
        (lambda s: s.learning_curve(n="many"), "n='many' are no numbers"),
        (lambda s: taxonomy(s, 3), "sizes has shape"),
        (lambda s: Spectrum([1.0], [1.0], pool=2.5), "pool=2.5: pass the number of samples"),
        (lambda s: Spectrum.power_law("a", 2), "alpha='a' is no number"),
        (lambda s: Spectrum.sphere(np.exp, 3.5), "dimension=3.5 is no whole number"),
        (lambda s: Spectrum.sphere(math.exp, 3), "k failed on an array of 401 inner products"),
        (lambda s: Spectrum.from_kernel(np.eye(3) + 0j, [1, 2, 3]), "complex numbers"),
        (lambda s: Spectrum.from_kernel([[1, 2], [1]], [1, 2]), "K is no array of numbers"),
        (lambda s: Spectrum.from_kernel(torch.eye(3).bfloat16(), [1, 2, 3]), "K is bfloat16, whose rounding"),
        (lambda s: exponents(np.ones((160, 160)), np.arange(160.0)), "the kernel of 16 samples is singular"),
    ],
)
def test_wrong_use_of_any_function_is_explained(call, says):
    with pytest.raises(TheoryError, match=says):
        call(Spectrum.power_law(1.5, 1.5, modes=20))


def test_numbers_of_other_libraries_are_numbers():
    spectrum = Spectrum.power_law(1.5, 1.5, modes=20)
    found = rf_risk(spectrum, torch.tensor(5), ridge=np.float32(0.5), noise=torch.tensor(0.25)).test
    assert isinstance(found, float)
    assert found == rf_risk(spectrum, 5, ridge=0.5, noise=0.25).test
