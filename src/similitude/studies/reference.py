"""The reference experiments: real data, small networks, a minute each. `quickstart` and the claims run these."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from torch import nn

from similitude.core.errors import DataError
from similitude.data import ImageSet, load
from similitude.data.batches import ImageBatches, TextBatches
from similitude.models import GPT, MLP
from similitude.studies.experiment import Experiment, rates
from similitude.training.schedule import WarmupLinear

CLASSES = 10


def mlp(images: ImageSet | None = None) -> Experiment:
    """Return the MLP experiment: three hidden layers, Adam, widths 64 to 256, images with fresh noise.

    The noise keeps the few images of the smaller set from being memorised, so that the learning rate matters.

    Args:
        images: The data; by default Fashion-MNIST where its package is installed, else scikit-learn's digits.
    """
    images = images or default_images()
    return Experiment(
        name="mlp",
        make=functools.partial(make_mlp, inputs=int(np.prod(images.train_images.shape[1:]))),
        batches=ImageBatches(images, batch_size=128, noise=1.0),
        widths=(64, 128, 256),
        lrs=rates(2**-11, 2**-4, 8),
        steps=150,
    )


def gpt() -> Experiment:
    """Return the GPT experiment: two blocks, Adam, widths 64 to 128, characters of a novel."""
    steps = 100
    batches = TextBatches(load("text"), batch_size=8, context=32, vocabulary=64)
    return Experiment(
        name="gpt",
        make=functools.partial(make_gpt, vocabulary=batches.vocabulary, context=batches.context),
        batches=batches,
        widths=(64, 96, 128),
        lrs=rates(2**-11, 2**-5, 7),
        steps=steps,
        schedule=WarmupLinear(steps, warmup=10),
    )


def make_mlp(width: int, *, inputs: int) -> nn.Module:
    """Return the MLP of one width, its head zero."""
    return MLP(inputs, CLASSES, width=width, depth=3, zero_head=True)


def make_gpt(width: int, *, vocabulary: int, context: int) -> nn.Module:
    """Return the GPT of one width, its head zero; heads of 16 dimensions, more of them as it grows."""
    return GPT(vocabulary, context, width=width, depth=2, head_dim=16, zero_head=True)


def default_images() -> ImageSet:
    """Return Fashion-MNIST at half its resolution where its package is installed, else scikit-learn's digits."""
    try:
        return halved(load("fashion-mnist"))
    except DataError:
        return load("digits")


def halved(images: ImageSet) -> ImageSet:
    """Average 2 x 2 pixels: a quarter of the inputs, most of the picture."""

    def pool(x: np.ndarray) -> np.ndarray:
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4)).round().astype(np.uint8)

    return dataclasses.replace(
        images,
        name=f"{images.name} at half resolution",
        train_images=pool(images.train_images),
        test_images=pool(images.test_images),
    )
