"""Refusals that name the operation at fault, also where the fault shows only when covariances are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from similitude.core.errors import KernelError
from similitude.kernels.values import Wide

if TYPE_CHECKING:
    from similitude.kernels.frames import Frame
    from similitude.kernels.program import Op
    from similitude.kernels.reader import Reader


class NoRuleError(KernelError):
    """An operation of a module has no rule at infinite width.

    Attributes:
        index: Number of the operation in the recorded pass.
        op: The operation, as PyTorch calls it.
        module: Name of the module that ran it; empty for the outermost one.
        reason: Why there is no rule.
        estimable: Whether wide copies may tell the kernel all the same.
    """

    def __init__(
        self,
        message: str,
        *,
        index: int = -1,
        op: str = "",
        module: str = "",
        reason: str = "",
        estimable: bool = True,
    ) -> None:
        super().__init__(message)
        self.index, self.op, self.module, self.reason, self.estimable = index, op, module, reason, estimable


def no_rule(op: Op, reason: str, remedy: str = "", *, estimable: bool = True) -> NoRuleError:
    """Return the refusal of an operation.

    Args:
        op: The operation.
        reason: Why, without a full stop.
        remedy: What to do, as a sentence.
        estimable: Whether wide copies may tell the kernel all the same.
    """
    text = f"{op}: {reason}." + (f" {remedy}" if remedy else "")
    return NoRuleError(
        text, index=op.node.index, op=op.node.op, module=op.node.module, reason=reason, estimable=estimable
    )


def with_way_out(error: KernelError, *, family: bool) -> KernelError:
    """Return a refusal that also names Monte Carlo, where that may work.

    Args:
        error: The refusal.
        family: Whether the kernel is that of a family, which can be built at other widths.
    """
    if not isinstance(error, NoRuleError) or not error.estimable:
        return error
    way = "fallback='monte carlo' with sample= estimates the kernel from wide copies"
    way += "." if family else ", of a function of the width that builds the module."
    return NoRuleError(
        f"{error} {way}", index=error.index, op=error.op, module=error.module, reason=error.reason
    )


def blamed(reader: Reader, frame: Frame, error: KernelError) -> KernelError:
    """Return an error with the name of the first operation whose result meets it.

    Args:
        reader: The module as it was read.
        frame: The pairs of samples whose covariances were computed.
        error: What happened.
    """
    if isinstance(error, NoRuleError):
        return error
    for op, value in _wides(reader):
        try:
            frame.left.covariances.cov(value, value, frame, full=False)
        except NoRuleError as own:
            return own
        except KernelError as own:
            return no_rule(op, str(own).rstrip("."))
    return error


def not_finite(reader: Reader, frame: Frame) -> NoRuleError | None:
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
