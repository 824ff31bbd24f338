"""Train an encoder on pairs of views with a joint-embedding loss, and keep its embedding spectrum (paper 11)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.given import number, whole
from similitude.theory.joint_embedding.history import EmbeddingHistory
from similitude.theory.joint_embedding.losses import EmbeddingLoss, embedding_loss
from similitude.theory.joint_embedding.tracker import EmbeddingTracker

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


@cites(11, "Section 5: deep networks from small initializations")
def train_encoder(
    encoder: nn.Module,
    pairs: tuple[Tensor, Tensor],
    *,
    lr: float,
    steps: int,
    loss: str | EmbeddingLoss = "barlow_twins",
    optimizer: MakeOptimizer | None = None,
    every: int = 1,
    tracker: EmbeddingTracker | None = None,
) -> EmbeddingHistory:
    """Train an encoder on all pairs at every step, in place, and return its embedding spectrum along the way.

    Args:
        encoder: A module that gives embeddings, shape (n, dim), of a view.
        pairs: Two views of the same samples, (A, B).
        lr: Learning rate. Time is learning rate times steps with plain gradient descent, steps with an optimizer.
        steps: At most; training ends where the loss is not finite.
        loss: "barlow_twins", "vicreg", "spectral_contrastive", "simclr", "simclr_raw" (without normalization), or a
            function of the two embeddings.
        optimizer: Makes the optimizer from the parameters, with its own learning rate; gradient descent by default.
        every: Steps between records; the last step is recorded too.
        tracker: In place of `every`: a tracker of one's own, which keeps what it has recorded.

    Raises:
        TheoryError: A number is out of range, the views do not fit, the encoder gives no embeddings or is not trained, or
            the loss gives no number with a gradient.

    Example:
        >>> x = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
        >>> encoder = nn.Linear(2, 2, bias=False)
        >>> _ = encoder.weight.data.copy_(1e-2 * torch.eye(2))
        >>> history = train_encoder(encoder, (x, x), lr=1e-3, steps=4000)
        >>> [round(step.time, 2) for step in history.steps()]  # -log(gamma s^2) / (8 gamma)
        [0.53, 2.48]
    """
    number("lr", lr, above=True)
    whole("steps", steps)
    measured = embedding_loss(loss)
    if (
        not isinstance(pairs, tuple | list)
        or len(pairs) != 2
        or not all(isinstance(x, Tensor) for x in pairs)
    ):
        raise TheoryError("pairs are two views of the same samples: pass a tuple of two tensors, (A, B).")
    if pairs[0].shape != pairs[1].shape or not len(pairs[0]):
        raise TheoryError(
            f"the views have shapes {tuple(pairs[0].shape)} and {tuple(pairs[1].shape)}: row i of both is the same "
            "sample."
        )
    if not any(p.requires_grad for p in encoder.parameters()):
        raise TheoryError(
            f"{type(encoder).__name__} has no parameters that are trained. Pass an encoder that has."
        )
    made = (
        torch.optim.SGD(encoder.parameters(), lr=lr) if optimizer is None else optimizer(encoder.parameters())
    )
    tick = lr if optimizer is None else 1.0
    kept = tracker or EmbeddingTracker(pairs, every=every)
    both = torch.cat(tuple(pairs))
    for step in range(steps + 1):
        try:
            embedded = encoder(both)
        except RuntimeError as error:
            if step:
                raise
            raise TheoryError(
                f"{type(encoder).__name__} fails on views of shape {tuple(both.shape)} and {both.dtype}: {error}. Pass "
                "views as it takes them."
            ) from error
        if not isinstance(embedded, Tensor) or embedded.ndim != 2:
            raise TheoryError(
                "the encoder gives no matrix of embeddings, shape (samples, dim): flatten what it gives."
            )
        value = measured(*embedded.split(len(pairs[0])))
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            what = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise TheoryError(
                f"the loss gives {what}, and training needs one number with a gradient: let it take both embeddings "
                "there by operations of torch."
            )
        ended = step == steps or not math.isfinite(float(value.detach()))
        (kept.record if ended else kept.update)(encoder, step, loss=value.detach(), lr=tick)
        if ended:
            break
        made.zero_grad()
        value.backward()
        made.step()
    return kept.history
