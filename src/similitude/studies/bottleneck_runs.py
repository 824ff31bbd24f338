"""One net with bottlenecks trained beside function space, from its own start."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from similitude.core.errors import TheoryError
from similitude.kernels.infinite import Kernel
from similitude.scaling.axes import build
from similitude.scaling.sizes import Factory
from similitude.studies.bottleneck_limits import Parts
from similitude.studies.bottleneck_records import BottleneckNet
from similitude.studies.bottleneck_split import split
from similitude.studies.universality_runs import Task, net_descent
from similitude.theory.bottleneck.run import BottleneckRun, steps_to
from similitude.theory.bottleneck.segment import Segment
from similitude.theory.bottleneck.training import train_bottlenecks


@dataclass(frozen=True)
class Job:
    """One net that is trained beside function space."""

    model: nn.Module | None
    make: Factory | None
    width: int | None
    seed: int

    def __str__(self) -> str:
        return f"seed {self.seed}" if self.width is None else f"width {self.width} seed {self.seed}"

    def built(self) -> nn.Module:
        """Return a net of its own to train."""
        if self.make is not None and self.width is not None:
            return build(self.make, self.width, seed=self.seed)
        return copy.deepcopy(self.model)  # type: ignore[return-value]


def in_function_space(model: nn.Module, parts: Parts, task: Task, *, lr: float, steps: int) -> BottleneckRun:
    """Train a net in function space from its own start.

    Args:
        model: The net, at its start.
        parts: What theory knows of its parts.
        task: What it learns.
        lr: Learning rate.
        steps: Steps.
    """
    below, *above = (copy.deepcopy(p).double().requires_grad_(False) for p in split(model, parts.necks))
    segments = [
        Segment(partial(_tangent, limit), part) for limit, part in zip(parts.limits[1:], above, strict=True)
    ]
    inputs = task.inputs.double() if task.inputs.is_floating_point() else task.inputs
    with torch.no_grad():
        start = below(inputs)
    return train_bottlenecks(parts.first, start, segments, task.targets, lr=lr, steps=steps)


def run_net(job: Job, *, task: Task, parts: Parts, lr: float, steps: int, goal: float) -> BottleneckNet:
    """Train one net, beside function space and beside its kernel at the start.

    Args:
        job: The net.
        task: What it learns.
        parts: What theory knows of its parts.
        lr: Learning rate of a parameter that is drawn with variance 1.
        steps: Steps.
        goal: Share of the squared error of outputs 0 to which steps are counted.
    """
    model = job.built()
    try:
        theory = in_function_space(model, parts, task, lr=lr, steps=steps)
    except TheoryError as error:
        raise TheoryError(f"{error} Here lr is in proportion to step_size: pass a smaller one.") from error
    batches = [range(task.train)] * steps
    net = torch.stack(list(net_descent(model, task, rates=parts.rates(model), lr=lr, batches=batches)))
    y = task.targets.double()
    frozen = _frozen(theory, lr=lr, steps=steps)
    ends = (0, steps)
    return BottleneckNet(
        width=job.width,
        seed=job.seed,
        deviation=_apart(net, theory.outputs, y),
        frozen=_apart(net, frozen, y),
        moved=theory.moved,
        alignment=tuple(theory.alignment[t] for t in ends),  # type: ignore[arg-type]
        growth=theory.growth,
        steps=steps_to(net[:, : task.train], y, goal),
        expected_steps=theory.steps_to(goal),
        stability=tuple(theory.stability[t] for t in ends),  # type: ignore[arg-type]
    )


def _frozen(theory: BottleneckRun, *, lr: float, steps: int) -> Tensor:
    """Return the outputs that the kernel at the start would give, every output of every example a sample."""
    n = theory.targets.numel()
    kernel_at_start = theory.kernels[0]
    start = theory.outputs[0].flatten()
    # A kernel that a step of this size overshoots is followed all the same, to say how wrong it is.
    errors = [start]
    for _ in range(steps):
        errors.append(errors[-1] - lr * kernel_at_start @ (errors[-1][:n] - theory.targets.flatten()))
    return torch.stack(errors).reshape(theory.outputs.shape)


def _apart(net: Tensor, theory: Tensor, targets: Tensor) -> float:
    """Return the root mean square difference over examples, the largest of all times, over that of the targets."""
    return float(((net - theory).square().mean((1, 2)).max() / targets.square().mean()).sqrt())


def _tangent(limit: Kernel, h: Tensor, other: Tensor) -> Tensor:
    return limit.pair(h, other, which=("ntk",))["ntk"]
