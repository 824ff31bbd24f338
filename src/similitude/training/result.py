"""The outcome of one training run: its losses by step and its final loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RunResult:
    """One run's losses.

    Attributes:
        losses: Training loss before each step, float64, shape (steps,); nan from the step at which it diverged on.
        evaluation: Loss on the evaluation batch after the last step, or None where the batches have none.
    """

    losses: np.ndarray
    evaluation: float | None

    @property
    def diverged(self) -> bool:
        """Whether a loss of the run was not finite."""
        finite = bool(np.isfinite(self.losses).all())
        return not finite or (self.evaluation is not None and not math.isfinite(self.evaluation))

    @property
    def final(self) -> float:
        """The final loss: on the evaluation batch, else the mean over the last tenth of the steps; inf if diverged."""
        if self.diverged:
            return math.inf
        if self.evaluation is not None:
            return self.evaluation
        return float(self.losses[-max(1, len(self.losses) // 10) :].mean())
