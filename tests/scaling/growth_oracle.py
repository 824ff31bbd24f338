"""How far one real optimizer step on one tensor moves a small network, at several widths in float64.

Written from the definitions alone: a network with one tensor of every role, initialized at the base width and
multiplied by what the rule under test says, and a step of a real torch optimizer on one tensor at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

INPUTS, CLASSES, TOKENS, BATCH, BASE = 8, 3, 5, 6, 64
ROLE_OF = {
    "table": "lookup",
    "first": "input",
    "shift": "vector",
    "middle": "hidden",
    "last": "output",
    "offset": "finite",
}


@dataclass(frozen=True)
class Growth:
    """Slopes over log width: of the change of the logits and of the last features by one tensor's step."""

    logits: float
    features: float


def network(
    t: dict[str, torch.Tensor], x: torch.Tensor, tokens: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    h = torch.tanh(x @ t["first"].T + t["table"][tokens] + t["shift"].view(-1))
    features = torch.tanh(h @ t["middle"].T)
    return features @ t["last"].T + t["offset"].view(-1), features


def draw(width: int, init: Callable[[str], float], seed: int) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    stds = {
        "table": ((TOKENS, width), 0.5),
        "first": ((width, INPUTS), INPUTS**-0.5),
        "shift": ((width,), 0.5),
        "middle": ((width, width), BASE**-0.5),
        "last": ((CLASSES, width), BASE**-0.5),
        "offset": ((CLASSES,), 0.5),
    }
    return {
        name: torch.randn(*shape, generator=g, dtype=torch.float64) * std * init(name)
        for name, (shape, std) in stds.items()
    }


def growth(
    name: str,
    *,
    widths: tuple[int, ...],
    seeds: int,
    init: Callable[[str, int], float],
    step: Callable[[torch.Tensor, int], torch.optim.Optimizer],
) -> Growth:
    """Fit slopes of log rms change against log width for a step on the tensor `name`.

    A vector is held as a matrix of one column, so that optimizers of matrices take it as well.
    """
    logits, features = [], []
    for width in widths:
        squares = [0.0, 0.0]
        for seed in range(seeds):
            g = torch.Generator().manual_seed(1000 + seed)
            x = torch.randn(BATCH, INPUTS, generator=g, dtype=torch.float64)
            push = torch.randn(BATCH, CLASSES, generator=g, dtype=torch.float64)
            tokens = torch.arange(BATCH) % TOKENS
            tensors = draw(width, lambda n, w=width: init(n, w), seed)
            if tensors[name].ndim == 1:
                tensors[name] = tensors[name].unsqueeze(1)
            tensors[name].requires_grad_(True)
            before = network(tensors, x, tokens)
            (before[0] * push).mean().backward()
            step(tensors[name], width).step()
            after = network({n: t.detach() for n, t in tensors.items()}, x, tokens)
            for i in (0, 1):
                squares[i] += float((after[i] - before[i].detach()).square().mean()) / seeds
        logits.append(math.log(squares[0]) / 2)
        features.append(math.log(squares[1]) / 2 if squares[1] > 0 else float("nan"))
    return Growth(slope(widths, logits), slope(widths, features))


def natural_norm(matrix: torch.Tensor) -> float:
    """Return the spectral norm over sqrt(rows / columns): 1 times the size of what a unit input becomes."""
    rows, columns = matrix.shape
    return float(torch.linalg.matrix_norm(matrix, ord=2)) * (columns / rows) ** 0.5


def stepped(
    rows: int,
    columns: int,
    step: Callable[[torch.Tensor], torch.optim.Optimizer],
    *,
    seed: int = 0,
) -> float:
    """Return the natural norm of one optimizer step on a random gradient of rank one.

    The gradient is that of a layer whose inputs have entries of 1 and whose outputs have gradients of
    1 / rows, as every layer of a network that learns features.
    """
    g = torch.Generator().manual_seed(seed)
    back = torch.randn(rows, 1, generator=g, dtype=torch.float64).sign() / rows
    inputs = torch.randn(1, columns, generator=g, dtype=torch.float64).sign()
    weight = torch.zeros(rows, columns, dtype=torch.float64, requires_grad=True)
    weight.grad = back @ inputs
    step(weight).step()
    return natural_norm(weight.detach())


def slope(widths: tuple[int, ...], values: list[float]) -> float:
    """Least-squares slope of `values` over log width."""
    xs = [math.log(w) for w in widths]
    mx, my = sum(xs) / len(xs), sum(values) / len(values)
    return sum((x - mx) * (y - my) for x, y in zip(xs, values, strict=True)) / sum((x - mx) ** 2 for x in xs)
