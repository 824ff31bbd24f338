"""Monte Carlo over wide copies of a torch module: mean NNGP and tangent kernels with standard errors, by plain autograd.

Nothing here knows of limits: a copy is drawn by the module's own initialization, its outputs' second moments are the NNGP
kernel, and the tangent kernel is the product of its gradients, each tensor weighed by its learning rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from similitude.core.seeding import seeded

Rates = Callable[[nn.Module], Mapping[str, float]]


@dataclass(frozen=True)
class Estimate:
    """A mean over copies with its standard error, both of shape (n, n)."""

    mean: Tensor
    error: Tensor

    @property
    def relative_error(self) -> float:
        """Largest standard error over the geometric mean of the two diagonal entries."""
        scale = self.mean.diagonal().sqrt()
        return float((self.error / (scale[:, None] * scale)).max())

    def off(self, kernel: Tensor) -> float:
        """Largest distance to a kernel in standard errors."""
        return float(((kernel - self.mean).abs() / self.error).max())


def unit_rates(module: nn.Module) -> dict[str, float]:
    """Return the learning rates of the NTK parametrization: the variance that each weight is drawn with.

    A weight of standard deviation s is s times a standard normal one, so a step of that one is s^2 times as large.
    Vectors (biases, gains) get what they are drawn with too, which is 0 for constants.
    """
    return {name: float(p.detach().double().var(correction=0)) for name, p in module.named_parameters()}


def wide_kernels(
    make: Callable[[], nn.Module],
    x: Tensor,
    *,
    copies: int,
    rates: Rates = unit_rates,
    seed: int = 0,
    outputs: int = 2,
) -> tuple[Estimate, Estimate]:
    """Return the NNGP and the tangent kernel of some copies.

    Args:
        make: Draws one wide copy, whose output has shape (n, outputs).
        x: Inputs of all copies, the first axis the examples'.
        copies: Number of copies.
        rates: Learning rate of every parameter by name, given a copy.
        seed: Draws the copies.
        outputs: Outputs of a copy whose tangent kernels are averaged; the NNGP kernel takes all.
    """
    first, second = [], []
    for copy in range(copies):
        with seeded(1000 * seed + copy):
            module = make().to(x.dtype if x.is_floating_point() else torch.get_default_dtype())
        nngp, ntk = kernels_of(module, x, rates(module), outputs=outputs)
        first.append(nngp)
        second.append(ntk)
    return _mean(first), _mean(second)


def kernels_of(
    module: nn.Module, x: Tensor, rates: Mapping[str, float], *, outputs: int = 1
) -> tuple[Tensor, Tensor]:
    """Return one copy's mean over outputs of f f', and the tangent kernel averaged over the first outputs."""
    f = module(x)
    n = len(f)
    f = f.reshape(n, -1)
    parameters = {name: p for name, p in module.named_parameters() if rates[name] > 0}
    ntk = torch.zeros(n, n, dtype=f.dtype)
    for c in range(min(outputs, f.shape[1])):
        rows = [
            torch.autograd.grad(f[i, c], list(parameters.values()), retain_graph=True, allow_unused=True)
            for i in range(n)
        ]
        for place, name in enumerate(parameters):
            if rows[0][place] is None:
                continue
            flat = torch.stack([row[place].flatten() for row in rows])
            ntk += rates[name] * flat @ flat.T
    return (f @ f.T / f.shape[1]).detach(), ntk / min(outputs, f.shape[1])


def _mean(found: list[Tensor]) -> Estimate:
    stack = torch.stack(found).double()
    return Estimate(stack.mean(0), stack.std(0) / len(found) ** 0.5)
