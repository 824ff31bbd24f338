"""Mean, linear part and rest of an activation under Gaussian inputs: all that wide Gaussian features depend on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.activation import Activation, Phi, read_activation
from similitude.theory.finite_width.quadrature import normal_nodes

Array = np.ndarray
_ROUNDING = 1e-9  # relative size of a part of an activation that is rounding or quadrature
_OF_MEAN = 1e-12  # what rounding leaves of a mean in the other parts
_AT_ONCE = 2_000_000  # values of the activation that are held at once


@dataclass(frozen=True)
class HermiteMoments:
    """An activation's parts under z ~ N(0, 1): phi(z) = mean + linear z + rest g(z), E g = E z g = 0, E g^2 = 1.

    Made by `hermite_moments`, or from numbers for a function that is not at hand.

    Attributes:
        mean: mu_0 = E phi(z). Theory subtracts it, as an intercept does.
        linear: mu_1 = E z phi(z).
        rest: mu_2 = sqrt(E phi(z)^2 - mu_0^2 - mu_1^2), at least 0.

    Raises:
        TheoryError: A number is not finite, or `rest` is below 0.

    Example:
        >>> HermiteMoments(0.0, 2.0, 1.0).power
        5.0
    """

    mean: float
    linear: float
    rest: float

    def __post_init__(self) -> None:
        for name, value in (("mean", self.mean), ("linear", self.linear), ("rest", self.rest)):
            if not math.isfinite(value):
                raise TheoryError(f"{name}={value}: pass finite moments of the activation.")
            object.__setattr__(self, name, float(value))
        if self.rest < 0:
            raise TheoryError(f"rest={self.rest} is a root mean square. Pass a number of at least 0.")
        if not math.isfinite(self.power):
            raise TheoryError(
                f"linear={self.linear:g}, rest={self.rest:g}: their squares are beyond float64. Scale down."
            )

    @property
    def power(self) -> float:
        """Variance of phi(z): mu_1^2 + mu_2^2."""
        return self.linear * self.linear + self.rest * self.rest


@cites(16, "Section 2: Hermite coefficients mu_0, mu_1, mu_2")
def hermite_moments(phi: Phi) -> HermiteMoments:
    """Take an activation, or the link of a teacher, apart under standard normal inputs.

    Args:
        phi: Function of torch operations, applied entry by entry: `torch.tanh`, a module.

    Raises:
        TheoryError: It cannot be called entry by entry on float64, or its variance is not finite.

    Example:
        ReLU has mean 1/sqrt(2 pi), linear part 1/2 and a rest of 1/4 - 1/(2 pi).

        >>> import torch
        >>> found = hermite_moments(torch.relu)
        >>> round(found.mean**2 * 2 * math.pi, 9), round(found.linear, 9), round(found.rest**2 + 0.5 / math.pi, 9)
        (1.0, 0.5, 0.25)
    """
    mean, linear, rest = moments_at(read_activation(phi), np.zeros(1), np.ones(1))
    return HermiteMoments(float(mean[0]), float(linear[0]), float(rest[0]))


def moments_of(given: Phi | HermiteMoments, name: str) -> HermiteMoments:
    """Return the moments of an activation or teacher, which are passed through where they are given as such.

    Raises:
        TheoryError: It is constant, or no function that theory can read.
    """
    found = given if isinstance(given, HermiteMoments) else hermite_moments(given)
    if not found.power > 0:
        raise TheoryError(
            f"{name} is constant under Gaussian inputs. Pass a function that depends on its input."
        )
    return found


def has_linear_part(found: HermiteMoments) -> bool:
    """Say whether mu_1 is above rounding: even functions have none."""
    return abs(found.linear) > _ROUNDING * math.sqrt(found.power)


def moments_at(activation: Activation, location: Array, scale: Array) -> tuple[Array, Array, Array]:
    """Return mean, linear part and rest of phi(location + scale z) for every neuron.

    Args:
        activation: phi.
        location: Means of preactivations, shape (neurons,).
        scale: Their standard deviations, shape (neurons,).

    Raises:
        TheoryError: A value of the activation or its square is not finite.
    """
    u, w = normal_nodes()
    found = np.empty((3, len(location)))
    block = max(1, _AT_ONCE // len(u))
    for start in range(0, len(location), block):
        part = slice(start, start + block)
        values = activation.values(location[part, None] + scale[part, None] * u)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, linear = values @ w, values @ (w * u)
            left = values - mean[:, None] - linear[:, None] * u
            rest = np.sqrt(left**2 @ w)
        found[:, part] = mean, linear, rest
    if not np.isfinite(found).all():
        raise TheoryError(
            "phi has no finite variance under Gaussian inputs. Pass one whose square float64 holds."
        )
    mean, linear, rest = found
    least = _OF_MEAN * np.abs(mean)
    linear = np.where(np.abs(linear) > least, linear, 0.0)
    return mean, linear, np.where(rest > np.maximum(_ROUNDING * np.abs(linear), least), rest, 0.0)
