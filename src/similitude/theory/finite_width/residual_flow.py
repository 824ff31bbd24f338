"""Covariances and tangent kernels of infinitely wide residual networks, at any depth and in its limit (paper 15)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.activation import Activation, Phi, read_activation
from similitude.theory.finite_width.duals import correlations, products, slope_products
from similitude.theory.finite_width.given import covariance, number, whole

Branch = float | Sequence[float]
"""Multiplier a of every branch beside 1/sqrt(L), or one for each of L branches."""

_LARGEST = 1e150  # multiplier whose square is a number
_RTOL, _ATOL = 1e-9, 1e-12  # of the limit of infinite depth


@cites(15, "covariance of infinite width and depth")
def resnet_covariance(
    q0: ArrayLike | Tensor,
    depth: float = math.inf,
    *,
    phi: Phi = torch.relu,
    branch: Branch = 1.0,
    time: float = 1.0,
    normalized: bool = False,
) -> np.ndarray:
    """Return the covariance of the stream of a wide residual network with branches of 1 / sqrt(depth).

    The network is Y_l = Y_(l-1) + a L^-1/2 W_l phi(Y_(l-1)) with entries of W_l from N(0, 1/n). Its covariance
    q(a, b) = <Y(a), Y(b)> / n goes as q <- q + a^2 E[phi(u) phi(v)] / L with (u, v) ~ N(0, q), and with L -> inf as
    dq/dt = a^2 E[phi(u) phi(v)]. Width and depth may go to infinity in any order, which gives the same.

    Args:
        q0: Covariance of N inputs in front of the first branch, shape (N, N): X @ X.T / features for a stem of variance
            1 / features; or one variance.
        depth: L; inf for the limit, which finite depths are 1/L away from.
        phi: Activation, of torch operations.
        branch: The multiplier a, He's initialization being sqrt(2); for a finite depth one number per branch, too.
        time: Share t of the depth that is run through.
        normalized: Whether each branch first divides its input by its root mean square, as a norm does.

    Returns:
        q_t, shape (N, N).

    Raises:
        TheoryError: No inputs have this covariance, a number is out of range, or the result is.

    Example:
        >>> q = resnet_covariance([[1.0, 0.0], [0.0, 1.0]])
        >>> bool(np.isclose(q[0, 0], np.exp(0.5)))
        True
        >>> float(resnet_covariance(1.0, 4)[0, 0]) == (1 + 1 / 8) ** 4
        True

    Source: paper 15 (arXiv 2302.00453).

    Cost: L, or some hundred, evaluations of N^2 expectations.
    """
    return covariance_profile(q0, depth, phi=phi, branch=branch, times=(time,), normalized=normalized)[-1]


@cites(15, "covariance of infinite width and depth, along the depth")
def covariance_profile(
    q0: ArrayLike | Tensor,
    depth: float = math.inf,
    *,
    phi: Phi = torch.relu,
    branch: Branch = 1.0,
    times: Sequence[float] | None = None,
    normalized: bool = False,
) -> np.ndarray:
    """Return the covariance along the depth; see `resnet_covariance` for the network and the other arguments.

    Args:
        q0: Covariance of N inputs, shape (N, N).
        depth: L, or inf.
        phi: Activation.
        branch: Multiplier a, or one per branch.
        times: Shares of the depth, increasing; for a finite depth each is rounded to whole branches. By default behind
            every branch, and 0, 0.1, ..., 1 in the limit.
        normalized: Whether branches normalize their input.

    Returns:
        Covariances at these times, shape (times, N, N); at 0 and behind every branch by default.

    Raises:
        TheoryError: As in `resnet_covariance`.
    """
    q, activation, L = covariance(q0), read_activation(phi), _depth(depth)
    shares = _times(times, L)

    def step(state: np.ndarray) -> np.ndarray:
        return _drift(activation, state, normalized)

    if L is None:
        return _flow(q, step, _one(branch), shares)
    return _recursion(q, step, _each(branch, L), L, shares)


@cites(15, "tangent kernel along the depth (derived)")
def resnet_ntk(
    q0: ArrayLike | Tensor, depth: float = math.inf, *, phi: Phi = torch.relu, branch: Branch = 1.0
) -> np.ndarray:
    """Return the tangent kernel of f = v . Y_L / sqrt(n) on the network of `resnet_covariance`, all of it trained.

    It is q_L + Theta_L, with Theta_0 = q_0 and Theta <- Theta + a^2 (E[phi phi] + E[phi' phi'] Theta) / L, entry by
    entry; all weights are in the NTK parametrization.

    Args:
        q0: Covariance of N inputs, shape (N, N).
        depth: L, or inf.
        phi: Activation.
        branch: Multiplier a, or one per branch.

    Raises:
        TheoryError: As in `resnet_covariance`.

    Example:
        >>> bool(np.isclose(resnet_ntk(1.0)[0, 0], 2.5 * np.exp(0.5)))
        True
    """
    q, activation, L = covariance(q0), read_activation(phi), _depth(depth)

    def step(state: np.ndarray) -> np.ndarray:
        drift = products(activation, state[0])
        return np.stack([drift, drift + slope_products(activation, state[0]) * state[1]])

    state = np.stack([q, q])
    end = (
        _flow(state, step, _one(branch), (1.0,))
        if L is None
        else _recursion(state, step, _each(branch, L), L, (1.0,))
    )
    return end[-1].sum(0)


def _drift(activation: Activation, q: np.ndarray, normalized: bool) -> np.ndarray:
    if not normalized:
        return products(activation, q)
    scale, c = correlations(q)
    return products(activation, np.where(scale > 0, c, 0.0))  # a norm leaves zero inputs zero


def _recursion(
    start: np.ndarray,
    step: Callable[[np.ndarray], np.ndarray],
    squares: np.ndarray,
    L: int,
    times: Sequence[float],
) -> np.ndarray:
    stops = [round(t * L) for t in times]
    found, state = {0: start}, start
    for layer in range(max(stops)):
        with np.errstate(over="ignore", invalid="ignore"):
            state = state + squares[layer] / L * step(state)
        _check_finite(state, f"branch {layer + 1} of {L}")
        found[layer + 1] = state
    return np.stack([found[stop] for stop in stops])


def _flow(
    start: np.ndarray, step: Callable[[np.ndarray], np.ndarray], square: float, times: Sequence[float]
) -> np.ndarray:
    shape, scale = start.shape, float(np.abs(start).max()) or 1.0

    def rate(_: float, flat: np.ndarray) -> np.ndarray:
        if not np.isfinite(flat).all():  # refuses the step without a warning
            return np.full_like(flat, np.nan)
        return square * step(flat.reshape(shape)).ravel()

    end = max(times)
    if end == 0 or square == 0:
        return np.stack([start] * len(times))
    # Of normalized branches and of phi(0) != 0, growth has a scale of its own.
    scale = max(scale, min(end, 1.0) * square * float(np.abs(step(start)).max()))
    with np.errstate(over="ignore", invalid="ignore"):
        run = solve_ivp(
            rate,
            (0.0, end),
            start.ravel(),
            method="DOP853",
            t_eval=sorted({*times}),
            rtol=_RTOL,
            atol=_ATOL * scale,
        )
    if not run.success:
        raise _too_large("the limit of infinite depth", square)
    _check_finite(run.y, "the limit of infinite depth")
    at = dict(zip(run.t.tolist(), run.y.T.reshape(-1, *shape), strict=True))
    return np.stack([at[t] for t in times])


def _depth(depth: float) -> int | None:
    if isinstance(depth, float) and depth == math.inf:
        return None
    if isinstance(depth, float) and depth.is_integer():
        depth = int(depth)
    return whole("depth", depth)  # type: ignore[arg-type]


def _times(times: Sequence[float] | None, L: int | None) -> tuple[float, ...]:
    if times is None:
        return tuple(i / 10 for i in range(11)) if L is None else tuple(i / L for i in range(L + 1))
    given = tuple(number(f"times[{i}]", t) for i, t in enumerate(times))
    if not given or list(given) != sorted(given) or (L is not None and given[-1] > 1):
        raise TheoryError(
            f"times={given}: pass increasing shares of the depth, e.g. (0.5, 1.0); beyond 1 for depth=inf alone."
        )
    return given


def _one(branch: Any) -> float:
    if np.ndim(branch) > 0:
        raise TheoryError(
            "branch has a number per branch, and depth is inf. Pass one number, or a finite depth."
        )
    return _square("branch", branch)


def _each(branch: Any, L: int) -> np.ndarray:
    if np.ndim(branch) == 0:
        return np.full(L, _square("branch", branch))
    branch = np.asarray(branch).tolist()
    if len(branch) != L:
        raise TheoryError(f"branch has {len(branch)} numbers for {L} branches. Pass one, or one for each.")
    return np.array([_square(f"branch[{i}]", a) for i, a in enumerate(branch)])


def _square(name: str, multiplier: float) -> float:
    if number(name, multiplier) > _LARGEST:
        raise TheoryError(
            f"{name}={multiplier:g}: the square of it leaves the range of numbers. Pass one of order 1."
        )
    return float(multiplier) ** 2


def _check_finite(state: np.ndarray, where: str) -> None:
    if not np.isfinite(state).all():
        raise _too_large(where)


def _too_large(where: str, square: float | None = None) -> TheoryError:
    also = "" if square is None else f" at branch^2 = {square:.3g}"
    return TheoryError(
        f"the covariance leaves the range of numbers in {where}{also}: it grows as exp(branch^2 <phi'^2> t). Pass a "
        "smaller branch; branches of 1/sqrt(L) have one of order 1."
    )
