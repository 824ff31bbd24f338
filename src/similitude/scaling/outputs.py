"""What a model returns, with one entry replaced: a tensor, a tuple, a dict or an object such as Hugging Face's."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from similitude.core.errors import PlanError
from similitude.scaling.richness import known_gamma

LOGITS = "logits"
"""Entry that is taken of an output that is no tensor, where none is named."""

Entry = str | int
"""Name of an entry of a dict or object, or position in a tuple or list."""


class Divided(nn.Module):
    """A model with its output divided by gamma: the richness written out, where no plan folds it.

    A plan with `gamma=` does the same by initial values and learning rates alone; use one of the two.

    Args:
        model: Any module.
        gamma: Richness: below 1 training is lazier, above 1 richer.
        output: Entry of the output that is divided; see `entry_of`.

    Raises:
        PlanError: gamma is not positive and finite.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> x = torch.ones(3, 2)
        >>> bool((Divided(model, 4.0)(x) == model(x) / 4).all())
        True
    """

    def __init__(self, model: nn.Module, gamma: float, *, output: Entry | None = None) -> None:
        super().__init__()
        self.model = model
        self.gamma = known_gamma(gamma)
        self.output = output

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model and divide its output."""
        result = self.model(*args, **kwargs)
        return with_entry(result, entry_of(result, self.output) / self.gamma, self.output)

    def extra_repr(self) -> str:
        """Show gamma where the module is printed."""
        return f"gamma={self.gamma:g}"


def entry_of(result: Any, entry: Entry | None = None) -> Tensor:
    """Return the tensor of a model's output that a loss is computed from.

    Args:
        result: What the model returned.
        entry: Name or position of the tensor; None for the output itself where it is a tensor, else its `logits`.

    Raises:
        PlanError: There is no such tensor, or the model computed a loss itself, from the output as it was.

    Example:
        >>> entry_of({"logits": torch.ones(2), "hidden": torch.zeros(2)})
        tensor([1., 1.])
    """
    if isinstance(result, Tensor) and entry is None:
        return result
    name = LOGITS if entry is None else entry
    found = _get(result, name)
    if not isinstance(found, Tensor):
        kind, known = type(result).__name__, ", ".join(map(repr, _names(result))) or "none"
        raise PlanError(
            f"the model returns a {kind}, whose {name!r} is {'missing' if found is None else 'no tensor'}; its "
            f"tensors are {known}. Name the one that the loss reads: output=..., a name or a position."
        )
    if isinstance(_get(result, "loss"), Tensor) and name != "loss":
        raise PlanError(
            f"the model returns a loss of its own, computed from {name!r} before that is changed here. Call it without "
            "labels, and compute the loss from the output."
        )
    return found


def with_entry(result: Any, value: Tensor, entry: Entry | None = None) -> Any:
    """Return a model's output with one tensor replaced; the original stays as it is.

    Args:
        result: What the model returned.
        value: The new tensor.
        entry: As of `entry_of`.

    Example:
        >>> with_entry((torch.zeros(1), "cache"), torch.ones(1), 0)
        (tensor([1.]), 'cache')
    """
    if isinstance(result, Tensor):
        return value
    name = LOGITS if entry is None else entry
    if isinstance(result, tuple | list):
        items = [value if place == name else item for place, item in enumerate(result)]
        make = getattr(type(result), "_make", type(result))  # a named tuple takes its items one by one
        return make(items)
    changed = copy.copy(result)
    if isinstance(result, Mapping):
        changed[name] = value  # a Hugging Face output sets its attribute with it
    else:
        setattr(changed, str(name), value)
    return changed


def _get(result: Any, name: Entry) -> Any:
    if isinstance(result, Mapping):
        return result.get(name)
    if isinstance(name, int):
        inside = isinstance(result, tuple | list) and 0 <= name < len(result)
        return result[name] if inside else None
    return getattr(result, name, None)


def _names(result: Any) -> list[Entry]:
    if isinstance(result, Mapping):
        return [name for name, item in result.items() if isinstance(item, Tensor)]
    if isinstance(result, tuple | list):
        return [place for place, item in enumerate(result) if isinstance(item, Tensor)]
    return [name for name, item in getattr(result, "__dict__", {}).items() if torch.is_tensor(item)]
