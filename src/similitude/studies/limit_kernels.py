"""The kernels of a user's networks beside those that the same module has at infinite width (papers 8 and 21)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats
from torch import nn

from similitude.core.citation import cites
from similitude.core.errors import KernelError
from similitude.studies.seed_spread import Spread
from similitude.studies.tangent_parts import TangentParts

if TYPE_CHECKING:
    from similitude.kernels.infinite import Kernel

_SAME = 1e-9  # relative difference of two kernels that are one
_LARGEST = 2**27  # numbers of a tensor of the kernel, 1 GB


@dataclass(frozen=True)
class LimitKernel:
    """One kernel of networks of finite width beside that of infinite width.

    Attributes:
        kernel: "ntk", the tangent kernel in the NTK parametrization, or "nngp", the covariance of an output given all
            layers in front of the last.
        deviation: |K_n - K|^2 / |K|^2 over pairs of examples, mean over networks: 0 at infinite width, of order 1/n.
        bias: Share by which K_n is larger than K in the mean over networks, <K_n, K> / <K, K> - 1: of order 1/n.
        exponent: Power of the width that the deviation goes with: -1 by fluctuations, -2 by the mean; None where there is
            one width, or a deviation is not above 0.
        narrow: The smaller width of the two that it is from.
    """

    kernel: str
    deviation: Spread
    bias: Spread
    exponent: Spread | None = None
    narrow: int | None = None

    @property
    def name(self) -> str:
        """Write which kernel it is."""
        return "tangent kernel" if self.kernel == "ntk" else "covariance of the output"


@dataclass(frozen=True, eq=False)
class Limit:
    """Kernels of a module at infinite width on some examples, and what its own at finite width is made of.

    Attributes:
        nngp: Shape (N, N).
        ntk: Likewise.
        rates: Learning rates by parameter with which the networks' tangent kernel has this one as its limit.
        readout: The same of the last layer alone, whose tangent kernel is the covariance of an output given the rest;
            None where no parameters are it.
    """

    nngp: np.ndarray
    ntk: np.ndarray
    rates: Mapping[str, float]
    readout: Mapping[str, float] | None


def infinite_width(
    model: nn.Module | Callable[[int], nn.Module], inputs: Any, *, widths: tuple[int, int] | None, seed: int
) -> Limit:
    """Read a module, and take its kernels at infinite width.

    Args:
        model: The module; or, to see what grows, a function of the width.
        inputs: N examples as it takes them.
        widths: Two widths of the function, the first that of the networks.
        seed: Seed of the function.

    Raises:
        KernelError: The module has no such kernel, or it is 0 or too large to compute.
    """
    from similitude.kernels.entry import kernel
    from similitude.kernels.samples import count
    from similitude.kernels.tangent_rates import tangent_rates

    made: Kernel = kernel(model, sample=inputs, widths=widths, seed=seed)
    numbers = made.numbers_per_pair(inputs) * count(inputs) ** 2
    if numbers > _LARGEST:
        raise KernelError(f"its tensors have {numbers:.2g} numbers. Take smaller inputs.")
    pair = made.pair(inputs)
    if not all(bool(gram.any()) for gram in pair.values()):
        raise KernelError("it is 0: the output, or its training, vanishes as the width grows.")
    rates = tangent_rates(made.reader(inputs).scales)
    parts = {name: part.numpy() for name, part in made.by_layer(inputs).items()}
    nngp, ntk = pair["nngp"].numpy(), pair["ntk"].numpy()
    return Limit(nngp, ntk, rates, _readout(parts, nngp, rates))


@cites(8, "the limit of infinite width, and how far a network is from it")
def limit_kernels(
    networks: TangentParts, limit: Limit, narrow: tuple[TangentParts, Limit] | None, widths: tuple[int, int]
) -> tuple[LimitKernel, ...]:
    """Compare the kernels of networks with those at infinite width.

    Args:
        networks: Tangent kernels.
        limit: Of their module.
        narrow: Networks of a smaller width and the limit of theirs; None where there are none.
        widths: The smaller width and that of the networks.
    """
    found = []
    for name in ("nngp", "ntk") if limit.readout is not None else ("ntk",):
        squares, shares = _deviations(networks, limit, name)
        exponent = None
        if narrow is not None and (name == "ntk" or narrow[1].readout is not None):
            exponent = _exponent(_deviations(*narrow, name)[0], squares, widths)
        found.append(
            LimitKernel(name, _mean(squares), _mean(shares), exponent, widths[0] if exponent else None)
        )
    return tuple(found)


def _deviations(networks: TangentParts, limit: Limit, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared relative deviation of every network, and the share by which its kernel is larger."""
    K = limit.ntk if name == "ntk" else limit.nngp
    size = float(np.square(K).sum())
    away = networks.total(limit.rates if name == "ntk" else limit.readout) - K
    # Of two independent estimates the product is an unbiased square.
    squares = (away[:, 0] * away[:, -1]).sum((1, 2)) / size
    return squares, (away.mean(1) * K).sum((1, 2)) / size


def _readout(
    parts: Mapping[str, np.ndarray], nngp: np.ndarray, rates: Mapping[str, float]
) -> Mapping[str, float] | None:
    """Return the rates of the last parameters that together add the covariance of the output to the tangent kernel."""
    total, names = np.zeros_like(nngp), []
    for name in list(parts)[::-1]:
        total = total + parts[name]
        names.append(name)
        if float(np.abs(total - nngp).max()) <= _SAME * float(np.abs(nngp).max()):
            return {name: rates[name] for name in names}
    return None


def _mean(values: np.ndarray) -> Spread:
    mean, error = _error(values)
    half = _quantile(len(values)) * error
    return Spread(mean, mean - half, mean + half)


def _exponent(narrow: np.ndarray, wide: np.ndarray, widths: tuple[int, int]) -> Spread | None:
    (a, s), (b, t) = _error(narrow), _error(wide)
    if a <= 0 or b <= 0:
        return None
    octaves = math.log(widths[1] / widths[0])
    value, error = math.log(b / a) / octaves, math.hypot(s / a, t / b) / octaves
    half = _quantile(min(len(narrow), len(wide))) * error
    return Spread(value, value - half, value + half)


def _error(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))


def _quantile(count: int) -> float:
    return float(stats.t.ppf(0.975, count - 1))
