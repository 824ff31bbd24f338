"""The reference experiments: real data, small networks, a minute each. `quickstart` and the claims run these."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import torch
from torch import nn

from similitude.core.errors import DataError
from similitude.data import ImageSet, load
from similitude.data.batches import ImageBatches, TextBatches
from similitude.models import GPT, MLP, ResMLP
from similitude.studies.experiment import Experiment, rates
from similitude.training.schedule import WarmupLinear

CLASSES = 10


def mlp(images: ImageSet | None = None) -> Experiment:
    """Return the MLP experiment: three hidden layers, Adam, widths 64 to 256, images with fresh noise.

    The noise keeps a small set from being memorised, so that the learning rate matters to the end. With 150 steps
    the optimum lies where the loss is curved, well inside the grid at every width and rule. Five seeds: with three a
    rounding error elsewhere decides whether the flat valley of the widest network is known within two octaves.

    Args:
        images: The data; scikit-learn's digits by default.
    """
    images = images or load("digits")
    return Experiment(
        name="mlp",
        make=functools.partial(make_mlp, inputs=int(np.prod(images.train_images.shape[1:]))),
        batches=ImageBatches(images, batch_size=128, noise=1.0),
        widths=(64, 128, 256),
        lrs=rates(2**-11, 2**-3.5, 16),
        steps=150,
        seeds=tuple(range(5)),
    )


def gpt() -> Experiment:
    """Return the GPT experiment: one block, Adam, widths 64 to 128, characters of a novel."""
    steps = 100
    batches = TextBatches(load("text"), batch_size=8, context=32, vocabulary=64)
    return Experiment(
        name="gpt",
        make=functools.partial(make_gpt, vocabulary=batches.vocabulary, context=batches.context),
        batches=batches,
        widths=(64, 96, 128),
        lrs=rates(2**-10, 2**-5, 6),
        steps=steps,
        schedule=WarmupLinear(steps, warmup=10),
    )


def gpt_long() -> Experiment:
    """Return the longer GPT experiment: one block, Adam, widths 64 to 512, balanced at width 64 before.

    The head's rate is a knob because the base as built trains its head too slowly: with 4 times the rate of the
    matrices the loss at width 64 falls by 0.1 nats (`experiments/LOG.md` has the sweep), and a plan carries the balance
    of its base to every width. The planned rule comes first, so that an interrupted run has the half that matters.
    """
    steps = 400
    batches = TextBatches(load("text"), batch_size=8, context=32, vocabulary=64, evaluate=256)
    return Experiment(
        name="gpt-long",
        make=functools.partial(make_gpt, vocabulary=batches.vocabulary, context=batches.context),
        batches=batches,
        widths=(64, 128, 256, 512),
        lrs=rates(2**-10, 2**-4, 7),
        rules=("mup", "sp"),
        steps=steps,
        schedule=WarmupLinear(steps, warmup=steps // 10),
        knobs={"head": {"lr": 4.0}},
    )


def resmlp() -> Experiment:
    """Return the depth experiment: residual blocks of one matrix, AdamW, depths 4 to 16, digits with fresh noise.

    One matrix per block is the case in which the theory of depth lets the learning rate transfer.
    """
    return Experiment(
        name="resmlp",
        make=make_resmlp,
        batches=ImageBatches(load("digits"), batch_size=64, noise=1.0),
        depths=(4, 8, 16),
        base={"width": 64},
        depth_rule=("sp", "depth_mup"),
        lrs=rates(2**-11, 2**-4, 15),
        optimizer=torch.optim.AdamW,
        steps=150,
    )


def make_mlp(width: int, *, inputs: int) -> nn.Module:
    """Return the MLP of one width, its head zero."""
    return MLP(inputs, CLASSES, width=width, depth=3, zero_head=True)


def make_resmlp(width: int, depth: int) -> nn.Module:
    """Return the residual network of one width and depth on the digits' 64 pixels, its head zero."""
    return ResMLP(64, CLASSES, width=width, depth=depth, zero_head=True)


def make_gpt(width: int, *, vocabulary: int, context: int) -> nn.Module:
    """Return the GPT of one width, its head zero; heads of 16 dimensions, more of them as it grows."""
    return GPT(vocabulary, context, width=width, depth=1, head_dim=16, zero_head=True)


def images_of(name: str) -> ImageSet:
    """Load an image set; those larger than 16 x 16 pixels at half their resolution, to keep the minute."""
    images = load(name)
    if not isinstance(images, ImageSet):
        raise DataError(
            f"'{name}' is a text, and the MLP learns images. `similitude data list` has the image sets."
        )
    height, width = images.train_images.shape[1:3]
    return images if max(height, width) <= 16 else halved(images)


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
