"""Claims of paper 7: the recorded norms against dense algebra, the slopes on a small scale, the closed forms."""

import functools

import pytest
import torch

from similitude.claims import norms, paper07
from similitude.claims.norms import Setting, gaussian_norm, layers, make, measure, slopes
from similitude.claims.paper07 import STEPS, expected_norms
from similitude.core.verdict import Outcome
from similitude.training.build import build_model

WIDTHS = (64, 128, 256)


@pytest.fixture(scope="module")
def probe():
    return torch.randn(12, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def spectral_adam():
    return measure(Setting("spectral", "adam"), WIDTHS, seeds=(0, 1), steps=(1, 4))


def test_norms_are_those_of_dense_algebra(probe):
    model = build_model(functools.partial(make, 32), 0)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    start = norms.Start.of(model, probe)
    change = torch.randn(32, 32, generator=torch.Generator().manual_seed(1)) / 32
    with torch.no_grad():
        model.get_parameter("hidden.1.weight").add_(change)
    _, second, third, _ = norms.norms(model, probe, start)
    singular = torch.linalg.svdvals(change.double())
    inputs = torch.tanh(probe.flatten(1) @ before["hidden.0.weight"].T)
    moved = inputs @ change.T
    assert second.update == pytest.approx(float(singular[0]), rel=1e-5)
    assert second.rank == pytest.approx(float((singular**2).sum() / singular[0] ** 2), rel=1e-4)
    assert second.features == pytest.approx(float(moved.square().mean().sqrt()), rel=1e-4)
    assert second.aligned == pytest.approx(float(moved.norm() / inputs.norm() / singular[0]), rel=1e-4)
    assert second.weight == pytest.approx(
        float(torch.linalg.matrix_norm(before["hidden.1.weight"], 2)), rel=1e-4
    )
    assert third.update == 0.0
    assert third.features > 0.0


def test_layers_leave_no_hooks(probe):
    model = make(16)
    assert [tuple(out.shape) for _, out in layers(model, probe)] == [(12, 16)] * 3 + [(12, 10)]
    assert not any(module._forward_hooks for module in model.modules())


def test_updates_are_flat_under_the_condition(spectral_adam):
    for quantity in ("update", "features"):
        assert all(abs(slope.value) <= 0.15 for slope in slopes(WIDTHS, spectral_adam[4], quantity))


def test_they_grow_in_the_standard_parametrization():
    table = measure(Setting("sp", "adam"), WIDTHS, seeds=(0, 1), steps=(4,))[4]
    assert all(slope.value >= 0.5 for slope in slopes(WIDTHS, table, "update")[1:])


def test_stable_ranks_are_no_more_than_the_batch_allows(spectral_adam):
    ranks = [layer.rank for runs in spectral_adam[1] for run in runs for layer in run]
    assert min(ranks) >= 1
    assert max(ranks) <= 16


def test_a_failed_training_has_no_slope(spectral_adam):
    broken = [[[norms.Norms(1.0, 0.0, 1.0, 1.0, 1.0)]]] * 3
    with pytest.raises(ValueError, match="update of layer 1 is zero"):
        slopes(WIDTHS, broken, "update")


def test_closed_forms_of_the_initial_norms():
    assert expected_norms(1024)[:3] == pytest.approx([1 + (64 / 1024) ** 0.5, 2.0, 2.0])
    wide, wider = expected_norms(1024)[3], expected_norms(4096)[3]
    assert wide / (1 + (10 / 1024) ** 0.5) == pytest.approx(wider / (1 + (10 / 4096) ** 0.5))
    draw = torch.randn(1024, 1024, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 32
    assert gaussian_norm(1024, 1024, 1 / 32) == pytest.approx(
        float(torch.linalg.matrix_norm(draw, 2)), rel=0.02
    )


def narrower(times: int, *, seeds: int):
    """Return what measures networks that are some times narrower than a claim asks for, after at most 8 steps."""

    def measured(setting, widths, *, seeds: tuple[int, ...], steps, most=seeds):
        few = sorted({min(step, STEPS) for step in steps})
        found = measure(setting, [width // times for width in widths], seeds=seeds[:most], steps=few)
        return {step: found[min(step, STEPS)] for step in steps}

    return measured


@pytest.fixture
def small(monkeypatch):
    """Networks a quarter as wide, and two seeds of each, in the place of those of the claims."""
    monkeypatch.setattr(paper07, "measure", narrower(4, seeds=2))
    paper07._recorded.cache_clear()
    yield monkeypatch
    paper07._recorded.cache_clear()


def instead(monkeypatch, rules: dict[str, str]) -> None:
    """Let claims measure other rules than they name."""

    def other(rule: str, optimizer: str, *groups) -> Setting:
        return Setting(rules.get(rule, rule), optimizer, *groups)

    monkeypatch.setattr(paper07, "Setting", other)


@pytest.mark.parametrize(
    ("claim", "rules"),
    [
        pytest.param(paper07.standard, {"sp": "spectral"}, marks=pytest.mark.slow),
        (paper07.kernel_regime, {"ntp": "mup"}),
        (paper07.kernel_regime, {"ntp": "sp"}),
    ],
)
def test_exponents_of_another_rule_turn_claims_red(small, claim, rules):
    assert claim().verdict.ok
    instead(small, rules)
    assert claim().verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
@pytest.mark.parametrize("rules", [{"mup": "ntp"}, {"spectral": "sp"}])
def test_exponents_of_another_rule_turn_updates_red(small, rules):
    right = paper07.updates()
    assert abs(right.value) < 0.25  # networks as narrow as these are not flat to 0.1
    instead(small, rules)
    wrong = paper07.updates()
    assert wrong.verdict.outcome is Outcome.INCONSISTENT
    assert abs(wrong.value) > 0.4


def test_rates_of_another_power_turn_frobenius_red(small):
    assert paper07.frobenius().verdict.ok
    small.setattr(paper07, "frobenius_groups", None)  # the plan's own, which keep spectral norms
    assert paper07.frobenius().verdict.outcome is Outcome.INCONSISTENT


def once(setting, widths, *, seeds, steps):
    """Measure one step alone."""
    return dict.fromkeys(steps, measure(setting, widths, seeds=seeds, steps=steps[:1])[steps[0]])


@pytest.mark.slow
def test_another_closed_form_turns_initial_norms_red(small):
    small.setattr(paper07, "measure", once)
    assert paper07.init().verdict.ok
    right = paper07.gaussian_norm
    small.setattr(paper07, "gaussian_norm", lambda rows, columns, std: right(rows, columns, 1.1 * std))
    assert paper07.init().verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
def test_another_rank_turns_stable_ranks_red(small):
    small.setattr(paper07, "measure", once)
    assert paper07.low_rank().verdict.ok
    right = norms.stable_rank
    paper07._recorded.cache_clear()
    small.setattr(norms, "stable_rank", lambda A, **given: right(A, **given) * max(A.shape) ** 0.25)
    assert paper07.low_rank().verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
def test_another_norm_of_inputs_turns_alignment_red(small):
    small.setattr(paper07, "measure", narrower(2, seeds=3))
    assert paper07.aligned().verdict.ok
    right = norms.alignment
    # The root mean square of inputs in the place of their norm.
    small.setattr(norms, "alignment", lambda A, h, **given: right(A, h, **given) * h.shape[-1] ** 0.5)
    assert paper07.aligned().verdict.outcome is Outcome.INCONSISTENT
