"""Write tests/kernels/neural_tangents.npz: kernels by neural-tangents 0.6.5 of the nets in tests/kernels/peer_nets.py.

neural-tangents is no dependency, as its last release needs an old jax. It was run once, in 64-bit floats and in an
environment of its own:

    python3.11 -m venv /tmp/peer
    /tmp/peer/bin/pip install neural-tangents==0.6.5 jax==0.4.28 jaxlib==0.4.28 "numpy<2" "scipy<1.13" scikit-learn
    /tmp/peer/bin/python tests/oracles/neural_tangents_fixtures.py tests/kernels/neural_tangents.npz
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

EXAMPLES, OTHERS = 12, 6
WEIGHT_VARIANCE, BIAS_VARIANCE = 2.0, 0.1
"""Variance of weights times their fan-in, and of biases, in every layer."""

EPSILON = 1e-5
"""What torch's norms add to variances."""


def images() -> tuple[np.ndarray, np.ndarray]:
    """Return two sets of digits with pixels from 0 to 1, shapes (examples, 8, 8, 1) and (others, 8, 8, 1)."""
    from sklearn.datasets import load_digits

    pixels = load_digits().images[: EXAMPLES + OTHERS, :, :, None] / 16.0
    return pixels[:EXAMPLES], pixels[EXAMPLES:]


class Layers:
    """The layers of neural-tangents with the variances of this file.

    Args:
        stax: The module `neural_tangents.stax`.
    """

    def __init__(self, stax: Any) -> None:
        self.stax = stax
        self.std = {"W_std": WEIGHT_VARIANCE**0.5, "b_std": BIAS_VARIANCE**0.5}

    def dense(self) -> Any:
        return self.stax.Dense(1, **self.std)

    def conv(self, *, stride: int = 1, padding: str = "SAME", branch: float = 1.0) -> Any:
        std = {name: branch * value for name, value in self.std.items()}
        return self.stax.Conv(1, (3, 3), (stride, stride), padding=padding, **std)

    def norm(self, *axes: int) -> Any:
        return self.stax.LayerNorm(axis=axes or -1, eps=EPSILON)

    def perceptron(self, act: Any) -> Any:
        return self.stax.serial(*[self.dense(), act] * 3, self.dense())

    def added(self, *branch: Any) -> Any:
        both = self.stax.parallel(self.stax.Identity(), self.stax.serial(*branch))
        return self.stax.serial(self.stax.FanOut(2), both, self.stax.FanInSum())

    def joined(self, act: Any) -> Any:
        both = self.stax.parallel(self.stax.Identity(), self.stax.serial(act, self.dense()))
        halves = self.stax.serial(self.stax.FanOut(2), both, self.stax.FanInConcat(-1))
        return self.stax.serial(self.dense(), halves, self.dense(), act, self.dense())

    def residual(self, act: Any, blocks: int = 2) -> Any:
        branches = [self.added(self.norm(), self.dense(), act, self.dense()) for _ in range(blocks)]
        return self.stax.serial(self.dense(), *branches, act, self.dense())

    def residual_convolutional(self, act: Any) -> Any:
        first, second = self.added(act, self.conv()), self.added(act, self.conv(branch=0.5))
        return self.stax.serial(
            self.conv(), first, second, act, self.stax.GlobalAvgPool(), self.stax.Flatten(), self.dense()
        )

    def flattened(self, act: Any) -> Any:
        body = [self.conv(), act, self.conv(stride=2, padding="VALID"), act, self.conv(), act]
        return self.stax.serial(*body, self.stax.Flatten(), self.dense())


def networks(stax: Any) -> dict[str, tuple[Any, bool]]:
    """Return every network by name, and whether it reads images as images."""
    nets, relu, gelu = Layers(stax), stax.Relu(), stax.Gelu(approximate=False)
    pooled = [nets.conv(), relu, stax.AvgPool((2, 2), (2, 2)), nets.conv(padding="CIRCULAR"), relu]
    normed = [nets.conv(), nets.norm(1, 2, 3), relu, nets.conv(), nets.norm(1, 2, 3), relu]
    end = [stax.GlobalAvgPool(), stax.Flatten(), nets.dense()]
    return {
        "mlp-relu": (nets.perceptron(relu), False),
        "mlp-erf": (nets.perceptron(stax.Erf()), False),
        "mlp-gelu": (nets.perceptron(gelu), False),
        "mlp-leaky": (nets.perceptron(stax.LeakyRelu(0.2)), False),
        "mlp-sin": (nets.perceptron(stax.Sin()), False),
        "mlp-concat": (nets.joined(stax.Erf()), False),
        "residual-norm-relu": (nets.residual(relu), False),
        "residual-norm-gelu": (nets.residual(gelu), False),
        "conv-flat-relu": (nets.flattened(relu), True),
        "conv-flat-gelu": (nets.flattened(gelu), True),
        "conv-pooled": (stax.serial(*pooled, *end), True),
        "conv-norm": (stax.serial(*normed, *end), True),
        "residual-conv-relu": (nets.residual_convolutional(relu), True),
        "residual-conv-gelu": (nets.residual_convolutional(gelu), True),
    }


def main(path: str) -> None:
    """Write the kernels of every network on the first images, and between both sets."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import neural_tangents

    first, second = images()
    found: dict[str, np.ndarray] = {"first": first[..., 0], "second": second[..., 0]}
    for name, (network, as_images) in networks(neural_tangents.stax).items():
        one, other = (x if as_images else x.reshape(len(x), -1) for x in (first, second))
        kernel = network[2]
        for pair, inputs in (("same", (one, None)), ("cross", (one, other))):
            both = kernel(*inputs, ("nngp", "ntk"))
            found[f"{name}/{pair}/nngp"], found[f"{name}/{pair}/ntk"] = map(np.asarray, both)
        print(name, both.nngp.dtype, flush=True)
    np.savez_compressed(path, **found)


if __name__ == "__main__":
    main(sys.argv[1])
