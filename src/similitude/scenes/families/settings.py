"""What a study of widths on rendered scenes runs: objects and pictures, the grid of sizes and rates, the probes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from similitude.core.errors import SceneError
from similitude.scaling.rules import known_rule
from similitude.scenes.families.factors import OBJECTS, SHIFTS
from similitude.studies.experiment import BASE, rates
from similitude.studies.grid_checks import check_rates

SMALLEST = 32
"""Rows and columns that corruptions need at least."""


@dataclass(frozen=True)
class FamilySettings:
    """The settings of a study of widths on rendered scenes.

    Attributes:
        objects: Names of the objects, the classes.
        images: Pictures to train on.
        tests: Pictures of each test set.
        resolution: Rows and columns of a picture, at least 32.
        samples: Samples per pixel; None for the renderer's own choice.
        renderer: Name of the renderer.
        shifts: Names of the shifted test sets, of `similitude.scenes.families.factors.SHIFTS`.
        widths: Widths, increasing; the first is the base of every plan.
        rules: Parametrizations to compare.
        lrs: Learning rates, increasing.
        seeds: Seeds; three or more give intervals worth the name.
        steps: Optimizer steps of a run.
        batch_size: Pictures per step.
        depth: Convolutions.
        checkpoints: How often factors are probed after the start, at steps that are even in their logarithm.
        seed: Seed of the pictures.

    Raises:
        SceneError: A number is out of range, or a name is unknown or there twice.
        GridError: The rates are no grid.
        PlanError: There is no such rule.
    """

    objects: tuple[str, ...] = OBJECTS
    images: int = 2400
    tests: int = 400
    resolution: int = 32
    samples: int | None = None
    renderer: str = "raster"
    shifts: tuple[str, ...] = tuple(SHIFTS)
    widths: tuple[int, ...] = (8, 16, 32)
    rules: tuple[str, ...] = ("mup", "sp")
    lrs: tuple[float, ...] = rates(2**-9, 2**-1, 9)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    steps: int = 300
    batch_size: int = 32
    depth: int = 3
    checkpoints: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("images", len(self.objects)),
            ("tests", len(self.objects)),
            ("resolution", SMALLEST),
            ("steps", 1),
            ("batch_size", 1),
            ("depth", 1),
            ("checkpoints", 1),
            ("seed", 0),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SceneError(f"{name}={value!r}: needs a whole number of at least {least}.")
        for name, least in (("objects", 2), ("widths", 2), ("seeds", 1), ("rules", 1), ("shifts", 1)):
            values = getattr(self, name)
            if len(values) < least or len(set(values)) != len(values):
                raise SceneError(f"{name}={values!r}: give at least {least}, each once.")
        if list(self.widths) != sorted(self.widths) or self.widths[0] < 1:
            raise SceneError(
                f"widths={self.widths!r}: give whole numbers from 1 that increase, e.g. 8,16,32."
            )
        if unknown := [name for name in self.shifts if name not in SHIFTS]:
            raise SceneError(f"there is no shift {unknown[0]!r}. Shifts: {', '.join(SHIFTS)}.")
        object.__setattr__(self, "lrs", check_rates(self.lrs))
        for rule in self.rules:
            known_rule(rule)

    @property
    def base(self) -> int:
        """The smallest width, on which every rule agrees."""
        return self.widths[0]

    def of(self, rule: str, width: int) -> tuple[str, int]:
        """Return under which name a rule's runs of a width are kept: those of the base serve all rules."""
        return (BASE if width == self.base else rule, width)

    def sizes(self) -> tuple[tuple[str, int], ...]:
        """Return every rule and width, the base once."""
        return tuple(dict.fromkeys(self.of(rule, width) for rule in self.rules for width in self.widths))

    def checkpoint_steps(self) -> tuple[int, ...]:
        """Return the steps after which factors are probed, from 1 to the last, even in their logarithm.

        Example:
            >>> FamilySettings(steps=64, checkpoints=4).checkpoint_steps()
            (1, 4, 16, 64)
        """
        if self.checkpoints == 1:
            return (self.steps,)
        powers = (self.steps ** (place / (self.checkpoints - 1)) for place in range(self.checkpoints))
        return tuple(sorted({round(power) for power in powers}))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }
