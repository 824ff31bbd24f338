"""Numbers as text, the same in the terminal, in figures and in HTML; plain ASCII for any terminal."""

from __future__ import annotations

import math


def rate(lr: float | None) -> str:
    """Write a learning rate as a power of two and a decimal.

    Args:
        lr: A positive learning rate, or None where there is no optimum.

    Example:
        >>> rate(0.0063), rate(None)
        ('2^-7.3 (0.0063)', 'none')
    """
    return "none" if lr is None else f"2^{_octave(lr, 1)} ({lr:.2g})"


def rate_interval(interval: tuple[float, float] | None) -> str:
    """Write an interval of learning rates as powers of two.

    A second decimal is shown where one would make both ends look the same.

    Example:
        >>> rate_interval((2**-7.5, 2**-7)), rate_interval((2**-7.02, 2**-6.99))
        ('[2^-7.5, 2^-7.0]', '[2^-7.02, 2^-6.99]')
    """
    if interval is None:
        return "none"
    low, high = interval
    decimals = 1 if _octave(low, 1) != _octave(high, 1) else 2
    return f"[2^{_octave(low, decimals)}, 2^{_octave(high, decimals)}]"


def octaves(value: float | None, interval: tuple[float, float] | None = None) -> str:
    """Write a shift in octaves per doubling of the size, signed, with its interval where there is one.

    Example:
        >>> octaves(-1.0, (-1.08, -0.93)), octaves(0.001), octaves(None)
        ('-1.00 [-1.08, -0.93]', '+0.00', 'none')
    """
    if value is None:
        return "none"
    text = _signed(value)
    return text if interval is None else f"{text} [{_signed(interval[0])}, {_signed(interval[1])}]"


def quantity(value: float | None) -> str:
    """Write a loss or any measured value with four significant digits.

    Example:
        >>> quantity(0.12345), quantity(2.0), quantity(float("nan")), quantity(None)
        ('0.1235', '2.000', 'diverged', 'none')
    """
    if value is None:
        return "none"
    if not math.isfinite(value):
        return "diverged"
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3e}"
    return f"{value:#.4g}".rstrip(".")


def measured(value: float | None) -> str:
    """Write any measured value with four significant digits; "none" where there is no number.

    Example:
        >>> measured(0.12345), measured(float("nan"))
        ('0.1235', 'none')
    """
    return "none" if value is None or math.isnan(value) else f"{value:.4g}"


def interval(bounds: tuple[float, float] | None) -> str:
    """Write an interval of any measured value; empty where there is none.

    Example:
        >>> interval((0.5, 1.25)), interval(None)
        ('[0.5, 1.25]', '')
    """
    return "" if bounds is None else f"[{bounds[0]:.4g}, {bounds[1]:.4g}]"


def factor(value: float) -> str:
    """Write a factor of a plan: a whole number, one over a whole number, or three significant digits.

    Example:
        >>> factor(1.0), factor(0.25), factor(4.0), factor(0.5**0.5)
        ('1', '1/4', '4', '0.707')
    """
    for text, number in (("{}", value), ("1/{}", 1 / value if value else 0.0)):
        if 1 <= number < 1e5 and math.isclose(number, round(number), rel_tol=1e-9):
            return text.format(round(number))
    return f"{value:.3g}"


def shape(sides: tuple[int, ...]) -> str:
    """Write a shape.

    Example:
        >>> shape((64, 10)), shape(())
        ('64x10', 'scalar')
    """
    return "x".join(map(str, sides)) or "scalar"


def duration(seconds: float) -> str:
    """Write a wall-clock time.

    Example:
        >>> duration(12.34), duration(754)
        ('12.3 s', '12 min 34 s')
    """
    return f"{seconds:.1f} s" if seconds < 120 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _octave(lr: float, decimals: int) -> str:
    # Adding 0.0 turns a rounded -0.0 into 0.0.
    return f"{round(math.log2(lr), decimals) + 0.0:.{decimals}f}"


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}"
