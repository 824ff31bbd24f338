"""What training in function space gives: outputs, bottlenecks and kernels along the way, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from similitude.core.errors import TheoryError


@dataclass(frozen=True, eq=False)
class BottleneckRun:
    """An infinitely wide net with bottlenecks in training. Made by `train_bottlenecks`.

    Attributes:
        outputs: Of all P examples before every step and at the end, (steps + 1, P, outputs).
        bottlenecks: Every bottleneck likewise, (steps + 1, P, d).
        kernels: Tangent kernel by step, between all examples and those of training: (P outputs, N outputs), ordered
            (example, output).
        losses: Loss before every step and at the end.
        targets: (N, outputs).
        lr: Learning rate.
    """

    outputs: Tensor
    bottlenecks: tuple[Tensor, ...]
    kernels: Mapping[int, Tensor]
    losses: tuple[float, ...]
    targets: Tensor
    lr: float

    @property
    def train(self) -> Tensor:
        """Outputs on the training examples."""
        return self.outputs[:, : len(self.targets)]

    @property
    def test(self) -> Tensor:
        """Outputs on the others."""
        return self.outputs[:, len(self.targets) :]

    @property
    def moved(self) -> tuple[float, ...]:
        """|h_end - h_start| / |h_start| of every bottleneck, over all examples; 0 is a frozen kernel."""
        return tuple(float((h[-1] - h[0]).norm() / h[0].norm()) for h in self.bottlenecks)

    @property
    def stability(self) -> Mapping[int, float]:
        """Learning rate times the largest eigenvalue of the kernel by step; above 2 the squared error grows."""
        return {t: self.lr * float(torch.linalg.eigvalsh(self._own(t))[-1]) for t in self.kernels}

    @property
    def alignment(self) -> Mapping[int, float]:
        """y' Theta y / (|Theta| |y|^2) by step: share of the kernel that is along the targets, 1 where all is."""
        y = self._flat_targets()
        return {
            t: float(y @ K @ y / (K.norm() * y.square().sum())) for t in self.kernels for K in [self._own(t)]
        }

    @property
    def growth(self) -> float:
        """y' Theta y at the end over that at the start: how much faster the targets are learned."""
        y = self._flat_targets()
        first, last = (self._own(t) for t in (min(self.kernels), max(self.kernels)))
        return float((y @ last @ y) / (y @ first @ y))

    def steps_to(self, fraction: float = 0.1) -> float:
        """Return the steps until the mean squared error is a fraction of that of outputs 0, between steps by its log.

        Args:
            fraction: Above 0.

        Returns:
            Steps; inf where it does not get there.

        Raises:
            TheoryError: The fraction is not above 0, or the targets are no such outputs.
        """
        return steps_to(self.train, self.targets, fraction)

    def _own(self, step: int) -> Tensor:
        kernel = self.kernels[step]
        own = kernel[: kernel.shape[1]]
        return (own + own.T) / 2

    def _flat_targets(self) -> Tensor:
        y = self.targets.flatten()
        if len(y) != self.kernels[0].shape[1] or not bool(y.any()):
            raise TheoryError(
                "the targets are zero, or not of the outputs' shape: the kernel has no share along them."
            )
        return y


def steps_to(outputs: Tensor, targets: Tensor, fraction: float) -> float:
    """Return the steps until the mean squared error is a fraction of that of outputs 0; inf where it stays above.

    Args:
        outputs: On training examples, (steps + 1, N, outputs).
        targets: (N, outputs).
        fraction: Above 0.

    Raises:
        TheoryError: The fraction is not above 0, or shapes do not fit.

    Example:
        >>> outputs = torch.tensor([0.0, 0.5, 0.75]).reshape(3, 1, 1)
        >>> steps_to(outputs, torch.ones(1, 1), 0.25), steps_to(outputs, torch.ones(1, 1), 0.01)
        (1.0, inf)
    """
    if not fraction > 0 or outputs.shape[1:] != targets.shape or not bool(targets.any()):
        raise TheoryError(
            f"fraction={fraction} of the squares of targets of shape {tuple(targets.shape)}, outputs of "
            f"{tuple(outputs.shape)}: pass a fraction above 0, and targets other than 0 for every output."
        )
    errors = ((outputs - targets).square().sum((1, 2)) / targets.square().sum()).double()
    below = (errors <= fraction).nonzero()
    if not len(below):
        return float("inf")
    t = int(below[0])
    if t == 0:
        return 0.0
    high, low = (errors[s].clamp(min=1e-300).log() for s in (t - 1, t))
    goal = torch.tensor(fraction, dtype=torch.float64).log()
    return t - 1 + float((high - goal) / (high - low))
