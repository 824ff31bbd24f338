"""Samples as a kernel takes them: a tensor, or a nest of tensors that share their first axis; counted, cut, named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from similitude.core.errors import KernelError


def tensors_of(samples: Any, name: str = "samples") -> Iterator[Tensor]:
    """Yield the tensors of a nest of tuples, lists and dicts in a fixed order.

    Raises:
        KernelError: Something else than a tensor is in it.
    """
    if isinstance(samples, Tensor):
        yield samples
    elif isinstance(samples, Mapping):
        for key in samples:
            yield from tensors_of(samples[key], f"{name}[{key!r}]")
    elif isinstance(samples, tuple | list):
        for index, part in enumerate(samples):
            yield from tensors_of(part, f"{name}[{index}]")
    else:
        raise KernelError(
            f"{name} is a {type(samples).__name__}. Give a tensor whose first axis counts the samples, or a tuple or "
            "dict of such tensors (torch.as_tensor turns an array into one)."
        )


def count(samples: Any, name: str = "samples") -> int:
    """Return the number of samples: the length of the first axis, which all tensors share.

    Raises:
        KernelError: There are none, or the tensors have different numbers of them, or a tensor has no entries.

    Example:
        >>> count({"tokens": torch.zeros(3, 7), "mask": torch.ones(3, 7)})
        3
    """
    for tensor in tensors_of(samples, name):
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_complex():
            kind = "has no values (meta)" if tensor.is_meta else f"is of {tensor.layout} and {tensor.dtype}"
            raise KernelError(
                f"{name} has a tensor that {kind}. Give dense tensors of real numbers (x.to_dense())."
            )
    lengths = {tensor.shape[0] if tensor.ndim else -1 for tensor in tensors_of(samples, name)}
    if len(lengths) != 1 or -1 in lengths:
        shapes = (
            ", ".join(str(tuple(tensor.shape)) for tensor in tensors_of(samples, name)) or "no tensor at all"
        )
        raise KernelError(
            f"{name} has tensors of shapes {shapes}. Their first axis must count the same samples: give one row per "
            "sample in each."
        )
    (found,) = lengths
    if found == 0:
        raise KernelError(f"{name} has 0 samples. A kernel is between samples: give at least one.")
    empty = next((tensor for tensor in tensors_of(samples, name) if tensor.numel() == 0), None)
    if empty is not None:
        raise KernelError(
            f"{name} has a tensor of shape {tuple(empty.shape)}, which has no entries. Give every sample at least one."
        )
    return found


def require_finite(samples: Any, name: str) -> None:
    """Raise where a sample has a number that is not finite, and say which.

    Raises:
        KernelError: One has, or these are no samples; see `count`.
    """
    count(samples, name)
    for tensor in tensors_of(samples, name):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor.sum())):
            bad = ~torch.isfinite(tensor.reshape(len(tensor), -1)).all(1)
            if bool(bad.any()):  # else the sum alone overflowed
                first = int(bad.nonzero()[0])
                raise KernelError(
                    f"{name} has {int(bad.sum())} of {len(tensor)} samples with numbers that are not finite (nan or "
                    f"infinite); the first is sample {first}. Drop or mend them."
                )


def rows(samples: Any, start: int, stop: int) -> Any:
    """Return the samples from `start` up to `stop`, as views."""
    if isinstance(samples, Tensor):
        return samples[start:stop]
    if isinstance(samples, Mapping):
        return {key: rows(part, start, stop) for key, part in samples.items()}
    return type(samples)(rows(part, start, stop) for part in samples)


def moved(samples: Any, device: torch.device | str) -> Any:
    """Return the samples on a device."""
    if isinstance(samples, Tensor):
        return samples.to(device)
    if isinstance(samples, Mapping):
        return {key: moved(part, device) for key, part in samples.items()}
    return type(samples)(moved(part, device) for part in samples)


def signature(samples: Any) -> Any:
    """Return what a recorded pass depends on: the nest, and shapes and types without the number of samples."""
    if isinstance(samples, Tensor):
        return (tuple(samples.shape[1:]), samples.dtype if not samples.is_floating_point() else "float")
    if isinstance(samples, Mapping):
        return tuple((key, signature(part)) for key, part in samples.items())
    if isinstance(samples, tuple | list):
        return tuple(signature(part) for part in samples)
    return repr(samples)


def digest(samples: Any) -> str:
    """Return what tells these samples from all others: 16 hexadecimal digits of the SHA-256 of shapes, types and values.

    Example:
        >>> digest(torch.zeros(2)) == digest(torch.zeros(2)), digest(torch.zeros(2)) == digest(torch.zeros(1, 2))
        (True, False)
    """
    found = hashlib.sha256()
    for tensor in tensors_of(samples):
        found.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16]
