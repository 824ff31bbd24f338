"""Gradient descent in function space on a net that is infinitely wide but for finite bottlenecks (paper 19)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.bottleneck.given import first_gram, rows
from similitude.theory.bottleneck.run import BottleneckRun
from similitude.theory.bottleneck.segment import Moving, Segment
from similitude.theory.finite_width.given import number, whole

Loss = Literal["mse"] | Callable[[Tensor, Tensor], Tensor]

_BOUND = 1e8  # outputs beyond so many times what there was at the start have left all bounds
_ENTRIES = 2**28  # numbers of a kernel between all examples, of 2 GB


@cites(19, "training in function space")
def train_bottlenecks(
    ntk: ArrayLike | Tensor,
    start: ArrayLike | Tensor,
    segments: Segment | Sequence[Segment],
    targets: ArrayLike | Tensor,
    *,
    lr: float,
    steps: int,
    loss: Loss = "mse",
    every: int | None = None,
) -> BottleneckRun:
    """Train an infinitely wide net with finite bottlenecks by gradient descent, exactly, in function space.

    The net is F = f_B o ... o f_1 o g: g takes the inputs to the d_1 units h of the first bottleneck, f_1 goes on from
    there. Every part is infinitely wide inside, so that its own tangent kernel is fixed, and its function moves by it;
    but the points h at which f_1 is asked, and its slopes there, move by the order of 1. So the kernel of F moves, and
    the representation in the bottleneck is learned. With c_i the slope of the loss in F(x_i),

        h(x) <- h(x) - lr sum_i Theta_g(x, x_i) (grad f(h_i))' c_i,    f(h) <- f(h) - lr sum_i Theta_f(h, h_i) c_i,

    both with what was before the step, and likewise through every bottleneck.

    Args:
        ntk: Tangent kernel Theta_g of the first part, of one of its outputs, between all P examples; or only the columns
            of the N that are trained on. These come first.
        start: g at initialization, (P, d_1): of a network of yours, or drawn by `bottleneck_start`.
        segments: The parts behind the bottlenecks, in order; one where there is one bottleneck.
        targets: Of the training examples, (N,) or (N, outputs).
        lr: Learning rate of a parameter in the NTK parametrization, the loss summed over examples.
        steps: Steps.
        loss: "mse" (half the sum of squared errors), or `loss(outputs, targets) -> number` of torch operations.
        every: Keep the kernel every so many steps, beside those at the start and the end.

    Returns:
        Outputs and bottlenecks of all examples before every step and at the end, and the kernels.

    Raises:
        TheoryError: Shapes do not fit, a number is out of range, or the outputs leave all bounds: the learning rate is
            above what the kernel bears, which shrinks as it grows.

    Example:
        One example, h = 1, f(h) = h: F <- F - lr (Theta_f h h + Theta_g f'^2) (F - y), and more beyond the first step.

        >>> one = Segment(lambda h, other: h @ other.T, lambda h: h)
        >>> run = train_bottlenecks([[1.0]], [[1.0]], one, [2.0], lr=0.1, steps=1)
        >>> [round(float(x), 12) for x in run.outputs.flatten()]  # 1.1 squared
        [1.0, 1.21]

    Cost: steps^2 N P evaluations of every segment's kernel, half of them with slopes.
    """
    y = rows(targets, "targets", "one target, or one row of targets, per training example")
    h = rows(start, "start", "the bottleneck of every example")
    N, P = len(y), len(h)
    if N > P:
        raise TheoryError(
            f"{N} targets for {P} rows of start. Pass the bottleneck of all examples, those of training first."
        )
    theta = first_gram(ntk, P, N)
    number("lr", lr, above=True)
    whole("steps", steps, least=0)
    if every is not None:
        whole("every", every)
    parts = [segments] if isinstance(segments, Segment) else list(segments)
    if not parts:
        raise TheoryError("segments is empty. Pass the part behind every bottleneck, one at least.")
    for i, part in enumerate(parts):
        if not isinstance(part, Segment):
            raise TheoryError(
                f"segments[{i}] is a {type(part).__name__}. Pass `wide_head(...)` or Segment(kernel, start)."
            )
    moving = [Moving(part, f"segments[{i}]") for i, part in enumerate(parts)]
    outputs, hidden, kernels, losses = [], [[] for _ in moving], {}, []
    for t in range(steps + 1):
        layers = _forward(moving, h)
        F = layers[-1]
        _check_outputs(F, y, outputs, t, lr, kernels)
        outputs.append(F)
        for kept, layer in zip(hidden, layers, strict=False):
            kept.append(layer)
        value, slopes = _loss(loss, F[:N], y)
        if not math.isfinite(value) or not bool(slopes.isfinite().all()):
            raise TheoryError(
                f"the loss at step {t} is {value:.4g} and its slopes reach {float(slopes.abs().max()):.4g}, of outputs "
                f"up to {float(F.abs().max()):.4g}. Pass a loss that is finite there, and has a finite slope."
            )
        losses.append(value)
        if t in (0, steps) or (every is not None and t % every == 0):
            kernels[t] = _kernel(theta, moving, layers, N)
        if t == steps:
            break
        pulls = [slopes]
        for part, layer in zip(reversed(moving), reversed(layers[:-1]), strict=True):
            pulls.append(part.pull_back(layer[:N], pulls[-1]))
        for part, layer, pull in zip(moving, layers, reversed(pulls[:-1]), strict=False):
            part.pull(layer[:N], lr * pull)
        h = h - lr * theta @ pulls[-1]
    return BottleneckRun(
        outputs=torch.stack(outputs),
        bottlenecks=tuple(torch.stack(kept) for kept in hidden),
        kernels=kernels,
        losses=tuple(losses),
        targets=y,
        lr=float(lr),
    )


def _forward(moving: Sequence[Moving], h: Tensor) -> list[Tensor]:
    """Return every bottleneck of all examples, and the outputs last."""
    layers = [h]
    for part in moving:
        layers.append(part.values(layers[-1]))
    return layers


def _kernel(theta: Tensor, moving: Sequence[Moving], layers: Sequence[Tensor], train: int) -> Tensor:
    """Return the tangent kernel of the net, (P outputs, N outputs), ordered (example, output)."""
    P, c = layers[-1].shape
    if P * train * c**2 > _ENTRIES:
        raise TheoryError(
            f"the kernel between {P} and {train} examples of {c} outputs has {P * train * c**2:.3g} numbers. Pass fewer "
            "examples or outputs."
        )
    slopes = torch.eye(c, dtype=theta.dtype).expand(P, c, c)  # of the outputs in those of a part
    total = torch.zeros(P, c, train, c, dtype=theta.dtype)
    for part, layer in zip(reversed(moving), reversed(layers[:-1]), strict=True):
        with torch.no_grad():
            total += _share(part.gram(layer, layer[:train]), slopes)
        slopes = torch.stack([part.pull_back(layer, slopes[:, i]) for i in range(c)], 1)
    return (total + _share(theta, slopes)).reshape(P * c, train * c)


def _share(gram: Tensor, slopes: Tensor) -> Tensor:
    """Return what training one part adds to the kernel, (P, outputs, N, outputs)."""
    P, N = gram.shape
    return torch.einsum("ij,iak,jbk->iajb", gram, slopes[:P], slopes[:N])


def _loss(loss: Loss, outputs: Tensor, targets: Tensor) -> tuple[float, Tensor]:
    """Return the loss and its slopes in the outputs."""
    if outputs.shape != targets.shape and loss == "mse":
        raise TheoryError(
            f"the net has {outputs.shape[1]} outputs and targets has {targets.shape[1]} per example. Pass a target for "
            "every output."
        )
    if loss == "mse":
        errors = outputs - targets
        return 0.5 * float(errors.square().sum()), errors
    if not callable(loss):
        raise TheoryError(f"loss={loss!r}: pass 'mse' or a function of outputs and targets.")
    at = outputs.clone().requires_grad_()
    with torch.enable_grad():
        value = loss(at, targets)
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
        raise TheoryError("loss gives no number with a gradient. Return a scalar tensor made of the outputs.")
    return float(value.detach()), torch.autograd.grad(value, at)[0]


def _check_outputs(
    F: Tensor, y: Tensor, before: Sequence[Tensor], step: int, lr: float, kernels: dict[int, Tensor]
) -> None:
    first = before[0] if before else F
    scale = max(float(first.abs().max()), float(y.abs().max()), 1.0)
    size = float(F.abs().max())
    if math.isfinite(size) and size <= _BOUND * scale:
        return
    if not before:
        raise TheoryError(f"outputs at the start reach {size:.3g}. Look at start and at the segments' own.")
    N = kernels[0].shape[1]
    top = float(torch.linalg.eigvalsh(kernels[0][:N])[-1])
    raise TheoryError(
        f"outputs left all bounds at step {step}: lr={lr:g} times the kernel's largest eigenvalue {top:.4g} was "
        f"{lr * top:.3g} at the start, where 2 is the limit, and the kernel grows in training. Pass a smaller lr, e.g. "
        f"{min(lr / 2, 0.5 / top):.2g}."
    )
