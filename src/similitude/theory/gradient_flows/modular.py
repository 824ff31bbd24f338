"""Quadratic networks that learn modular addition: Fourier coefficients of the encoding, the largest first."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import numpy_generator
from similitude.theory.gradient_flows.problem import Problem, small_scale
from similitude.theory.ridge.arrays import array

Array = np.ndarray
_NULL = 1e-9  # coefficients below this, relative to the largest, are zero
_MEAN = 1e-9  # mean of a template, relative to its largest entry, that is rounding


@cites(4, "Section 6: quadratic networks on modular addition")
class ModularAddition(Problem):
    """f(a, b) = sum_i (u_i.x_a + v_i.x_b)^2 w_i on all pairs of numbers mod p. Made by `modular_addition`.

    The number a is encoded by a template rolled by a places, x_a; the target is x_{a+b} and the loss
    E |x_{a+b} - f(a, b)|^2 / 2. A neuron (u, v, w) has degree 3. The utility decouples over frequencies.
    """

    def __init__(self, template: Array, *, neurons: int, alpha: float, seed: int) -> None:
        p = len(template)
        draw = numpy_generator(seed, "modular addition").standard_normal((neurons, 3 * p))
        scales = np.repeat([1 / math.sqrt(2 * p), 1 / math.sqrt(2 * p), 1 / math.sqrt(p)], p)
        self.template = template
        self.codes = np.stack([np.roll(template, a) for a in range(p)])
        sizes = np.abs(np.fft.rfft(template))
        present = np.flatnonzero(sizes > _NULL * sizes.max())
        # By utility; the frequency p / 2, which has no phase, learns as if it were 2^(1/6) times as large.
        utilities = np.array([_greatest_utility(p, int(k), float(sizes[k])) for k in present])
        order = np.argsort(-utilities, kind="stable")
        self.frequencies = present[order]
        self.magnitudes = sizes[self.frequencies]
        self.greatest_utilities = utilities[order]
        names = [f"frequency {k}" for k in self.frequencies]
        super().__init__(alpha * draw * scales, degree=3, names=names, small=alpha)
        places = np.arange(p)
        first, second = np.repeat(places, p), np.tile(places, p)
        spectrum = np.fft.rfft(self.codes, axis=1)
        waves = [np.fft.irfft(spectrum * (np.arange(p // 2 + 1) == k), n=p, axis=1) for k in self.frequencies]
        # Of all p^2 pairs, one a row.
        self._inputs = np.hstack([self.codes[first], self.codes[second]])
        self._targets = self.codes[(first + second) % p]
        self._waves = np.stack([wave[(first + second) % p] for wave in waves])

    def loss(self, neurons: Array) -> float:
        """Return the loss over all p^2 pairs."""
        return float(np.sum((self._targets - self._outputs(neurons)) ** 2) / (2 * len(self._inputs)))

    def push(self, neurons: Array, active: Array) -> Array:
        """Return the gradient of the mean of (u.x_a + v.x_b)^2 w.r over all pairs."""
        p = len(self.template)
        R = self._targets - self._outputs(active)
        hidden = self._inputs @ neurons[:, : 2 * p].T
        pulled = 2 * hidden * (R @ neurons[:, 2 * p :].T)
        return np.hstack([pulled.T @ self._inputs, (hidden**2).T @ R]) / len(R)

    def features(self, neurons: Array) -> Array:
        """Return the regression coefficient of the outputs on each frequency of the targets, shape (frequencies,)."""
        along = (self._waves * self._outputs(neurons)).sum((1, 2))
        return along / (self._waves**2).sum((1, 2))

    @property
    def levels(self) -> Array:
        """Loss of each plateau: half of the power of the frequencies that are not learned yet."""
        p = len(self.template)
        pairs = np.where(2 * self.frequencies == p, 1.0, 2.0)
        powers = pairs * self.magnitudes**2 / p
        return (powers.sum() - np.concatenate([[0.0], np.cumsum(powers)])) / 2

    @property
    def earliest(self) -> Array:
        """Times before which no neuron can have grown along each frequency: (1 / largest norm - 1) / (3 max utility)."""
        norm = float(np.linalg.norm(self.start, axis=1).max())
        return (1 / norm - 1) / (3 * self.greatest_utilities)

    def _outputs(self, neurons: Array) -> Array:
        p = len(self.template)
        return (self._inputs @ neurons[:, : 2 * p].T) ** 2 @ neurons[:, 2 * p :]


def modular_addition(
    template: ArrayLike | Tensor, *, neurons: int = 18, alpha: float = 5e-3, seed: int = 0
) -> ModularAddition:
    """Describe addition mod p by a quadratic network, for any encoding of numbers by a rolled template.

    Args:
        template: The code of 0, shape (p,), with mean 0.
        neurons: A frequency takes about six of them.
        alpha: Norm of a third of a neuron's parameters at initialization, about.
        seed: Of the initialization.

    Raises:
        TheoryError: The template is too short, constant or has a mean, or a number is out of range.

    Example:
        Half of the power of what is left: frequency 1 has four times that of frequency 2.

        >>> a = 2 * np.pi * np.arange(7) / 7
        >>> problem = modular_addition(2 * np.cos(a) + np.cos(2 * a))
        >>> problem.names, problem.levels.round(6).tolist()
        (('frequency 1', 'frequency 2'), [8.75, 1.75, 0.0])

    Source: paper 4 (arXiv 2506.06489), Section 6. The utility of the frequency p / 2 of an even p is derived here.
    """
    code = array(template, "template")
    if code.ndim != 1 or len(code) < 3:
        raise TheoryError(
            f"template has shape {code.shape}. Pass the code of 0, one number per place, at least 3."
        )
    size, mean = float(np.abs(code).max()), float(code.mean())
    if abs(mean) > _MEAN * size:
        raise TheoryError(
            f"template has the mean {mean:.3g}, which quadratic neurons would learn at a rate of its own. Pass template "
            "- template.mean()."
        )
    if not size > 0:
        raise TheoryError("template is zero: all numbers have the same code.")
    if isinstance(neurons, bool) or not isinstance(neurons, int) or neurons < 1:
        raise TheoryError(f"neurons={neurons!r}: pass a whole number of at least 1.")
    return ModularAddition(code, neurons=neurons, alpha=small_scale(alpha), seed=seed)


@cites(4, "Section 6: the largest utility at a frequency")
def _greatest_utility(p: int, frequency: int, magnitude: float) -> float:
    """Return the largest utility of a neuron of norm 1: sqrt(2 / (27 p^3)) |x^|^3, with 4 for 2 at the frequency p / 2.

    At p / 2 codes are (-1)^a and a neuron (a, b, c) has utility 2 a b c |x^|^3 p^(-3/2), largest at a = b = c.
    """
    waves = 4 if 2 * frequency == p else 2
    return math.sqrt(waves / (27 * p**3)) * magnitude**3
