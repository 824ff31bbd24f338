import doctest
import math

import pytest

from similitude.report import numbers
from similitude.report.numbers import factor, octaves, quantity, rate, rate_interval


def test_the_docstrings_are_true():
    assert doctest.testmod(numbers).failed == 0


@pytest.mark.parametrize("exponent", [-20.0, -7.34, -0.04, 0.0, 0.04, 3.0])
def test_a_rate_reads_back(exponent):
    text = rate(2**exponent)
    power, decimal = text.removeprefix("2^").rstrip(")").split(" (")
    assert abs(float(power) - exponent) <= 0.0501
    assert math.isclose(float(decimal), 2**exponent, rel_tol=0.051)
    assert "-0.0" not in text.split(" ")[0]


def test_an_interval_never_shows_two_equal_ends_for_different_numbers():
    assert rate_interval((2**-7.31, 2**-7.29)) == "[2^-7.31, 2^-7.29]"
    assert rate_interval(None) == "none"


def test_nothing_is_minus_zero():
    assert octaves(-0.001, (-0.004, 0.004)) == "+0.00 [+0.00, +0.00]"
    assert rate_interval((2**-0.04, 2**0.3)) == "[2^0.0, 2^0.3]"


@pytest.mark.parametrize(
    ("value", "text"), [(1e-5, "1.000e-05"), (-0.5, "-0.5000"), (0.0, "0.000"), (1234.5, "1234")]
)
def test_losses_of_any_size(value, text):
    assert quantity(value) == text


def test_a_factor_is_exact_where_it_is_short():
    for n in (1, 2, 3, 16, 1024):
        assert factor(float(n)) == str(n)
        assert factor(1 / n) == ("1" if n == 1 else f"1/{n}")
    assert factor(0.0) == "0"
    assert factor(0.9876) == "0.988"
