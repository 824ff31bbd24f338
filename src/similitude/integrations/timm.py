"""Parameter groups for timm's schedulers, which set one absolute learning rate and multiply it by `lr_scale`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from similitude.core.errors import PlanError


def with_lr_scale(groups: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rewrite a plan's groups so that a scheduler of timm keeps their ratios.

    timm's schedulers start from each group's own `lr`, but warm up from one absolute `warmup_lr_init` and decay to one
    absolute `lr_min` for all groups; then they multiply by the group's `lr_scale`. Here every group's `lr` becomes the
    learning rate of the base and its factor goes into `lr_scale`, so that each number that timm is given is one of the
    base. The learning rates are right once the scheduler is made, which sets them.

    Args:
        groups: What `Plan.groups` returned.

    Returns:
        New groups with the same tensors and options, `lr` without the factor, and `lr_scale`.

    Raises:
        PlanError: A group has no "lr_factor" or a factor of 0, or has an `lr_scale` already.

    Example:
        >>> with_lr_scale([{"params": [], "lr": 0.002, "lr_factor": 0.25}])
        [{'params': [], 'lr': 0.008, 'lr_factor': 0.25, 'lr_scale': 0.25}]
    """
    return [_rewritten(index, group) for index, group in enumerate(groups)]


def _rewritten(index: int, group: Mapping[str, Any]) -> dict[str, Any]:
    if not group.get("lr_factor"):
        raise PlanError(
            f'group {index} has no "lr_factor", so its learning rate over that of the base is not known. Pass the groups '
            "of plan.groups(model, lr=...)."
        )
    if "lr_scale" in group:
        raise PlanError(
            f"group {index} has lr_scale={group['lr_scale']!r} already, and a scheduler would multiply its rate twice. "
            "Pass the groups of plan.groups(model, lr=...) as they are."
        )
    factor = group["lr_factor"]
    return {**group, "lr": group["lr"] / factor, "lr_scale": factor}
