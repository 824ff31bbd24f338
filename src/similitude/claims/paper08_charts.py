"""Figures of the claims of paper 8 on finite width: decay with depth, L/n fluctuations, the catapult."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from similitude.claims.charts import theory
from similitude.core.chart import Chart, Series
from similitude.core.verdict import Evidence
from similitude.theory.finite_width.ntk_fluctuation import ntk_relative_second_moment

Interval = tuple[float, float]


def depth_scale(apart: np.ndarray, scale: float, *, first: int) -> Chart:
    """Draw squared distances of two inputs by layer, and the decay that theory says.

    Args:
        apart: Mean squared distances, by layer.
        scale: Layers over which they fall by e, in theory.
        first: Number of the first layer.
    """
    layers = list(range(first, first + len(apart)))
    line = theory(
        "squared distance",
        layers[0],
        layers[-1],
        lambda layer: float(apart[0]) * math.exp((first - layer) / scale),
        log=False,
    )
    return Chart(
        "Two inputs grow alike in the ordered phase",
        "layer",
        "squared distance of two inputs",
        (Series("squared distance", layers, apart), line),
        "Marks should lie on the line, exp(-l / xi) from the first of them.",
        y_scale="log",
    )


def critical_line(found: Mapping[float, tuple[float, Interval]]) -> Chart:
    """Draw the factor on squared distances per layer, below the critical line, on it and above."""
    return Chart(
        "Order and chaos",
        "C_W / its critical value",
        "factor on squared distances per layer",
        (Series("tanh", list(found), [v for v, _ in found.values()], [ends for _, ends in found.values()]),),
        "The factor should cross 1 where C_W is critical.",
        levels={"neither grow nor fall": 1.0},
        places={"critical": 1.0},
    )


def fourth_cumulant(
    labels: Sequence[str], ratios: Sequence[float], theories: Sequence[float], evidence: Sequence[Evidence]
) -> Chart:
    """Draw Var(S) / K^2 against L/n, measured and by the recursion, case by case."""
    series = []
    for label in dict.fromkeys(labels):
        mine = sorted(
            (i for i, each in enumerate(labels) if each == label), key=lambda i: (ratios[i], theories[i])
        )
        x = [ratios[i] for i in mine]
        values = [_value(evidence[i]) for i in mine]
        series += [
            Series(label, x, values, [evidence[i].interval for i in mine]),
            Series(label, x, [theories[i] for i in mine], kind="line"),
        ]
    return Chart(
        "Preactivations are not Gaussian: fluctuations of their variance",
        "L/n",
        "Var(S) / K²",
        tuple(series),
        "Marks should lie on their lines, the recursion, and go to 0 with L/n.",
        y_scale="log",
    )


def log_normal(
    logs: Mapping[tuple[int, int], np.ndarray], evidence: Sequence[Evidence]
) -> tuple[Chart, Chart]:
    """Draw the size of outputs: its mean and variance against L/n, and its distribution over networks.

    Args:
        logs: Logs of the size of every network, by n and L.
        evidence: beta by the variance and by the mean of the log, in the same order.
    """
    ratios = [L / n for n, L in logs]
    series = []
    for place, what in enumerate(("variance", "mean")):
        rows = evidence[place::2]
        series.append(
            Series(f"by the {what}", ratios, [_value(row) for row in rows], [row.interval for row in rows])
        )
    moments = Chart(
        "Spread of the size of a network's output",
        "L/n",
        "beta",
        (*series, theory("5 L/n", 0.0, 1.1 * max(ratios), lambda ratio: 5 * ratio, log=False)),
        "Marks should lie on the line, and those of one L/n on one another, whatever L and n are.",
    )
    shapes = []
    for (n, L), log in logs.items():
        beta = 5 * L / n
        density, edges = np.histogram(
            (log + beta / 2) / math.sqrt(beta), bins=np.linspace(-4, 4, 25), density=True
        )
        shapes.append(Series(f"n {n}, L {L}", (edges[1:] + edges[:-1]) / 2, density))
    normal = theory("normal", -4.0, 4.0, lambda z: math.exp(-z * z / 2) / math.sqrt(2 * math.pi), log=False)
    return moments, Chart(
        "The log of the size is normal",
        "(log of the size + beta/2) / sqrt(beta)",
        "density",
        (*shapes, normal),
        "Marks of all widths and depths should lie on the one line.",
    )


def tangent_fluctuation(found: Sequence[tuple[Sequence[int], float, Interval]]) -> Chart:
    """Draw second moments of the tangent kernel against the depth, for networks whose layers are of one width."""
    even = [(widths[0], len(widths), value, ends) for widths, value, ends in found if len(set(widths)) == 1]
    series = []
    for width in dict.fromkeys(width for width, *_ in even):
        mine = [(L, value, ends) for n, L, value, ends in even if n == width]
        depths = range(1, max(L for L, *_ in mine) + 1)
        label = f"width {width}"
        series += [
            Series(label, [L for L, *_ in mine], [v for _, v, _ in mine], [ends for *_, ends in mine]),
            Series(label, depths, [ntk_relative_second_moment([width] * L) for L in depths], kind="line"),
        ]
    return Chart(
        "Fluctuations of the tangent kernel",
        "layers L",
        "E[Theta²] / E[Theta]²",
        tuple(series),
        "Marks should lie on their lines, which grow with L/n; without fluctuations all would be at 1.",
        y_scale="log",
        levels={"infinite width": 1.0},
    )


def catapult(found: Mapping[float, Sequence[float]]) -> Chart:
    """Draw the curvature after training against that before, both times the learning rate."""
    kept = [(rate, end) for rate, ends in found.items() for end in ends if math.isfinite(end)]
    return Chart(
        "The catapult: curvature before and after training",
        "learning rate x curvature at the start",
        "learning rate x curvature at the end",
        (
            Series("networks", [rate for rate, _ in kept], [end for _, end in kept]),
            Series("unchanged", [0.0, 2.0], [0.0, 2.0], kind="guide"),
        ),
        "Below 2 the curvature should stay (dotted), between 2 and 4 it should end below 2; beyond 4 training diverges, "
        "and there is no mark.",
        levels={"stable below": 2.0},
        places={"catapult": 2.0, "divergence": 4.0},
    )


def _value(row: Evidence) -> float:
    return math.nan if row.value is None else row.value
