"""A vision transformer: patch embedding, class token, pre-norm blocks, a linear head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from similitude.models.dials import ModelError, check_counts, check_divides, zero_
from similitude.models.transformer import Block


class ViT(nn.Module):
    """Image classifier that reads an image as a sequence of square patches and answers at a class token.

    Parameters are `embed.*`, `class_token`, `positions.weight`, `blocks.<i>.*`, `norm.*` and `head.*`: the
    width changes shapes alone, the depth adds `blocks.<i>` alone. The class token starts standard normal, as
    torch's embeddings do.

    Args:
        image_size: Height and width of the image, a multiple of `patch`.
        in_channels: Channels of the image.
        classes: Numbers per output.
        patch: Height and width of a patch.
        width: Numbers per token; a multiple of `head_dim`.
        depth: Blocks, at least 1.
        head_dim: Numbers per attention head, fixed while the width grows.
        zero_head: Whether the head starts at zero.

    Raises:
        ModelError: A size is not a positive integer, or the patches or heads do not divide what they divide.

    Example:
        >>> ViT(8, 1, 10, patch=4, width=32)(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        image_size: int,
        in_channels: int,
        classes: int,
        *,
        patch: int,
        width: int,
        depth: int = 2,
        head_dim: int = 16,
        zero_head: bool = False,
    ) -> None:
        super().__init__()
        check_counts(
            "ViT",
            image_size=image_size,
            in_channels=in_channels,
            classes=classes,
            patch=patch,
            width=width,
            depth=depth,
            head_dim=head_dim,
        )
        check_divides("ViT", "image_size", image_size, "patch", patch, "patches per side")
        check_divides("ViT", "width", width, "head_dim", head_dim, "heads")
        self.image_shape = (in_channels, image_size, image_size)
        self.patch = patch
        patches = (image_size // patch) ** 2
        self.embed = nn.Linear(in_channels * patch * patch, width)
        self.class_token = nn.Parameter(torch.empty(width))
        nn.init.normal_(self.class_token)
        self.positions = nn.Embedding(patches + 1, width)
        self.blocks = nn.ModuleList(Block(width, head_dim, causal=False) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        if zero_head:
            zero_(self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, in_channels, image_size, image_size) to outputs (B, classes).

        Raises:
            ModelError: The images have another shape.
        """
        if tuple(x.shape[1:]) != self.image_shape:
            raise ModelError(
                f"ViT.forward: images have shape {tuple(x.shape[1:])} but the model was built for "
                f"{self.image_shape} (channels, height, width). Resize the images, or build the "
                "model for them."
            )
        p = self.patch
        grid = x.unflatten(-1, (-1, p)).unflatten(-3, (-1, p))  # (B, C, rows, p, columns, p)
        tokens = self.embed(grid.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2))
        first = self.class_token.expand(len(tokens), 1, -1)
        x = torch.cat([first, tokens], 1)
        x = x + self.positions(torch.arange(x.shape[1], device=x.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, 0]))
