"""Networks whose sharpness the claims of paper 2 follow: tanh MLPs and residual MLPs on digits, full batch."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from similitude.core.seeding import torch_generator
from similitude.data import load
from similitude.data.batches import ImageBatches
from similitude.landscape.tracker import SharpnessTracker
from similitude.models import ResMLP
from similitude.models.resmlp import Block
from similitude.scaling.centred import Centred
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.plan import Plan, plan
from similitude.studies.consistency_nets import Times
from similitude.training.build import build_model, build_optimizer
from similitude.training.losses import squared_error_of_classes

PIXELS, CLASSES = 64, 10
BASE_DEPTH = 8
RICHNESS = 16.0
"""What outputs of residual networks are divided by, so that features have to change much before labels are fitted."""


def digits(images: int) -> tuple[Tensor, Tensor]:
    """Return some training images of digits, standardized, float32 (images, 1, 8, 8), with their labels."""
    return ImageBatches(load("digits"), batch_size=images).batch(0, 0)


def followed(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: tuple[Tensor, Tensor],
    *,
    steps: int,
    at: Collection[int],
) -> list[float]:
    """Train on one batch, and return learning rate times sharpness, in the optimizer's geometry, before some steps.

    Args:
        model: The model; it is trained in place on squared errors, its initial output taken off.
        optimizer: Over its parameters.
        batch: Inputs and labels, the whole data.
        steps: Optimizer steps.
        at: Numbers of steps made when the sharpness is measured, from 0 (from 1 for Adam) to `steps`.

    Returns:
        One number per measurement; nan where training blew up, or the optimizer has no geometry.
    """
    used = Centred(model)
    tracker = SharpnessTracker(squared_error_of_classes, probe=batch, every=1)
    found = dict.fromkeys(sorted(at), math.nan)
    for step in range(steps + 1):
        if step in found:
            record = tracker.measure(used, optimizer, step)
            found[step] = math.nan if record.eta_lambda is None else record.eta_lambda
        optimizer.zero_grad(set_to_none=True)
        loss = squared_error_of_classes(used, batch)
        if not bool(loss.isfinite()):
            break
        loss.backward()
        optimizer.step()
    return list(found.values())


def edge(
    make: Callable[[], nn.Module],
    optimizer: OptimizerLike,
    *,
    images: int,
    steps: int,
    at: Collection[int],
    seed: int,
) -> list[float]:
    """Train a network on digits, and follow its sharpness; see `followed`."""
    model = build_model(make, seed)
    made = build_optimizer(optimizer, model.parameters())
    return followed(model, made, digits(images), steps=steps, at=at)


def make_residual(width: int, depth: int, *, block: Block) -> nn.Module:
    """Return a residual MLP of ReLUs of which the branches alone are trained, between ends that are always the same.

    So all that is learned is learned by branches, whose number is what changes. They are multiplied by 0.25 at
    `BASE_DEPTH`, so that networks are close to infinitely deep ones at the start already.
    """
    net = ResMLP(PIXELS, CLASSES, width=width, depth=depth, block=block, branch=0.7 * BASE_DEPTH**-0.5)
    nn.init.zeros_(net.head.bias)
    for name, end in (("stem", net.stem), ("head", net.head)):
        fan_in = end.weight.shape[1]
        nn.init.normal_(end.weight, std=fan_in**-0.5, generator=torch_generator(0, name, width))
        end.requires_grad_(False)
    return nn.Sequential(net, Times(1 / RICHNESS))


def over_depth(
    block: Block,
    rule: str,
    *,
    depth: int,
    lr: float,
    steps: int,
    at: Collection[int],
    seed: int,
    width: int = 48,
    images: int = 48,
) -> list[float]:
    """Train a residual MLP of some depth by gradient descent under a depth rule, and follow its sharpness.

    Args:
        block: Form of its branches.
        rule: Depth rule, from `BASE_DEPTH`.
        depth: Number of branches.
        lr: Learning rate at `BASE_DEPTH`.
        steps: Steps on the whole batch.
        at: See `followed`.
        seed: Draws the weights.
        width: Units of the stream.
        images: Digits in the batch.
    """
    made = _plan_of_depth(block, rule, width, depth, images)
    model = build_model(functools.partial(make_residual, width, depth, block=block), seed, made)
    optimizer = torch.optim.SGD(made.groups(model, lr=lr), lr=lr)
    return followed(model, optimizer, digits(images), steps=steps, at=at)


@functools.cache
def _plan_of_depth(block: Block, rule: str, width: int, depth: int, images: int) -> Plan:
    """Plan a residual MLP of some depth, once for all seeds: reading a deep network takes as long as training it."""
    return plan(
        functools.partial(make_residual, block=block),
        base={"width": width, "depth": BASE_DEPTH},
        target={"width": width, "depth": depth},
        sample=digits(images),
        loss=squared_error_of_classes,
        optimizer=torch.optim.SGD,
        depth_rule=rule,
    )
