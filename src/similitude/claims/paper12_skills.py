"""Claims of paper 12 (Avalon) about what tasks demand: difficulty orders worlds, and some need several skills at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from similitude.claims.judged import judged
from similitude.claims.paper12_agents import SKILLS, Erring, Lacking, episode, oracle_agent, worlds
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.verdict import Evidence
from similitude.worlds.protocol.summary import success_share
from similitude.worlds.tasks.catalog import BASIC, COMPOSED, TASKS

Estimated = tuple[float, tuple[float, float]]
"""A number and its 95 % interval."""

FIRST = 2**40
"""Seed of the first world, of the range that training never sees."""
DIFFICULTIES = (0.0, 0.25, 0.5, 0.75, 1.0)
STUMBLES = 0.2
"""Share of the frames in which the agent that difficulty is measured with does not do what it wants."""
ORDERED = 16
"""Tasks whose order must be certain."""
OFTEN = 0.1
"""Share of a task's worlds in which a skill is needed for it to count as one of the task's."""
COURSES = ("navigate", "find", "gather")
"""Compositional tasks whose worlds are courses of obstacles; survive is an open island."""


@claim(
    "12.difficulty",
    paper=12,
    statement="Every task is a distribution of worlds with a difficulty between 0 and 1, which goes from simple worlds "
    "to hard ones (Section 3).",
    claimed="frames that an agent needs which stumbles in 20 % of them (worlds that it fails on last of all) rise with "
    "difficulty: rank correlation above 0 with its interval in at least 16 of the 20 tasks and below 0 with its interval "
    "in none; over all tasks it solves fewer worlds at difficulty 1 than at 0, by intervals that do not meet",
    minutes=2.0,
    full_minutes=10,
    needs=("numba",),
)
def difficulty(*, full: bool = False) -> Measured:
    """Play worlds of five difficulties of every task with an oracle that stumbles."""
    seeds = range(FIRST + 6000, FIRST + 6000 + (40 if full else 8))
    ranks, evidence, rows = [], [], []
    solved: dict[float, list[bool]] = {level: [] for level in DIFFICULTIES}
    for task in TASKS:
        levels, needed = [], []
        for level in DIFFICULTIES:
            for world in worlds(task, level, seeds):
                played = episode(Erring(world.seed, share=STUMBLES), world)
                levels.append(level)
                needed.append(float(played.frames) if played.success else math.inf)
                solved[level].append(played.success)
        rank = _rank_correlation(levels, needed)
        ranks.append(rank[0])
        rows.append(rank)
        evidence.append(Evidence(f"{task}: rank correlation", rank[0], rank[1:], "above 0"))
    shares = {level: success_share(own) for level, own in solved.items()}
    evidence += [
        Evidence(f"solved at difficulty {level:g}, all tasks", share.value, share.interval)
        for level, share in shares.items()
    ]
    certain, against = sum(low > 0 for _, low, _ in rows), sum(high < 0 for _, _, high in rows)
    figures = (
        Chart(
            "Frames needed against difficulty",
            "task",
            "rank correlation",
            (Series("stumbling agent", range(len(TASKS)), ranks, [row[1:] for row in rows]),),
            "Marks with their intervals should be above 0.",
            x_names=TASKS,
            levels={"no order": 0.0},
        ),
        Chart(
            "Success against difficulty, all tasks",
            "difficulty",
            "share of worlds solved",
            (
                Series(
                    "stumbling agent",
                    DIFFICULTIES,
                    [share.value for share in shares.values()],
                    [share.interval for share in shares.values()],
                    "joined",
                ),
            ),
            "The line should fall.",
        ),
    )
    mean = float(np.mean(ranks))
    falls = shares[1.0].high < shares[0.0].low
    summary = (
        f"difficulty orders worlds in {certain} of {len(TASKS)} tasks for certain (mean rank correlation {mean:.2f}); "
        f"{shares[0.0].value:.0%} are solved at difficulty 0, {shares[1.0].value:.0%} at 1"
    )
    half = float(stats.t.ppf(0.975, len(ranks) - 1) * stats.sem(ranks))
    return judged(
        certain >= ORDERED and not against and falls,
        mean,
        "rank correlation",
        summary,
        evidence,
        (mean - half, mean + half),
        figures=figures,
    )


@claim(
    "12.compositional",
    paper=12,
    statement="Compositional tasks require combining the skills that the other tasks ask for one by one (abstract).",
    claimed="of worlds at difficulty 0.5 that oracles solve, more are lost per missing skill (jump, climb, use tools, "
    "carry blocks, push, open doors) in the four compositional tasks than in the sixteen basic ones, by an interval "
    "above 0; each of navigate, find and gather asks for at least three of the skills in a tenth of its worlds or more, "
    "and basic tasks for at most 1.5 on average",
    minutes=1.5,
    full_minutes=7,
    needs=("numba",),
)
def compositional(*, full: bool = False) -> Measured:
    """Play worlds with oracles whose bodies lack one skill each."""
    seeds = range(FIRST + 5000, FIRST + 5000 + (40 if full else 8))
    lost = {task: _lost(task, seeds) for task in TASKS}
    shares = {task: own.mean(axis=0) for task, own in lost.items()}
    skills = {task: int((share >= OFTEN).sum()) for task, share in shares.items()}
    of_worlds = {task: own.mean(axis=1) for task, own in lost.items()}
    composed, basic, more = _lost_by_kind(of_worlds)
    usual = float(np.mean([skills[task] for task in BASIC]))
    evidence = [
        Evidence("lost per missing skill, compositional tasks", *composed),
        Evidence("lost per missing skill, basic tasks", *basic),
        Evidence("skills that a basic task asks for, mean", usual, expected="at most 1.5"),
        *(
            Evidence(
                f"skills that {task} asks for", skills[task], expected="3 or more" if task in COURSES else ""
            )
            for task in COMPOSED
        ),
        *(
            Evidence(f"{task}: lost without {skill}", float(share))
            for task in TASKS
            for skill, share in zip(SKILLS, shares[task], strict=True)
            if share > 0
        ),
    ]
    figures = (
        Chart(
            "Worlds lost without a skill",
            "task",
            "share of worlds lost",
            tuple(
                Series(f"cannot {skill}", range(len(TASKS)), [shares[task][i] for task in TASKS])
                for i, skill in enumerate(SKILLS)
            ),
            "Marks of basic tasks should be at 0 or 1: one skill, in all worlds. Compositional ones vary.",
            x_names=TASKS,
        ),
        Chart(
            "Skills that a task asks for",
            "task",
            "skills",
            (
                Series(
                    "needed in a tenth of the worlds or more",
                    range(len(TASKS)),
                    [skills[task] for task in TASKS],
                ),
            ),
            "Courses (navigate, find, gather) should stand above the others.",
            x_names=TASKS,
        ),
    )
    summary = (
        f"without a skill {composed[0]:.0%} of compositional worlds are lost and {basic[0]:.0%} of basic ones; "
        f"navigate, find and gather ask for {', '.join(str(skills[task]) for task in COURSES)} skills, basic tasks for "
        f"{usual:.1f}"
    )
    holds = more[1][0] > 0 and min(skills[task] for task in COURSES) >= 3 and usual <= 1.5
    return judged(holds, more[0], "share of worlds", summary, evidence, more[1], figures=figures)


def _rank_correlation(levels: Sequence[float], needed: Sequence[float]) -> tuple[float, float, float]:
    """Return Spearman's rank correlation with its 95 % interval (Fisher's z, variance of Fieller and others)."""
    last = [min(value, 1e9) for value in needed]
    pair = [stats.rankdata(levels), stats.rankdata(last)]
    found = float(np.corrcoef(pair)[0, 1]) if len(set(last)) > 1 else 0.0
    half = 1.96 * math.sqrt(1.06 / (len(levels) - 3))
    middle = math.atanh(min(max(found, -0.999), 0.999))
    return found, math.tanh(middle - half), math.tanh(middle + half)


def _lost(task: str, seeds: Sequence[int]) -> np.ndarray:
    """Return which worlds are lost by lacking each skill, (worlds, skills), of those that an oracle solves."""
    rows = []
    for world in worlds(task, 0.5, seeds):
        whole = episode(oracle_agent(), world)
        if whole.success:
            limit = 3 * whole.frames + 200  # ample: what is not solved by then is going nowhere
            rows.append([not episode(Lacking(skill), world, limit=limit).success for skill in SKILLS])
    return np.array(rows, dtype=float).reshape(-1, len(SKILLS))


def _lost_by_kind(of_worlds: Mapping[str, np.ndarray], resamples: int = 2000) -> tuple[Estimated, ...]:
    """Return means over tasks, compositional and basic, and their difference, with bootstrap intervals by task.

    Args:
        of_worlds: By task: share of the skills without which a world is lost, (worlds,).
        resamples: Of the bootstrap.
    """
    random = np.random.default_rng(0)
    values, drawn = [], []
    for tasks in (COMPOSED, BASIC):
        own = [of_worlds[task] for task in tasks if len(of_worlds[task])]
        values.append(float(np.mean([one.mean() for one in own])))
        drawn.append(np.mean([random.choice(one, (resamples, len(one))).mean(axis=1) for one in own], axis=0))
    values.append(values[0] - values[1])
    drawn.append(drawn[0] - drawn[1])
    ends = [np.quantile(one, [0.025, 0.975]).tolist() for one in drawn]
    return tuple((value, (low, high)) for value, (low, high) in zip(values, ends, strict=True))
