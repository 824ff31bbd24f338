"""A gated recurrent unit in NumPy, forwards and backwards by hand, and the kernels of its wide copies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def draw(
    rng: np.random.Generator, shapes: Mapping[str, tuple[int, ...]], std: Mapping[str, float]
) -> dict[str, Array]:
    return {name: std[name] * rng.standard_normal(shape) for name, shape in shapes.items()}


def run(p: Mapping[str, Array], x: Array) -> tuple[Array, list[tuple[Array, ...]]]:
    """Return the last state, (n, width), of sequences (n, steps, features), and what every step leaves."""
    h = np.zeros((len(x), p["hidden"].shape[1]))
    tape = []
    for t in range(x.shape[1]):
        a = np.split(x[:, t] @ p["input"].T + p["input_bias"], 3, axis=1)
        b = np.split(h @ p["hidden"].T + p["hidden_bias"], 3, axis=1)
        r, z = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
        new = np.tanh(a[2] + r * b[2])
        tape.append((x[:, t], h, r, z, new, b[2]))
        h = (1 - z) * new + z * h
    return h, tape


def kernels(p: Mapping[str, Array], x: Array, rates: Mapping[str, float]) -> tuple[Array, Array]:
    """Return the mean product of the outputs, and the tangent kernel of the first output, of one copy."""
    last, tape = run(p, x)
    out = last @ p["head"].T
    ntk = rates["head"] * last @ last.T
    dh = np.repeat(p["head"][:1], len(x), 0)
    gates: list[Array] = []
    others: list[Array] = []
    for _, h, r, z, new, inner in reversed(tape):
        d_new = dh * (1 - z) * (1 - new**2)
        d_r, d_z = d_new * inner * r * (1 - r), dh * (h - new) * z * (1 - z)
        gates.append(np.concatenate([d_r, d_z, d_new], 1))  # by what is added to the inputs' part
        others.append(np.concatenate([d_r, d_z, d_new * r], 1))  # to the hidden state's part
        dh = dh * z + others[-1] @ p["hidden"]
    steps = list(reversed(tape))
    for i, (x_i, h_i, *_) in enumerate(steps):
        for j, (x_j, h_j, *_) in enumerate(steps):
            by_input, by_hidden = gates[i] @ gates[j].T, others[i] @ others[j].T
            ntk = ntk + by_input * (rates["input"] * x_i @ x_j.T + rates["input_bias"])
            ntk = ntk + by_hidden * (rates["hidden"] * h_i @ h_j.T + rates["hidden_bias"])
    return out @ out.T / out.shape[1], ntk


def wide_kernels(
    x: Array, *, width: int, outputs: int, variance: Mapping[str, float], copies: int, seed: int
) -> dict[str, tuple[Array, Array]]:
    """Return mean and standard error of both kernels over copies, each tensor trained with its variance as the rate.

    Args:
        x: Sequences.
        width: Width of the copies.
        outputs: Outputs of the readout.
        variance: Variances of entries, of the matrices "hidden" and "head" times the width.
        copies: Copies.
        seed: Seed of the draws.
    """
    shapes = {
        "input": (3 * width, x.shape[2]), "hidden": (3 * width, width), "input_bias": (3 * width,),
        "hidden_bias": (3 * width,), "head": (outputs, width),
    }  # fmt: skip
    rates = {name: v / width if name in ("hidden", "head") else v for name, v in variance.items()}
    rng = np.random.default_rng(seed)
    found = [
        kernels(draw(rng, shapes, {name: v**0.5 for name, v in rates.items()}), x, rates)
        for _ in range(copies)
    ]
    stacks = {"nngp": np.stack([f[0] for f in found]), "ntk": np.stack([f[1] for f in found])}
    return {name: (s.mean(0), s.std(0, ddof=1) / copies**0.5) for name, s in stacks.items()}
