"""Load the user's weights into the model that their factory made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from similitude.core.errors import FactoryError

if TYPE_CHECKING:
    from torch import nn


def load_checkpoint(model: nn.Module, path: Path) -> None:
    """Load a state dict, or the one inside a larger checkpoint, into a model in place.

    Args:
        model: The model.
        path: What `torch.save` wrote: a state dict, or a dict that holds one. Only tensors and plain data are read, so
            that a file cannot run code.

    Raises:
        FactoryError: There is no such file, it holds no state dict, or that of another model.
    """
    import torch

    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FactoryError(
            f"--checkpoint {path} cannot be read: {first} Save the weights alone: torch.save(model.state_dict(), path)."
        ) from error
    found = _state_dict(held)
    if found is None:
        raise FactoryError(
            f"--checkpoint {path} holds a {type(held).__name__} without a state dict (names with tensors). Save one: "
            "torch.save(model.state_dict(), path)."
        )
    try:
        model.load_state_dict(found)
    except RuntimeError as error:
        text = " ".join(str(error).split())
        raise FactoryError(
            f"--checkpoint {path} is of another model: {text[:300]} Give the size it was trained at, e.g. --width 256."
        ) from error


def _state_dict(held: Any) -> Mapping[str, Any] | None:
    """Find names with tensors, at most one dict deep."""
    import torch

    if not isinstance(held, Mapping):
        return None
    for found in (held, *(value for value in held.values() if isinstance(value, Mapping))):
        if found and all(isinstance(value, torch.Tensor) for value in found.values()):
            return found
    return None
