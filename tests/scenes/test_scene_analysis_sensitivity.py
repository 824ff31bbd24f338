"""Sensitivity indices and interactions beside functions whose indices are known in closed form."""

import numpy as np
import pytest
from scipy import stats

from similitude.core.errors import SceneError
from similitude.scenes.analysis.first_order import correlation_ratio, sensitivity
from similitude.scenes.analysis.hdmr import second_order
from similitude.scenes.analysis.pairs import holm, interactions, likelihood_ratio
from tests.scenes.analysis_rows import mug_rows, scene_row, sobol

A, B = 7.0, 0.1


def ishigami(count, seed=0, *, random=False):
    """Rows whose loss is Ishigami's function of three numbers, which has known indices."""
    unit = np.random.default_rng(seed).random((count, 3)) if random else sobol(count, 3, seed)
    x = np.pi * (2 * unit - 1)
    y = np.sin(x[:, 0]) + A * np.sin(x[:, 1]) ** 2 + B * x[:, 2] ** 4 * np.sin(x[:, 0])
    names = ("a.x", "b.x", "c.x")
    return [
        scene_row(dict(zip(names, map(float, point), strict=True)), right=value > 3, loss=value)
        for point, value in zip(x, y, strict=True)
    ]


def ishigami_indices():
    """First-order indices, and that of the pair of the first and the third (Ishigami and Homma 1990)."""
    variance = A**2 / 8 + B * np.pi**4 / 5 + B**2 * np.pi**8 / 18 + 0.5
    first = 0.5 * (1 + B * np.pi**4 / 5) ** 2
    pair = B**2 * np.pi**8 * (1 / 18 - 1 / 50)
    return {"a.x": first / variance, "b.x": A**2 / 8 / variance, "c.x": 0.0}, pair / variance


@pytest.mark.parametrize("random", [False, True])
def test_first_order_indices_of_ishigamis_function(random):
    wanted, pair = ishigami_indices()
    found = sensitivity(ishigami(1024, random=random))
    for name, index in wanted.items():
        assert found.indices[name].value == pytest.approx(index, abs=0.06)
        assert found.indices[name].low < index < found.indices[name].high
    assert list(found.indices) == ["b.x", "a.x", "c.x"]
    assert found.unexplained == pytest.approx(pair, abs=0.1)
    assert found.entangled == ()


def test_intervals_of_200_scenes_hold_the_truth_about_as_often_as_they_say():
    wanted, _ = ishigami_indices()
    hits = [
        sensitivity(ishigami(200, seed, random=True), seed=seed).indices[name]
        for seed in range(6)
        for name in wanted
    ]
    names = [name for _ in range(6) for name in wanted]
    inside = [one.low < wanted[name] < one.high for one, name in zip(hits, names, strict=True)]
    assert sum(inside) >= 16  # of 18; fewer have a chance of 6 % at 95 %


@pytest.mark.parametrize("count", [128, 200, 256, 500, 512])
def test_of_sobol_points_a_factor_without_effect_is_told_from_0_by_none(count):
    for seed in range(4):
        points = sobol(count, 3, seed)
        rows = [
            scene_row({"a.x": x, "b.x": 10**z, "c.x": w}, right=x > 0.5, loss=x + z / 2)
            for x, z, w in points.tolist()
        ]
        found = sensitivity(rows)
        for name, index in {"a.x": 0.8, "b.x": 0.2, "c.x": 0.0}.items():
            one = found.indices[name]
            assert one.method.startswith("correlation ratio of")
            assert one.low < index < one.high, name


def test_names_have_the_correlation_ratio_of_an_analysis_of_variance():
    rng = np.random.default_rng(0)
    groups = rng.integers(4, size=60)
    y = groups * 0.5 + rng.normal(size=60)
    f = stats.f_oneway(*(y[groups == k] for k in range(4))).statistic
    # Kelley's epsilon squared by way of the F ratio.
    assert correlation_ratio(groups, y) == pytest.approx((f - 1) * 3 / (3 * f + 56))


def test_names_without_effect_scatter_about_nothing():
    rng = np.random.default_rng(1)
    values = [correlation_ratio(rng.integers(6, size=80), rng.normal(size=80)) for _ in range(400)]
    assert np.mean(values) == pytest.approx(0, abs=4 * np.std(values) / 20)
    assert min(values) < 0 < max(values)


