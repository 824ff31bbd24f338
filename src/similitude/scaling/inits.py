"""The user's own initialization, measured: how large each tensor is at the base and at the target.

Nothing is assumed about the init. Each tensor's root mean square is measured in real builds; the ratio of
target to base is replaced by the nearest simple law (a power of a fan ratio, or Xavier's) where the law
lies within the statistical error, so that plans carry exact numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from similitude.core.errors import FactoryError, PlanError
from similitude.core.seeding import derive
from similitude.scaling.axes import Comparison, Factory, build, build_shapes, compare
from similitude.scaling.roles import RoleResult, infer

MOST_PARAMETERS = 50_000_000  # larger models are not built to be measured
_MOST_DRAWS = 32
_DRAW_BUDGET = (
    4_000_000  # parameters drawn in all for one width, so that small models are measured more often
)
_SIGMAS = 5.0
_FEWEST_ENTRIES = 64  # below this the mean square of one draw says too little to recognize an untouched init
_FEWEST_UNIFORM = 1000  # draws before a uniform distribution is told from others
_CAST = 0.01  # relative change of a mean square that a cast to bfloat16 may cause


@dataclass(frozen=True)
class Moments:
    """One tensor over several draws: count, means of x^2 and x^4, whether all are equal, largest |x|."""

    count: int
    square: float
    fourth: float
    constant: bool
    peak: float

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
        """Standard error of log(rms)."""
        return 0.5 * math.sqrt((self.kurtosis - 1) / max(1, self.count))


@dataclass(frozen=True)
class OwnInit:
    """How one tensor's own init grows from base to target.

    Attributes:
        ratio: rms at the target over rms at the base; 1 where both are constant.
        law: The law that the ratio follows, "constant" for a tensor without spread, "" where none fits.
        error: Standard error of log(ratio) as measured.
        rms: rms of the untouched target; None where it is not known well enough to be recognized.
        tolerance: Largest relative deviation of the mean square that chance explains in one draw of the
            target.
        bound: Largest absolute value of an untouched target whose init is uniform; None for other inits.
    """

    ratio: float
    law: str
    error: float
    rms: float | None
    tolerance: float
    bound: float | None


def moments(make: Factory, width: int, *, seed: int, draws: int | None = None) -> dict[str, Moments]:
    """Measure every parameter of real builds at one width.

    Args:
        make: Function of the width that returns a model.
        width: The width to build.
        seed: Seed of the builds.
        draws: How many builds; by default more for small models.

    Cost: `draws` builds in time, one build in memory.
    """
    sums: dict[str, list[float]] = {}
    extremes: dict[str, list[float]] = {}
    first: dict[str, list[float]] = {}
    draw = 0
    while draws is None or draw < draws:
        model = build(make, width, seed=derive(seed, "init", width, draw))
        size = 0
        for name, parameter in model.named_parameters():
            size += parameter.numel()
            current, low, high = _sums(parameter)
            total = sums.setdefault(name, [0.0, 0.0, 0.0])
            sums[name] = [a + b for a, b in zip(total, current, strict=True)]
            bounds = extremes.setdefault(name, [low, high])
            extremes[name] = [min(bounds[0], low), max(bounds[1], high)]
            if draw == 0:
                first[name] = current
        draw += 1
        draws = draws or max(1, min(_MOST_DRAWS, _DRAW_BUDGET // max(1, size)))
        if draw == 2 and all(total == [2 * v for v in first[name]] for name, total in sums.items()):
            sums = first  # the factory seeds itself: further draws repeat the first
            break
    return {
        name: Moments(int(n), s2 / max(1, n), s4 / max(1, n), low == high, max(-low, high))
        for name, (n, s2, s4) in sums.items()
        for low, high in [extremes[name]]
    }


def measure(
    make: Factory, comparison: Comparison, roles: tuple[RoleResult, ...], *, base: int, target: int, seed: int
) -> dict[str, OwnInit]:
    """Measure how the own init of every tensor with a role grows from base to target.

    A target of more than `MOST_PARAMETERS` parameters is not built: the laws are told at affordable widths
    and evaluated at the target.

    Raises:
        PlanError: A model is too large to be built, and no two affordable widths tell the law of every
            tensor.
    """
    if comparison.size <= MOST_PARAMETERS and _size(comparison.base) <= MOST_PARAMETERS:
        small = moments(make, base, seed=seed)
        large = moments(make, target, seed=seed)
        one = {t.name: math.prod(t.shape) for t in comparison.tensors}
        return {
            role.name: _own(role, comparison.ratio, small[role.name], large[role.name], one[role.name])
            for role in roles
            if role.role is not None
        }
    return _extrapolated(make, comparison, roles, base=base, target=target, seed=seed)


def laws(role: RoleResult, width_ratio: float) -> dict[str, float]:
    """List the laws that a tensor's rms may follow, with the ratio of target to base that each gives.

    Args:
        role: The tensor's fans.
        width_ratio: The commonest ratio of a growing dimension of the model: torch draws the bias of a
            layer from the fan-in of its weight, which the bias's own shape does not show.
    """
    sides = role.sides
    found = {"constant": 1.0}
    if sides is not None:
        before, after = (sides.fan_in[i] + sides.fan_out[i] for i in (0, 1))
        found |= {
            "fan_in^-1/2": sides.r_in**-0.5,
            "fan_out^-1/2": sides.r_out**-0.5,
            "xavier": math.sqrt(before / after),
            "fan_in^-1": 1 / sides.r_in,
            "fan_out^-1": 1 / sides.r_out,
        }
    return found | {
        "width^-1/2": width_ratio**-0.5,
        "width^-1": 1 / width_ratio,
        "length^-1/2": role.r_out**-0.5,
        "length^-1": 1 / role.r_out,
    }


def _own(role: RoleResult, width_ratio: float, small: Moments, large: Moments, entries: int) -> OwnInit:
    error = math.hypot(small.log_error, large.log_error)
    if (small.constant and large.constant) or small.square == 0 or large.square == 0:
        ratio = large.rms / small.rms if small.square > 0 and large.square > 0 else 1.0
        law = "fixed"
    else:
        ratio, law = large.rms / small.rms, ""
        candidates = laws(role, width_ratio)
        nearest = min(candidates, key=lambda name: abs(math.log(ratio / candidates[name])))
        if abs(math.log(ratio / candidates[nearest])) <= _SIGMAS * error + 1e-6:
            ratio, law = candidates[nearest], nearest
    return OwnInit(ratio, law, error, *_recognizable(large, large.rms, entries), large.bound)


def _recognizable(seen: Moments, rms: float, entries: int) -> tuple[float | None, float]:
    """Return the rms by which an untouched tensor of `entries` entries is recognized, and its tolerance."""
    if not seen.constant and entries < _FEWEST_ENTRIES:
        return None, 0.0
    chance = math.sqrt((seen.kurtosis - 1) * (1 / max(1, entries) + 1 / max(1, seen.count)))
    return rms, (_SIGMAS + 1) * chance + _CAST


def _extrapolated(
    make: Factory, comparison: Comparison, roles: tuple[RoleResult, ...], *, base: int, target: int, seed: int
) -> dict[str, OwnInit]:
    low, high = _affordable(make, base, target)
    known = {r.name: r.role for r in roles if r.role is not None}
    probe, climb = compare(make, low, high), compare(make, low, target)
    probe_roles = {r.name: r for r in infer(probe, known)}
    climb_roles = {r.name: r for r in infer(climb, known)}
    small, large = moments(make, low, seed=seed), moments(make, high, seed=seed)
    entries = {t.name: math.prod(t.shape) for t in comparison.tensors}
    found: dict[str, OwnInit] = {}
    for role in roles:
        name = role.name
        if name not in known:
            continue
        own = _own(probe_roles[name], probe.ratio, small[name], large[name], entries[name])
        if not own.law or (own.law == "fixed" and own.ratio != 1.0):
            raise PlanError(
                f"the target has {comparison.size:,} parameters, too many to build here, and the init of "
                f"{name!r} follows no simple law between widths {low} and {high} (rms x{own.ratio:.4g}). "
                "Initialize it with a power of its fan-in or fan-out, or plan for a smaller target."
            )
        ratio = 1.0 if own.law == "fixed" else laws(role, comparison.ratio)[own.law]
        to_target = 1.0 if own.law == "fixed" else laws(climb_roles[name], climb.ratio)[own.law]
        rms, tolerance = _recognizable(small[name], small[name].rms * to_target, entries[name])
        bound = small[name].bound
        found[name] = OwnInit(ratio, own.law, own.error, rms, tolerance, bound and bound * to_target)
    return found


def _affordable(make: Factory, base: int, target: int) -> tuple[int, int]:
    """Find two widths that can be built, as near to the base as possible."""
    widths: list[int] = []
    for width in (base, 2 * base, 4 * base, base // 2, base // 4, base // 8, base // 16):
        if width < 1 or width == target or width in widths:
            continue
        try:
            if _size(build_shapes(make, width)) <= MOST_PARAMETERS:
                widths.append(width)
        except FactoryError:
            continue
        if len(widths) == 2:
            return min(widths), max(widths)
    raise PlanError(
        f"the model has more than {MOST_PARAMETERS:,} parameters at width {max(base, target)} and no two of "
        f"the widths {base}, {2 * base}, {4 * base}, {base // 2}, ... can be built to measure its init. "
        "Choose a smaller base."
    )


def _size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def _sums(parameter: torch.Tensor) -> tuple[list[float], float, float]:
    """Return count, sums of squares and fourth powers, and the extremes of one tensor, in float64."""
    if parameter.numel() == 0:
        return [0.0, 0.0, 0.0], 0.0, 0.0
    if parameter.is_meta:
        raise PlanError(
            "make returns parameters on the meta device, which have no values to measure. Build them for "
            "real."
        )
    values = (parameter.abs() if parameter.is_complex() else parameter).detach().double()
    square = values.square()
    return (
        [
            float(parameter.numel()),
            float(square.sum()),
            float(square.square().sum()),
        ],
        float(values.min()),
        float(values.max()),
    )
