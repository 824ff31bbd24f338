"""Checks of plain arguments: numbers, whole numbers and seeds, with messages that name the argument and its value."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from torch import Tensor

from similitude.core.errors import KernelError


def real(name: str, value: Any, *, remedy: str) -> float:
    """Return a number that is finite and at least 0.

    Args:
        name: What the argument is called.
        value: What was given; a tensor of one number is taken too.
        remedy: What to pass instead, a sentence.

    Raises:
        KernelError: It is something else.

    Example:
        >>> real("ridge", 1, remedy="Pass a number.")
        1.0
    """
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        value = value.item()
    if not isinstance(value, Real) or isinstance(value, bool):
        raise KernelError(f"{name}={_short(value)} is a {type(value).__name__}, not a number. {remedy}")
    number = float(value)
    if not 0 <= number < float("inf"):
        raise KernelError(f"{name}={value}: it has to be finite and at least 0. {remedy}")
    return number


def whole(name: str, value: Any, *, least: int, remedy: str) -> int:
    """Return a whole number.

    Args:
        name: What the argument is called.
        value: What was given.
        least: The smallest that is allowed.
        remedy: What to pass instead, a sentence.

    Raises:
        KernelError: It is something else, or smaller.

    Example:
        >>> whole("draws", 3, least=2, remedy="Pass a number.")
        3
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise KernelError(f"{name}={_short(value)} is a {type(value).__name__}, not a whole number. {remedy}")
    number = int(value)
    if number < least:
        raise KernelError(f"{name}={number}: it has to be at least {least}. {remedy}")
    return number


def seeded_by(seed: Any) -> int:
    """Return a seed.

    Raises:
        KernelError: It is no whole number from 0.
    """
    return whole("seed", seed, least=0, remedy="Pass e.g. seed=0.")


def two_widths(widths: Any, remedy: str) -> tuple[int, int]:
    """Return two different widths, the smaller one first.

    Args:
        widths: What was given.
        remedy: What to pass instead, a sentence.

    Raises:
        KernelError: They are not two different whole numbers from 1.

    Example:
        >>> two_widths((48, 32), "Pass two.")
        (32, 48)
    """
    found = tuple(widths) if isinstance(widths, tuple | list) else ()
    right = all(isinstance(w, Integral) and not isinstance(w, bool) and int(w) > 0 for w in found)
    if len(found) != 2 or not right or found[0] == found[1]:
        raise KernelError(f"widths={_short(widths)}: these are not two different whole numbers. {remedy}")
    return min(found), max(found)


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
