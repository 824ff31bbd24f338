"""What a study of bottlenecks holds: nets beside their function-space training, and what the bottleneck changes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from similitude.checking.slopes import Slope
from similitude.core.verdict import Verdict
from similitude.studies.bottleneck_split import Neck


@dataclass(frozen=True)
class BottleneckNet:
    """One net beside function-space training from its own start.

    Attributes:
        width: Its width; None of a single network.
        seed: Its seed.
        deviation: Root mean square difference of net and theory over all examples, over that of the targets; the largest
            of all times.
        frozen: The same of the net and its tangent kernel at the start, as if it did not move.
        moved: |h_end - h_start| / |h_start| of every bottleneck, in theory.
        alignment: y' Theta y / (|Theta| |y|^2) on the training examples at the start and at the end, in theory.
        growth: y' Theta y at the end over that at the start, in theory.
        steps: Steps of the net until the squared error is `goal` of that of outputs 0; inf where it does not get there.
        expected_steps: The same in theory.
        stability: Learning rate times the largest eigenvalue of the kernel at the start and at the end, in theory.
    """

    width: int | None
    seed: int
    deviation: float
    frozen: float
    moved: tuple[float, ...]
    alignment: tuple[float, float]
    growth: float
    steps: float
    expected_steps: float
    stability: tuple[float, float]


@dataclass(frozen=True)
class BottleneckStudy:
    """Whether wide nets with bottlenecks train as function space says, and what the bottlenecks change.

    Attributes:
        necks: The bottlenecks, in order.
        nets: Every net, smallest width first.
        exponent: Power of the width that the deviation goes with; None of a single network.
        steps_without: Steps of the net with no bottleneck, infinitely wide throughout, to the same error: median over
            random starts.
        goal: Share of the squared error of outputs 0 that counts.
        lr: Learning rate of a parameter that is drawn with variance 1.
        verdict: `consistent`, `inconsistent`, `too_noisy`, `cannot_tell` or `diverged`.
        settings: What was run, as names and plain values.
        seconds: Wall-clock time.
    """

    necks: tuple[Neck, ...]
    nets: tuple[BottleneckNet, ...]
    exponent: Slope | None
    steps_without: float
    goal: float
    lr: float
    verdict: Verdict
    settings: Mapping[str, Any]
    seconds: float

    @property
    def widest(self) -> tuple[BottleneckNet, ...]:
        """Nets of the largest width."""
        return tuple(net for net in self.nets if net.width == self.nets[-1].width)

    @property
    def speed_up(self) -> float:
        """Steps without a bottleneck over those with it, median of the widest nets; below 1 it makes training slower.

        nan where neither gets to the error, 0 and inf where one does not.
        """
        steps = float(np.median([net.steps for net in self.widest]))
        if math.isinf(steps) and math.isinf(self.steps_without):
            return math.nan
        return self.steps_without / steps if steps else math.inf

    def by_width(self) -> dict[int | None, tuple[BottleneckNet, ...]]:
        """Return the nets of every width."""
        widths = dict.fromkeys(net.width for net in self.nets)
        return {width: tuple(net for net in self.nets if net.width == width) for width in widths}

    def raise_if_bad(self) -> None:
        """Raise unless the verdict is `consistent`."""
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON. `verdict` is the outcome's name."""
        return {
            "verdict": str(self.verdict.outcome),
            "verdict_details": self.verdict.to_dict(),
            "necks": [asdict(neck) for neck in self.necks],
            "nets": [asdict(net) for net in self.nets],
            "exponent": None
            if self.exponent is None
            else {"value": self.exponent.value, "interval": [self.exponent.low, self.exponent.high]},
            "steps_without": self.steps_without,
            "speed_up": self.speed_up,
            "goal": self.goal,
            "lr": self.lr,
            "settings": dict(self.settings),
            "seconds": self.seconds,
        }


def mean_of(nets: Sequence[BottleneckNet], quantity: str) -> float:
    """Return the mean over nets of one of their numbers."""
    return float(np.mean([getattr(net, quantity) for net in nets]))
