"""First-order sensitivity indices of given scenes: which share of the variance of the loss each factor explains alone.

Factors with many different numbers by RBD-FAST (Tarantola et al. 2006, without the bias that Tissot and Prieur 2012
found; SALib's), or where they lie more evenly than chance, as Sobol points do, by the correlation ratio of bins; factors
with names or few numbers by the correlation ratio without its bias (Kelley 1935).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from similitude.core.errors import SceneError
from similitude.evaluation.aggregate import Estimate
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.factors import Factor, factors_of, judged
from similitude.scenes.analysis.shares import measured_of

FEWEST = 40
"""Scenes below which the indices would say nothing."""

HARMONICS = 10
"""Harmonics that RBD-FAST sums, where there are at least 20 scenes for each; Tarantola's own choice."""

RESAMPLES = 100
"""Bootstrap resamples of the intervals."""

EVEN = 0.35
"""Distance of the values from their uniform law, times the root of their number, below which they are no random draws:
random ones come that near with a probability below 1e-3 (Kolmogorov)."""

ENTANGLED = 0.3
"""Rank correlation of two factors beyond which their indices share what they explain."""


@dataclass(frozen=True)
class Sensitivity:
    """What each factor explains alone.

    Attributes:
        measure: What was explained: "loss", "right", "probability" or "margin".
        scenes: How many there were.
        indices: By factor, the largest first: share of the variance, with its interval. An estimate of a factor without
            effect scatters about 0, to both sides.
        entangled: Pairs of factors that do not vary independently, with their rank correlation: what one explains is
            ascribed to the other too. Empty for grids, random and Sobol points.
    """

    measure: str
    scenes: int
    indices: dict[str, Estimate]
    entangled: tuple[tuple[str, str, float], ...]

    @property
    def unexplained(self) -> float:
        """What no factor explains alone: interactions and noise; negative where factors are entangled."""
        return 1 - sum(one.value for one in self.indices.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "measure": self.measure,
            "scenes": self.scenes,
            "indices": {name: one.to_dict() for name, one in self.indices.items()},
            "unexplained": self.unexplained,
            "entangled": [list(pair) for pair in self.entangled],
        }


def sensitivity(rows: Iterable[Row], *, measure: str = "loss", seed: int = 0) -> Sensitivity:
    """Return first-order sensitivity indices (Sobol) of all factors.

    Use it on scenes of a grid, random or Sobol points. Scenes that a search chose lie where the loss is high; their
    indices say what matters there.

    Args:
        rows: Rows of one model.
        measure: What is to be explained: "loss", "right", "probability", "margin".
        seed: Seed of the bootstrap.

    Raises:
        SceneError: There are fewer than 40 scenes, no factor differs, or the measure is the same everywhere.

    Source: Saltelli et al., Global Sensitivity Analysis (2008), equation 4.7; Plischke (2010) for given data.
    """
    kept = judged(rows)
    y = measured_of(kept, measure)
    known = np.isfinite(y)
    if (count := int(known.sum())) < FEWEST:
        raise SceneError(
            f"{count} scenes have a '{measure}', and sensitivity indices take at least {FEWEST}. Raise the policy's "
            "count."
        )
    factors = factors_of(kept)
    if not factors:
        raise SceneError("nothing differs between these scenes. Give at least one control a range.")
    if np.ptp(y[known]) == 0:
        raise SceneError(f"'{measure}' is {y[known][0]:.4g} in every scene: there is no variance to explain.")
    indices = {name: _index(factor, y, seed) for name, factor in factors.items()}
    ordered = dict(sorted(indices.items(), key=lambda item: -item[1].value))
    return Sensitivity(measure, count, ordered, _entangled(factors))


def correlation_ratio(groups: np.ndarray, y: np.ndarray) -> float:
    """Return the share of the variance between groups, without the bias of small groups (Kelley's epsilon squared).

    Args:
        groups: The group of each value, shape (n,).
        y: Values, shape (n,), not all equal.

    Example:
        >>> correlation_ratio(np.array([0, 0, 1, 1]), np.array([1.0, 1.0, 3.0, 3.0]))
        1.0
    """
    _, which = np.unique(groups, return_inverse=True)
    n, k = len(y), int(which.max()) + 1
    return 1 - (1 - _between(which, y)) * (n - 1) / (n - k) if np.ptp(y) and n > k else float("nan")


