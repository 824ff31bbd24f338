"""Functions of one Gaussian, composed of entrywise operations in the order in which a module applies them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only

from similitude.kernels.duals import Dual, dual, find_dual


@dataclass(frozen=True)
class Function:
    """A function of a real number.

    Attributes:
        key: What it computes, as nested tuples: two functions of the same key are the same.
        call: Computes it, entry by entry.
        op: The operation and its arguments where it is one operation of the Gaussian itself.
    """

    key: Any
    call: Callable[[Tensor], Tensor]
    op: tuple[str, tuple[Any, ...], tuple[tuple[str, Any], ...]] | None = None

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and self.key == other.key

    @property
    def name(self) -> str:
        """What it computes, in words."""
        return _name(self.key)

    @property
    def dual(self) -> Dual:
        """Expectations of it.

        Raises:
            KernelError: It is not finite or not square integrable.
        """
        return _dual(self)


IDENTITY = Function("x", lambda x: x)


def applied(op: str, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Function:
    """Return the function that an entrywise operation computes of functions among its arguments.

    Args:
        op: Name of the operation.
        func: The operation.
        args: Its arguments, with `Function` in place of tensors.
        kwargs: Likewise.
    """
    leaves = tree_flatten((args, sorted(kwargs.items())))[0]
    key = (op, *(leaf.key if isinstance(leaf, Function) else leaf for leaf in leaves))

    def call(x: Tensor) -> Tensor:
        inner: dict[Any, Tensor] = {}

        def value(f: Function) -> Tensor:
            if f.key not in inner:
                inner[f.key] = f.call(x)
            return inner[f.key]

        given, named = tree_map_only(Function, value, (args, kwargs))
        return func(*given, **named)

    first, *rest = args
    plain = first == IDENTITY and not any(
        isinstance(leaf, Function) for leaf in tree_flatten((rest, kwargs))[0]
    )
    return Function(key, call, (op, tuple(rest), tuple(sorted(kwargs.items()))) if plain else None)


def scaled(function: Function, factor: float) -> Function:
    """Return a function times a number."""
    return function if factor == 1 else applied("mul", torch.mul, (function, factor), {})


def shifted(function: Function, shift: float) -> Function:
    """Return x -> function(x + shift)."""
    if shift == 0:
        return function
    return Function(("shift", shift, function.key), lambda x: function.call(x + shift))


@functools.lru_cache(maxsize=512)
def _dual(function: Function) -> Dual:
    if function.op is not None:
        op, args, kwargs = function.op
        if all(isinstance(x, bool | int | float | str | None) for x in (*args, *dict(kwargs).values())):
            return find_dual(op, *args, **dict(kwargs))
    return dual(function.call, name=function.name)


def _name(key: Any) -> str:
    if not isinstance(key, tuple):
        return f"{key:g}" if isinstance(key, float) else str(key)
    op, *rest = key
    return f"{op}({', '.join(_name(part) for part in rest)})"
