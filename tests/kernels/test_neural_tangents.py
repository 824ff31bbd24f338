"""Kernels of ordinary torch modules against those of neural-tangents 0.6.5, which were computed once and lie beside."""

from pathlib import Path

import numpy as np
import pytest
import torch

import similitude as sim
from tests.kernels.peer_nets import NETWORKS
from tests.oracles import relu_diagonals
from tests.oracles.neural_tangents_fixtures import BIAS_VARIANCE, WEIGHT_VARIANCE

PEER = np.load(Path(__file__).with_name("neural_tangents.npz"))
NNGP, NTK, DIAGONAL = 3e-6, 1e-5, 1e-9
SIZES = (16, 24)


def images(name: str, which: str) -> torch.Tensor:
    x = torch.tensor(PEER[which])
    return x[:, None] if NETWORKS[name][1] else x.flatten(1)


def peer(name: str, pair: str, which: str) -> torch.Tensor:
    return torch.tensor(PEER[f"{name}/{pair}/{which}"])


def kernel_of(name: str):
    return sim.kernel(
        NETWORKS[name][0],
        sample=images(name, "first")[:2].float(),
        widths=SIZES,
        weight_variance=WEIGHT_VARIANCE,
        bias_variance=BIAS_VARIANCE,
    )


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    assert found.shape == expected.shape
    return float(((found - expected) / expected).abs().max())


@pytest.mark.parametrize("name", NETWORKS)
def test_kernels_are_those_of_neural_tangents(name):
    kernel, x, other = kernel_of(name), images(name, "first"), images(name, "second")
    apart = ~torch.eye(len(x), dtype=torch.bool)
    k, t = kernel.nngp(x), kernel.ntk(x)
    assert k.dtype == torch.float64
    expected_k, expected_t = peer(name, "same", "nngp"), peer(name, "same", "ntk")
    assert relative(k, expected_k) <= NNGP
    assert relative(t[apart], expected_t[apart]) <= NTK
    assert relative(k.diagonal(), expected_k.diagonal()) <= DIAGONAL
    assert relative(t.diagonal(), expected_t.diagonal()) <= DIAGONAL
    assert relative(kernel.nngp(x, other), peer(name, "cross", "nngp")) <= NNGP
    assert relative(kernel.ntk(x, other), peer(name, "cross", "ntk")) <= NTK


def diagonals() -> dict[str, relu_diagonals.Pair]:
    square, flat = PEER["first"], PEER["first"].reshape(len(PEER["first"]), -1)
    each = [relu_diagonals.residual_convolutional(image) for image in square]
    return {
        "mlp-relu": relu_diagonals.perceptron(flat),
        "mlp-leaky": relu_diagonals.perceptron(flat, slope=0.2),
        "residual-norm-relu": relu_diagonals.residual(flat),
        "conv-flat-relu": relu_diagonals.flattened(square),
        "residual-conv-relu": (np.array([k for k, _ in each]), np.array([t for _, t in each])),
    }


@pytest.mark.parametrize("name", diagonals())
def test_diagonals_of_kinked_activations_are_exact(name):
    kernel, x = kernel_of(name), images(name, "first")
    k, t = diagonals()[name]
    for which, exact in (("nngp", k), ("ntk", t)):
        assert (
            relative(peer(name, "same", which).diagonal(), torch.tensor(exact)) <= DIAGONAL
        )  # nor is the peer off
        assert relative(getattr(kernel, which)(x).diagonal(), torch.tensor(exact)) <= DIAGONAL


def test_a_single_module_is_read_as_wide():
    x = images("mlp-gelu", "first")
    module = NETWORKS["mlp-gelu"][0](24)
    kernel = sim.kernel(
        module, sample=x[:2].float(), weight_variance=WEIGHT_VARIANCE, bias_variance=BIAS_VARIANCE
    )
    assert relative(kernel.ntk(x), peer("mlp-gelu", "same", "ntk")) <= NTK
