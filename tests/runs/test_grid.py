"""Cells: the same setting has the same key, whatever it was written as."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from similitude.core.errors import GridError
from similitude.runs.grid import Cell, cells

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)


@given(st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), VALUES, max_size=5))
def test_a_cell_comes_back_from_its_key(params):
    cell = Cell(tuple(params.items()))
    back = Cell.from_key(cell.key)
    assert back == cell
    assert hash(back) == hash(cell)
    for name, value in params.items():
        assert back[name] == value
        assert type(back[name]) is type(value)


def test_order_of_names_does_not_matter():
    assert Cell.of(a=1, b=2.5) == Cell.of(b=2.5, a=1)
    assert list(Cell.of(b=1, a=2)) == ["a", "b"]
    assert "a" in Cell.of(a=1)


def test_different_settings_differ():
    different = [Cell.of(x=v) for v in (1, 1.0, True, "1", None, 0.1, math.nextafter(0.1, 1))]
    assert len(set(different)) == len(different)


def test_numpy_scalars_are_numbers():
    assert Cell.of(lr=np.float64(0.1), width=np.int64(64)) == Cell.of(lr=0.1, width=64)


def test_there_is_one_zero():
    assert Cell.of(x=-0.0) == Cell.of(x=0.0)


def test_a_missing_name_is_a_key_error():
    with pytest.raises(KeyError, match="lr"):
        Cell.of(width=1)["lr"]


def test_grid_is_the_product_with_the_last_axis_fastest():
    grid = cells(width=[64, 128], lr=[0.5, 0.25], rule="mup")
    assert [(c["width"], c["lr"], c["rule"]) for c in grid] == [
        (64, 0.5, "mup"),
        (64, 0.25, "mup"),
        (128, 0.5, "mup"),
        (128, 0.25, "mup"),
    ]


def test_an_axis_with_a_float_is_one_of_floats():
    assert cells(lr=[1, 0.5]) == cells(lr=[1.0, 0.5])
    assert cells(lr=np.array([1.0, 0.5])) == cells(lr=[1, 0.5])


@pytest.mark.parametrize(
    ("axes", "says"),
    [
        ({"lr": []}, "'lr' of the grid has 0 values"),
        ({"lr": [0.1, 0.1]}, "0.1 more than once"),
        ({"lr": [1, 1.0]}, "1.0 more than once"),
        ({"lr": [math.nan]}, "nan of axis 'lr'"),
        ({"lr": [math.inf]}, "inf of axis 'lr'"),
        ({"net": [object]}, "axis 'net'"),
        ({"a b": [1]}, "'a b' cannot name an axis"),
    ],
)
def test_axes_that_make_no_grid(axes, says):
    with pytest.raises(GridError, match=says):
        cells(**axes)


def test_a_name_occurs_once():
    with pytest.raises(GridError, match="repeat"):
        Cell((("lr", 1.0), ("lr", 2.0)))
