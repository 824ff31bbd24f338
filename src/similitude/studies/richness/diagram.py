"""The phase diagram of a model in the plane of richness and learning rate: what every run did, and what follows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.studies.gamma_records import GammaSweep
from similitude.studies.richness.budgets import Budget
from similitude.studies.richness.phases import Phase
from similitude.studies.richness.rescaled_time import Collapse

_WORST_FIRST = tuple(Phase)


@dataclass(frozen=True)
class PhaseCell:
    """What the runs of one richness and one learning rate did.

    Attributes:
        gamma: Richness.
        lr: Learning rate.
        phases: By seed.
        final: Final loss by seed.
        levels: By seed the levels of the plateaus that the loss passes, over the loss of the untrained model; none of a
            run that did not learn.
        jumps: By seed the steps at which it has fallen half way from one to the next.
    """

    gamma: float
    lr: float
    phases: tuple[Phase, ...]
    final: tuple[float, ...]
    levels: tuple[tuple[float, ...], ...]
    jumps: tuple[tuple[float, ...], ...]

    @property
    def phase(self) -> Phase:
        """What most seeds did; of equally many the less good."""
        counts = Counter(self.phases)
        return max(_WORST_FIRST, key=lambda phase: (counts[phase], -_WORST_FIRST.index(phase)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "gamma": self.gamma,
            "lr": self.lr,
            "phase": str(self.phase),
            "phases": [str(phase) for phase in self.phases],
            "final": list(self.final),
            "levels": [list(levels) for levels in self.levels],
            "jumps": [list(jumps) for jumps in self.jumps],
        }


@dataclass(frozen=True)
class OpenEnd:
    """An end of the grid of rates that leaves the best or the largest stable rate of a gamma out.

    Attributes:
        gamma: Richness.
        way: Which rates are missing.
        lr: The rate at that end.
    """

    gamma: float
    way: Literal["smaller", "larger"]
    lr: float

    def __str__(self) -> str:
        return f"gamma {self.gamma:g} needs rates {self.way} than {self.lr:.3g}"


@dataclass(frozen=True)
class PhaseDiagram:
    """A map of the (gamma, learning rate) plane of one model and one amount of training.

    Attributes:
        sweep: Stable and best rates, their exponents, the best gamma.
        cells: What the runs did, by gamma and rate.
        budgets: The best gamma after fewer steps; empty where the schedule is not constant.
        collapse: Whether curves of the rich side are one in rescaled time; None where that cannot be asked.
        ends: Where the grid of rates is too short.
        notes: What was left out, and why.
    """

    sweep: GammaSweep
    cells: tuple[PhaseCell, ...]
    budgets: tuple[Budget, ...]
    collapse: Collapse | None
    ends: tuple[OpenEnd, ...]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.sweep.name

    @property
    def verdict(self) -> Verdict:
        """The law's verdict where it is bad; else which way the grid is too short; else that on the best gamma."""
        if not (self.sweep.law.ok or self.sweep.law.undecided):
            return self.sweep.law
        return _too_short(self.ends) if self.ends else self.sweep.best.verdict

    def raise_if_bad(self) -> None:
        """Raise where the law does not hold, the grid is too short, or the best gamma cannot be told."""
        self.verdict.raise_if_bad()

    def cell(self, gamma: float, lr: float) -> PhaseCell | None:
        """Return what the runs of one gamma and rate did, or None where there are none."""
        return next((cell for cell in self.cells if (cell.gamma, cell.lr) == (gamma, lr)), None)

    def counts(self) -> dict[Phase, int]:
        """Return how many cells are in each phase, in the order of `Phase`."""
        found = Counter(cell.phase for cell in self.cells)
        return {phase: found[phase] for phase in Phase}

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON. `verdict` is the outcome's name."""
        return {
            **self.sweep.to_dict(),
            "verdict": str(self.verdict.outcome),
            "summary": self.verdict.summary,
            "next": self.verdict.next,
            "phases": {str(phase): count for phase, count in self.counts().items()},
            "cells": [cell.to_dict() for cell in self.cells],
            "budgets": [budget.to_dict() for budget in self.budgets],
            "collapse": None if self.collapse is None else self.collapse.to_dict(),
            "open_ends": [{"gamma": e.gamma, "way": e.way, "lr": e.lr} for e in self.ends],
            "notes": list(self.notes),
        }


def _too_short(ends: tuple[OpenEnd, ...]) -> Verdict:
    """Say which way a grid of rates has to be extended, by four octaves."""
    options = []
    if low := [end.lr for end in ends if end.way == "smaller"]:
        options.append(f"--lr-min {min(low) / 16:.3g}")
    if high := [end.lr for end in ends if end.way == "larger"]:
        options.append(f"--lr-max {16 * max(high):.3g}")
    return Verdict(
        Outcome.NOT_BRACKETED,
        f"the rates that were tried leave the edge out: {'; '.join(map(str, ends))}",
        tuple(
            Evidence(f"rate at the end of the grid, gamma {end.gamma:g}", end.lr, None, end.way)
            for end in ends
        ),
        next=" ".join(options),
    )
