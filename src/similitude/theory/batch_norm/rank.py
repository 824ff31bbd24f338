"""Whether gradients explode with depth behind batch norm, by the rank of the batch's rows and the width (paper 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.theory.batch_norm.gaps import matrix, precision
from similitude.theory.finite_width.given import whole

Weights = Literal["orthogonal", "gaussian"]
SHORT = 0.9
"""Share of the width below which a rank counts as well below it; two equal samples among 50 have no visible effect."""


@cites(3, "Theorem 2, and what it rules out: gradients that explode")
def gradient_rate(rank: int, width: int, *, weights: Weights = "orthogonal") -> float:
    """Return the expected growth of log |gradient| per layer of a deep linear network with batch norm, backwards.

    Batch norm divides a row by its size, whose inverse square has the mean r / (r - 2) for Gaussian weights, and takes
    one of r directions away: together (r - 1) / (r - 2). Orthogonal weights keep the sum of the rows' squares, which
    lowers it by the same at r = d: to (r - 1)(d - 2) / ((r - 2)(d - 1)). Half of its logarithm is the rate. The first is
    the mean field of wide networks; the second is a heuristic of ours, within a fifth of what networks do up to r = d/2
    (see docs/signal.md).

    Args:
        rank: r, of features times samples; without the mean of each feature where batch norm removes it.
        width: d.
        weights: "orthogonal", or "gaussian" of independent entries.

    Returns:
        0 for orthogonal weights at full rank; infinite for ranks up to 2, where the mean square has no bound.

    Raises:
        TheoryError: A number is out of range, or the rank is above the width.

    Example:
        >>> gradient_rate(48, 48), round(gradient_rate(24, 48), 4), round(gradient_rate(8, 256, weights="gaussian"), 4)
        (0.0, 0.0115, 0.0771)
    """
    r, d = whole("rank", rank), whole("width", width)
    if weights not in get_args(Weights):
        raise TheoryError(f"weights={weights!r}: choose one of {get_args(Weights)}.")
    if r > d:
        raise TheoryError(f"rank={r} is above width={d}: rows of {d} features have rank {d} at most.")
    if weights == "orthogonal" and r == d:
        return 0.0
    if r <= 2:
        return math.inf
    ratio = (r - 1) / (r - 2)
    return 0.5 * math.log(ratio if weights == "gaussian" else ratio * (d - 2) / (d - 1))


@dataclass(frozen=True)
class RankCondition:
    """Whether a batch has the rank that a width needs. Made by `rank_condition`.

    Attributes:
        rank: Of the batch's rows behind the first layer: that of the inputs, at most the width.
        width: Features of the layers.
        samples: In the batch, times positions.
        centred: Whether means were removed.
        rate: Expected growth of log |gradient| per layer with orthogonal weights.
        verdict: `ok`, or `grows` where the rank is well below the width.
    """

    rank: int
    width: int
    samples: int
    centred: bool
    rate: float
    verdict: Verdict

    @property
    def enough(self) -> bool:
        """Whether the rank is near the width."""
        return self.verdict.ok

    def growth(self, depth: int) -> float:
        """Return the factor by which gradients are expected to grow over some layers.

        Example:
            >>> round(rank_condition(torch.eye(24), 48).growth(100), 2)
            3.15
        """
        return math.exp(min(self.rate * whole("depth", depth), 700.0))


@cites(3, "Theorem 2: its condition")
def rank_condition(batch: Tensor, width: int, *, centred: bool = False) -> RankCondition:
    """Tell whether a batch is large and varied enough for batch norm at a width to keep gradients from exploding.

    The paper asks for linearly independent samples, as many as features. What counts is the rank of the rows: with
    fewer directions than features no batch norm layer can make all features orthogonal.

    Args:
        batch: What the first layer is given, shape (samples, ...): further axes are features.
        width: Features of the layers.
        centred: Whether batch norm removes the mean, as `torch.nn.BatchNorm1d` does.

    Raises:
        TheoryError: The batch is no finite tensor, has no two samples, or does not vary.

    Example:
        >>> found = rank_condition(torch.eye(24), 48)
        >>> found.rank, found.enough, round(found.rate, 4)
        (24, False, 0.0115)
        >>> rank_condition(torch.eye(64), 48).rate
        0.0
    """
    d = whole("width", width)
    if not isinstance(batch, Tensor) or batch.ndim < 2 or len(batch) < 2:
        found = f"shape {tuple(batch.shape)}" if isinstance(batch, Tensor) else f"type {type(batch).__name__}"
        raise TheoryError(f"batch has {found}: batch norm needs two samples or more, shape (samples, ...).")
    if not batch.is_floating_point():
        raise TheoryError(f"batch is of {batch.dtype}: pass what the first layer is given, as floats.")
    rows = matrix("batch", batch.flatten(1))
    found = row_rank(rows, centred=centred, tolerance=precision(batch))
    return judge_rank(min(found, d), d, samples=len(batch), centred=centred)


def row_rank(rows: Tensor, *, centred: bool, tolerance: float) -> int:
    """Return the numerical rank of samples times features.

    Args:
        rows: Shape (samples, features).
        centred: Whether the mean of every feature is removed.
        tolerance: Share of the largest singular value below which one counts as zero.

    Raises:
        TheoryError: Nothing is left without the means.
    """
    size = float(rows.norm())
    rows = rows - rows.mean(0) if centred else rows
    if not float(rows.norm()) > tolerance * size:
        raise TheoryError(
            "all samples are equal: batch norm divides by their spread, which is 0. Pass different ones."
        )
    values = torch.linalg.svdvals(rows)
    return int((values > tolerance * values[0]).sum())


def judge_rank(rank: int, width: int, *, samples: int, centred: bool) -> RankCondition:
    """Say what a rank means at a width; the arguments are attributes of `RankCondition`."""
    rate = gradient_rate(rank, width)
    evidence = (
        Evidence("rank of the rows", float(rank), None, f"{SHORT:.0%} of {width} or more"),
        Evidence("expected growth of log |gradient| per layer, orthogonal weights", rate, None, "0"),
    )
    if rank >= SHORT * width:
        text = f"rows of rank {rank} at width {width}: batch norm can make all features orthogonal"
        return RankCondition(rank, width, samples, centred, rate, Verdict(Outcome.OK, text, evidence))
    text = (
        f"rows of rank {rank} are too few directions for {width} features: gradients grow with depth by a factor of "
        f"{math.exp(rate):.4g} per layer even with orthogonal weights"
    )
    needed = width + centred
    narrower = f"a width of {rank}: map the inputs to it first"
    if samples < needed:
        cause = f"the batch has {samples} samples, and {needed} are needed"
        step = f"a batch of at least {needed} different samples, or {narrower}"
    else:
        cause = (
            f"the {samples} samples span {rank} directions alone: constant features, equal samples, or a narrow layer "
            "before"
        )
        step = narrower
    verdict = Verdict(Outcome.GROWS, text, evidence, (cause,), step)
    return RankCondition(rank, width, samples, centred, rate, verdict)
