"""Encoders and augmented digits for the claims of paper 11."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from similitude.core.seeding import torch_generator
from similitude.theory.joint_embedding.views import image_views

GAIN = 1.5  # of the weights, about what keeps the size of activations through tanh
READOUT = 1e-3  # entries of the last layer: embeddings start small


class Encoder(nn.Module):
    """An MLP of two hidden layers in the NTK parametrization, with a last layer that starts small.

    Args:
        features: Inputs.
        width: Of the hidden layers.
        dim: Embedding dimensions.
        readout: Standard deviation of the last layer's entries.
        sphere: Bring embeddings to length 1: "spread" as they are, which leaves no small scale, or "near" one point, by a
            constant 1 beside them (a further dimension), as those of deep networks start.
        seed: Of the initialization.
    """

    def __init__(
        self,
        features: int,
        width: int,
        dim: int,
        *,
        readout: float = READOUT,
        sphere: Literal["spread", "near"] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        drawn = torch_generator(seed, "encoder", width)
        shapes = ((width, features), (width, width), (dim, width))
        scales = (1.0, 1.0, readout)
        self.layers = nn.ParameterList(
            nn.Parameter(s * torch.randn(shape, generator=drawn))
            for s, shape in zip(scales, shapes, strict=True)
        )
        self.sphere = sphere

    def hidden(self, x: Tensor) -> Tensor:
        """Return the features that the last layer reads, divided by the root of the width, shape (n, width)."""
        for weight in list(self.layers)[:-1]:
            x = torch.tanh(GAIN * (x @ weight.T) / math.sqrt(weight.shape[1]))
        return x / math.sqrt(x.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        """Return embeddings, shape (n, dim)."""
        embedded = self.hidden(x) @ self.layers[-1].T
        if self.sphere is None:
            return embedded
        beside = functional.pad(embedded, (0, 1), value=1.0) if self.sphere == "near" else embedded
        return functional.normalize(beside, dim=1)


def digit_pairs(samples: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return two augmented views of digits, shifted by up to one pixel, brighter or darker, noisy.

    Args:
        samples: Images.
        seed: Of the augmentations.

    Returns:
        Two arrays of shape (samples, 64), of mean 0 over both and of root mean square 1: odd activations then have no
        constant mode, which would be learned fifty times earlier than the others.
    """
    images = torch.tensor(load_digits(return_X_y=True)[0][:samples], dtype=torch.float32) / 16
    views = image_views(images.reshape(-1, 1, 8, 8), seed=seed)
    both = torch.cat(views).flatten(1).double().numpy()
    both = both - both.mean(0)
    first, second = np.split(both / math.sqrt((both**2).mean()), 2)
    return first, second
