"""Sizes are read, compared, and handed to factories of every signature."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from torch import nn

from similitude.core.errors import PlanError
from similitude.scaling.sizes import arguments, as_size, at_width, call_text, same_dials


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (64, {"width": 64}),
        (np.int64(64), {"width": 64}),
        ({"width": np.int32(64)}, {"width": 64}),
        ({"depth": 2, "width": 64}, {"width": 64, "depth": 2}),
    ],
)
def test_a_size_is_an_integer_or_dials(value, size):
    found = as_size(value)
    assert (found, list(found), {type(n) for n in found.values()}) == (size, list(size), {int})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, r"base=True is not a width\. Pass a positive integer"),
        (64.5, r"base=64\.5 is not a width"),
        (64.0, r"base=64\.0 is not a width"),
        ("64", r"base='64' is not a width"),
        (0, r"base=0 is not a width"),
        (-3, r"base=-3 is not a width"),
        (None, r"base=None is not a width"),
        ({}, r"base=\{\} names no width"),
        ({"d_model": 64}, r"base=\{'d_model': 64\} names no width, which is the dial that may change"),
        ({"width": 0}, r"base gives the dial 'width' the value 0, which is not a size"),
        ({"width": 64, "depth": True}, r"the dial 'depth' the value True"),
        ({"width": 64, 3: 4}, r"the dial 3 the value 4.*Name each dial by a string"),
    ],
)
def test_what_is_no_size_is_refused(value, text):
    with pytest.raises(PlanError, match=text):
        as_size(value)


def test_the_argument_is_named_in_messages():
    with pytest.raises(PlanError, match="target=0 is not a width"):
        as_size(0, "target")


def test_width_and_depth_may_differ_and_nothing_else():
    same_dials({"width": 64, "depth": 2}, {"depth": 2, "width": 128})
    same_dials({"width": 64, "depth": 2}, {"width": 128, "depth": 4})
    with pytest.raises(
        PlanError, match=r"heads \(2 -> 4\) differs between base and target, but only width and depth may"
    ):
        same_dials({"width": 64, "heads": 2}, {"width": 128, "heads": 4})
    with pytest.raises(PlanError, match=r"depth \(2 -> 4\) differs .*, but only width may"):
        same_dials({"width": 64, "depth": 2}, {"width": 128, "depth": 4}, may=("width",))
    with pytest.raises(PlanError, match="do not name the same dials: 'depth' is in one of them only"):
        same_dials({"width": 64}, {"width": 128, "depth": 4})


def test_a_size_at_another_width_keeps_its_dials():
    size = {"width": 64, "depth": 2}
    assert (at_width(size, 256), size) == ({"width": 256, "depth": 2}, {"width": 64, "depth": 2})


def _only(n, /):
    raise NotImplementedError


def _named(width, depth=1):
    raise NotImplementedError


def _swapped(depth, width):
    raise NotImplementedError


def _first_named_otherwise(n, **dials):
    raise NotImplementedError


def _positional_only(width, /):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("make", "size", "text"),
    [
        (_only, {"width": 64}, "make(64)"),
        (_named, {"width": 64}, "make(width=64)"),
        (_named, {"width": 64, "depth": 2}, "make(width=64, depth=2)"),
        (partial(_named, depth=3), {"width": 64}, "make(width=64)"),
        (_swapped, {"width": 64, "depth": 2}, "make(width=64, depth=2)"),
        (_positional_only, {"width": 64}, "make(64)"),
        (_first_named_otherwise, {"width": 64, "depth": 2}, "make(64, depth=2)"),
        (lambda **dials: None, {"width": 64, "depth": 2}, "make(width=64, depth=2)"),
        (lambda n, depth: None, {"width": 64, "depth": 2}, "make(64, depth=2)"),
        (lambda n, m: None, {"width": 64, "depth": 2}, "make(64, 2)"),
        (lambda n: None, {"width": 64, "depth": 2}, "make(64, 2)"),
        (nn.Embedding, {"width": 64, "embedding_dim": 2}, "make(64, embedding_dim=2)"),
        (min, {"width": 64}, "make(64)"),
    ],
)
def test_dials_go_by_keyword_where_the_signature_names_them(
    make: Callable[..., Any], size: dict[str, int], text: str
):
    assert call_text(make, size) == text
    args, kwargs = arguments(make, size)
    assert sorted([*args, *kwargs.values()]) == sorted(size.values())
