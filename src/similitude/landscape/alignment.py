"""Kernel alignment: the cosine between two Gram matrices, plain or centred; of features it is linear CKA."""

from __future__ import annotations

import torch
from torch import Tensor

from similitude.core.errors import CurvatureError


def centre(gram: Tensor, *, outputs: int = 1) -> Tensor:
    """Remove the mean over examples from both sides of a Gram matrix, for every output by itself.

    Args:
        gram: Shape (n C, n C), ordered (example, output).
        outputs: C.

    Returns:
        H K H of the same shape, H = (I - 1 1' / n) x I.

    Example:
        >>> x = torch.tensor([[1.0], [3.0]])
        >>> centre(x @ x.T).tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """
    blocks = gram.reshape(gram.shape[0] // outputs, outputs, gram.shape[1] // outputs, outputs)
    blocks = blocks - blocks.mean(0, keepdim=True)
    blocks = blocks - blocks.mean(2, keepdim=True)
    return blocks.reshape(gram.shape)


def alignment(first: Tensor, second: Tensor, *, centred: bool = True, outputs: int = 1) -> float:
    """Return the cosine <K1, K2> / (|K1| |K2|) of two Gram matrices.

    Args:
        first: Shape (n C, n C).
        second: Another one of the same examples and outputs.
        centred: Whether means over the examples are removed first, so that a constant shift of the features does not
            count. Centred alignment of X X' and Y Y' is linear CKA.
        outputs: C.

    Returns:
        Between -1 and 1, for kernels between 0 and 1; NaN where a kernel is zero (or constant, if centred).

    Raises:
        CurvatureError: The shapes differ.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
        >>> turned = x @ torch.tensor([[0.6, 0.8], [-0.8, 0.6]])
        >>> round(alignment(x @ x.T, turned @ turned.T), 6)
        1.0

    Source: Cortes, Mohri, Rostamizadeh, JMLR 13 (2012), definition 4; Kornblith et al., arXiv 1905.00414, eq. 3 to 5.
    """
    if first.shape != second.shape:
        raise CurvatureError(
            f"kernels of shapes {tuple(first.shape)} and {tuple(second.shape)} cannot be compared. Take both on the same "
            "examples and outputs."
        )
    first, second = first.double(), second.to(first.device).double()
    if centred:
        first, second = centre(first, outputs=outputs), centre(second, outputs=outputs)
    norms = first.norm() * second.norm()
    return float((first * second).sum() / norms) if norms > 0 else float("nan")


def target_matrix(targets: Tensor, examples: int, *, classes: int = 1) -> Tensor:
    """Return targets as a float64 matrix (examples, outputs); class numbers become one-hot rows.

    Args:
        targets: Shape (n,) or (n, C...): class numbers if integer and of one axis, else values.
        examples: n.
        classes: Entries of one-hot rows, at least; more where a class number asks for it.

    Raises:
        CurvatureError: There are more or fewer targets than examples.
    """
    if targets.ndim == 0 or targets.shape[0] != examples:
        raise CurvatureError(
            f"targets have shape {tuple(targets.shape)}, and the kernel is of {examples} examples. Give one row for each."
        )
    targets = targets.detach()
    if targets.ndim == 1 and not targets.is_floating_point():
        targets = torch.nn.functional.one_hot(targets.long(), max(classes, int(targets.max()) + 1))
    return targets.reshape(examples, -1).double()
