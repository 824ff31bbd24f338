"""Grid, random and Sobol: every combination, even shares, sequences that go on as they began."""

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from similitude.core.errors import SceneError
from similitude.scenes.search.cube import settings_at, value_at, values_over
from similitude.scenes.search.policy import POLICIES, policy_named
from similitude.tuning.space.dimensions import Choice, Linear, Log
from similitude.tuning.space.space import Space

SPACE = Space(
    {
        "orientation.rotation_z": Linear(0.0, low=-1.0, high=3.0),
        "lamp.power": Log(100.0, low=10.0, high=1000.0),
        "corruption.severity": Linear(3, low=1, high=5, integer=True),
        "material.replacement": Choice("wood", "zebra", "brick"),
    }
)


def asked(policy, batch=7):
    found = []
    while not policy.done:
        found += policy.ask(batch)
    assert not policy.ask(3)
    return found


def test_the_grid_is_every_combination_in_order():
    found = asked(policy_named("grid", SPACE, options={"samples": 3}))
    wanted = itertools.product((-1.0, 1.0, 3.0), (10.0, 100.0, 1000.0), (1, 3, 5), ("wood", "zebra", "brick"))
    assert len(found) == 81
    for one, values in zip(found, wanted, strict=True):
        assert list(one) == list(SPACE)
        assert one["material.replacement"] == values[3]
        assert [one[n] for n in list(SPACE)[:3]] == pytest.approx(values[:3])


def test_samples_of_single_dimensions_and_a_count():
    options = {"samples": {"orientation.rotation_z": 2, "lamp.power": 1}}
    policy = policy_named("grid", SPACE, options=options)
    assert policy.total == 2 * 1 * 5 * 3  # five whole numbers, three choices
    assert len(asked(policy_named("grid", SPACE, count=4, options=options))) == 4


def test_a_grid_larger_than_any_memory_is_made_as_it_is_asked_for():
    space = Space({f"a.s{k}": Linear(0.0, low=0.0, high=1.0) for k in range(30)})
    policy = policy_named("grid", space, options={"samples": 10})
    assert policy.total == 10**30
    first, second = policy.ask(2)
    assert set(first.values()) == {0.0}
    assert second["a.s29"] == pytest.approx(1 / 9)


@pytest.mark.parametrize("kind", ["random", "sobol"])
def test_more_scenes_begin_with_the_same_ones_whatever_is_asked_for_at_once(kind):
    few = asked(policy_named(kind, SPACE, count=50, seed=3), batch=11)
    many = asked(policy_named(kind, SPACE, count=130, seed=3), batch=64)
    assert many[:50] == few
    assert asked(policy_named(kind, SPACE, count=50, seed=4)) != few


@pytest.mark.parametrize("kind", ["random", "sobol"])
def test_values_are_uniform_on_the_scale_of_each_dimension(kind):
    found = asked(policy_named(kind, SPACE, count=1024, seed=0), batch=100)
    turns = (np.array([one["orientation.rotation_z"] for one in found]) + 1) / 4
    powers = np.log10([one["lamp.power"] for one in found]) - 1
    for values in (turns, powers / 2):
        assert stats.kstest(values, "uniform").pvalue > 1e-3
    for name, count in (("corruption.severity", 5), ("material.replacement", 3)):
        shares = Counter(one[name] for one in found)
        assert len(shares) == count
        assert stats.chisquare(list(shares.values())).pvalue > 1e-3


def test_sobol_fills_the_square_more_evenly_than_chance():
    space = Space({"a.x": Linear(0.5, low=0, high=1), "a.y": Linear(0.5, low=0, high=1)})
    far = {}
    for kind in ("random", "sobol"):
        found = asked(policy_named(kind, space, count=256, seed=1))
        cells = Counter((int(one["a.x"] * 16), int(one["a.y"] * 16)) for one in found)
        far[kind] = len(cells)
    assert far["sobol"] == 256  # a (0, 8, 2)-net has a point in every cell of 16 by 16
    assert far["random"] < 200


def test_shares_of_whole_numbers_and_choices_are_equal_to_the_end():
    whole = Linear(1, low=1, high=4, integer=True)
    assert [value_at(whole, u) for u in (0.0, 0.249, 0.25, 0.999, 1.0)] == [1, 1, 2, 4, 4]
    assert value_at(Choice("a", "b"), 1.0) == "b"
    assert values_over(Linear(0.0, low=-1.0, high=1.0), 1) == [0.0]
    assert values_over(whole, 99) == [1, 2, 3, 4]


def test_what_depends_on_another_setting_is_there_only_with_it():
    space = Space({"a.kind": Choice("x", "y"), "a.of_y": Linear(0.0, low=0, high=1, when={"a.kind": "y"})})
    assert settings_at(space, [0.1, 0.5]) == {"a.kind": "x"}
    assert settings_at(space, [0.9, 0.5]) == {"a.kind": "y", "a.of_y": 0.5}
    assert asked(policy_named("grid", space, options={"samples": 2}))[0] == {"a.kind": "x"}


def test_nothing_varies():
    assert asked(policy_named("sobol", None, count=20)) == [{}]


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("gird", {}, "Did you mean grid?"),
        ("sobol", {"options": {"samples": 3}}, "no setting 'samples'"),
        ("grid", {"options": {"samples": 0}}, "samples=0"),
        ("grid", {"options": {"samples": {"a.b": 3}}}, "'a.b'"),
        ("sobol", {"count": 2**31}, "more than the sequence has"),
    ],
)
def test_wrong_policies_are_refused(kind, more, said):
    with pytest.raises(SceneError) as error:
        policy_named(kind, SPACE, **more)
    assert said in str(error.value)


def test_every_known_policy_says_what_it_is():
    assert {"grid", "random", "sobol"} <= set(POLICIES)
    assert all(entry.summary and entry.name == name for name, entry in POLICIES.items())
