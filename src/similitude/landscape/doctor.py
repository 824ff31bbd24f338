"""Which routes to Hessian-vector products are right for a model: each is tried on it, and compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from similitude.core.errors import CurvatureError
from similitude.landscape.batches import read_batches
from similitude.landscape.doctor_examination import Examination
from similitude.landscape.doctor_patient import Looks, Patient, look, reference_of
from similitude.landscape.doctor_process import can_fork
from similitude.landscape.doctor_records import Doctor, Finding, Reference
from similitude.landscape.doctor_verdict import judge
from similitude.landscape.routes import ROUTES, load_lazily_imported, routes_by_name
from similitude.landscape.vectors import ParameterSpace
from similitude.scaling.axes import some
from similitude.scaling.matching import unwrapped
from similitude.training.loop import Loss


def doctor(
    model: nn.Module,
    loss: Loss,
    batch: Any,
    *,
    routes: Sequence[str] | None = None,
    seed: int = 0,
    timeout: float = 120.0,
) -> Doctor:
    """Try every route to a Hessian-vector product on a model, and say which are right.

    One product with a random direction is taken by each route, in float64 and float32, and compared with finite
    differences of the gradient in float64, whose step is refined until they settle. Where a route is wrong or fails, it
    is tried on every operation of the model alone, so that the operation is named with the modules that call it. Some
    routes end the interpreter on some operations; all of it runs in copies of this process (on Linux, without CUDA),
    where nothing can happen to the model, and which may die.

    Args:
        model: Any module, in the mode (train or eval) in which it is to be measured. It is left as it is.
        loss: `loss(model, batch) -> scalar`.
        batch: One batch, or several, of which the first is used.
        routes: Names out of `similitude.landscape.routes.ROUTES`; all where None. Our own is always tried.
        seed: Seeds directions, and what random layers draw.
        timeout: Seconds that one product may take.

    Returns:
        The operations, how each route fared and on which operation it breaks, and a verdict on our own.

    Raises:
        CurvatureError: The loss is no finite scalar with a gradient, the batch is empty, there is no trainable parameter,
            or a parameter is not finite.

    Example:
        >>> x = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Tanh())
        >>> found = doctor(model, lambda model, x: model(x)[:, 0].exp().sum(), x, routes=["grad_jvp"])
        >>> found.verdict.ok, [f.operation for f in found.blamed("curvature")]
        (True, [])

    Cost: about 30 gradients in float64, and two products per route; seconds for a small model.
    """
    chosen = routes_by_name(routes)
    ParameterSpace.of(model)
    one = isinstance(batch, Tensor | tuple | Mapping | str) or not isinstance(batch, Iterable)
    ((first, examples),) = read_batches(batch if one else list(islice(batch, 1)))
    forks = can_fork()
    load_lazily_imported([route for route in chosen if forks or not route.crashes])
    patient = Patient(unwrapped(model), loss, first, seed, timeout, forks)
    looks = look(patient)
    dtype, note = torch.float64, ""
    base = reference_of(patient, dtype, random=looks.random)
    if isinstance(base, str):
        note = f"the gradient cannot be taken in float64 ({base})"
        dtype = torch.float32
        base = reference_of(patient, dtype, random=looks.random)
    if isinstance(base, str):
        raise CurvatureError(
            f"the gradient of this loss can be taken neither in float64 nor in float32: {base}. The doctor casts the "
            "model and the batch; look for dtypes that the model fixes."
        )
    examination = Examination(patient, looks, chosen, dtype, base)
    examination.run()
    reference = replace(examination.reference, note=note or examination.reference.note)
    findings, probes = tuple(examination.findings), tuple(examination.probes)
    return Doctor(
        operations=looks.operations,
        reference=reference,
        findings=findings,
        probes=probes,
        symmetry=examination.symmetry,
        graph_bytes=looks.graph_bytes,
        buffers=looks.buffers,
        random=looks.random,
        dim=looks.dim,
        examples=examples,
        dtype=looks.dtype,
        verdict=judge(findings, probes, looks.operations, reference, examination.symmetry),
        notes=tuple(_notes(looks, reference, one, patient, findings, probes)),
    )


def _notes(
    looks: Looks,
    reference: Reference,
    one: bool,
    patient: Patient,
    findings: Sequence[Finding],
    probes: Sequence[Finding],
) -> Iterator[str]:
    if not one:
        yield "the first batch was used"
    if looks.buffers:
        yield (
            f"a forward pass updates {some(looks.buffers)}; products are of the function that starts from the "
            "present ones, and none is changed"
        )
    if looks.random:
        yield "the loss draws random numbers (dropout); products are of the function with one fixed draw"
    if reference.rough:
        yield (
            "longer finite differences give something else: the loss has kinks (ReLU, max), and the Hessian is that "
            f"between them; the step is {reference.step:.0e} of the parameters"
        )
    blamed = {f.route for f in probes if f.result in ("wrong", "fails")}
    lost = [
        f.route
        for f in findings
        if f.result == "wrong"
        and f.dtype == reference.dtype
        and ROUTES[f.route].substitutes
        and f.route not in blamed
    ]
    if (
        len(lost)
        == sum(1 for f in findings if ROUTES[f.route].substitutes and f.dtype == reference.dtype)
        > 0
    ):
        yield (
            "every route that puts other tensors in place of the parameters is wrong, and no operation is: the model "
            "holds parameters in a second place (a list, a closure), where they are not replaced"
        )
    if reference.note:
        yield reference.note
    if looks.dtype not in ("float32", "float64"):
        yield f"the model is in {looks.dtype}; float64 and float32 were tried"
    if not patient.forks:
        yield (
            "this process cannot be copied (CUDA is in use, or it is not Linux), so routes that may end the interpreter "
            "were not tried"
        )
