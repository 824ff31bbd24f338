"""Gram matrices of modules: tiles, folders and processes give what one block gives; folders tell kernels apart."""

import pytest
import torch
from torch import nn

import similitude as sim
from similitude.core.errors import KernelError
from similitude.runs.pool import ProcessPool
from tests.kernels.gram_pairs import samples


def mlp(width):
    return nn.Sequential(
        nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
    )


def pooled(width):
    first = nn.Conv2d(1, width, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 1))


class Scaled(nn.Module):
    """A net whose outputs are multiplied by fixed numbers."""

    def __init__(self, width, gain):
        super().__init__()
        self.first, self.last = nn.Linear(6, width), nn.Linear(width, 1)
        self.register_buffer("gain", torch.tensor([gain]))

    def forward(self, x):
        return self.last(torch.relu(self.first(x))) * self.gain


FLAT, IMAGES = samples(11), samples(5, 16).reshape(5, 1, 4, 4)


@pytest.mark.parametrize(("make", "x"), [(mlp, FLAT), (pooled, IMAGES)])
@pytest.mark.parametrize("side", [2, 3, None])
def test_tiles_are_one_block(make, x, side):
    kernel = sim.kernel(make, sample=x[:2], widths=(8, 12))
    whole, across = kernel.pair(x), kernel.pair(x[:3], x)
    for name, found in kernel.grams(x, side=side).items():
        torch.testing.assert_close(found, whole[name], rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(found.diagonal(), whole[name].diagonal(), rtol=1e-13, atol=0)
    for name, found in kernel.grams(x[:3], x, side=side).items():
        torch.testing.assert_close(found, across[name], rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_other_processes_give_the_same_numbers():
    kernel = sim.kernel(mlp, sample=FLAT[:2], widths=(8, 12))
    here, there = kernel.ntk(FLAT, side=6), kernel.ntk(FLAT, side=6, engine=ProcessPool(1))
    assert torch.equal(here, there)


def scaled(gain):
    torch.manual_seed(0)
    return sim.kernel(Scaled(64, gain), sample=FLAT[:2])


@pytest.mark.parametrize(
    "change",
    [
        {"weight_variance": 2.0},
        {"bias_variance": 0.3},
        {"rule": "mup"},
    ],
)
def test_a_folder_refuses_other_variances_and_rates(tmp_path, change):
    given = {"sample": FLAT[:2], "widths": (8, 12)}
    kernel = sim.kernel(mlp, **given)
    kernel.nngp(IMAGES.reshape(10, 8)[:, :6])  # what else a kernel was used on plays no part
    first = kernel.ntk(FLAT, folder=tmp_path)
    assert torch.equal(sim.kernel(mlp, **given).ntk(FLAT, folder=tmp_path), first)
    with pytest.raises(KernelError, match=r"kernel\.digest was"):
        sim.kernel(mlp, **given, **change).ntk(FLAT, folder=tmp_path)


def test_a_folder_refuses_other_fixed_numbers(tmp_path):
    scaled(1.5).ntk(FLAT, folder=tmp_path)
    scaled(1.5).ntk(FLAT, folder=tmp_path)
    with pytest.raises(KernelError, match=r"kernel\.digest was"):
        scaled(2.5).ntk(FLAT, folder=tmp_path)


def test_predictions_of_a_module_are_those_of_its_blocks():
    kernel = sim.kernel(mlp, sample=FLAT[:2], widths=(8, 12))
    y = FLAT[:8].sum(1)
    mean, cov = kernel.predict(FLAT[:8], y, FLAT[8:])
    ntk, nngp = kernel.ntk(FLAT), kernel.nngp(FLAT)
    fit = torch.linalg.solve(ntk[:8, :8], ntk[:8, 8:]).T
    torch.testing.assert_close(mean, fit @ y, rtol=1e-6, atol=1e-8)
    expected = nngp[8:, 8:] - fit @ nngp[:8, 8:] - nngp[8:, :8] @ fit.T + fit @ nngp[:8, :8] @ fit.T
    torch.testing.assert_close(cov, expected, rtol=1e-6, atol=1e-8)
