"""Train perceptrons with explicit multipliers n^-a, inits n^-b, rates n^-c and gradient scales n^d, as paper 14 has them,
and record how much outputs and features change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from similitude.checking.slopes import Slope, fit
from similitude.core.seeding import torch_generator
from similitude.data import load
from similitude.data.sets import ImageSet
from similitude.scaling.abcd import Layer, Parametrization

OPTIMIZERS = ("sgd", "sign", "adam")


@dataclass(frozen=True)
class Task:
    """A small regression that whole batches are trained on.

    Attributes:
        inputs: Shape (inputs, features), double precision.
        targets: Shape (inputs,).
    """

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Training:
    """How a net is trained.

    Attributes:
        optimizer: "sgd"; "adam", which is torch's; or "sign", Adam without memory: g / (|g| + eps).
        rate: Learning rate, times n^-c of each layer.
        steps: Number of steps.
        eps: eps of "sign" and "adam", times n^-d of each layer.
    """

    optimizer: str
    rate: float
    steps: int
    eps: float = 0.05

    @property
    def family(self) -> str:
        """The optimizer's family."""
        return "sgd" if self.optimizer == "sgd" else "entrywise"


@dataclass(frozen=True)
class Run:
    """What one training gave.

    Attributes:
        outputs: Outputs before every step and after the last, shape (steps + 1, inputs).
        features: Root mean square of the change of every hidden layer's preactivations, from first to last.
        kernel: Change of the last layer's kernel <x, x'> over its size, in Frobenius norm.
    """

    outputs: Tensor
    features: tuple[float, ...]
    kernel: float

    @property
    def moved(self) -> float:
        """Root mean square of the change of the outputs."""
        return float((self.outputs[-1] - self.outputs[0]).square().mean().sqrt())


def three_points() -> Task:
    """Return three random inputs with four features, the smallest task that has a kernel."""
    draw = torch.randn(3, 4, generator=torch_generator(0, "abcd inputs"), dtype=torch.float64)
    return Task(0.6 * draw, torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64))


def some_digits(count: int = 32) -> Task:
    """Return images of digits, each of norm 1, and whether the digit is odd, as +-1."""
    data = load("digits")
    assert isinstance(data, ImageSet)
    images = torch.from_numpy(data.train_images[:count]).flatten(1).double()
    odd = torch.from_numpy(data.train_labels[:count] % 2).double()
    return Task(images / images.norm(dim=1, keepdim=True), 2 * odd - 1)


def train(
    parametrization: Parametrization,
    width: int,
    task: Task,
    training: Training,
    *,
    hidden_layers: int,
    seed: int,
) -> Run:
    """Train one tanh perceptron without biases on squared error, the whole task in every batch.

    Args:
        parametrization: Exponents of the layers "input", "hidden" (all but the first) and "output".
        width: Units n per hidden layer.
        task: What is fitted.
        training: Optimizer, rate and steps.
        hidden_layers: Number of hidden layers.
        seed: Seed of the init; every width draws its own numbers.
    """
    kinds = {layer.role: layer for layer in parametrization.layers}
    layers = [kinds["input"], *(kinds["hidden"] for _ in range(hidden_layers - 1)), kinds["output"]]
    sizes = [task.inputs.shape[1], *[width] * hidden_layers, 1]
    draw = torch_generator(seed, "abcd weights", width)
    weights = [
        _drawn((fan_out, fan_in), layer, width, draw)
        for layer, fan_in, fan_out in zip(layers, sizes, sizes[1:], strict=False)
    ]
    multipliers = [width ** -float(layer.a) for layer in layers]
    optimizer = _optimizer(weights, layers, width, training)
    hidden, output = _forward(weights, multipliers, task.inputs)
    first, outputs = [h.detach() for h in hidden], [output.detach()]
    for _ in range(training.steps):
        optimizer.zero_grad()
        (0.5 * (output - task.targets).square().sum()).backward()
        optimizer.step()
        hidden, output = _forward(weights, multipliers, task.inputs)
        outputs.append(output.detach())
    last = [h.detach() for h in hidden]
    changes = tuple(float((b - a).square().mean().sqrt()) for a, b in zip(first, last, strict=True))
    before, after = (torch.tanh(h[-1]) for h in (first, last))
    kernel, moved = before @ before.T, after @ after.T - before @ before.T
    return Run(torch.stack(outputs), changes, float(moved.norm() / kernel.norm()))


def growth(
    widths: Sequence[int],
    seeds: Sequence[int],
    run: Callable[[int, int], Run],
    quantities: Callable[[Run], dict[str, float]],
) -> dict[str, Slope]:
    """Fit growth exponents of quantities of runs.

    Args:
        widths: Widths.
        seeds: Seeds at every width.
        run: Trains one width and seed.
        quantities: Positive numbers of a run, by name.

    Raises:
        ValueError: A quantity is zero or not finite.
    """
    table = [[quantities(run(width, seed)) for seed in seeds] for width in widths]
    found = {}
    for name in table[0][0]:
        slope = fit(widths, [[cell[name] for cell in row] for row in table])
        if slope is None:
            raise ValueError(f"{name} is zero or not finite at some width: training failed.")
        found[name] = slope
    return found


def _drawn(shape: tuple[int, int], layer: Layer, width: int, draw: torch.Generator) -> Tensor:
    scale = 0.0 if layer.b is None else width ** -float(layer.b)
    return (scale * torch.randn(shape, generator=draw, dtype=torch.float64)).requires_grad_()


def _forward(
    weights: Sequence[Tensor], multipliers: Sequence[float], inputs: Tensor
) -> tuple[list[Tensor], Tensor]:
    x, hidden = inputs, []
    for weight, multiplier in zip(weights[:-1], multipliers[:-1], strict=True):
        hidden.append(multiplier * (x @ weight.T))
        x = torch.tanh(hidden[-1])
    return hidden, multipliers[-1] * (x @ weights[-1].T).squeeze(1)


def _optimizer(
    weights: Sequence[Tensor], layers: Sequence[Layer], width: int, training: Training
) -> torch.optim.Optimizer:
    """Build torch's optimizer; gradients times n^d are SGD's rate times n^d, and Adam's eps times n^-d."""
    groups: list[dict[str, Any]] = []
    for weight, layer in zip(weights, layers, strict=True):
        lr = training.rate * width ** -float(layer.c)
        if training.optimizer == "sgd":
            groups.append({"params": [weight], "lr": lr * width ** float(layer.d)})
        else:
            groups.append({"params": [weight], "lr": lr, "eps": training.eps * width ** -float(layer.d)})
    if training.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=training.rate)
    betas = (0.0, 0.0) if training.optimizer == "sign" else (0.9, 0.95)
    return torch.optim.Adam(groups, lr=training.rate, betas=betas)
