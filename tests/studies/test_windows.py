"""Windows of a run: which steps they hold, and what is no window."""

import pytest

from similitude.core.errors import GridError
from similitude.studies.windows import FRACTIONS, Window, windows_of


def test_windows_are_fractions_of_the_steps_that_are_measured():
    assert windows_of(((0, 0), (0.5, 1)), 100, 10) == (Window(0, 0), Window(50, 100))
    assert windows_of(((0.5, 1),), 105, 10) == (Window(50, 100),)  # the last measured step
    assert windows_of(((0, 0), (0.01, 0.2)), 100, 10)[1] == Window(10, 20)  # not the start again
    assert 50 in Window(50, 60)
    assert 61 not in Window(50, 60)


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
        (((0.5, 1), (0, 0)), "step 0 does not come after steps 50-100"),
        (((0.1, 0.12), (0.13, 0.14)), "measure more often"),
    ],
)
def test_what_is_no_window_is_refused(fractions, message):
    with pytest.raises(GridError, match=message):
        windows_of(fractions, 100, 10)
