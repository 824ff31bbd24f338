"""Figures of the claims of paper 2: sharpness along training at the edge of stability, over widths and over depths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from similitude.claims.charts import means
from similitude.core.chart import Chart, Series
from similitude.studies.consistency_records import Consistency, RuleConsistency

_NAMES = {"mup": "muP", "ntp": "NTP"}
SHARPNESS = "learning rate x sharpness"


def differences(found: Mapping[tuple[str, int], float]) -> Chart:
    """Draw by how much trained networks are off the closed recursion, against the width."""
    return Chart(
        "Trained networks and the recursion of Theorem 5.1",
        "width",
        "largest difference of an entry",
        tuple(
            Series(
                _NAMES[rule],
                [w for r, w in found if r == rule],
                [v for (r, _), v in found.items() if r == rule],
            )
            for rule in dict.fromkeys(rule for rule, _ in found)
        ),
        "Differences should be rounding errors at every width: the theorem is exact.",
        source="Theorem 5.1",
        x_scale="log2",
        y_scale="log",
        levels={"at most": 1e-10},
    )


def final_sharpness(ends: Mapping[tuple[str, int], np.ndarray], law: float) -> Chart:
    """Draw the sharpness after training against the width under both rules."""
    series = []
    for rule in dict.fromkeys(rule for rule, _ in ends):
        widths = [width for each, width in ends if each == rule]
        series.append(means(_NAMES[rule], widths, [ends[rule, width] for width in widths], kind="joined"))
    return Chart(
        "Sharpness after slow training",
        "width",
        "sharpness",
        tuple(series),
        "Under muP it should be on the dotted line, the closed form, at all widths but the smallest; under NTP it should "
        "fall to what it is at the start.",
        x_scale="log2",
        levels={"closed form": law},
    )


def edge(steps: Sequence[int], runs: Mapping[int, Sequence[float]], threshold: float) -> Chart:
    """Draw learning rate times sharpness along training, by seed."""
    return Chart(
        "The edge of stability",
        "steps",
        SHARPNESS,
        tuple(Series(f"seed {seed}", steps, run, kind="joined") for seed, run in runs.items()),
        "The lines should rise to the dotted one, where training is stable no more, and hover there.",
        source="Section 3",
        levels={f"edge: {threshold:g}": threshold},
    )


def starts(depths: Sequence[int], found: Sequence[float]) -> Chart:
    """Draw the sharpness at the start against the depth, without a rule of depth."""
    return Chart(
        "Sharpness at the start without a rule of depth",
        "branches",
        SHARPNESS,
        (Series("standard", depths, found, kind="joined"),),
        "It should grow without bound.",
        source="Section 4",
        x_scale="log2",
        y_scale="log",
    )


def over_depth(found: Mapping[int, np.ndarray], steps: Sequence[int], what: str) -> Chart:
    """Draw the sharpness along training, a line per depth.

    Args:
        found: Shape (seeds, times), by depth.
        steps: The times.
        what: The kind of blocks, in words.
    """
    return Chart(
        f"Sharpness along training with {what}",
        "steps",
        SHARPNESS,
        tuple(
            means(f"{depth} branches", steps, list(runs.T), kind="joined")
            if len(runs) > 1
            else Series(f"{depth} branches", steps, runs[0], kind="joined")
            for depth, runs in found.items()
        ),
        "With one layer per block lines of all depths should rise as one; with two they should come apart.",
        source="Section 4",
        ordered=True,
    )


def over_width(found: RuleConsistency) -> Chart:
    """Draw the sharpness along training, a line per width: means over seeds."""
    rule = _NAMES.get(found.rule, found.rule)
    return Chart(
        f"Sharpness along training under {rule}",
        "steps",
        SHARPNESS,
        tuple(
            Series(f"{found.dial} {curve.size}", curve.steps, _mean(curve.series["eta_lambda"]), kind="line")
            for curve in found.curves
        ),
        "Lines of all widths should lie on one another."
        if found.rule == "mup"
        else "Lines should rise the less, the wider the network is.",
        source="Section 3",
        ordered=True,
    )


def gaps(study: Consistency) -> tuple[Chart, ...]:
    """Draw distances of loss and sharpness to the widest network along training, under both rules."""
    made = []
    for rule, found in study.rules.items():
        kinds = {"loss": found.loss_gaps, "sharpness": found.sharpness_gaps}
        series = [
            Series(
                name, [gap.window.first for gap in rows], [_known(gap.mean) for gap in rows], kind="joined"
            )
            for name, rows in kinds.items()
            if rows
        ]
        if series:
            made.append(
                Chart(
                    f"Distance to the widest network under {_NAMES.get(rule, rule)}",
                    "steps",
                    "relative distance, mean over widths",
                    tuple(series),
                    "The gap of the loss should grow with time under both rules, that of the sharpness under muP not.",
                    source="Section 3",
                    y_scale="log",
                )
            )
    return tuple(made)


def _mean(rows: Sequence[Sequence[float]]) -> np.ndarray:
    return np.mean(np.array(rows, dtype=float), axis=0)


def _known(value: float | None) -> float:
    return math.nan if value is None else value
