"""A pre-activation residual network for small images: x + conv(act(norm(conv(act(norm(x))))))."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from similitude.models.dials import check_counts, zero_
from similitude.models.norms import image_norm

STAGES = 3


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each after normalization and ReLU, added to the input or its 1x1 projection."""

    def __init__(
        self, in_channels: int, channels: int, *, stride: int, norm: str | None, channels_per_group: int
    ) -> None:
        super().__init__()
        bias = norm is None
        self.norm1 = image_norm("ResNet", norm, in_channels, channels_per_group)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=bias)
        self.norm2 = image_norm("ResNet", norm, channels, channels_per_group)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.project = (
            nn.Conv2d(in_channels, channels, 1, stride=stride, bias=bias) if in_channels != channels else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map feature maps (B, in_channels, H, W) to (B, channels, H / stride, W / stride)."""
        y = F.relu(self.norm1(x))
        shortcut = x if self.project is None else self.project(y)
        return shortcut + self.conv2(F.relu(self.norm2(self.conv1(y))))


class ResNet(nn.Module):
    """Residual classifier with three stages of 1, 2 and 4 times `width` channels, `depth` blocks each.

    Each stage after the first halves the image. Parameters are `stem.weight`, `stages.<s>.<b>.*`, `norm.*`
    and `head.*`: the width changes shapes alone, the depth adds blocks at the end of each stage alone. It has
    6 depth + 2 layers, so that depth 3 is the 20-layer network of He et al. (2016) with pre-activations.

    Args:
        in_channels: Channels of the image.
        classes: Numbers per output.
        width: Channels of the first stage; a multiple of `channels_per_group` under "group".
        depth: Blocks per stage, at least 1.
        norm: "group" (a group's size stays fixed while the width grows), "batch", "layer", or None. Under
            `torch.func.vmap`, "batch" needs its buffers stacked and passed like the parameters.
        channels_per_group: Channels per group under "group".
        zero_head: Whether the head starts at zero.

    Raises:
        ModelError: A size is not a positive integer, the norm is unknown, or the groups do not divide the
            width.

    Source: He et al. (2016), Identity Mappings in Deep Residual Networks (arXiv 1603.05027), section 3.2.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        width: int,
        depth: int = 2,
        norm: Literal["group", "batch", "layer"] | None = "group",
        channels_per_group: int = 8,
        zero_head: bool = False,
    ) -> None:
        super().__init__()
        check_counts(
            "ResNet",
            in_channels=in_channels,
            classes=classes,
            width=width,
            depth=depth,
            channels_per_group=channels_per_group,
        )
        self.stem = nn.Conv2d(in_channels, width, 3, padding=1, bias=norm is None)
        self.stages = nn.ModuleList()
        channels = width
        for s in range(STAGES):
            blocks = nn.ModuleList()
            for b in range(depth):
                first = s > 0 and b == 0
                blocks.append(
                    BasicBlock(
                        channels,
                        channels * 2 if first else channels,
                        stride=2 if first else 1,
                        norm=norm,
                        channels_per_group=channels_per_group,
                    )
                )
                channels = channels * 2 if first else channels
            self.stages.append(blocks)
        self.norm = image_norm("ResNet", norm, channels, channels_per_group)
        self.head = nn.Linear(channels, classes)
        if zero_head:
            zero_(self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, in_channels, H, W) to outputs (B, classes)."""
        x = self.stem(x)
        for stage in self.stages:
            for block in stage:  # type: ignore[union-attr]
                x = block(x)
        return self.head(F.relu(self.norm(x)).mean((-2, -1)))
