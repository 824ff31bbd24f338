"""The suite of generated worlds: its tasks, the policies at hand, and what its page shows besides tables."""

from __future__ import annotations

from collections.abc import Sequence

from similitude.core.chart import Chart, Series
from similitude.core.errors import EvaluationError
from similitude.evaluation.aggregate import by_task
from similitude.evaluation.anchors import Anchor
from similitude.evaluation.rows import Row
from similitude.evaluation.suite import Part
from similitude.evaluation.tables import subject_of
from similitude.worlds.protocol.definition import EVALUATION, NAME
from similitude.worlds.protocol.normalising import normalise
from similitude.worlds.protocol.regression import failure_regression
from similitude.worlds.protocol.summary import summarise
from similitude.worlds.tasks.catalog import TASKS

SUMMARIES = {
    "eat": "food nearby, which may be closed, on a tree or in the ground",
    "move": "walk to food that is seen, also along a strip above a chasm",
    "jump": "jump a gap",
    "climb": "climb a cliff where hands find holds",
    "descend": "get down without a deadly fall",
    "scramble": "cross steep, rough land",
    "stack": "pile stones to get up a cliff",
    "bridge": "lay a log across a gap",
    "push": "push a boulder out of or into the way",
    "throw": "kill prey in a pit with rocks",
    "hunt": "kill prey with a stick or a rock",
    "fight": "get past predators with weapons",
    "avoid": "get past predators without weapons",
    "explore": "find food that is not seen from the start",
    "open": "get through doors and their locks",
    "carry": "bring a tool from where it lies to where it is needed",
    "navigate": "several obstacles on the way to food that is seen",
    "find": "several obstacles on the way to food that is not seen",
    "gather": "several obstacles and several foods",
    "survive": "live off an open island among prey and predators",
}
"""What each task demands, in a line."""

POLICIES = {
    "random": "acts at random: the floor",
    "oracle": "knows the world and how it is solved: the ceiling",
}
"""Policies that commands take by name; others are files."""

PEOPLE = "human"
"""Subject of rows of people, which `similitude worlds play` writes."""

STRONGEST = 8
"""Effects of world parameters that a chart shows."""


class WorldsSuite:
    """Isle: twenty tasks in generated worlds, fifty fixed test worlds each."""

    name = NAME
    title = "Embodied tasks in generated worlds"
    version = EVALUATION
    unit = "hit points gained and frames saved, 0.0001 each; about 1 for a food"
    groups: tuple[str, ...] = ()
    decimals = 3

    def parts(self) -> Sequence[Part]:
        """Return its tasks and policies; every example is run by a test."""
        tasks = [
            Part("task", task, SUMMARIES[task], ("--tasks", task, "--worlds", "1", "--policy", "random"))
            for task in TASKS
        ]
        policies = [
            Part("policy", name, summary, ("--tasks", "eat", "--worlds", "2", "--policy", name))
            for name, summary in POLICIES.items()
        ]
        return [*tasks, *policies]

    def anchors(self) -> Sequence[Anchor]:
        """Return nothing: floor and ceiling are measured on the very worlds of a run."""
        return ()

    def charts(self, rows: Sequence[Row]) -> Sequence[Chart]:
        """Return figures of rows: success by difficulty, normalised scores, what goes with failure."""
        found: dict[str, list[Row]] = {}
        for row in rows:
            found.setdefault(subject_of(row), []).append(row)
        found = dict(sorted(found.items(), key=lambda one: -_mean(one[1])))  # as tables: colours are by order
        return [_by_difficulty(found), *_normalised(found), *_effects(found)]


def _mean(rows: list[Row]) -> float:
    scores = by_task(rows).values()
    return sum(sum(own) / len(own) for own in scores) / max(len(scores), 1)


def _by_difficulty(found: dict[str, list[Row]]) -> Chart:
    series = []
    for subject, rows in found.items():
        bins = summarise(rows).difficulties
        series.append(
            Series(
                subject,
                [(low + high) / 2 for low, high, _ in bins],
                [estimate.value for _, _, estimate in bins],
                [estimate.interval for _, _, estimate in bins],
                "joined",
            )
        )
    return Chart(
        "Success by difficulty",
        "difficulty",
        "share of worlds solved",
        tuple(series),
        "A share falls as worlds become harder; the oracle shows what the worlds allow. Bars are 95 % intervals.",
    )


def _normalised(found: dict[str, list[Row]]) -> list[Chart]:
    floor, oracle = (found.get(name, []) for name in POLICIES)
    series = _scaled({name: rows for name, rows in found.items() if name not in POLICIES}, floor, oracle)
    words = "Means over worlds on the scale where the random policy is 0 and the oracle 1."
    charts = [_scale("Normalised score by task", "0 random, 1 oracle", series, words)] if series else []
    people = found.get(PEOPLE, [])
    theirs = {row.item for row in people}
    others = {name: [row for row in rows if row.item in theirs] for name, rows in found.items()}
    series = _scaled(
        {name: rows for name, rows in others.items() if name not in ("random", PEOPLE)}, floor, people
    )
    words = f"Means over the worlds that people played ({len(theirs)}), where the random policy is 0 and people are 1."
    return (
        [*charts, _scale("Score beside people by task", "0 random, 1 people", series, words)]
        if series
        else charts
    )


def _scaled(found: dict[str, list[Row]], floor: list[Row], ceiling: list[Row]) -> list[Series]:
    """Return normalised scores by task, of subjects whose worlds both floor and ceiling played."""
    series = []
    for subject, rows in found.items():
        try:
            scores = normalise(rows, floor, ceiling).scores
        except EvaluationError:  # floor or ceiling was not played on these worlds
            continue
        places = [i for i, task in enumerate(TASKS) if task in scores]
        means = [sum(scores[TASKS[i]]) / len(scores[TASKS[i]]) for i in places]
        if places:
            series.append(Series(subject, places, means))
    return series


def _scale(title: str, axis: str, series: list[Series], words: str) -> Chart:
    played = sorted({int(place) for one in series for place in one.x})
    drawn = [Series(one.label, [played.index(int(place)) for place in one.x], one.y) for one in series]
    named = title if len(series) > 1 else f"{title}, {series[0].label}"  # a legend of one is not drawn
    return Chart(named, "", axis, tuple(drawn), words, x_names=tuple(TASKS[place] for place in played))


def _effects(found: dict[str, list[Row]]) -> list[Chart]:
    charts = []
    for subject, rows in found.items():
        if subject in POLICIES and set(found) - set(POLICIES):
            continue  # what stops chance or the oracle is of interest only where nothing else was played
        for task in TASKS:
            try:
                effects = failure_regression([row for row in rows if row.task == task])[:STRONGEST]
            except EvaluationError:  # too few worlds, or all ended alike
                continue
            charts.append(
                Chart(
                    f"What goes with success of {subject} on {task}",
                    "",
                    "change of log odds per standard deviation",
                    (
                        Series(
                            "parameters of worlds",
                            list(range(len(effects))),
                            [effect.coefficient for effect in effects],
                            [(effect.low, effect.high) for effect in effects],
                        ),
                    ),
                    "A parameter whose bar excludes 0 goes with success (above) or failure (below), all others held.",
                    x_names=tuple(effect.parameter for effect in effects),
                )
            )
    return charts


SUITE = WorldsSuite()
