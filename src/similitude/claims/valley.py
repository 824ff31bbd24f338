"""Networks of which the branches alone are trained, and their valley of (learning rate, multiplier of the branches)."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from torch import nn

from similitude.claims.depths import CLASSES, PIXELS, ShuffledDigits
from similitude.models import ResMLP
from similitude.models.resmlp import Block
from similitude.studies.valley import valley
from similitude.studies.valley_records import ValleyStudy


class FrozenEnds(ResMLP):
    """A residual perceptron of which the branches alone are trained, with a readout of order 1 / width.

    Args:
        width: Units of the stream.
        depth: Branches.
        block: Form of the branches.
        multiplier: Number that every branch is multiplied by.
    """

    def __init__(self, width: int, depth: int, *, block: Block, multiplier: float) -> None:
        super().__init__(PIXELS, CLASSES, width=width, depth=depth, block=block, branch=multiplier)
        nn.init.normal_(self.head.weight, std=1 / width)
        nn.init.zeros_(self.head.bias)
        for part in (self.stem, self.head):
            part.requires_grad_(False)


def branch_valley(
    block: Block,
    depths: Sequence[int],
    *,
    rates: Sequence[float],
    multipliers: Sequence[float],
    width: int,
    steps: int,
    seeds: Sequence[int],
) -> ValleyStudy:
    """Find the valley of networks that memorise digits with shuffled labels by their branches alone.

    Args:
        block: Form of the blocks.
        depths: Branches L, the first being 1.
        rates: Learning rates eta of Depth-muP: Adam's is eta / (width sqrt(L)).
        multipliers: Multipliers a: a branch is multiplied by a / sqrt(L).
        width: Units of the stream.
        steps: Steps of Adam at a constant rate.
        seeds: Seeds of every point.
    """
    return valley(
        functools.partial(FrozenEnds, block=block),
        ShuffledDigits(batch_size=64, images=512),
        base={"width": width, "depth": depths[0]},
        depths=depths,
        lrs=[eta / width for eta in rates],
        multipliers=multipliers,
        steps=steps,
        seeds=seeds,
    )
