"""The Gram matrix of a tangent kernel, and what is read off it: spectrum, effective rank, alignment, movement, shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import CurvatureError
from similitude.landscape.alignment import alignment, target_matrix

if TYPE_CHECKING:
    from rich.console import RenderableType


@cites(21, "the tangent kernel of the abstract")
@dataclass(frozen=True)
class Gram:
    """An empirical neural tangent kernel on given examples. Made by `ntk_gram`.

    Attributes:
        matrix: Shape (n C, m C), ordered (example, output); (n, m) for the forms without outputs.
        of: "full", "trace", or the number of random projections that estimate the trace form.
        outputs: Entries C of `matrix` per example; 1 for the trace form and its estimate.
        traces: Trace of each parameter's own kernel, times its rate; empty for a kernel between two sets of examples.
        layers: Each parameter's own kernel, of the shape of `matrix`; empty unless asked for.
        routes: How each parameter's kernel was computed, by name: "structured" (from inputs and cotangents of the
            operations that use it), "rows" (row by row through those operations), "outputs" (a backward pass of the
            whole model per output and example) or "unused". All are exact.
        rates: What each parameter's kernel was multiplied by; None for 1.
    """

    matrix: Tensor
    of: Literal["full", "trace"] | int
    outputs: int
    traces: Mapping[str, float]
    layers: Mapping[str, Tensor] = field(default_factory=dict)
    routes: Mapping[str, str] = field(default_factory=dict)
    rates: Mapping[str, float] | None = None

    @property
    def examples(self) -> int:
        """Number n of examples of the first set."""
        return self.matrix.shape[0] // self.outputs

    def shares(self) -> dict[str, float]:
        """Return each parameter's share of the kernel's trace.

        With learning rates (`ntk_gram(..., rates=optimizer)`) this is the share of the speed at which the function
        moves under gradient descent: a layer whose share goes with a power of the width has a wrong multiplier.

        Raises:
            CurvatureError: The kernel is one between two sets of examples, which has no trace.
        """
        self._square("shares of the trace")
        total = sum(self.traces.values())
        return {name: trace / total if total else 0.0 for name, trace in self.traces.items()}

    def eigenvalues(self) -> Tensor:
        """Return the eigenvalues in descending order, float64.

        Raises:
            CurvatureError: The kernel is one between two sets of examples.

        Cost: the cube of the number of rows.
        """
        self._square("eigenvalues")
        return torch.linalg.eigvalsh(self.matrix.double()).flip(0)

    def effective_rank(self) -> float:
        """Return trace / largest eigenvalue: how many directions of outputs the kernel serves equally well.

        Raises:
            CurvatureError: The kernel is one between two sets of examples.
        """
        values = self.eigenvalues()
        return float(values.sum() / values[0]) if values[0] > 0 else float("nan")

    def traced(self) -> Tensor:
        """Return the trace form, of shape (n, m): the mean over outputs of the kernel of each output with itself."""
        n, m = (size // self.outputs for size in self.matrix.shape)
        return self.matrix.reshape(n, self.outputs, m, self.outputs).diagonal(dim1=1, dim2=3).mean(-1)

    def alignment(self, targets: Tensor, *, centred: bool = True) -> float:
        """Return the alignment of the kernel with the targets: how much of it points where the labels are.

        Args:
            targets: Shape (n,) of class numbers, or (n, ...) of values. A full kernel asks for one value per output.
            centred: Whether the means over the examples are removed from kernel and targets.

        Returns:
            <K, y y'> / (|K| |y y'|), between 0 and 1.

        Raises:
            CurvatureError: The shapes do not fit.
        """
        self._square("alignment with targets")
        values = target_matrix(targets, self.examples, classes=self.outputs)
        if self.outputs > 1:
            if values.shape[1] != self.outputs:
                raise CurvatureError(
                    f"targets have {values.shape[1]} values per example, the kernel {self.outputs} outputs. Give one "
                    "value for every output (one-hot rows with all classes), or take the kernel of='trace'."
                )
            values = values.reshape(-1, 1)
        values = values.to(self.matrix.device)
        return alignment(self.matrix, values @ values.T, centred=centred, outputs=self.outputs)

    def distance(self, other: Gram) -> float:
        """Return how far another kernel is from this one: |K' - K| / |K| in Frobenius norm.

        Between a kernel at initialization and one in training this is the movement of the kernel: it falls with the
        width in the lazy regime and stays where features are learned.

        Args:
            other: A kernel of the same examples and form.

        Raises:
            CurvatureError: The kernels are of other shapes.
        """
        if self.matrix.shape != other.matrix.shape:
            raise CurvatureError(
                f"kernels of shapes {tuple(self.matrix.shape)} and {tuple(other.matrix.shape)} cannot be compared. Take "
                "both with the same inputs, outputs= and of=."
            )
        mine = self.matrix.double()
        return float((other.matrix.to(mine.device).double() - mine).norm() / mine.norm())

    def _square(self, what: str) -> None:
        if not self.traces:
            raise CurvatureError(
                f"this kernel is between two sets of examples ({self.matrix.shape[0]} x {self.matrix.shape[1]}), which "
                f"has no {what}. Leave out other=."
            )

    def __rich__(self) -> RenderableType:
        from rich.table import Table

        rows, columns = self.matrix.shape
        table = Table(title=f"Tangent kernel, {rows} x {columns}, {self.of}")
        table.add_column("parameter")
        for name in ("trace", "share") if self.traces else ():
            table.add_column(name, justify="right")
        table.add_column("route")
        shares = self.shares() if self.traces else {}
        for name, route in self.routes.items():
            numbers = (f"{self.traces[name]:.4g}", f"{shares[name]:.1%}") if self.traces else ()
            table.add_row(name, *numbers, route)
        return table
