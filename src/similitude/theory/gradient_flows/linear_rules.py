"""Fully connected linear networks: two formulas for the staircase, and which of them holds where."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from similitude.core.citation import cites

Array = np.ndarray
_NULL = 1e-12  # what is this much smaller than the largest is zero
_DEGENERATE = 1e-7  # weight with which inputs decide on a basis among modes of equal strength
_SAME = 1e-6  # relative difference at which strengths or gains of modes count as different


@dataclass(frozen=True, eq=False)
class Modes:
    """Singular modes of the cross-covariance, strongest first, each beside the principal output that is most like it.

    Attributes:
        strengths: Singular values sigma_j of Syx: growth rate of a small mode, shape (r,).
        inputs: Right singular vectors v_j as columns, shape (d, r).
        principals: Index of the principal output of each, shape (r,).
        powers: mu of that output; half of it is what learning the mode lowers the loss by, shape (r,). Where covariances
            commute it is sigma_j^2 / (v_j' Sxx v_j).
    """

    strengths: Array
    inputs: Array
    principals: Array
    powers: Array


@dataclass(frozen=True)
class Crossing:
    """Two modes of which the one that grows faster explains less.

    Attributes:
        first: The mode that grows faster.
        second: The mode that explains more.
        escape: Rate at which a network that has learned the first alone turns to the second.
        coupling: Correlation of the two modes' inputs; 0 where covariances commute, and then it never turns.
        patience: Time that it takes to turn over the time until other neurons have learned the second. Above 1 both are
            learned as modes; far below 1 the network turns at once.
    """

    first: int
    second: int
    escape: float
    coupling: float
    patience: float


def modes(covariance: Array, cross: Array) -> Modes:
    """Return the modes of y = A W x, which decouple where Sxx and Syx'Syx commute.

    Args:
        covariance: Sxx, shape (d, d).
        cross: Syx, shape (c, d).
    """
    powers, outputs = principal(covariance, cross)
    grown = cross.T @ cross
    # Among modes of equal strength the inputs decide on a basis.
    tie = _DEGENERATE * np.linalg.norm(grown) / np.linalg.norm(covariance)
    _, vectors = np.linalg.eigh(grown + tie * covariance)
    strengths = np.linalg.norm(cross @ vectors, axis=0)
    order = np.argsort(-strengths, kind="stable")[: len(powers)]
    sigma, found = strengths[order], vectors[:, order]
    overlap = (outputs.T @ (cross @ found / sigma)) ** 2
    _, matched = linear_sum_assignment(-overlap.T)
    return Modes(sigma, found, matched, powers[matched])


def principal(covariance: Array, cross: Array) -> tuple[Array, Array]:
    """Return eigenvalues mu, descending, and eigenvectors of what inputs explain of the outputs, Syx Sxx^-1 Syx'."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > _NULL * values.max()
    root = cross @ vectors[:, kept] / np.sqrt(values[kept])
    left, singular, _ = np.linalg.svd(root, full_matrices=False)
    real = singular > math.sqrt(_NULL) * singular.max(initial=0.0)
    return singular[real] ** 2, left[:, real]


@cites(4, "Section 5: the sequence of fully connected linear networks")
def sequential_times(covariance: Array, cross: Array) -> Array:
    """Return the times of drops in units of log(1 / alpha) by the paper's conjecture, shape (K,).

    With sigma^(k) the singular values of what the first k principal outputs leave of Syx,
    dtau_k = (1 - sum_{i < k - 1} sigma^(i)_{k - 1 - i} dtau_{i + 1}) / sigma^(k - 1)_1.
    It presupposes that the network always is the best of its rank.
    """
    powers, outputs = principal(covariance, cross)
    left = [
        np.linalg.svd(cross - outputs[:, :k] @ (outputs[:, :k].T @ cross), compute_uv=False)
        for k in range(len(powers))
    ]
    waits: list[float] = []
    for k in range(len(powers)):
        grown = sum(left[i][k - i] * waits[i] for i in range(k))
        waits.append(max(1 - float(grown), 0.0) / float(left[k][0]))
    return np.cumsum(waits)


def crossings(covariance: Array, cross: Array, *, clock: float) -> list[Crossing]:
    """Return the pairs of modes that grow in one order and explain the loss in the other.

    A network of rank one that has learned mode a rests at a saddle. Beside it, along mode b, the two layers move by
    [[-sigma_a, sigma_b], [sigma_b, -sigma_b^2 mu_a / (sigma_a mu_b)]], which grows where mu_b > mu_a, at a rate r below
    sigma_b. It turns to b after log(1 / coupling) / r, while other neurons learn b log(1 / alpha) (1/sigma_b - 1/sigma_a)
    after a. Which comes first decides between the formulas.

    Args:
        covariance: Sxx, shape (d, d).
        cross: Syx, shape (c, d).
        clock: log(1 / alpha).
    """
    found, pairs = modes(covariance, cross), list[Crossing]()
    for a, b in itertools.combinations(range(len(found.strengths)), 2):
        fast, slow = float(found.strengths[a]), float(found.strengths[b])
        less, more = float(found.powers[a]), float(found.powers[b])
        if fast <= slow * (1 + _SAME) or more <= less * (1 + _SAME):
            continue
        down = slow**2 * less / (more * fast)
        rate = math.sqrt(((fast - down) / 2) ** 2 + slow**2) - (fast + down) / 2
        second = found.inputs.T @ covariance @ found.inputs
        coupling = abs(float(second[a, b])) / math.sqrt(second[a, a] * second[b, b])
        wait = clock * (1 / slow - 1 / fast)
        patience = math.log(1 / coupling) / (rate * wait) if coupling > _NULL else math.inf
        pairs.append(Crossing(a, b, rate, coupling, patience))
    return pairs
