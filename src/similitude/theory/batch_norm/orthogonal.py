"""Haar-orthogonal matrices, and networks whose weights become orthogonal: linear layers and convolutions (paper 3)."""

from __future__ import annotations

from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import torch_generator
from similitude.theory.finite_width.given import whole

Kernel = Literal["centre", "flat"]
M = TypeVar("M", bound=nn.Module)


def haar_orthogonal(rows: int, columns: int | None = None, *, generator: torch.Generator) -> Tensor:
    """Return a matrix drawn evenly from those with orthonormal rows or columns, whichever are fewer.

    Args:
        rows: Their number.
        columns: Their number; that of rows by default.
        generator: Draws it.

    Returns:
        Shape (rows, columns), float64.

    Raises:
        TheoryError: A size is no whole number of at least 1.

    Example:
        >>> w = haar_orthogonal(2, 5, generator=torch.Generator().manual_seed(0))
        >>> torch.allclose(w @ w.T, torch.eye(2, dtype=torch.float64))
        True
    """
    m, n = whole("rows", rows), whole("columns", rows if columns is None else columns)
    tall = torch.randn(max(m, n), min(m, n), generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(tall)
    # without the signs of R the draw would depend on the algorithm, and not be even
    q = q * torch.sign(torch.diagonal(r))
    return q if m >= n else q.T.contiguous()


@cites(3, "orthogonal weights")
def orthogonal_(model: M, *, kernel: Kernel = "centre", seed: int = 0) -> M:
    """Give every weight of a model orthonormal rows or columns, in place.

    Weights are parameters of two axes or more, read as (outputs, inputs, ...); biases, norms and their affine
    parameters stay. A convolution is an isometry of whole images if its kernel is orthogonal in the centre and zero
    elsewhere (with as many channels before as behind, and kernels of odd size); a kernel that is orthogonal as a matrix
    of outputs times everything else is not quite.

    Args:
        model: Any module; it is changed.
        kernel: "centre" for convolutions that are isometries, "flat" for kernels that are orthogonal as matrices.
        seed: Of the draws.

    Returns:
        The model.

    Raises:
        TheoryError: The kind of kernel is unknown, a weight is still lazy, or there is none.

    Example:
        >>> net = orthogonal_(nn.Sequential(nn.Linear(4, 8), nn.Conv2d(3, 3, 3)))
        >>> w = net[0].weight.detach()
        >>> torch.allclose(w.T @ w, torch.eye(4), atol=1e-6), int((net[1].weight != 0).sum())
        (True, 9)
    """
    if kernel not in get_args(Kernel):
        raise TheoryError(f"kernel={kernel!r}: choose one of {get_args(Kernel)}.")
    if lazy := [n for n, p in model.named_parameters() if isinstance(p, nn.parameter.UninitializedParameter)]:
        raise TheoryError(f"'{lazy[0]}' has no shape yet. Run the model on a batch once.")
    weights = {name: p for name, p in model.named_parameters() if p.ndim >= 2 and p.numel()}
    if not weights:
        raise TheoryError("the model has no weight of two axes or more, so nothing can be orthogonal.")
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(_drawn(weight.shape, kernel, torch_generator(seed, "orthogonal", name)))
    return model


def _drawn(shape: torch.Size, kernel: Kernel, generator: torch.Generator) -> Tensor:
    if kernel == "flat" or len(shape) == 2:
        return haar_orthogonal(shape[0], shape[1:].numel(), generator=generator).reshape(shape)
    taps = torch.zeros(shape, dtype=torch.float64)
    centre = tuple(size // 2 for size in shape[2:])
    taps[:, :, *centre] = haar_orthogonal(shape[0], shape[1], generator=generator)
    return taps
