"""Plans as JSON files: written whole or not at all, and held against the laws of a plan when read."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from similitude.core.errors import PlanError
from similitude.scaling.optimizers import Decay
from similitude.scaling.rules import FAMILIES, ROLES, TABLE, WEIGHT_DECAYS

if TYPE_CHECKING:
    from similitude.scaling.records import Plan

FORMAT = 2
_AGAIN = "Make the plan again and save it."
_ROW_ROLES = (*ROLES, "unused", "undecided")

Reader = Callable[[Any], Any]


def to_dict(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain data for JSON."""
    return {"format": FORMAT, **json.loads(json.dumps(asdict(plan), default=str))}


def from_dict(data: Mapping[str, Any]) -> Plan:
    """Read what `to_dict` wrote; see `Plan.from_dict`."""
    from similitude.scaling.records import Branch, Hook, Plan, PlanRow, Refusal

    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, Mapping) else type(data).__name__
        raise PlanError(f"this is not a plan of format {FORMAT} (found {found}). {_AGAIN}")
    readers = _PLAN | {
        "rows": _records(PlanRow, _ROW, "row"),
        "refused": _records(Refusal, _REFUSAL, "refused tensor"),
        "hooks": _records(Hook, _HOOK, "hook"),
        "branches": _records(Branch, _BRANCH, "branch"),
    }
    values = {key: value for key, value in data.items() if key != "format"}
    plan = _read(Plan, readers, values, "the plan")
    _check_names(plan)
    if plan.base.keys() != plan.target.keys():
        raise PlanError(
            f"the plan has base {dict(plan.base)} and target {dict(plan.target)}, but both must have the same "
            f"dials. {_AGAIN}"
        )
    return plan


