"""What a kernel is made of: each operation of the module, the rule that it follows, and how exact that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from similitude.kernels.first_layers import gap
from similitude.kernels.values import Atom, Image, Operator, Product, Wide

if TYPE_CHECKING:
    from rich.table import Table

    from similitude.kernels.reader import Line, Reader
    from similitude.kernels.run import Run
    from similitude.kernels.scales import ScaleTable


@dataclass(frozen=True)
class Row:
    """One operation.

    Attributes:
        node: Its number in the recorded pass.
        op: The operation, as PyTorch calls it.
        module: Name of the module that ran it.
        rule: What it became at infinite width.
        exactness: "exact", "bounded" or "estimated".
        bound: Bound on the error of its covariances, where they are bounded.
        law: Of a function of a first layer with uniform weights, by how much its second moments differ from those of the
            Gaussian layer that it is taken for, relative to the largest; measured on some of the inputs.
    """

    node: int
    op: str
    module: str
    rule: str
    exactness: str
    bound: float | None = None
    law: float | None = None


@dataclass(frozen=True)
class Explanation:
    """How a kernel is computed; `print` it, or look at its rows.

    Attributes:
        module: Class of the module.
        limit: Which axes are infinite, in words.
        rule: Learning rates of the tangent kernel, in words.
        rows: The operations that shape the kernel, in order.
        parameters: By name of a parameter, how its variance was told.
    """

    module: str
    limit: str
    rule: str
    rows: tuple[Row, ...]
    parameters: dict[str, str]

    @property
    def exact(self) -> bool:
        """Whether every rule is exact."""
        return all(row.exactness == "exact" for row in self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "module": self.module,
            "limit": self.limit,
            "rule": self.rule,
            "exact": self.exact,
            "rows": [row.__dict__ for row in self.rows],
            "parameters": self.parameters,
        }

    def __str__(self) -> str:
        lines = [f"Kernel of {self.module}: {self.limit}; {self.rule}"]
        lines += [f"  {r.node:4d} {r.op:24s} {r.module or '-':24s} {r.rule} ({_words(r)})" for r in self.rows]
        lines += [f"  variance of {name}: {note}" for name, note in self.parameters.items()]
        return "\n".join(lines)

    def __rich__(self) -> Table:
        from rich.table import Table

        table = Table(title=f"Kernel of {self.module}", caption=f"{self.limit}; {self.rule}")
        for name in ("node", "operation", "module", "rule", "exactness"):
            table.add_column(name, justify="right" if name == "node" else "left")
        for r in self.rows:
            table.add_row(str(r.node), r.op, r.module or "-", r.rule, _words(r))
        return table


def _words(row: Row) -> str:
    said = row.exactness if row.bound is None else f"{row.exactness}, error below {row.bound:.1g}"
    if row.law is not None:
        said += f" of Gaussian weights; its own, uniform on few inputs, differ by {100 * row.law:.2g} %"
    return said


def explanation(reader: Reader, *, module: str, limit: str, rule: str, run: Run | None) -> Explanation:
    """Explain a module as it was read.

    Args:
        reader: The module as it was read.
        module: Class of the module.
        limit: Which axes are infinite.
        rule: Learning rates of the tangent kernel.
        run: Inputs at whose variances error bounds are taken; none are where None.
    """
    rows = tuple(_row(line, run, reader.scales) for line in reader.lines)
    notes = {
        name if role == "matrix" else f"{name} ({role})": note
        for (name, role), note in reader.scales.notes.items()
    }
    return Explanation(module, limit, rule, rows, notes)


def _atoms(value: Wide) -> Iterator[Atom]:
    """Yield the atoms of a value, and the factors of products among them."""
    for term in value.terms:
        yield term.atom
        if isinstance(term.atom, Product):
            yield from _atoms(term.atom.left)
            yield from _atoms(term.atom.right)


def _row(line: Line, run: Run | None, scales: ScaleTable) -> Row:
    exactness, bound, law = line.exactness, None, None
    for atom in [] if line.value is None else _atoms(line.value):
        if isinstance(atom, Image) and run is not None:
            law = gap(atom, run, scales)
        if isinstance(atom, Image) and not atom.function.dual.exact:
            exactness = "bounded"
            if run is not None:
                with torch.no_grad():
                    bound = atom.function.dual.error_bound(run.variance(atom.root))
        elif isinstance(atom, Operator) and not atom.rule.exact:
            exactness = "estimated"
    return Row(line.index, line.op, line.module, line.rule, exactness, bound, law)
