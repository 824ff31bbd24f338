"""The trace of an operator from a few products: Hutch++ (Meyer, Musco, Musco and Woodruff, arXiv 2010.09649)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from similitude.core.errors import CurvatureError
from similitude.core.seeding import torch_generator
from similitude.landscape.operators import Operator

_LEAST = 6  # products: two for each third of the work, so that the random part has a spread
_LEAST_PROBES = 8  # random vectors before a standard error is trusted to end the search


@dataclass(frozen=True)
class Trace:
    """The sum of the eigenvalues of an operator, and of their squares.

    Attributes:
        value: Estimated sum.
        standard_error: Of the value; 0 where it is exact.
        frobenius_squared: Estimated sum of the squares (the squared Frobenius norm), from the same products.
        frobenius_error: Its standard error.
        products: Products with the operator that were used.
        converged: Whether the standard error is within the tolerance that was asked for; true where none was.
    """

    value: float
    standard_error: float
    frobenius_squared: float
    frobenius_error: float
    products: int
    converged: bool = True


def trace(
    operator: Operator,
    *,
    products: int = 30,
    tol: float | None = None,
    most: int = 300,
    seed: int = 0,
) -> Trace:
    """Estimate the trace of a symmetric operator without bias.

    A third of the products find the range of the large eigenvalues, a third takes the trace there exactly, and a third
    estimates what is left by random vectors. The error falls as 1 / products, where random vectors alone (Hutchinson)
    have 1 / sqrt(products), and faster where few eigenvalues are large.

    Args:
        operator: The operator.
        products: Products to spend, 6 or more. With as many as the operator has rows, the trace is exact.
        tol: Standard error to reach, relative to the value: more random vectors are taken until it is. A trace near zero,
            of large eigenvalues of both signs, cannot be told to a relative error.
        most: Products at most, with `tol`.
        seed: Seeds the random vectors.

    Raises:
        CurvatureError: A number is out of range, or a product is not finite.

    Example:
        >>> spectrum = torch.cat([torch.tensor([100.0, 50.0]), torch.zeros(998)])
        >>> found = trace(Operator(lambda v: spectrum * v, 1000))
        >>> round(found.value, 3), round(found.frobenius_squared, 1), found.products
        (150.0, 12500.0, 30)

    Cost: `products` products, and memory of a third as many vectors.

    Source: Meyer et al. (2021), Algorithm 1.
    """
    if products < min(_LEAST, operator.dim):
        raise CurvatureError(
            f"products={products}: the estimate needs {min(_LEAST, operator.dim)} at least to know its own error. "
            "Ask for more; 30 are usual."
        )
    if tol is not None and not tol > 0:
        raise CurvatureError(
            f"tol={tol}: a relative error is positive, e.g. 0.02. Leave it out to spend {products} products."
        )
    if products >= operator.dim:
        return _exact(operator)
    generator = torch_generator(seed, "trace")
    rank = products // 3
    basis = _range(operator, rank, generator)
    images = [operator.product(q) for q in basis]
    sure = sum(_dot(q, image) for q, image in zip(basis, images, strict=True))
    sure_squares = sum(_dot(image, image) for image in images)
    sums, squares = [], []
    spent = 2 * rank
    while True:
        probe = _signs(operator, generator)
        probe -= basis.T @ (basis @ probe)
        image = operator.product(probe)
        sums.append(_dot(probe, image))
        squares.append(_dot(image, image))
        spent += 1
        if spent < products:
            continue
        value, error = _mean(sums)
        value += sure
        enough = tol is None or (error <= tol * abs(value) and len(sums) >= _LEAST_PROBES)
        if enough or spent >= most:
            break
    mean_square, square_error = _mean(squares)
    return Trace(value, error, sure_squares + mean_square, square_error, spent, converged=enough)


def _exact(operator: Operator) -> Trace:
    total, squares = 0.0, 0.0
    for row in range(operator.dim):
        unit = torch.zeros(operator.dim, dtype=operator.dtype, device=operator.device)
        unit[row] = 1
        image = operator.product(unit)
        total += float(image[row])
        squares += _dot(image, image)
    return Trace(total, 0.0, squares, 0.0, operator.dim)


def _range(operator: Operator, rank: int, generator: torch.Generator) -> Tensor:
    """Return orthonormal rows that span what the operator makes of `rank` random vectors, shape (rank, dim)."""
    images = torch.stack([operator.product(_signs(operator, generator)) for _ in range(rank)])
    return torch.linalg.qr(images.T).Q.T.contiguous()


def _signs(operator: Operator, generator: torch.Generator) -> Tensor:
    drawn = torch.randint(0, 2, (operator.dim,), generator=generator) * 2 - 1
    return drawn.to(dtype=operator.dtype, device=operator.device)


def _dot(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum(dtype=torch.float64))


def _mean(values: list[float]) -> tuple[float, float]:
    """Return the mean of several numbers and its standard error."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))
