"""Plateaus and drops of made-up loss curves: exact ones, noisy ones, and curves that have none."""

from __future__ import annotations

import numpy as np
import pytest

from similitude.core.errors import TheoryError
from similitude.core.verdict import Outcome
from similitude.theory.gradient_flows.plateaus import find_staircase


def smooth(times, drops, levels, width):
    """Sigmoid drops at some times between levels."""
    return levels[0] - sum(
        (a - b) / (1 + np.exp(-np.clip((times - t) / width, -50, 50)))
        for t, a, b in zip(drops, levels, levels[1:], strict=False)
    )


def test_two_hundred_random_staircases_are_found():
    rng = np.random.default_rng(0)
    for _ in range(200):
        count = int(rng.integers(1, 6))
        gaps = rng.uniform(80, 300, size=count + 1)
        drops, times = np.cumsum(gaps)[:-1], np.arange(int(gaps.sum()))
        levels = np.concatenate(
            [np.cumsum(rng.uniform(0.3, 3.0, size=count))[::-1], [0.0]]
        ) * 10 ** rng.uniform(-4, 4)
        found = find_staircase(smooth(times, drops, levels, rng.uniform(0.3, 3.0)), times, smallest=0.015)
        assert [drop.time for drop in found.drops] == pytest.approx(drops, abs=3)
        assert [plateau.level for plateau in found.plateaus] == pytest.approx(levels, abs=0.01 * levels[0])
        assert found.verdict.ok


def test_noise_is_averaged_and_too_much_of_it_said():
    rng, times = np.random.default_rng(1), np.arange(4000)
    clean = smooth(times, [1000, 2500], [3.0, 1.0, 0.2], 10)
    found = find_staircase(clean + 0.05 * rng.standard_normal(4000), times)
    assert found.window > 1
    assert [drop.time for drop in found.drops] == pytest.approx([1000, 2500], abs=30)
    assert [plateau.level for plateau in found.plateaus] == pytest.approx([3, 1, 0.2], abs=0.02)
    assert find_staircase(rng.standard_normal(300)).verdict.outcome is Outcome.TOO_NOISY


@pytest.mark.parametrize(
    "curve",
    [
        lambda t: (1 + t) ** -0.5,
        lambda t: np.exp(-t / 300),
        lambda t: 1 - t / 3000,
        lambda t: 1 / (1 + t / 50),
    ],
)
def test_curves_without_plateaus_have_no_staircase(curve):
    found = find_staircase(curve(np.arange(3000.0)))
    assert found.drops == ()
    assert found.verdict.outcome is Outcome.INCONSISTENT


def test_plateaus_that_grow_are_found_on_a_logarithmic_clock():
    times = np.concatenate([np.arange(1000), np.geomspace(1000, 1e6, 3000)[1:]])
    curve = smooth(np.log(times + 1), np.log([30, 1000, 30_000]), [4.0, 2.0, 1.0, 0.0], 0.1)
    found = find_staircase(curve, times, clock="log")
    assert [drop.time for drop in found.drops] == pytest.approx([30, 1000, 30_000], rel=0.1)
    assert len(find_staircase(curve, times).drops) < 3


def test_columns_that_change_name_what_is_learned():
    times = np.arange(600)
    curve = smooth(times, [200, 400], [3.0, 1.0, 0.0], 2)
    columns = {
        "second": 1.0 * (times > 400),
        "first": 5.0 * (times > 200),
        "rate": np.ones(600),
        "step": times,
    }
    found = find_staircase(curve, times, columns=columns)
    assert [drop.learned for drop in found.drops] == [("first",), ("second",)]
    assert found.to_dict()["drops"][0]["size"] == pytest.approx(2.0, abs=1e-3)


def test_what_lies_outside_of_the_plateaus_is_said():
    times = np.arange(1000.0)
    curve = (
        5 * np.exp(-times / 5)
        + smooth(times, [500], [1.0, 0.5], 2)
        - 0.3 * np.clip(times - 950, 0, None) / 50
    )
    notes = " ".join(find_staircase(curve, times).notes)
    assert "begins with a descent from 6" in notes
    assert "falls on after the last plateau" in notes


def test_a_constant_loss_is_one_plateau_and_few_points_cannot_tell():
    assert len(find_staircase(np.ones(50)).plateaus) == 1
    assert find_staircase(np.ones(5)).verdict.outcome is Outcome.CANNOT_TELL


def test_any_finite_curve_gives_an_answer():
    rng = np.random.default_rng(3)
    for _ in range(3000):
        n = int(rng.integers(1, 200))
        curve = rng.choice([-1, 0, 1], n).cumsum() * 10.0 ** rng.integers(-200, 200)
        times = np.cumsum(10 ** rng.uniform(-6, 6, n))
        found = find_staircase(curve, times, clock=str(rng.choice(["linear", "log"])))  # type: ignore[arg-type]
        assert len(found.drops) == max(len(found.plateaus) - 1, 0)
        for drop in found.drops:
            assert drop.start <= drop.time <= drop.end


def test_wrong_runs_are_named():
    with pytest.raises(TheoryError, match="times do not increase: 2 is followed by 1"):
        find_staircase(np.ones(3), [0, 2, 1])
    with pytest.raises(TheoryError, match="gain has 2 numbers for 3 losses"):
        find_staircase(np.ones(3), columns={"gain": [1, 2]})
    with pytest.raises(TheoryError, match="smallest=0"):
        find_staircase(np.ones(3), smallest=0)
    with pytest.raises(TheoryError, match="not finite"):
        find_staircase([1.0, np.inf])
    with pytest.raises(TheoryError, match="clock='fast'"):
        find_staircase(np.ones(3), clock="fast")  # type: ignore[arg-type]
    with pytest.raises(TheoryError, match="has no logarithm"):
        find_staircase(np.ones(3), [-3, -2, -1], clock="log")
