"""The posterior of the Gaussian process that a network is at initialization (NNGP), and its marginal likelihood."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from similitude.core.citation import cites
from similitude.kernels.prediction import Prediction
from similitude.kernels.solve import Method, factored, shifts, solve
from similitude.kernels.targets import like_targets, target_rows
from similitude.kernels.train_test import TrainTest


@cites(8, "part A: the Bayesian posterior with the NNGP kernel")
def posterior(
    nngp: TrainTest,
    y: Tensor,
    *,
    ridge: float = 0.0,
    jitter: float = 0.0,
    method: Method = "auto",
    tolerance: float = 1e-6,
) -> Prediction:
    """Return the posterior given noisy values of a Gaussian process with covariance K.

    The mean is K_*X (K + ridge)^-1 y, the covariance K_** - K_*X (K + ridge)^-1 K_X*, that of the function, without the
    noise of an observation.

    Args:
        nngp: Blocks of the prior covariance K.
        y: Targets, shape (n,) or (n, C); class numbers become rows with a 1.
        ridge: Variance of the noise of the targets.
        jitter: Share of the mean diagonal that is added for numerical stability, if any.
        method: How the system is solved, see `solve`.
        tolerance: Relative residual that conjugate gradients stop at.

    Raises:
        KernelError: Shapes do not fit, or the training block is singular.

    Example:
        >>> one = torch.ones(1, 1)
        >>> mean, cov = posterior(TrainTest(one, 0.5 * one, one), torch.tensor([2.0]))
        >>> mean.item(), cov.item()
        (1.0, 0.75)

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, eq. 2.23 and 2.24.
    """
    cross, targets = nngp.cross(), target_rows(y, nngp.n, device=nngp.train.device)
    columns = targets if nngp.test is None else torch.cat([targets, cross.T], dim=1)
    solved = solve(
        nngp.train, columns, ridge=ridge, jitter=jitter, method=method, tolerance=tolerance, name=nngp.name
    )
    outputs = targets.shape[1]
    cov = None
    if nngp.test is not None:
        cov = nngp.test.double() - cross @ solved.solution[:, outputs:]
        cov = (cov + cov.T) / 2
    mean = like_targets(cross @ solved.solution[:, :outputs], y)
    return Prediction(mean, cov, float(ridge), solved.jitter, solved.residual, solved.notes)


def log_marginal_likelihood(gram: Tensor, y: Tensor, *, ridge: float = 0.0, jitter: float = 0.0) -> float:
    """Return the log density of the targets under the prior: which kernel, depth or ridge explains them best.

    It is -(y' G^-1 y + log det G + n log 2 pi) / 2 with G = gram + ridge, summed over the outputs, in nats.

    Args:
        gram: Covariance between the n training samples, shape (n, n).
        y: Targets, shape (n,) or (n, C); class numbers become rows with a 1.
        ridge: Variance of the noise of the targets.
        jitter: Share of the mean diagonal that is added for numerical stability, if any.

    Raises:
        KernelError: Shapes do not fit, or the matrix is singular.

    Example:
        >>> round(log_marginal_likelihood(torch.eye(1), torch.tensor([0.0])), 4)
        -0.9189

    Source: Rasmussen and Williams, eq. 2.30. Cost: n^3 / 3 operations.
    """
    blocks = TrainTest(gram, name="kernel")
    targets = target_rows(y, blocks.n, device=gram.device)
    ridge, added = shifts(gram, ridge, jitter)
    _, factor = factored(gram, ridge=ridge, jitter=added, name=blocks.name)
    white = torch.linalg.solve_triangular(factor, targets, upper=False)
    log_det = 2 * factor.diagonal().log().sum()
    return -0.5 * float(
        white.square().sum() + targets.shape[1] * (log_det + blocks.n * math.log(2 * math.pi))
    )
