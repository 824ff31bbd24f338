"""Figures of the claims of paper 13: growth with the depth, diversity of layers, linear networks, the valley."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from similitude.checking.diversity_records import Diversity
from similitude.claims.charts import power_guide
from similitude.core.chart import Chart, Series
from similitude.report.valley_figures import valley_chart
from similitude.studies.valley_records import Valley


def growth(ratios: Mapping[float, float]) -> Chart:
    """Draw by how much the stream grows from depth 16 to 256, by the exponent of the branches."""
    return Chart(
        "Growth of the stream from depth 16 to 256",
        "alpha: branches are multiplied by L^-alpha",
        "factor",
        (Series("at initialization", list(ratios), list(ratios.values()), kind="joined"),),
        "From alpha = 1/2 on the factor should be 1.",
        source="Claim 7.1",
        y_scale="log",
        levels={"no growth": 1.0},
        places={"1/2": 0.5},
    )


def cosines(expected: Mapping[Any, float], found: Sequence[float | None]) -> Chart:
    """Draw cosines of gradients of neighbouring branches by nonlinearity.

    Args:
        expected: In theory, for branches phi(W x), by nonlinearity.
        found: For each of them that of phi(W x), that of branches far apart, and that of W phi(x).
    """
    places, values = range(len(expected)), [np.nan if value is None else value for value in found]
    return Chart(
        "Cosine of the gradients of branches",
        "nonlinearity phi",
        "cosine",
        (
            Series("phi(W x), neighbours", places, values[0::3]),
            Series("phi(W x), neighbours", places, list(expected.values()), kind="line"),
            Series("phi(W x), far apart", places, values[1::3]),
            Series("W phi(x), neighbours", places, values[2::3]),
        ),
        "Circles should lie on the line, theory: diverse for |x|, redundant without a nonlinearity. Branches W phi(x) "
        "should be at 1, redundant.",
        x_names=tuple(expected),
    )


def distances(found: Mapping[tuple[float, int], Diversity]) -> Chart:
    """Draw exponents of distances along the stream after training against the depth."""
    series = []
    for alpha in dict.fromkeys(alpha for alpha, _ in found):
        mine = {
            depth: one.trained for (a, depth), one in found.items() if a == alpha and one.trained is not None
        }
        series.append(
            Series(
                f"alpha = {alpha:g}",
                list(mine),
                [slope.slope for slope in mine.values()],
                [(slope.low, slope.high) for slope in mine.values()],
                "joined",
            )
        )
    return Chart(
        "How layers that are a share e of the depth apart differ: e to which power",
        "branches L",
        "exponent after training",
        tuple(series),
        "At alpha = 1/2 the exponent should stay near 1/2, diverse layers; at alpha = 1 it should rise towards 1, "
        "which is redundant.",
        source="Claims 7.4 and 7.5",
        x_scale="log2",
        levels={"diverse": 0.5, "redundant": 1.0},
    )


def biases(found: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> Chart:
    """Draw the width times the mean deviation of finite linear networks from the limit, by step.

    Args:
        found: By width the deviations times the width, and their standard errors, shape (steps,) each.
    """
    return Chart(
        "Deviation of linear networks from infinite width, times the width",
        "steps",
        "n x mean deviation of the output",
        tuple(
            Series(
                f"n = {width}",
                range(len(mean)),
                mean,
                [(float(m - 2 * e), float(m + 2 * e)) for m, e in zip(mean, error, strict=True)],
                "joined",
            )
            for width, (mean, error) in found.items()
        ),
        "Both widths should agree within their bars, and not be 0: the deviation goes as 1/n.",
        source="Section 4",
        levels={"none": 0.0},
    )


def doublings(depths: Sequence[int], changes: Sequence[float]) -> Chart:
    """Draw how the outputs of the limit of infinite width change when the depth doubles."""
    return Chart(
        "Approach to infinite depth",
        "depth L",
        "largest change of an output from L to 2 L",
        (
            Series("infinitely wide", depths, changes, kind="joined"),
            power_guide("1/L", depths, changes[0], -1.0),
        ),
        "The changes should fall as the dotted line.",
        source="Section 4",
        x_scale="log2",
        y_scale="log",
    )


def kinds(losses: Mapping[str, np.ndarray]) -> Chart:
    """Draw final losses by seed of kinds of branches."""
    return Chart(
        "Final loss at the best learning rate",
        "branches",
        "loss of memorisation",
        (
            Series(
                "seeds",
                [place for place, row in enumerate(losses.values()) for _ in row],
                [float(loss) for row in losses.values() for loss in row],
            ),
            Series("mean", range(len(losses)), [float(row.mean()) for row in losses.values()], kind="joined"),
        ),
        "Branches |W x|, on the left, should learn more than all others, and W relu(x), on the right, less than relu.",
        x_names=tuple(losses),
        y_scale="log",
    )


def valleys(found: Mapping[tuple[Any, int], Valley]) -> Chart:
    """Draw the best multiplier of the branches at every learning rate, by form of the blocks and depth."""
    names = {"two_layers": "two matrices", "act_last": "one matrix"}
    return valley_chart(
        {f"{names.get(block, block)}, depth {depth}": valley for (block, depth), valley in found.items()},
        look_for="With two matrices the valley should be as steep as rate^-2 at depth 1 and as rate^-1 at depth 16; with "
        "one it should be about rate^-1 at both.",
    )


def means_kept(grown: Mapping[Any, float], limits: Mapping[Any, float]) -> Chart:
    """Draw by how much streams grow with and without mean subtraction, beside the limit of infinite width.

    Args:
        grown: Log of the growth by (nonlinearity, whether means are subtracted, depth).
        limits: The same at infinite width.
    """
    series = []
    for name, center in dict.fromkeys((name, center) for name, center, _ in grown):
        depths = [depth for n, c, depth in grown if (n, c) == (name, center)]
        label = f"{name}, {'mean subtracted' if center else 'as it is'}"
        series += [
            Series(label, depths, [float(np.exp(grown[name, center, depth])) for depth in depths]),
            Series(
                label, depths, [float(np.exp(limits[name, center, depth])) for depth in depths], kind="line"
            ),
        ]
    return Chart(
        "Growth of the stream with and without mean subtraction",
        "branches L",
        "size behind the last branch over that before the first",
        tuple(series),
        "Marks should lie on their lines, the limits of infinite width: level where means are subtracted or the "
        "nonlinearity is odd, and rising as an exponential of sqrt(L) where means are kept.",
        source="Section 5",
        x_scale="log2",
        y_scale="log",
        levels={"no growth": 1.0},
    )
