"""A residual multilayer perceptron whose blocks have one matrix or two: the network of the theory of depth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from similitude.models.dials import ModelError, check_counts, zero_

ResActivation = Literal["relu", "gelu", "silu", "tanh", "abs", "linear"]
Block = Literal["act_last", "act_first", "two_layers"]

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
    "abs": torch.abs,
    "linear": lambda x: x,
}
_BLOCKS = ("act_last", "act_first", "two_layers")


class ResBlock(nn.Module):
    """One branch and its addition to the stream; see `ResMLP` for the forms.

    Args:
        width: Units of the stream.
        activation: Name of the nonlinearity.
        block: Form of the branch.
        center: Whether the branch's mean over the units is subtracted.
        branch: Number that the branch is multiplied by.
    """

    def __init__(
        self, width: int, *, activation: ResActivation, block: Block, center: bool, branch: float
    ) -> None:
        super().__init__()
        self.activation, self.block, self.center, self.branch = activation, block, center, branch
        self.inner = _gaussian(width, width) if block == "two_layers" else None
        self.linear = _gaussian(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map the stream (B, width) to the stream (B, width)."""
        act = _ACTIVATIONS[self.activation]
        if self.block == "act_last":
            y = act(self.linear(x))
        else:
            y = self.linear(act(x if self.inner is None else self.inner(x)))
        if self.center:
            y = y - y.mean(-1, keepdim=True)
        return x + (y if self.branch == 1.0 else self.branch * y)


class ResMLP(nn.Module):
    """Residual network on vectors: a stem, `depth` branches on a stream of `width` units, and a head.

    Matrices are Gaussian of variance 1 / fan-in, and nothing is normalized. So at `branch=1` the stream grows as
    (1 + v)^(depth / 2), v the mean square of a branch relative to that of its input: let a depth rule scale it, or pass
    `branch=depth**-0.5`. Parameters are `stem.weight`, `blocks.<i>.linear.weight`, in blocks of two layers
    `blocks.<i>.inner.weight`, `head.weight` and `head.bias`: the width changes shapes alone, the depth adds blocks alone.

    Args:
        in_features: Numbers per example; an input of any shape (B, ...) with this many is flattened.
        out_features: Numbers per output, e.g. classes.
        width: Units of the stream.
        depth: Branches, at least 1.
        activation: Nonlinearity phi; "linear" is none.
        block: "act_last" for x + phi(W x), whose layers learn as differently as phi allows; "act_first" for
            x + W phi(x); "two_layers" for x + W phi(W' x).
        center: Whether a branch's mean over the units is subtracted, so that it does not pile up under a nonlinearity
            that is not odd.
        branch: Number that every branch is multiplied by.
        zero_head: Whether the head starts at zero.

    Raises:
        ModelError: A size is not a positive integer, or the activation or the block is unknown.

    Example:
        >>> sum(p.numel() for p in ResMLP(64, 10, width=32, depth=2).parameters()) == 64 * 32 + 2 * 32**2 + 33 * 10
        True

    Source: paper 13 (arXiv 2310.02244), equation 1, with "act_last" and `center`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        width: int,
        depth: int = 4,
        activation: ResActivation = "relu",
        block: Block = "act_last",
        center: bool = True,
        branch: float = 1.0,
        zero_head: bool = False,
    ) -> None:
        super().__init__()
        check_counts("ResMLP", in_features=in_features, out_features=out_features, width=width, depth=depth)
        for name, value, known in (
            ("activation", activation, tuple(_ACTIVATIONS)),
            ("block", block, _BLOCKS),
        ):
            if value not in known:
                raise ModelError(
                    f"ResMLP({name}={value!r}): not one of {', '.join(known)}. Pass one of these names."
                )
        self.stem = _gaussian(in_features, width)
        self.blocks = nn.ModuleList(
            ResBlock(width, activation=activation, block=block, center=center, branch=branch)
            for _ in range(depth)
        )
        self.head = nn.Linear(width, out_features)
        if zero_head:
            zero_(self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (B, ...) with `in_features` numbers per example to outputs (B, out_features)."""
        x = self.stem(x.flatten(1))
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def _gaussian(fan_in: int, fan_out: int) -> nn.Linear:
    layer = nn.Linear(fan_in, fan_out, bias=False)
    nn.init.normal_(layer.weight, std=fan_in**-0.5)
    return layer
