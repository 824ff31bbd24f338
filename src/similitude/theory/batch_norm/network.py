"""The construction of paper 3: orthogonal weights, batch norm, shaped activations, in linear or convolutional layers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import torch_generator
from similitude.theory.batch_norm.orthogonal import Kernel, orthogonal_
from similitude.theory.batch_norm.rank import Weights
from similitude.theory.batch_norm.shaping import Activation, ShapedActivation
from similitude.theory.finite_width.given import whole


class RowNorm(nn.Module):
    """Batch norm without parameters or running averages: every feature over its root mean square in the batch.

    Args:
        centred: Remove the mean of every feature first, as `torch.nn.BatchNorm1d` does; the theory leaves it.

    Example:
        >>> RowNorm()(torch.tensor([[3.0, 1.0], [-3.0, 1.0]])).tolist()
        [[1.0, 1.0], [-1.0, 1.0]]
    """

    def __init__(self, *, centred: bool = False) -> None:
        super().__init__()
        self.centred = centred

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised batch, of the shape (samples, features, ...) that is given."""
        others = (0, *range(2, x.ndim))
        if self.centred:
            x = x - x.mean(others, keepdim=True)
        # the smallest normal number: a feature that is 0 stays 0
        return x * (x.square().mean(others, keepdim=True) + torch.finfo(x.dtype).tiny).rsqrt()

    def extra_repr(self) -> str:
        """Show whether means are removed."""
        return f"centred={self.centred}"


@cites(3, "the construction: orthogonal weights and batch norm")
def batch_norm_net(
    inputs: int,
    outputs: int,
    *,
    width: int,
    depth: int,
    weights: Weights = "orthogonal",
    activation: Activation | None = None,
    exponent: float = 0.4,
    centred: bool = False,
    convolution: int | None = None,
    kernel: Kernel = "centre",
    seed: int = 0,
    dtype: torch.dtype | None = None,
) -> nn.Sequential:
    """Build a network of layers W, batch norm, activation, and a last linear layer.

    Args:
        inputs: Features, or channels, of the inputs.
        outputs: Of the network.
        width: Features, or channels, of all hidden layers.
        depth: Hidden layers; the last linear layer comes on top.
        weights: "orthogonal", or "gaussian" with variance 1 / fan-in.
        activation: Entrywise; None for linear layers, as in the theory.
        exponent: k of gains l^-k of the activation; 0 where no gain is wanted.
        centred: Whether batch norm removes the mean.
        convolution: Size of kernels, odd, with circular padding; None for linear layers. Images are averaged before the
            last layer.
        kernel: How kernels are orthogonal, see `orthogonal_`.
        seed: Of the weights.
        dtype: Of the weights.

    Raises:
        TheoryError: A number is out of range, or shaping has no effect on the activation.

    Example:
        >>> net = batch_norm_net(8, 3, width=8, depth=2)
        >>> [type(layer).__name__ for layer in net], net(torch.randn(16, 8)).shape
        (['Linear', 'RowNorm', 'Linear', 'RowNorm', 'Linear'], torch.Size([16, 3]))
    """
    sizes = [whole("inputs", inputs), *[whole("width", width)] * whole("depth", depth)]
    if convolution is not None and whole("convolution", convolution) % 2 == 0:
        raise TheoryError(f"convolution={convolution}: kernels of even size move the image. Pass an odd one.")
    layers: list[nn.Module] = []
    for layer in range(1, depth + 1):
        a, b = sizes[layer - 1], sizes[layer]
        if convolution is None:
            made = nn.utils.skip_init(nn.Linear, a, b, bias=False, dtype=dtype)
        else:
            made = nn.utils.skip_init(
                nn.Conv2d,
                a,
                b,
                convolution,
                padding=convolution // 2,
                padding_mode="circular",
                bias=False,
                dtype=dtype,
            )
        layers += [made, RowNorm(centred=centred)]
        if activation is not None:
            layers.append(ShapedActivation(activation, layer=layer, exponent=exponent))
    if convolution is not None:
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers.append(nn.utils.skip_init(nn.Linear, width, whole("outputs", outputs), bias=False, dtype=dtype))
    net = nn.Sequential(*layers)
    if weights == "orthogonal":
        return orthogonal_(net, kernel=kernel, seed=seed)
    if weights != "gaussian":
        raise TheoryError(f"weights={weights!r}: choose 'orthogonal' or 'gaussian'.")
    with torch.no_grad():
        for name, weight in net.named_parameters():
            drawn = torch.randn(weight.shape, generator=torch_generator(seed, name), dtype=torch.float64)
            weight.copy_(drawn / math.sqrt(weight[0].numel()))
    return net
