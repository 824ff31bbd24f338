"""Accuracy by factor: Wilson's formula by hand, bins and maps counted in plain loops."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import optimize, stats

from similitude.core.errors import SceneError
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.factors import Factor, bins_of, factors_of
from similitude.scenes.analysis.levels import by_factor, factor_map
from similitude.scenes.analysis.shares import bounded_mean, measured_of, share_of, standing_of
from similitude.scenes.analysis.worst import worst_cases
from tests.scenes.analysis_rows import failed_row, mug_rows, scene_row


@pytest.mark.parametrize(("right", "count"), [(0, 7), (7, 7), (3, 10), (180, 200)])
def test_intervals_of_shares_are_wilsons_formula(right, count):
    z = 1.959963984540054
    p = right / count
    middle = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(p * (1 - p) / count + z * z / (4 * count**2)) / (1 + z * z / count)
    found = share_of([True] * right + [False] * (count - right))
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=1e-12)


@pytest.mark.parametrize("values", [[0.2, 0.9, 0.4], [0.0, 0.0, 0.0, 0.02], [1.0, 1.0, 0.7], [0.0, 1.0, 1.0]])
def test_ends_of_a_bounded_mean_solve_the_equation_of_its_score_test(values):
    found = bounded_mean(values)
    n, p = len(values), float(np.mean(values))
    phi = float(np.var(values, ddof=1)) / (p * (1 - p))
    t = float(stats.t.ppf(0.975, n - 1))

    def score(m: float) -> float:
        return n * (m - p) ** 2 - t**2 * phi * m * (1 - m)

    assert found.value == pytest.approx(p)
    assert found.low == pytest.approx(optimize.brentq(score, 0, p), abs=1e-9)
    assert found.high == pytest.approx(optimize.brentq(score, p, 1), abs=1e-9)
    assert 0 < found.low < p < found.high < 1
    wide = bounded_mean([2 * value - 1 for value in values], low=-1, high=1)
    assert (wide.low, wide.high) == pytest.approx((2 * found.low - 1, 2 * found.high - 1))


def test_a_bounded_mean_of_many_values_within_has_the_t_interval_and_stays_within_at_the_bounds():
    values = np.random.default_rng(0).beta(4, 4, 2000)
    found = bounded_mean(values)
    ends = stats.t.interval(0.95, 1999, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(ends, abs=2e-5)
    none, every = bounded_mean([0.0] * 5), bounded_mean([1.0] * 5)
    assert (none.low, every.high) == (0.0, 1.0)
    assert none.high == pytest.approx(1 - every.low)
    assert 0.3 < none.high < 0.7
    assert bounded_mean([0.4]).interval is None
    for wrong in ([], [0.5, 1.2], [0.5, math.nan]):
        with pytest.raises(SceneError, match="between 0 and 1"):
            bounded_mean(wrong)


def test_a_bounded_mean_is_held_where_the_t_interval_leaves_the_bounds():
    """Probabilities of .1 on the mean that lie near 0 and 1: 95 % intervals of 30 hold it in more than 90 % of draws."""
    rng = np.random.default_rng(1)
    found = [bounded_mean(rng.beta(0.1, 0.9, 30)) for _ in range(400)]
    assert np.mean([one.low <= 0.1 <= one.high for one in found]) > 0.9
    assert all(0 <= one.low <= one.value <= one.high <= 1 for one in found)
    rows = [scene_row({"scale.factor": 1.0}, right=False, loss=x) for x in (0.01, 6.0, 7.0)]
    standing = standing_of(rows).probability
    assert standing is not None
    assert standing.interval == bounded_mean([row.metrics["probability"] for row in rows]).interval


def test_only_what_differs_is_a_factor():
    rows = mug_rows(16)
    assert list(factors_of(rows)) == [
        "occlusion.occlusion_ratio",
        "orientation.rotation_z",
        "material.texture",
        "camera.zoom_factor",
    ]
    assert not factors_of(rows)["material.texture"].numeric
    two = [*rows, scene_row(dict(rows[0].params), right=True, task="banana")]
    assert next(iter(factors_of(two))) == "object"


@pytest.mark.parametrize(("count", "bins"), [(100, 5), (101, 4), (37, 6)])
def test_bins_part_the_scenes_into_equal_numbers(count, bins):
    values = np.random.default_rng(0).normal(size=count)
    found = bins_of(Factor("x", tuple(values.tolist()), True), bins)
    sizes = [len(one.places) for one in found]
    assert len(found) == bins
    assert max(sizes) - min(sizes) <= 2
    assert sorted(i for one in found for i in one.places) == list(range(count))
    for left, right in pairwise(found):
        assert left.high < right.low


def test_equal_numbers_are_never_parted():
    values = [0.0] * 60 + [float(i) for i in range(1, 41)]
    found = bins_of(Factor("x", tuple(values), True), 5)
    assert len(found[0].places) >= 60
    assert all(sum(value in [values[i] for i in one.places] for one in found) == 1 for value in set(values))


def test_rows_without_a_number_are_in_no_bin():
    found = bins_of(Factor("x", (None, *map(float, range(20))), True), 2)
    assert sorted(i for one in found for i in one.places) == list(range(1, 21))


def test_accuracy_by_factor_is_what_a_loop_counts():
    rows = mug_rows(64)
    table = by_factor(rows, "material.texture")
    assert [level.name for level in table.levels] == ["elephant", "original", "wood", "zebra"]
    for level in table.levels:
        mine = [row for row in rows if row.params["material.texture"] == level.name]
        assert level.standing.accuracy.value == sum(row.score for row in mine) / len(mine)
        assert level.standing.loss.value == pytest.approx(
            sum(row.metrics["loss"] for row in mine) / len(mine)
        )
    assert table.worst.standing.accuracy.value == min(one.standing.accuracy.value for one in table.levels)
    numbers = by_factor(rows, "occlusion.occlusion_ratio", bins=4)
    for level in numbers.levels:
        mine = [row for row in rows if level.low <= row.params["occlusion.occlusion_ratio"] <= level.high]
        assert level.standing.accuracy.count == len(mine) == 16
        assert level.standing.accuracy.value == sum(row.score for row in mine) / 16


def test_maps_are_what_loops_count_and_say_where_nothing_is():
    rows = mug_rows(64)
    found = factor_map(rows, "material.texture", "occlusion.occlusion_ratio", bins=4)
    assert sum(cell.accuracy.count for line in found.cells for cell in line if cell) == 64
    for column, texture in enumerate(found.columns):
        mine = [row for row in rows if row.params["material.texture"] == texture]
        cells = [line[column] for line in found.cells if line[column]]
        assert sum(cell.accuracy.count * cell.accuracy.value for cell in cells) == pytest.approx(
            sum(row.score for row in mine)
        )
    few = [scene_row({"a": i, "b": i}, right=True) for i in range(3)]
    assert factor_map(few, "a", "b").cells[0][1] is None
    assert factor_map(few, "a", "b").to_dict()["cells"][0][1] is None


def test_scores_without_right_and_wrong_have_a_mean_and_a_t_interval():
    rows = [Row("scenes", "mug", "m", x, {"a.b": x}) for x in (1.0, 2.0, 3.0)]
    assert str(standing_of(rows).accuracy) == "2 [-0.4841, 4.484]"
    assert standing_of(rows).loss is None
    with pytest.raises(SceneError, match="no row has a finite 'right'"):
        measured_of(rows, "right")


def test_the_worst_come_first_and_failures_not_at_all():
    rows = [scene_row({"a.b": i}, right=False, loss=loss) for i, loss in enumerate([1.0, 3.0, 2.0])]
    found = worst_cases([*rows, failed_row({"a.b": 9})], 2)
    assert [row.metrics["loss"] for row in found] == [3.0, 2.0]


def test_errors_say_what_there_is():
    rows = mug_rows(16)
    with pytest.raises(SceneError, match=r"'camera.zoom' does not differ .* What does: occlusion"):
        by_factor(rows, "camera.zoom")
    with pytest.raises(SceneError, match=r"answers of 2 models \(a, b\)"):
        by_factor([*mug_rows(16, subject="a"), *mug_rows(16, subject="b")], "material.texture")
    with pytest.raises(SceneError, match="no scene has a score"):
        by_factor([failed_row({"a.b": 1})], "a.b")
    with pytest.raises(SceneError, match="no scene to take a share of"):
        share_of([])
    with pytest.raises(SceneError, match="0 bins"):
        by_factor(rows, "material.texture", bins=0)
