"""Networks and data on which the exponents of paper 1's dial are measured: MLPs of ReLUs that learn a fixed function."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from similitude.core.seeding import derive
from similitude.data import ImageSet, load
from similitude.data.batches import Batches, ImageBatches
from similitude.models import MLP
from similitude.scaling.optimizers import OptimizerLike
from similitude.studies.gamma_records import GammaSweep
from similitude.studies.gamma_sweep import gamma_sweep
from similitude.training.loop import Loss
from similitude.training.losses import mean_squared_error, squared_error_of_classes

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


@dataclass(frozen=True)
class Remembered:
    """Batches that are drawn once: a sweep asks for the same ones at every gamma and in every round of rates."""

    batches: Batches
    drawn: dict[tuple[int, int], Any] = field(default_factory=dict, repr=False)

    def batch(self, seed: int, step: int) -> Any:
        """Return the training batch of one step."""
        if (seed, step) not in self.drawn:
            self.drawn[seed, step] = self.batches.batch(seed, step)
        return self.drawn[seed, step]

    def evaluation(self) -> Any:
        """Return the evaluation batch."""
        return self.batches.evaluation()

    def describe(self) -> dict[str, Any]:
        """Return what identifies these batches."""
        return self.batches.describe()


@dataclass(frozen=True)
class GammaTask:
    """What a network of a sweep learns.

    Attributes:
        inputs: Numbers per example.
        outputs: Numbers per output.
        batches: Makes the batches; called when a sweep begins.
        loss: `loss(model, batch)`.
    """

    inputs: int
    outputs: int
    batches: Callable[[], Batches]
    loss: Loss


def digits() -> Batches:
    """Return scikit-learn's digits with few images to evaluate."""
    images = load("digits")
    assert isinstance(images, ImageSet), "digits are images"
    return ImageBatches(images, batch_size=BATCH, evaluate=256)


FRESH = GammaTask(INPUTS, 1, FreshInputs, mean_squared_error)
DIGITS = GammaTask(64, 10, digits, squared_error_of_classes)


def make(width: int, *, layers: int, inputs: int = INPUTS, outputs: int = 1) -> nn.Module:
    """Return an MLP with some weight layers, He-initialized, whose output starts at width^-1/2, as muP has it."""
    model = MLP(inputs, outputs, width=width, depth=layers - 1, bias=False)
    for weight in model.parameters():
        nn.init.normal_(weight, std=(2 / weight.shape[1]) ** 0.5)
    nn.init.normal_(model.head.weight, std=1 / width)
    return model


def swept(
    optimizer: OptimizerLike,
    *,
    layers: int,
    steps: int,
    gammas: tuple[float, ...] = GAMMAS,
    task: GammaTask = FRESH,
) -> GammaSweep:
    """Sweep gamma and the learning rate of an MLP with some weight layers; its layers are counted by the trace."""
    with tempfile.TemporaryDirectory() as folder:
        return gamma_sweep(
            functools.partial(make, layers=layers, inputs=task.inputs, outputs=task.outputs),
            Remembered(task.batches()),
            base=WIDTH,
            gammas=gammas,
            loss=task.loss,
            optimizer=optimizer,
            steps=steps,
            storage=folder,
        )
