"""The studies of Super Consistency over widths that the claims of paper 2 are about, each run once per process."""

from __future__ import annotations

import functools
import tempfile

from similitude.claims.cores import engine_here
from similitude.data import load
from similitude.data.batches import ImageBatches
from similitude.studies.consistency import consistency
from similitude.studies.consistency_nets import make_convnet, make_mlp
from similitude.studies.consistency_records import Consistency
from similitude.training.losses import squared_error_of_classes


@functools.cache
def mlp_study(*, full: bool = False) -> Consistency:
    """Train tanh MLPs of several widths by full-batch gradient descent under muP and NTP, three seeds each.

    Args:
        full: Up to width 1024; else to 512.
    """
    with tempfile.TemporaryDirectory() as folder:
        return consistency(
            make_mlp,
            ImageBatches(load("digits"), batch_size=256),
            widths=(64, 128, 256, 512, 1024) if full else (64, 128, 256, 512),
            loss=squared_error_of_classes,
            top=0,
            storage=folder,
            engine=engine_here(),
        )


@functools.cache
def convnet_study() -> Consistency:
    """Train networks of two convolutions of 8 to 64 channels likewise, on a batch of 64 digits."""
    with tempfile.TemporaryDirectory() as folder:
        return consistency(
            make_convnet,
            ImageBatches(load("digits"), batch_size=64),
            widths=(8, 16, 32, 64),
            loss=squared_error_of_classes,
            steps=150,
            top=0,
            storage=folder,
            engine=engine_here(),
        )
