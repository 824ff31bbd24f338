"""Spectra: from pools of data, power laws and spheres, and the errors that bad input meets."""

import math

import numpy as np
import pytest
import torch
from scipy.special import zeta

from similitude.core.errors import TheoryError
from similitude.theory.ridge.exponents import exponents
from similitude.theory.ridge.risk import rf_risk
from similitude.theory.ridge.spectrum import Spectrum
from similitude.theory.ridge.sphere import harmonics


def test_a_pool_is_put_together_again():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 4)), rng.standard_normal((30, 2))
    spec = Spectrum.from_kernel(torch.tensor(X @ X.T), torch.tensor(y))
    assert spec.pool == 30
    assert (spec.eigenvalues > 0).sum() == 4  # what is left is rounding, and dropped
    assert spec.trace == pytest.approx((X**2).sum() / 30)
    assert spec.power == pytest.approx((y**2).sum() / 30)
    # A linear kernel's four modes span the columns of X.
    inside = np.linalg.lstsq(X, y, rcond=None)[0]
    assert spec.coefficients_squared[:4].sum() == pytest.approx(((X @ inside) ** 2).sum() / 30)
    single = Spectrum.from_kernel((X @ X.T).astype(np.float32), y[:, 0])
    assert (single.eigenvalues > 0).sum() == 4


def test_power_law_levels_are_the_modes():
    long = Spectrum.power_law(1.4, 1.7, modes=20_000)
    i = np.arange(1.0, 20_001)
    assert long.rank == pytest.approx(20_000)
    assert long.trace == pytest.approx((i**-1.4).sum(), rel=1e-8)
    assert long.power == pytest.approx((i**-1.7).sum(), rel=1e-9)
    for n, ridge in ((500, 0.0), (5000, 0.0), (300, 0.1)):
        found, single = (
            rf_risk(s, n, ridge=ridge, noise=0.2).test for s in (long, Spectrum(i**-1.4, i**-1.7))
        )
        assert found == pytest.approx(single, rel=1e-5)
    endless = Spectrum.power_law(1.4, 1.7)
    assert (endless.trace, endless.power) == pytest.approx((zeta(1.4), zeta(1.7)), rel=1e-8)


@pytest.mark.parametrize("dimension", [2, 3, 20, 60])
def test_the_sphere_sums_to_the_kernel(dimension):
    spec = Spectrum.sphere(np.exp, dimension, levels=14, target=[0.0, 1.0])
    assert spec.trace == pytest.approx(math.e, rel=1e-9)
    assert spec.coefficients_squared.tolist()[:3] == [0.0, 1.0, 0.0]


