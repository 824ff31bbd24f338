"""A multilayer perceptron: x -> W_L act(W_{L-1} ... act(W_1 x)), all hidden layers of one width."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from similitude.models.dials import ModelError, check_counts, zero_

Activation = Literal["relu", "gelu", "silu", "tanh", "linear"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "linear": nn.Identity,
}


class MLP(nn.Module):
    """Fully connected network with `depth` hidden layers of `width` units, in torch's default initialization.

    Parameters are `hidden.<i>.weight`, `hidden.<i>.bias`, `head.weight` and `head.bias`: the width changes
    their shapes alone, the depth adds `hidden.<i>` alone.

    Args:
        in_features: Numbers per example; an input of any shape (B, ...) with this many is flattened.
        out_features: Numbers per output, e.g. classes.
        width: Units per hidden layer.
        depth: Hidden layers, at least 1.
        activation: Nonlinearity after every hidden layer; "linear" is none, which gives a deep linear
            network.
        bias: Whether the layers have biases, the head included.
        zero_head: Whether the head starts at zero.

    Raises:
        ModelError: A size is not a positive integer, or the activation is unknown.

    Example:
        >>> sum(p.numel() for p in MLP(64, 10, width=32, depth=2).parameters())
        3466
        >>> (64 + 1) * 32 + (32 + 1) * 32 + (32 + 1) * 10
        3466
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        width: int,
        depth: int = 3,
        activation: Activation = "relu",
        bias: bool = True,
        zero_head: bool = False,
    ) -> None:
        super().__init__()
        check_counts("MLP", in_features=in_features, out_features=out_features, width=width, depth=depth)
        if activation not in _ACTIVATIONS:
            raise ModelError(
                f"MLP(activation={activation!r}): not one of {', '.join(_ACTIVATIONS)}. "
                "Pass one of these names."
            )
        self.hidden = nn.ModuleList(
            nn.Linear(in_features if i == 0 else width, width, bias=bias) for i in range(depth)
        )
        self.activation = _ACTIVATIONS[activation]()
        self.head = nn.Linear(width, out_features, bias=bias)
        if zero_head:
            zero_(self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (B, ...) with `in_features` numbers per example to outputs (B, out_features)."""
        x = x.flatten(1)
        for layer in self.hidden:
            x = self.activation(layer(x))
        return self.head(x)
