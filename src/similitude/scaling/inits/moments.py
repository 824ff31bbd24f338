"""Moments of initial values: mean square, kurtosis and bounds of every parameter over real builds of a model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from similitude.core.errors import PlanError
from similitude.core.seeding import derive
from similitude.scaling.axes import build
from similitude.scaling.sizes import WIDTH, Factory, Size, as_size

_ENOUGH_ENTRIES = 20_000  # of one tensor: the rms of a normal is then known to 0.5 %
_FEW_ENTRIES = 200  # what the smallest tensors are drawn for beyond the usual draws: 3 % of a uniform's rms
_FEWEST_DRAWS, _USUAL_DRAWS, _MOST_DRAWS = 2, 8, 128
_DRAW_BUDGET = 16_000_000  # parameters drawn in all at one size, beyond the fewest draws
_ENTRIES_PER_TENSOR = 2000  # that building a small tensor takes as long as
_FEWEST_UNIFORM = 1000  # entries before a uniform distribution is told from others
_PRIOR_ENTRIES = 30  # a kurtosis of few entries is drawn towards the normal's 3 as by this many more
_CHUNK = 1 << 18  # entries in double precision at a time


@dataclass(frozen=True)
class Moments:
    """One tensor over several draws.

    Attributes:
        count: Number of entries drawn.
        square: Mean of x^2.
        fourth: Mean of x^4.
        constant: Whether all entries are equal.
        peak: Largest |x|.
        rounding: Relative spacing of the tensor's floating-point type.
        shape: Shape of the tensor.
        mean: Mean of x.
    """

    count: int
    square: float
    fourth: float
    constant: bool
    peak: float
    rounding: float = 0.0
    shape: tuple[int, ...] = ()
    mean: float = 0.0

    @property
    def rms(self) -> float:
        """Root mean square."""
        return math.sqrt(self.square)

    @property
    def kurtosis(self) -> float:
        """Mean of x^4 over the squared mean of x^2; 1 for a constant."""
        return 1.0 if self.constant or self.square == 0 else max(1.0, self.fourth / self.square**2)

    @property
    def bound(self) -> float | None:
        """Bound of |x| where the draws look uniform (torch's default init); a new draw will not pass it."""
        edge = math.sqrt(3) * self.rms
        looks_uniform = abs(self.kurtosis - 1.8) < 0.05 and abs(self.peak - edge) < 0.02 * edge
        if self.count < _FEWEST_UNIFORM or not looks_uniform:
            return None
        # The largest of N uniform draws misses the bound by 1/N on average, by 20/N with probability e^-20.
        return self.peak * (1 + 20 / self.count)

    @property
    def log_error(self) -> float:
        """Standard error of log(rms), were the entries independent."""
        if self.constant:
            return 0.0
        kurtosis = (self.kurtosis * self.count + 3 * _PRIOR_ENTRIES) / (self.count + _PRIOR_ENTRIES)
        return 0.5 * math.sqrt((kurtosis - 1) / self.count)


def moments(make: Factory, size: int | Size, *, seed: int, draws: int | None = None) -> dict[str, Moments]:
    """Measure every parameter of real builds at one size.

    Args:
        make: Function of the dials that returns a model.
        size: The size to build.
        seed: Seed of the builds.
        draws: How many builds; by default as many as small tensors need, and few of a large model. A
            factory that seeds itself gives the same values again, which count once.

    Raises:
        FactoryError: The model cannot be built.
        PlanError: The model has no values, because make leaves it on the meta device.

    Cost: a few builds in time, up to 128 of a small model with tensors of few entries and 2 of one with more
        than eight million parameters or four thousand tensors; one build in memory.
    """
    size = as_size(size, "size")
    sums: dict[str, _Sums] = {}
    first: dict[str, _Sums] = {}
    limit = draws or _MOST_DRAWS
    draw = 0
    while draw < limit:
        model = build(make, size, seed=derive(seed, "init", size[WIDTH], draw))
        new = {name: _sums(p) for name, p in model.named_parameters()}
        sums = {name: sums[name].plus(s) if name in sums else s for name, s in new.items()}
        draw += 1
        if draw == 1:
            first = new
            entries = sum(s.count + _ENTRIES_PER_TENSOR for s in new.values())
            if draws is None:
                limit = min(_MOST_DRAWS, max(_FEWEST_DRAWS, _DRAW_BUDGET // max(1, entries)))
        elif draw == 2 and new == first:
            sums = first
            break
        wanted = _ENOUGH_ENTRIES if draw < _USUAL_DRAWS else _FEW_ENTRIES
        if draws is None and all(s.is_settled or s.count >= wanted for s in sums.values()):
            break
    return {name: s.moments() for name, s in sums.items()}


@dataclass(frozen=True)
class _Sums:
    count: int
    total: float
    square: float
    fourth: float
    low: float
    high: float
    rounding: float
    shape: tuple[int, ...]

    def plus(self, other: _Sums) -> _Sums:
        return _Sums(
            self.count + other.count,
            self.total + other.total,
            self.square + other.square,
            self.fourth + other.fourth,
            min(self.low, other.low),
            max(self.high, other.high),
            self.rounding,
            self.shape,
        )

    @property
    def is_settled(self) -> bool:
        """Whether the tensor is empty or a constant; one number other than zero may be a draw."""
        return self.count == 0 or (self.low == self.high and (self.count > 1 or self.low == 0))

    def moments(self) -> Moments:
        n = max(1, self.count)
        constant = self.low == self.high
        peak = max(-self.low, self.high)
        means = (self.square / n, self.fourth / n)
        return Moments(self.count, *means, constant, peak, self.rounding, self.shape, self.total / n)


def _sums(parameter: torch.Tensor) -> _Sums:
    """Sum squares and fourth powers of one tensor in float64, and find its extremes."""
    if parameter.is_meta:
        raise PlanError(
            "make returns parameters on the meta device, which have no values to measure. Build them for "
            "real."
        )
    dtype = parameter.dtype
    rounding = torch.finfo(dtype).eps if dtype.is_floating_point or dtype.is_complex else 0.0
    shape = tuple(parameter.shape)
    if parameter.numel() == 0:
        return _Sums(0, 0.0, 0.0, 0.0, 0.0, 0.0, rounding, shape)
    total = _Sums(0, 0.0, 0.0, 0.0, math.inf, -math.inf, rounding, shape)
    for values in _chunks(parameter.detach()):
        square = values.square()
        part = _Sums(
            values.numel(),
            float(values.sum()),
            float(square.sum()),
            float(square.square().sum()),
            float(values.min()),
            float(values.max()),
            rounding,
            shape,
        )
        total = total.plus(part)
    return total


def _chunks(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    for chunk in tensor.reshape(-1).split(_CHUNK):
        yield (chunk.abs() if chunk.is_complex() else chunk).double()
