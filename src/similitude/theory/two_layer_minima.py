"""Where a two-layer linear network can come to rest, how sharp it is there, and which learning rates let it: paper 2."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.optimize import minimize_scalar

from similitude.core.citation import cites
from similitude.core.errors import PlanError

if TYPE_CHECKING:
    from similitude.theory.two_layer_linear import TwoLayerLinear

_AT_REST = 1e-7  # gradient, relative to what it is made of, below which a point is a fixed one
_ISOTROPIC = 1e-6  # relative spread of eigenvalues, and sine of an angle, that count as none
_CONVERGED, _LOST = 1e-9, 1e9  # residual over the first one
_GROWTH, _PRECISION = 1.05, 1e-3  # of the search for the largest stable rate


@dataclass(frozen=True)
class FixedPoint:
    """A point at which gradient descent rests. Made by `fixed_point`.

    Attributes:
        kind: "minimum" where the residual is 0, else "saddle": both layers are blind to the residual, as at E = V = 0.
        sharpness: Largest eigenvalue of gamma^2 times the Hessian.
        lowest: Its smallest eigenvalue: 0 at a minimum, below it at a saddle.
        threshold: 2 / eta, what the sharpness has to be below.
        stable: Whether runs from nearby stay nearby. Minima form a manifold, along which nothing pulls them back.
    """

    kind: Literal["minimum", "saddle"]
    sharpness: float
    lowest: float
    threshold: float
    stable: bool


def minimum(net: TwoLayerLinear, *, e: np.ndarray | None = None, v: float | None = None) -> TwoLayerLinear:
    """Return the minimum of the loss at which the layers have some e and v, with the shortest w.

    Args:
        net: The network; its task and kappa are kept.
        e: E E' / (N D), shape (D, D); by default the network's.
        v: |V|^2 / (N D); by default the network's.

    Raises:
        PlanError: No network with these layers computes the best linear function: v e >= kappa w w' is violated.
    """
    best = np.linalg.lstsq(net.S, net.b)[0]
    return dataclasses.replace(net, w=best, e=net.e if e is None else e, v=net.v if v is None else v)


def origin(net: TwoLayerLinear) -> TwoLayerLinear:
    """Return the network with all weights 0, a saddle of sharpness sqrt(kappa) |b|."""
    return dataclasses.replace(net, w=np.zeros_like(net.w), e=np.zeros_like(net.e), v=0.0)


def fixed_point(net: TwoLayerLinear, *, eta: float) -> FixedPoint | None:
    """Say whether gradient descent rests at a point, what kind of point it is, and whether it is stable.

    The gradients r V' and E' r vanish where r = 0, or where V = 0 and E' r = 0.

    Args:
        net: The point.
        eta: Learning rate, in units in which stability ends at 2 / sharpness.

    Returns:
        None where the weights still move, as in the last finite state of a run that ran away (`TwoLayerRun.diverged`).

    Raises:
        PlanError: The rate is not positive and finite, or the numbers of the point have overflowed.

    Source: derived from Theorem 5.1 of paper 2 (arXiv 2402.17457).
    """
    if not (math.isfinite(eta) and eta > 0):
        raise PlanError(f"eta={eta} is no learning rate. Pass a positive number.")
    if not net.finite:
        raise PlanError(
            "the numbers of this network have overflowed: training ran away, and there is no point to judge. Begin again "
            "with a smaller eta; max_stable_lr() of the start says up to which training converges."
        )
    r = net.residual
    size = float(np.linalg.norm(r))
    at_minimum = size <= _AT_REST * float(np.linalg.norm(net.b))
    towards = r / size if size else r  # of length 1, so that squares of large numbers do not overflow
    if not at_minimum and net.v + float(towards @ net.e @ towards) > _AT_REST**2:
        return None
    values = net.spectrum()
    stable = at_minimum and float(values[0]) < 2 / eta
    return FixedPoint(
        "minimum" if at_minimum else "saddle", float(values[0]), float(values[-1]), 2 / eta, stable
    )


def flattest_minimum(net: TwoLayerLinear) -> TwoLayerLinear:
    """Return the minimum with the smallest sharpness, beyond whose 2 / sharpness no learning rate converges.

    Its layers are balanced: e = kappa w w' / v of rank one. With S = s I its sharpness is 2 s sqrt(kappa) |w|. Where
    kappa = 0 the layers never move, and it is the one minimum that training can reach.

    Args:
        net: The network; its task and kappa are kept.
    """
    best = np.linalg.lstsq(net.S, net.b)[0]
    length = math.sqrt(net.kappa) * float(np.linalg.norm(best))
    if net.kappa == 0:
        return minimum(net)
    if length == 0:
        return origin(net)

    def balanced(log_v: float) -> TwoLayerLinear:
        v = length * math.exp(log_v)
        return dataclasses.replace(net, w=best, e=net.kappa * np.outer(best, best) / v, v=v)

    # At v = length the sharpness is at most 2 length |S|. Beyond these bounds v S, or the rest, is more than that alone.
    reach = math.log(2 * np.linalg.norm(net.S, 2) * np.sum(best**2) / float(best @ net.S @ best))
    found: Any = minimize_scalar(
        lambda log_v: balanced(log_v).gauss_newton_sharpness(),
        bounds=(-reach, reach),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return balanced(float(found.x))


@cites(2, "Section 5: sharpness at the end of training")
def final_sharpness(net: TwoLayerLinear) -> float:
    """Return the sharpness of the minimum that gradient flow finds, for inputs of equal variance in all directions.

    With S = s I and all along one direction u, (u'e u + v)^2 - 4 kappa w^2 does not change; from w = 0 the sharpness
    becomes s sqrt((e + v)^2 + 4 kappa |w*|^2). Under muP it is the same at every width, under NTP it stays.

    Args:
        net: The start. S has one eigenvalue beside 0, and w and e u are parallel to u, the direction of b.

    Raises:
        PlanError: S has several eigenvalues, or w or e turns away from u, as at finite width: there is no formula then.

    Example:
        >>> from similitude.theory.two_layer_linear import TwoLayerLinear
        >>> bool(np.isclose(TwoLayerLinear.limit("mup", [[1.0]], [2.0]).final_sharpness(), 20**0.5))
        True

    Source: derived from Theorem 5.1 of paper 2 (arXiv 2402.17457); it takes the place of its Proposition 5.3.
    """
    values, vectors = np.linalg.eigh(net.S)
    s = float(values[-1])
    reached = vectors[:, values > _ISOTROPIC * s]
    values = values[values > _ISOTROPIC * s]
    if s <= 0 or not net.b.any():
        return net.gauss_newton_sharpness()
    if values[0] < (1 - _ISOTROPIC) * s:
        raise PlanError(
            f"the eigenvalues of S = X'X / P go from {values[0]:.4g} to {s:.4g}: the final sharpness has a formula for "
            f"equal ones alone. {_SIMULATE}"
        )
    u = net.b / np.linalg.norm(net.b)
    along = float(u @ net.e @ u)
    turned = max(_sine(net.w, u), _sine(net.e @ u, u))
    if turned > _ISOTROPIC:
        raise PlanError(
            f"w or e u has {turned:.2g} of its length across u, the direction of b, so that training turns: the final "
            f"sharpness has no formula. {_SIMULATE}"
        )
    target, start = float(np.linalg.norm(net.b)) / s, float(net.w @ u)
    kept = max((along + net.v) ** 2 - 4 * net.kappa * start**2, 0.0)
    if start < 0 and kept <= _ISOTROPIC * (along + net.v) ** 2:
        raise PlanError(
            f"both layers are balanced and w = {start:.3g} along u: gradient flow ends at w = 0, a saddle. Start with "
            "w >= 0, or with layers that are not balanced."
        )
    total = math.sqrt(kept + 4 * net.kappa * target**2)
    # e - v does not change either; across u, e stays as it was.
    moved = (total + along - net.v) / 2
    others = reached.T @ (net.e - along * np.outer(u, u)) @ reached
    return s * (max(moved, float(np.linalg.eigvalsh(others)[-1])) + (total - along + net.v) / 2)


def max_stable_lr(net: TwoLayerLinear, *, steps: int = 3000) -> float:
    """Return the largest learning rate such that gradient descent converges at it and at the smaller ones.

    Found by running Theorem 5.1 at rates 5 % apart and halving the last gap. Gradient descent passes the edge of the
    minimum that gradient flow finds, 2 / `final_sharpness`: it oscillates there, which flattens and balances the layers,
    and settles in a flatter minimum. What ends this is the edge of `flattest_minimum` or, where layers are far from
    balanced, divergence at up to twice the first edge.

    Args:
        net: The start.
        steps: Steps after which a run has to be on its way to a minimum: its residual falling and its sharpness below
            2 / eta. Runs just below the edge need many.

    Returns:
        The rate, to about 0.2 %, in units in which stability ends at 2 / sharpness.

    Raises:
        PlanError: Training does not converge in `steps` even at a small rate, or nothing is to be learned.

    Cost: about a hundred runs of at most `steps` steps, each of D^2 operations.
    """
    if net.kappa == 0:
        return 2 / net.gauss_newton_sharpness()
    low = 1 / (net.sharpness() + flattest_minimum(net).sharpness())
    if not net.residual.any() or not _converges(net, low, steps):
        raise PlanError(
            f"gradient descent goes nowhere with steps={steps} at the rate {low:.3g}, half of what is surely stable: the "
            f"residual is {np.linalg.norm(net.residual):.3g} at the start. Pass more steps, or a start that is neither a "
            "minimum nor a saddle."
        )
    high = low * _GROWTH
    while _converges(net, high, steps):
        low, high = high, high * _GROWTH
    while high > low * (1 + _PRECISION):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _converges(net, middle, steps) else (low, middle)
    return low


_SIMULATE = "Train instead, at a small rate: net.run(0.02 / net.sharpness(), 5000).final.sharpness()."


def _sine(vector: np.ndarray, u: np.ndarray) -> float:
    length = float(np.linalg.norm(vector))
    return float(np.linalg.norm(vector - (vector @ u) * u)) / length if length else 0.0


def _converges(net: TwoLayerLinear, eta: float, steps: int) -> bool:
    first = float(np.linalg.norm(net.residual))
    sizes = [first]
    for _ in range(steps):
        net = net.step(eta)
        sizes.append(float(np.linalg.norm(net.residual)))
        if not sizes[-1] <= _LOST * first:
            return False
        if sizes[-1] <= _CONVERGED * first:
            break
    falling = sizes[-1] <= max(0.999 * sizes[len(sizes) // 2], _CONVERGED * first)
    return falling and eta * net.sharpness() < 2
