"""The parts of a network between its bottlenecks at infinite width, and the network without bottlenecks."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from similitude.core.seeding import torch_generator
from similitude.kernels.entry import kernel
from similitude.kernels.gradient_descent import gradient_descent
from similitude.kernels.infinite import Kernel
from similitude.kernels.tangent_rates import tangent_rates
from similitude.kernels.train_test import TrainTest
from similitude.scaling.sizes import Factory
from similitude.studies.bottleneck_split import Neck, split
from similitude.studies.universality_runs import Task
from similitude.theory.bottleneck.run import steps_to

STARTS = 32
"""Random starts of the net without a bottleneck."""


@dataclass(frozen=True, eq=False)
class Parts:
    """What theory knows of a network with bottlenecks.

    Attributes:
        necks: The bottlenecks.
        limits: Kernels of the parts between them, at infinite width.
        samples: What every part is given for a few examples.
        first: Tangent kernel of the first part between all examples.
    """

    necks: tuple[Neck, ...]
    limits: tuple[Kernel, ...]
    samples: tuple[Tensor, ...]
    first: Tensor

    def rates(self, model: nn.Module) -> dict[str, float]:
        """Return the learning rate of every trained parameter of a net, over that of one drawn with variance 1."""
        found: dict[int, float] = {}
        for part, limit, sample in zip(split(model, self.necks), self.limits, self.samples, strict=True):
            scales, own = limit.reader(sample).scales, kernel(part, sample=sample).reader(sample).scales
            rates = tangent_rates(scales)
            for (name, role), fan in scales.fans.items():
                if role == "matrix":
                    rates[name] *= fan / own.fans[name, role]
            found |= {id(p): rates.get(name, 0.0) for name, p in part.named_parameters()}
        return {name: found[id(p)] for name, p in model.named_parameters() if p.requires_grad}


def read_parts(
    model: nn.Module,
    necks: Sequence[Neck],
    inputs: Tensor,
    *,
    make: Factory | None = None,
    widths: Sequence[int] = (),
    weight_variance: float | None = None,
    bias_variance: float | None = None,
) -> Parts:
    """Take the kernels of all parts of a network.

    Args:
        model: The network, or the smallest one of a family.
        necks: Its bottlenecks.
        inputs: All examples.
        make: The family.
        widths: Two widths of it.
        weight_variance: Variance of weights times fan-in, where all have the same.
        bias_variance: Variance of biases, likewise.

    Raises:
        KernelError: A part has no kernel at infinite width.
    """
    take = partial(kernel, weight_variance=weight_variance, bias_variance=bias_variance)
    parts, samples = split(model, necks), [inputs[:2]]
    with torch.no_grad():
        for part in parts[:-1]:
            samples.append(part(samples[-1]))
    limits = tuple(
        take(part, sample=sample)
        if make is None
        else take(partial(_part, make, tuple(necks), i), sample=sample, widths=tuple(widths))
        for i, (part, sample) in enumerate(zip(parts, samples, strict=True))
    )
    return Parts(tuple(necks), limits, tuple(samples), limits[0].ntk(inputs))


def steps_without(model: nn.Module, parts: Parts, task: Task, *, lr: float, steps: int, goal: float) -> float:
    """Return the median steps of a network that is infinitely wide throughout, over random starts.

    Args:
        model: The network with bottlenecks.
        parts: What is known of its parts.
        task: What it learns.
        lr: Learning rate.
        steps: Steps at most.
        goal: Share of the squared error of outputs 0.
    """
    whole = kernel(_redrawn(model, parts), sample=task.inputs[:2]).grams(task.inputs[: task.train])
    n, outputs = task.targets.shape
    values, vectors = torch.linalg.eigh(whole["nngp"])
    g = torch_generator(0, "without a bottleneck")
    draws = torch.randn(n, STARTS * outputs, generator=g, dtype=torch.float64)
    start = vectors * values.clamp(min=0).sqrt() @ draws
    y = task.targets.double()
    train = gradient_descent(
        TrainTest(whole["ntk"]), y.repeat(1, STARTS), lr=lr, steps=steps, start=start, every=1
    ).train
    runs = train.unflatten(2, (STARTS, outputs)).unbind(2)
    return float(np.median([steps_to(run, y, goal) for run in runs]))


def _redrawn(model: nn.Module, parts: Parts) -> nn.Module:
    """Return a copy with Gaussian parameters of exactly the variances that theory has for the parts.

    Read as a whole, the copy is infinitely wide in its bottlenecks, too; what is drawn by the number of units of a
    bottleneck keeps its size, as it would not if the law of the draws were recognized.
    """
    copied = [copy.deepcopy(part) for part in split(model, parts.necks)]
    g = torch_generator(0, "redrawn")
    for part, limit, sample in zip(copied, parts.limits, parts.samples, strict=True):
        scales, named = limit.reader(sample).scales, dict(part.named_parameters())
        own = kernel(part, sample=sample).reader(sample).scales
        for (name, role), variance in scales.variance.items():
            fan = own.fans[name, role] * scales.factors.get((name, role), 1.0) ** 2 if role == "matrix" else 1
            with torch.no_grad():
                p = named[name]
                z = torch.randn(p.shape, generator=g)
                p.copy_(z * (variance / fan / z.square().mean()).sqrt())
    return nn.Sequential(*copied)


def _part(make: Factory, necks: Sequence[Neck], index: int, width: int) -> nn.Module:
    """Build one part of a member of a family."""
    return split(make(width), necks)[index]
