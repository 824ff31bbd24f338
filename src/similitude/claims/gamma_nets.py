"""Networks and data on which the exponents of paper 1's dial are measured: MLPs of ReLUs that learn a fixed function."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from similitude.core.seeding import derive
from similitude.models import MLP
from similitude.scaling.optimizers import OptimizerLike
from similitude.studies.gamma_records import GammaSweep
from similitude.studies.gamma_sweep import gamma_sweep
from similitude.training.losses import mean_squared_error

INPUTS = 8
WIDTH = 32
BATCH = 64
GAMMAS = (1e-4, 1e-3, 1e-2, 1e2, 1e3, 1e4)


@dataclass(frozen=True)
class FreshInputs:
    """Gaussian inputs, new in every batch, and as targets their linear function plus a product of two of them."""

    def batch(self, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs (batch, `INPUTS`) and targets (batch, 1)."""
        generator = torch.Generator().manual_seed(derive(seed, "inputs", step))
        x = torch.randn(BATCH, INPUTS, generator=generator)
        teacher = torch.randn(INPUTS, 1, generator=torch.Generator().manual_seed(5)) / INPUTS**0.5
        return x, x @ teacher + 0.5 * x[:, :1] * x[:, 1:2]

    def evaluation(self) -> None:
        """Return None: the loss of the last steps, on inputs not seen before, is the final one."""

    def describe(self) -> dict[str, Any]:
        """Return what identifies these batches."""
        return {"data": "linear plus a product", "inputs": INPUTS, "batch_size": BATCH}


def make(width: int, *, layers: int) -> nn.Module:
    """Return an MLP with some weight layers, He-initialized, whose output starts at width^-1/2, as muP has it."""
    model = MLP(INPUTS, 1, width=width, depth=layers - 1, bias=False)
    for weight in model.parameters():
        nn.init.normal_(weight, std=(2 / weight.shape[1]) ** 0.5)
    nn.init.normal_(model.head.weight, std=1 / width)
    return model


def swept(
    optimizer: OptimizerLike, *, layers: int, steps: int, gammas: tuple[float, ...] = GAMMAS
) -> GammaSweep:
    """Sweep gamma and the learning rate of an MLP with some weight layers; its layers are counted by the trace."""
    with tempfile.TemporaryDirectory() as folder:
        return gamma_sweep(
            functools.partial(make, layers=layers),
            FreshInputs(),
            base=WIDTH,
            gammas=gammas,
            loss=mean_squared_error,
            optimizer=optimizer,
            steps=steps,
            storage=folder,
        )
