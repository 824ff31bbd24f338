"""Batch norm in train mode, at finite batch, and the activation after it: covariance and tangent kernel.

Activations of degree 1 (ReLU, leaky ReLU, |x|, none) by integrals over the radius; any other by an average over draws,
with a standard error. Infinite width leaves the batch finite: its statistics stay random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.batch_norm_draws import sampled
from similitude.kernels.duals.base import Dual
from similitude.kernels.duals.rectified import Rectified
from similitude.kernels.radial import Tilted, radii, tilted_pair, tilted_single

BLOCK = 2**15
"""Entries of covariances that are tilted at a time, to fit a cache."""


@dataclass(frozen=True)
class Normed:
    """Covariance and tangent kernel of phi(batch norm(x)). Made by `batch_norm` and `batch_norm_pair`.

    Attributes:
        covariance: Shape (n, m).
        tangent: Shape (n, m); None where none was asked for.
        exact: Whether both are integrals over the radius, right to rounding.
        covariance_error: Standard error of the covariance where it is an average over draws, else 0; shape (n, m).
        tangent_error: Likewise of the tangent kernel.
    """

    covariance: Tensor
    tangent: Tensor | None
    exact: bool
    covariance_error: Tensor
    tangent_error: Tensor | None


@torch.no_grad()
def batch_norm(
    phi: Dual,
    covariance: Tensor,
    *,
    tangent: Tensor | None = None,
    eps: float = 1e-5,
    gain_rate: float = 0.0,
    bias_rate: float = 0.0,
    tolerance: float = 0.003,
    most_draws: int = 2**18,
    seed: int = 0,
) -> Normed:
    """Return what phi(batch norm(x)) has between the samples of one batch, whose statistics all of them share.

    With x ~ N(0, K) over the n samples of the batch (and positions, where statistics are over these too), centred
    to Gx, and r^2 = |Gx|^2 + n eps, batch norm makes z = sqrt(n) Gx / r. For phi of degree 1 and S = GKG,

        E phi(z_a) phi(z_b) = n E phi(x_a) phi(x_b) / r^2 = n int_0^inf exp(-n eps s) det(I + 2sS)^(-1/2) R_ab(C_s) ds,

    as 1 / r^2 = int exp(-s r^2) ds and the Gaussian times exp(-s |x|^2) is one of covariance C_s = S (I + 2sS)^-1; R is
    the dual of phi. Gradients are d phi(z_a) / dx = sqrt(n) (phi'_a e_a / r - phi_a x / r^3), so with T' = GTG

        tangent_ab = n E [phi'_a phi'_b T'_ab / r^2 - (phi'_a phi_b (T'x)_a + phi_a phi'_b (T'x)_b) / r^4
                          + phi_a phi_b x.T'x / r^6],

    where Stein's lemma does the averages under C_s and 1 / r^2p brings s^(p-1) / (p-1)!.

    Args:
        phi: What follows the norm; `dual(torch.nn.Identity())` where nothing does.
        covariance: K, shape (n, n).
        tangent: Tangent kernel of x, shape (n, n); None where that of the outputs is not wanted.
        eps: The norm's own, added to the variance.
        gain_rate: What training the gains adds, in units of E z_a phi'_a z_b phi'_b.
        bias_rate: What training the biases adds, in units of E phi'_a phi'_b.
        tolerance: Standard error, relative to the largest entry, at which drawing ends, where draws are needed.
        most_draws: Draws after which it ends in any case.
        seed: Of the draws.

    Raises:
        KernelError: The batch has one sample, whose norm is 0 / 0, or does not vary at all and eps is 0.

    Example:
        >>> from similitude.kernels.duals import dual
        >>> K = torch.tensor([[2.0, 0.3], [0.3, 1.0]], dtype=torch.float64)  # of two samples one is 1, the other -1
        >>> batch_norm(dual(torch.relu), K, eps=0.0).covariance.round(decimals=9).tolist()
        [[0.5, 0.0], [0.0, 0.5]]

    Source: derived here, as no source has it for a finite batch; Yang et al., A mean field theory of batch
    normalization (2019, arXiv:1902.08129), has the recursion of the covariance by similar integrals.

    Cost: About 60 products of n x n matrices, three times as many with the tangent kernel; O(draws n^2) for other phi.
    """
    _require_batch(covariance, eps)
    if not isinstance(phi, Rectified):
        joint = _centred(covariance)
        moved = None if tangent is None else _centred(tangent)
        return _drawn(
            phi,
            joint,
            (len(joint), None),
            moved,
            eps=eps,
            rates=(gain_rate, bias_rate),
            tolerance=tolerance,
            most_draws=most_draws,
            seed=seed,
        )
    n, S = len(covariance), _centred(covariance)
    T = None if tangent is None else _centred(tangent)
    values, vectors = torch.linalg.eigh(S)
    values = values.clamp_min(0)
    moving = T is not None and _moves(values, n * eps, divergent=2)
    K, theta = torch.zeros_like(S), torch.zeros_like(S)
    for s, weight in radii(values, floor=n * eps, shrinking=not moving):
        at = tilted_single(phi, (vectors * (values / (1 + 2 * s * values))) @ vectors.T)
        K.add_(at.R, alpha=n * weight)
        if T is not None and moving:
            theta.add_(_single_tangent(at, T, s), alpha=n * weight)
    if T is None:
        return Normed(K, None, True, torch.zeros_like(K), None)
    theta = theta + gain_rate * K
    if bias_rate:
        theta += bias_rate * phi.derivative(S, S.diagonal()[:, None], S.diagonal()[None])
    return Normed(K, theta, True, torch.zeros_like(K), torch.zeros_like(theta))


@torch.no_grad()
def batch_norm_pair(
    phi: Dual,
    left: Tensor,
    right: Tensor,
    cross: Tensor,
    *,
    tangent: Tensor | None = None,
    eps: float = 1e-5,
    gain_rate: float = 0.0,
    bias_rate: float = 0.0,
    tolerance: float = 0.003,
    most_draws: int = 2**18,
    seed: int = 0,
) -> Normed:
    """Return what phi(batch norm(x)) has between the samples of two batches, each with statistics of its own.

    As `batch_norm`, with an integral over the radius of either batch: 1 / r = pi^(-1/2) int s^(-1/2) exp(-s r^2) ds.

    Args:
        phi: What follows the norm.
        left: Covariance of the first batch, shape (n, n).
        right: Covariance of the second batch, shape (m, m).
        cross: Covariance between both, shape (n, m).
        tangent: Tangent kernel between both before the norm, shape (n, m); None where none is wanted.
        eps: The norm's own, added to the variances.
        gain_rate: What training the gains adds, in units of E z_a phi'_a z_b phi'_b.
        bias_rate: What training the biases adds, in units of E phi'_a phi'_b.
        tolerance: Standard error, relative to the largest entry, at which drawing ends, where draws are needed.
        most_draws: Draws after which it ends in any case.
        seed: Of the draws.

    Raises:
        KernelError: A batch has one sample, or does not vary at all and eps is 0.

    Cost: A few thousand solutions of systems of order n + m.
    """
    _require_batch(left, eps)
    _require_batch(right, eps)
    n, m = cross.shape
    S11, S22, S12 = _centred(left), _centred(right), _centred(cross)
    S = torch.cat([torch.cat([S11, S12], 1), torch.cat([S12.T, S22], 1)])
    T = None if tangent is None else _centred(tangent)
    if not isinstance(phi, Rectified):
        return _drawn(
            phi,
            S,
            (n, m),
            T,
            eps=eps,
            rates=(gain_rate, bias_rate),
            tolerance=tolerance,
            most_draws=most_draws,
            seed=seed,
        )
    K, theta = torch.zeros_like(S12), torch.zeros_like(S12)
    scale = math.sqrt(n * m) / math.pi
    spectra = [torch.linalg.eigvalsh(part).clamp_min(0) for part in (S11, S22)]
    moving = T is not None and _moves(spectra[0], n * eps) and _moves(spectra[1], m * eps)
    first, second = (
        radii(values, floor=count * eps, power=-0.5, determinant=False, shrinking=not moving)
        for values, count in zip(spectra, (n, m), strict=True)
    )
    tilts = torch.tensor(second, dtype=S.dtype).to(S.device)
    for s, weight in first:
        for part in tilts.split(max(1, BLOCK // S.numel())):
            t = part[:, 0]
            at, determinant = tilted_pair(phi, S, n, s, t)
            factor = (scale * weight * part[:, 1] * determinant)[:, None, None]
            K += (factor * at.R).sum(0)
            if T is not None and moving:
                theta += (factor * _pair_tangent(at, T, s, t[:, None, None])).sum(0)
    if T is None:
        return Normed(K, None, True, torch.zeros_like(K), None)
    theta += gain_rate * K
    if bias_rate:
        theta += bias_rate * phi.derivative(S12, S11.diagonal()[:, None], S22.diagonal()[None])
    return Normed(K, theta, True, torch.zeros_like(K), torch.zeros_like(theta))


def _drawn(
    phi: Dual,
    joint: Tensor,
    sizes: tuple[int, int | None],
    tangent: Tensor | None,
    *,
    eps: float,
    rates: tuple[float, float],
    tolerance: float,
    most_draws: int,
    seed: int,
) -> Normed:
    means, errors = sampled(
        phi,
        joint,
        sizes,
        tangent,
        eps=eps,
        rates=rates,
        tolerance=tolerance,
        most_draws=most_draws,
        seed=seed,
    )
    tail = (means[1], errors[1]) if tangent is not None else (None, None)
    return Normed(means[0], tail[0], False, errors[0], tail[1])


def _single_tangent(at: Tilted, T: Tensor, s: float) -> Tensor:
    """Return D T - s (B + B^T) + s^2 C / 2, the integrand of the tangent kernel of one batch."""
    TC = T @ at.C11
    CTC = at.C11 @ TC
    B = TC.diagonal()[:, None] * at.F + TC * at.D
    through = CTC.diagonal()[:, None] * at.F
    C = TC.trace() * at.R + 2 * CTC * at.D + through + through.T
    return at.D * T - s * (B + B.T) + s**2 / 2 * C


def _pair_tangent(at: Tilted, T: Tensor, s: float, t: Tensor) -> Tensor:
    """Return the integrand of the tangent kernel of two batches.

    1 / r^3 brings s^(1/2) / Gamma(3/2), which is 2 s times the s^(-1/2) / Gamma(1/2) of 1 / r.
    """
    C21 = at.C12.mT
    CT, C21T, TC21 = at.C11 @ T, C21 @ T, T @ C21
    behind = _down(TC21) * at.F + (T @ at.C22) * at.D  # E phi'_a phi_b (T x')_a
    ahead = CT * at.D + _along(C21T) * at.F2  # E phi_a phi'_b (x.T)_b
    both = (T * at.C12).sum((-2, -1), keepdim=True) * at.R  # E phi_a phi_b x.T x'
    both = both + _down(CT @ C21) * at.F + _along(C21T @ at.C22) * at.F2
    both = both + (CT @ at.C22 + (C21T @ C21).mT) * at.D
    return at.D * T - 2 * t * behind - 2 * s * ahead + 4 * s * t * both


def _down(matrix: Tensor) -> Tensor:
    return matrix.diagonal(dim1=-2, dim2=-1)[..., :, None]


def _along(matrix: Tensor) -> Tensor:
    return matrix.diagonal(dim1=-2, dim2=-1)[..., None, :]


def _moves(eigenvalues: Tensor, floor: float, divergent: int | None = None) -> bool:
    """Tell whether a normed batch can move; refuse where its gradients have no second moment.

    Without eps, samples that differ along one direction alone are +-1 after the norm; along two, E 1 / r^2 is infinite.
    """
    rank = int((eigenvalues > 1e-13 * eigenvalues.max()).sum())
    if floor > 0 or rank > 2 or (rank == 2 and divergent != 2):
        return True
    if rank == 1:
        return False
    raise KernelError(
        "The tangent kernel behind batch norm is infinite: the batch varies in 2 directions, where 1 / variance has no "
        "expectation at eps=0. Pass eps > 0 or a batch of four or more."
    )


def _centred(matrix: Tensor) -> Tensor:
    return matrix - matrix.mean(0, keepdim=True) - matrix.mean(1, keepdim=True) + matrix.mean()


def _require_batch(covariance: Tensor, eps: float) -> None:
    n = len(covariance)
    if n < 2:
        raise KernelError(
            f"Batch norm in train mode over {n} value(s) has no variance to divide by. Pass a batch of two or more, or "
            "use eval mode."
        )
    variance = float(_centred(covariance).diagonal().sum()) / n
    if eps == 0 and variance <= 1e-14 * float(covariance.diagonal().mean()):
        raise KernelError(
            f"Batch norm of a batch that does not vary (variance {variance:.1e}) at eps=0 is 0 / 0. Pass samples that "
            "differ."
        )
