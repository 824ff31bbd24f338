"""A setting of a control: its range, what it means in which unit, and which values are possible at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError, TuningError
from similitude.scenes.controls.names import Names
from similitude.tuning.space.dimensions import Choice, Dimension, Number


@dataclass(frozen=True)
class Setting:
    """One setting of a control.

    Attributes:
        dimension: Its center is the value where nothing else is said, its bounds are the range that a search covers
            unless it is told otherwise.
        about: What it means and in which unit, in a line.
        least: Smallest number that is possible, which may be beyond the range.
        most: Largest one.
        open: Whether `least` and `most` themselves are impossible.
        known: Of names that are open: raises a SceneError where there is nothing of a name; None for all others.
    """

    dimension: Dimension
    about: str
    least: float = -math.inf
    most: float = math.inf
    open: bool = False
    known: Callable[[str], None] | None = None

    def check(self, value: Any) -> None:
        """See that a value is possible; it may lie outside of the range.

        Raises:
            SceneError: It is not.
        """
        dimension = self.dimension
        if isinstance(dimension, Choice) and not isinstance(dimension, Names):
            if not any(value == one and type(value) is type(one) for one in dimension.values):
                close = did_you_mean(value, map(str, dimension.values)) if isinstance(value, str) else ""
                raise SceneError(
                    f"{value!r:.60} is none of {', '.join(map(repr, dimension.values))}. {close}".rstrip()
                )
            return
        try:
            dimension.to_unit(value)
        except TuningError as error:
            raise SceneError(str(error)) from error
        if not isinstance(dimension, Number):
            return
        if dimension.integer and value != int(value):
            raise SceneError(f"{value!r} is no whole number.")
        if self.open:
            inside, ends = self.least < value < self.most, ", both excluded"
        else:
            inside, ends = self.least <= value <= self.most, ""
        if not inside:
            if math.isinf(self.most):
                law = f"above {self.least:g}" if self.open else f"of at least {self.least:g}"
            else:
                law = f"from {self.least:g} to {self.most:g}{ends}"
            raise SceneError(f"{value!r} is not possible: give a number {law}.")

    def plain(self, value: Any) -> Any:
        """Return a checked value as scenes hold it: 1 and 1.0 are one number, and so are 0.0 and -0.0.

        Example:
            >>> from similitude.tuning.space.dimensions import Linear
            >>> Setting(Linear(0.5, low=0, high=1), "a share").plain(1)
            1.0
        """
        if not isinstance(self.dimension, Number):
            return value
        return int(value) if self.dimension.integer else float(value) + 0.0


def dimensions_of(settings: Mapping[str, Setting]) -> dict[str, Dimension]:
    """Return the dimensions of settings by name."""
    return {name: setting.dimension for name, setting in settings.items()}
