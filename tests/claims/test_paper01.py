"""How the claims of paper 1 judge sweeps; what they measure is held in tests/studies/test_gamma_sweep.py."""

import math

import pytest
import torch

from similitude.claims import gamma_nets, paper01
from similitude.claims.registry import select
from similitude.core.verdict import Outcome
from similitude.scaling.richness import power_of
from similitude.studies.gamma_exponents import best_gamma, exponents, judge_law
from similitude.studies.gamma_records import GammaPoint, GammaSweep
from similitude.studies.optimum import optimum
from similitude.studies.records import Curve


def made_up(layers, family, gammas, *, loss=lambda gamma: 0.1, off=0.0):
    """A sweep whose rates follow the law, with exponents on the rich side that are off it."""
    points = []
    for gamma in gammas:
        power = power_of(gamma, layers, family) + (off if gamma > 1 else 0.0)
        octave = round(4 * power * math.log2(gamma)) / 4
        lrs = tuple(2.0 ** (octave + k) for k in (-2, -1, 0, 1, 2))
        losses = tuple((loss(gamma) * 1.3 ** (k * k),) * 3 for k in (-2, -1, 0, 1, 2))
        curve = Curve(32, lrs, losses)
        points.append(GammaPoint(gamma, curve, (1.0,) * 3, optimum(curve), (lrs[3],) * 3))
    found = exponents(points, layers=layers, family=family)
    return GammaSweep(
        "x", tuple(points), found, best_gamma(points), judge_law(found, family), layers, family, {}, 0, 0, 0.0
    )


@pytest.fixture
def swept(monkeypatch):
    """Let the claims see made-up sweeps."""

    def set_to(**options):
        def stand_in(optimizer, *, layers, steps, gammas=gamma_nets.GAMMAS, task=gamma_nets.FRESH):
            family = "sgd" if optimizer is torch.optim.SGD else "entrywise"
            return made_up(layers, family, gammas, **options)

        monkeypatch.setattr(paper01, "swept", stand_in)

    return set_to


@pytest.mark.parametrize("claim", [paper01.sgd_rates, paper01.digits_rates, paper01.adam_rates])
@pytest.mark.parametrize("full", [False, True])
def test_rates_that_follow_the_law_pass_and_others_do_not(swept, claim, full):
    swept()
    good = claim(full=full)
    assert good.verdict.ok
    assert len(good.verdict.evidence) == 6
    assert abs(good.value) < 0.1
    swept(off=0.3)
    bad = claim(full=full)
    assert bad.verdict.outcome is Outcome.INCONSISTENT
    assert bad.value == pytest.approx(0.3, abs=0.1)
    assert "rich side" in bad.verdict.summary


def test_a_large_gamma_has_to_be_better_and_the_kernel_regime_worse(swept):
    swept(loss=lambda gamma: {0.01: 0.5, 1.0: 0.1, 1e3: 0.05}[gamma])
    good = paper01.large_gamma()
    assert good.verdict.ok
    assert good.value == pytest.approx(0.5)
    for losses in ({0.01: 0.5, 1.0: 0.1, 1e3: 0.2}, {0.01: 0.15, 1.0: 0.1, 1e3: 0.05}):
        swept(loss=losses.__getitem__)
        assert paper01.large_gamma().verdict.outcome is Outcome.INCONSISTENT


def test_the_claims_are_registered():
    names = ("sgd_rates", "digits_rates", "adam_rates", "large_gamma", "sharpness", "collapse", "plateau")
    assert {entry.name for entry in select(["1"])} == {
        f"1.{name}" for name in (*names, "staircase", "compute")
    }


def test_batches_are_fresh_and_the_same_again():
    data = gamma_nets.FreshInputs()
    (x, y), (again, _), (other, _) = data.batch(0, 0), data.batch(0, 0), data.batch(0, 1)
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    linear = torch.linalg.lstsq(x, y - 0.5 * x[:, :1] * x[:, 1:2]).residuals
    assert float(linear.sum()) < 1e-6


def test_the_output_starts_small():
    torch.manual_seed(0)
    x = torch.randn(256, gamma_nets.INPUTS)
    sizes = {w: float(gamma_nets.make(w, layers=3)(x).std().detach()) for w in (64, 1024)}
    assert sizes[1024] < 0.5 * sizes[64] < 0.5