def _index(factor: Factor, y: np.ndarray, seed: int) -> Estimate:
    x = factor.numbers
    mine = np.isfinite(x) & np.isfinite(y)
    x, y = x[mine], y[mine]
    if len(y) < FEWEST or np.ptp(y) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), len(y), "none: too few scenes")
    if factor.by_value:
        value, half, method = _by_groups(x, y, seed)
    else:
        value, half, method = (_by_bins if _even(x) else _by_fourier)(x, y, seed)
    return Estimate(value, value - half, value + half, len(y), method)


def _by_fourier(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[float, float, str]:
    from SALib.analyze import rbd_fast

    harmonics = max(2, min(HARMONICS, len(y) // 20))
    problem = {"num_vars": 1, "names": ["x"], "bounds": [[float(x.min()), float(x.max())]]}
    found = rbd_fast.analyze(problem, x[:, None], y, M=harmonics, num_resamples=RESAMPLES, seed=seed)
    # SALib draws half as many scenes as there are, whose indices scatter by a factor of sqrt(2) more than those of all.
    half = float(found["S1_conf"][0]) * 0.5**0.5
    return float(found["S1"][0]), half, f"RBD-FAST, {harmonics} harmonics, bootstrap"


def _even(x: np.ndarray) -> bool:
    """Return whether numbers fill their range, or that of their logarithms, more evenly than random ones would."""
    scales = [x, np.log(x)] if (x > 0).all() else [x]
    return any(
        stats.kstest((one - one.min()) / np.ptp(one), "uniform").statistic * len(one) ** 0.5 < EVEN
        for one in scales
    )


def _by_bins(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[float, float, str]:
    """Return the correlation ratio of bins with equally many scenes.

    Of points that lie evenly, those in a bin of one factor lie evenly in the others too: means of bins scatter less than
    means of random draws, and there is no bias to take off. Sorted for RBD-FAST, their regularity looks like a wave.
    """
    count = int(np.clip(round(len(y) ** 0.5 / 1.4), 5, 16))
    which = np.minimum((stats.rankdata(x, method="ordinal") - 1).astype(int) * count // len(x), count - 1)
    half = _half_width(_between, which, y, seed)
    return _between(which, y), half, f"correlation ratio of {count} bins, bootstrap"


def _between(which: np.ndarray, y: np.ndarray) -> float:
    sizes = np.bincount(which)
    means = np.bincount(which, y) / np.maximum(sizes, 1)
    return 1 - float(((y - means[which]) ** 2).sum() / max(((y - y.mean()) ** 2).sum(), 1e-300))


def _by_groups(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[float, float, str]:
    return correlation_ratio(x, y), _half_width(correlation_ratio, x, y, seed), "correlation ratio, bootstrap"


def _half_width(
    ratio: Callable[[np.ndarray, np.ndarray], float], x: np.ndarray, y: np.ndarray, seed: int
) -> float:
    """Return half of a 95 % interval. The spread alone is taken from the bootstrap: its mean is too high, since drawing
    anew adds to the groups' scatter."""
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(len(y), size=len(y))
        drawn.append(ratio(x[chosen], y[chosen]))
    return float(stats.norm.ppf(0.975) * np.nanstd(drawn, ddof=1))


def _entangled(factors: dict[str, Factor]) -> tuple[tuple[str, str, float], ...]:
    """Return pairs whose rank correlation is beyond chance and beyond `ENTANGLED`."""
    names = list(factors)
    found = []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            a, b = factors[first].numbers, factors[second].numbers
            both = np.isfinite(a) & np.isfinite(b)
            if both.sum() < FEWEST or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
                continue
            ranks = stats.rankdata(a[both]), stats.rankdata(b[both])
            rank = float(np.corrcoef(*ranks)[0, 1])
            if abs(rank) > max(ENTANGLED, 4 / both.sum() ** 0.5):
                found.append((first, second, rank))
    return tuple(found)
