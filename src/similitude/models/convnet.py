"""A plain convolutional network: 3x3 convolutions of one width, global average pooling, a linear head."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from similitude.models.dials import check_counts, zero_
from similitude.models.norms import image_norm


class ConvLayer(nn.Module):
    """Convolution 3x3, normalization and ReLU; the normalization's shift replaces the convolution's bias."""

    def __init__(self, in_channels: int, width: int, *, stride: int, norm: str | None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=norm is None)
        self.norm = image_norm("ConvNet", norm, width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map feature maps (B, in_channels, H, W) to (B, width, ceil(H / stride), ceil(W / stride))."""
        return F.relu(self.norm(self.conv(x)))


class ConvNet(nn.Module):
    """Convolutional classifier with `depth` layers of `width` channels, for images of any size.

    The first layer keeps the image's size and each later one halves it. Parameters are `layers.<i>.conv.*`,
    `layers.<i>.norm.*` and `head.*`.

    Args:
        in_channels: Channels of the image.
        classes: Numbers per output.
        width: Channels per layer.
        depth: Convolutions, at least 1.
        norm: "layer" (over channels and space of one image), "batch", or None. Under `torch.func.vmap`,
            "batch" needs its buffers stacked and passed like the parameters, since training updates them in
            place.
        zero_head: Whether the head starts at zero.

    Raises:
        ModelError: A size is not a positive integer, or the norm is unknown.

    Example:
        >>> sum(p.numel() for p in ConvNet(1, 10, width=8, depth=2, norm=None).parameters())
        754
        >>> (1 * 9 + 1) * 8 + (8 * 9 + 1) * 8 + (8 + 1) * 10
        754
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        width: int,
        depth: int = 3,
        norm: Literal["batch", "layer"] | None = "layer",
        zero_head: bool = False,
    ) -> None:
        super().__init__()
        check_counts("ConvNet", in_channels=in_channels, classes=classes, width=width, depth=depth)
        self.layers = nn.ModuleList(
            ConvLayer(in_channels if i == 0 else width, width, stride=1 if i == 0 else 2, norm=norm)
            for i in range(depth)
        )
        self.head = nn.Linear(width, classes)
        if zero_head:
            zero_(self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, in_channels, H, W) to outputs (B, classes)."""
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean((-2, -1)))
