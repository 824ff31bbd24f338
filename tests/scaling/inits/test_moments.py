"""Moments of initial values against known distributions."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from similitude.core.errors import FactoryError, PlanError
from similitude.scaling.inits.moments import Moments, moments


class Bare(nn.Module):
    """One tensor of given values."""

    def __init__(self, values: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(values)


def filled(fill: Callable[[torch.Tensor], object], *shape: int) -> Callable[[int], nn.Module]:
    def make(width: int) -> nn.Module:
        values = torch.empty(*shape)
        fill(values)
        return Bare(values)

    return make


@pytest.mark.parametrize(
    ("fill", "rms", "kurtosis", "peak"),
    [
        (lambda t: nn.init.normal_(t, std=2.0), 2.0, 3.0, None),
        (lambda t: nn.init.uniform_(t, -0.5, 0.5), 0.5 / math.sqrt(3), 1.8, 0.5),
        (lambda t: t.copy_(torch.randn(t.shape).sign()), 1.0, 1.0, 1.0),
        (lambda t: nn.init.constant_(t, -3.0), 3.0, 1.0, 3.0),
    ],
)
def test_moments_of_known_distributions(fill, rms, kurtosis, peak):
    found = moments(filled(fill, 300, 1000), 8, seed=0)["weight"]
    assert found.count == 300_000
    assert found.rms == pytest.approx(rms, rel=5 * found.log_error + 1e-6)
    assert found.kurtosis == pytest.approx(kurtosis, rel=0.03)
    assert peak is None or found.peak == pytest.approx(peak, rel=1e-4)
    assert found.rounding == torch.finfo(torch.float32).eps


def test_the_error_of_a_mean_square_is_that_of_independent_draws():
    """Repeated measurements scatter by the error that each of them states."""
    seen = [moments(filled(nn.init.normal_, 50, 50), 8, seed=seed)["weight"] for seed in range(40)]
    scatter = torch.tensor([math.log(m.rms) for m in seen]).std().item()
    assert scatter == pytest.approx(seen[0].log_error, rel=0.4)


def test_few_entries_do_not_feign_certainty():
    alike = Moments(count=3, square=1.0, fourth=1.001, constant=False, peak=1.0)
    assert alike.log_error > 0.3
    assert Moments(3, 1.0, 1.0, True, 1.0).log_error == 0


def test_small_tensors_are_drawn_often_and_large_ones_once():
    assert moments(lambda w: nn.Linear(w, w), 8, seed=0)["bias"].count == 8 * 25
    assert moments(lambda w: nn.Linear(w, w, bias=False), 64, seed=0)["weight"].count == 64 * 64 * 5
    assert moments(lambda w: nn.Linear(w, w, bias=False), 256, seed=0)["weight"].count == 256 * 256
    # Constants need no second draw; of one number it takes a second to see that it is none, and counts once.
    assert moments(lambda w: nn.LayerNorm(w), 8, seed=0)["weight"].count == 8
    assert moments(filled(nn.init.ones_, 1), 8, seed=0)["weight"].count == 1
    assert moments(filled(nn.init.normal_, 1), 8, seed=0)["weight"].count == 128
    assert moments(lambda w: nn.Linear(w, w), 8, seed=0, draws=3)["bias"].count == 24


def test_few_draws_are_made_of_a_large_model():
    calls = []

    def make(width: int) -> nn.Module:
        calls.append(width)
        return nn.Linear(width, 2)  # the bias would need 100 draws

    moments(make, 4_500_000, seed=0)
    assert len(calls) == 2


def test_a_factory_that_seeds_itself_counts_as_one_draw():
    def make(width: int) -> nn.Module:
        torch.manual_seed(0)
        return nn.Linear(width, width)

    assert moments(make, 8, seed=0)["weight"].count == 64


def test_measuring_is_reproducible_and_leaves_the_generator_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    one = moments(lambda w: nn.Linear(w, w), 8, seed=1)
    assert one == moments(lambda w: nn.Linear(w, w), {"width": 8}, seed=1)
    assert one != moments(lambda w: nn.Linear(w, w), 8, seed=2)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_uniform_init_has_a_bound_that_draws_respect():
    found = moments(lambda w: nn.Linear(w, w), 64, seed=0)["weight"]
    assert found.bound == pytest.approx(1 / 8, rel=0.02)
    other = moments(lambda w: nn.Linear(w, w), 64, seed=1)["weight"]
    assert found.bound is not None
    assert other.peak < found.bound
    assert moments(filled(nn.init.normal_, 64, 64), 8, seed=0)["weight"].bound is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.complex64])
def test_every_floating_type_is_measured(dtype):
    found = moments(lambda w: Bare(torch.full((4, w), 0.5, dtype=dtype)), 8, seed=0)["weight"]
    assert (found.rms, found.constant, found.rounding) == (0.5, True, torch.finfo(dtype).eps)


def test_an_empty_tensor_has_no_values():
    found = moments(lambda w: Bare(torch.zeros(0, w)), 8, seed=0)["weight"]
    assert (found.count, found.rms, found.bound) == (0, 0.0, None)


def test_what_has_no_values_is_an_error():
    with pytest.raises(PlanError, match="parameters on the meta device, which have no values"):
        moments(lambda w: nn.Linear(w, w, device="meta"), 8, seed=0)
    with pytest.raises(FactoryError, match=r"make\(8\) failed"):
        moments(lambda w: nn.Linear(w, w // 0), 8, seed=0)
