"""All kinds of dimensions of a search space, and how they are read from files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from similitude.core.errors import TuningError
from similitude.tuning.space.choice import Choice
from similitude.tuning.space.dimension import Dimension, Value
from similitude.tuning.space.numbers import Linear, Log, Logit, Number

__all__ = ["Choice", "Dimension", "Linear", "Log", "Logit", "Number", "Value", "dimension_from_dict"]


def dimension_from_dict(data: Mapping[str, Any]) -> Dimension:
    """Read a dimension from plain data, as `Dimension.to_dict` writes and TOML files hold.

    Args:
        data: `kind` (log, logit, linear or choice) and the arguments of that kind.

    Raises:
        TuningError: The kind is none of these, or an argument is not one of the kind's.

    Example:
        >>> dimension_from_dict({"kind": "log", "center": 0.003, "role": "transfer"}).role
        'transfer'
    """
    given = dict(data)
    kind = given.pop("kind", None)
    kinds = {"log": Log, "logit": Logit, "linear": Linear, "choice": Choice}
    if kind not in kinds:
        raise TuningError(f"kind={kind!r}: a dimension is one of {', '.join(kinds)}.")
    known = {f.name for f in fields(kinds[kind])}
    if unknown := sorted(set(given) - known):
        raise TuningError(
            f"{kind} dimension: {', '.join(map(repr, unknown))} is no setting of it; the settings are "
            f"{', '.join(sorted(known))}."
        )
    values = given.pop("values", None)
    if kind == "choice":
        if not isinstance(values, list | tuple | None):
            raise TuningError(
                f'choice dimension: values={values!r} is no list, e.g. values = ["relu", "gelu"].'
            )
        return Choice(*(values or ()), **given)
    if "center" not in given:
        raise TuningError(f"{kind} dimension: center is missing; it is where the search begins.")
    return kinds[kind](given.pop("center"), **given)
