"""How fast the weights grow along an escape direction: a power law in time that ends in finite time."""

from __future__ import annotations

import math
import sys

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.given import number, whole

_LARGEST = math.log(sys.float_info.max)


@cites(5, "Section 2: gradient flow along an escape direction")
def escape_scale(time: float, start: float, *, speed: float, depth: int) -> float:
    """Return c of the weights c rho that gradient flow near the origin has reached along an escape direction rho.

    With |rho| = sqrt(depth), that is layers of norm 1, dc/dt = speed c^(depth - 1). The paper writes the law for
    |theta| = sqrt(depth) c.

    Args:
        time: Of gradient flow since the start, of the loss that the speed belongs to.
        start: c at the start, above 0.
        speed: Of the direction.
        depth: Number of layers.

    Returns:
        c, infinite from the time on where the leading order blows up (more than 2 layers): the loss has left the
        plateau before.

    Raises:
        TheoryError: A number is out of range.

    Example:
        Two layers grow exponentially, deeper ones blow up.

        >>> round(escape_scale(2.0, 0.1, speed=0.5, depth=2), 6) == round(0.1 * math.e, 6)
        True
        >>> escape_scale(20.0, 0.1, speed=0.5, depth=3)
        inf
    """
    time, start, speed = _given(time, start, speed, depth)
    if depth == 1:
        return start + speed * time
    if depth == 2:
        return _exp(math.log(start) + speed * time)
    # of c^(2 - L) alone small starts of deep networks would overflow
    spent = (depth - 2) * speed * time * _exp((depth - 2) * math.log(start))
    # rounding must not let weights shrink
    return max(start * (1 - spent) ** (-1 / (depth - 2)), start) if spent < 1 else math.inf


@cites(5, "Section 2: time of escape")
def escape_time(start: float, *, speed: float, depth: int, end: float = 1.0) -> float:
    """Return the time in which gradient flow along an escape direction grows from one scale of the weights to another.

    Args:
        start: c at the start, above 0: see `escape_scale`.
        speed: Of the direction.
        depth: Number of layers.
        end: c at the end, perhaps infinite.

    Raises:
        TheoryError: A number is out of range, or the end lies below the start.

    Example:
        >>> round(escape_time(0.01, speed=0.5, depth=3, end=math.inf), 9)
        200.0
    """
    _, start, speed = _given(0.0, start, speed, depth)
    if not end >= start:
        raise TheoryError(f"end={end} and start={start}: weights grow. Pass an end of at least the start.")
    grown = math.log(end) - math.log(start) if end < math.inf else math.inf
    if depth == 2:
        return grown / speed
    if depth == 1:
        return (end - start) / speed
    return -math.expm1((2 - depth) * grown) * _exp((2 - depth) * math.log(start)) / ((depth - 2) * speed)


def _exp(power: float) -> float:
    """Return the exponential, infinite where floats end."""
    return math.exp(power) if power < _LARGEST else math.inf


def _given(time: float, start: float, speed: float, depth: int) -> tuple[float, float, float]:
    whole("depth", depth)
    return (
        number("time", time),
        number("start", start, above=True),
        number("speed", speed, above=True),
    )
