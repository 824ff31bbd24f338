"""The operation for which a module has no kernel, as data: `KernelError` carries it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """The operation for which a module has no kernel.

    Attributes:
        index: Its number in the recorded pass.
        op: The operation, as PyTorch calls it.
        module: Name of the module that ran it; empty for the outermost one.
        reason: Why it has no rule.
        estimable: Whether wide copies may tell the kernel all the same.
    """

    index: int
    op: str
    module: str
    reason: str
    estimable: bool = True

    def __str__(self) -> str:
        where = f"module '{self.module}'" if self.module else "the module's own forward"
        return f"operation {self.index} ({self.op}) in {where}: {self.reason}"
