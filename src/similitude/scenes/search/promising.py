"""Which settings to try next for a high loss: a Gaussian process over what is known, and many candidates."""

from __future__ import annotations

import numpy as np

from similitude.scenes.search.embedding import Embedding, steps

OPTIMISM = 2.0
"""Standard deviations above the mean at which candidates are compared."""

APART = 0.4
"""Distance from a loss that was left within which nothing is asked for, per root of a column; a range is 3 long."""

_ANYWHERE, _NEAR = 1024, 512  # candidates
_STRIDES = (0.3, 0.1, 0.03)  # of candidates near the worst settings, as shares of a range
_ORIGINS = 4  # worst settings that candidates are near to
_FLOOR = 0.05  # added to losses before logarithms


def promising(
    embedding: Embedding,
    points: np.ndarray,
    losses: np.ndarray,
    *,
    count: int,
    patience: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the points where the loss may be the highest.

    Args:
        embedding: The space, of d dimensions.
        points: Points of its unit cube whose losses are known, shape (N, d).
        losses: Losses, shape (N,); nan where there is none, which counts as the median.
        count: How many.
        patience: After how many points without a higher loss its neighbourhood is left.
        rng: Draws.

    Returns:
        Shape (at most count, d); fewer where there are no other settings.
    """
    from similitude.tuning.search.gaussian_process import GaussianProcess  # imports torch

    known = embedding(points)
    values = standardized(losses)
    process = GaussianProcess.fit(known, values, categorical=embedding.categorical)
    left = known[left_behind(known, values, patience)]
    worst = points[_open(known, left)]
    worst = worst[np.argsort(-values[_open(known, left)], kind="stable")[:_ORIGINS]]
    drawn = _candidates(embedding, worst, rng)
    columns = embedding(drawn)
    fresh = ~_within(columns, known, 1e-9)
    drawn, columns = drawn[fresh], columns[fresh]
    if (outside := _open(columns, left)).any():
        drawn, columns = drawn[outside], columns[outside]
    found: list[np.ndarray] = []
    while len(found) < count and len(drawn):
        mean, variance = process.predict(columns)
        best = int(np.argmax(mean + OPTIMISM * np.sqrt(variance)))
        found.append(drawn[best])
        process = process.imagined(columns[best : best + 1], mean[best : best + 1])
        others = ~_within(columns, columns[best : best + 1], 1e-9)
        drawn, columns = drawn[others], columns[others]
    return np.array(found).reshape(-1, points.shape[1])


def standardized(losses: np.ndarray) -> np.ndarray:
    """Return logarithms of losses with mean 0 and deviation 1; those that are not finite count as the median."""
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return np.zeros(len(losses))
    lowest = min(0.0, float(finite.min()))  # scores of evaluators without losses are below 0
    values = np.log(np.where(np.isfinite(losses), losses, np.median(finite)) - lowest + _FLOOR)
    return (values - values.mean()) / max(float(values.std()), 1e-9)


def left_behind(columns: np.ndarray, values: np.ndarray, patience: int) -> np.ndarray:
    """Return the places in the sequence of the highest values whose neighbourhoods were left, in their order.

    Args:
        columns: Points in the order in which they were asked for, shape (N, columns).
        values: Their values, shape (N,).
        patience: Points without a higher value after which that is.
    """
    left: list[int] = []
    best, since = -1, 0
    for now in range(len(values)):
        if not _open(columns[now : now + 1], columns[left])[0]:
            continue
        if best < 0 or values[now] > values[best]:
            best, since = now, 0
            continue
        since += 1
        if since >= patience:
            left.append(best)
            others = np.flatnonzero(_open(columns[: now + 1], columns[left]))
            best = int(others[np.argmax(values[others])]) if len(others) else -1
            since = 0
    return np.array(left, int)


def _candidates(embedding: Embedding, worst: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return points anywhere, and near the worst ones: a step changes each dimension with a probability of a half."""
    space = embedding.space
    d = len(space)
    anywhere = rng.random((_ANYWHERE, d))
    if not len(worst):
        return anywhere
    start = worst[rng.integers(0, len(worst), _NEAR)]
    stride = rng.choice(_STRIDES, (_NEAR, 1))
    changed = rng.random((_NEAR, d)) < max(0.5, 1 / d)
    moved = start + stride * rng.standard_normal((_NEAR, d))
    for column, (name, dim) in enumerate(space.items()):
        if embedding.periods[name]:
            moved[:, column] %= 1.0
        elif steps(dim) is not None:  # a step would seldom reach another value
            moved[:, column] = rng.random(_NEAR)
        else:
            moved[:, column] = np.clip(moved[:, column], 0.0, 1.0)
    return np.concatenate([anywhere, np.where(changed, moved, start)])


def _open(columns: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Return which points are in no neighbourhood that was left."""
    return ~_within(columns, left, APART * np.sqrt(columns.shape[1]))


def _within(columns: np.ndarray, others: np.ndarray, distance: float) -> np.ndarray:
    """Return which points have one of others within a distance, shape (N,)."""
    if not len(others):
        return np.zeros(len(columns), bool)
    apart = np.linalg.norm(columns[:, None] - others[None], axis=-1)
    return (apart <= distance).any(1)
