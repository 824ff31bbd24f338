"""Curves of studies of Super Consistency whose answer is known, and a study of a second."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from similitude.studies.consistency_experiment import ConsistencyExperiment
from similitude.studies.consistency_records import SizeCurves
from similitude.studies.windows import windows_of
from similitude.training.losses import squared_error_of_classes
from tests.cases import TeacherBatches

STEPS = tuple(range(0, 101, 10))
WINDOWS = windows_of(((0, 0), (0.1, 0.3), (0.5, 1)), 100, 10)


def curves(sizes=(64, 128, 256, 512, 1024), *, sharpness, loss, seeds=3, noise=0.0, seed=0):
    """Curves by size: `sharpness(size, t)` and `loss(size, t)` times a factor by seed, t from 0 to 1."""
    rng = np.random.default_rng(seed)
    found = []
    for size in sizes:
        factors = 1 + noise * rng.standard_normal(seeds)
        rows = {
            "loss": [[loss(size, step / 100) for step in STEPS] for _ in factors],
            "eta_lambda": [[f * sharpness(size, step / 100) for step in STEPS] for f in factors],
            "threshold": [[2.0] * len(STEPS) for _ in factors],
        }
        for name, share in (
            ("top_1", 1.0),
            ("top_2", 0.6),
            ("gauss_newton", 0.8),
            ("residual", 0.2),
            ("ntk", 0.7),
        ):
            rows[name] = [[share * v if s in (0, 30, 100) else math.nan for s, v in zip(STEPS, row, strict=True)]
                          for row in rows["eta_lambda"]]  # fmt: skip
        found.append(SizeCurves(size, STEPS, {name: tuple(map(tuple, v)) for name, v in rows.items()}))
    return found


def same(size, t):
    """One curve at every size."""
    return 0.9 + 1.1 * min(1.0, 4 * t)


def lazy(size, t):
    """The same at the start; the larger, the less it rises."""
    return 0.9 + 1.1 * min(1.0, 4 * t) * (64 / size) ** 0.5


def gap_of_loss(size, t):
    """A loss that falls, with a gap between sizes that grows with time and falls as 1 / size."""
    return math.exp(-2 * t) * (1 + 2 * t * 64 / size)


def small_net(width):
    """Two tanh layers in double precision; importable, so that worker processes can build it."""
    return nn.Sequential(
        nn.Linear(16, width, bias=False), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 4)
    ).double()


def small_study(**changes):
    """Three widths, two seeds, eight steps, measured at every second one."""
    settings = {
        "name": "small",
        "make": small_net,
        "batches": TeacherBatches(size=12),
        "widths": (4, 6, 8),
        "loss": squared_error_of_classes,
        "optimizer": torch.optim.SGD,
        "steps": 8,
        "every": 2,
        "seeds": (0, 1),
        "top": 2,
        "windows": ((0, 0), (0.25, 0.5), (0.75, 1)),
    }
    return ConsistencyExperiment(**(settings | changes))
