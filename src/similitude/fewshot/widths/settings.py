"""What a width study runs: encoders, their pretraining, how they are fine-tuned, and the grid of sizes and rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from similitude.core.errors import EvaluationError, GridError
from similitude.fewshot.reading import clues_task
from similitude.fewshot.tasks import SHOTS, SPLITS
from similitude.models.dials import check_divides
from similitude.scaling.rules import known_rule
from similitude.studies.experiment import BASE, rates
from similitude.studies.grid_checks import check_rates

_GRID = ("tasks", "widths", "rules", "shots", "splits", "lrs", "pretraining_lrs", "gammas", "gamma_shots")


@dataclass(frozen=True)
class WidthSettings:
    """The settings of a width study; the defaults take about 45 minutes on two quiet cores.

    Attributes:
        tasks: Names of tasks.
        widths: Widths, increasing; hyperparameters are tuned at the first, the base of every plan.
        rules: Parametrizations to compare.
        shots: Shots of the sweep of learning rates.
        splits: Numbers of splits, at least two; they take the place of seeds.
        lrs: Learning rates of fine-tuning, increasing.
        pretraining_lrs: Learning rates of pretraining, tried at the smallest width alone.
        pretraining_steps: Steps of pretraining.
        batch_size: Sequences per step of pretraining.
        length: Tokens that an encoder reads.
        vocabulary: Most different tokens.
        depth: Blocks.
        head_dim: Numbers per attention head.
        steps: Steps of fine-tuning, rounded up to whole passes over the examples.
        rows: Examples per step of fine-tuning.
        folds: Parts of a split, each of which is held out once.
        gammas: Richness to try at the smallest and the largest width, under the first of the rules: none, or with 1.
        gamma_shots: Shots at which it is tried.
        seed: Seed of everything.

    Raises:
        EvaluationError: A number is out of range.
        GridError: Widths or rates are no grid.
        DataError: There is no such task, number of shots or split.
        PlanError: There is no such rule.
        ModelError: A width is no multiple of `head_dim`.
    """

    tasks: tuple[str, ...] = ("sst-2", "conll")
    widths: tuple[int, ...] = (64, 128, 256, 512)
    rules: tuple[str, ...] = ("mup", "sp")
    shots: int = 30
    splits: tuple[int, ...] = SPLITS
    lrs: tuple[float, ...] = rates(2**-13, 2**-5, 7)
    pretraining_lrs: tuple[float, ...] = rates(2**-11, 2**-6, 6)
    pretraining_steps: int = 1000
    batch_size: int = 8
    length: int = 64
    vocabulary: int = 4096
    depth: int = 2
    head_dim: int = 16
    steps: int = 24
    rows: int = 8
    folds: int = 2
    gammas: tuple[float, ...] = (0.25, 1.0, 4.0)
    gamma_shots: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("pretraining_steps", "batch_size", "depth", "head_dim", "steps", "rows"):
            self._at_least(name, 1)
        for name, values in (("seed", (self.seed,)), ("widths", self.widths), ("splits", self.splits)):
            if not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
                raise EvaluationError(f"{name}={getattr(self, name)!r}: needs whole numbers.")
        self._at_least("length", 8)
        self._at_least("vocabulary", 200)
        self._at_least("folds", 2)
        for name, values in (("tasks", self.tasks), ("rules", self.rules), ("splits", self.splits)):
            _distinct(name, values)
        for task in self.tasks:
            clues_task(task)
        for rule in self.rules:
            known_rule(rule)
        if len(self.splits) < 2 or not set(self.splits) <= set(SPLITS):
            raise EvaluationError(
                f"splits={self.splits}: at least two of {SPLITS} are needed for an interval. Leave it out for all five."
            )
        if not {self.shots, self.gamma_shots} <= set(SHOTS):
            raise EvaluationError(
                f"shots={self.shots}, gamma_shots={self.gamma_shots}: CLUES has {', '.join(map(str, SHOTS))}."
            )
        if len(self.widths) < 2 or list(self.widths) != sorted(set(self.widths)):
            raise GridError(
                f"widths={self.widths}: at least two widths are needed, increasing, e.g. (64, 128, 256)."
            )
        if self.base < 1:
            raise GridError(f"widths={self.widths}: a width is at least 1, e.g. 64.")
        for width in self.widths:
            check_divides("TextEncoder", "width", width, "head_dim", self.head_dim, "heads")
        for name in ("lrs", "pretraining_lrs"):
            object.__setattr__(self, name, check_rates(getattr(self, name)))
        if not all(gamma > 0 and math.isfinite(gamma) for gamma in self.gammas):
            raise EvaluationError(f"gammas={self.gammas}: a richness is positive and finite. 1 is none.")
        if self.gammas:
            _distinct("gammas", [f"{gamma:g}" for gamma in self.gammas])
            if 1 not in self.gammas:
                raise EvaluationError(
                    f"gammas={self.gammas}: the others are compared with 1, which is not there. Add it, or leave all out."
                )

    def _at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise EvaluationError(f"{name}={value!r}: needs a whole number of at least {least}.")

    @property
    def base(self) -> int:
        """The width that everything is tuned at."""
        return self.widths[0]

    def sizes(self) -> list[tuple[str, int]]:
        """Return every rule and width; the base stands once, for all rules agree there."""
        return [(BASE, self.base), *((rule, width) for rule in self.rules for width in self.widths[1:])]

    def of(self, rule: str, width: int) -> tuple[str, int]:
        """Return what stands for a rule at a width: at the base one for all rules."""
        return (BASE if width == self.base else rule, width)

    def fixed(self) -> dict[str, Any]:
        """Return what decides a single result and is no part of its name, so that other grids share results."""
        return {
            **{name: value for name, value in asdict(self).items() if name not in _GRID},
            "base": self.base,
        }


def _distinct(name: str, values: Sequence[Any]) -> None:
    if not values or len(set(values)) != len(values):
        raise EvaluationError(f"{name}={tuple(values)}: name at least one, none twice.")
