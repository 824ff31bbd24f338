"""Kernels of layers that neural-tangents lacks, against Monte Carlo over wide copies, which knows no limit."""

import pytest
import torch

import similitude as sim
from tests.kernels.unusual_nets import FEATURES, HEAD, NETWORKS, TOKENS, VARIANCE, drawn, rates
from tests.kernels.wide_nets import kernels_of, wide_kernels

MOST = 0.03
"""Standard error, relative to the diagonal, above which a comparison would say little."""


def inputs(name: str) -> torch.Tensor:
    # Gradients through the norm of a small batch are seldom but very large.
    examples = 8 if name == "batch norm" else 4
    shape = (examples, TOKENS, FEATURES) if NETWORKS[name][1] else (examples, FEATURES)
    # Logits of 1/d are zero in the limit alone: with small inputs they are small in the copies too.
    scale = 0.5 if "1/d" in name else 1.0
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(0))


def limit(name: str) -> dict[str, torch.Tensor]:
    make, x = NETWORKS[name][0], inputs(name)
    if "sqrt" in name:  # one module: heads are infinite in number and in width
        return sim.kernel(make(2 * HEAD).train(), sample=x, weight_variance=VARIANCE).pair(x)
    return sim.kernel(make, sample=x, widths=(2 * HEAD, 3 * HEAD), weight_variance=VARIANCE).pair(x)


def compare(name: str, copies: int) -> None:
    make, _, width = NETWORKS[name]
    found = limit(name)
    nngp, ntk = wide_kernels(lambda: drawn(make(width)).train(), inputs(name), copies=copies, rates=rates)
    for estimate, kernel in ((nngp, found["nngp"]), (ntk, found["ntk"])):
        assert estimate.relative_error < MOST
        assert estimate.off(kernel) <= 3


@pytest.mark.parametrize(
    "name",
    ["two branches", "gated", *(pytest.param(n, marks=pytest.mark.slow) for n in ("recurrent", "cell"))],
)
def test_weights_that_are_used_again_and_gates(name):
    compare(name, 100)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NETWORKS if "attention" in name])
def test_softmax_attention(name):
    compare(name, 120)


@pytest.mark.slow
def test_batch_norm_in_train_mode():
    compare("batch norm", 100)


def test_branches_are_not_taken_for_independent():
    """Were the two uses of the shared layer independent, the kernels would be others by far more than the errors."""
    found = limit("two branches")

    class Apart(torch.nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.net = NETWORKS["two branches"][0](width)
            self.other = torch.nn.Linear(width, width, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.net.stem(x)
            once = self.net.shared(torch.relu(x))
            return self.net.head(torch.relu(once + self.other(torch.relu(once)) + x))

    x = inputs("two branches")
    apart = sim.kernel(Apart, sample=x, widths=(32, 48), weight_variance=VARIANCE).pair(x)
    assert float((apart["ntk"] - found["ntk"]).norm() / found["ntk"].norm()) > 0.03


def test_the_oracle_on_a_linear_layer_is_exact():
    layer, x = torch.nn.Linear(3, 2), torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    nngp, ntk = kernels_of(layer, x, {"weight": 0.5, "bias": 2.0}, outputs=2)
    f = layer(x)
    assert torch.allclose(nngp, f @ f.T / 2)
    assert torch.allclose(ntk, 0.5 * x @ x.T + 2)
