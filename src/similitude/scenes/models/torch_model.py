"""Modules of torch as models of pictures: size, normalisation, inference without gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from similitude.core.errors import SceneError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of the colours of ImageNet, sRGB from 0 to 1 (as torchvision and timm have it)."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""Their standard deviation."""

RESOLUTION = 224
"""Rows and columns that most classifiers were trained with."""


class TorchModel:
    """A module of torch that is given normalised pictures of one size.

    Args:
        module: Takes float32 of shape (N, 3, R, R), returns a tensor, or an object with `logits`.
        name: Its name in rows.
        names: Names of its classes; empty where they only have numbers.
        resolution: R; None to leave pictures as they are.
        mean: What is subtracted from colours from 0 to 1.
        std: What they are divided by.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        name: str,
        *,
        names: Sequence[str] = (),
        resolution: int | None = RESOLUTION,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        self.module = module.eval()
        self.name = name
        self.names = tuple(names)
        self.resolution = resolution
        self.mean = torch.tensor(mean, dtype=torch.float32)[:, None, None]
        self.std = torch.tensor(std, dtype=torch.float32)[:, None, None]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the module's answers to sRGB pictures from 0 to 1, shape (N, H, W, 3).

        Raises:
            SceneError: What the module returns is no tensor with a row per picture.
        """
        first = next(self.module.parameters(), self.mean)
        with torch.inference_mode():
            x = torch.from_numpy(np.ascontiguousarray(images, np.float32)).permute(0, 3, 1, 2)
            if self.resolution is not None and x.shape[-2:] != (self.resolution,) * 2:
                size = (self.resolution, self.resolution)
                x = torch.nn.functional.interpolate(x, size, mode="bilinear", antialias=True).clamp(0, 1)
            x = ((x - self.mean) / self.std).to(first.device, first.dtype)
            answers = self.module(x.contiguous(memory_format=torch.channels_last))
        answers = getattr(answers, "logits", answers)
        if not isinstance(answers, torch.Tensor) or answers.shape[:1] != (len(images),):
            what = tuple(answers.shape) if isinstance(answers, torch.Tensor) else type(answers).__name__
            raise SceneError(
                f"model '{self.name}' gave {what} for {len(images)} pictures; a tensor with a row per picture is "
                "wanted. Wrap it in a function of a batch."
            )
        return answers.float().cpu().numpy()


class TorchDetector:
    """A module that finds objects as those of torchvision do: a list of pictures in, dicts of boxes out.

    Args:
        module: Takes a list of float32 (3, H, W) from 0 to 1; in evaluation it returns for each "boxes" (x0, y0, x1,
            y1 in pixels), "labels" and "scores".
        name: Its name in rows.
        names: Names of its classes.
    """

    def __init__(self, module: torch.nn.Module, name: str, *, names: Sequence[str] = ()) -> None:
        self.module = module.eval()
        self.name = name
        self.names = tuple(names)

    def __call__(self, images: np.ndarray) -> list[Any]:
        """Return what is found in sRGB pictures from 0 to 1, shape (N, H, W, 3)."""
        device = next(self.module.parameters(), torch.zeros(0)).device
        with torch.inference_mode():
            x = torch.from_numpy(np.ascontiguousarray(images, np.float32)).permute(0, 3, 1, 2).to(device)
            return list(self.module(list(x)))
