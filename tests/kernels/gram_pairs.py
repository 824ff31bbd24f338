"""Pair functions that Gram matrices are tested with: closed forms that need no network."""

import os
import signal
from pathlib import Path

import torch


def relu_pair(x1, x2=None):
    """The ReLU net of one hidden layer, weight variance 2 and 1, without biases, in closed form."""
    symmetric, x2 = x2 is None, x1 if x2 is None else x2
    k = 2 * x1 @ x2.T / x1.shape[1]
    scale = torch.outer(2 * x1.square().mean(1), 2 * x2.square().mean(1)).sqrt()
    angle = (k / scale).clamp(-1, 1).acos()
    if symmetric:
        angle.fill_diagonal_(0.0)  # acos of a rounded 1 is wrong by 1e-8
    image = scale / (2 * torch.pi) * (angle.sin() + (torch.pi - angle) * angle.cos())
    return {"nngp": image, "ntk": image + k * (torch.pi - angle) / (2 * torch.pi)}


class Counting:
    """A pair function that counts its calls, and what they were asked for."""

    def __init__(self):
        self.calls = []

    def __call__(self, x1, x2=None):
        self.calls.append((len(x1), None if x2 is None else len(x2)))
        return relu_pair(x1, x2)


class Dying:
    """A pair function that kills its process, without warning, at its call number `last`."""

    def __init__(self, last):
        self.last, self.calls = last, 0

    def __call__(self, x1, x2=None):
        self.calls += 1
        if self.calls == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        return relu_pair(x1, x2)


def fill(folder: Path, *, last: int) -> None:
    """Compute Gram matrices into a folder in a process that dies on the way; run by a test in a child process."""
    from similitude.kernels import gram_store
    from similitude.kernels.grams import gram_matrices

    gram_store._SYNC_SECONDS = 0.0  # of this child alone
    gram_matrices(Dying(last), samples(), side=5, folder=folder, identity={"kernel": "relu"})


def samples(n=23, d=6, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
