"""Networks of several widths beside their limit: how far they are from it, and how that falls with the width."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from similitude.checking.slopes import Slope, fit
from similitude.core.errors import TheoryError
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.theory.adaptive_limits.entrywise import Entrywise
from similitude.theory.adaptive_limits.networks import table, train_networks
from similitude.theory.adaptive_limits.perceptron import Perceptron
from similitude.theory.adaptive_limits.records import Chi, LimitRun, NetworkRuns
from similitude.theory.finite_width.given import whole

FALLS = -0.2
"""Exponent of width below which deviations count as falling; those of random starts fall as n^-1/2."""

_FLOOR = 0.5  # share of the deviation that the limit's own error may have


@dataclass(frozen=True, eq=False)
class LimitComparison:
    """Networks beside their limit. Made by `compare` of a limit.

    Attributes:
        parametrization: "ntp" or "mup".
        networks: Runs of every width, narrow ones first.
        limits: What the limit says of each of them, shape (seeds, steps + 1, M) per width.
        deviations: Largest |f_n - f| over steps and inputs, shape (widths, seeds).
        limit_error: Largest standard error of the limits by sampling.
        limit_kernel_change: Change of the features' kernel in the limit.
        slope: Exponent of width of the deviations; None with one width or without any deviation.
        kernel_slope: The same of the change of the features' kernel.
    """

    parametrization: str
    networks: tuple[NetworkRuns, ...]
    limits: tuple[Tensor, ...]
    deviations: np.ndarray
    limit_error: float
    limit_kernel_change: float
    slope: Slope | None
    kernel_slope: Slope | None

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths."""
        return tuple(run.width for run in self.networks)

    @property
    def moved(self) -> float:
        """Largest change of outputs in the limits, that deviations are held against."""
        return max(float((f - f[:, :1]).abs().max()) for f in self.limits)

    def interval(self, i: int) -> tuple[float, float]:
        """Return the 95 % interval of the mean deviation of a width; infinite with one seed."""
        values = self.deviations[i]
        if len(values) < 2:
            return -math.inf, math.inf
        return t_interval(values)

    @property
    def verdict(self) -> Verdict:
        """Consistent where deviations fall with the width, by the interval of their exponent."""
        rows = [
            Evidence(f"deviation at width {w}", float(d.mean()), self.interval(i))
            for i, (w, d) in enumerate(zip(self.widths, self.deviations, strict=True))
        ]
        rows.append(Evidence("largest change of outputs in the limit", self.moved))
        rows.append(Evidence("standard error of the limit", self.limit_error, None, "below the deviations"))
        if self.kernel_slope is not None:
            k = self.kernel_slope
            frozen = self.parametrization == "ntp"
            expected = "below 0: features freeze" if frozen else "0: features move alike at every width"
            rows.append(
                Evidence("exponent of the change of the features' kernel", k.value, (k.low, k.high), expected)
            )
        change = float(self.networks[-1].kernel_change.mean())
        name = f"change of the features' kernel at width {self.widths[-1]}"
        rows.append(Evidence(name, change, None, f"{self.limit_kernel_change:.3g} in the limit"))
        if self.slope is None:
            why = "compare two widths at least" if len(self.widths) < 2 else "a width has none at all"
            summary = f"the deviations have no exponent: {why}"
            return Verdict(Outcome.CANNOT_TELL, summary, tuple(rows), (), "widths=(256, 1024, 4096)")
        at = self.slope
        rows.insert(0, Evidence("exponent of the deviation", at.value, (at.low, at.high), "-1/2"))
        widest = float(self.deviations[-1].mean())
        text = f"networks come to the limit as n^{at.value:+.2f} [{at.low:+.2f}, {at.high:+.2f}]"
        far = f"{widest / self.moved:.1%} of the outputs' change" if widest < self.moved else f"{widest:.3g}"
        text += f", to {far} at width {self.widths[-1]}"
        if at.high < FALLS:
            return Verdict(Outcome.CONSISTENT, text, tuple(rows))
        if self.limit_error > _FLOOR * widest:
            text = (
                f"the limit's own error, {self.limit_error:.2g}, is not below the deviation of {widest:.2g}"
            )
            return Verdict(Outcome.TOO_NOISY, text, tuple(rows), (), "more samples=, or narrower networks")
        if at.low > FALLS:
            causes = (
                "the rate is too large for these widths",
                "eps is small beside the errors that are left",
            )
            return Verdict(Outcome.INCONSISTENT, text, tuple(rows), causes, "a smaller lr, or wider networks")
        return Verdict(Outcome.TOO_NOISY, text, tuple(rows), (), "more seeds=, or widths farther apart")

    def raise_if_bad(self) -> None:
        """Raise unless networks come to the limit."""
        self.verdict.raise_if_bad()

    def __str__(self) -> str:
        lines = [f"{self.verdict.outcome}: {self.verdict.summary}", *map(str, self.verdict.evidence)]
        return "\n".join(lines)


def compare_widths(
    net: Perceptron,
    rule: Entrywise,
    parametrization: str,
    task: tuple[Tensor, Tensor],
    limit: Callable[[Tensor], LimitRun],
    *,
    widths: Sequence[int],
    seeds: int,
    steps: int,
    lr: float,
    chi: Chi,
) -> LimitComparison:
    """Train networks of several widths and hold each against the limit.

    Args:
        net: The perceptron.
        rule: The optimizer.
        parametrization: "ntp" or "mup".
        task: Inputs and targets.
        limit: Trains the limit that a network of some initial outputs, shape (M,), has.
        widths: Widths.
        seeds: Networks of every width.
        steps: Number of steps.
        lr: Learning rate.
        chi: dLoss / df of outputs and targets.

    Raises:
        TheoryError: A width is none, or training diverges.
    """
    if isinstance(widths, int):
        raise TheoryError(f"widths={widths} is one number: pass several, e.g. (256, 1024, 4096).")
    listed = sorted({whole(f"widths[{i}]", width) for i, width in enumerate(widths)})
    if not listed:
        raise TheoryError("widths is empty: pass e.g. (256, 1024, 4096).")
    runs, limits, worst, moved = [], [], 0.0, 0.0
    for width in listed:
        run = train_networks(
            net,
            rule,
            table(net, parametrization),
            task,
            width=width,
            seeds=seeds,
            steps=steps,
            lr=lr,
            chi=chi,
        )
        beside = [limit(f[0]) for f in run.outputs]
        worst = max(worst, *(one.error for one in beside))
        moved = beside[0].kernel_change
        runs.append(run)
        limits.append(torch.stack([one.outputs for one in beside]))
    deviations = np.array(
        [(run.outputs - f).abs().amax((1, 2)).tolist() for run, f in zip(runs, limits, strict=True)]
    )
    changes = [run.kernel_change.tolist() for run in runs]
    several = len(listed) > 1
    return LimitComparison(
        parametrization,
        tuple(runs),
        tuple(limits),
        deviations,
        worst,
        moved,
        fit(listed, deviations.tolist()) if several else None,
        fit(listed, changes) if several else None,
    )
