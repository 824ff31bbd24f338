"""Refusals that name the operation at fault, also where the fault shows only when covariances are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from similitude.core.errors import KernelError
from similitude.core.refusal import Refusal
from similitude.kernels.values import Wide

if TYPE_CHECKING:
    from similitude.kernels.frames import Frame
    from similitude.kernels.program import Op
    from similitude.kernels.reader import Reader


def no_rule(op: Op, reason: str, remedy: str = "", *, estimable: bool = True) -> KernelError:
    """Return the refusal of an operation.

    Args:
        op: The operation.
        reason: Why, without a full stop.
        remedy: What to do, as a sentence.
        estimable: Whether wide copies may tell the kernel all the same.
    """
    return _refusing(
        f"{op}: {reason}." + (f" {remedy}" if remedy else ""),
        Refusal(op.node.index, op.node.op, op.node.module, reason, estimable),
    )


def with_way_out(error: KernelError, *, family: bool) -> KernelError:
    """Return a refusal that also names Monte Carlo, where that may work.

    Args:
        error: The refusal.
        family: Whether the kernel is that of a family, which can be built at other widths.
    """
    if error.refusal is None or not error.refusal.estimable:
        return error
    way = "fallback='monte carlo' with sample= estimates the kernel from wide copies"
    way += "." if family else ", of a function of the width that builds the module."
    return _refusing(f"{error} {way}", error.refusal)


def _refusing(text: str, refusal: Refusal) -> KernelError:
    error = KernelError(text)
    error.refusal = refusal
    return error


def of_output(reader: Reader, reason: str, remedy: str = "") -> KernelError:
    """Return the refusal of what a module returns, with the operation that makes it."""
    made = (op for op in reader.program.ops if set(op.node.outputs) & set(reader.program.outputs))
    op = next(made, None)
    if op is None:
        return KernelError(f"{reason}." + (f" {remedy}" if remedy else ""))
    return no_rule(op, reason, remedy, estimable=False)


def blamed(reader: Reader, frame: Frame, error: KernelError) -> KernelError:
    """Return an error with the name of the first operation whose result meets it.

    Args:
        reader: The module as it was read.
        frame: The pairs of samples whose covariances were computed.
        error: What happened.
    """
    if error.refusal is not None:
        return error
    for op, value in _wides(reader):
        try:
            frame.left.covariances.cov(value, value, frame, full=False)
        except KernelError as own:
            return own if own.refusal is not None else no_rule(op, str(own).rstrip("."))
    return error


def not_finite(reader: Reader, frame: Frame) -> KernelError | None:
    """Return the refusal of the first operation whose values have a variance or tangent kernel that is not finite."""
    for op, value in _wides(reader):
        pair = frame.left.covariances.cov(value, value, frame, full=False)
        for part, what in ((pair.k, "its covariance"), (pair.t, "its tangent kernel")):
            if part is not None and not bool(torch.isfinite(part).all()):
                return no_rule(
                    op,
                    f"{what} on these inputs is not finite",
                    "Look for inputs or weights so large that a function of them overflows.",
                    estimable=False,
                )
    return None


def _wides(reader: Reader) -> list[tuple[Op, Wide]]:
    facts = ((op, reader.facts.get(op.node.outputs[0])) for op in reader.program.ops if op.node.outputs)
    return [(op, fact) for op, fact in facts if isinstance(fact, Wide)]
