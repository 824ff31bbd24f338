"""How right a model is by the values of one factor, and by those of two at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from similitude.core.plain import finite
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.factors import BINS, Bin, bins_of, factor_named, judged
from similitude.scenes.analysis.shares import Standing, standing_of


@dataclass(frozen=True)
class Level:
    """One value of a factor, or one bin of its numbers.

    Attributes:
        name: The value, or the ends of the bin.
        low: Least number in it; nan for names.
        high: Greatest number in it; nan for names.
        standing: How the model stands there.
    """

    name: str
    low: float
    high: float
    standing: Standing

    @property
    def middle(self) -> float:
        """Middle of its numbers; nan for names."""
        return (self.low + self.high) / 2

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return finite({"name": self.name, "low": self.low, "high": self.high, **self.standing.to_dict()})


@dataclass(frozen=True)
class FactorTable:
    """One factor.

    Attributes:
        factor: Its name.
        numeric: Whether its levels are numbers in order.
        levels: Its values, or bins of them.
    """

    factor: str
    numeric: bool
    levels: tuple[Level, ...]

    @property
    def worst(self) -> Level:
        """The level with the lowest accuracy; of equal ones that with the highest loss."""
        return min(
            self.levels,
            key=lambda one: (
                one.standing.accuracy.value,
                -one.standing.loss.value if one.standing.loss else 0.0,
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "factor": self.factor,
            "numeric": self.numeric,
            "levels": [level.to_dict() for level in self.levels],
        }


@dataclass(frozen=True)
class FactorMap:
    """Two factors at once.

    Attributes:
        across: Name of the factor of the columns.
        down: Name of the factor of the rows.
        columns: Names of its levels.
        lines: Names of the other's levels.
        cells: How the model stands, line by line; None where there is no scene.
    """

    across: str
    down: str
    columns: tuple[str, ...]
    lines: tuple[str, ...]
    cells: tuple[tuple[Standing | None, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "across": self.across,
            "down": self.down,
            "columns": list(self.columns),
            "lines": list(self.lines),
            "cells": [[None if cell is None else cell.to_dict() for cell in line] for line in self.cells],
        }


def by_factor(rows: Iterable[Row], name: str, *, bins: int = BINS) -> FactorTable:
    """Return accuracy and loss by the values of a factor.

    Args:
        rows: Rows of one model.
        name: Of the factor: "instance.setting", "object" or "environment".
        bins: Bins of equally many scenes, for a factor with more than ten different numbers.

    Raises:
        SceneError: There are no scores, rows are of several models, or the factor does not differ.

    Example:
        >>> rows = [Row("scenes", "mug", "m", x, {"scale.factor": x}, success=x == 1.0) for x in (0.0, 1.0, 1.0)]
        >>> [level.standing.accuracy.value for level in by_factor(rows, "scale.factor").levels]
        [0.0, 1.0]
    """
    kept = judged(rows)
    factor = factor_named(kept, name)
    levels = [
        Level(one.name, one.low, one.high, standing_of([kept[i] for i in one.places]))
        for one in bins_of(factor, bins)
    ]
    return FactorTable(name, factor.numeric, tuple(levels))


def factor_map(rows: Iterable[Row], across: str, down: str, *, bins: int = BINS) -> FactorMap:
    """Return accuracy and loss by the values of two factors.

    Raises:
        SceneError: As `by_factor`.
    """
    kept = judged(rows)
    columns, lines = (bins_of(factor_named(kept, name), bins) for name in (across, down))

    def cell(line: Bin, column: Bin) -> Standing | None:
        places = sorted(set(line.places) & set(column.places))
        return standing_of([kept[i] for i in places]) if places else None

    return FactorMap(
        across,
        down,
        tuple(one.name for one in columns),
        tuple(one.name for one in lines),
        tuple(tuple(cell(line, column) for column in columns) for line in lines),
    )
