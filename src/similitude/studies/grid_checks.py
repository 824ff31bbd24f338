"""Whether a grid of learning rates and sizes, and its optimizer, can answer where the optimum is and how it moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral

import torch

from similitude.core.errors import GridError, PlanError
from similitude.scaling.optimizers import OptimizerLike, resolve
from similitude.scaling.sizes import WIDTH
from similitude.studies.next_steps import sizes_option
from similitude.training.build import build_optimizer

LEAST_RATES = 3  # the best rate and a worse one on each side


def check_rates(
    rates: Sequence[float], *, least: int = LEAST_RATES, remedy: str | None = None
) -> tuple[float, ...]:
    """Return the learning rates in increasing order, or say why they are no grid.

    Args:
        rates: Learning rates, in any order.
        least: Smallest number of rates.
        remedy: Rates to pass instead, where they are not given by their ends.

    Raises:
        GridError: A rate is zero, negative, infinite or nan, one is there twice, or there are too few.

    Example:
        >>> check_rates([0.1, 0.01, 0.001])
        (0.001, 0.01, 0.1)
    """
    bad = [float(rate) for rate in rates if not (math.isfinite(rate) and rate > 0)]
    if bad:
        raise GridError(
            f"the learning rate {bad[0]:g} is not positive and finite ({len(bad)} of {len(rates)} such); "
            f"grids are searched in log2 of the rate. Pass positive rates, e.g. "
            f"{remedy or '--lr-min 2^-12 --lr-max 2^-4'}."
        )
    ordered = tuple(sorted(float(rate) for rate in rates))
    for low, high in pairwise(ordered):
        if low == high:
            raise GridError(
                f"the learning rate {low:g} is in the grid more than once; each cell is run once per seed. "
                "Leave the repetition out, and use --seeds for more runs of the same rate."
            )
    if len(ordered) < least:
        listed = ", ".join(f"{rate:g}" for rate in ordered) or "none"
        middle = math.log2(ordered[len(ordered) // 2]) if ordered else -8.0
        ends = f"--lr-min 2^{math.floor(middle) - 4} --lr-max 2^{math.ceil(middle) + 4} --points 9"
        raise GridError(
            f"the grid has {len(ordered)} learning rate{'' if len(ordered) == 1 else 's'} ({listed}), an "
            f"optimum needs at least {least}: the best one and a worse one on each side. "
            f"Next: {remedy or ends}."
        )
    return ordered


def check_runs(steps: int, seeds: Sequence[int]) -> None:
    """Refuse a number of steps or seeds that make no runs.

    Args:
        steps: Optimizer steps per run.
        seeds: Seeds, one run each.

    Raises:
        GridError: There is no step or no seed, a seed is there twice, or one of them is not a whole number.
    """
    if not seeds or len(set(seeds)) != len(seeds):
        raise GridError(f"seeds={seeds!r}: give at least one seed, each once, e.g. (0, 1, 2).")
    for seed in seeds:
        if not isinstance(seed, Integral) or isinstance(seed, bool):
            raise GridError(f"seeds={seeds!r}: {seed!r} is not a whole number. Pass e.g. seeds=(0, 1, 2).")
    if not isinstance(steps, Integral) or steps < 1:
        raise GridError(
            f"steps={steps!r}: a run needs a whole number of optimizer steps, at least 1, e.g. 200."
        )


def check_optimizer(optimizer: OptimizerLike) -> None:
    """Refuse an optimizer that takes matrices alone, before anything is stored or trained.

    Args:
        optimizer: Class, instance, `functools.partial` or factory.

    Raises:
        PlanError: It does, or it has no rule.
    """
    spec = resolve(optimizer)
    if spec.family == "orthogonalized" and not steps_on_vectors(optimizer):
        raise PlanError(
            f"{spec.name} takes matrices alone, and a sweep trains every tensor by one optimizer at one learning rate. "
            "Sweep with one that takes all tensors, e.g. AdamW; `similitude check --optimizer "
            f"{spec.name}` trains the matrices by {spec.name} and everything else by AdamW."
        )


def steps_on_vectors(optimizer: OptimizerLike) -> bool:
    """Tell whether an optimizer can be made on a tensor of one dimension, and make a step on it.

    Example:
        >>> steps_on_vectors(torch.optim.AdamW), steps_on_vectors(torch.optim.Muon)
        (True, False)
    """
    vector = torch.nn.Parameter(torch.zeros(2))
    vector.grad = torch.ones(2)
    try:
        build_optimizer(optimizer, [vector]).step()
    except Exception:  # a class may say so in any way
        return False
    return True


def check_sizes(sizes: Sequence[int], dial: str = WIDTH) -> tuple[int, ...]:
    """Return the sizes in increasing order, or say why no shift can be measured over them.

    Args:
        sizes: Values of the dial in the units of the user's factory, in any order.
        dial: The dial that changes: "width" or "depth".

    Raises:
        GridError: A size is not a positive whole number, one is there twice, or there are fewer than two.

    Example:
        >>> check_sizes([256, 64])
        (64, 256)
    """
    for size in sizes:
        if isinstance(size, bool) or not math.isfinite(size) or size != int(size) or size < 1:
            raise GridError(
                f"the {dial} {size!r} is not a positive whole number. Pass e.g. {sizes_option(dial, ())}."
            )
    ordered = tuple(sorted(int(size) for size in sizes))
    for low, high in pairwise(ordered):
        if low == high:
            raise GridError(
                f"the {dial} {low} is there more than once. Leave the repetition out of --{dial}s."
            )
    if len(ordered) < 2:
        listed = ", ".join(map(str, ordered)) or "none"
        raise GridError(
            f"there {f'is 1 {dial}' if len(ordered) == 1 else f'are 0 {dial}s'} ({listed}), a comparison needs "
            f"at least 2. Next: {sizes_option(dial, ordered)}."
        )
    return ordered
