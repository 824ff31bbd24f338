"""Randomness from named seeds: the library never leaves a global generator changed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive(seed: int, *labels: object) -> int:
    """Derive the seed of one purpose from a run's seed, so that two purposes never share a stream.

    Args:
        seed: The run's seed, any integer.
        labels: What the new seed is for; each is used by its `str`.

    Returns:
        An integer in [0, 2**63), the same on every machine.

    Example:
        >>> derive(0, "init") == derive(0, "init"), derive(0, "init") == derive(0, "data")
        (True, False)
    """
    text = "\x1f".join([str(int(seed)), *map(str, labels)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(seed: int, *labels: object) -> torch.Generator:
    """Return a CPU `torch.Generator` seeded for one purpose."""
    return torch.Generator().manual_seed(derive(seed, *labels))


def numpy_generator(seed: int, *labels: object) -> np.random.Generator:
    """Return a NumPy generator seeded for one purpose."""
    return np.random.default_rng(derive(seed, *labels))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run code that draws from the global generators (a user's factory) under a seed, then restore them.

    torch (CPU), NumPy's legacy generator and `random` are seeded with `seed` and restored on exit.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        if torch.accelerator.is_available():
            torch.manual_seed(seed)
        else:  # of devices that are not there it would remember the seed with the whole call stack, which takes longer
            torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