def test_a_mixed_study_puts_what_was_planted_first():
    found = sensitivity(mug_rows(256))
    assert list(found.indices)[-1] == "camera.zoom_factor"
    assert found.indices["camera.zoom_factor"].low < 0 < found.indices["camera.zoom_factor"].high
    assert found.indices["material.texture"].method.startswith("correlation ratio")
    assert found.indices["occlusion.occlusion_ratio"].method.startswith("correlation ratio of 11 bins")
    assert found.to_dict()["scenes"] == 256


def test_factors_that_go_together_are_named():
    rng = np.random.default_rng(0)
    x = rng.random(100)
    rows = [
        scene_row({"a.x": float(v), "b.x": float(v + 0.1 * e)}, right=True, loss=v)
        for v, e in zip(x, rng.normal(size=100), strict=True)
    ]
    ((first, second, rank),) = sensitivity(rows).entangled
    assert (first, second) == ("a.x", "b.x")
    assert rank > 0.8


def test_second_order_finds_the_pair_of_ishigamis_function():
    wanted, pair = ishigami_indices()
    found = second_order(ishigami(512))
    assert next(iter(found.pairs)) == ("a.x", "c.x")
    assert found.pairs["a.x", "c.x"] == pytest.approx(pair, abs=0.05)
    assert found.total["a.x"] == pytest.approx(wanted["a.x"] + pair, abs=0.06)
    assert found.total["c.x"] == pytest.approx(pair, abs=0.06)
    assert max(found.pairs["a.x", "b.x"], found.pairs["b.x", "c.x"]) < 0.03
    assert found.left_out == ()


def test_the_likelihood_ratio_of_one_name_is_the_g_test_of_its_table():
    rng = np.random.default_rng(0)
    x = rng.integers(2, size=150)
    y = (rng.random(150) < 0.3 + 0.3 * x).astype(float)
    table = [[int(((x == i) & (y == j)).sum()) for j in (0, 1)] for i in (0, 1)]
    g = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    assert likelihood_ratio(np.zeros((150, 0)), x[:, None].astype(float), y) == pytest.approx(g, rel=1e-3)


def planted(count, seed, *, together):
    rng = np.random.default_rng(seed)
    rows = []
    for a, b in rng.random((count, 2)):
        skin = "wood" if b < 0.5 else "zebra"
        odds = 2 * a - 1 + (4 * (2 * a - 1) * (1 if b < 0.5 else -1) if together else 0)
        rows.append(
            scene_row({"a.x": float(a), "m.skin": skin}, right=rng.random() < 1 / (1 + np.exp(-odds)))
        )
    return rows


def test_a_planted_interaction_is_found():
    (pair,) = interactions(planted(300, 0, together=True)).pairs
    assert (pair.first, pair.second) == ("a.x", "m.skin")
    assert pair.corrected < 1e-6
    assert pair.freedom == 2


def test_factors_that_act_alone_interact_as_often_as_chance_says():
    ps = [interactions(planted(200, seed, together=False)).pairs[0].p for seed in range(80)]
    assert stats.binomtest(sum(p < 0.1 for p in ps), 80, 0.1).pvalue > 0.01
    assert stats.kstest(ps, "uniform").pvalue > 0.01


def test_holm_is_what_its_definition_says():
    ps = [0.04, 0.001, 0.02, 0.5]
    wanted = []
    for p in ps:  # the largest, over all p-values up to this one, of p times how many are at least as large
        wanted.append(min(1, max(q * sum(r >= q for r in ps) for q in ps if q <= p)))
    assert holm(ps) == pytest.approx(wanted)


def test_pairs_with_too_few_scenes_are_named():
    found = interactions(planted(40, 0, together=True))
    assert found.pairs == ()
    assert "needed" in found.untested[0][2]


def test_errors_say_how_many_scenes_are_needed():
    with pytest.raises(SceneError, match=r"16 scenes have a 'loss'.*at least 40"):
        sensitivity(mug_rows(16))
    with pytest.raises(SceneError, match="no variance to explain"):
        sensitivity([scene_row({"a.x": float(i)}, right=True) for i in range(50)])
    with pytest.raises(SceneError, match="nothing differs"):
        sensitivity([scene_row({"a.x": 1.0}, right=True, loss=i) for i in range(50)])
    with pytest.raises(SceneError, match=r"256 scenes .* take 300"):
        second_order(mug_rows(256))
    with pytest.raises(SceneError, match="pairs take two"):
        second_order([scene_row({"a.x": "b"}, right=True), scene_row({"a.x": "c"}, right=True)])
    with pytest.raises(SceneError, match="answers are right"):
        interactions([scene_row({"a.x": i, "b.x": i}, right=True) for i in range(9)])
