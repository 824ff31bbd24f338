"""Whether kernels of wide copies have a limit: copies of two widths must agree, and those of one width come together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from similitude.core.errors import KernelError
from similitude.kernels.grams import NAMES
from similitude.kernels.monte_carlo_copies import Sums, WideCopies

_SIGMAS = 4.0
_APART = 0.35  # difference of the kernels of two widths that no 1 / width law of usable widths has
_SPREAD = 0.05  # relative spread of single copies below which a kernel is one number for most purposes
_DOUBTFUL, _SURE = 1.0, 3.5  # standard errors of what is left of it at infinite width
_UNKNOWN = 0.6  # relative standard error at which single copies outweigh all others: they have no mean
_MOST = 256  # copies that decide where it is in doubt
_WORDS = {"nngp": "NNGP", "ntk": "tangent kernel"}


@dataclass(frozen=True)
class Limit:
    """What copies of two widths say of one kernel on a few samples.

    Attributes:
        error: Largest standard error of an entry over the root of its two diagonal entries.
        bias: Size of the bias at the wider width, relative to the kernel; positive where it is too large.
        bias_error: Its standard error.
    """

    error: float
    bias: float
    bias_error: float

    def __str__(self) -> str:
        return f"standard error {self.error:.1%}, off by {self.bias:+.1%} ({self.bias_error:.1%}) for its finite width"


def limits(narrow: WideCopies, wide: WideCopies, x: Any, copies: int) -> dict[str, Limit]:
    """Compare the kernels of copies of two widths.

    Args:
        narrow: Copies of the smaller width.
        wide: Of the larger.
        x: A few inputs.
        copies: Copies of each width.

    Returns:
        By kernel.

    Raises:
        KernelError: A kernel grows or vanishes with the width, is not finite, or differs from copy to copy however wide
            they are.
    """
    found: dict[str, Limit] = {}
    for name in NAMES:
        one, two = (_average(part, name, x, copies) for part in (narrow, wide))
        if not bool(one.mean.any()) and not bool(two.mean.any()):
            continue
        found[name] = _limit(name, one, two, (narrow.width, wide.width))
        if name == "ntk":
            _comes_together(narrow, wide, x, copies, one, two)
    return found


def _average(part: WideCopies, name: str, x: Any, copies: int) -> Sums:
    return part.nngp(x, None, copies) if name == "nngp" else part.ntk(x, None, copies)


def _limit(name: str, one: Sums, two: Sums, widths: tuple[int, int]) -> Limit:
    n, m = widths
    kernel = _WORDS[name]
    sizes = []
    for part, width in ((one, n), (two, m)):
        size = float(part.mean.norm())
        if not math.isfinite(size):
            raise KernelError(
                f"no limit: the {kernel} of copies of width {width} is not finite. Look for values that overflow."
            )
        sizes.append(max(size, 1e-300))
    low, high = min(sizes), max(sizes)
    error = math.hypot(*(float(part.error.norm()) for part in (one, two)))
    gap = float((two.mean - one.mean).norm())
    if gap > _APART * high and gap > _SIGMAS * error:
        power = math.log(sizes[1] / sizes[0]) / math.log(m / n)
        raise KernelError(
            f"no limit: the {kernel} of copies of widths {n} and {m} differs by {gap / high:.0%} of the larger one "
            f"(standard error {error / high:.1%}), and goes as width^{power:.2f} between them. What grows or vanishes "
            "with the width has no kernel: divide what a sum over neurons gives by a power of their number, untie what "
            "is an embedding and a readout, or, if it settles at larger widths, pass wider copy_widths=."
        )
    if _relative(two) > _UNKNOWN:
        raise KernelError(
            f"no limit: the {kernel} of copies of width {m} has a standard error of {_relative(two):.0%}, since a few "
            "copies outweigh all others. Look for a division by random numbers that may be near 0, as the norm of a "
            "matrix along directions that were found for another one (spectral_norm in eval mode), or pass more copies=."
        )
    share = n / (m - n)
    signed = math.copysign(gap, float((one.mean.diagonal() - two.mean.diagonal()).sum()))
    return Limit(_relative(two), share * signed / low, share * error / low)


def _comes_together(narrow: WideCopies, wide: WideCopies, x: Any, copies: int, one: Sums, two: Sums) -> None:
    """Raise where the tangent kernels of single copies differ however wide they are.

    The variance of their logarithm, which a few large ones do not sway, is a / width + b; where b may be above zero, more
    copies decide.
    """
    n, m = narrow.width, wide.width
    for sigmas in (_DOUBTFUL, _SURE):
        if sigmas == _SURE:
            one, two = (part.ntk(x, None, max(_MOST, 2 * copies)) for part in (narrow, wide))
        (v, v_error), (w, w_error) = _variance(one), _variance(two)
        rest = (m * w - n * v) / (m - n)
        error = math.hypot(m * w_error, n * v_error) / (m - n)
        if rest < _SPREAD**2 or rest < sigmas * error:
            return
    raise KernelError(
        f"no limit: tangent kernels of single copies spread by {math.sqrt(v):.1%} about their mean at width {n}, and by "
        f"{math.sqrt(w):.1%} at width {m}, of which {math.sqrt(rest):.1%} stays at infinite width. The kernel is random "
        "there, as behind a bottleneck or attention of a fixed number of heads and logits of 1/sqrt(d): let these "
        "numbers grow with the width, or take logits of 1/d. If the spread falls, but slower than the root of the width, "
        "as with gradients through norms of few numbers, pass wider copy_widths=."
    )


def _relative(found: Sums) -> float:
    size = found.mean.diagonal().abs().sqrt()
    return float((found.error / (size[:, None] * size).clamp_min(1e-300)).max())


def _variance(found: Sums) -> tuple[float, float]:
    """Return the variance of the logarithm of the diagonal of single copies, and its standard error."""
    pairs = found.apart.mean(1)
    return float(pairs.mean()), float(pairs.std()) / math.sqrt(len(pairs))
