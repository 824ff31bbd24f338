"""Two random views of images: shifted, brighter or darker, with noise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from similitude.core.errors import TheoryError
from similitude.core.seeding import torch_generator
from similitude.theory.finite_width.given import number, whole


def image_views(
    images: Tensor, *, shift: int = 1, gain: float = 0.2, noise: float = 0.05, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Return two augmented views of the same images.

    Args:
        images: Shape (n, channels, height, width).
        shift: Largest shift in pixels in each direction; what comes in from outside is the image's smallest value.
        gain: Each view is multiplied by a number between 1 - gain and 1 + gain.
        noise: Standard deviation of Gaussian noise, in units of that of all pixels.
        seed: Of the augmentations.

    Returns:
        Two tensors of the images' shape.

    Raises:
        TheoryError: The shape does not fit, or a number is out of range.

    Example:
        >>> first, second = image_views(torch.rand(5, 1, 8, 8), noise=0.0, gain=0.0, shift=0)
        >>> torch.equal(first, second)
        True
    """
    if images.ndim != 4 or not len(images):
        raise TheoryError(f"images have shape {tuple(images.shape)}: pass (n, channels, height, width).")
    whole("shift", shift, least=0)
    number("gain", gain)
    spread = number("noise", noise) * float(images.std())
    drawn = torch_generator(seed, "image views")
    n, _, height, width = images.shape
    low = float(images.min())
    padded = functional.pad(images, (shift,) * 4, value=low)

    def view() -> Tensor:
        offsets = torch.randint(2 * shift + 1, (n, 2), generator=drawn).tolist()
        moved = torch.stack(
            [x[:, i : i + height, j : j + width] for x, (i, j) in zip(padded, offsets, strict=True)]
        )
        factors = 1 + gain * (2 * torch.rand(n, 1, 1, 1, generator=drawn) - 1)
        return moved * factors + spread * torch.randn(moved.shape, generator=drawn)

    return view(), view()
