"""What the findings of a doctor mean: whether our own route is right on this model, and what stands in its way."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.landscape.doctor_records import Finding, Operation, Reference
from similitude.landscape.routes import OURS
from similitude.scaling.axes import some

TOLERANCES = {"float64": 1e-6, "float32": 1e-2}
"""Relative error up to which a product is right: far above rounding, far below what a wrong formula makes."""

SYMMETRIC = 1e-6
"""Asymmetry up to which a product in float64 is one with a symmetric matrix."""

_NAMES = re.compile(r"\w+::\w+|(?<=forward AD with )\w+")


def named_operation(reason: str, operations: Sequence[Operation]) -> Operation | None:
    """Find the operation of a model that an error of PyTorch names, or whose backward pass it names.

    Example:
        >>> gelu = Operation("aten::gelu", 1, ("act",), True)
        >>> named_operation("RuntimeError: derivative for aten::gelu_backward is not implemented", [gelu]) is gelu
        True
    """
    known = {operation.name: operation for operation in operations}
    for named in _NAMES.findall(reason):
        name = named if "::" in named else f"aten::{named}"
        for candidate in (name, name.removesuffix("_backward"), f"{name}_"):
            if (found := known.get(candidate)) is not None:
                return found
    return None


def place(modules: Sequence[str]) -> str:
    """Say where an operation is called.

    Example:
        >>> place(("blocks.0.attn", "blocks.1.attn")), place(("",))
        ("in 'blocks.0.attn', 'blocks.1.attn'", 'in the model itself or the loss')
    """
    inside = [module for module in modules if module]
    return f"in {some(inside)}" if inside else "in the model itself or the loss"


def judge(
    findings: Sequence[Finding],
    probes: Sequence[Finding],
    operations: Sequence[Operation],
    reference: Reference,
    symmetry: float | None,
) -> Verdict:
    """Judge our own route by what was found.

    Args:
        findings: Routes on the whole model.
        probes: Routes on its operations.
        operations: Of the forward pass.
        reference: What products were compared with.
        symmetry: Of our own route.
    """
    own = {f.dtype: f for f in findings if f.route == OURS}
    evidence = tuple(
        Evidence(f"relative error in {dtype}", f.error, None, f"at most {TOLERANCES[dtype]:g}")
        for dtype, f in own.items()
    )
    if symmetry is not None:
        evidence += (Evidence("asymmetry", symmetry, None, f"at most {SYMMETRIC:g} in float64"),)
    main = own[reference.dtype]
    uneven = symmetry is not None and reference.dtype == "float64" and symmetry > SYMMETRIC
    if main.result == "unsure":
        return Verdict(
            Outcome.CANNOT_TELL,
            "there is nothing to compare Hessian products with: finite differences do not settle, and no independent "
            "route gives the same",
            evidence,
            next="a smaller batch, or smooth activations in place of kinked ones, and see whether that settles",
        )
    if main.result == "ok" and not uneven:
        return _right(findings, reference, evidence)
    causes = tuple(
        _cause(f, operations) for f in probes if f.route == OURS and f.result in ("wrong", "fails")
    )
    if main.result == "fails":
        causes = causes or ((f"{main.operation} {place(main.modules)}",) if main.operation else ())
        return Verdict(
            Outcome.REFUSED,
            f"the Hessian of this loss cannot be taken: {main.reason}",
            evidence,
            causes,
            next="write the operation that is named with elementary ones for the measurement; they have all derivatives",
        )
    off = f" by {main.error:.2g}" if main.error is not None else ""
    parts = [f"Hessian products of this loss are wrong{off} in {main.dtype}, against {_compared(reference)}"]
    parts += [f"they are not symmetric, by {symmetry:.1g}"] if uneven else []
    return Verdict(
        Outcome.INCONSISTENT,
        "; ".join(parts),
        evidence,
        causes or (_hidden(symmetric=not uneven),),
        next="mend what is named, and run the doctor again",
    )


def _right(findings: Sequence[Finding], reference: Reference, evidence: tuple[Evidence, ...]) -> Verdict:
    own = [f for f in findings if f.route == OURS]
    errors = ", ".join(f"{f.error:.1e} in {f.dtype}" for f in own if f.error is not None)
    summary = (
        f"Hessian products by similitude.Curvature are right on this model: relative error {errors}, against "
        f"{_compared(reference)}"
    )
    silent = dict.fromkeys(
        f.route for f in findings if f.route not in (OURS, "finite_differences") and f.result == "wrong"
    )
    advice = f"do not use {', '.join(silent)} on this model: wrong without an error" if silent else ""
    bad = next((f for f in own if f.result in ("wrong", "fails")), None)
    if bad is None:
        return Verdict(Outcome.OK, summary, evidence, next=advice)
    return Verdict(
        Outcome.INCONSISTENT,
        f"{summary}; but in {bad.dtype} they {'fail' if bad.result == 'fails' else 'are wrong'}",
        evidence,
        (bad.reason or f"rounding: {bad.dtype} is not enough for this loss at this point",),
        next="measure in float64: model.double(), and the batch",
    )


def _cause(found: Finding, operations: Sequence[Operation]) -> str:
    """Say what is the matter with an operation that breaks our own route alone."""
    where = f"{found.operation} {place(found.modules)}"
    if any(o.once for o in operations if o.name == found.operation):
        return (
            f"{where} is marked @once_differentiable, so that its gradient cannot be differentiated again; where PyTorch "
            "raises no error it takes it for a constant. Write its backward pass with differentiable operations"
        )
    if found.error is None:
        return f"{where}: {found.reason}"
    custom = any(o.custom for o in operations if o.name == found.operation)
    why = (
        "its backward pass hides from autograd what it depends on (.detach(), .data, no_grad), or is no derivative"
        if custom
        else f"its second derivative in PyTorch {torch.__version__} is wrong"
    )
    return f"{where}: alone it is off by {found.error:.2g}; {why}"


def _hidden(*, symmetric: bool) -> str:
    text = (
        "every operation is right alone. Something that depends on the parameters is hidden from autograd (.detach(), "
        ".data, no_grad, as in spectral norm's power iteration), or a pass changes what the next one starts from"
    )
    if symmetric:
        text += ". The products are symmetric: they may be those of the loss in which what is hidden is held fixed"
    return text


def _compared(reference: Reference) -> str:
    if reference.kind == "routes":
        return "routes of forward-mode derivatives, which agree where finite differences do not settle"
    return f"finite differences in {reference.dtype} that settle to {reference.uncertainty:.0e}"
