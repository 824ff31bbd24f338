"""Losses of joint-embedding models, of the embeddings of two views: Barlow Twins, VICReg, SimCLR, spectral."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from similitude.core.citation import cites
from similitude.core.errors import TheoryError

EmbeddingLoss = Callable[[Tensor, Tensor], Tensor]


def cross_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return C = (a'b + b'a) / 2n of the embeddings of two views, without centring, shape (dim, dim).

    Args:
        a: Embedding of the first views, shape (n, dim).
        b: Embedding of the second views of the same samples, shape (n, dim).
    """
    C = a.T @ b / len(a)
    return (C + C.T) / 2


@cites(11, "Section 2: the loss of Barlow Twins without batch normalization")
def barlow_twins(a: Tensor, b: Tensor, *, off_diagonal: float = 1.0) -> Tensor:
    """Return the squared distance of C from the identity, as the paper simplifies Barlow Twins.

    Args:
        a: Embedding of the first views, shape (n, dim).
        b: Embedding of the second views, shape (n, dim).
        off_diagonal: Weight of the entries off the diagonal; 1 is rotation-invariant and has a closed form.

    Example:
        >>> eye = torch.eye(2) * 2**0.5
        >>> round(barlow_twins(eye, eye).item(), 6)
        0.0
    """
    squares = (cross_correlation(a, b) - torch.eye(a.shape[1], dtype=a.dtype, device=a.device)).square()
    on = squares.diagonal().sum()
    return on + off_diagonal * (squares.sum() - on)


def vicreg(
    a: Tensor, b: Tensor, *, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0
) -> Tensor:
    """Return VICReg: distance of the views, spreads below 1, and covariances (Bardes et al., arXiv 2105.04906).

    Args:
        a: Embedding of the first views, shape (n, dim).
        b: Embedding of the second views, shape (n, dim).
        invariance: Weight of the mean squared distance between views.
        variance: Weight of the hinge on each dimension's standard deviation.
        covariance: Weight of the squared covariances between dimensions.
    """
    apart = (a - b).square().mean()
    below, mixed = a.new_zeros(()), a.new_zeros(())
    for view in (a, b):
        centred = view - view.mean(0)
        spread = (centred.square().sum(0) / (len(view) - 1) + 1e-4).sqrt()
        below = below + functional.relu(1 - spread).mean() / 2
        cov = centred.T @ centred / (len(view) - 1)
        mixed = mixed + (cov.square().sum() - cov.diagonal().square().sum()) / view.shape[1]
    return invariance * apart + variance * below + covariance * mixed


def simclr(a: Tensor, b: Tensor, *, temperature: float = 0.5, normalize: bool = True) -> Tensor:
    """Return SimCLR's cross entropy of the other view among all (Chen et al., arXiv 2002.05709).

    Args:
        a: Embedding of the first views, shape (n, dim).
        b: Embedding of the second views, shape (n, dim).
        temperature: What similarities are divided by.
        normalize: Bring embeddings to length 1. That takes away the small scale that a stepwise start needs.
    """
    z = torch.cat([a, b])
    z = functional.normalize(z, dim=1) if normalize else z
    logits = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
    other = torch.arange(len(z), device=z.device).roll(len(a))
    return functional.cross_entropy(logits, other)


def spectral_contrastive(a: Tensor, b: Tensor) -> Tensor:
    """Return the spectral contrastive loss: -2 E f(x)f(x') + E (f(x)f(y))^2 (HaoChen et al., arXiv 2106.04156).

    Args:
        a: Embedding of the first views, shape (n, dim).
        b: Embedding of the second views, shape (n, dim). Views of different samples are the independent ones.
    """
    products = a @ b.T
    near = products.diagonal()
    count = len(a) * (len(a) - 1)
    return -2 * near.mean() + (products.square().sum() - near.square().sum()) / max(count, 1)


_LOSSES: dict[str, EmbeddingLoss] = {
    "barlow_twins": barlow_twins,
    "vicreg": vicreg,
    "simclr": simclr,
    "simclr_raw": partial(simclr, normalize=False),
    "spectral_contrastive": spectral_contrastive,
}


def embedding_loss(loss: str | EmbeddingLoss) -> EmbeddingLoss:
    """Return a loss by its name, or the user's own function of two embeddings.

    Raises:
        TheoryError: There is none of this name.
    """
    if callable(loss):
        return loss
    if loss not in _LOSSES:
        raise TheoryError(
            f"loss={loss!r}: choose one of {', '.join(_LOSSES)}, or pass loss(a, b) of your own."
        )
    return _LOSSES[loss]
