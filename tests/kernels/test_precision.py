"""Kernels in float32 against float64: modules of every kind, close samples, and that nothing is lost unsaid."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import similitude as sim
from tests.kernels.modules import CASES

KINDS = (
    "mlp, ReLU", "mlp, Tanh", "mlp, ELU", "mlp, ReLU6", "residual, LayerNorm", "SwiGLU", "convolutions, global average",
    "convolution, GroupNorm", "recurrent", "embeddings with positions",
    "batch norm in training",
)  # fmt: skip

QUICK = ("mlp, Tanh", "mlp, ReLU6", "residual, LayerNorm", "SwiGLU", "convolution, GroupNorm", "recurrent")


def worst(make, x: Tensor) -> dict[str, float]:
    """Return the largest error of float32, over the geometric mean of both diagonal entries."""
    exact, single = (
        sim.kernel(make, sample=x, widths=(16, 24), weight_variance=1.5, bias_variance=0.1, dtype=dtype).pair(
            x
        )
        for dtype in (torch.float64, torch.float32)
    )
    found = {}
    for name, k in exact.items():
        assert single[name].dtype is torch.float32
        root = k.diagonal().sqrt()
        found[name] = float(((single[name].double() - k).abs() / (root[:, None] * root)).max())
    return found


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow)
        for n in (*KINDS, "attention, heads of 8 neurons")
    ],
)
def test_float32_is_float64_to_six_digits(name):
    found = worst(CASES[name].make, CASES[name].x)
    assert max(found.values()) < 1e-6


def close(act: type[nn.Module]):
    def make(width: int) -> nn.Module:
        hidden = (nn.Linear(5, width), act(), nn.Linear(width, width), act())
        return nn.Sequential(*hidden, nn.Linear(width, 1))

    return make


@pytest.mark.parametrize(("act", "bound"), [(nn.ReLU, 1e-3), (nn.GELU, 2e-6), (nn.Tanh, 2e-6)])
def test_close_samples_cost_digits_of_the_tangent_kernel_of_kinks_alone(act, bound):
    # Samples that differ by 1e-1 to 1e-8 of themselves: angles below 4e-4 are rounding in float32, and what a kink
    # adds to the tangent kernel goes with the angle.
    generator = torch.Generator().manual_seed(1)
    start, moves = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (1, 8))
    x = start + moves * 10.0 ** -torch.arange(1, 9, dtype=torch.float64)[:, None]
    found = worst(close(act), x)
    assert found["nngp"] < 2e-6
    assert found["ntk"] < bound
