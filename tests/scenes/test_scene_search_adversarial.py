"""The search for bad scenes: how soon it is there, that it goes on as it began, and that it finds several."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from similitude.core.errors import SceneError
from similitude.evaluation.rows import Row
from similitude.scenes.dashboard.page import render_dashboard
from similitude.scenes.search.cube import settings_at
from similitude.scenes.search.distinct import distinct_failures, point_of
from similitude.scenes.search.embedding import SPAN, Embedding
from similitude.scenes.search.policy import policy_named
from similitude.scenes.search.promising import left_behind, standardized
from similitude.scenes.study.found_failures import ways_to_fail
from similitude.scenes.study.running import run_study
from similitude.tuning.space.dimensions import Choice, Linear, Log
from similitude.tuning.space.space import Space
from tests.scenes.study_parts import Flat, models_in, study

TURN = "orientation.rotation_z"
SPACE = Space(
    {
        TURN: Linear(0.0, low=-math.pi, high=math.pi),
        "lamp.power": Log(100.0, low=10.0, high=1000.0),
        "camera.zoom_factor": Linear(1.0, low=0.5, high=1.5),
        "camera.view_point_z": Linear(0.5, low=0.0, high=1.0),
    }
)
MIXED = Space(
    {
        "fog.kind": Choice("none", "thin", "thick"),
        "fog.depth": Linear(0.5, low=0.0, high=1.0, when={"fog.kind": ("thin", "thick")}),
        "corruption.severity": Linear(3, low=1, high=5, integer=True),
        TURN: Linear(0.0, low=0.0, high=2 * math.pi),
    }
)


def searched(policy, loss, until=math.inf):
    """Ask and tell until the policy is done or a loss is so high; return settings and losses."""
    settings, losses = [], []
    while not policy.done and not any(loss >= until for loss in losses):
        asked = policy.ask(256)
        told = [loss(one) for one in asked]
        policy.tell(asked, told, [0.01] * len(asked))
        settings += asked
        losses += told
    return settings, losses


def from_the_seam(one):
    """The largest of the distances from a scene whose object looks backwards, as shares of ranges."""
    turned = math.pi - abs(one[TURN])
    return max(
        turned / (2 * math.pi),
        abs(math.log10(one["lamp.power"]) - 1.4) / 2,
        abs(one["camera.zoom_factor"] - 1.2),
        abs(one["camera.view_point_z"] - 0.3),
    )


def test_the_worst_hundredth_is_met_in_less_than_half_of_what_chance_needs():
    # A cube of side 2 r within the range of each setting has the volume (2 r)^4: chance needs 100 scenes on average.
    reach = 0.5 * 0.01**0.25
    worst = 5 * math.exp(-4 * reach)
    needs = []
    for seed in range(3):
        policy = policy_named("adversarial", SPACE, count=50, seed=seed)
        settings, losses = searched(policy, lambda one: 5 * math.exp(-4 * from_the_seam(one)), until=worst)
        assert losses[-1] >= worst, f"seed {seed}: not in {len(losses)} scenes"
        needs.append(len(settings))
    assert np.median(needs) < 40, needs


@pytest.mark.parametrize("batch", [1, 3])
def test_what_is_asked_for_depends_on_what_was_told_alone(batch):
    def loss(one):
        return 3 * math.exp(-3 * from_the_seam(one))

    options = {"batch": batch}
    first, _ = searched(policy_named("adversarial", SPACE, count=20, seed=4, options=options), loss)
    again = policy_named("adversarial", SPACE, count=20, seed=4, options=options)
    assert searched(again, loss)[0] == first
    assert len(first) == 20
    assert again.ask(3) == []
    longer, _ = searched(policy_named("adversarial", SPACE, count=23, seed=4, options=options), loss)
    whole = 8 + (20 - 8) // batch * batch  # full batches
    assert longer[:whole] == first[:whole]
    other, _ = searched(policy_named("adversarial", SPACE, count=20, seed=4, options=options), from_the_seam)
    assert other[:8] == first[:8]
    assert other[8:] != first[8:]
    assert searched(policy_named("adversarial", SPACE, count=20, seed=5, options=options), loss)[0] != first


def test_scenes_of_a_batch_are_apart():
    policy = policy_named("adversarial", SPACE, count=12, seed=0, options={"batch": 4})
    first = policy.ask(256)
    assert len(first) == 8
    policy.tell(first, [from_the_seam(one) for one in first], [0.01] * 8)
    points = Embedding(SPACE)(np.array([point_of(SPACE, one) for one in policy.ask(256)]))
    apart = [np.linalg.norm(a - b) for a, b in itertools.combinations(points, 2)]
    assert len(apart) == 6
    assert min(apart) > 0.1


def test_a_space_of_few_scenes_is_asked_for_once_and_no_more():
    space = Space({"a.x": Choice("p", "q", "r"), "a.y": Linear(1, low=1, high=5, integer=True)})
    policy = policy_named("adversarial", space, count=200, seed=1, options={"starts": 2, "batch": 2})
    settings, _ = searched(policy, lambda one: one["a.y"] + (one["a.x"] == "q"))
    assert len(settings) < 20
    assert {(one["a.x"], one["a.y"]) for one in settings} == set(itertools.product("pqr", range(1, 6)))


def test_scenes_that_fail_are_passed_over():
    def loss(one):
        return math.nan if one["camera.zoom_factor"] > 1.0 else 1.5 - one["camera.zoom_factor"]

    settings, losses = searched(policy_named("adversarial", SPACE, count=25, seed=0), loss)
    assert len(settings) == 25
    assert np.nanmax(losses) > 0.95
    nothing, _ = searched(policy_named("adversarial", SPACE, count=12, seed=0), lambda one: math.nan)
    assert len(nothing) == 12


def test_two_ways_to_fail_are_found_one_after_the_other():
    names = ["camera.zoom_factor", "camera.view_point_z"]
    space = Space({name: SPACE[name] for name in names})

    def loss(one):
        from_below = (one[names[0]] - 0.65) ** 2 + (one[names[1]] - 0.15) ** 2
        from_above = (one[names[0]] - 1.35) ** 2 + (one[names[1]] - 0.85) ** 2
        return 4 * math.exp(-from_below / 0.15**2) + 3 * math.exp(-from_above / 0.15**2)

    settings, losses = searched(
        policy_named("adversarial", space, count=40, seed=0, options={"patience": 6}), loss
    )
    bad = [one[names[0]] for one, value in zip(settings, losses, strict=True) if value > 2]
    assert min(bad) < 0.8
    assert max(bad) > 1.2


def test_a_neighbourhood_is_left_when_nothing_worse_comes_for_a_while():
    line = np.array([0.0, 3.0, 0.1, 0.2, 3.1, 3.2, 6.0])[:, None]
    values = np.array([5.0, 1.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    # 0.0 is the highest; after three that are not higher it is left, and with it 0.1 and 0.2; 3.0 is the next best, 3.1
    # is higher than that and stays the highest for two more points.
    assert left_behind(line, values, 3).tolist() == [0]
    assert left_behind(line, values, 2).tolist() == [0, 4]
    assert left_behind(line, values, 7).tolist() == []


def test_logarithms_of_losses_are_standardized_and_holes_count_as_the_median():
    values = standardized(np.array([0.1, math.nan, 1.0, 10.0]))
    assert values.mean() == pytest.approx(0)
    assert values.std() == pytest.approx(1)
    assert values[1] == pytest.approx(values[2])
    assert (values[3] - values[2]) / (values[2] - values[0]) == pytest.approx(
        math.log(10.05 / 1.05) / math.log(1.05 / 0.15)
    )
    assert standardized(np.array([-1.0, 0.0, math.inf]))[0] < 0  # scores with their sign changed
    assert standardized(np.full(3, math.nan)).tolist() == [0, 0, 0]


def test_turns_are_as_far_apart_as_on_a_circle():
    shares = np.array([0.0, 0.02, 0.25, 0.5, 0.99])
    columns = Embedding(Space({TURN: SPACE[TURN]}))(shares[:, None])
    radius = SPAN / (2 * math.pi)
    for (i, a), (j, b) in itertools.combinations(enumerate(shares), 2):
        chord = 2 * radius * math.sin(math.pi * abs(a - b))
        assert np.linalg.norm(columns[i] - columns[j]) == pytest.approx(chord)
    half = Embedding(Space({TURN: Linear(0.0, low=-1.0, high=1.0)}))
    assert half(np.array([[0.0], [1.0]])).tolist() == [[-SPAN / 2], [SPAN / 2]]


def test_points_are_one_in_columns_exactly_where_their_settings_are():
    points = np.random.default_rng(0).random((300, 4))
    points[:, 3] = np.floor(points[:, 3] * 4) / 4
    points[:, 1] = np.floor(points[:, 1] * 3) / 3
    columns = Embedding(MIXED)(points)
    settings = [settings_at(MIXED, point) for point in points]
    same = 0
    for i, j in itertools.combinations(range(300), 2):
        alike = settings[i] == settings[j]
        same += alike
        assert (np.linalg.norm(columns[i] - columns[j]) < 1e-9) == alike
    assert same > 50
    for one in settings:
        assert settings_at(MIXED, point_of(MIXED, one)) == pytest.approx(one)


def test_mixed_spaces_are_searched():
    def loss(one):
        return (
            one["corruption.severity"] * (2 if one["fog.kind"] == "thick" else 1) * one.get("fog.depth", 0.1)
        )

    settings, losses = searched(policy_named("adversarial", MIXED, count=40, seed=0), loss)
    assert all(("fog.depth" in one) == (one["fog.kind"] != "none") for one in settings)
    assert max(losses) > 9  # of 10


def test_a_study_goes_on_where_it_was_stopped(tmp_path):
    settings = study(models_in(tmp_path), policy={"kind": "adversarial", "count": 14, "starts": 4})
    whole = run_study(settings, tmp_path / "whole", renderer=Flat(str(tmp_path)))
    assert len(whole.rows) == 14
    # The picture is darkest, and the loss the highest, where the object is turned the least.
    assert min(float(str(row.params[TURN])) for row in whole.rows) < -0.99
    seen = []

    def stop(row):
        seen.append(row)
        if len(seen) == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(settings, tmp_path / "part", renderer=Flat(str(tmp_path)), on_done=stop)
    rest = run_study(settings, tmp_path / "part", renderer=Flat(str(tmp_path)))
    assert rest.found == 9
    assert [row.params for row in rest.rows] == [row.params for row in whole.rows]


def test_failures_that_are_alike_are_one_way_to_fail():
    given = study(Path("models.py"), turns=[0.0, 1.0])
    turns = [(-0.9, 0.0, 3.0), (-0.8, 0.0, 4.0), (0.9, 0.0, 2.0), (-0.9, 1.0, 1.0), (0.0, 0.0, 0.1)]
    rows = [
        Row("scenes", "ball", "m", float(loss < 1), {TURN: z, "orientation.rotation_x": x}, success=loss < 1,
            metrics={"loss": loss})
        for z, x, loss in turns
    ]  # fmt: skip
    found = [(row.metrics["loss"], count) for row, count in distinct_failures(given, rows)]
    assert found == [(4.0, 2), (2.0, 1), (1.0, 1)]
    assert len(distinct_failures(given, rows, 1)) == 1
    assert distinct_failures(given, rows[-1:]) == []


def test_a_search_says_how_many_ways_to_fail_it_found(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    policy = {"kind": "adversarial", "count": 16, "starts": 8, "batch": 4}
    settings = study(models_in(tmp_path), policy=policy)
    run = run_study(settings, tmp_path / "out", renderer=Flat(str(tmp_path)))
    (ways,) = ways_to_fail(run)
    wrong = [row for row in run.rows if row.success is False]
    assert ways.wrong == len(wrong) > 0
    assert [row for row, _ in ways.found] == [row for row, _ in distinct_failures(settings, run.rows, 99)]
    told = ways.to_dict()
    assert (told["wrong"], told["ways"]) == (len(wrong), len(ways.found))
    assert told["worst"][0]["loss"] == max(row.metrics["loss"] for row in wrong)
    assert sum(one["stands_for"] for one in told["worst"]) == len(wrong)
    assert set(told["worst"][0]["settings"]) == {TURN}
    page = render_dashboard(run)
    assert ways.text in page
    assert '"ways_to_fail"' in page
    scored = tuple(replace(row, success=None) for row in run.rows)
    assert ways_to_fail(replace(run, rows=scored)) == ()  # an evaluator that knows no right and wrong
    assert (
        ways_to_fail(replace(run, settings=study(models_in(tmp_path)))) == ()
    )  # Sobol's points are no search


@pytest.mark.parametrize("name", ["starts", "batch", "patience"])
@pytest.mark.parametrize("value", [0, 1.5, True, "three"])
def test_numbers_that_are_not_possible_are_refused(name, value):
    with pytest.raises(SceneError, match=f"policy adversarial: {name}={value!r}"):
        policy_named("adversarial", SPACE, options={name: value})
