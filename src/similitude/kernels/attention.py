"""Softmax attention of infinitely many heads, wide or of a fixed size: covariance and tangent kernel of what it returns.

Hron, Bahri, Sohl-Dickstein & Novak, Infinite attention: NNGP and NTK for deep attention networks (2020), Theorem 3;
Yang, Tensor Programs I (2019, arXiv:1910.12478), Appendix A (1/d logits).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.attention_draws import Factors, Logits
from similitude.kernels.point_sets import averages

ENTRIES = 2**21
"""Entries of attention weights that are held at a time: 16 MB."""

MOST_POINTS = 256
"""Points of a set that are drawn at a time, memory allowing."""

_NO_KEY = "A query attends to no key: its mask is -inf throughout. Let it attend to one, such as itself."


@dataclass(frozen=True)
class PairCovariance:
    """Covariances of one wide value (queries, keys or values) over the positions of two sequences, for many pairs.

    Leading axes broadcast: for all pairs of n and m samples `left` has shape (n, 1, L, L), `right` (1, m, R, R) and
    `cross` (n, m, L, R); for samples that are paired with themselves all three are the same tensor, of shape (n, L, L).

    Attributes:
        left: Covariance over the positions of the first sequence, shape (..., L, L).
        right: Covariance over the positions of the second sequence, shape (..., R, R).
        cross: Covariance between both, shape (..., L, R).
        tangent: Tangent kernel between both, shape (..., L, R); None where none is wanted.
    """

    left: Tensor
    right: Tensor
    cross: Tensor
    tangent: Tensor | None = None

    def double(self) -> PairCovariance:
        """Return it in float64, what is one tensor as one tensor."""
        left = self.left.double()
        right = left if self.right is self.left else self.right.double()
        cross = left if self.cross is self.left else self.cross.double()
        return PairCovariance(left, right, cross, None if self.tangent is None else self.tangent.double())


@dataclass(frozen=True)
class Attended:
    """Covariance and tangent kernel of what attention returns, over pairs of positions of both sequences.

    Attributes:
        covariance: Shape (..., L, R).
        tangent: Shape (..., L, R); None where the values have none.
        covariance_error: Standard error of the covariance, of the same shape.
        tangent_error: Standard error of the tangent kernel, of the same shape.
        draws: Draws of the logits that were averaged.
    """

    covariance: Tensor
    tangent: Tensor | None
    covariance_error: Tensor
    tangent_error: Tensor | None
    draws: int


@torch.no_grad()
def softmax_attention(
    queries: PairCovariance,
    keys: PairCovariance,
    values: PairCovariance,
    *,
    scale: float = 1.0,
    size: int | None = None,
    masks: tuple[Tensor, Tensor] | None = None,
    tolerance: float = 0.01,
    most_draws: int = 16384,
    seed: int = 0,
) -> Attended:
    """Return covariance and tangent kernel of attention with logits scale * q.k / sqrt(d) and infinitely many heads.

    The logits G_ac = scale q_a.k_c / sqrt(d) of an infinitely wide head are Gaussian with covariance
    scale^2 Q(a, a') K(c, c') (Q, K: covariances of queries and keys), and independent of its values. With P = softmax(G)
    row by row, V the covariance of the values, and primes for the second sequence,

        covariance(a, a') = E sum_cc' P_ac V(c, c') P'_a'c'.

    The tangent kernel sums products of gradients of a head's output y = P v. Through the values it is
    E sum_cc' P_ac Tv(c, c') P'_a'c'. Through the logits, with J_a = diag(P_a) - P_a P_a^T (how P_a moves with G_a),

        E sum_cc' [J_a V J'_a']_cc' TG(ac, a'c'),    TG = scale^2 (Tq(a, a') K(c, c') + Q(a, a') Tk(c, c')),

    for queries and keys have weights of their own: of sum_ij q_i q'_j (grad k_i . grad k'_j) / d the terms i = j stay,
    where the queries give their covariance and the keys their tangent kernel, and vice versa. Terms that mix values with
    logits, or queries with keys by way of what both are made of, have factors of weights with mean zero, and vanish.
    For any matrix M over keys, J_a V J'_a' summed against M is

        P (V * M) P'^T - ((P M) * (P V)) P'^T - P ((M P'^T) * (V P'^T)) + (P V P'^T) * (P M P'^T)    (* entry by entry),

    which costs L^3 in place of L^4. The projection after the heads adds the covariance: that is the next layer's affair.

    Heads of d neurons, infinitely many of them, have a Gaussian limit too: P is then that of d independent draws of the
    queries and keys, and Q and K in TG are mean products of these draws, (1/d) sum_i q_i(a) q'_i(a').

    Expectations are averages over Sobol points, in 16 sets scrambled independently, whose spread is the standard error.

    Args:
        queries: Over query positions; tangent kernel of q, with that of its own weights.
        keys: Over key positions, likewise.
        values: Over key positions, likewise; `left` and `right` are not read.
        scale: Logits in units of q.k / sqrt(d).
        size: d, neurons of a head; None where it is infinite.
        masks: Added to the logits of the first and of the second sequence, -inf where a query must not attend; broadcast
            with (..., L, keys) and (..., R, keys).
        tolerance: Standard error, relative to the largest entry, at which drawing ends.
        most_draws: Draws after which it ends in any case.
        seed: Of the draws: equal seeds give equal results.

    Raises:
        KernelError: A query attends to no key at all, or there are no positions.

    Example:
        >>> zero = PairCovariance(*[torch.zeros(3, 3, dtype=torch.float64)] * 3)  # logits of 0: the mean of the values
        >>> eye = PairCovariance(*[torch.eye(3, dtype=torch.float64)] * 3)
        >>> attended = softmax_attention(zero, zero, eye)
        >>> bool(torch.allclose(attended.covariance, torch.full((3, 3), 1 / 3, dtype=torch.float64)))
        True

    Source: Hron et al. (2020), Theorem 3, for the covariance at infinite d; the rest is derived here.

    Cost: O(draws x pairs x L^3).
    """
    if 0 in (*queries.cross.shape[-2:], *keys.cross.shape[-2:]):
        raise KernelError(
            "Attention over no positions has no covariance. Pass sequences of one position or more."
        )
    for mask in masks or ():
        if bool((mask == -math.inf).all(-1).any()):
            raise KernelError(
                "A query attends to no key: its mask is -inf throughout. Let it attend to one, e.g. itself."
            )
    # In double precision also for a kernel in single: the draws are, and the logits' factors are roots of differences.
    dtype = queries.cross.dtype
    queries, keys, values = queries.double(), keys.double(), values.double()
    if masks is not None:
        first = masks[0].double()
        masks = first, first if masks[1] is masks[0] else masks[1].double()
    logits = Logits(
        Factors(queries.left, queries.right, queries.cross),
        Factors(keys.left, keys.right, keys.cross),
        (queries.cross, keys.cross),
        scale=scale,
        masks=masks,
        size=size,
    )
    pairs = math.prod(np.broadcast_shapes(*(part.cross.shape[:-2] for part in (queries, keys, values))))
    width = sum(queries.cross.shape[-2:]) * max(keys.cross.shape[-2:])
    chunk = min(MOST_POINTS, 2 ** int(math.log2(max(1, ENTRIES // (pairs * width)))))
    found = averages(
        lambda points: _sums(logits, queries, keys, values, points, scale),
        dimensions=logits.dimensions,
        chunk=chunk,
        tolerance=tolerance,
        most_draws=most_draws,
        seed=seed,
        device=queries.cross.device,
    )
    means, errors = ([part.to(dtype) for part in parts] for parts in (found.means, found.errors))
    tangent = (means[1], errors[1]) if values.tangent is not None else (None, None)
    return Attended(means[0], tangent[0], errors[0], tangent[1], found.draws)


def fixed_attention(weights: tuple[Tensor, Tensor], cross: Tensor) -> Tensor:
    """Return P M P'^T: what attention with fixed weights makes of a covariance or a tangent kernel of its values.

    With 1/d logits, attention is fixed in the limit: uniform over the keys that a query attends to where queries and keys
    have weights of their own, and softmax of their covariance where they share them. Gradients through the logits are of
    the order of 1/d.

    Args:
        weights: P and P' of the first and of the second sequence, shapes (..., L, keys) and (..., R, keys').
        cross: M between the keys of both, shape (..., keys, keys').

    Source: Yang 2019 (arXiv:1910.12478), Appendix A.
    """
    return weights[0] @ cross @ weights[1].mT


def fixed_weights(logits: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the weights of attention with 1/d logits: softmax of what the logits are in the limit.

    Args:
        logits: Zeros where queries and keys have weights of their own; else the covariance of queries and keys, times
            the scale. Shape (..., L, keys).
        mask: Added to them, -inf where a query must not attend.

    Raises:
        KernelError: A query attends to no key at all.

    Example:
        >>> fixed_weights(torch.zeros(2, 2), torch.tensor([[0.0, -torch.inf], [0.0, 0.0]])).tolist()
        [[1.0, 0.0], [0.5, 0.5]]
    """
    masked = logits if mask is None else logits + mask
    if masked.shape[-1] == 0 or bool((masked == -math.inf).all(-1).any()):
        raise KernelError(
            "A query attends to no key: its mask is -inf throughout. Let it attend to one, e.g. itself."
        )
    return torch.softmax(masked, -1)


def _sums(
    logits: Logits,
    queries: PairCovariance,
    keys: PairCovariance,
    values: PairCovariance,
    points: Tensor,
    scale: float,
) -> list[Tensor]:
    """Return sums over points of the covariance and, where there is one, of the tangent kernel."""
    draw = logits.draw(points)
    left, right = draw.left, draw.right
    V = values.cross
    through = left @ V  # P V
    covariance = through @ right.mT
    if values.tangent is None:
        return [covariance.sum(0)]
    tangent = (left @ values.tangent @ right.mT).sum(0)
    back = V @ right.mT  # V P'^T

    def moved(M: Tensor) -> Tensor:
        ahead, behind = left @ M, M @ right.mT
        total = left @ (V * M) @ right.mT
        total -= (ahead * through) @ right.mT
        total -= left @ (behind * back)
        return total + covariance * (ahead @ right.mT)

    if queries.tangent is not None:
        tangent = tangent + scale**2 * queries.tangent * moved(draw.keys).sum(0)
    if keys.tangent is not None:
        tangent = tangent + scale**2 * (draw.queries * moved(keys.tangent)).sum(0)
    return [covariance.sum(0), tangent]
