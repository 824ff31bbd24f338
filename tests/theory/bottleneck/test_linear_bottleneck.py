"""Deep linear nets through a bottleneck: times of trained layers on one curve, and where they are slower."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import quad

from similitude.core.errors import TheoryError
from similitude.theory.bottleneck.linear import linear_speed_up


def time_along_the_target(norm, d, features, *, upper=1.0, lower=1.0, seed=0, remaining=0.1):
    """Gradient flow on a and B themselves, in small steps, for white inputs."""
    draw = np.random.default_rng(seed)
    a, B = draw.standard_normal(d), draw.standard_normal((d, features))
    target = np.zeros(features)
    target[0] = norm
    dt, t = 0.004 / max(1.0, norm / math.sqrt(d)), 0.0
    while True:
        e = B.T @ a / math.sqrt(d) - target
        if abs(e[0]) < remaining * norm:
            return t
        a, B = a - dt * upper * B @ e / math.sqrt(d), B - dt * lower * np.outer(a, e) / math.sqrt(d)
        t += dt


@pytest.mark.parametrize(
    ("norm", "d", "rates"),
    [(16.0, 256, (1, 1)), (64.0, 256, (1, 1)), (128.0, 256, (1, 3)), (30.0, 100, (2, 1))],
)
def test_layers_take_the_predicted_time(norm, d, rates):
    found = [time_along_the_target(norm, d, 3, upper=rates[0], lower=rates[1], seed=s) for s in range(8)]
    expected = linear_speed_up(norm, d, upper=rates[0], lower=rates[1])
    assert np.median(found) == pytest.approx(expected.time, rel=0.05)


def test_small_targets_are_slower_through_a_narrow_bottleneck():
    """Where the kernel stays, the target of a direction that the one unit does not see is learned at the rate a^2."""
    # |w*| small, and B = 0 along it: the slowest direction there is.
    draw = np.random.default_rng(0)
    rates = [draw.standard_normal(4) for _ in range(20_000)]
    median = np.median([float(a @ a) / 4 for a in rates])
    assert linear_speed_up(0.01, 4, features=20).missed == pytest.approx(median / 2, rel=0.02)
    assert linear_speed_up(0.01, 4, features=4).missed == 1


@pytest.mark.parametrize("norm", [0.3, 5.0, 1e4])
@pytest.mark.parametrize("remaining", [1e-12, 0.1, 0.999999])
def test_the_time_is_the_integral_of_the_rate(norm, remaining):
    def speed(error: float) -> float:
        return math.sqrt((2 + 3) ** 2 + 4 * 2 * 3 * (norm - error) ** 2 / 7) * error

    ends = norm * np.geomspace(remaining, 1.0, 30)
    parts = [quad(lambda error: 1 / speed(error), a, b, epsrel=1e-11)[0] for a, b in itertools.pairwise(ends)]
    found = linear_speed_up(norm, 7, upper=2, lower=3, remaining=remaining)
    assert found.time == pytest.approx(sum(parts), rel=1e-8)
    assert found.end_rate == pytest.approx(math.sqrt(25 + 24 * norm**2 / 7) / 5, rel=1e-12)


def test_extreme_targets():
    huge = linear_speed_up(1e300, 1, remaining=1e-200)
    assert huge.time == pytest.approx((math.log(1e200) + math.log(2e300)) / 2e300, rel=1e-9)
    assert linear_speed_up(1e-300, 10**9).factor == pytest.approx(1, abs=1e-12)


def test_limits():
    small, large = linear_speed_up(1e-9, 7), linear_speed_up(1e6, 1)
    assert small.factor == pytest.approx(1, abs=1e-12)
    assert small.time_without == pytest.approx(math.log(10) / 2)
    assert large.end_rate == pytest.approx(1e6, rel=1e-9)
    assert linear_speed_up(8.0, 64).scale == 1
    factors = [linear_speed_up(norm, 16).factor for norm in (1.0, 4.0, 16.0, 64.0)]
    assert factors == sorted(factors)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"norm": 0.0}, "norm=0: pass a finite number above 0"),
        ({"norm": math.nan}, "norm=nan"),
        ({"bottleneck": 0}, "bottleneck=0"),
        ({"features": 0}, "features=0"),
        ({"upper": -1.0}, "upper=-1"),
        ({"lower": 0.0}, "lower=0"),
        ({"remaining": 1.0}, "remaining=1.0: pass a share"),
    ],
)
def test_errors(given, words):
    with pytest.raises(TheoryError, match=words):
        linear_speed_up(**{"norm": 1.0, "bottleneck": 2} | given)


@pytest.mark.filterwarnings("error")
def test_three_thousand_random_cases():
    draw = np.random.default_rng(1)
    for _ in range(3000):
        norm, upper, lower = 10.0 ** draw.uniform([-6, -3, -3], [6, 3, 3])
        d, remaining = int(10 ** draw.uniform(0, 6)), 10.0 ** draw.uniform(-9, -0.001)
        found = linear_speed_up(
            norm, d, features=int(draw.integers(1, 50)), upper=upper, lower=lower, remaining=remaining
        )
        assert found.factor >= 1 - 1e-9
        assert found.factor <= found.end_rate * (1 + 1e-9)  # the rate only grows on the way
        assert 0 < found.missed <= 1
