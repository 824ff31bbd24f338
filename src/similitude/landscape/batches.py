"""The data that a curvature is taken over: one batch, or several whose mean over examples is meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from similitude.core.errors import CurvatureError

_FORMS = "one batch (a tensor, a tuple or a dict of tensors) or a list or another iterable of batches"


def read_batches(batch: Any) -> tuple[tuple[Any, int], ...]:
    """Read what a user gives as data.

    Args:
        batch: One batch: a tensor, a tuple, or a dict (or another mapping, such as a tokenizer gives); or several: a
            list or any other iterable, such as a `DataLoader`. A tuple is one batch, a list is several.

    Returns:
        Each batch with its number of examples: the length of its first tensor's first axis.

    Raises:
        CurvatureError: It is neither, is empty, has no tensor, or has no examples.

    Example:
        >>> import torch
        >>> [n for _, n in read_batches([(torch.ones(3, 2), torch.ones(3)), (torch.ones(2, 2), torch.ones(2))])]
        [3, 2]
    """
    if isinstance(batch, Tensor | tuple | Mapping):
        given: list[Any] = [batch]
    elif isinstance(batch, Iterable) and not isinstance(batch, str | bytes):
        given = list(batch)
    else:
        raise CurvatureError(f"batch is a {type(batch).__name__}. Pass {_FORMS}.")
    if not given:
        raise CurvatureError(
            f"batch is a {type(batch).__name__} without batches: the mean over no examples is not a loss. Pass {_FORMS}; "
            "an iterator can be read once only."
        )
    return tuple((one, _examples(one, number)) for number, one in enumerate(given))


def _examples(batch: Any, number: int) -> int:
    first = next(_tensors(batch), None)
    if first is None:
        raise CurvatureError(f"batch {number} has no tensor in it ({type(batch).__name__}). Pass {_FORMS}.")
    count = first.shape[0] if first.ndim else 1
    if count == 0:
        raise CurvatureError(
            f"batch {number} has no examples: its first tensor has shape {tuple(first.shape)}. Leave it out."
        )
    return count


def _tensors(batch: Any) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        for value in batch.values():
            yield from _tensors(value)
    elif isinstance(batch, Sequence) and not isinstance(batch, str):
        for value in batch:
            yield from _tensors(value)
