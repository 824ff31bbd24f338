"""Gram blocks that predictions are tested with, and slow integrations that they are compared to."""

import torch

from similitude.kernels.train_test import TrainTest
from tests.kernels.gram_pairs import relu_pair, samples


def blocks(n=12, m=5, *, test=True, seed=0):
    """Both kernels of a ReLU net between n training and m test samples: {"nngp": TrainTest, "ntk": TrainTest}."""
    x, x_test = samples(n, seed=seed), samples(m, seed=seed + 100)
    train, cross, own = relu_pair(x), relu_pair(x_test, x), relu_pair(x_test)
    return {
        name: TrainTest(train[name], cross[name], own[name] if test else None, name=name) for name in train
    }


def targets(n=12, c=2, *, seed=0):
    return torch.randn(n, c, generator=torch.Generator().manual_seed(seed + 7), dtype=torch.float64)


def labels(n=12, c=3, *, seed=0):
    return torch.randint(0, c, (n,), generator=torch.Generator().manual_seed(seed + 9))


def small_steps(train, cross, pull, f, f_test, *, time, ridge=0.0, steps=20_000):
    """Runge-Kutta of order 4 with many equal steps, on all outputs and their distance from the start."""
    n, columns, start = len(train), torch.cat([train, cross]), torch.cat([f, f_test])

    def velocity(g):
        return -(columns @ pull(g[:n]) + ridge * (g - start))

    g, h = start, time / steps
    for _ in range(steps):
        k1 = velocity(g)
        k2 = velocity(g + h / 2 * k1)
        k3 = velocity(g + h / 2 * k2)
        k4 = velocity(g + h * k3)
        g = g + h * (k1 + 2 * k2 + 2 * k3 + k4) / 6
    return g[:n], g[n:]
