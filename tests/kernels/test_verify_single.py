"""Verification of a single module: what its own width may add is stated, and errors beyond it are seen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import similitude as sim

X = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def alone(width: int) -> sim.Kernel:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(5, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
    )
    return sim.kernel(net, sample=X, weight_variance=2.0, bias_variance=0.1)


class Wrong(sim.Kernel):
    """A kernel that is three times what it should be."""

    def pair(self, *args, **kwargs):
        return {name: 3.0 * block for name, block in super().pair(*args, **kwargs).items()}


def wrong(right: sim.Kernel) -> sim.Kernel:
    return Wrong(**{name: getattr(right, name) for name in right.__dataclass_fields__})


@pytest.mark.parametrize("width", [8, pytest.param(12, marks=pytest.mark.slow)])
def test_a_single_module_is_compared_within_what_its_width_may_add(width):
    kernel = alone(width)
    verdict = kernel.verify(seconds=4, copies=1000)
    assert verdict.outcome == "ok", verdict.summary
    assert f"4/{width} = {4 / width:.0%}" in verdict.summary
    assert "family of the width" in verdict.next
    assert wrong(kernel).verify(seconds=2, copies=300).outcome == "inconsistent"


def test_a_module_of_two_neurons_says_nothing():
    verdict = alone(2).verify(seconds=1, copies=40)
    assert verdict.outcome == "too_noisy"
    assert "a module with 2 neurons says nothing" in verdict.summary
