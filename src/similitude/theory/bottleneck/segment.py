"""The part of a net behind a bottleneck, infinitely wide: how its function and the slopes of it move in training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError

GramFunction = Callable[[Tensor, Tensor], Tensor]
"""Kernel between two sets of points, (a, d) and (b, d), as a matrix (a, b)."""

_STEP = 6e-6  # cube root of the rounding error of float64: best for central differences
_PAIRS = 2_000_000  # pairs of points whose kernel is taken at once


@cites(19, "a wide part of a net behind a finite layer")
@dataclass(frozen=True, eq=False)
class Segment:
    """A part of a net that is infinitely wide inside and acts on a finite layer of d units.

    Attributes:
        kernel: Its tangent kernel between two sets of points in R^d, of one output; outputs do not mix. Where it is made
            of torch operations on its first argument, slopes are taken by autograd, otherwise by central differences.
        start: Its function at initialization, (a, d) -> (a, outputs), of torch operations on float64.

    Example:
        A linear layer on two units:

        >>> layer = Segment(lambda h, other: h @ other.T / 2, lambda h: h @ torch.ones(2, 1, dtype=h.dtype))
        >>> layer.start(torch.eye(2, dtype=torch.float64)).flatten().tolist()
        [1.0, 1.0]
    """

    kernel: GramFunction
    start: Callable[[Tensor], Tensor]


@dataclass(eq=False)
class Moving:
    """A segment in training: what it began as, and every pull on its outputs since.

    Attributes:
        segment: The segment.
        name: What errors call it.
        points: Inputs at which it was pulled, (steps, N, d).
        pulls: Learning rate times the loss's slope in its outputs, (steps, N, outputs).
    """

    segment: Segment
    name: str
    points: list[Tensor] = field(default_factory=list)
    pulls: list[Tensor] = field(default_factory=list)

    def values(self, h: Tensor) -> Tensor:
        """Return the function f_0(h) - sum over pulls of kernel(h, point) pull, shape (points, outputs)."""
        with torch.no_grad():
            found = self._start(h)
            return found - self._learned(h) if self.points else found

    def pull_back(self, h: Tensor, slopes: Tensor) -> Tensor:
        """Return sum over outputs of slopes times the gradient of the function at h.

        Args:
            h: Points, (a, d).
            slopes: Weights of the outputs, (a, outputs).

        Returns:
            Shape (a, d).
        """
        at = h.clone().requires_grad_()
        with torch.enable_grad():
            total = (self._start(at) * slopes).sum()
            if not total.requires_grad:
                raise TheoryError(
                    f"the start of {self.name} has no gradient with respect to its input. Pass a function of torch "
                    "operations."
                )
            learned = self._learned(at) if self.points else None
            by_autograd = learned is not None and learned.requires_grad
            if learned is not None and by_autograd:
                total = total - (learned * slopes).sum()
        (found,) = torch.autograd.grad(total, at)
        if learned is not None and not by_autograd:
            found = found - self._differences(h, slopes)
        return found

    def gram(self, h: Tensor, other: Tensor) -> Tensor:
        """Return the tangent kernel between points, (a, b)."""
        found = self.segment.kernel(h, other)
        shape = (len(h), len(other))
        if not isinstance(found, Tensor) or tuple(found.shape) != shape:
            got = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise TheoryError(
                f"the kernel of {self.name} gives {got} for {shape[0]} and {shape[1]} points. Pass a function of two "
                "sets of points that returns their matrix."
            )
        return found.double()

    def pull(self, h: Tensor, pulls: Tensor) -> None:
        """Enter a step of gradient descent: learning rate times slope of the loss, at points h."""
        self.points.append(h)
        self.pulls.append(pulls)

    def _start(self, h: Tensor) -> Tensor:
        try:
            found = self.segment.start(h)
        except RuntimeError as error:
            raise TheoryError(
                f"the start of {self.name} fails on points of shape {tuple(h.shape)}: {error}. Pass a function of points "
                f"with {h.shape[1]} numbers, the units of the bottleneck before it."
            ) from error
        if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != len(h):
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise TheoryError(
                f"the start of {self.name} gives {got} for points of shape {tuple(h.shape)}. Pass a function that "
                "returns one row of outputs per point."
            )
        return found.double()

    def _learned(self, h: Tensor) -> Tensor:
        return self.gram(h, torch.cat(self.points)) @ torch.cat(self.pulls)

    def _differences(self, h: Tensor, slopes: Tensor) -> Tensor:
        """Return the pull-back of what was learned, by central differences in every direction."""
        step = _STEP * (float(h.square().mean().sqrt()) or 1.0)
        shifts = step * torch.eye(h.shape[1], dtype=h.dtype)
        at_once = max(1, _PAIRS // (2 * len(h) * sum(map(len, self.points))))
        parts = []
        for some in shifts.split(at_once):
            moved = h + torch.stack([some, -some])[:, :, None]  # (2, directions, a, d)
            up, down = self._learned(moved.flatten(0, 2)).unflatten(0, moved.shape[:3])
            parts.append(((up - down) * slopes).sum(-1) / (2 * step))  # (directions, a)
        return torch.cat(parts).T
