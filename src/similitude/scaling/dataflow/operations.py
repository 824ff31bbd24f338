"""Operations of one's own: tell the traced pass what a custom operator does, or what plain torch code it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from similitude.core.errors import PlanError
from similitude.scaling.dataflow import ops
from similitude.scaling.dataflow.claims import (
    REGISTERED,
    Claim,
    Contracts,
    Elementwise,
    Homogeneous,
    Linear,
    Moves,
    Norm,
    Operands,
    Plain,
    Registered,
    trace_name,
)
from similitude.scaling.registration import Registration

_CLAIMS = (Moves, Linear, Homogeneous, Elementwise, Norm, Contracts, Plain)
_TABLES: Mapping[type, set[str]] = {
    Moves: ops.SHAPE,
    Linear: ops.LINEAR,
    Homogeneous: ops.HOMOGENEOUS,
    Norm: ops.NORM,
}


def register_operation(
    operation: Any, claim: Claim | Callable[..., Any], *, replace: bool = False
) -> Registration:
    """Tell what a custom operator does, so that plans follow tensors through it.

    Without it a plan refuses the parameters that an operator of `torch.library` takes, and follows no factor through
    what it does to activations. Test a claim with `similitude.testing.OperationTests`.

    Args:
        operation: What `torch.library.custom_op` returned, an operator of `torch.ops`, or its name "package::name".
        claim: One of `Moves`, `Linear`, `Homogeneous`, `Elementwise`, `Norm`, `Contracts` of
            `similitude.scaling.dataflow.claims`; or a function of the same arguments in plain torch that does the
            same, which is then traced in its place.
        replace: Whether an earlier claim about the operation, ours or a registered one, is replaced.

    Returns:
        A handle that takes the claim back: `with register_operation(...):` in tests.

    Raises:
        PlanError: There is no such operation, it is known already, the claim is none, or names an argument that the
            operation does not have.

    Example:
        >>> @torch.library.custom_op("doctest::halve", mutates_args=())
        ... def halve(x: torch.Tensor) -> torch.Tensor:
        ...     return x / 2
        >>> with register_operation(halve, Linear()):
        ...     "doctest::halve" in ops.LINEAR
        True
    """
    schema = schema_of(operation)
    name = trace_name(schema.name)
    if not isinstance(claim, _CLAIMS):
        if not callable(claim) or isinstance(claim, type):
            given = claim.__name__ if isinstance(claim, type) else type(claim).__name__
            raise PlanError(
                f"operation {schema.name!r} cannot be registered with {given!r}, which is no claim. Pass one such as "
                "Linear() or Norm(), or a function of plain torch operations that does the same."
            )
        claim = Plain(claim)
    known = "registered already" if name in REGISTERED else "known to similitude" if _is_known(name) else ""
    if known and not replace:
        raise PlanError(
            f"operation {schema.name!r} is {known}. Pass replace=True if this claim is to take the place of that one."
        )
    entry = Registered(claim, _operands(schema, claim))
    before, tables = REGISTERED.get(name), [table for table in _TABLES.values() if name in table]

    def undo() -> None:
        REGISTERED.pop(name, None)
        if before is not None:
            REGISTERED[name] = before
        _enter(name, tables)

    REGISTERED[name] = entry
    _enter(name, [_TABLES[type(claim)]] if type(claim) in _TABLES else [])
    return Registration(undo)


def claim_of(operation: Any) -> Claim | None:
    """Return what was registered about an operation; None where nothing was.

    Args:
        operation: As for `register_operation`.

    Raises:
        PlanError: There is no such operation.
    """
    known = REGISTERED.get(trace_name(schema_of(operation).name))
    return None if known is None else known.claim


def schema_of(operation: Any) -> torch.FunctionSchema:
    """Return the schema of an operation, given as for `register_operation`.

    Raises:
        PlanError: There is no such operation.

    Example:
        >>> [argument.name for argument in schema_of("aten::relu").arguments]
        ['self']
    """
    found = operation
    if isinstance(operation, str):
        package, _, name = operation.partition("::")
        found = getattr(getattr(torch.ops, package, None), name, None) if name else None
    found = getattr(found, "_opoverload", found)  # of torch.library.custom_op
    if isinstance(found, torch._ops.OpOverloadPacket):
        found = getattr(found, found.overloads()[0])
    if not isinstance(found, torch._ops.OpOverload):
        raise PlanError(
            f"{operation!r} is no operation of torch. Pass what torch.library.custom_op returned, or its name as "
            "'package::name' after the module that defines it was imported."
        )
    return found._schema


def _is_known(name: str) -> bool:
    tables = (value for value in vars(ops).values() if isinstance(value, set | frozenset))
    return any(name in table for table in tables)


def _enter(name: str, tables: list[set[str]]) -> None:
    """Let a name stand in these tables and in no other."""
    for table in _TABLES.values():
        table.discard(name)
    for table in tables:
        table.add(name)


def _operands(schema: torch.FunctionSchema, claim: Claim) -> Operands | None:
    """Find the arguments that a contraction names."""
    if not isinstance(claim, Contracts):
        return None
    positions = {a.name: i for i, a in enumerate(schema.arguments) if not a.kwarg_only}

    def position(part: str, name: str) -> int:
        if name not in positions:
            raise PlanError(
                f"operation {schema.name!r} has no positional argument {name!r}, which Contracts names as its {part}. "
                f"Its arguments are {', '.join(positions)}."
            )
        return positions[name]

    bias = None if claim.bias is None else position("bias", claim.bias)
    return Operands(position("x", claim.x), position("weight", claim.weight), bias)
