"""Activations whose gain falls with the layer, so that deep networks become nearly linear; how fast it must (paper 3)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import torch_generator
from similitude.theory.batch_norm.orthogonal import haar_orthogonal
from similitude.theory.finite_width.given import number, whole

Activation = Callable[[Tensor], Tensor]
_GAINS = (1.0, 0.7, 0.5, 0.35)
_EXPONENTS = tuple(k / 20 for k in range(21))
_BURN_IN = 40  # layers before gradients grow at their own rate
_LINEAR = 1e-6  # rates of growth below this are rounding


class ShapedActivation(nn.Module):
    """phi(l^-k x): an activation whose gain falls with the layer l.

    Args:
        activation: phi, entrywise, linear near 0: tanh, sin.
        layer: l, from 1.
        exponent: k; 0 leaves the activation as it is.

    Raises:
        TheoryError: The layer or exponent is out of range, or the activation is the same at every gain.

    Example:
        >>> round(float(ShapedActivation(torch.tanh, layer=32, exponent=0.4)(torch.ones(()))), 4)
        0.2449

    Source: paper 3 (arXiv 2310.02012), activation shaping.
    """

    def __init__(self, activation: Activation, *, layer: int, exponent: float = 0.4) -> None:
        super().__init__()
        self.gain = whole("layer", layer) ** -number("exponent", exponent)
        if exponent and is_homogeneous(activation):
            raise TheoryError(_NO_GAIN)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return phi of the input times the gain, of its shape."""
        return self.activation(self.gain * x)

    def extra_repr(self) -> str:
        """Show the gain."""
        return f"gain={self.gain:.4g}"


_NO_GAIN = (
    "phi(c x) = c phi(x) for every c > 0, as of ReLU: the next batch norm cancels any gain, and shaping changes nothing. "
    "Take an activation that is smooth at 0, e.g. torch.tanh, or pass exponent=0."
)


def is_homogeneous(activation: Activation) -> bool:
    """Tell whether phi(c x) = c phi(x) for c > 0, so that no gain has an effect before batch norm.

    Example:
        >>> is_homogeneous(torch.relu), is_homogeneous(torch.tanh)
        (True, False)
    """
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)
    with torch.no_grad():
        return torch.allclose(activation(0.25 * x), 0.25 * activation(x), rtol=1e-9, atol=1e-12)


@dataclass(frozen=True)
class Shaping:
    """How fast gains must fall. Made by `choose_shaping`.

    Attributes:
        exponent: k of gains l^-k.
        depth: Layers it was chosen for.
        growth: Expected growth of log |gradient| over all layers.
        gains: Constant gains at which growth was measured.
        rates: Growth of log |gradient| per layer there.
        power: p of rate ~ gain^p between the two smallest gains.
    """

    exponent: float
    depth: int
    growth: float
    gains: tuple[float, ...]
    rates: tuple[float, ...]
    power: float


@cites(3, "activation shaping")
def choose_shaping(
    activation: Activation, depth: int, *, growth: float = 1.0, width: int = 32, seeds: int = 2
) -> Shaping:
    """Choose the smallest exponent k for which gradients grow by less than a target over all layers.

    Growth per layer is measured at a few constant gains in networks of Haar-orthogonal weights and batch norm, and
    summed over l^-k. Below the smallest gain it is continued as a power of the gain.

    Args:
        activation: phi, entrywise.
        depth: Layers.
        growth: Largest growth of log |gradient| over the network, above 0.
        width: Of the networks that are measured, with as many samples.
        seeds: Networks per gain.

    Raises:
        TheoryError: A number is out of range, no gain can help, or no exponent up to 1 is enough.

    Example:
        >>> choose_shaping(torch.relu, 100)
        Traceback (most recent call last):
        ...
        similitude.core.errors.TheoryError: phi(c x) = c phi(x) for every c > 0, as of ReLU: ...

    Cost: a few seconds.
    """
    layers, most = whole("depth", depth), number("growth", growth, above=True)
    if is_homogeneous(activation):
        raise TheoryError(_NO_GAIN)
    rates = [
        float(
            np.mean([gain_rate(activation, gain, width=width, seed=s) for s in range(whole("seeds", seeds))])
        )
        for gain in _GAINS
    ]
    safe = np.maximum(rates, _LINEAR)
    power = float(math.log(safe[-2] / safe[-1]) / math.log(_GAINS[-2] / _GAINS[-1]))

    def expected(exponent: float) -> float:
        gains = np.arange(1, layers + 1.0) ** -exponent
        inside = np.exp(np.interp(np.log(gains), np.log(_GAINS[::-1]), np.log(safe[::-1])))
        tail = safe[-1] * (gains / _GAINS[-1]) ** power
        return float(np.where(gains < _GAINS[-1], tail, inside).sum())

    for exponent in _EXPONENTS:
        if (total := expected(exponent)) <= most:
            return Shaping(exponent, layers, total, _GAINS, tuple(rates), power)
    raise TheoryError(
        f"gradients grow by {expected(_EXPONENTS[-1]):.3g} e-folds over {layers} layers even with exponent 1, more than "
        f"growth={most:g}: one layer at gain 1 grows by {rates[0]:.3g}. Allow more growth, or take a smoother activation."
    )


def gain_rate(
    activation: Activation, gain: float, *, width: int = 32, depth: int = 120, seed: int = 0
) -> float:
    """Measure the growth of log |gradient| per layer, backwards, at a constant gain.

    A network of Haar-orthogonal weights, batch norm without mean removal and phi(gain x) is run on as many samples as
    features, and a random vector is carried backwards through it.

    Args:
        activation: phi, entrywise.
        gain: Its gain, above 0.
        width: Features, at least 2.
        depth: Layers, above 40: the first layers forward and the first backward are left out.
        seed: Of weights and inputs.

    Raises:
        TheoryError: A number is out of range, or values are not finite.
    """
    d, layers = whole("width", width, least=2), whole("depth", depth, least=_BURN_IN + 10)
    scale = number("gain", gain, above=True)
    generator = torch_generator(seed, "gain rate")
    x = torch.randn(d, d, generator=generator, dtype=torch.float64)
    back = []
    for _ in range(layers):
        w = haar_orthogonal(d, generator=generator)
        pull = torch.func.vjp(lambda at, w=w: activation(scale * _normed(w @ at)), x)[1]
        x = activation(scale * _normed(w @ x))
        back.append(pull)
    vector = torch.randn(d, d, generator=generator, dtype=torch.float64)
    sizes, log = [], 0.0
    for pull in reversed(back[_BURN_IN // 2 :]):
        (vector,) = pull(vector)
        size = float(vector.norm())
        if not 0 < size < math.inf:
            raise TheoryError(
                f"gradients at gain {scale:g} are {size:g}. Pass an activation that is finite and not flat."
            )
        log += math.log(size)
        sizes.append(log)
        vector = vector / size
    kept = _BURN_IN // 2
    return (sizes[-1] - sizes[kept]) / (len(sizes) - 1 - kept)


def _normed(x: Tensor) -> Tensor:
    return x / x.square().mean(1, keepdim=True).sqrt()