def save(plan: Plan, path: str | Path) -> Path:
    """Write a plan as JSON; see `Plan.save`."""
    path = Path(path)
    if path.is_dir() or not path.name:
        raise PlanError(f"the plan cannot be written to {path}: it is a folder. Name a file, e.g. plan.json.")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(to_dict(plan), indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise PlanError(
            f"the plan cannot be written to {path}: {error.strerror}. Choose another path."
        ) from error
    return path


def load(path: str | Path) -> Plan:
    """Read a plan that `save` wrote; see `Plan.load`."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"the plan {path} cannot be read: {error.strerror}. Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{path} is not a saved plan: {error}. {_AGAIN}") from error
    try:
        return from_dict(data)
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from error


class _BrokenError(ValueError):
    """A value breaks the law that its text states: "is ..., which must be ..."."""


def _read(kind: type, readers: Mapping[str, Reader], data: Any, what: str) -> Any:
    """Make one record of plain data; name what is missing, unknown, or breaks its law."""
    if not isinstance(data, Mapping):
        raise PlanError(f"{what} is {data!r}, but must be a JSON object. {_AGAIN}")
    known = {f.name: f for f in fields(kind)}
    unknown = [key for key in data if key not in known]
    missing = [name for name, f in known.items() if name not in data and _required(f)]
    if unknown or missing:
        parts = [f"it lacks {', '.join(missing)}"] if missing else []
        parts += [f"it has {', '.join(map(str, unknown))}, which no plan has"] if unknown else []
        raise PlanError(f"{what} is incomplete or damaged: {'; '.join(parts)}. {_AGAIN}")
    values = {}
    for key, value in data.items():
        try:
            values[key] = readers[key](value)
        except _BrokenError as error:
            raise PlanError(f"{what} has {key} {value!r}, but {error}. {_AGAIN}") from error
    return kind(**values)


def _required(f: Any) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _records(kind: type, readers: Mapping[str, Reader], what: str) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise _BrokenError("it must be a list")
        return tuple(
            _read(kind, readers, item, f"{what} {_label(item, number)}")
            for number, item in enumerate(value, 1)
        )

    return read


def _label(item: Any, number: int) -> str:
    name = item.get("name", item.get("module")) if isinstance(item, Mapping) else None
    return repr(name) if isinstance(name, str) else f"number {number}"


def _check_names(plan: Plan) -> None:
    """Refuse a plan in which one tensor stands twice, or has two shapes of different dimension."""
    seen: dict[str, str] = {}
    named = [(name, "a row") for row in plan.rows for name in (row.name, *row.aliases)]
    for name, where in named + [(refusal.name, "a refused tensor") for refusal in plan.refused]:
        if name in seen:
            raise PlanError(
                f"tensor {name!r} stands twice in the plan, as {seen[name]} and as {where}, but each tensor has one "
                f"place. {_AGAIN}"
            )
        seen[name] = where
    for row in plan.rows:
        if len(row.shape) != len(row.base_shape):
            raise PlanError(
                f"row {row.name!r} has shape {row.shape} and base_shape {row.base_shape}, but a tensor has as many "
                f"dimensions at both sizes. {_AGAIN}"
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _positive(value: Any) -> float:
    if not _is_number(value) or value <= 0:
        raise _BrokenError("it must be a finite number above 0")
    return float(value)


def _not_negative(value: Any) -> float:
    if not _is_number(value) or value < 0:
        raise _BrokenError("it must be a finite number of at least 0")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _BrokenError("it must be text")
    return value


def _name(value: Any) -> str:
    if not _text(value):
        raise _BrokenError("a name must not be empty")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _BrokenError("it must be true or false")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise _BrokenError("it must be a list of texts")
    return tuple(value)


def _one_of(known: tuple[str, ...]) -> Reader:
    def read(value: Any) -> str:
        if value not in known:
            raise _BrokenError(f"it must be one of {', '.join(known)}")
        return value

    return read


def _rule(value: Any) -> str:
    if not isinstance(value, str) or value not in TABLE:
        raise _BrokenError(
            f"it must be one of {', '.join(TABLE)}, or registered before (similitude.register_rule)"
        )
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise _BrokenError("it must be a whole number of at least 1")
    return value


def _optional(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


def _shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or not all(type(side) is int and side >= 0 for side in value):
        raise _BrokenError("it must be a list of whole numbers of at least 0")
    return tuple(value)


def _fan(value: Any) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise _BrokenError("it must be two numbers, at the base and at the target")
    return _not_negative(value[0]), _not_negative(value[1])  # a tensor without entries has sides of 0


def _size(value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping) or not value:
        raise _BrokenError('it must give every dial a number, e.g. {"width": 256}')
    for dial, number in value.items():
        if not isinstance(dial, str) or type(number) is not int or number < 1:
            raise _BrokenError(f"{dial} must be a whole number of at least 1")
    return dict(value)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _BrokenError("it must be a JSON object")
    return dict(value)


def _knobs(value: Any) -> dict[str, dict[str, float]]:
    return {
        role: {
            kind: (_not_negative if kind == "init" else _positive)(number)
            for kind, number in _object(knob).items()
        }
        for role, knob in _object(value).items()
    }


_ROW: dict[str, Reader] = {
    "name": _name,
    "role": _one_of(_ROW_ROLES),
    "shape": _shape,
    "base_shape": _shape,
    "fan_in_ratio": _positive,
    "fan_out_ratio": _positive,
    "init": _not_negative,
    "rescale": _not_negative,
    "lr": _positive,
    "eps": _positive,
    "weight_decay": _positive,
    "reason": _text,
    "aliases": _texts,
    "evidence": _text,
    "family": _one_of(("", *FAMILIES)),
    "fan_in": _optional(_fan),
    "fan_out": _optional(_fan),
    "multiplier": _positive,
    "carries": _texts,
    "own_rms": _optional(_not_negative),
    "own_tolerance": _not_negative,
    "own_bound": _optional(_not_negative),
    "query": _flag,
    "own_scale": _positive,
    "depth_ratio": _positive,
    "uses_ratio": _positive,
}
_REFUSAL: dict[str, Reader] = {"name": _name, "shape": _shape, "reason": _text}
_HOOK: dict[str, Reader] = {
    "module": _text,
    "factor": _positive,
    "reason": _text,
    "side": _one_of(("input", "output")),
}
_BRANCH: dict[str, Reader] = {"ends": _texts, "inside": _texts}
_PLAN: dict[str, Reader] = {
    "rule": _rule,
    "optimizer": _name,
    "family": _one_of(FAMILIES),
    "base": _size,
    "target": _size,
    "notes": _texts,
    "decay": _one_of(get_args(Decay)),
    "defaults": _object,
    "knobs": _knobs,
    "weight_decay": _one_of(WEIGHT_DECAYS),
    "depth_rule": _optional(_positive),
    "gamma": _positive,
    "layers": _count,
    "chosen": _texts,
}
