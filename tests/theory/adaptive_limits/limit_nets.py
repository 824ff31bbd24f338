"""Perceptrons for tests of the limits, and a simulation of them in plain numpy, neuron by neuron."""

from __future__ import annotations

import numpy as np
from torch import nn

CHI = np.array([0.7, -1.1, 0.4])
TARGETS = np.array([1.0, -1.0, 0.5])


def inputs(samples=3, features=4, seed=0):
    drawn = np.random.default_rng(seed).normal(size=(features, samples))
    return (1.2 * drawn / np.sqrt(features)).T


def family(hidden, features=4, nonlinearity=nn.Tanh):
    def make(width):
        parts = [nn.Linear(features, width, bias=False), nonlinearity()]
        for _ in range(hidden - 1):
            parts += [nn.Linear(width, width, bias=False), nonlinearity()]
        return nn.Sequential(*parts, nn.Linear(width, 1, bias=False))

    return make


def signed(eps):
    """SignSGD of the gradients so far, eps under the root."""
    return lambda past: past[-1] / np.sqrt(past[-1] ** 2 + eps**2)


def adam(b1=0.9, b2=0.95, eps=0.05):
    """Adam of the gradients so far as one sum over the past, eps under the root."""

    def update(past):
        t = len(past)
        m = sum((1 - b1) * b1 ** (t - 1 - s) * g for s, g in enumerate(past)) / (1 - b1**t)
        v = sum((1 - b2) * b2 ** (t - 1 - s) * g**2 for s, g in enumerate(past)) / (1 - b2**t)
        return m / np.sqrt(v + eps**2)

    return update


def last(past):
    """SGD."""
    return past[-1]


def tangent_net(x, n, hidden, update, chi, *, lr, steps, seed, c_hidden=1.0):
    """Outputs of a tanh net in the neural tangent parametrization as printed, multipliers kept, backward by hand."""
    rng = np.random.default_rng(seed)
    a, c, d = (
        [0.0, *[0.5] * hidden],
        [0.5, *[c_hidden] * (hidden - 1), 0.5],
        [0.5, *[1.0] * (hidden - 1), 0.5],
    )
    shapes = [(n, x.shape[1]), *[(n, n)] * (hidden - 1), (1, n)]
    w, past, outputs = [rng.normal(size=shape) for shape in shapes], [[] for _ in shapes], []
    for step in range(steps + 1):
        acts, pre = [x.T], []
        for i in range(hidden):
            pre.append(n ** -a[i] * w[i] @ acts[-1])
            acts.append(np.tanh(pre[-1]))
        f = (n ** -a[-1] * w[-1] @ acts[-1])[0]
        outputs.append(f)
        if step == steps:
            break
        errors = chi(f)
        back = n ** -a[-1] * np.repeat(w[-1].T, len(f), 1)
        grads = [None] * hidden + [n ** -a[-1] * (acts[-1] @ errors)[None]]
        for i in reversed(range(hidden)):
            dh = back * (1 - np.tanh(pre[i]) ** 2)
            grads[i] = n ** -a[i] * (dh * errors) @ acts[i].T
            back = n ** -a[i] * w[i].T @ dh
        for i, g in enumerate(grads):
            past[i].append(n ** d[i] * g)
            w[i] = w[i] - lr * n ** -c[i] * update(past[i])
    return np.array(outputs)


def feature_net(x, n, update, y, *, lr, steps, seed):
    """Outputs and change of the features' kernel of a shallow tanh net in muP, written out."""
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=(n, x.shape[1])), rng.normal(size=n)
    past, outputs, kernels = ([], []), [], []
    for step in range(steps + 1):
        h = u @ x.T
        acts = np.tanh(h)
        f = v @ acts / n
        outputs.append(f)
        kernels.append(acts.T @ acts / n)
        if step == steps:
            break
        past[0].append((v[:, None] * (1 - acts**2) * (f - y)) @ x)
        past[1].append(acts @ (f - y))
        u, v = u - lr * update(past[0]), v - lr * update(past[1])
    return np.array(outputs), np.linalg.norm(kernels[-1] - kernels[0]) / np.linalg.norm(kernels[0])
