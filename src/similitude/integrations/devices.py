"""Move a batch of any form to a device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map


def on_device(batch: Any, device: torch.device) -> Any:
    """Return a batch with its tensors on a device; what is there already is not copied.

    Args:
        batch: Any nest of tuples, lists and dicts of tensors, or an object with a `to` method, such as a tokenizer's
            encoding.
        device: The device.

    Example:
        >>> on_device({"x": torch.ones(1), "names": ["a"]}, torch.device("meta"))["x"].device.type
        'meta'
    """
    if not isinstance(batch, dict | tuple | list) and callable(getattr(batch, "to", None)):
        return batch.to(device)
    return tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, batch)
