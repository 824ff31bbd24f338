"""The small network that the kits train, its data, and the three exact optimizers that stand for the families."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from similitude.core.seeding import torch_generator
from similitude.scaling.optimizers import OptimizerLike, OptimizerSpec, register_optimizer
from similitude.scaling.records import Plan
from similitude.scaling.split import split

INPUTS, CLASSES, EXAMPLES = 6, 5, 16
ROLES_OF = {
    "first.weight": "input",
    "first.bias": "vector",
    "hidden.weight": "hidden",
    "head.weight": "output",
}
_SMALL = 0.01  # of the largest singular value: below it a direction fades, so that rounding is not amplified


class Net(nn.Module):
    """x -> V tanh(W tanh(U x + b)) in double precision, each tensor times a number of its role.

    Args:
        width: Number of hidden units.
        multipliers: Number in the forward pass by role; 1 where it is not given.
        layers: Hidden layers, 2 or 1; with 1 there is no W.
        seed: Seed of the initial values.
    """

    def __init__(
        self, width: int, multipliers: Mapping[str, float] | None = None, *, layers: int = 2, seed: int = 0
    ) -> None:
        super().__init__()
        self.first = nn.Linear(INPUTS, width)
        self.hidden = nn.Linear(width, width, bias=False) if layers > 1 else None
        self.head = nn.Linear(width, CLASSES, bias=False)
        self.multipliers = dict(multipliers or {})
        self.double()
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                drawn = torch.randn(
                    parameter.shape, generator=torch_generator(seed, name), dtype=torch.float64
                )
                parameter.copy_(drawn * (parameter[0].numel() if parameter.ndim > 1 else 1) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs of shape (examples, 6) to logits of shape (examples, 5)."""

        def times(role: str, tensor: Tensor) -> Tensor:
            return tensor * self.multipliers[role] if role in self.multipliers else tensor

        x = torch.tanh(F.linear(x, times("input", self.first.weight), times("vector", self.first.bias)))
        if self.hidden is not None:
            x = torch.tanh(F.linear(x, times("hidden", self.hidden.weight)))
        return F.linear(x, times("output", self.head.weight))


class Orthogonal(torch.optim.Optimizer):
    """Steps by lr times the gradient with every singular value set to 1, except vanishing ones; without momentum.

    The family "orthogonalized" with no rounding of its own, unlike `torch.optim.Muon`, which works in bfloat16.

    Args:
        params: Matrices.
        lr: Learning rate.
        weight_decay: Weights are multiplied by 1 - lr x weight decay.
    """

    def __init__(self, params: Any, lr: float = 0.02, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Make one step on every matrix that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None or not parameter.grad.any():
                    continue
                left, values, right = torch.linalg.svd(parameter.grad, full_matrices=False)
                ones = values / torch.sqrt(values**2 + (_SMALL * values[0]) ** 2)
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.sub_(group["lr"] * (left * ones) @ right)
        return loss


register_optimizer(Orthogonal, OptimizerSpec("Orthogonal", "orthogonalized", "shrink", {}))

OPTIMIZERS: Mapping[str, OptimizerLike] = {
    "sgd": partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.01),
    "entrywise": partial(torch.optim.AdamW, lr=0.01, eps=1e-3, weight_decay=0.1),
    "orthogonalized": partial(Orthogonal, weight_decay=0.1),
}
"""One exact optimizer per family, with options large enough that a wrong factor on one of them shows."""

RATES: Mapping[str, float] = {"sgd": 0.1, "entrywise": 0.01, "orthogonalized": 0.02}


def batch() -> tuple[Tensor, Tensor]:
    """Return the inputs and labels that every kit trains on."""
    generator = torch_generator(0, "kit")
    x = torch.randn(EXAMPLES, INPUTS, generator=generator, dtype=torch.float64)
    return x, (x @ torch.randn(INPUTS, CLASSES, generator=generator, dtype=torch.float64)).argmax(1)


def loss_of(model: nn.Module, data: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean cross entropy of a model."""
    return F.cross_entropy(model(data[0]), data[1])


def optimizer_for(
    plan: Plan, model: nn.Module, optimizer: OptimizerLike, *, lr: float, **options: Any
) -> torch.optim.Optimizer:
    """Make an optimizer in the plan's groups; one of matrices alone gets AdamW beside it.

    Args:
        plan: The plan.
        model: The model that it is for.
        optimizer: Class, `functools.partial` or factory.
        lr: Learning rate as tuned at the base.
        **options: Other options as tuned at the base.
    """
    assert not isinstance(optimizer, torch.optim.Optimizer), "kits train several models"
    if plan.family == "orthogonalized":
        rest = partial(torch.optim.AdamW, eps=1e-3)
        return split(plan, model, matrix=optimizer, rest=rest, lr=lr, rest_lr=0.01, matrix_options=options)
    make: Any = optimizer
    return make(plan.groups(model, lr=lr, **options))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 6) -> list[float]:
    """Train on one batch and return the loss before every step and after the last one."""
    data, losses = batch(), []
    switch = getattr(optimizer, "train", None)
    if callable(switch):  # schedule-free optimizers make no steps in evaluation mode
        switch()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model, data)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    with torch.no_grad():
        return [*losses, float(loss_of(model, data))]


def largest_difference(found: list[float], expected: list[float]) -> float:
    """Return the largest relative difference of two runs of losses; infinite where one is not finite."""
    pairs = zip(found, expected, strict=True)
    differences = [abs(a - b) / abs(b) if b else abs(a - b) for a, b in pairs]
    return max(d if d == d else float("inf") for d in differences)


def fail(what: str, law: str, remedy: str) -> NoReturn:
    """Fail a test with what is wrong, the law that is broken with its numbers, and what to do.

    Raises:
        AssertionError: Always.
    """
    raise AssertionError(f"{what}: {law}. {remedy}")
