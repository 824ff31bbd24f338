"""How the user's own init changes with the depth: the same tensors, drawn at the base's and at the target's depth."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from similitude.scaling.inits.moments import Moments, moments
from similitude.scaling.patterns import name_patterns
from similitude.scaling.sizes import Factory, Size

_SIGMAS = 5.0
_ROUNDING = 0.003  # relative change of an rms that says nothing
_POWERS = tuple(map(Fraction, ["-1/2", "-1", "-1/4", "1/2", "-3/4", "-2", "1", "1/4"]))
_DRAWS = 8  # builds of each depth: blocks of one kind are many draws of one law already
_MISFIT = 0.01  # relative misfit up to which a power of the depth is believed


@dataclass(frozen=True)
class DepthInit:
    """What the depth alone does to one tensor's own init.

    Attributes:
        ratio: rms at the target's depth over rms at the base's depth, at one width.
        law: The power of the depth that says so, e.g. "depth^-1/2"; "" where it was measured.
        kind: The tensors that it was told from: their name with * for the number of the block, or one tensor's name.
        mixed: Whether tensors of the same kind change by different ratios, and this one, which only the deep network
            has, by their mean.
    """

    ratio: float
    law: str
    kind: str = ""
    mixed: bool = False


def depth_inits(make: Factory, shallow: Size, deep: Size, *, seed: int) -> dict[str, DepthInit]:
    """Measure which tensors' own init depends on the depth.

    A tensor of a block that the shallow network lacks follows its kind: the tensors of the same name up to the
    numbers that the depth changes. Where those change by different ratios, each has its own and new ones have the mean.

    Args:
        make: Function of the dials that returns a model.
        shallow: A size that can be built, at the base's depth.
        deep: The same at the target's depth.
        seed: Seed of the builds.

    Returns:
        The tensors of the deep network whose init changes with the depth; the others are left out.

    Raises:
        FactoryError: One of the two cannot be built.
    """
    before, after = (moments(make, size, seed=seed, draws=_DRAWS) for size in (shallow, deep))
    patterns = name_patterns([list(before), list(after)])
    kinds: dict[str, list[str]] = defaultdict(list)
    for name in after:
        kinds[patterns[name]].append(name)
    depths = deep["depth"] / shallow["depth"]
    found: dict[str, DepthInit] = {}
    for kind, names in kinds.items():
        shared = [name for name in names if name in before and before[name].square and after[name].square]
        alike = _change(before, after, shared, depths)
        if alike is None:
            continue
        found.update(dict.fromkeys(names, replace(alike, kind=kind)))
        for name in shared if alike.mixed else ():
            own = _change(before, after, [name], depths)
            if own is None:
                del found[name]
            else:
                found[name] = replace(own, kind=name)
    return found


def init_depth_notes(
    found: Mapping[str, DepthInit], kept: Collection[str], inside: Collection[str]
) -> list[str]:
    """Say which tensors' own init depends on the depth, and what becomes of it.

    Args:
        found: What `depth_inits` gave.
        kept: Tensors whose own init stays.
        inside: Tensors inside residual branches.
    """
    groups: dict[tuple[DepthInit, str], None] = {}
    for name, init in found.items():
        what = (
            "kept"
            if name in kept
            else "taken out, as the depth rule sets the scale of a branch itself"
            if name in inside
            else "taken out, as outside of residual branches the depth rule keeps the init of the base"
        )
        groups[init, what] = None
    lines: dict[tuple[float, str, bool, str], list[str]] = defaultdict(list)
    for init, what in groups:
        lines[init.ratio, init.law, init.mixed, what].append(init.kind)
    notes = []
    for (ratio, law, mixed, what), kinds in lines.items():
        how = f" ({law})" if law else ", as measured"
        mean = "; the mean of the base's blocks, which differ, for those that it lacks" if mixed else ""
        notes.append(
            f"your own init depends on the depth: x{ratio:.4g}{how}{mean}, {what}: {', '.join(kinds)}"
        )
    return notes


def _change(
    before: Mapping[str, Moments], after: Mapping[str, Moments], names: list[str], depths: float
) -> DepthInit | None:
    if not names:
        return None
    logs, errors = [], []
    for name in names:
        a, b = before[name], after[name]
        logs.append(math.log(b.rms / a.rms))
        errors.append(math.hypot(a.log_error, b.log_error, _ROUNDING / _SIGMAS))
    weights = [error**-2 for error in errors]
    mean = sum(w * x for w, x in zip(weights, logs, strict=True)) / sum(weights)
    error = sum(weights) ** -0.5
    misfits = [abs(x - mean) / e for x, e in zip(logs, errors, strict=True)]
    mixed = max(misfits) > _SIGMAS
    if abs(mean) < max(_SIGMAS * error, _ROUNDING) and not mixed:
        return None
    if not mixed:
        for power in _POWERS:
            if abs(mean - power * math.log(depths)) < max(_SIGMAS * error, _MISFIT):
                return DepthInit(depths**power, f"depth^{power}")
    return DepthInit(math.exp(mean), "", mixed=mixed)
