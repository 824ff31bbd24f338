"""How a model is fed and which of the tensors that it returns is meant."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map

from similitude.core.errors import CurvatureError

Outputs = Callable[[Any], Tensor]
"""Takes what the model returns and gives one tensor of shape (examples, ...)."""


def call(model: nn.Module, inputs: Any) -> Any:
    """Run a model on inputs as it takes them.

    Args:
        model: Any module.
        inputs: A tensor, a tuple of arguments, or a mapping of keyword arguments.

    Raises:
        CurvatureError: The inputs are none of these.
    """
    if isinstance(inputs, Tensor):
        return model(inputs)
    if isinstance(inputs, tuple):
        return model(*inputs)
    if isinstance(inputs, Mapping):
        return model(**inputs)
    raise CurvatureError(
        f"inputs is a {type(inputs).__name__}. Pass what the model takes: a tensor, a tuple of arguments or a dict of "
        "keyword arguments, without targets."
    )


def copied(inputs: Any) -> Any:
    """Copy inputs, so that what happens to the ones does not happen to the others.

    Args:
        inputs: As for `call`; what is in it besides tensors is copied too. Its tensors are cut from their graphs.
    """
    if isinstance(inputs, Mapping):
        return {name: copied(part) for name, part in inputs.items()}
    return tree_map(
        lambda leaf: leaf.detach().clone() if isinstance(leaf, Tensor) else copy.deepcopy(leaf), inputs
    )


def output_tensors(result: Any) -> list[Tensor]:
    """List the tensors of what a model returned that may be its outputs.

    Args:
        result: What the model returned.

    Returns:
        The tensor itself; or the `logits` alone, where there are any; or all tensors of a tuple, list or mapping, by
        the same rule each.

    Example:
        >>> import torch
        >>> [t.item() for t in output_tensors((torch.tensor(1), {"logits": torch.tensor(2), "loss": torch.tensor(3)}))]
        [1, 2]
    """
    if isinstance(result, Tensor):
        return [result]
    logits = result.get("logits") if isinstance(result, Mapping) else getattr(result, "logits", None)
    if isinstance(logits, Tensor):
        return [logits]
    if isinstance(result, Mapping):
        result = tuple(result.values())
    return [t for part in result for t in output_tensors(part)] if isinstance(result, tuple | list) else []


def pick(result: Any, outputs: Outputs | None = None) -> Tensor:
    """Return the output tensor of a model.

    Args:
        result: What the model returned.
        outputs: Picks the tensor; None takes the tensor itself, the `logits` of what was returned, or the only real
            tensor in it.

    Raises:
        CurvatureError: There is no such tensor, it has no axis of examples, or it is not finite.
    """
    picked = result if outputs is None else outputs(result)
    real = [t for t in output_tensors(picked) if t.is_floating_point()]
    if len(real) != 1:
        what = "the model returned" if outputs is None else "outputs= gave"
        raise CurvatureError(
            f"{what} a {type(picked).__name__} with {len(real)} real tensors, and the outputs cannot be told from it. "
            "Pass outputs=, a function that takes what the model returns and gives one real tensor of shape "
            "(examples, ...)."
        )
    (found,) = real
    if found.ndim == 0 or found.shape[0] == 0:
        raise CurvatureError(
            f"the outputs have shape {tuple(found.shape)}: their first axis must be that of the examples, at least one. "
            "Pass the model's outputs rather than a loss, and outputs= where the examples are on another axis."
        )
    if not found.detach().isfinite().all():
        raise CurvatureError(
            "the model's outputs are not all finite, so they have no features and no tangent kernel. Look for NaN in "
            "the inputs and in the parameters: training may have diverged."
        )
    return found
