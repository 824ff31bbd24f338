"""Parameter groups in which some tensors have no weight decay."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch import nn

from similitude.core.errors import PlanError
from similitude.scaling.axes import some
from similitude.scaling.matching import unwrapped


def named_tensors(model: nn.Module, names: Collection[str], *, argument: str) -> set[int]:
    """Return the identities of tensors by name, a tied one by any of its names.

    Args:
        model: The model, compiled or not.
        names: Names as in `model.named_parameters()`, each a whole name.
        argument: What the user calls the names, for the refusal.

    Raises:
        PlanError: The model has no tensor of a name, or one string was passed in place of several.
    """
    if isinstance(names, str):
        raise PlanError(f"{argument}={names!r} is one string. Pass a list of names: {argument}=[{names!r}].")
    wanted = {name.removeprefix("_orig_mod.") for name in names}  # of a compiled model
    known = dict(unwrapped(model).named_parameters(remove_duplicate=False))
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise PlanError(f"{argument} names {some(unknown)}, which the model does not have.")
    return {id(known[name]) for name in wanted}


def without_decay(groups: Iterable[Mapping[str, Any]], exempt: set[int]) -> list[dict[str, Any]]:
    """Split each group into the tensors that decay and those that do not.

    Args:
        groups: Parameter groups.
        exempt: Identities of the tensors without weight decay.
    """
    split = []
    for group in groups:
        for decays in (True, False):
            tensors = [p for p in group["params"] if (id(p) not in exempt) == decays]
            if tensors:
                split.append({**group, "params": tensors, **({} if decays else {"weight_decay": 0.0})})
    return split
