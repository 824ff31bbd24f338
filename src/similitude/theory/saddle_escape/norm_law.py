"""How fast the weights grow along an escape direction: a power law in time that ends in finite time."""

from __future__ import annotations

import math

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.given import number, whole


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
        return start * math.exp(min(speed * time, 700.0))
    left = start ** (2 - depth) - (depth - 2) * speed * time
    # rounding must not let weights shrink
    return max(left ** (-1 / (depth - 2)), start) if left > 0 else math.inf


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
    if depth == 2:
        return math.log(end / start) / speed
    power = 2 - depth
    return (end**power - start**power) / (power * speed)


def _given(time: float, start: float, speed: float, depth: int) -> tuple[float, float, float]:
    whole("depth", depth)
    return (
        number("time", time),
        number("start", start, above=True),
        number("speed", speed, above=True),
    )
