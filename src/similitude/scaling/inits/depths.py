"""How the user's own init changes with the depth: the same tensors, drawn at the base's and at the target's depth."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from similitude.scaling.inits.moments import Moments, moments
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
        mixed: Whether blocks of the same kind change by different ratios; `ratio` is then their mean.
    """

    ratio: float
    law: str
    mixed: bool = False


def depth_inits(make: Factory, shallow: Size, deep: Size, *, seed: int) -> dict[str, DepthInit]:
    """Measure which tensors' own init depends on the depth.

    A tensor of a block that the shallow network lacks follows its kind: the tensors of the same name up to the
    numbers in it.

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
    kinds: dict[str, list[str]] = defaultdict(list)
    for name in after:
        kinds[_kind(name)].append(name)
    depths = deep["depth"] / shallow["depth"]
    found: dict[str, DepthInit] = {}
    for names in kinds.values():
        shared = [name for name in names if name in before and before[name].square and after[name].square]
        change = _change(before, after, shared, depths)
        if change is not None:
            found.update(dict.fromkeys(names, change))
    return found


def init_depth_notes(found: Mapping[str, DepthInit], kept: Iterable[str]) -> list[str]:
    """Say which tensors' own init depends on the depth, and what becomes of it.

    Args:
        found: What `depth_inits` gave.
        kept: Tensors whose own init stays.
    """
    kept = set(kept)
    groups: dict[tuple[DepthInit, bool], list[str]] = defaultdict(list)
    for name, init in found.items():
        groups[init, name in kept].append(name)
    notes = []
    for (init, stays), names in groups.items():
        kinds = list(dict.fromkeys(map(_kind, names)))
        how = f" ({init.law})" if init.law else ", as measured"
        varies = "; it is their mean, as the blocks differ" if init.mixed else ""
        what = "kept" if stays else "taken out, as the depth rule sets the scale of a branch itself"
        notes.append(
            f"your own init depends on the depth: x{init.ratio:.4g}{how}{varies}, {what}: {', '.join(kinds)}"
        )
    return notes


def _kind(name: str) -> str:
    """Write a name without its numbers, e.g. "blocks.*.attn.weight"."""
    return re.sub(r"(?<![^.])\d+(?![^.])", "*", name)


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
    return DepthInit(math.exp(mean), "", mixed)
