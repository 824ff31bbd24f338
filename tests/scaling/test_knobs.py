"""Knobs of the base: what can be written, what it means, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from similitude.core.errors import PlanError
from similitude.scaling.knobs import (
    ALIASES,
    KEYS,
    Knob,
    knob_of,
    knobs_as_data,
    notes_of,
    parse_knobs,
    require_matches,
)
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
    assert set(parse_knobs(dict.fromkeys(KEYS, 1.0))) == {*ROLES, "query"}
    assert parse_knobs({"head": {"init": 0}, "query": {"init": 0.0, "lr": 2}}) == {
        "output": Knob(init=0.0),
        "query": Knob(init=0.0, lr=2.0),
    }


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
        ({"head": {"init": -1}}, r"has init -1: .* 0 starts the tensors at zero"),
        ({"head": {"lr": 0}}, r"has lr 0: .* must be a positive number"),
        ({"head": 0}, r"To start at zero write \{'head': \{\"init\": 0\}\}"),
        ({"quary": 1.0}, r"Did you mean 'query'"),
        ({"head": math.inf}, r"has multiplier inf"),
        ({"head": True}, r"has multiplier True"),
        ({"head": "0.5"}, r"has multiplier '0\.5'"),
        ({"head": None}, r"has multiplier None"),
    ],
)
def test_mistakes_are_told(knobs, text):
    with pytest.raises(PlanError, match=text):
        parse_knobs(knobs)


def test_the_knob_of_a_query_multiplies_with_that_of_its_role():
    knobs = parse_knobs({"matrix": {"lr": 0.5, "init": 2.0}, "query": {"multiplier": 4.0, "init": 0.25}})
    assert knob_of(knobs, "hidden", query=False) == Knob(1.0, 0.5, 2.0)
    assert knob_of(knobs, "hidden", query=True) == Knob(4.0, 0.5, 0.5)
    assert knob_of(knobs, "vector", query=True) == Knob(4.0, 1.0, 0.25)
    assert knob_of({}, "vector", query=True) == Knob()


def test_a_knob_must_turn_something():
    knobs = parse_knobs({"embedding": 2.0, "head": 0.5, "vector": 1.0, "query": 2.0})
    require_matches(knobs, {"lookup", "output"})
    require_matches(knobs, {"lookup"}, tied=("table",))
    with pytest.raises(PlanError, match=r"the role 'output', but no .* Its roles are hidden, lookup\."):
        require_matches(knobs, {"lookup", "hidden"})
    for part in ("init", "lr"):
        head = parse_knobs({"head": {part: 0.5}})
        with pytest.raises(PlanError, match=r"the head is the table 'table' itself.*untie it"):
            require_matches(head, {"lookup"}, tied=("table",))


def test_where_weight_norm_hides_a_knob_it_is_said():
    directions = {"v": "hidden", "w": "input"}
    assert notes_of(parse_knobs({"hidden": {"lr": 2.0}}), directions) == []
    for knob in (2.0, {"init": 0.0}):
        (note,) = notes_of(parse_knobs({"hidden": knob}), directions)
        assert "do not scale 'v'" in note
        assert "'w'" not in note
