"""Claims of paper 7: the recorded norms against dense algebra, the slopes on a small scale, the closed forms."""

import functools

import pytest
import torch

from similitude.claims import norms
from similitude.claims.norms import Setting, gaussian_norm, layers, make, measure, slopes
from similitude.claims.paper07 import expected_norms
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
