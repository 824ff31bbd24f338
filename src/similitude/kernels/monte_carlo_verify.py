"""Check an estimated kernel on copies of a third width, where the law of 1 / width says what they must be."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.core.seeding import derive
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.kernels.grams import NAMES
from similitude.kernels.monte_carlo_copies import Sums, WideCopies, wide_copies

if TYPE_CHECKING:
    from similitude.kernels.monte_carlo import EstimatedKernel

_SIGMAS = 4.0
_NOISY = 0.1  # relative standard error above which nothing is said
_FIRST = 8  # copies that tell how long one takes


def verify_estimated(
    kernel: EstimatedKernel, x: Any, *, width: int | None, copies: int, seconds: float, seed: int
) -> Verdict:
    """Compare an estimated kernel with copies of a third width; see `EstimatedKernel.verify`."""
    n, m = kernel.narrow.width, kernel.wide.width
    width = 2 * m if width is None else width
    if width in (n, m) or width < 1 or copies < _FIRST:
        raise KernelError(
            f"width={width}, copies={copies}: take {_FIRST} or more copies, of another width than {n} and {m}, which the "
            "kernel is estimated from."
        )
    third = wide_copies(
        kernel.make,
        width,
        kernel.law,
        x,
        dtype=kernel.dtype,
        seed=derive(seed, "verify", width),
        device=kernel.wide.device,
    )
    # Linear in 1 / width through both means.
    share = (1 / width - 1 / m) / (1 / n - 1 / m)
    evidence: list[Evidence] = []
    worst, noise = 0.0, 0.0
    for name in NAMES:
        found = kernel.pair(x, which=[f"{name}{part}" for part in ("", "_error", "_narrow", "_narrow_error")])
        wide, wide_error, narrow, narrow_error = found.values()
        if not bool(wide.any()):
            continue
        measured = _timed(third, name, x, copies, seconds / len(NAMES))
        there = (1 - share) * wide + share * narrow
        error = torch.hypot((1 - share) * wide_error, share * narrow_error)
        error = torch.hypot(error, measured.error.to(error))
        size = _size(wide)
        off = (measured.mean.to(there) - there).abs()
        distance = float((off / error.clamp_min(1e-12 * size)).max())
        worst, noise = max(worst, distance), max(noise, float((error / size).max()))
        evidence += [
            Evidence(
                f"{name.upper()} at width {width}: largest distance in standard errors",
                distance,
                expected=f"below {_SIGMAS:g}",
            ),
            Evidence(
                f"{name.upper()} at width {width}: largest relative deviation",
                float((off / size).max()),
                expected=f"0 within standard errors up to {float((error / size).max()):.2g}",
            ),
        ]
    if worst > _SIGMAS:
        return Verdict(
            Outcome.INCONSISTENT,
            f"copies of width {width} are {worst:.1f} standard errors from where 1 / width puts them",
            tuple(evidence),
            causes=(
                "the copies are too narrow for a fall as 1 / width",
                "the kernel grows slowly with the width, and has no limit",
            ),
            next="estimate with wider copy_widths=",
        )
    if noise > _NOISY:
        return Verdict(
            Outcome.TOO_NOISY,
            f"copies of width {width} and those that the kernel is estimated from know it to {noise:.1%} only",
            tuple(evidence),
            next="an estimate of more copies=, and verify(copies=..., seconds=...) with more of both",
        )
    return Verdict(
        Outcome.OK,
        f"copies of width {width} are where 1 / width puts them, within {worst:.1f} standard errors",
        tuple(evidence),
    )


def _timed(copies: WideCopies, name: str, x: Any, most: int, seconds: float) -> Sums:
    """Average over as many copies as a time allows."""
    average = copies.nngp if name == "nngp" else copies.ntk
    started = time.monotonic()
    average(x, None, _FIRST)
    each = (time.monotonic() - started) / _FIRST
    number = int(min(most, max(_FIRST, seconds / max(each, 1e-9))))
    return average(x, None, number - number % 2)


def _size(kernel: Tensor) -> Tensor:
    size = kernel.diagonal().abs().sqrt()
    return (size[:, None] * size).clamp_min(1e-300)
