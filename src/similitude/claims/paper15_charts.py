"""Figures of the claims of paper 15: distances from both limits, the flow along the depth, fluctuations."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from similitude.claims.charts import power_guide, theory
from similitude.core.chart import Chart, Series
from similitude.core.verdict import Evidence
from similitude.theory.finite_width.residual_flow import covariance_profile

Interval = tuple[float, float] | None
Grid = Mapping[tuple[int, int], float]


def commute(grid: Sequence[int], errors: Grid, intervals: Mapping[tuple[int, int], Interval]) -> Chart:
    """Draw errors of the covariance against the width, a line per depth."""
    lines = (
        Series(f"L = {L}", grid, [errors[n, L] for n in grid], [intervals[n, L] for n in grid], "joined")
        for L in grid
    )
    return Chart(
        "Distance from the limit of width and depth",
        "width",
        "error of the covariance",
        (*lines, power_guide("width^-1/2", grid, 1.25 * errors[grid[0], grid[0]], -0.5)),
        "Lines of all depths should fall together as the dotted one: then it does not matter whether width or depth "
        "grows first.",
        x_scale="log2",
        y_scale="log",
        ordered=True,
    )


def depth_rate(depths: Sequence[int], distances: Sequence[float], intervals: Sequence[Interval]) -> Chart:
    """Draw the distance from infinite depth against the depth."""
    return Chart(
        "Distance from infinite depth at infinite width",
        "branches L",
        "e^1/2 - mean square of the stream",
        (
            Series("measured", depths, distances, intervals, "joined"),
            power_guide("1/L", depths, 1.25 * distances[0], -1.0),
        ),
        "The distance should fall as the dotted line.",
        x_scale="log2",
        y_scale="log",
    )


def coordinates(residual: Tensor, plain: Tensor) -> Chart:
    """Draw densities of coordinates in units of their standard deviation."""
    return Chart(
        "Coordinates of networks of 64 layers of 64 units",
        "value / standard deviation",
        "density",
        (
            _histogram("residual", residual),
            _histogram("plain", plain),
            theory("Gaussian", -4.0, 4.0, lambda z: float(stats.norm.pdf(z)), log=False),
        ),
        "Those of the residual network should lie on the Gaussian; those of the plain one have a peak and long tails.",
        y_scale="log",
        y_range=(1e-4, 2.0),
    )


def flow(cosines: Sequence[float], times: Sequence[float], evidence: Sequence[Evidence]) -> Chart:
    """Draw the cosine of two inputs along the depth, from several cosines.

    Args:
        cosines: At the input.
        times: Depths at which it was measured.
        evidence: What was measured, by cosine and then by time.
    """
    series = []
    for place, cosine in enumerate(cosines):
        rows = evidence[place * len(times) : (place + 1) * len(times)]
        values = [math.nan if row.value is None else row.value for row in rows]
        line = functools.partial(_flowed, torch.tensor([[1.0, cosine], [cosine, 1.0]]))
        label = f"from {cosine:g}"
        series += [
            Series(label, times, values, [row.interval for row in rows]),
            theory(label, 0.0, 1.0, line, log=False),
        ]
    return Chart(
        "The covariance flow: cosine of two inputs along the depth",
        "depth l/L",
        "cosine",
        tuple(series),
        "Lines are the flow, marks means over networks. From every cosine inputs should grow alike as fast as the lines.",
        ordered=True,
    )


def growth(factors: Mapping[tuple[float, int], float], limit: float) -> Chart:
    """Draw the growth of the stream over the depth under several exponents of the branches."""
    depths = sorted({L for _, L in factors})
    return Chart(
        "Growth of the stream over the depth",
        "branches L",
        "mean square at the end / at the start",
        tuple(
            Series(f"gamma {gamma:g}", depths, [factors[gamma, L] for L in depths], kind="joined")
            for gamma in sorted({gamma for gamma, _ in factors})
        ),
        "Only branches of L^-1/2 should stay at one value, e^1/2, at every depth: larger ones blow up, smaller ones come "
        "to do nothing.",
        x_scale="log2",
        y_scale="log",
        levels={"e^1/2": limit},
    )


def fluctuations(
    scaled: Mapping[tuple[str, int], float],
    intervals: Mapping[tuple[str, int], Interval],
    plain: Mapping[int, float],
) -> Chart:
    """Draw variances of the covariance against the depth: residual networks by activation, and plain ones of 64 units."""
    depths = sorted({L for _, L in scaled})
    residual = (
        Series(
            f"residual, {kind}",
            depths,
            [scaled[kind, L] for L in depths],
            [intervals[kind, L] for L in depths],
            "joined",
        )
        for kind in dict.fromkeys(kind for kind, _ in scaled)
    )
    n = 64
    return Chart(
        "Fluctuations of the covariance",
        "layers L",
        "n Var(q) / q²",
        (
            *residual,
            Series(f"plain, n = {n}", list(plain), list(plain.values())),
            theory(
                f"plain, n = {n}",
                min(plain),
                max(plain),
                lambda L: n * ((1 + 5 / n) ** (L - 1) * (1 + 2 / n) - 1),
            ),
        ),
        "Those of residual networks should stay level with the depth, those of plain ones grow as (1 + 5/n)^L. Where L "
        "comes near n, networks too rare to be drawn carry that mean, and marks fall short of the line.",
        x_scale="log2",
        y_scale="log",
    )


def tangent_kernel(
    mean: np.ndarray, intervals: Sequence[Interval], recursion: np.ndarray, limit: np.ndarray
) -> Chart:
    """Draw the tangent kernel of two inputs: measured, by the recursion over layers, and at infinite depth."""
    upper = np.triu_indices(2)
    return Chart(
        "Tangent kernel of residual networks",
        "inputs",
        "kernel",
        (
            Series("mean of networks", range(3), mean[upper], intervals),
            Series("recursion over 24 layers", range(3), recursion[upper], kind="joined"),
            Series("infinite depth", range(3), limit[upper], kind="joined"),
        ),
        "Marks should lie on the recursion, and the recursion beside its limit of infinite depth.",
        x_names=("1 and 1", "1 and 2", "2 and 2"),
    )


def _flowed(q0: Tensor, time: float) -> float:
    """Return the cosine that the flow has at a depth."""
    (q,) = covariance_profile(q0, times=[time])
    return float(q[0, 1] / math.sqrt(q[0, 0] * q[1, 1]))


def _histogram(label: str, values: Tensor) -> Series:
    """Return the density of pooled values within four standard deviations."""
    density, edges = np.histogram(values.flatten().numpy(), bins=np.linspace(-4, 4, 33))
    width = edges[1] - edges[0]
    return Series(label, (edges[1:] + edges[:-1]) / 2, density / (values.numel() * width), kind="joined")
