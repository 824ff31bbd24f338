"""The data that a curvature is taken over: one batch, or several whose mean over examples is meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from similitude.core.errors import CurvatureError
from similitude.core.seeding import seeded

_FORMS = "one batch (a tensor; a tuple, list or dict of tensors) or a list or another iterable of batches"


def read_batches(batch: Any) -> tuple[tuple[Any, int], ...]:
    """Read what a user gives as data.

    Args:
        batch: One batch: a tensor, a tuple, a dict (or another mapping, such as a tokenizer gives), or a list of bare
            tensors that differ in shape or type, as a `DataLoader` yields it; or several: a list of batches or any other
            iterable, such as a `DataLoader`, which is read under a fixed seed that leaves the generators as they were.

    Returns:
        Each batch with its number of examples: the length that most of its tensors have along their first axis, of two
        as many that of the first.

    Raises:
        CurvatureError: It is neither, may be either, is empty, has no tensor, or has no examples.

    Example:
        >>> import torch
        >>> [n for _, n in read_batches([(torch.ones(3, 2), torch.ones(3)), (torch.ones(2, 2), torch.ones(2))])]
        [3, 2]
    """
    if isinstance(batch, Tensor | tuple | Mapping) or _is_one(batch):
        given: list[Any] = [batch]
    elif isinstance(batch, Iterable) and not isinstance(batch, str | bytes):
        with seeded(0):  # a shuffled loader draws its order
            given = list(batch)
    else:
        raise CurvatureError(f"batch is a {type(batch).__name__}. Pass {_FORMS}.")
    if not given:
        raise CurvatureError(
            f"batch is a {type(batch).__name__} without batches: the mean over no examples is not a loss. Pass {_FORMS}; "
            "an iterator can be read once only."
        )
    return tuple((one, _examples(one, number)) for number, one in enumerate(given))


def _is_one(batch: Any) -> bool:
    """Whether a list is one batch of bare tensors, rather than several batches.

    Raises:
        CurvatureError: It may be either.
    """
    if not isinstance(batch, list) or len(batch) < 2 or not all(isinstance(part, Tensor) for part in batch):
        return False
    if len({part.shape[:1] for part in batch}) > 1:
        return False
    if len({(part.shape, part.dtype) for part in batch}) == 1:
        raise CurvatureError(
            f"batch is a list of {len(batch)} tensors of one shape, {tuple(batch[0].shape)}: this may be one batch of "
            f"inputs and targets, or {len(batch)} batches. Pass a tuple for one batch, tuple(batch), or an iterator for "
            "several, iter(batch)."
        )
    return True


def _examples(batch: Any, number: int) -> int:
    tensors = list(_tensors(batch))
    if not tensors:
        raise CurvatureError(f"batch {number} has no tensor in it ({type(batch).__name__}). Pass {_FORMS}.")
    lengths = Counter(len(tensor) for tensor in tensors if tensor.ndim)
    count = lengths.most_common(1)[0][0] if lengths else 1
    if count == 0:
        raise CurvatureError(
            f"batch {number} has no examples: its first tensor has shape {tuple(tensors[0].shape)}. Leave it out."
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
