"""The valley of (learning rate, multiplier of the branches) of networks whose blocks have one matrix or two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from similitude.claims.depths import CLASSES, PIXELS, ShuffledDigits, by_setting
from similitude.models import ResMLP
from similitude.models.resmlp import Block
from similitude.studies.optimum import optimum
from similitude.studies.records import Curve
from similitude.training.ensemble import Replica, train_ensemble
from similitude.training.losses import cross_entropy


class _Frozen(ResMLP):
    """A residual perceptron of which the branches alone are trained, with a readout of order 1 / width."""

    def __init__(self, width: int, depth: int, *, block: Block, branch: float) -> None:
        super().__init__(PIXELS, CLASSES, width=width, depth=depth, block=block, branch=branch)
        nn.init.normal_(self.head.weight, std=1 / width)
        nn.init.zeros_(self.head.bias)
        for part in (self.stem, self.head):
            part.requires_grad_(False)


def best_multipliers(
    block: Block,
    depth: int,
    *,
    rates: Sequence[float],
    multipliers: Sequence[float],
    width: int,
    steps: int,
    seeds: Sequence[int],
) -> Mapping[float, float]:
    """Find the best multiplier of the branches at every learning rate: the valley of (rate, multiplier).

    Networks memorise digits with shuffled labels; stem and readout stay, so that the branches alone can.

    Args:
        block: Form of the blocks.
        depth: Branches L.
        rates: Learning rates eta of Depth-muP: Adam's is eta / (width sqrt(L)).
        multipliers: Multipliers a: a branch is multiplied by a / sqrt(L).
        width: Units of the stream.
        steps: Steps of Adam at a constant rate.
        seeds: Seeds of every point.

    Returns:
        By rate the best multiplier, refined between those that were tried; rates without one are left out.
    """
    root, data = math.sqrt(depth), ShuffledDigits()
    replicas = [Replica(seed, eta / (width * root)) for eta in rates for seed in seeds]
    table = np.zeros((len(multipliers), len(rates), len(seeds)))
    for i, multiplier in enumerate(multipliers):
        results = train_ensemble(
            lambda branch=multiplier / root: _Frozen(width, depth, block=block, branch=branch),
            replicas,
            batches=data,
            loss=cross_entropy,
            steps=steps,
            optimizer=torch.optim.Adam,
        )
        table[i] = by_setting(results, len(seeds))
    found = {}
    for j, eta in enumerate(rates):
        losses = tuple(map(tuple, table[:, j].tolist()))
        best = optimum(Curve(depth, tuple(multipliers), losses, dial="depth"))
        if best.lr is not None and best.bracketed:
            found[eta] = best.lr
    return found


def valley_slope(valley: Mapping[float, float]) -> float:
    """Return the slope d log(multiplier) / d log(rate) of a valley by least squares.

    Example:
        >>> valley_slope({1.0: 8.0, 2.0: 2.0, 4.0: 0.5})
        -2.0
    """
    x, y = np.log2(list(valley)), np.log2(list(valley.values()))
    x = x - x.mean()
    return round(float(x @ (y - y.mean()) / (x @ x)), 9)
