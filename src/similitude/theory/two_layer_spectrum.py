"""The Hessian of a two-layer linear network of any width, by a matrix of order 3 D + 1: paper 2, Lemma 5.2."""

from __future__ import annotations

import math

import numpy as np

from similitude.core.citation import cites

_RANK = 1e-13  # an eigenvalue of a Gram matrix this small beside that of all rows together is 0


def schur(w: np.ndarray, e: np.ndarray, v: float, *, kappa: float) -> np.ndarray:
    """Return e - kappa w w' / v: the Gram matrix of what the rows of E / sqrt(N D) have across V, shape (D, D).

    Args:
        w: E V / (gamma sqrt(N D)), shape (D,).
        e: E E' / (N D), shape (D, D).
        v: |V|^2 / (N D), not 0.
        kappa: gamma^2 / (N D).
    """
    return e - (kappa / v) * np.outer(w, w)


@cites(2, "Lemma 5.2")
def gauss_newton_sharpness(S: np.ndarray, e: np.ndarray, v: float) -> float:
    """Return the largest eigenvalue of S^(1/2) (e + v I) S^(1/2), that of gamma^2 times the Gauss-Newton matrix.

    Args:
        S: Second moment of the inputs, shape (D, D).
        e: E E' / (N D), shape (D, D).
        v: |V|^2 / (N D).
    """
    root = _root(S)
    return float(np.linalg.eigvalsh(root @ e @ root + v * S)[-1])


@cites(2, "Section 5")
def hessian_spectrum(
    S: np.ndarray, w: np.ndarray, e: np.ndarray, v: float, *, kappa: float, residual: np.ndarray
) -> np.ndarray:
    """Return the eigenvalues of gamma^2 times the Hessian on the space that it does not leave.

    A change of the weights enters by J (dE, dV) = (dE V + E dV) / sqrt(N D) and by r' dE dV. Both see no more of dE than
    a V' / |V| + (r / |r|) c', with c across V, and no more of dV than the span of V and of the rows of E. In an
    orthonormal basis of this space, of order D + 2 rank + 1 with the rank of `schur`, the Hessian is
    J' S J + sqrt(kappa) [[0, r], [|r| I, 0]]: symmetric, at every r and kappa. Outside it its eigenvalues are
    sqrt(kappa) |r|, minus that, and 0.

    Args:
        S: Second moment of the inputs, shape (D, D).
        w: E V / (gamma sqrt(N D)), shape (D,).
        e: E E' / (N D), shape (D, D).
        v: |V|^2 / (N D).
        kappa: gamma^2 / (N D).
        residual: r = S w - b, shape (D,).

    Returns:
        Eigenvalues, descending; at most 3 D + 1.

    Source: derived here; paper 2 (arXiv 2402.17457) bounds the largest one.

    Cost: O(D^3).
    """
    size = len(w)
    across = _factor(schur(w, e, v, kappa=kappa) if v > 0 else e, scale=float(np.trace(e)))
    along = math.sqrt(kappa / v) * w if v > 0 else np.zeros(size)
    rank = across.shape[1]
    # Coordinates: a (D), c (rank), the part of dV along V, and the part along the rows of E across V (rank).
    J = np.concatenate([math.sqrt(v) * np.eye(size), np.zeros((size, rank)), along[:, None], across], axis=1)
    H = J.T @ S @ J
    last = size + rank
    c, d = np.arange(size, last), np.arange(last + 1, last + 1 + rank)
    coupling = np.zeros_like(H)
    coupling[:size, last] = residual
    coupling[c, d] = np.linalg.norm(residual)
    H += math.sqrt(kappa) * (coupling + coupling.T)
    return np.linalg.eigvalsh(H)[::-1]


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def _factor(gram: np.ndarray, *, scale: float) -> np.ndarray:
    """Return F of full column rank with F F' = gram, so that no units are counted that the network does not have."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > _RANK * len(gram) * scale
    return vectors[:, kept] * np.sqrt(values[kept])
