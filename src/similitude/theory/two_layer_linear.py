"""Gradient descent on a two-layer linear network of any width, in closed form: paper 2, Theorem 5.1."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import PlanError
from similitude.theory.two_layer_minima import final_sharpness, max_stable_lr
from similitude.theory.two_layer_run import TwoLayerRun
from similitude.theory.two_layer_spectrum import gauss_newton_sharpness, hessian_spectrum, schur

Array = np.ndarray
_REALIZABLE = (
    1e-8  # how far below zero rounding may put an eigenvalue of a Gram matrix, relative to the largest
)


@cites(2, "Theorem 5.1, Lemma 5.2")
@dataclass(frozen=True, eq=False)
class TwoLayerLinear:
    """A two-layer linear network and its task, by the few numbers that decide how it trains.

    The network is f = X w with w = E V / (gamma sqrt(N D)), E of shape (D, N) and V of shape (N,), trained by gradient
    descent at rate eta gamma^2 on |X w - y|^2 / (2 P). However wide it is, w together with e = E E' / (N D) and
    v = |V|^2 / (N D) evolves by itself; the width enters through kappa = gamma^2 / (N D) and the initial values alone.
    All curvature is gamma^2 times that of the loss, so that the limit of stability is 2 / eta.

    Attributes:
        S: Second moment of the inputs, X'X / P, shape (D, D).
        b: X'y / P, shape (D,).
        w: Weights of the linear function that the network computes, shape (D,).
        e: E E' / (N D), shape (D, D).
        v: |V|^2 / (N D).
        kappa: gamma^2 / (N D): 1 / D under muP at every width, 1 / (N D) under NTP.

    Raises:
        PlanError: A shape does not fit, a number is not finite, or no network has these w, e and v.

    Example:
        One step is that of the network itself.

        >>> rng = np.random.default_rng(0)
        >>> X, y, E, V = (rng.standard_normal(shape) for shape in ((9, 2), 9, (2, 4), 4))
        >>> net = TwoLayerLinear.of(X, y, E=E, V=V, gamma=2.0)
        >>> r = net.S @ net.w - net.b
        >>> rate, scale = 0.1 * 2.0**2, 1 / (2.0 * math.sqrt(8))
        >>> E, V = E - rate * scale * np.outer(r, V), V - rate * scale * (E.T @ r)
        >>> after = TwoLayerLinear.of(X, y, E=E, V=V, gamma=2.0)
        >>> bool(np.allclose(net.step(0.1).w, after.w)), bool(np.isclose(net.step(0.1).v, after.v))
        (True, True)

    Source: paper 2 (arXiv 2402.17457), Theorem 5.1.
    """

    S: Array
    b: Array
    w: Array
    e: Array
    v: float
    kappa: float

    def __post_init__(self) -> None:
        for name in ("S", "b", "w", "e"):
            object.__setattr__(self, name, _array(getattr(self, name)))
        for name in ("v", "kappa"):
            object.__setattr__(self, name, float(getattr(self, name)))
        _check(self)

    @classmethod
    def of(
        cls,
        X: ArrayLike | Tensor,
        y: ArrayLike | Tensor,
        *,
        E: ArrayLike | Tensor,
        V: ArrayLike | Tensor,
        gamma: float,
    ) -> TwoLayerLinear:
        """Read a real network of finite width.

        Args:
            X: Inputs, shape (P, D).
            y: Targets, shape (P,).
            E: First layer, shape (D, N): entries of N(0, 1) at the start.
            V: Second layer, shape (N,).
            gamma: What the output is divided by beside sqrt(N D): 1 under NTP, sqrt(N) under muP.

        Raises:
            PlanError: A shape does not fit, or a number is not finite.
        """
        S, b = _moments(X, y)
        first, second = _array(E), _array(V)
        if first.ndim != 2 or second.shape != first.shape[1:] or len(first) != len(b) or not second.size:
            raise PlanError(
                f"E has shape {first.shape} and V {second.shape}, the inputs have {len(b)} features: the network is "
                f"f = X E V. Pass E of shape ({len(b)}, N) and V of shape (N,)."
            )
        if not (math.isfinite(gamma) and gamma > 0):
            raise PlanError(f"gamma={gamma}: the output is divided by it. Pass a positive number, e.g. 1.0.")
        size = second.size * len(b)
        return cls(
            S=S,
            b=b,
            w=first @ second / (gamma * math.sqrt(size)),
            e=first @ first.T / size,
            v=float(second @ second / size),
            kappa=gamma**2 / size,
        )

    @classmethod
    def limit(
        cls, parametrization: Literal["mup", "ntp"], X: ArrayLike | Tensor, y: ArrayLike | Tensor
    ) -> TwoLayerLinear:
        """Return the network of infinite width at its initialization: w = 0, e = I / D, v = 1 / D.

        Finite networks fluctuate around it by N^-1/2. Under NTP the w of a network that is not centred has variance 1 / D
        at every width; with e and v frozen this start is added to what is learned from the limit.

        Args:
            parametrization: "mup" (kappa = 1 / D) or "ntp" (kappa = 0: kernel regression, e and v never move).
            X: Inputs, shape (P, D).
            y: Targets, shape (P,).

        Raises:
            PlanError: The parametrization is unknown, a shape does not fit, or a number is not finite.

        Example:
            >>> TwoLayerLinear.limit("mup", np.eye(2), [1.0, 2.0]).kappa
            0.5
        """
        if parametrization not in ("mup", "ntp"):
            raise PlanError(
                f"parametrization {parametrization!r} has no limit here. Choose 'mup' or 'ntp', or pass kappa to "
                "TwoLayerLinear itself."
            )
        S, b = _moments(X, y)
        size = len(b)
        kappa = 1 / size if parametrization == "mup" else 0.0
        return cls(S, b, np.zeros(size), np.eye(size) / size, 1 / size, kappa)

    @property
    def residual(self) -> Array:
        """The gradient r = S w - b with respect to w, shape (D,)."""
        return self.S @ self.w - self.b

    @property
    def excess_loss(self) -> float:
        """Loss above that of the best linear function."""
        r = self.residual
        if not np.isfinite(r).all():
            return math.nan
        return float(r @ np.linalg.lstsq(self.S, r)[0] / 2)

    def step(self, eta: float) -> TwoLayerLinear:
        """Return the network after one step of gradient descent, exactly.

        Args:
            eta: Learning rate; E and V are trained at eta gamma^2. At rates that blow up, numbers become infinite or nan
                in the end.
        """
        r, w, k = self.residual, self.w, self.kappa
        with np.errstate(over="ignore", invalid="ignore"):
            return self._moved(
                w - eta * (self.e @ r + self.v * r) + eta**2 * k * (w @ r) * r,
                self.e - eta * k * (np.outer(r, w) + np.outer(w, r)) + eta**2 * k * self.v * np.outer(r, r),
                float(self.v - 2 * eta * k * (r @ w) + eta**2 * k * (r @ self.e @ r)),
            )

    def run(self, eta: float, steps: int) -> TwoLayerRun:
        """Train by gradient descent.

        Args:
            eta: Learning rate; E and V are trained at eta gamma^2.
            steps: Steps of gradient descent, at least 1.

        Returns:
            Every state from this one on; fewer than `steps` follow where numbers overflow: then `diverged` is true, and
            `sharpness`, `excess_loss` and `residual` are nan from there on.

        Raises:
            PlanError: The rate is not positive and finite, or there is no step to make.

        Cost: steps x D^2 operations and numbers of memory.
        """
        if not (math.isfinite(eta) and eta > 0):
            raise PlanError(
                f"eta={eta} is no learning rate. Pass a positive number below {2 / self.sharpness():.3g}."
            )
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise PlanError(f"steps={steps!r}: pass how many steps to make, a whole number of at least 1.")
        states: list[TwoLayerLinear] = [self]
        for _ in range(steps):
            after = states[-1].step(eta)
            if not after.finite:
                break
            states.append(after)
        return TwoLayerRun(eta, steps, tuple(states))

    @property
    def finite(self) -> bool:
        """Whether training has not overflowed: no number is infinite or nan, or so large that its square is."""
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(np.isfinite(np.square(self.v) + np.sum(self.w**2) + np.sum(self.e**2)))

    def spectrum(self) -> Array:
        """Return the eigenvalues of gamma^2 times the Hessian, except those of directions that no data reaches.

        The Hessian of a network of width N has D (N + 1) eigenvalues. All beyond these are sqrt(kappa) |r| and minus
        that, equally often, or 0.

        Returns:
            At most 3 D + 1 eigenvalues, descending.

        Cost: O(D^3), whatever the width.
        """
        return hessian_spectrum(self.S, self.w, self.e, self.v, kappa=self.kappa, residual=self.residual)

    def sharpness(self) -> float:
        """Return the largest eigenvalue of gamma^2 times the Hessian; gradient descent is stable up to 2 / eta.

        It is nan where `finite` is false.
        """
        return float(self.spectrum()[0]) if self.finite else math.nan

    def gauss_newton_sharpness(self) -> float:
        """Return the largest eigenvalue of gamma^2 times the Gauss-Newton matrix, and of the tangent kernel / P.

        It differs from `sharpness` by at most `residual_sharpness`.
        """
        return gauss_newton_sharpness(self.S, self.e, self.v) if self.finite else math.nan

    def final_sharpness(self) -> float:
        """Return the sharpness of the minimum that gradient flow finds: `two_layer_minima.final_sharpness`."""
        return final_sharpness(self)

    def max_stable_lr(self, *, steps: int = 3000) -> float:
        """Return the largest learning rate up to which training converges: `two_layer_minima.max_stable_lr`.

        Args:
            steps: Steps after which a run has to be on its way to a minimum.
        """
        return max_stable_lr(self, steps=steps)

    @property
    def residual_sharpness(self) -> float:
        """Largest eigenvalue sqrt(kappa) |r| of what the Hessian has beside the Gauss-Newton matrix."""
        return math.sqrt(self.kappa) * float(np.linalg.norm(self.residual))

    def _moved(self, w: Array, e: Array, v: float) -> TwoLayerLinear:
        """Return the same task at another state, without the checks that the outcome of a step needs not pass."""
        after = copy.copy(self)
        for name, value in (("w", w), ("e", e), ("v", v)):
            object.__setattr__(after, name, value)
        return after


def _array(values: ArrayLike | Tensor) -> Array:
    found = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    try:
        return np.array(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PlanError(
            f"{type(values).__name__} is no array of numbers: {error}. Pass real numbers in a NumPy array or a tensor."
        ) from error


def _moments(X: ArrayLike | Tensor, y: ArrayLike | Tensor) -> tuple[Array, Array]:
    inputs, targets = _array(X), _array(y)
    if inputs.ndim != 2 or not inputs.size or targets.shape != inputs.shape[:1]:
        raise PlanError(
            f"X has shape {inputs.shape} and y {targets.shape}: every example has features and one target. Pass X of "
            "shape (P, D) and y of shape (P,)."
        )
    return inputs.T @ inputs / len(inputs), inputs.T @ targets / len(inputs)


def _check(net: TwoLayerLinear) -> None:
    """Raise `PlanError` unless some network on some data has these numbers."""
    size = net.b.size
    shapes = {"S": (size, size), "b": (size,), "w": (size,), "e": (size, size)}
    wrong = {name: getattr(net, name).shape for name in shapes if getattr(net, name).shape != shapes[name]}
    if wrong or not size:
        name, found = next(iter(wrong.items()), ("b", net.b.shape))
        raise PlanError(
            f"{name} has shape {found}, b has {net.b.shape}: S and e are (D, D), b and w are (D,), with D features. "
            "Pass arrays of these shapes."
        )
    if not all(np.isfinite(getattr(net, name)).all() for name in (*shapes, "v", "kappa")):
        raise PlanError("S, b, w, e, v or kappa has entries that are not finite. Pass finite numbers.")
    if net.kappa < 0:
        raise PlanError(f"kappa={net.kappa} is gamma^2 / (N D). Pass a number of at least 0.")
    for name, matrix in (("S", net.S), ("e", net.e)):
        scale = max(float(np.abs(matrix).max()), 1e-300)
        if np.abs(matrix - matrix.T).max() > _REALIZABLE * scale:
            raise PlanError(f"{name} is not symmetric. Pass a second moment, such as A @ A.T.")
        if (lowest := float(np.linalg.eigvalsh(matrix)[0])) < -_REALIZABLE * scale:
            raise PlanError(f"{name} has the eigenvalue {lowest:.3g}: a second moment has none below 0.")
    lowest = float(np.linalg.eigvalsh(schur(net.w, net.e, net.v, kappa=net.kappa))[0]) if net.v > 0 else 0.0
    scale = max(float(np.abs(net.e).max()), net.v)
    if net.v < 0 or (net.v == 0 and net.kappa and net.w.any()) or lowest < -_REALIZABLE * scale:
        raise PlanError(
            f"no network has these w, e and v: e - kappa w w' / v has the eigenvalue {lowest:.3g} (v = {net.v:.3g}), "
            "below 0. Make w smaller or e and v larger, or read a network with TwoLayerLinear.of."
        )
