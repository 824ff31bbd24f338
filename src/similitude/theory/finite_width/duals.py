"""Expectations of products of an activation over pairs of correlated Gaussian preactivations: the dual activation."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from similitude.theory.finite_width.activation import Activation
from similitude.theory.finite_width.quadrature import normal_nodes

_ORDERS = 80  # of Hermite polynomials; smooth activations need half of them
_NARROW = 1e-300  # variances below this are those of a zero input


def products(activation: Activation, q: np.ndarray) -> np.ndarray:
    """Return E[phi(u) phi(v)] for all pairs, with (u, v) ~ N(0, q); shape (N, N), as q.

    Closed form where phi is linear on either side of zero, otherwise a Hermite series with the tail of the diagonal.

    Example:
        >>> import torch
        >>> from similitude.theory.finite_width.activation import read_activation
        >>> products(read_activation(torch.relu), np.array([[2.0, 0.0], [0.0, 2.0]])).round(4).tolist()
        [[1.0, 0.3183], [0.3183, 1.0]]
    """
    if activation.slopes is None:
        return _series(activation.values, q)
    right, left = activation.slopes
    even, odd = (right - left) / 2, (right + left) / 2  # phi(z) = even |z| + odd z
    scale, c = correlations(q)
    absolute = 2 / np.pi * (np.sqrt(1 - c**2) + c * np.arcsin(c))
    return odd**2 * q + even**2 * absolute * scale


def slope_products(activation: Activation, q: np.ndarray) -> np.ndarray:
    """Return E[phi'(u) phi'(v)] for all pairs, with (u, v) ~ N(0, q); shape (N, N), as q."""
    if activation.slopes is None:
        return _series(activation.derivative, q)
    right, left = activation.slopes
    even, odd = (right - left) / 2, (right + left) / 2
    _, c = correlations(q)
    return odd**2 + even**2 * 2 / np.pi * np.arcsin(c)


def correlations(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sqrt(q_aa q_bb) and the correlations, within [-1, 1] and 1 on the diagonal; those of zero inputs are 0."""
    root = np.sqrt(np.maximum(np.diag(q), 0.0))
    scale = np.outer(root, root)
    c = np.divide(q, scale, out=np.zeros_like(q), where=scale > _NARROW)
    c = np.clip(c, -1.0, 1.0)
    np.fill_diagonal(c, 1.0)
    return scale, c


@functools.cache
def _hermite() -> np.ndarray:
    """Return orthonormal Hermite polynomials at the nodes, shape (orders, nodes)."""
    u, _ = normal_nodes()
    rows = [np.zeros_like(u), np.ones_like(u)]
    for k in range(_ORDERS - 1):
        rows.append((u * rows[-1] - np.sqrt(k) * rows[-2]) / np.sqrt(k + 1))
    return np.stack(rows[1:])


def _series(function: Callable[[np.ndarray], np.ndarray], q: np.ndarray) -> np.ndarray:
    """Sum a_k(q_aa) a_k(q_bb) c^k over Hermite orders k (Mehler's formula)."""
    u, w = normal_nodes()
    root = np.sqrt(np.maximum(np.diag(q), 0.0))
    values = function(np.outer(root, u))  # (N, nodes)
    _, c = correlations(q)
    total, power = np.zeros_like(q), np.ones_like(q)
    missing = values**2 @ w
    for a in _hermite() @ (values * w).T:  # (N,) per order
        total += np.outer(a, a) * power
        missing -= a**2
        power = power * c
    tail = np.sqrt(np.maximum(missing, 0.0))
    return total + np.outer(tail, tail) * power
