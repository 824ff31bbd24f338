"""Mean and covariance of an ensemble of wide nets at any time of training, from their two kernels alone."""

from __future__ import annotations

import torch
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import KernelError
from similitude.kernels.arguments import real
from similitude.kernels.prediction import Prediction
from similitude.kernels.solve import Method, said_of_jitter, shifts, solve
from similitude.kernels.spectrum import spectrum
from similitude.kernels.targets import like_targets, target_rows
from similitude.kernels.train_test import TrainTest


@cites(8, "part A: mean and covariance of trained ensembles")
def ensemble(
    nngp: TrainTest,
    ntk: TrainTest,
    y: Tensor,
    *,
    time: float | None = None,
    ridge: float = 0.0,
    jitter: float = 0.0,
    method: Method = "auto",
    tolerance: float = 1e-6,
) -> Prediction:
    """Return what nets that were drawn at random and trained by gradient flow on the squared error predict on average.

    A net starts as a draw f_0 of the Gaussian process with covariance K and follows the flow of half the sum of squared
    errors, plus ridge / 2 times the squared distance of its parameters from where they began:

    > f_t(x) = f_0(x) + A_t (y - f_0(X)),  A_t = Theta_xX (Theta + ridge)^-1 (1 - exp(-t (Theta + ridge)))

    so that the mean over nets is A_t y and the covariance K_** - A_t K_X* - K_*X A_t' + A_t K_XX A_t'.

    Args:
        nngp: Blocks of the covariance K at the start; its `test` block for a covariance.
        ntk: Blocks of the tangent kernel Theta that the nets are trained by.
        y: Targets, shape (n,) or (n, C); class numbers become rows with a 1.
        time: Learning rate times steps, for a loss of half the sum of squared errors; with torch's `MSELoss`, the mean
            over n C numbers, it is 2 / (n C) times learning rate times steps. None for the end of training.
        ridge: Strength of the pull of the parameters to their start.
        jitter: Share of the mean diagonal of Theta that is added for numerical stability, if any.
        method: How the system of the end of training is solved, see `solve`; a finite time takes the spectrum.
        tolerance: Relative residual that conjugate gradients stop at.

    Raises:
        KernelError: Shapes do not fit, the time is negative, or Theta is singular and the time None.

    Source: Lee et al., arXiv 1902.06720, eq. 13 to 15. Cost: n^3 / 3 operations, or 9 n^3 for a finite time.
    """
    cross, targets = ntk.cross(), target_rows(y, ntk.n, device=ntk.train.device)
    wants_cov = nngp.test is not None
    if wants_cov and (nngp.train.shape != ntk.train.shape or nngp.cross().shape != cross.shape):
        raise KernelError(
            f"the blocks of the {nngp.name} are of {tuple(nngp.train.shape)} and {tuple(nngp.cross().shape)}, those of "
            f"the {ntk.name} of {tuple(ntk.train.shape)} and {tuple(cross.shape)}. Compute both on the same samples."
        )
    if time is None:
        columns = torch.cat([targets, cross.T], dim=1) if wants_cov else targets
        solved = solve(
            ntk.train, columns, ridge=ridge, jitter=jitter, method=method, tolerance=tolerance, name=ntk.name
        )
        outputs, weights = targets.shape[1], solved.solution
        mean, fit = cross @ weights[:, :outputs], weights[:, outputs:].T
        added, residual, notes = solved.jitter, solved.residual, solved.notes
    else:
        decay_time = checked_time(time)
        ridge, added = shifts(ntk.train, ridge, jitter)
        found = spectrum(ntk.train, name=ntk.name)
        fit = found.apply(lambda values: learned(values + ridge + added, decay_time), cross.T).T
        mean, residual = fit @ targets, None
        notes = (said_of_jitter(jitter, added),) if added else ()
    cov = None
    if nngp.test is not None:
        moved = fit @ nngp.cross().T
        cov = nngp.test.double() - moved - moved.T + fit @ nngp.train.double() @ fit.T
        cov = (cov + cov.T) / 2
    return Prediction(like_targets(mean, y), cov, float(ridge), added, residual, notes)


def learned(rates: Tensor, time: float) -> Tensor:
    """Return (1 - exp(-rate time)) / rate, which is `time` where the rate is 0."""
    decayed = -torch.expm1(-rates * time)
    return torch.where(rates * time > 1e-12, decayed / rates.clamp_min(1e-300), torch.full_like(rates, time))


def checked_time(time: float) -> float:
    """Return a time of gradient flow.

    Raises:
        KernelError: It is no number, negative or not finite.
    """
    return real(
        "time", time, remedy="Pass learning rate times steps, or leave it out (None) for the end of training."
    )
