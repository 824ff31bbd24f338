"""The cells of a study, one setting each (width, learning rate, seed, ...), and product grids of them."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from similitude.core.errors import GridError

Value = bool | int | float | str | None
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")


@dataclass(frozen=True, eq=False)
class Cell:
    """One setting of a study: what is run once and has one result.

    Two cells are equal when their keys are, so an integer `1` and a float `1.0` are different settings, and a
    float is the same setting only when it is the same number bit for bit.

    Attributes:
        params: Names and values, sorted by name. Values are numbers, strings, switches or None; floats are
            finite.
        key: The setting as JSON with sorted names, floats by repr: the same on every machine.

    Raises:
        GridError: A name is no identifier or occurs twice, or a value is none of the above.

    Example:
        >>> cell = Cell.of(width=64, lr=0.1)
        >>> cell["lr"], str(cell), Cell.from_key(cell.key) == cell
        (0.1, 'lr=0.1 width=64', True)
    """

    params: tuple[tuple[str, Value], ...]
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        clean = sorted(((name, _plain(name, value)) for name, value in self.params), key=lambda item: item[0])
        names = [name for name, _ in clean]
        for name in names:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise GridError(
                    f"{name!r} cannot name an axis of a grid: a name starts with a letter and has letters, "
                    "digits, '_', '.' and '-' only. Rename it, for example to 'lr' or 'weight_decay'."
                )
        if len(set(names)) != len(names):
            raise GridError(
                f"A cell has one value per name, but these names repeat: {names}. Name each axis once."
            )
        object.__setattr__(self, "params", tuple(clean))
        object.__setattr__(self, "key", json.dumps(dict(clean), separators=(",", ":")))

    @classmethod
    def of(cls, **params: Any) -> Cell:
        """Make a cell from keyword arguments; NumPy scalars are taken as the numbers they hold."""
        return cls(tuple(params.items()))

    @staticmethod
    def from_key(key: str) -> Cell:
        """Read a cell back from its `key`, floats bit for bit."""
        return _from_key(key)

    def __getitem__(self, name: str) -> Any:
        for known, value in self.params:
            if known == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.params)

    def __contains__(self, name: object) -> bool:
        return any(known == name for known, _ in self.params)

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Cell) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.params)


def cells(**axes: Any) -> tuple[Cell, ...]:
    """Return every combination of the values of some axes.

    An axis with integers and floats becomes one of floats, so that `lr=[1, 0.5]` and `lr=[1.0, 0.5]` name the
    same cells.

    Args:
        axes: Per name the values to try, or one single value.

    Returns:
        The cells; the last axis varies fastest.

    Raises:
        GridError: An axis is empty, repeats a value, or has a value that cannot name a cell.

    Example:
        >>> [str(cell) for cell in cells(rule="mup", width=64, seed=range(2))]
        ['rule=mup seed=0 width=64', 'rule=mup seed=1 width=64']
    """
    columns = {name: _axis(name, values) for name, values in axes.items()}
    return tuple(
        Cell(tuple(zip(columns, values, strict=True))) for values in itertools.product(*columns.values())
    )


@lru_cache(maxsize=1 << 14)  # a study asks for the same cells at each of its steps
def _from_key(key: str) -> Cell:
    return Cell(tuple(json.loads(key).items()))


def _axis(name: str, values: Any) -> list[Value]:
    single = isinstance(values, str) or not isinstance(values, Iterable)
    column = [_plain(name, value) for value in ([values] if single else values)]
    if not column:
        raise GridError(
            f"Axis {name!r} of the grid has 0 values, so the grid has no cells. Give it at least one."
        )
    if any(isinstance(v, float) for v in column):
        column = [float(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in column]
    seen = [json.dumps(value) for value in column]
    repeated = sorted({text for text in seen if seen.count(text) > 1})
    if repeated:
        raise GridError(
            f"Axis {name!r} of the grid has {len(column)} values but {', '.join(repeated)} more than once; a "
            "cell is run once. Remove the repetition, or add an axis 'seed' to run a setting several times."
        )
    return column


def _plain(name: str, value: Any) -> Value:
    """Return a value that JSON keeps exactly."""
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value) + 0.0  # one zero: -0.0 and 0.0 are the same setting
    raise GridError(
        f"The value {value!r} of axis {name!r} cannot name a cell: values are finite numbers, strings, True, "
        "False or None. Give a finite number, or a name of the object instead of the object."
    )
