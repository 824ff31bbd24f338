"""Samplers of Optuna and CARBS as policies: every one asks for what is possible, learns, and repeats itself."""

import importlib.util
import math

import numpy as np
import pytest

from similitude.core.errors import SceneError
from similitude.scenes.search.optuna_policy import SAMPLERS
from similitude.scenes.search.policy import policy_named
from similitude.scenes.study.running import run_study
from similitude.tuning.space.dimensions import Choice, Linear, Log
from similitude.tuning.space.space import Space
from tests.scenes.study_parts import Flat, models_in, study

SPACE = Space(
    {
        "lamp.power": Log(100.0, low=10.0, high=1000.0),
        "fog.kind": Choice("none", "thick"),
        "fog.depth": Linear(0.5, low=0.0, high=1.0, when={"fog.kind": "thick"}),
        "corruption.severity": Linear(3, low=1, high=5, integer=True),
    }
)
KINDS = [("optuna", {"sampler": name}) for name in SAMPLERS] + [("carbs", {})]


def searched(policy, loss, seconds=lambda one: 0.01):
    """Ask and tell until the policy is done; return settings and losses."""
    settings, losses = [], []
    while not policy.done:
        asked = policy.ask(256)
        told = [loss(one) for one in asked]
        policy.tell(asked, told, [seconds(one) for one in asked])
        settings += asked
        losses += told
    assert policy.ask(3) == []
    return settings, losses


def loss_of(one):
    """Highest, 3, in thick fog at a hundred watts."""
    foggy = 1 + one["fog.depth"] if one["fog.kind"] == "thick" else 1
    return foggy * 1.5 * math.exp(-(math.log10(one["lamp.power"] / 100) ** 2))


def there(options):
    if options.get("sampler") == "cmaes" and importlib.util.find_spec("cmaes") is None:
        pytest.skip("cmaes is not installed")


@pytest.mark.parametrize(
    ("kind", "options"), KINDS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_asks_for_what_is_possible_and_repeats_itself(kind, options):
    there(options)
    runs = [
        searched(policy_named(kind, SPACE, count=14, seed=seed, options={**options, "batch": 3}), loss_of)[0]
        for seed in (2, 2, 3)
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert len(runs[0]) == 14
    for one in runs[0]:
        assert list(one) == list(SPACE.active(one))
        assert 10 <= one["lamp.power"] <= 1000
        assert one["corruption.severity"] in range(1, 6)
        assert isinstance(one["corruption.severity"], int)
        assert 0 <= one.get("fog.depth", 0) <= 1


@pytest.mark.parametrize(
    ("kind", "options"),
    [("optuna", {}), pytest.param("optuna", {"sampler": "gp"}, marks=pytest.mark.slow), ("carbs", {})],
)
def test_those_that_learn_end_where_losses_are_high(kind, options):
    _, losses = searched(policy_named(kind, SPACE, count=40, seed=0, options=options), loss_of)
    chance = [loss_of(one) for one in policy_named("random", SPACE, count=400, seed=0).ask(400)]
    assert np.median(losses[-15:]) > np.quantile(chance, 0.75)


@pytest.mark.parametrize(("kind", "options"), [("optuna", {}), ("carbs", {})])
def test_scenes_that_fail_end_nothing(kind, options):
    def loss(one):
        return math.nan if one["lamp.power"] > 200 else loss_of(one)

    settings, losses = searched(policy_named(kind, SPACE, count=25, seed=0, options=options), loss)
    assert len(settings) == 25
    assert np.nanmax(losses) > 1.5
    nothing, _ = searched(policy_named(kind, SPACE, count=6, seed=0, options=options), lambda one: math.nan)
    assert len(nothing) == 6


def test_carbs_prefers_cheap_scenes_where_they_are_as_bad():
    space = Space({"blur.rays": Log(10.0, low=1.0, high=100.0), "lamp.power": SPACE["lamp.power"]})

    def loss(one):
        return math.exp(-(math.log10(one["lamp.power"] / 100) ** 2))

    settings, _ = searched(policy_named("carbs", space, count=25), loss, seconds=lambda one: one["blur.rays"])
    spent = [one["blur.rays"] for one in settings[10:]]
    assert np.median(spent) < 3  # of a range whose middle is 10


def test_a_study_with_a_sampler_goes_on_where_it_was_stopped(tmp_path):
    models = models_in(tmp_path)
    for number, policy in enumerate(({"kind": "optuna", "batch": 2}, {"kind": "carbs"})):
        settings = study(models, policy={**policy, "count": 8})
        whole = run_study(settings, tmp_path / f"whole{number}", renderer=Flat(str(tmp_path)))
        seen = []

        def stop(row, seen=seen):
            seen.append(row)
            if len(seen) == 5:
                raise KeyboardInterrupt

        part = tmp_path / f"part{number}"
        with pytest.raises(KeyboardInterrupt):
            run_study(settings, part, renderer=Flat(str(tmp_path)), on_done=stop)
        rest = run_study(settings, part, renderer=Flat(str(tmp_path)))
        assert (len(rest.rows), rest.found) == (8, 5)
        if policy["kind"] == "optuna":  # what CARBS asks for depends on seconds, which no two runs share
            assert [row.params for row in rest.rows] == [row.params for row in whole.rows]


def test_nothing_is_written_to_standard_error(capfd):
    searched(policy_named("optuna", SPACE, count=3), loss_of)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("optuna", {"sampler": "tpee"}, "Did you mean tpe?"),
        ("optuna", {"batch": 0}, "policy optuna: batch=0"),
        ("carbs", {"batch": 1.5}, "policy carbs: batch=1.5"),
        ("carbs", {"sampler": "tpe"}, "no setting 'sampler'"),
    ],
)
def test_wrong_settings_are_refused(kind, options, said):
    with pytest.raises(SceneError) as error:
        policy_named(kind, SPACE, options=options)
    assert said in str(error.value)


def test_a_sampler_whose_package_is_missing_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cmaes", None)
    with pytest.raises(SceneError, match="pip install cmaes"):
        policy_named("optuna", SPACE, options={"sampler": "cmaes"})
