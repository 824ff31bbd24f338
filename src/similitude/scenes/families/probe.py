"""A linear probe in closed form: how much of a factor ridge regression reads off the features of a network."""

from __future__ import annotations

import numpy as np

from similitude.core.errors import SceneError

PENALTY = 1e-3
"""Of the squared weights, beside the mean squared error of targets on standardized features."""


def ridge_probe(
    features: np.ndarray,
    targets: np.ndarray,
    *,
    test_features: np.ndarray,
    test_targets: np.ndarray,
    penalty: float = PENALTY,
) -> float:
    """Return the share of the variance of held-out targets that ridge regression on features explains.

    The weights minimize mean |Y - X W - b|^2 + penalty |W|^2, where features are standardized by what they are fitted on:
    W = (X^T X / n + penalty)^-1 X^T Y / n with both centred.

    Args:
        features: Shape (n, features).
        targets: Shape (n, numbers).
        test_features: Shape (m, features), of other pictures.
        test_targets: Shape (m, numbers).
        penalty: At least 0; 0 needs features of full rank.

    Returns:
        1 - squared error / squared deviation from the test targets' own mean, all numbers together; below 0 where the
        mean would be nearer. nan where features are not finite.

    Raises:
        SceneError: The test targets are all alike.

    Example:
        >>> x = np.arange(6.0)[:, None]
        >>> round(ridge_probe(x, 2 * x + 1, test_features=x, test_targets=2 * x + 1, penalty=0.0), 9)
        1.0
    """
    deviation = float(((test_targets - test_targets.mean(0)) ** 2).sum())
    if deviation <= 0:
        raise SceneError(
            "the test targets of a probe are all alike: there is nothing to explain. Test on more pictures."
        )
    if not (np.isfinite(features).all() and np.isfinite(test_features).all()):
        return float("nan")
    x, y = np.asarray(features, np.float64), np.asarray(targets, np.float64)
    mean, scale = x.mean(0), x.std(0)
    scale = np.where(scale > 0, scale, 1.0)  # a unit that is dead says nothing, whatever it is divided by
    x = (x - mean) / scale
    gram = x.T @ x / len(x) + penalty * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x.T @ (y - y.mean(0)) / len(x))
    predicted = (np.asarray(test_features, np.float64) - mean) / scale @ weights + y.mean(0)
    return 1 - float(((test_targets - predicted) ** 2).sum()) / deviation
