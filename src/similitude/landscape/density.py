"""The density of all eigenvalues of an operator, by stochastic Lanczos quadrature (Ubaru, Chen and Saad, 2017)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy.stats import t as student
from torch import Tensor

from similitude.core.errors import CurvatureError
from similitude.core.seeding import torch_generator
from similitude.landscape.operators import Operator

_RELATIVE = 0.05  # smearing of large eigenvalues, relative to them
_PER_SIGMA = 4  # points of the grid per standard deviation of the smearing
_BEYOND = 4.0  # standard deviations that the grid goes beyond the outermost nodes
_PARTS = 50  # of the spectrum's range: the smearing is no wider than one
_CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Density:
    """How the eigenvalues of an operator are distributed.

    Every probe is a random vector v, and gives nodes and weights: sum(weights f(nodes)) = v'f(A)v, which estimates the
    mean of f over all eigenvalues. `mass`, `moment` and `mean` use them as they are; `values` is a picture, smeared.

    Attributes:
        nodes: Shape (probes, steps), ascending in every row, float64.
        weights: Parts of all eigenvalues, shape (probes, steps), adding up to 1 in every row. An eigenvalue alone in a
            space of P dimensions has about 1 / P, with a spread of sqrt(2) of that from probe to probe.
        grid: Eigenvalues of the picture, ascending, shape (points,); equally spaced in asinh(eigenvalue / (20 width)),
            that is linear near zero and logarithmic beyond.
        values: Density per unit of eigenvalue, the mean over probes; its integral is 1. Shape (points,).
        lower: Lower end of its 95 % interval over probes; None for a single probe.
        upper: Upper end.
        width: Standard deviation of the smearing near zero, in units of eigenvalues; 5 % of large eigenvalues.
        dim: Number of eigenvalues.
        products: Products with the operator that were used.
        exact: Whether the nodes are all the eigenvalues, each with its weight.
    """

    nodes: Tensor
    weights: Tensor
    grid: Tensor
    values: Tensor
    lower: Tensor | None
    upper: Tensor | None
    width: float
    dim: int
    products: int
    exact: bool = False

    def mean(self, function: Callable[[Tensor], Tensor]) -> tuple[float, float]:
        """Estimate the mean of a function over all eigenvalues, and its standard error over probes.

        Args:
            function: Of the nodes, entry by entry.

        Returns:
            Mean and standard error: 0 where the density is exact, nan where there is a single probe.
        """
        found = (self.weights * function(self.nodes)).sum(1)
        if self.exact:
            return float(found.mean()), 0.0
        error = found.std() / len(found) ** 0.5 if len(found) > 1 else math.nan
        return float(found.mean()), float(error)

    def mass(self, *, above: float = -math.inf, below: float = math.inf) -> float:
        """Estimate which part of all eigenvalues lies strictly between two values.

        Times `dim`, it is their number. A node stands for the eigenvalues around it, so an edge within the bulk is as
        sharp as the nodes there are close: of eigenvalues nearer to zero than `width` the sign, for example, is not
        known. The error that `mean` states is the spread over probes, which does not contain this.
        """
        return self.mean(lambda nodes: ((nodes > above) & (nodes < below)).to(nodes.dtype))[0]

    def moment(self, order: int) -> float:
        """Estimate the mean of a power of the eigenvalues; the first is the trace over `dim`."""
        return self.mean(lambda nodes: nodes**order)[0]


def spectral_density(
    operator: Operator, *, steps: int = 60, probes: int = 4, seed: int = 0, width: float | None = None
) -> Density:
    """Estimate the density of the eigenvalues of a symmetric operator.

    Where `steps` x `probes` products are enough to write down the whole operator, that is done, and the density is exact.

    Args:
        operator: The operator.
        steps: Lanczos steps per probe. Moments up to the (2 steps - 1)-th are as exact as random probes can be; isolated
            eigenvalues are found although each is one among `operator.dim`.
        probes: Random vectors; two give an interval.
        seed: Seeds the probes.
        width: Standard deviation of the smearing near zero, in units of eigenvalues. None takes what the nodes resolve:
            their mean distance, and no more than a 50th of their range.

    Returns:
        Nodes and weights of every probe, and a picture of the density with its interval.

    Raises:
        CurvatureError: A number is out of range, or a product is not finite.

    Example:
        >>> spectrum = torch.cat([torch.full((500,), 0.1), torch.full((499,), 0.3), torch.tensor([50.0])])
        >>> density = spectral_density(Operator(lambda v: spectrum * v, 1000), steps=10, probes=8)
        >>> round(float(density.nodes[0, -1]), 2), round(density.mass(below=0.2), 1)
        (50.0, 0.5)

    Cost: `steps` x `probes` products, `operator.dim` at most; memory of `steps` vectors.

    Source: Ubaru, Chen and Saad (2017), Algorithm 1; Ghorbani, Krishnan and Xiao, arXiv 1901.10159, for Hessians.
    """
    if steps < 1 or probes < 1:
        raise CurvatureError(f"steps={steps}, probes={probes}: both are numbers of 1 or more, e.g. 60 and 4.")
    if width is not None and not (0 < width < math.inf):
        raise CurvatureError(
            f"width={width}: a smearing has a positive width. Leave it out for what the nodes resolve."
        )
    if exact := operator.dim <= steps * probes:
        nodes = _all_eigenvalues(operator)[None]
        weights, products = torch.full_like(nodes, 1 / operator.dim), operator.dim
    else:
        generator = torch_generator(seed, "density")
        found = [_quadrature(operator, steps, generator) for _ in range(probes)]
        products = sum(used for _, _, used in found)
        most = max(len(row) for row, _, _ in found)
        # A probe that met a small invariant space ends early: its last node is repeated, with no weight.
        nodes = torch.stack([torch.cat([row, row[-1:].expand(most - len(row))]) for row, _, _ in found])
        weights = torch.stack([torch.cat([row, row.new_zeros(most - len(row))]) for _, row, _ in found])
    width = width or _resolved(nodes, weights)
    grid, pictures = _smeared(nodes, weights, width)
    values, lower, upper = pictures.mean(0), None, None
    if exact:
        lower = upper = values
    elif probes > 1:
        reach = student.ppf((1 + _CONFIDENCE) / 2, probes - 1) * pictures.std(0) / probes**0.5
        lower, upper = (values - reach).clamp(min=0), values + reach
    return Density(nodes, weights, grid, values, lower, upper, width, operator.dim, products, exact)


def _all_eigenvalues(operator: Operator) -> Tensor:
    rows = torch.eye(operator.dim, dtype=operator.dtype, device=operator.device)
    matrix = torch.stack([operator.product(row) for row in rows]).double().cpu()
    return torch.linalg.eigvalsh((matrix + matrix.T) / 2)


def _quadrature(operator: Operator, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor, int]:
    """Return Gauss nodes and weights of the eigenvalues as one random vector sees them, and the products used."""
    drawn = torch.randn(operator.dim, generator=generator).to(operator.device, operator.dtype)
    basis = torch.empty((steps, operator.dim), dtype=operator.dtype, device=operator.device)
    basis[0] = drawn / drawn.norm()
    diagonal, beside, size = [], [], 0.0
    for step in range(steps):
        image = operator.product(basis[step])
        size = max(size, float(image.norm()))
        diagonal.append(float(basis[step] @ image))
        for _ in range(
            2
        ):  # once leaves parts of the size of the rounding times the condition, from which ghosts grow
            image = image - basis[: step + 1].T @ (basis[: step + 1] @ image)
        rest = float(image.norm())
        if step + 1 == steps or rest <= 10 * torch.finfo(operator.dtype).eps * size:
            break
        beside.append(rest)
        basis[step + 1] = image / rest
    sides = torch.tensor(beside, dtype=torch.float64)
    matrix = (
        torch.diag(torch.tensor(diagonal, dtype=torch.float64)) + torch.diag(sides, 1) + torch.diag(sides, -1)
    )
    nodes, vectors = torch.linalg.eigh(matrix)
    return nodes, vectors[0] ** 2, len(diagonal)


def _resolved(nodes: Tensor, weights: Tensor) -> float:
    """Return the distance of neighbouring nodes, by weight, and no more than a part of their range."""
    largest = float(nodes.abs().max())
    spread = float(nodes.max() - nodes.min())
    if spread <= 1e-12 * largest:
        return largest / _PARTS or 1.0
    gaps = nodes.diff(dim=1)
    shared = (weights[:, 1:] + weights[:, :-1]) * (gaps > 1e-12 * largest)
    return min(float((gaps * shared).sum() / shared.sum()), spread / _PARTS)


def _smeared(nodes: Tensor, weights: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Return a grid and the density of every probe on it: nodes become equal bells in asinh(eigenvalue / linear)."""
    linear = width / _RELATIVE
    places = torch.asinh(nodes / linear)
    low, high = float(places.min()) - _BEYOND * _RELATIVE, float(places.max()) + _BEYOND * _RELATIVE
    axis = torch.linspace(
        low, high, math.ceil((high - low) / _RELATIVE * _PER_SIGMA) + 1, dtype=torch.float64
    )
    grid = linear * torch.sinh(axis)
    bells = torch.exp(-(((axis[:, None, None] - places) / _RELATIVE) ** 2) / 2) / (
        _RELATIVE * math.sqrt(2 * math.pi)
    )
    return grid, ((bells * weights).sum(2) / torch.sqrt(grid**2 + linear**2)[:, None]).T
