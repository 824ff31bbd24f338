"""How a model is fed and which of the tensors that it returns is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

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


def pick(result: Any, outputs: Outputs | None = None) -> Tensor:
    """Return the output tensor of a model.

    Args:
        result: What the model returned.
        outputs: Picks the tensor; None takes the tensor itself, or the `logits` of what was returned.

    Raises:
        CurvatureError: There is no such tensor, it has no axis of examples, or it is not finite.
    """
    if outputs is not None:
        found = outputs(result)
    elif isinstance(result, Mapping):
        found = result.get("logits")
    else:
        found = getattr(result, "logits", result)
    if not isinstance(found, Tensor) or not found.is_floating_point():
        raise CurvatureError(
            f"the model returned a {type(result).__name__}, and the outputs cannot be told from it. Pass outputs=, a "
            "function that takes what the model returns and gives one real tensor of shape (examples, ...)."
        )
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
