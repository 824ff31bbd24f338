"""Cases declared once: optimizers, toy batches and small models that tests are run over."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn

from similitude.studies.experiment import Experiment, rates

OPTIMIZERS = {
    "sgd": (functools.partial(torch.optim.SGD, weight_decay=0.01), 0.3),
    "momentum": (functools.partial(torch.optim.SGD, momentum=0.9, dampening=0.1), 0.1),
    "nesterov": (functools.partial(torch.optim.SGD, momentum=0.9, nesterov=True, weight_decay=0.01), 0.1),
    "adam": (torch.optim.Adam, 0.01),
    "adam_l2": (functools.partial(torch.optim.Adam, weight_decay=0.01, betas=(0.8, 0.95), eps=1e-4), 0.01),
    "adamw": (functools.partial(torch.optim.AdamW, weight_decay=0.1), 0.01),
}
"""Name -> (optimizer, a learning rate near its best on `TeacherBatches`)."""


class TeacherBatches:
    """Online classification by a fixed linear teacher: never the same example twice."""

    def __init__(
        self, inputs: int = 16, classes: int = 4, size: int = 32, dtype: torch.dtype = torch.float64
    ) -> None:
        self.inputs, self.classes, self.size, self.dtype = inputs, classes, size, dtype
        self.teacher = torch.randn(inputs, classes, generator=torch.Generator().manual_seed(7), dtype=dtype)

    def _draw(self, generator: torch.Generator, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.randn(size, self.inputs, generator=generator, dtype=self.dtype)
        return x, (x @ self.teacher).argmax(1)

    def batch(self, seed: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self._draw(torch.Generator().manual_seed(100_003 * seed + step), self.size)

    def evaluation(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self._draw(torch.Generator().manual_seed(2**40), 256)

    def describe(self) -> dict[str, object]:
        return {
            "data": "linear teacher",
            "inputs": self.inputs,
            "classes": self.classes,
            "batch_size": self.size,
        }


def toy_mlp(
    width: int = 24, *, inputs: int = 16, classes: int = 4, dtype: torch.dtype = torch.float64
) -> nn.Module:
    """Two hidden layers; importable, so that worker processes can build it."""
    layers = [
        nn.Linear(inputs, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, classes),
    ]
    return nn.Sequential(*layers).to(dtype)


def tiny_experiment(**changes: Any) -> Experiment:
    """A transfer study of seconds: 2 widths, 4 rates, 2 seeds, both rules."""
    settings: dict[str, Any] = {
        "name": "tiny",
        "make": toy_mlp,
        "batches": TeacherBatches(size=16),
        "widths": (8, 16),
        "lrs": rates(2**-9, 2**-3, 4),
        "steps": 6,
        "seeds": (0, 1),
    }
    return Experiment(**{**settings, **changes})
