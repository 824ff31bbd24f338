"""What a study of universality holds: how far nets of every width are from kernel gradient descent, with exponents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from similitude.checking.slopes import Slope
from similitude.core.verdict import Verdict


@dataclass(frozen=True)
class UniversalityWidth:
    """Nets of one width, a number per seed in every tuple.

    Attributes:
        width: The width.
        deviations: Root mean square difference of net and kernel gradient descent on examples that are not trained on,
            over that of the targets; the largest of all times.
        train_deviations: The same on the training examples.
        kernel_errors: |tangent kernel of the net at its start - limit| / |limit|, in Frobenius norm.
        kernel_changes: |tangent kernel after training - at the start| / |at the start|.
        contrast_changes: The same where the net follows the other parametrization; empty where it was not asked for.
    """

    width: int
    deviations: tuple[float, ...]
    train_deviations: tuple[float, ...]
    kernel_errors: tuple[float, ...]
    kernel_changes: tuple[float, ...]
    contrast_changes: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "width": self.width,
            "deviations": list(self.deviations),
            "train_deviations": list(self.train_deviations),
            "kernel_errors": list(self.kernel_errors),
            "kernel_changes": list(self.kernel_changes),
            "contrast_changes": list(self.contrast_changes),
        }


QUANTITIES: Mapping[str, str] = {
    "deviations": "deviation on test examples",
    "train_deviations": "deviation on training examples",
    "kernel_errors": "error of the tangent kernel at the start",
    "kernel_changes": "change of the tangent kernel",
    "contrast_changes": "change of the tangent kernel under the contrast",
}
"""What is measured at every width, in words by attribute of `UniversalityWidth`."""


@dataclass(frozen=True)
class Architecture:
    """One architecture at several widths.

    Attributes:
        name: What it is called.
        widths: What was measured, smallest width first.
        exponents: Power of the width that each quantity of `QUANTITIES` goes with; None where it cannot be fitted.
        lr: Learning rate of a parameter that is drawn with variance 1.
        verdict: `consistent`, `inconsistent`, `too_noisy`, `cannot_tell` or `diverged`.
    """

    name: str
    widths: tuple[UniversalityWidth, ...]
    exponents: Mapping[str, Slope | None]
    lr: float
    verdict: Verdict

    def raise_if_bad(self) -> None:
        """Raise unless the verdict is `consistent`."""
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON. `verdict` is the outcome's name."""
        return {
            "name": self.name,
            "verdict": str(self.verdict.outcome),
            "verdict_details": self.verdict.to_dict(),
            "lr": self.lr,
            "exponents": {
                name: None if slope is None else {"value": slope.value, "interval": [slope.low, slope.high]}
                for name, slope in self.exponents.items()
            },
            "widths": [width.to_dict() for width in self.widths],
        }


@dataclass(frozen=True)
class Universality:
    """Whether nets of any architecture train as their kernel says, the better the wider they are.

    Attributes:
        architectures: The result by name.
        contrast: The parametrization that is shown beside, in which kernels change at any width; None for none.
        verdict: The worst of the architectures'.
        settings: What was run, as names and plain values.
        seconds: Wall-clock time.
    """

    architectures: Mapping[str, Architecture]
    contrast: str | None
    verdict: Verdict
    settings: Mapping[str, Any]
    seconds: float

    def raise_if_bad(self) -> None:
        """Raise unless every architecture is consistent."""
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON. `verdict` is the outcome's name."""
        return {
            "verdict": str(self.verdict.outcome),
            "verdict_details": self.verdict.to_dict(),
            "contrast": self.contrast,
            "architectures": {name: found.to_dict() for name, found in self.architectures.items()},
            "settings": dict(self.settings),
            "seconds": self.seconds,
        }
