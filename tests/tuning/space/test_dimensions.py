"""Dimensions: units and back, bounds, whole numbers, choices, Optuna's distributions, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

import similitude as sim
from similitude.core.errors import TuningError
from similitude.tuning.space.dimensions import dimension_from_dict

UNITS = st.floats(-6, 6)
DIMENSIONS = [
    sim.Log(3e-3),
    sim.Log(3e-3, low=1e-5, high=1.0, role="transfer"),
    sim.Log(256, integer=True, role="scale"),
    sim.Log(256, low=64, high=4096, integer=True, multiple_of=64),
    sim.Logit(0.1),
    sim.Logit(0.95, low=0.5, high=0.9999),
    sim.Linear(2, low=1, high=10, integer=True),
    sim.Linear(-3.5),
    sim.Choice("relu", "gelu", "silu", center="gelu"),
    sim.Choice(16, 32, 64, 128, ordered=True, center=32, role="scale"),
]


@pytest.mark.parametrize("dim", DIMENSIONS, ids=str)
@given(unit=UNITS)
def test_a_value_is_admissible_and_its_unit_gives_it_again(dim, unit):
    value = dim.from_unit(unit)
    again = dim.from_unit(dim.to_unit(value))
    assert again == pytest.approx(value, rel=1e-9) if isinstance(value, float) else again == value
    distribution = dim.distribution()
    assert distribution._contains(distribution.to_internal_repr(value))


@pytest.mark.parametrize("dim", DIMENSIONS, ids=str)
def test_the_search_begins_at_zero(dim):
    assert dim.to_unit(dim.first) == 0
    assert dim.from_unit(0.0) == dim.first


@pytest.mark.parametrize("dim", DIMENSIONS, ids=str)
def test_a_dimension_survives_json(dim):
    assert dimension_from_dict(json.loads(json.dumps(dim.to_dict()))) == dim


def test_units_are_decades_tenfold_odds_and_thirds_of_a_range():
    assert sim.Log(1e-3).to_unit(1e-1) == pytest.approx(2)
    assert sim.Logit(0.5).to_unit(10 / 11) == pytest.approx(1)
    assert sim.Linear(2, low=1, high=10).to_unit(5) == pytest.approx(1)
    assert sim.Log(1e-3, scale=2.0).to_unit(1e-1) == pytest.approx(1)


@given(factor=st.floats(1e-20, 1e20), unit=UNITS)
def test_a_change_of_units_moves_nothing(factor, unit):
    plain, scaled = (
        sim.Log(3e-3, low=1e-6, high=1e3),
        sim.Log(3e-3 * factor, low=1e-6 * factor, high=1e3 * factor),
    )
    assert scaled.from_unit(unit) == pytest.approx(factor * plain.from_unit(unit), rel=1e-12)
    assert scaled.bounds == pytest.approx(plain.bounds)


def test_whole_numbers_keep_to_multiples_within_the_bounds():
    dim = sim.Log(256, low=100, high=1000, integer=True, multiple_of=64)
    values = {dim.from_unit(u / 50) for u in range(-200, 200)}
    assert min(values) == 128
    assert max(values) == 960
    assert all(v % 64 == 0 and isinstance(v, int) for v in values)


def test_whole_numbers_without_bounds_stay_positive():
    assert sim.Log(2, integer=True).from_unit(-50) == 1


@pytest.mark.parametrize(
    ("dim", "unit", "reach"),
    [
        (sim.Log(0.1), 0.0, 0.0),
        (sim.Linear(5, low=1, high=10, integer=True, scale=1.0), 0.0, 1.0),
        (sim.Linear(5, low=1, high=10, integer=True, scale=4.0), 0.0, 0.25),
        (sim.Log(1, integer=True), 0.0, math.log10(2)),
        (sim.Linear(5, low=5, high=5, integer=True), 0.0, 0.0),
        (sim.Choice(1, 2, 3, 4, 5, 6, 7, ordered=True), 0.0, 0.5),
    ],
)
def test_the_next_value_is_as_far_as_it_is(dim, unit, reach):
    assert dim.reach(np.array([unit])) == pytest.approx(reach)


def test_optuna_knows_them_with_finite_bounds():
    assert isinstance(sim.Log(1e-3).distribution(), FloatDistribution)
    assert sim.Log(1e-3).distribution().log
    for dim in (sim.Log(1e-30), sim.Log(1e30), sim.Linear(7.0), sim.Logit(1e-6)):
        low, high = dim.distribution().low, dim.distribution().high
        assert math.isfinite(low)
        assert math.isfinite(high)
        assert low < dim.center < high
    assert isinstance(sim.Log(8, integer=True).distribution(), IntDistribution)
    assert sim.Choice(True, 2, None).distribution() == CategoricalDistribution((True, 2, None))


def test_numbers_of_numpy_are_numbers():
    assert sim.Log(np.int64(256), low=np.float32(8), integer=True) == sim.Log(256, low=8.0, integer=True)
    assert type(sim.Log(np.int64(256), integer=True).to_dict()["center"]) is int
    assert sim.Log(8, integer=True, multiple_of=np.int64(8)) == sim.Log(8, integer=True, multiple_of=8)
    assert sim.Choice(np.int64(16), np.float64(0.5)) == sim.Choice(16, 0.5)
    assert sim.Log(1.0).to_unit(np.int64(100)) == pytest.approx(2)


def test_centers_beyond_the_far_bounds_lie_within_their_own():
    for center in (5e-324, 1e-305, 1e308):
        low, high = sim.Log(center).distribution().low, sim.Log(center).distribution().high
        assert low <= center <= high


def test_a_list_of_values_is_a_condition_as_a_tuple_is():
    assert sim.Log(1.0, when={"o": ["sgd", "lion"]}) == sim.Log(1.0, when={"o": ("sgd", "lion")})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sim.Log(0.0), "center=0 must lie between 0 and inf"),
        (lambda: sim.Log(-1.0), "center=-1"),
        (lambda: sim.Log(float("nan")), "no finite number"),
        (lambda: sim.Log(True), "no finite number"),
        (lambda: sim.Log(1.0, low=0.0), "low=0 must lie between 0 and inf, both excluded; leave low out"),
        (lambda: sim.Log(1.0, low=2.0), "the center 1 lies outside the bounds 2 to inf"),
        (lambda: sim.Logit(1.0), "center=1 must lie between 0 and 1"),
        (lambda: sim.Logit(0.5, integer=True), "no whole number between 0 and 1"),
        (lambda: sim.Linear(0.0), "the center is 0"),
        (lambda: sim.Linear(1.0, scale=0.0), "scale=0 must be above 0"),
        (lambda: sim.Log(5.0, multiple_of=2), "multiple_of=2 is for whole numbers"),
        (lambda: sim.Log(70, low=65, high=127, integer=True, multiple_of=64), "no multiple of 64"),
        (lambda: sim.Log(1.0, role="fixed"), "role='fixed': the roles are"),
        (lambda: sim.Log(1.0, when="sgd"), "say when the dimension is there"),
        (lambda: sim.Choice(), "at least one value"),
        (lambda: sim.Choice("a", "a"), "not all different"),
        (lambda: sim.Choice(0, False), "are one to Python and Optuna"),
        (lambda: sim.Choice(1, 1.0), "are one to Python and Optuna"),
        (lambda: sim.Choice(float("nan"), 1.0), "have a nan"),
        (lambda: dimension_from_dict({"kind": "choice", "values": "relu"}), "values='relu' is no list"),
        (lambda: sim.Log(256, integer=True, multiple_of=2.5), "multiple_of=2.5 is for whole numbers"),
        (lambda: sim.Log(256, integer="no"), "integer='no' is neither True nor False"),
        (lambda: sim.Choice("a", center="b"), "none of the choices"),
        (lambda: sim.Choice(print), "cannot be a choice"),
        (lambda: dimension_from_dict({"kind": "lgo", "center": 1}), "kind='lgo'"),
        (lambda: dimension_from_dict({"kind": "log"}), "center is missing"),
        (lambda: dimension_from_dict({"kind": "log", "centre": 1}), "'centre' is no setting of it"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(TuningError, match=message):
        make()