def test_the_sphere_against_sampled_points():
    """Eigenvalues of a Gram matrix of random points gather around those of the levels."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1500, 3))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    measured = np.linalg.eigvalsh(np.exp(X @ X.T) / 1500)[::-1]
    spec = Spectrum.sphere(np.exp, 3, levels=8)
    assert spec.multiplicity.tolist()[:3] == [1, 3, 5]
    assert [measured[0], measured[1:4].mean(), measured[4:9].mean()] == pytest.approx(
        spec.eigenvalues[:3], rel=0.03
    )
    # On the sphere in three dimensions the eigenvalue of degree l is the mean of k P_l over [-1, 1].
    assert spec.eigenvalues[:2] == pytest.approx([math.sinh(1), math.exp(-1)], rel=1e-12)


def test_a_rough_kernel_gets_a_flat_tail():
    spec = Spectrum.sphere(lambda t: np.exp(-np.sqrt(2 - 2 * t)), 8, levels=6)
    assert spec.trace == pytest.approx(1.0, rel=1e-9)
    assert spec.multiplicity[-1] == harmonics(8, 7)
    assert spec.eigenvalues[-1] > 0


def test_exponents_of_a_known_law():
    rng = np.random.default_rng(0)
    size, i = 900, np.arange(1, 4001.0)
    phi = rng.standard_normal((size, len(i)))
    found = exponents((phi * i**-1.6) @ phi.T, phi @ i**-0.7, sizes=(20, 40, 80, 160), trials=6)
    assert found.alpha.value == pytest.approx(1.6, abs=0.1)
    assert found.beta.value == pytest.approx(1.4, abs=0.15)
    assert found.alpha.low < found.alpha.value < found.alpha.high
    assert found.kappa.shape == found.errors.shape == (4, 6)
    again = exponents((phi * i**-1.6) @ phi.T, phi @ i**-0.7, sizes=(20, 40, 80, 160), trials=6)
    assert again.beta.value == found.beta.value


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Spectrum([1.0, -0.1], [0, 0]), "eigenvalues has -0.1, the largest is 1"),
        (
            lambda: Spectrum([1.0, math.nan], [0, 0]),
            r"eigenvalues\[1\] is nan: 1 of 2 numbers are not finite",
        ),
        (lambda: Spectrum([1.0], [math.inf]), r"coefficients_squared\[0\] is inf"),
        (lambda: Spectrum([0.0, 0.0], [1, 1]), "all zero"),
        (
            lambda: Spectrum([1.0, 2.0], [1.0]),
            r"coefficients_squared has shape \(1,\) and eigenvalues \(2,\)",
        ),
        (lambda: Spectrum([1.0], [1.0], [1, 2]), "multiplicity has shape"),
        (lambda: Spectrum([1.0], [-1.0]), "coefficients_squared has -1: they are squares"),
        (lambda: Spectrum([1.0], [1.0], [0]), "leave out levels without modes"),
        (lambda: Spectrum([], []), "one at least"),
        (lambda: Spectrum(["a"], [1.0]), "no array of numbers"),
        (lambda: Spectrum([1.0] * 9, [1.0] * 9, pool=8), "9 modes in a pool of 8"),
        (lambda: Spectrum.from_kernel(np.ones((2, 3)), [1, 1]), r"K has shape \(2, 3\)"),
        (
            lambda: Spectrum.from_kernel([[1, 0.5], [0.1, 1]], [1, 1]),
            "not symmetric: entries differ by up to 0.4",
        ),
        (
            lambda: Spectrum.from_kernel([[1.0, 2], [2, 1]], [1, 1]),
            "no kernel: its smallest eigenvalue is -0.5",
        ),
        (lambda: Spectrum.from_kernel(np.eye(3), [1, 1]), r"y has shape \(2,\) and K has 3 samples"),
        (lambda: Spectrum.from_kernel(np.zeros((2, 2)), [1, 1]), "K is zero"),
        (lambda: Spectrum.power_law(1.0, 1.5), "alpha=1.0"),
        (lambda: Spectrum.power_law(1.5, 0.9), "beta=0.9"),
        (lambda: Spectrum.power_law(1.5, 1.5, modes=0), "modes=0"),
        (lambda: Spectrum.sphere(np.exp, 1), "dimension=1"),
        (lambda: Spectrum.sphere(lambda t: -t + 2, 5), "no kernel there"),
        (lambda: Spectrum.sphere(lambda t: 1.0, 5), "takes an array"),
        (lambda: Spectrum.sphere(np.exp, 5, target=[1] * 4, levels=2), "pass levels=3 or more|Pass levels=3"),
        (lambda: exponents(np.eye(40), np.ones(40)), "too small for exponents"),
        (lambda: exponents(np.eye(40), np.ones(40), sizes=(40, 50)), "below the pool's 40"),
        (lambda: exponents(np.eye(400), np.ones(400), trials=1), "trials=1"),
        (lambda: exponents(np.eye(400), np.zeros(400)), "not constant zero"),
    ],
)
def test_bad_input(make, text):
    with pytest.raises(TheoryError, match=text):
        make()


def test_rounding_below_zero_is_zero():
    assert Spectrum([1.0, -1e-15], [0, 0]).eigenvalues.tolist() == [1.0, 0.0]
