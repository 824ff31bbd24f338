"""What a sweep of the richness gamma holds: losses over rates at every gamma, stable rates, exponents, the best gamma."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from similitude.core.verdict import Verdict
from similitude.studies.records import Curve, Optimum


@dataclass(frozen=True)
class GammaPoint:
    """What was found at one richness.

    Attributes:
        gamma: The richness.
        curve: Final losses over learning rates, as the user's own optimizer takes them.
        initial: Loss of the untrained model by seed, on what the final losses are measured on.
        best: The best learning rate at this richness.
        stable: By seed the largest learning rate at which training still learns; None where there is none.
    """

    gamma: float
    curve: Curve
    initial: tuple[float, ...]
    best: Optimum
    stable: tuple[float | None, ...]

    @property
    def at_best(self) -> tuple[float, ...]:
        """Final losses by seed at the best rate of the grid; empty where every rate diverged."""
        means = [sum(row) / len(row) for row in self.curve.losses]
        finite = [i for i, mean in enumerate(means) if mean == mean and mean < float("inf")]
        return self.curve.losses[min(finite, key=means.__getitem__)] if finite else ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "gamma": self.gamma,
            "initial": list(self.initial),
            "largest_stable_lrs": list(self.stable),
            "best": self.best.to_dict(),
            "curve": self.curve.to_dict(),
        }


@dataclass(frozen=True)
class Exponent:
    """How a learning rate goes with gamma on one side of 1.

    Attributes:
        side: "lazy" (gamma below 1) or "rich" (above).
        quantity: "largest stable rate" or "best rate".
        value: d log(rate) / d log(gamma).
        interval: 95 % interval, over seeds and over gammas that are off the line, the grid's rounding included.
        expected: Exponent of the law for this optimizer and number of layers; None where the layers are not known.
        gammas: The gammas that it is fitted to.
    """

    side: str
    quantity: str
    value: float
    interval: tuple[float, float]
    expected: float | None
    gammas: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "side": self.side,
            "quantity": self.quantity,
            "value": self.value,
            "interval": list(self.interval),
            "expected": self.expected,
            "gammas": list(self.gammas),
        }


@dataclass(frozen=True)
class BestGamma:
    """The richness with the smallest loss after the steps of the sweep, each gamma at its own best learning rate.

    Attributes:
        gamma: The minimum, refined between the gammas that were tried; None where none can be told.
        interval: 95 % interval over seeds.
        loss: Smallest mean loss on the grid.
        edge: "low" or "high" where the best gamma is the smallest or largest that was tried.
        verdict: `ok`, `not_bracketed`, `too_noisy`, `cannot_tell` or `diverged`.
    """

    gamma: float | None
    interval: tuple[float, float] | None
    loss: float
    edge: str | None
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "gamma": self.gamma,
            "interval": list(self.interval) if self.interval else None,
            "loss": self.loss,
            "edge": self.edge,
            "verdict": self.verdict.to_dict(),
        }


@dataclass(frozen=True)
class GammaSweep:
    """A sweep of gamma and the learning rate at one size and one amount of training.

    Attributes:
        name: Name of the study.
        points: What was found, by increasing gamma.
        exponents: Exponents of learning rates on both sides, where at least two gammas lie on it.
        best: The best richness at this compute.
        law: Whether the largest stable rates follow the law: `consistent`, `inconsistent` or `cannot_tell`.
        layers: Number of weight layers that the law is taken for, or None.
        family: Optimizer family that it is taken for.
        settings: What was run, as names and plain values.
        cells_found: Runs that were finished before.
        cells_run: Runs that this call finished.
        seconds: Wall-clock time of this call.
    """

    name: str
    points: tuple[GammaPoint, ...]
    exponents: tuple[Exponent, ...]
    best: BestGamma
    law: Verdict
    layers: int | None
    family: str
    settings: Mapping[str, Any]
    cells_found: int
    cells_run: int
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """The law's verdict where it is bad, else that on the best gamma, which is what the sweep is asked for."""
        return self.best.verdict if self.law.ok or self.law.undecided else self.law

    def raise_if_bad(self) -> None:
        """Raise where the law does not hold, or where the best gamma cannot be told."""
        self.verdict.raise_if_bad()

    def exponent(self, side: str, quantity: str = "largest stable rate") -> Exponent | None:
        """Return the exponent of one side, or None where too few gammas lie on it."""
        found = [e for e in self.exponents if (e.side, e.quantity) == (side, quantity)]
        return found[0] if found else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON. `verdict` is the outcome's name."""
        return {
            "name": self.name,
            "verdict": str(self.verdict.outcome),
            "best": self.best.to_dict(),
            "law": self.law.to_dict(),
            "layers": self.layers,
            "family": self.family,
            "exponents": [e.to_dict() for e in self.exponents],
            "points": [p.to_dict() for p in self.points],
            "settings": dict(self.settings),
            "cells_found": self.cells_found,
            "cells_run": self.cells_run,
            "seconds": self.seconds,
        }
