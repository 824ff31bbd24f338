"""Splits, groups, summaries, normalised scores and the regression of failures, held against closed forms."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from scipy import optimize, special

from similitude.core.errors import EvaluationError, WorldError
from similitude.evaluation.rows import Row
from similitude.worlds.protocol.definition import GENERALIZATIONS, GROUPS, tasks_of
from similitude.worlds.protocol.normalising import normalise
from similitude.worlds.protocol.regression import failure_regression, regressions
from similitude.worlds.protocol.summary import success_share, summarise
from similitude.worlds.splits import SEEDS, drawn_seed, fixed_worlds, split_of
from similitude.worlds.tasks.catalog import TASKS


def row(
    task: str, world: int, score: float, *, success: bool = False, difficulty: float = 0.5, **metrics: float
) -> Row:
    return Row(
        *("worlds", task, "x", score),
        {"difficulty": difficulty, "world": world},
        metrics=metrics,
        success=success,
    )


def test_each_split_has_a_thousand_worlds_and_shares_none() -> None:
    lists = {split: fixed_worlds(split) for split in SEEDS}
    names = [world for worlds in lists.values() for world in worlds]
    assert len(names) == len(set(names)) == 3000
    assert len({(world.task, world.seed) for world in names}) == 3000
    for split, worlds in lists.items():
        assert Counter(world.task for world in worlds) == dict.fromkeys(TASKS, 50)
        assert all(split_of(world.seed) == split for world in worlds)
        levels = sorted(world.difficulty for world in worlds if world.task == "eat")
        assert levels == [*(i / 40 for i in range(40)), *([1.0] * 10)]


def test_seeds_that_are_drawn_stay_in_their_split() -> None:
    for split, seeds in SEEDS.items():
        drawn = [drawn_seed(split, "run", i) for i in range(500)]
        assert all(seed in seeds for seed in drawn)
        middle = sum(seed < (seeds.start + seeds.stop) // 2 for seed in drawn)
        assert 190 <= middle <= 310  # 250 +- 5.4 standard deviations
    bounds = [end for seeds in SEEDS.values() for end in (seeds.start, seeds.stop)]
    assert bounds == sorted(bounds)


def test_fewer_worlds_are_taken_evenly_and_more_at_named_difficulties() -> None:
    five = fixed_worlds("test", tasks=["move"], count=5)
    assert [world.difficulty for world in five] == [0.0, 0.3, 0.6, 0.925, 1.0]
    assert set(five) < set(fixed_worlds("test"))
    assert fixed_worlds("test", tasks=["eat"], count=1)[0].difficulty == 0.0
    many = fixed_worlds("validation", tasks=["eat"], count=70, difficulties=[0.5, 1.0])
    assert Counter(world.difficulty for world in many) == {0.5: 70, 1.0: 70}
    assert not {world.seed for world in many} & {world.seed for world in fixed_worlds("validation")}
    assert all(split_of(world.seed) == "validation" for world in many)


def test_groups_and_generalization() -> None:
    assert (len(GROUPS["basic"]), len(GROUPS["compositional"]), GROUPS["easy"]) == (16, 4, ("eat", "move"))
    folds = [one for name, one in GENERALIZATIONS.items() if name.startswith("between")]
    assert sorted(task for fold in folds for task in fold.test) == sorted(GROUPS["basic"])
    for fold in folds:
        assert not set(fold.train) & set(fold.test)
        assert set(fold.train) | set(fold.test) == set(GROUPS["basic"])
    assert GENERALIZATIONS["compositional"].test == GROUPS["compositional"]
    assert GENERALIZATIONS["within-jump"].train == ("jump",)
    assert tasks_of("compositional, eat,find") == (*GROUPS["compositional"], "eat")


def test_wrong_names_are_told() -> None:
    for call, said in (
        (lambda: fixed_worlds("holdout"), "train, validation, test"),
        (lambda: fixed_worlds(tasks=["ete"]), "Did you mean 'eat'"),
        (lambda: fixed_worlds(count=0), "at least one world"),
        (lambda: fixed_worlds(count=51), "the list has 50"),
        (lambda: fixed_worlds(difficulties=[2.0]), r"not in \[0, 1\]"),
        (lambda: tasks_of("easy,bassic"), "no task 'bassic'"),
        (lambda: tasks_of(" , "), "no task is named"),
    ):
        with pytest.raises(WorldError, match=said):
            call()


def test_a_share_has_wilsons_interval() -> None:
    k, n, z = 7, 20, special.ndtri(0.975)
    p = k / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    found = success_share([True] * k + [False] * (n - k))
    assert (found.low, found.high) == pytest.approx(
        ((middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n))
    )


def test_a_summary_counts_what_rows_say() -> None:
    rows = [row("eat", i, 1.0 + i, success=i < 3, difficulty=i / 4, frames=100.0 * i) for i in range(4)]
    rows += [row("move", i, 0.0, difficulty=1.0, frames=50.0) for i in range(3)]
    rows.append(Row("worlds", "move", "x", math.nan, {"difficulty": 1.0, "world": 3}, error="it broke"))
    found = summarise(rows)
    eat, move = found.tasks
    assert (eat.success.value, eat.score.value, eat.frames, eat.failures) == (0.75, 2.5, 150.0, 0)  # type: ignore[union-attr]
    assert (move.success.value, move.score.value, move.failures) == (0.0, 0.0, 1)  # type: ignore[union-attr]
    assert move.success.count == 4  # what failed is no success
    assert found.success.value == pytest.approx(0.375)
    assert [name for name, _ in found.groups] == ["easy"]
    assert [(low, share.value, share.count) for low, _, share in found.difficulties] == [
        *((0.0, 1.0, 1), (0.2, 1.0, 1), (0.5, 1.0, 1), (0.7, 0.0, 1), (0.9, 0.0, 4)),
    ]
    assert found.to_dict()["tasks"]["eat"]["success"]["count"] == 4


def test_what_is_all_alike_is_not_claimed_to_be_sure() -> None:
    found = summarise([row(task, i, 1.0, success=True) for task in ("eat", "move") for i in range(5)])
    assert found.success.value == 1.0
    assert found.success.low == pytest.approx(10 / (10 + special.ndtri(0.975) ** 2))


def test_normalised_scores_are_those_of_hand() -> None:
    floor = [row("eat", i, 0.2) for i in range(4)] + [row("move", 0, 0.0), row("move", 1, 0.5)]
    ceiling = [row("eat", i, 1.2) for i in range(4)] + [row("move", 0, 2.0), row("move", 1, 0.5)]
    mine = [row("eat", i, x) for i, x in enumerate((0.2, 0.7, 1.2, 2.2))]
    mine += [row("move", 0, -1.0), row("move", 1, 9.0)]
    found = normalise(mine, floor, ceiling)
    assert found.dropped == 1  # of the world where the oracle does no better than chance
    assert found.scores["eat"] == pytest.approx((0.0, 0.5, 1.0, 2.0))
    assert found.scores["move"] == (0.0,)
    assert found.gap.value == pytest.approx(1 - (0 + 0.5 + 1 + 1 + 0) / 5)
    assert found.interquartile.value == pytest.approx(
        (0 + 0.5 + 1) / 3
    )  # one of five is cut off at either end
    assert found.to_dict()["worlds"] == 5


def test_a_scale_that_does_not_exist_is_refused() -> None:
    mine = [row("eat", 0, 1.0)]
    with pytest.raises(EvaluationError, match="not played by both"):
        normalise(mine, [], mine)
    with pytest.raises(EvaluationError, match="no scale"):
        normalise(mine, mine, mine)


def simulated(count: int, seed: int) -> tuple[list[Row], np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    gap, noise = generator.normal(2.0, 0.5, count), generator.normal(0.0, 3.0, count)
    level = generator.uniform(size=count)
    odds = 1.0 - 2.0 * (gap - 2.0) / 0.5
    outcomes = generator.uniform(size=count) < special.expit(odds)
    rows = [row("jump", i, 1.0, success=bool(outcomes[i]), difficulty=float(level[i])) for i in range(count)]
    rows = [
        Row(
            *("worlds", "jump", "x", 1.0),
            one.params,
            {"world.gap": gap[i], "world.noise": noise[i], "frames": 3.0},
            one.success,
        )
        for i, one in enumerate(rows)
    ]
    return rows, np.stack([level, gap, noise], axis=1), outcomes


def test_the_regression_is_the_penalised_maximum_of_likelihood() -> None:
    rows, values, outcomes = simulated(120, 0)
    standard = (values - values.mean(axis=0)) / values.std(axis=0)

    def loss(theta: np.ndarray) -> float:
        odds = standard @ theta[1:] + theta[0]
        return float(np.logaddexp(0, np.where(outcomes, -odds, odds)).sum() + 0.5 * theta[1:] @ theta[1:])

    best = optimize.minimize(loss, np.zeros(4), tol=1e-10).x[1:]
    found = {effect.parameter: effect for effect in failure_regression(rows)}
    assert [found[name].coefficient for name in ("difficulty", "gap", "noise")] == pytest.approx(
        best, abs=2e-3
    )
    assert found["gap"].deviation == pytest.approx(values[:, 1].std())


def test_the_intervals_are_as_wide_as_coefficients_scatter() -> None:
    found = [
        next(effect for effect in failure_regression(simulated(200, seed)[0]) if effect.parameter == "noise")
        for seed in range(60)
    ]
    scatter = np.std([effect.coefficient for effect in found])
    told = np.mean([effect.high - effect.low for effect in found]) / (2 * 1.96)
    assert told == pytest.approx(scatter, rel=0.25)  # a deviation of 60 is known to 9 %


def test_the_regression_finds_what_matters_and_nothing_else() -> None:
    clear = {"gap": 0, "noise": 0, "difficulty": 0}
    for seed in range(8):
        effects = failure_regression(simulated(150, seed)[0])
        assert effects[0].parameter == "gap"
        assert effects[0].coefficient < 0
        for effect in effects:
            clear[effect.parameter] += effect.clear
    assert clear["gap"] == 8
    assert clear["noise"] + clear["difficulty"] <= 3  # of 16, each wrong once in 20


def test_regressions_that_cannot_be_say_why() -> None:
    rows, _, _ = simulated(40, 0)
    with pytest.raises(EvaluationError, match="at least 20 worlds"):
        failure_regression(rows[:10])
    alike = [row("eat", i, 1.0, success=True) for i in range(30)]
    found = regressions([*rows, *alike])
    assert isinstance(found["jump"], tuple)
    assert "ended alike" in found["eat"]
    with pytest.raises(EvaluationError, match="the same parameters"):
        failure_regression([row("eat", i, 1.0, success=i % 2 == 0) for i in range(30)])
