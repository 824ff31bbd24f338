"""The user's own init, measured and recognized."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from similitude.core.errors import PlanError
from similitude.scaling import inits
from similitude.scaling.axes import compare
from similitude.scaling.inits import OwnInit, measure, moments
from similitude.scaling.roles import infer


def own(make: Callable[[int], nn.Module], base: int = 32, target: int = 128) -> dict[str, OwnInit]:
    comparison = compare(make, base, target)
    return measure(make, comparison, infer(comparison), base=base, target=target, seed=0)


def linear(fill: Callable[[torch.Tensor], object], inputs: int | None = None) -> Callable[[int], nn.Module]:
    def make(width: int) -> nn.Module:
        layer = nn.Linear(inputs or width, width, bias=False)
        fill(layer.weight)
        return layer

    return make


@pytest.mark.parametrize(
    ("make", "ratio", "law"),
    [
        (linear(lambda w: None), 0.5, "fan_in^-1/2"),
        (linear(nn.init.orthogonal_), 0.5, "fan_in^-1/2"),
        (linear(nn.init.eye_), 0.5, "fan_in^-1/2"),
        (linear(lambda w: nn.init.normal_(w, std=0.02)), 1.0, "constant"),
        (linear(lambda w: nn.init.normal_(w, std=1 / w.shape[1])), 0.25, "fan_in^-1"),
        (linear(nn.init.xavier_normal_, 32), (64 / 160) ** 0.5, "xavier"),
        (linear(nn.init.zeros_), 1.0, "fixed"),
        (lambda w: nn.Embedding(9, w, padding_idx=0), 1.0, "constant"),
    ],
)
def test_the_law_of_an_init_is_recognized_exactly(make, ratio, law):
    found = own(make)["weight"]
    assert (found.ratio, found.law) == (ratio, law)


def test_small_biases_are_recognized_from_many_draws():
    found = own(lambda w: nn.Sequential(nn.Linear(w, w), nn.Linear(w, 3)))
    assert (found["0.bias"].ratio, found["0.bias"].law) == (0.5, "width^-1/2")
    assert (found["1.bias"].ratio, found["1.bias"].law) == (0.5, "width^-1/2")


def test_an_unlawful_init_is_used_as_measured():
    found = own(linear(lambda w: nn.init.normal_(w, std=w.shape[1] ** -0.3)))["weight"]
    assert found.law == ""
    assert found.ratio == pytest.approx(4**-0.3, abs=5 * found.error)


def test_a_factory_that_seeds_itself_counts_as_one_draw():
    def make(width: int) -> nn.Module:
        torch.manual_seed(0)
        return nn.Linear(width, width)

    assert moments(make, 8, seed=0)["weight"].count == 64
    assert moments(lambda w: nn.Linear(w, w), 8, seed=0)["weight"].count == 64 * 32


def test_moments_of_a_known_distribution():
    found = moments(linear(lambda w: nn.init.normal_(w, std=2.0)), 64, seed=0)["weight"]
    assert found.rms == pytest.approx(2.0, rel=5 * found.log_error)
    assert found.kurtosis == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize("base", [32, 128])
def test_a_model_too_large_to_build_is_extrapolated(monkeypatch, base):
    def make(width: int) -> nn.Module:
        return nn.Sequential(
            nn.Linear(5, width), nn.Linear(width, width), nn.LayerNorm(width), nn.Linear(width, 3)
        )

    expected = own(make, base, 512)
    monkeypatch.setattr(inits, "MOST_PARAMETERS", 100 * 100)
    found = own(make, base, 512)
    for name, one in expected.items():
        assert (found[name].ratio, found[name].law) == (one.ratio, one.law)
        assert found[name].rms == (None if one.rms is None else pytest.approx(one.rms, rel=0.05))


def test_an_unlawful_init_of_a_model_too_large_to_build_is_refused(monkeypatch):
    monkeypatch.setattr(inits, "MOST_PARAMETERS", 5000)
    with pytest.raises(
        PlanError, match=r"262,144 parameters, too many to build here, and the init of 'weight' follows"
    ):
        own(linear(lambda w: nn.init.normal_(w, std=w.shape[1] ** -0.3)), 32, 512)
    monkeypatch.setattr(inits, "MOST_PARAMETERS", 10)
    with pytest.raises(PlanError, match="no two of the widths 32, 64, 128, 16, "):
        own(linear(lambda w: None), 32, 512)
