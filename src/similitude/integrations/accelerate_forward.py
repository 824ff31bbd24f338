"""The forward pass of a model as it was before Accelerate wrapped it in mixed precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

from torch import nn

from similitude.scaling.matching import unwrapped

try:
    from accelerate.utils.operations import ConvertOutputsToFp32
except ImportError as error:
    raise ImportError(
        "similitude.integrations.huggingface needs transformers and accelerate: pip install 'similitude[hf]'"
    ) from error


@contextmanager
def without_autocast(model: nn.Module) -> Iterator[None]:
    """Let a model that Accelerate prepared run in the precision of its parameters meanwhile.

    `Accelerator(mixed_precision="bf16").prepare(model)`, which `transformers.Trainer` calls with `bf16=True`, puts a
    `forward` under autocast on the model itself, so that every call of it runs in bfloat16, those for second derivatives
    too. In your own loop: `with without_autocast(model): tracker.update(model, optimizer, step)`.

    Args:
        model: Any module; on exit, and after an error, its `forward` is the one that it had.

    Example:
        >>> with without_autocast(nn.Linear(2, 1)):
        ...     pass  # a model that was not prepared is left alone
    """
    plain = unwrapped(model)
    prepared = plain.__dict__.get("forward")
    own = _own(prepared)
    if own is prepared:
        yield
        return
    plain.__dict__["forward"] = own
    try:
        yield
    finally:
        plain.__dict__["forward"] = prepared


def _own(forward: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """Go below what Accelerate added: a conversion of outputs around autocast, once per time that it prepared the model.

    Other decorators, such as those of transformers, stay.
    """
    own = forward
    while isinstance(conversion := getattr(own, "__wrapped__", None), ConvertOutputsToFp32):
        own = conversion.model_forward.__wrapped__
    if own is forward or own is None or not isinstance(forward, MethodType):
        return own
    return MethodType(own, forward.__self__)
