"""Knobs of the base: what can be written, what it means, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from similitude.core.errors import PlanError
from similitude.scaling.knobs import ALIASES, Knob, knobs_as_data, parse_knobs
from similitude.scaling.rules import ROLES


def test_every_way_to_write_a_knob():
    assert parse_knobs(None) == parse_knobs({}) == {}
    assert parse_knobs({"embedding": 2, "head": 0.5, "matrix": np.float64(4)}) == {
        "lookup": Knob(multiplier=2.0),
        "output": Knob(multiplier=0.5),
        "hidden": Knob(multiplier=4.0),
    }
    both = parse_knobs({"lookup": {"lr": 0.125, "init": 3.0}, "vector": {"multiplier": 2.0}})
    assert both == {"lookup": Knob(lr=0.125, init=3.0), "vector": Knob(multiplier=2.0)}
    assert set(parse_knobs(dict.fromkeys(ROLES, 1.0))) == set(ROLES)
    assert set(ALIASES.values()) <= set(ROLES)


def test_round_trip_through_plain_data():
    knobs = parse_knobs({"embedding": {"lr": 0.125, "init": 1.0}, "head": 0.5, "hidden": 1.0})
    data = knobs_as_data(knobs)
    assert data == {"lookup": {"lr": 0.125}, "output": {"multiplier": 0.5}}
    assert parse_knobs(data) == {role: knob for role, knob in knobs.items() if knob != Knob()}


@pytest.mark.parametrize(
    ("knobs", "text"),
    [
        (0.5, r"knobs=0\.5 must be a dict by role"),
        ({"embeding": 1.0}, r"knobs names 'embeding', which is no role\. Did you mean 'embedding'\? Choose"),
        ({1: 1.0}, "knobs names 1, which is no role"),
        (
            {"head": 1.0, "output": 2.0},
            r"the role 'output' twice, once as 'output'\. Keep one of them.*head is",
        ),
        ({"head": {"rate": 1.0}}, r"knobs\['head'\] has 'rate', which does not exist"),
        ({"head": {"lrs": 1.0}}, "Did you mean 'lr'"),
        ({"head": 0.0}, r"knobs\['head'\] has multiplier 0\.0: .* must be a positive number"),
        ({"head": {"lr": -1}}, r"has lr -1"),
        ({"head": {"init": math.nan}}, r"has init nan"),
        ({"head": math.inf}, r"has multiplier inf"),
        ({"head": True}, r"has multiplier True"),
        ({"head": "0.5"}, r"has multiplier '0\.5'"),
        ({"head": None}, r"has multiplier None"),
    ],
)
def test_mistakes_are_told(knobs, text):
    with pytest.raises(PlanError, match=text):
        parse_knobs(knobs)
