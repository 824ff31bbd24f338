"""What laws are fitted to: axes and their coordinates, what cannot be told, resamples."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_cases import history

from similitude.core.errors import TuningError
from similitude.tuning.laws.axes import axis_of
from similitude.tuning.laws.data import STRATUM, law_data, resamples
from similitude.tuning.space.dimensions import Choice, Linear, Log, Logit
from similitude.tuning.space.space import Space


@given(st.floats(1e-6, 1e6))
def test_logarithmic_axes_go_there_and_back(value):
    axis = axis_of("x", Log(1.0, scale=2.0))
    assert axis.coordinate(value) == pytest.approx(math.log10(value))
    assert axis.value(axis.coordinate(value)) == pytest.approx(value)
    assert axis.step == 2.0


def test_axes_by_kind():
    assert axis_of("x", Choice("a", "b")) is None
    assert axis_of("x", Choice("small", "large", ordered=True)).transform == "place"
    assert axis_of("x", Choice(16, 32, ordered=True)).coordinate(32) == pytest.approx(math.log10(32))
    assert axis_of("x", Linear(4, low=1, high=32, integer=True, role="scale")).is_power
    linear = axis_of("x", Linear(4.0, scale=2.0))
    assert (linear.transform, linear.step, linear.coordinate(3.0)) == ("value", 2.0, 3.0)
    logit = axis_of("x", Logit(0.9))
    assert logit.coordinate(0.99) == pytest.approx(math.log10(99))
    assert logit.value(2.0) == pytest.approx(100 / 101)


def test_predicted_values_are_those_that_the_dimension_can_have():
    assert axis_of("x", Log(64, integer=True, multiple_of=64, high=1024)).value(2.5) == 320
    assert axis_of("x", Log(64, integer=True, multiple_of=64, high=1024)).value(9.0) == 1024
    assert axis_of("x", Choice(16, 32, 64, ordered=True)).value(math.log10(50)) == 64
    assert math.isfinite(axis_of("x", Log(1.0)).value(5000.0))
    assert axis_of("x", Logit(0.5)).value(5000.0) < 1


def rows(n, *, cost=lambda i: 10 ** (i / 10), spread=1.0):
    rng = np.random.default_rng(0)
    return [({"x": 10 ** (spread * rng.standard_normal())}, 1 + rng.random(), cost(i)) for i in range(n)]


def test_too_few_trials_are_an_error_that_says_how_many_are_needed():
    with pytest.raises(TuningError, match=r"14 finished trials .* at least 15\. Run 1 more"):
        law_data(history(Space(x=Log(1.0)), rows(14)))


def test_trials_of_one_cost_are_an_error():
    with pytest.raises(TuningError, match="All 20 trials cost the same"):
        law_data(history(Space(x=Log(1.0)), rows(20, cost=lambda i: 5.0)))


def test_nothing_that_varies_is_an_error():
    with pytest.raises(TuningError, match="None of x varies"):
        law_data(history(Space(x=Log(1.0)), rows(20, spread=0.01)))


def test_what_is_not_identified_is_said():
    space = Space(x=Log(1.0), y=Log(1.0))
    some = [(v | {"y": 1.001 if i % 2 else 1.0}, y, 1 + i / 10) for i, (v, y, _) in enumerate(rows(30))]
    data = law_data(history(space, some))
    assert [axis.name for axis in data.axes] == ["x"]
    assert data.unvaried == ("y",)
    assert any("y hardly varied" in note for note in data.notes)
    assert any("span 0.59 decades" in note for note in data.notes)


def test_maximized_values_have_their_sign_turned():
    some = rows(20)
    up = law_data(history(Space(x=Log(1.0)), [(v, -y, c) for v, y, c in some], minimize=False))
    down = law_data(history(Space(x=Log(1.0)), some))
    np.testing.assert_array_equal(up.values, down.values)
    assert down.floored
    assert not up.floored


def test_resamples_keep_every_stratum_of_cost_as_large_as_it_was():
    data = law_data(history(Space(x=Log(1.0)), rows(40)))
    counts = resamples(data, 50, seed=0)
    assert counts.shape == (51, 40)
    assert (counts[0] == 1).all()
    blocks = counts.reshape(51, 40 // STRATUM, STRATUM)  # rows are in order of cost
    np.testing.assert_array_equal(blocks.sum(2), STRATUM)
    assert len({tuple(row) for row in counts}) == 51
    np.testing.assert_array_equal(counts, resamples(data, 50, seed=0))
    assert (counts != resamples(data, 50, seed=1)).any()


def test_conditional_dimensions_are_there_where_they_are():
    space = Space(
        optimizer=Choice("adam", "sgd"), lr=Log(1e-3), momentum=Logit(0.9, when={"optimizer": "sgd"})
    )
    rng = np.random.default_rng(0)
    some = []
    for i in range(30):
        values = space.values_at(np.array([i % 2, *rng.standard_normal(2)]))
        some.append((values, rng.random(), 10 ** (i / 10)))
    data = law_data(history(space, some))
    assert [axis.name for axis in data.axes] == ["lr", "momentum"]
    np.testing.assert_array_equal(data.active[:, 1], np.arange(30) % 2 == 1)
    assert data.choices == (("optimizer", ("adam", "sgd")),)
    np.testing.assert_array_equal(data.levels[:, 0], np.arange(30) % 2)
