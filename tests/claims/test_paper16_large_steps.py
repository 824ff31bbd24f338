"""Claims of paper 16 on large steps and images: they hold on smaller problems, and a wrong constant turns each red."""

import pytest

from similitude.claims import one_step_nets
from similitude.claims import paper16_large_steps as claims
from similitude.theory.one_step import report
from similitude.theory.one_step.hermite import HermiteMoments, hermite_moments
from similitude.theory.one_step.large_step import TauStar, tau_star


@pytest.fixture
def once(monkeypatch):
    """Measure every draw once, on fewer test samples, however often a claim is."""
    known = {}

    def measured(draw, etas, ridges):
        key = (draw.setting, draw.beta.tobytes(), tuple(etas))
        if key not in known:
            known[key] = one_step_nets.measured_risks(draw, etas, ridges, tests=1500)
        return known[key]

    monkeypatch.setattr(claims, "measured_risks", measured)
    return monkeypatch


def test_two_regimes(once):
    once.setattr(claims, "LARGE", (48, 192, 480))
    found = claims.two_regimes()
    assert found.verdict.ok, found.verdict
    for wrong in (0.5, 2.0):

        def mutated(phi, wrong=wrong):
            right = hermite_moments(phi)
            return HermiteMoments(right.mean, right.linear, wrong * right.rest)

        once.setattr(claims, "hermite_moments", mutated)
        assert not claims.two_regimes().verdict.ok


def test_tau_star(once):
    once.setattr(claims, "TAU_SIZES", (48, 192, 960))
    found = claims.which_teachers()
    assert found.verdict.ok, found.verdict
    known = {name: tau_star(*pair) for name, pair in claims.PAIRS.items()}
    for shift in (0.06, -0.09):  # ReLU, ReLU and tanh, ReLU change sides

        def mutated(*pair, shift=shift):
            (right,) = [known[name] for name, found in claims.PAIRS.items() if found == pair]
            return TauStar(right.value + shift, right.slope, right.linear)

        once.setattr(claims, "tau_star", mutated)
        assert not claims.which_teachers().verdict.ok


def test_transfer(once):
    once.setattr(claims, "LARGE", (32, 128, 320))
    once.setattr(claims, "TRANSFER_WIDTHS", (64, 256))
    found = claims.transfer()
    assert found.verdict.ok, found.verdict
    for wrong in (0.0, 1.2):
        once.setattr(claims, "SCALING", wrong)
        assert not claims.transfer().verdict.ok


@pytest.mark.slow
def test_images(monkeypatch):
    monkeypatch.setattr(claims, "IMAGES", 1200)
    monkeypatch.setattr(claims, "IMAGE_SAMPLES", 300)
    monkeypatch.setattr(claims, "IMAGE_WIDTH", 150)
    monkeypatch.setattr(claims, "IMAGE_SHARES", (1.0, 3.0))
    found = claims.real_images()
    assert found.verdict.ok, found.verdict
    right, errors = report.one_step_alignment, report.rf_risk
    with monkeypatch.context() as patch:
        patch.setattr(
            report, "one_step_alignment", lambda *args, eta, **kw: right(*args, eta=1.3 * eta, **kw)
        )
        assert not claims.real_images().verdict.ok
    monkeypatch.setattr(report, "rf_risk", lambda spectrum, n, **given: errors(spectrum, 0.6 * n, **given))
    assert not claims.real_images().verdict.ok
