"""What gradient descent on a two-layer linear network went through: every state, its loss and its sharpness."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from similitude.theory.two_layer_linear import TwoLayerLinear

Array = np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class TwoLayerRun:
    """Gradient descent on a `TwoLayerLinear`. Made by `TwoLayerLinear.run`.

    Attributes:
        eta: Learning rate.
        steps: Steps that were asked for.
        states: The start and every state that followed with finite numbers.
        sharpness: Largest eigenvalue of the Hessian at every state, shape (steps + 1,); nan once numbers overflowed.
        excess_loss: Loss above the best linear function's, likewise.
        residual: Norm of the gradient with respect to w, likewise.
    """

    eta: float
    steps: int
    states: tuple[TwoLayerLinear, ...]

    def __repr__(self) -> str:
        end = f", diverged after step {len(self.states) - 1}" if self.diverged else ""
        return f"TwoLayerRun(eta={self.eta:g}, steps={self.steps}{end})"

    def __iter__(self) -> Iterator[TwoLayerLinear]:
        return iter(self.states)

    @property
    def final(self) -> TwoLayerLinear:
        """The last state with finite numbers."""
        return self.states[-1]

    @property
    def diverged(self) -> bool:
        """Whether numbers overflowed before the last step."""
        return len(self.states) <= self.steps

    @property
    def sharpness(self) -> Array:
        """See the class."""
        return self._padded([state.sharpness() for state in self.states])

    @property
    def excess_loss(self) -> Array:
        """See the class."""
        return self._padded([state.excess_loss for state in self.states])

    @property
    def residual(self) -> Array:
        """See the class."""
        return self._padded([float(np.linalg.norm(state.residual)) for state in self.states])

    def _padded(self, values: list[float]) -> Array:
        return np.array(values + [math.nan] * (self.steps + 1 - len(values)))
