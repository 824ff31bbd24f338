"""The studies of Super Consistency over widths that the claims of paper 2 are about, each run once per process."""

from __future__ import annotations

import functools
import tempfile

from similitude.data import load
from similitude.data.batches import ImageBatches
from similitude.runs.pool import ProcessPool
from similitude.studies.consistency import consistency
from similitude.studies.consistency_nets import make_convnet, make_mlp
from similitude.studies.consistency_records import Consistency
from similitude.training.losses import squared_error_of_classes

MLP_LR = 90.0
"""Learning rate of `make_mlp`: 1.4 times 8^2, about half of the largest stable one at width 64."""


@functools.cache
def mlp_study() -> Consistency:
    """Train tanh MLPs of widths 64 to 1024 by full-batch gradient descent under muP and NTP, three seeds each."""
    with tempfile.TemporaryDirectory() as folder:
        return consistency(
            make_mlp,
            ImageBatches(load("digits"), batch_size=256),
            widths=(64, 128, 256, 512, 1024),
            lr=MLP_LR,
            loss=squared_error_of_classes,
            top=1,
            storage=folder,
            engine=ProcessPool(workers=2),
        )


@functools.cache
def convnet_study() -> Consistency:
    """Train networks of two convolutions of 8 to 64 channels likewise, on a batch of 128 digits."""
    with tempfile.TemporaryDirectory() as folder:
        return consistency(
            make_convnet,
            ImageBatches(load("digits"), batch_size=128),
            widths=(8, 16, 32, 64),
            loss=squared_error_of_classes,
            steps=200,
            top=1,
            storage=folder,
            engine=ProcessPool(workers=2),
        )
