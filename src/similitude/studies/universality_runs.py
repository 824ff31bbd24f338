"""One net trained by (stochastic) gradient descent beside kernel gradient descent from the net's own start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from similitude.core.citation import cites
from similitude.core.seeding import torch_generator


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


@cites(21, "the kernel gradient descent of the main theorem")
def kernel_descent(
    kernel: Tensor, start: Tensor, targets: Tensor, *, lr: float, batches: Sequence[Sequence[int]]
) -> Iterator[Tensor]:
    """Yield the outputs before every step of gradient descent on sum (f - y)^2 / 2 over functions, and at the end.

    Args:
        kernel: Tangent kernel (P, P) of all examples, those that are trained on first.
        start: Outputs (P, C) at the start.
        targets: Targets (N, C).
        lr: Learning rate.
        batches: Indices of the training examples of every step.

    Example:
        >>> steps = kernel_descent(torch.ones(1, 1), torch.zeros(1, 1), torch.ones(1, 1), lr=0.5, batches=[[0], [0]])
        >>> [float(f) for f in steps]
        [0.0, 0.5, 0.75]
    """
    f = start
    yield f
    for batch in batches:
        f = f - lr * kernel[:, batch] @ (f[batch] - targets[batch])
        yield f


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


def deviation(net: Iterable[Tensor], theory: Iterable[Tensor], task: Task) -> Deviation:
    """Compare the outputs of a net with those of kernel gradient descent, time by time.

    Args:
        net: Outputs (P, C) of the net at every time; nan where it diverged.
        theory: The same of the kernel.
        task: What both learn.
    """
    squares = torch.stack([(a - b).square() for a, b in zip(net, theory, strict=True)])
    parts = (squares[:, task.train :], squares[:, : task.train])
    scale = task.targets.double().square().mean().sqrt()
    test, train = (float((part.mean((1, 2)).sqrt() / scale).max()) for part in parts)
    return Deviation(test, train)


def batches_of(task: Task, *, batch_size: int | None, steps: int, seed: int) -> list[list[int]]:
    """Return the examples of every step: all of them for None, else `batch_size` in an order that the seed decides."""
    if batch_size is None or batch_size >= task.train:
        return [list(range(task.train))] * steps
    generator = torch_generator(seed, "batches")
    order: list[int] = []
    while len(order) < steps * batch_size:
        order += torch.randperm(task.train, generator=generator).tolist()
    return [order[i * batch_size : (i + 1) * batch_size] for i in range(steps)]
