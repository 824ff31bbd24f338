"""Deep linear nets with a bottleneck: when it makes training faster, and when slower (paper 19, derived)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.given import number, whole


@dataclass(frozen=True)
class LinearSpeedUp:
    """How a bottleneck changes the training of a deep linear net. Made by `linear_speed_up`.

    Attributes:
        scale: s = |w*| / sqrt(d): size of the target over the root of the bottleneck's width.
        time: Time to the error that was asked for along the target.
        time_without: That of the net without a bottleneck.
        end_rate: Rate at which the error decays at the end, over that without a bottleneck; for large s it is
            2 sqrt(c_a c_b) s / (c_a + c_b).
        missed: Rate in directions of the input that a bottleneck narrower than the input does not see, over that without
            one: c_b / (c_a + c_b) times the median of chi^2_d / d, as long as the kernel has not moved. 1 where the
            bottleneck is at least as wide as the input.
    """

    scale: float
    time: float
    time_without: float
    end_rate: float
    missed: float

    @property
    def factor(self) -> float:
        """time_without / time: above 1 the bottleneck makes training faster."""
        return self.time_without / self.time


@cites(19, "the explanation by deep linear networks")
def linear_speed_up(
    norm: float,
    bottleneck: int,
    *,
    features: int = 1,
    upper: float = 1.0,
    lower: float = 1.0,
    remaining: float = 0.1,
) -> LinearSpeedUp:
    """Return how much faster a wide deep linear net learns through a bottleneck of d units.

    Infinitely wide linear nets above and below the bottleneck act as F = d^-1/2 a . B x, where gradient flow moves a with
    the rate c_a and B with c_b, the numbers of their layers. For white inputs and along the direction of the target w*,

        dw/dt = kappa (|w*| - w),   kappa^2 = (c_a + c_b)^2 + 4 c_a c_b w^2 / d,

    exactly for one feature in the mean, and for d well above the number of features. So the rate grows from c_a + c_b,
    that of the net without a bottleneck, by a factor that |w*| / sqrt(d) alone decides: targets of the order of 1 are not
    learned faster through a wide bottleneck. One that is narrower than the input, moreover, misses directions of it, and
    along these only a moves the output, until B has turned: with small targets the bottleneck makes training slower.

    Args:
        norm: |w*|, size of the linear target.
        bottleneck: d.
        features: Dimensions of the input, for `missed`.
        upper: c_a, layers above the bottleneck.
        lower: c_b, layers below it.
        remaining: Error along the target that ends training, relative, between 0 and 1.

    Raises:
        TheoryError: A number is out of range.

    Example:
        >>> round(linear_speed_up(1e-6, 4).factor, 6), round(linear_speed_up(200.0, 4).end_rate, 2)
        (1.0, 100.0)
        >>> round(linear_speed_up(1.0, 1, features=20).missed, 3)  # half of the median of chi^2_1
        0.227
    """
    size, d = number("norm", norm, above=True), whole("bottleneck", bottleneck)
    n0 = whole("features", features)
    c_a, c_b = number("upper", upper, above=True), number("lower", lower, above=True)
    if not 0 < remaining < 1:
        raise TheoryError(f"remaining={remaining}: pass a share of the error between 0 and 1, e.g. 0.1.")
    scale, slowest = size / math.sqrt(d), c_a + c_b
    gain = (
        2 * math.sqrt(c_a) * math.sqrt(c_b) / slowest * scale
    )  # kappa^2 = slowest^2 (1 + gain^2 (w / |w*|)^2)
    end_rate = math.hypot(1.0, gain)
    # The integral of 1 / (kappa (1 - w)) to w = 1 - remaining, in terms that are not negative.
    learned = gain * (1 - remaining)
    bend = gain / (1 + end_rate) * (learned / (1 + math.hypot(1.0, learned)))
    grown = math.log1p(-remaining) - math.log(remaining) + math.log(end_rate) + math.log1p(bend)
    time = float(np.logaddexp(0.0, grown)) / end_rate
    missed = c_b / slowest * float(chi2.median(d)) / d if d < n0 else 1.0
    return LinearSpeedUp(scale, time / slowest, -math.log(remaining) / slowest, end_rate, missed)
