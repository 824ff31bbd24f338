"""Windows of a run: which steps they hold, and what is no window."""

import re

import pytest

from similitude.core.errors import GridError
from similitude.studies.windows import FRACTIONS, Window, windows_of


def test_windows_are_fractions_of_the_steps_that_are_measured():
    assert windows_of(((0, 0), (0.5, 1)), 100, 10) == (Window(0, 0), Window(50, 100))
    assert windows_of(((0.5, 1),), 105, 10) == (Window(50, 100),)  # the last measured step
    assert windows_of(((0, 0), (0.01, 0.2)), 100, 10)[1] == Window(10, 20)  # not the start again
    assert 50 in Window(50, 60)
    assert 61 not in Window(50, 60)


def test_windows_that_meet_share_no_step():
    assert windows_of(((0, 0.5), (0.5, 1)), 100, 10) == (Window(0, 40), Window(50, 100))
    assert windows_of(((0, 0), (0, 1)), 100, 10) == (Window(0, 0), Window(10, 100))
    assert windows_of(((0, 0.6), (0.4, 1)), 100, 10) == (Window(0, 60), Window(40, 100))  # as asked


def test_the_fewest_steps_that_are_named_are_enough():
    with pytest.raises(GridError, match="too few for the 4 windows") as error:
        windows_of(FRACTIONS, 20, 10)
    assert "20 steps measured every 10 are 3 measurements" in str(error.value)
    (enough,) = re.findall(r"Train for (\d+) steps or more", str(error.value))
    assert len(windows_of(FRACTIONS, int(enough), 10)) == 4
    with pytest.raises(GridError):
        windows_of(FRACTIONS, int(enough) - 10, 10)


@pytest.mark.parametrize("steps", [40, 60, 100, 300, 1000])
def test_the_default_windows_fit_runs_of_every_length(steps):
    windows = windows_of(FRACTIONS, steps, 10)
    assert windows[0] == Window(0, 0)
    assert windows[-1].last == steps // 10 * 10


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((), "no window"),
        (((0.5, 0.2),), "0.5-0.2 is no part of a run"),
        (((0, 1.5),), "0-1.5 is no part"),
        (((0.5, 1), (0, 0)), "not in the order of time"),
        (
            ((0.1, 0.12), (0.13, 0.14)),
            r"100 steps measured every 10 are 11 measurements.*2 windows.*Train for \d+ steps",
        ),
    ],
)
def test_what_is_no_window_is_refused(fractions, message):
    with pytest.raises(GridError, match=message):
        windows_of(fractions, 100, 10)
