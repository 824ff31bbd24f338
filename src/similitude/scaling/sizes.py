"""Sizes of a model family: values of its dials, such as the width, and how a factory is called with them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from numbers import Integral

from torch import nn

from similitude.core.errors import PlanError

Factory = Callable[..., nn.Module]
"""A function of the width (and of further dials, by name) that returns a model."""

Size = Mapping[str, int]
"""Value of every dial of a model family, e.g. `{"width": 256}`."""

WIDTH = "width"
DEPTH = "depth"


def as_size(value: int | Size, name: str = "base") -> dict[str, int]:
    """Read a size: an integer is a width.

    Args:
        value: A width, or the value of every dial by name, "width" among them.
        name: The argument's name, for messages.

    Returns:
        The dials with plain integers, the width first.

    Raises:
        PlanError: A value is not a positive integer, or no dial is named "width".

    Example:
        >>> as_size(256), as_size({"depth": 4, "width": 256})
        ({'width': 256}, {'width': 256, 'depth': 4})
    """
    if not isinstance(value, Mapping):
        if not _is_count(value):
            raise PlanError(
                f'{name}={value!r} is not a width. Pass a positive integer, or dials such as {{"width": 256}}.'
            )
        return {WIDTH: int(value)}
    for dial, number in value.items():
        if not isinstance(dial, str) or not _is_count(number):
            raise PlanError(
                f"{name} gives the dial {dial!r} the value {number!r}, which is not a size. Name each dial by a "
                'string and give it a positive integer, e.g. {"width": 256}.'
            )
    if WIDTH not in value:
        raise PlanError(
            f"{name}={dict(value)!r} names no width, which is the dial that may change. Pass an integer, or "
            '{"width": 256} with any further dials of make.'
        )
    return {WIDTH: int(value[WIDTH])} | {dial: int(number) for dial, number in value.items()}


def same_dials(base: Size, target: Size, *, may: tuple[str, ...] = (WIDTH, DEPTH)) -> None:
    """Check that two sizes name the same dials and differ in those alone that may.

    Args:
        base: One size.
        target: The other.
        may: Dials that may differ.

    Raises:
        PlanError: They do not.
    """
    if base.keys() != target.keys():
        odd = sorted(base.keys() ^ target.keys())
        raise PlanError(
            f"base={dict(base)!r} and target={dict(target)!r} do not name the same dials: "
            f"{', '.join(map(repr, odd))} is in one of them only. Name the same dials in both."
        )
    changed = [dial for dial in base if dial not in may and base[dial] != target[dial]]
    if changed:
        moves = ", ".join(f"{dial} ({base[dial]} -> {target[dial]})" for dial in changed)
        raise PlanError(
            f"{moves} differs between base and target, but only {' and '.join(may)} may. Keep it fixed at one value."
        )


def at_width(size: Size, width: int) -> dict[str, int]:
    """Return the size with another width.

    Example:
        >>> at_width({"width": 64, "depth": 4}, 128)
        {'width': 128, 'depth': 4}
    """
    return as_size({**size, WIDTH: width}, "size")


def at_depth(size: Size, other: Size) -> dict[str, int]:
    """Return the size with the depth of another; unchanged where neither has one.

    Example:
        >>> at_depth({"width": 64, "depth": 4}, {"width": 512, "depth": 16})
        {'width': 64, 'depth': 16}
    """
    return as_size({**size, **({DEPTH: other[DEPTH]} if DEPTH in other else {})}, "size")


def arguments(make: Factory, size: Size) -> tuple[tuple[int, ...], dict[str, int]]:
    """Tell how a factory takes a size: by keyword where its signature names a dial, else by position.

    Args:
        make: The factory.
        size: The dials, the width first; a factory that names none takes them in this order.

    Returns:
        Positional and keyword arguments.

    Example:
        >>> arguments(lambda n, depth: nn.Linear(n, n), {"width": 64, "depth": 2})
        ((64,), {'depth': 2})
    """
    try:
        signature = inspect.signature(make)
    except (TypeError, ValueError):  # written in C without a signature
        return tuple(size.values()), {}
    kinds = {name: p.kind for name, p in signature.parameters.items()}
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    unnamed = [dial for dial in size if kinds.get(dial) not in by_keyword]
    takes_any = inspect.Parameter.VAR_KEYWORD in kinds.values()
    for count in range(len(unnamed) + 1) if takes_any else ():
        # **kwargs takes every dial, unless a parameter of another name must take the first ones.
        first = unnamed[:count]
        args, kwargs = tuple(size[d] for d in first), {d: n for d, n in size.items() if d not in first}
        try:
            signature.bind(*args, **kwargs)
        except TypeError:
            continue
        return args, kwargs
    return tuple(size[d] for d in unnamed), {d: n for d, n in size.items() if d not in unnamed}


def unnamed_dials(make: Factory, size: Size) -> list[str]:
    """Return the parameters that a factory needs by name and a size does not give.

    Example:
        >>> unnamed_dials(lambda width, depth, heads=2: nn.Linear(width, depth), {"width": 64})
        ['depth']
    """
    try:
        signature = inspect.signature(make)
        args, kwargs = arguments(make, size)
        given = signature.bind_partial(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return []
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        name
        for name, p in signature.parameters.items()
        if p.default is p.empty and p.kind not in variable and name not in given
    ]


def takes_width(function: Callable[..., object]) -> bool:
    """Tell whether a function of nothing or of the width wants the width: it names it, or needs an argument.

    Example:
        >>> takes_width(lambda: 0), takes_width(lambda n: n), takes_width(lambda width=64: width)
        (False, True, True)
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C without a signature
        return True
    if WIDTH in signature.parameters:
        return True
    try:
        signature.bind()
    except TypeError:
        return True
    return False


def call_text(make: Factory, size: Size) -> str:
    """Return the call as a user would write it, `make(64)` or `make(width=64, depth=2)`, for messages."""
    args, kwargs = arguments(make, size)
    return f"make({', '.join([*map(str, args), *(f'{dial}={n}' for dial, n in kwargs.items())])})"


def _is_count(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1
