"""The landscape at one point in numbers: top eigenvalues, trace, density and the two parts of the Hessian."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from torch import nn

from similitude.core.errors import CurvatureError
from similitude.landscape.curvature import Curvature
from similitude.landscape.density import spectral_density
from similitude.landscape.trace import trace
from similitude.training.loop import Loss

_TOP = 10  # eigenvalues at the end: as many as images of ten classes have outliers, and one


@dataclass(frozen=True)
class SplitNumbers:
    """Largest eigenvalues of the Hessian H = G + R and of its two parts.

    Attributes:
        hessian: Of H.
        gauss_newton: Of G, the part that a network linear in its parameters would have.
        residual: Of R, the part from the curvature of the network itself.
        ratio: `residual` over `gauss_newton`: near 0 in a kernel, larger where features are learned.
    """

    hessian: float
    gauss_newton: float
    residual: float
    ratio: float


@dataclass(frozen=True)
class DensityNumbers:
    """Density of the eigenvalues, drawn on a grid.

    Attributes:
        grid: Eigenvalues, ascending.
        values: Density there, the mean over random probes; its integral is 1.
        below: Part of all eigenvalues below zero.
        outliers: Part of all eigenvalues above a tenth of the largest.
    """

    grid: tuple[float, ...]
    values: tuple[float, ...]
    below: float
    outliers: float


@dataclass(frozen=True)
class Portrait:
    """The landscape at one point.

    Attributes:
        loss: Loss there.
        dim: Number of trainable parameters.
        examples: Examples that the loss is a mean over.
        top: Largest eigenvalues of the Hessian, descending.
        bounds: How far an eigenvalue can be from each of them at most.
        trace: Sum of all eigenvalues.
        trace_error: Its standard error.
        split: The parts of the Hessian; None where they were not asked for or do not exist.
        density: Density of the eigenvalues; None where it was not asked for.
        notes: What could not be taken, and why.
    """

    loss: float
    dim: int
    examples: int
    top: tuple[float, ...]
    bounds: tuple[float, ...]
    trace: float
    trace_error: float
    split: SplitNumbers | None = None
    density: DensityNumbers | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Portrait:
        """Read what `to_dict` wrote, also by way of JSON."""
        found = {f.name: data[f.name] for f in fields(cls)}
        for name in ("top", "bounds", "notes"):
            found[name] = tuple(found[name])
        if found["split"] is not None:
            found["split"] = SplitNumbers(**found["split"])
        if (density := found["density"]) is not None:
            grid, values = tuple(density["grid"]), tuple(density["values"])
            found["density"] = DensityNumbers(grid, values, density["below"], density["outliers"])
        return cls(**found)


def portrait(
    model: nn.Module,
    loss: Loss,
    batch: Any,
    *,
    top: int | None = None,
    density: bool = True,
    split: bool = True,
    tol: float = 1e-3,
    seed: int = 0,
) -> Portrait:
    """Look at the landscape at a model's present parameters. The model is left as it is.

    Args:
        model: Any module.
        loss: `loss(model, batch) -> scalar`.
        batch: One batch, or several whose mean over examples is meant.
        top: Largest eigenvalues to find; 10 by default, or one per parameter where there are fewer.
        density: Whether to take the density of all eigenvalues, which is most of the work.
        split: Whether to take the parts of the Hessian; where the loss has none, a note says why.
        tol: Relative error of an eigenvalue.
        seed: Seed of random directions.

    Raises:
        CurvatureError: The loss cannot be differentiated twice, or is not finite; there are fewer than `top` eigenvalues.

    Cost: about 3 `top` + 8 products for the eigenvalues, 30 for the trace, 60 x 4 for the density, 30 for the split.
    """
    notes: list[str] = []
    with Curvature(model, loss, batch, seed=seed) as curvature:
        operator = curvature.operator("hessian")
        found = curvature.top(check_top(top, curvature.dim), tol=tol, seed=seed)
        total = trace(operator, seed=seed)
        drawn = spectral_density(operator, seed=seed) if density else None
        parts = None
        if split:
            try:
                parts = curvature.split(seed=seed)
            except CurvatureError as error:
                notes.append(f"no split into Gauss-Newton and residual part: {error}")
        if not found.converged:
            notes.append(
                f"the {len(found)} largest eigenvalues are not all known to {tol:g} after {found.products} products"
            )
        return Portrait(
            loss=curvature.loss_value,
            dim=curvature.dim,
            examples=curvature.examples,
            top=tuple(found),
            bounds=tuple(found.bounds.tolist()),
            trace=total.value,
            trace_error=total.standard_error,
            split=None if parts is None else SplitNumbers(
                parts.hessian, parts.gauss_newton, parts.residual, parts.ratio
            ),
            density=None if drawn is None else DensityNumbers(
                tuple(drawn.grid.tolist()), tuple(drawn.values.tolist()),
                drawn.mass(below=0.0), drawn.mass(above=0.1 * found[0]),
            ),
            notes=tuple(notes),
        )  # fmt: skip


def check_top(top: int | None, dim: int) -> int:
    """Return how many eigenvalues to find in a number of dimensions; 10, or all of fewer, where none is given.

    Raises:
        CurvatureError: There are not that many.
    """
    if top is None or not dim:  # a model without parameters is refused for that
        return min(_TOP, dim)
    if not 1 <= top <= dim:
        raise CurvatureError(
            f"top={top}: the Hessian of {dim} trainable parameters has {dim} eigenvalues. Ask for 1 to {dim} of them, "
            f"e.g. {min(_TOP, dim)}."
        )
    return top
