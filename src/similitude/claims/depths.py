"""Train residual perceptrons on digits at several depths and compare depth rules: where is the best learning rate?"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from similitude.core.seeding import numpy_generator
from similitude.data import load
from similitude.data.batches import Batches, ImageBatches
from similitude.models import ResMLP
from similitude.models.resmlp import Block, ResActivation
from similitude.scaling.plan import Plan, plan
from similitude.studies.records import Curve, Transfer
from similitude.studies.shift import transfer
from similitude.training.ensemble import Replica, train_ensemble
from similitude.training.losses import cross_entropy
from similitude.training.result import RunResult
from similitude.training.schedule import Schedule, WarmupLinear, constant

PIXELS, CLASSES = 64, 10
BRANCHES_ALONE = "branches alone"
"""Branches scaled as under Depth-muP at a learning rate that stays: right at initialization and wrong in training."""

TOLERANCE = 0.15
"""Octaves of learning rate per doubling of depth that count as none."""


@dataclass(frozen=True)
class ShuffledDigits:
    """Digits with labels at random: 1,024 images that can only be memorised, which takes every layer that there is."""

    batch_size: int = 128
    images: int = 1024
    _data: tuple[Tensor, Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        digits = load("digits")
        labels = numpy_generator(13, "labels").integers(CLASSES, size=self.images)
        pixels = digits.train_images[: self.images, ..., 0].astype(np.float32)
        x = torch.from_numpy((pixels - pixels.mean()) / pixels.std())
        object.__setattr__(self, "_data", (x, torch.from_numpy(labels)))

    def batch(self, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """Return images drawn with replacement, with their labels."""
        drawn = numpy_generator(seed, "batch", step).integers(self.images, size=self.batch_size)
        return self._data[0][drawn], self._data[1][drawn]

    def evaluation(self) -> tuple[Tensor, Tensor]:
        """Return all images: what counts is how much of them is memorised."""
        return self._data

    def describe(self) -> dict[str, Any]:
        """Return what identifies these batches."""
        return {"data": "digits with shuffled labels", "images": self.images, "batch_size": self.batch_size}


@dataclass(frozen=True)
class DepthTask:
    """How networks of every depth are trained, with Adam.

    Attributes:
        batches: The data.
        width: Units of the stream.
        depths: Numbers of branches, the base first.
        steps: Optimizer steps.
        schedule: Multiplier of the learning rate by step.
        lrs: Learning rates, increasing.
        seeds: Seeds of each.
    """

    batches: Batches
    width: int
    depths: tuple[int, ...]
    steps: int
    lrs: tuple[float, ...]
    schedule: Schedule = constant
    seeds: tuple[int, ...] = (0, 1, 2)

    def sweep(self, rule: str | float) -> Transfer:
        """Train every depth and learning rate under a depth rule, or under `BRANCHES_ALONE`.

        Returns:
            The transfer over depths: its `shift` is in octaves per doubling of depth.
        """
        curves = [
            Curve(depth, self.lrs, tuple(map(tuple, self._losses(rule, depth))), dial="depth")
            for depth in self.depths
        ]
        return transfer(str(rule), curves, tolerance=TOLERANCE, dial="depth")

    def _losses(self, rule: str | float, depth: int) -> list[list[float]]:
        results = train_ensemble(
            functools.partial(make, self.width, depth),
            [Replica(seed, lr) for lr in self.lrs for seed in self.seeds],
            batches=self.batches,
            loss=cross_entropy,
            steps=self.steps,
            optimizer=torch.optim.Adam,
            plan=self._plan(rule, depth),
            schedule=self.schedule,
        )
        return by_setting(results, len(self.seeds))

    def _plan(self, rule: str | float, depth: int) -> Plan:
        alone = rule == BRANCHES_ALONE
        made = plan(
            make,
            base={"width": self.width, "depth": self.depths[0]},
            target={"width": self.width, "depth": depth},
            sample=self.batches.batch(0, 0),
            loss=cross_entropy,
            optimizer=torch.optim.Adam,
            depth_rule="depth_mup" if alone else rule,
        )
        if not alone:
            return made
        rows = tuple(dataclasses.replace(row, lr=row.lr * row.depth_ratio**0.5) for row in made.rows)
        return dataclasses.replace(made, rows=rows)


def make(width: int, depth: int) -> nn.Module:
    """Return the network of the transfer: blocks of one matrix and ReLU, branches as large as their input."""
    return ResMLP(PIXELS, CLASSES, width=width, depth=depth, zero_head=True)


def noisy_digits(depths: tuple[int, ...]) -> DepthTask:
    """Return the task of transfer over some depths: digits under fresh noise, the rate falling to 0."""
    steps = 120
    return DepthTask(
        ImageBatches(load("digits"), batch_size=128, noise=1.0),
        width=64,
        depths=depths,
        steps=steps,
        lrs=tuple(2.0**k for k in range(-11, -2)),
        schedule=WarmupLinear(steps),
    )


def memorised_digits() -> DepthTask:
    """Return the task that tells exponents apart: every layer is needed, so the basin of the best rate is narrow."""
    return DepthTask(
        ShuffledDigits(), width=40, depths=(4, 16), steps=160, lrs=tuple(2.0**k for k in range(-11, -3))
    )


def best_losses(activation: ResActivation, block: Block, *, depth: int) -> np.ndarray:
    """Return the final losses by seed at the best learning rate, memorising digits with shuffled labels.

    Args:
        activation: Nonlinearity of the branches.
        block: Form of the branches.
        depth: Number of branches, each multiplied by 2 / sqrt(depth).
    """
    task = memorised_digits()
    results = train_ensemble(
        lambda: ResMLP(
            PIXELS,
            CLASSES,
            width=task.width,
            depth=depth,
            activation=activation,
            block=block,
            branch=2 * depth**-0.5,
            zero_head=True,
        ),
        [Replica(seed, lr) for lr in task.lrs for seed in task.seeds],
        batches=task.batches,
        loss=cross_entropy,
        steps=task.steps,
        optimizer=torch.optim.Adam,
    )
    table = np.array(by_setting(results, len(task.seeds)))
    return table[int(np.argmin(table.mean(axis=1)))]


def by_setting(results: Sequence[RunResult], seeds: int) -> list[list[float]]:
    """Group final losses by setting, in the order of runs: shape (settings, seeds)."""
    finals = [result.final for result in results]
    return [finals[i : i + seeds] for i in range(0, len(finals), seeds)]
