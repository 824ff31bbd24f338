"""Random features that are a user's own networks: the outputs of copies with fresh weights, on the whole pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from similitude.core.errors import StudyError
from similitude.core.seeding import derive
from similitude.studies.kernel_regressions import Array, Features


def network_features(build: Callable[[int], nn.Module], x: Any, *, seed: int = 0) -> Features:
    """Return random features whose kernel, for endlessly many, is the covariance of the network's output.

    Copies of a draw are kept, so that more of them begin with those that there were.

    Args:
        build: A function of a seed that returns the network with fresh weights.
        x: Inputs of the pool, samples along the first axis.
        seed: Seed of all weights.
    """
    known: dict[int, list[Array]] = {}

    def features(count: int, draw: int) -> Array:
        columns = known.setdefault(draw, [])
        while len(columns) < count:
            columns.append(_output(build(derive(seed, "copy", draw, len(columns)) % 2**31), x))
        return np.stack(columns[:count], axis=1)

    return features


def _output(model: nn.Module, x: Any) -> Array:
    """Return the first output of every sample."""
    first = next(model.parameters(), None)
    with torch.no_grad():
        values = model(x.to(first.dtype) if first is not None and x.is_floating_point() else x)
    if not isinstance(values, Tensor) or values.ndim not in (1, 2):
        shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise StudyError(
            f"the network returns {shape}: random features are outputs of shape (samples,) or (samples, outputs). Take "
            "features from the kernel instead."
        )
    return values.reshape(len(values), -1)[:, 0].double().numpy()
