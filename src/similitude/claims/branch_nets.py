"""Residual networks on Gaussian inputs, of which claims of paper 13 measure the growth and the diversity."""

from __future__ import annotations

import functools
import math

import torch

from similitude.checking.diversity import diversity
from similitude.checking.diversity_records import Diversity
from similitude.core.seeding import seeded, torch_generator
from similitude.models import ResMLP
from similitude.models.resmlp import Block, ResActivation

FEATURES, OUTPUTS, WIDTH = 16, 10, 192


@functools.cache
def inputs() -> torch.Tensor:
    """Return Gaussian inputs, shape (128, 16), the same every time."""
    return torch.randn(128, FEATURES, generator=torch_generator(13, "inputs"))


def size_at_init(alpha: float, depth: int) -> float:
    """Return the root mean square of the stream behind the last branch, each branch multiplied by depth^-alpha."""
    with seeded(depth):
        model = ResMLP(FEATURES, OUTPUTS, width=WIDTH, depth=depth, branch=depth**-alpha)
    return _behind(model, inputs())


def growth(activation: ResActivation, depth: int, *, center: bool, seeds: int = 4) -> float:
    """Return by how much the stream of inputs of unit mean square grows over branches of depth^-1/2.

    Args:
        activation: Nonlinearity of the branches.
        depth: Their number.
        center: Whether the mean of a branch over the units is subtracted.
        seeds: Networks whose mean squares are averaged.
    """
    scaled = inputs() / inputs().square().mean(1, keepdim=True).sqrt()
    squares = []
    for seed in range(seeds):
        with seeded(depth + seed):
            model = ResMLP(
                FEATURES,
                OUTPUTS,
                width=WIDTH,
                depth=depth,
                activation=activation,
                center=center,
                branch=depth**-0.5,
            )
        squares.append(_behind(model, scaled) ** 2)
    return math.sqrt(sum(squares) / seeds)


def gradient_cosines(
    activation: ResActivation, block: Block, *, width: int = WIDTH, depth: int = 64
) -> tuple[float, float]:
    """Return the cosines of the gradients that branches get which are neighbours, and which are far apart."""

    def make(width: int, depth: int) -> ResMLP:
        return ResMLP(
            FEATURES,
            OUTPUTS,
            width=width,
            depth=depth,
            activation=activation,
            block=block,
            branch=depth**-0.5,
        )

    found = diversity(make, inputs(), base={"width": width, "depth": depth}, steps=0, seeds=2)
    assert found.gradient_near is not None, "every branch ends in a matrix"
    assert found.gradient_far is not None, "the stream is deep enough"
    return found.gradient_near, found.gradient_far


def trained(alpha: float, depth: int) -> Diversity:
    """Train 60 steps of Adam on random labels, with branches and a rate scaled from those of depth 4.

    Args:
        alpha: Residual exponent; the rate goes as depth^(alpha - 1).
        depth: Branches.
    """

    def make(width: int, depth: int) -> ResMLP:
        return ResMLP(FEATURES, OUTPUTS, width=width, depth=depth, branch=(depth / 4) ** -alpha)

    def loss(model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])

    labels = torch.randint(OUTPUTS, (len(inputs()),), generator=torch_generator(13, "labels"))
    rate = 2.0**-6 * (depth / 4) ** (alpha - 1)
    return diversity(
        make,
        (inputs(), labels),
        base={"width": 64, "depth": depth},
        loss=loss,
        optimizer=torch.optim.Adam,
        lr=rate,
        steps=60,
        seeds=2,
    )


def _behind(model: ResMLP, examples: torch.Tensor) -> float:
    """Root mean square of the stream behind the last branch."""
    seen: list[torch.Tensor] = []
    hook = model.head.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        model(examples)
    hook.remove()
    return float(seen[0].double().square().mean().sqrt())
