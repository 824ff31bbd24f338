"""How the spectral norm of an optimizer's step grows with the shape of the tensor: the laws, and which one fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

TOLERANCE = 0.06
"""Largest relative deviation of a measured size from a law that fits: a few per cent, as rounding in bfloat16 and
the noise of a sign matrix of side 32 leave."""

_QUARTER = 0.05  # how near a free exponent must be to a multiple of 1/4 to be taken for a law


@dataclass(frozen=True)
class Point:
    """The size of a step at one shape.

    Attributes:
        fan_out: Rows of the matrix.
        fan_in: Columns of the matrix.
        size: Spectral norm of a step over its learning rate, and over the tensor's own root mean square where steps
            are relative to that.
    """

    fan_out: int
    fan_in: int
    size: float


@dataclass(frozen=True)
class ShapeLaw:
    """A law of the size of a step.

    Attributes:
        name: The law in words of `fan_out` (rows) and `fan_in` (columns), e.g. "sqrt(max(1, fan_out / fan_in))".
        squared: The square of the size, up to a constant.
    """

    name: str
    squared: Callable[[float, float], float]

    def ratio(self, base_shape: tuple[int, ...], shape: tuple[int, ...]) -> float:
        """Return the size at one shape of a matrix over that at another.

        Example:
            >>> WIDE.ratio((64, 64), (256, 256))
            2.0
        """
        # The square root comes last, so that powers of four stay exact.
        return (self.squared(*map(float, shape)) / self.squared(*map(float, base_shape))) ** 0.5


ENTRIES = ShapeLaw("sqrt(fan_in fan_out)", lambda rows, columns: rows * columns)
"""Every entry of a step has one size: gradients of one size per entry, and optimizers that normalize entries."""
CONSTANT = ShapeLaw("1", lambda rows, columns: 1.0)
TALL = ShapeLaw("sqrt(max(1, fan_out / fan_in))", lambda rows, columns: max(1.0, rows / columns))
WIDE = ShapeLaw("sqrt(max(fan_out, fan_in))", lambda rows, columns: max(rows, columns))
ASPECT = ShapeLaw("sqrt(fan_out / fan_in)", lambda rows, columns: rows / columns)
LAWS = (ENTRIES, CONSTANT, TALL, WIDE, ASPECT)


@dataclass(frozen=True)
class ShapeFit:
    """What the sizes of steps over shapes say.

    Attributes:
        fan_in: Exponent of the columns in the power law that fits best.
        fan_out: The same for the rows.
        law: The law that holds; None where none is within `TOLERANCE`.
        residual: Largest relative deviation from the law, or from the power law where there is none.
    """

    fan_in: float
    fan_out: float
    law: ShapeLaw | None
    residual: float


def fit_shapes(points: Sequence[Point]) -> ShapeFit:
    """Fit a power law to the sizes of steps, and tell which law they follow.

    The laws that optimizers are known to have come first; a power law stands in for them where its exponents are
    quarters.

    Args:
        points: Sizes at three shapes or more that are not all of one aspect.

    Example:
        >>> sides = [(a, b) for a in (32, 64) for b in (32, 64)]
        >>> fit = fit_shapes([Point(rows, columns, 0.2 * max(rows, columns) ** 0.5) for rows, columns in sides])
        >>> fit.law.name, round(fit.residual, 6)
        ('sqrt(max(fan_out, fan_in))', 0.0)
    """
    logs = np.log([point.size for point in points])
    sides = np.log([[point.fan_in, point.fan_out] for point in points])
    design = np.column_stack([np.ones(len(points)), sides])
    found = np.linalg.lstsq(design, logs, rcond=None)[0]
    fan_in, fan_out = float(found[1]), float(found[2])
    tried = [(_residual(law, points), law) for law in LAWS]
    residual, law = min(tried, key=lambda pair: pair[0])
    if residual > TOLERANCE:
        near = _power(round(4 * fan_in) / 4, round(4 * fan_out) / 4)
        off = max(abs(4 * side - round(4 * side)) / 4 for side in (fan_in, fan_out))
        residual, law = _residual(near, points), near
        if residual > TOLERANCE or off > _QUARTER:
            residual, law = math.expm1(float(np.abs(logs - design @ found).max())), None
    return ShapeFit(fan_in, fan_out, law, residual)


def _power(fan_in: float, fan_out: float) -> ShapeLaw:
    name = f"fan_in^{fan_in:g} fan_out^{fan_out:g}"
    return ShapeLaw(name, lambda rows, columns: columns ** (2 * fan_in) * rows ** (2 * fan_out))


def _residual(law: ShapeLaw, points: Sequence[Point]) -> float:
    """Return the largest relative deviation from a law, its constant being free."""
    logs = np.log([point.size for point in points])
    off = logs - 0.5 * np.log([law.squared(point.fan_out, point.fan_in) for point in points])
    return math.expm1(float(off.max() - off.min()) / 2)
