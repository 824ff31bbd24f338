"""Kernels on a device that refuses tensors of another one: modules of every kind, Gram matrices, predictions, errors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

import similitude as sim
from similitude.kernels import moves, operands, reads
from similitude.kernels.devices import usable
from similitude.kernels.gradient_descent import gradient_descent, largest_eigenvalue
from similitude.kernels.leave_one_out import leave_one_out
from similitude.kernels.posterior import log_marginal_likelihood
from similitude.kernels.train_test import TrainTest
from tests.kernels.far_device import FAR, FarDevice, far, near
from tests.kernels.modules import CASES

KINDS = (
    "mlp, ReLU", "mlp, Tanh", "mlp, dropout in training", "residual, LayerNorm", "SwiGLU", "convolutions, global average",
    "convolutions, flattened", "convolution, GroupNorm", "depthwise convolution", "batch norm in eval mode",
    "batch norm in training", "recurrent", "embeddings with positions", "causal attention, logits of 1/d",
)  # fmt: skip
SLOW = tuple(
    name for name, case in CASES.items() if case.becomes in ("exact", "bounded") and name not in KINDS
)
DRAWN = tuple(name for name, case in CASES.items() if case.becomes == "estimated")
DTYPES = (torch.float64, torch.float32)


def away(x):
    return tree_map_only(Tensor, far, x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name", [*KINDS, *(pytest.param(name, marks=pytest.mark.slow) for name in (*SLOW, *DRAWN))]
)
def test_every_rule_computes_on_the_device_of_its_inputs(name, dtype):
    case = CASES[name]
    kernel = (
        sim.kernel(case.make, widths=(16, 24), dtype=dtype)
        if case.family
        else sim.kernel(case.make(32), dtype=dtype)
    )
    blocks = [(case.x, None)] if name in DRAWN else [(case.x, None), (case.x, case.x[:2])]
    wanted = [kernel.pair(*block) for block in blocks]
    with FarDevice() as device:
        found = [kernel.pair(away(x1), None if x2 is None else away(x2)) for x1, x2 in blocks]
    assert device.operations > 10
    for here, there in zip(wanted, found, strict=True):
        for which, block in here.items():
            exact = dict(rtol=1e-12, atol=1e-14) if dtype is torch.float64 else dict(rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(near(there[which]), block, **exact)
