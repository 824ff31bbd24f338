"""What a doctor found: the operations of a model, and which routes to Hessian-vector products are right on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from similitude.core.errors import CurvatureError
from similitude.core.verdict import Verdict
from similitude.landscape.routes import OURS

if TYPE_CHECKING:
    from rich.console import RenderableType

Result = Literal["ok", "wrong", "fails", "untried", "unsure"]
"""How a route fared: "fails" by an error or the interpreter's end, "unsure" where there is nothing to compare with."""


@dataclass(frozen=True)
class Operation:
    """One operation of the forward pass.

    Attributes:
        name: As PyTorch names it below autograd, `aten::mm`, or the name of a `torch.autograd.Function`.
        count: Calls in one pass.
        modules: Paths of the modules that call it; "" is the model itself or the loss.
        differentiated: Whether gradients flow through it.
        custom: Whether it is a `torch.autograd.Function` of somebody's own.
        once: Whether its backward pass is marked `@once_differentiable`.
    """

    name: str
    count: int
    modules: tuple[str, ...]
    differentiated: bool
    custom: bool = False
    once: bool = False


@dataclass(frozen=True)
class Finding:
    """How one route fared, on the whole model or on one operation of it.

    Attributes:
        route: Name of the route.
        dtype: "float64" or "float32".
        result: Whether the product was right.
        error: Distance from the reference, relative to its size; None where there is no product.
        reason: Why there is none; empty where there is one.
        operation: The operation that it was tried on; empty for the whole model. Where the whole model fails and the
            error names an operation, that one.
        modules: Paths of the modules that call the operation.
        written_out: Whether fused operations (attention) were computed by elementary ones, as our own route does.
    """

    route: str
    dtype: str
    result: Result
    error: float | None = None
    reason: str = ""
    operation: str = ""
    modules: tuple[str, ...] = ()
    written_out: bool = False


@dataclass(frozen=True)
class Reference:
    """What products were compared with.

    Attributes:
        kind: "finite differences", "routes" where these did not settle but independent routes agree, or "none".
        uncertainty: How well the last two of its estimates agree, relative to the product.
        step: Length of the finite differences' step, relative to that of the parameters.
        dtype: What it was computed in.
        rough: Whether longer steps gave something else, as where they cross kinks of ReLUs.
        note: What could not be done, and why.
    """

    kind: Literal["finite differences", "routes", "none"]
    uncertainty: float
    step: float
    dtype: str
    rough: bool
    note: str = ""


@dataclass(frozen=True)
class Doctor:
    """Which routes to Hessian-vector products are right for a model. Made by `similitude.doctor`.

    Attributes:
        operations: Of the forward pass, in the order of their first call.
        reference: What products were compared with.
        findings: Every route on the whole model.
        probes: Routes that are wrong or fail on the whole model, on its operations one at a time.
        symmetry: |u'Hv - v'Hu| of our own route, relative to the size of such a number for random u and v; None where
            there is no product.
        graph_bytes: Memory that the kept graph of this batch takes, in the dtype of the model.
        buffers: Buffers that a forward pass updates, such as running statistics.
        random: Whether the loss draws random numbers, as dropout does.
        dim: Number of trainable entries.
        examples: Examples in the batch.
        dtype: Of the model.
        verdict: Whether our own route is right.
        notes: What a user should know beside it.
    """

    operations: tuple[Operation, ...]
    reference: Reference
    findings: tuple[Finding, ...]
    probes: tuple[Finding, ...]
    symmetry: float | None
    graph_bytes: int | None
    buffers: tuple[str, ...]
    random: bool
    dim: int
    examples: int
    dtype: str
    verdict: Verdict
    notes: tuple[str, ...] = ()

    def finding(self, route: str, dtype: str = "float64") -> Finding:
        """Return how a route fared on the whole model as it is.

        Raises:
            CurvatureError: It was not tried.
        """
        for found in self.findings:
            if (found.route, found.dtype, found.written_out) == (route, dtype, route == OURS):
                return found
        tried = ", ".join(dict.fromkeys(found.route for found in self.findings))
        raise CurvatureError(f"the route {route!r} was not tried in {dtype}. Tried were: {tried}.")

    def blamed(self, route: str) -> tuple[Finding, ...]:
        """Return the operations that a route is wrong on, or fails on."""
        return tuple(f for f in self.probes if f.route == route and f.result in ("wrong", "fails"))

    def raise_if_bad(self) -> None:
        """Raise unless our own route is right.

        Raises:
            NotEnoughEvidenceError: There is nothing to compare it with.
            BadVerdictError: It is wrong, or cannot be taken.
        """
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self) | {"verdict": self.verdict.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Doctor:
        """Read what `to_dict` wrote, also after JSON made lists of its tuples.

        Raises:
            CurvatureError: It is something else.
        """
        try:
            kinds = {"operations": Operation, "findings": Finding, "probes": Finding}
            rows = {
                name: tuple(kind(**{**row, "modules": tuple(row["modules"])}) for row in data[name])
                for name, kind in kinds.items()
            }
            lists = {name: tuple(data[name]) for name in ("buffers", "notes")}
            made = {
                "reference": Reference(**data["reference"]),
                "verdict": Verdict.from_dict(data["verdict"]),
            }
            return cls(**{**data, **rows, **lists, **made})
        except (KeyError, TypeError, ValueError) as error:
            raise CurvatureError(
                f"this is no result of the doctor: {type(error).__name__}: {error}. Read what Doctor.to_dict gave."
            ) from error

    def __str__(self) -> str:
        lines = [f"{self.verdict.outcome}: {self.verdict.summary}"]
        lines += [f"  cause: {cause}" for cause in self.verdict.causes]
        lines += [f"  {says(found)}" for found in self.findings]
        lines += [f"next: {self.verdict.next}"] if self.verdict.next else []
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def __rich__(self) -> RenderableType:
        from rich.text import Text

        return Text(str(self))


def says(finding: Finding) -> str:
    """Write a finding on one line.

    Example:
        >>> says(Finding("grad_jvp", "float64", "wrong", 0.17))
        'grad_jvp, float64: WRONG by 0.17'
    """
    plain = ", fused operations written out" if finding.written_out and finding.route != OURS else ""
    way = f"{finding.route}, {finding.dtype}{plain}"
    return f"{way}: {word(finding)}" + (f": {finding.reason}" if finding.reason else "")


def word(finding: Finding) -> str:
    """Say in a word or two how a route fared.

    Example:
        >>> word(Finding("vjp_grad", "float32", "ok", 2e-7)), word(Finding("dual", "float64", "fails"))
        ('ok, 2e-07', 'FAILS')
    """
    if finding.result == "wrong":
        return f"WRONG by {finding.error:.2g}" if finding.error is not None else "WRONG"
    if finding.result == "ok":
        return f"ok, {finding.error:.0e}" if finding.error else "ok, exact"
    return {"fails": "FAILS", "untried": "not tried", "unsure": "unsure"}[finding.result]
