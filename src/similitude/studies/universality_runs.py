"""One net trained by (stochastic) gradient descent beside kernel gradient descent from the net's own start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from similitude.core.citation import cites
from similitude.core.seeding import torch_generator
from similitude.kernels.gradient_descent import gradient_descent
from similitude.kernels.train_test import TrainTest


@dataclass(frozen=True)
class Task:
    """What nets learn: inputs (P, ...) of which the first N are trained on, with their targets (N, C)."""

    inputs: Tensor
    targets: Tensor

    @property
    def train(self) -> int:
        """Number N of training examples."""
        return len(self.targets)


@dataclass(frozen=True)
class Deviation:
    """How far a net went from kernel gradient descent, in units of the targets' root mean square.

    Attributes:
        test: Root mean square difference on the examples that are not trained on, the largest of all times.
        train: The same on the others.
    """

    test: float
    train: float


@cites(21, "the kernel gradient descent of the main theorem, from the net's own start")
def expected(
    limit: Tensor, start: Tensor, task: Task, *, lr: float, batches: Sequence[Sequence[int]]
) -> Tensor:
    """Return the outputs (steps + 1, P, C) of gradient descent over functions, before every step and at the end.

    Args:
        limit: Limit of the tangent kernel on all examples, (P, P).
        start: Outputs of the net at its start, (P, C).
        task: Inputs and targets.
        lr: Learning rate.
        batches: Indices of the training examples of every step.
    """
    n = task.train
    blocks = TrainTest(limit[:n, :n], limit[n:, :n])
    found = gradient_descent(
        blocks,
        task.targets,
        lr=lr,
        steps=len(batches),
        batches=batches,
        start=start[:n],
        start_test=start[n:],
        every=1,
    )
    assert found.test is not None
    return torch.cat([found.train, found.test], 1)


def net_descent(
    model: nn.Module,
    task: Task,
    *,
    rates: Mapping[str, float],
    lr: float,
    batches: Sequence[Sequence[int]],
) -> Iterator[Tensor]:
    """Train a net in place by the same steps, and yield its outputs (P, C) before every step and at the end, float64.

    Args:
        model: The net.
        task: Inputs and targets.
        rates: Learning rate of every parameter over `lr`.
        lr: Learning rate.
        batches: Indices of the training examples of every step.
    """
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.SGD([{"params": [p], "lr": lr * rates[name]} for name, p in named.items()], lr=lr)
    for batch in batches:
        outputs = model(task.inputs)
        yield outputs.detach().double()
        optimizer.zero_grad(set_to_none=True)
        (0.5 * (outputs[batch] - task.targets[batch]).square().sum()).backward()
        optimizer.step()
    with torch.no_grad():
        yield model(task.inputs).double()


def deviation(net: Tensor, theory: Tensor, task: Task) -> Deviation:
    """Compare the outputs of a net with those that the kernel expects.

    Args:
        net: Outputs (times, P, C) of the net; nan where it diverged.
        theory: The same of the kernel.
        task: What both learn.
    """
    squares = (net - theory).square()
    scale = task.targets.double().square().mean().sqrt()
    parts = (squares[:, task.train :], squares[:, : task.train])
    test, train = (float((part.mean((1, 2)).sqrt() / scale).max()) for part in parts)
    return Deviation(test, train)


def batches_of(task: Task, *, batch_size: int | None, steps: int, seed: int) -> list[list[int]]:
    """Return the examples of every step: all of them for None, else `batch_size` in an order that the seed decides.

    What is left at the end of a pass through the examples and fills no batch is not used in this pass.
    """
    if batch_size is None or batch_size >= task.train:
        return [list(range(task.train))] * steps
    generator = torch_generator(seed, "batches")
    batches: list[list[int]] = []
    while len(batches) < steps:
        order = torch.randperm(task.train, generator=generator)
        batches += [part.tolist() for part in order.split(batch_size) if len(part) == batch_size]
    return batches[:steps]
