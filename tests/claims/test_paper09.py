"""Claims of paper 9: they hold on fewer samples than the command takes, and a wrong formula turns each red."""

import math

import numpy as np
import pytest

from similitude.claims import gaussian_designs, paper09
from similitude.claims.gaussian_designs import gaussian_noise_risks, pool_noise_risks, sphere_noise_risks
from similitude.claims.registry import select
from similitude.core.verdict import Outcome
from similitude.theory.ridge.leave_one_out import overfitting_coefficient
from similitude.theory.ridge.overfitting import noise_risk


@pytest.fixture
def small(monkeypatch):
    """Make the claims quick."""
    monkeypatch.setattr(paper09, "I", np.arange(1, 601.0))
    monkeypatch.setattr(paper09, "EXPONENTS", (1.5, 2.0))
    monkeypatch.setattr(paper09, "SPHERE_SIZES", (140, 300))
    monkeypatch.setattr(paper09, "SLOW_MODES", 10_000)
    monkeypatch.setattr(paper09, "POOL", 600)
    return monkeypatch


def test_the_claims_are_there():
    names = ["9.agnostic", "9.images", "9.kinds", "9.sphere"]
    assert [entry.name for entry in select(["09"])] == names


def test_the_agnostic_bound(small):
    assert paper09.agnostic().verdict.ok
    small.setattr(paper09, "noise_risk", lambda spectrum, n: noise_risk(spectrum, 2 * n) ** 0.7)
    assert paper09.agnostic().verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
def test_kinds(small):
    assert paper09.kinds().verdict.ok
    small.setattr(paper09, "noise_risk", lambda spectrum, n: 1.1 * noise_risk(spectrum, n))
    assert not paper09.kinds().verdict.ok


@pytest.mark.slow
def test_spheres(small):
    assert paper09.sphere().verdict.ok
    small.setattr(paper09, "noise_risk", lambda spectrum, n: noise_risk(spectrum, 3 * n))
    assert not paper09.sphere().verdict.ok


def test_images(small):
    assert paper09.real_images().verdict.ok
    small.setattr(paper09, "overfitting_coefficient", lambda K: overfitting_coefficient(K) ** 1.2)
    assert not paper09.real_images().verdict.ok


def test_samplers_agree_where_one_is_the_other():
    """Noise on a linear kernel in d dimensions is least squares: 1 + n / (d - n - 1) for n samples below d - 1."""
    risks = gaussian_noise_risks(np.ones(60), 20, draws=60)
    assert abs(risks.mean() - (1 + 20 / 39)) < 3 * risks.std() / math.sqrt(60)
    on_sphere = sphere_noise_risks(lambda t: t, 60, 20, draws=30)
    assert on_sphere.mean() == pytest.approx(1 + 20 / 39, rel=0.02)
    x = np.random.default_rng(0).standard_normal((2000, 60))
    in_pool, chosen = pool_noise_risks(x @ x.T, 20, draws=20)
    assert in_pool.mean() == pytest.approx(1 + 20 / 39, rel=0.03)
    assert len(set(chosen[0].tolist())) == 20


def test_digits_stand_in_for_images_that_are_not_there(monkeypatch):
    real = gaussian_designs.load

    def load(name):
        if name != "digits":
            raise gaussian_designs.DataError(f"{name} was not found")
        return real(name)

    monkeypatch.setattr(gaussian_designs, "load", load)
    gaussian_designs.images.cache_clear()
    name, x, rows = gaussian_designs.images(50)
    gaussian_designs.images.cache_clear()
    assert (name, x.shape, rows.shape) == ("digits", (50, 64), (50, 10))
