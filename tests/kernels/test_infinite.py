"""The kernel of a module: blocks, diagonals, shares of parameters, learning rates, verification and wrong use."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn

import similitude as sim
from similitude.kernels.scales import Draw, recognized
from tests.kernels.modules import CASES, STEPS, VECTORS, WORDS, mlp, residual, vectors

BLOCKS = (
    "residual, LayerNorm", "two branches through one layer", "SwiGLU", "convolutions, global average", "recurrent",
    "embeddings with positions", "causal attention, logits of 1/d", "mlp, dropout in training",
)  # fmt: skip


def kernel_of(name: str) -> sim.Kernel:
    return sim.kernel(CASES[name].make, sample=CASES[name].x, widths=(16, 24))


def relu_mlp(x: torch.Tensor, weight: float, bias: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the kernels of three layers by the recursion of arc-cosine kernels (Cho and Saul 2009)."""
    k = weight * x @ x.T / x.shape[1] + bias
    t = k.clone()
    for _ in range(2):
        root = k.diagonal().sqrt()
        cos = (k / (root[:, None] * root)).clamp(-1, 1)
        cos.fill_diagonal_(1)
        angle = cos.arccos()
        slope = (math.pi - angle) / (2 * math.pi)
        inner = root[:, None] * root * (angle.sin() + (math.pi - angle) * cos) / (2 * math.pi)
        k = weight * inner + bias
        t = k + weight * slope * t
    return k, t


def test_relu_mlp_is_the_recursion_of_arc_cosine_kernels():
    k = sim.kernel(mlp(nn.ReLU)(8), weight_variance=1.7, bias_variance=0.3)
    nngp, ntk = relu_mlp(VECTORS, 1.7, 0.3)
    torch.testing.assert_close(k.nngp(VECTORS), nngp, rtol=1e-12, atol=0)
    torch.testing.assert_close(k.ntk(VECTORS), ntk, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_of_two_inputs_are_parts_of_the_whole(name):
    kernel, x = kernel_of(name), CASES[name].x
    for whole, part in (
        (kernel.nngp(x), kernel.nngp(x[:2], x[2:])),
        (kernel.ntk(x), kernel.ntk(x[:2], x[2:])),
    ):
        torch.testing.assert_close(part, whole[:2, 2:], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(whole, whole.T, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["residual, LayerNorm", "recurrent", "convolutions, flattened"])
def test_shares_of_parameters_add_up_to_the_tangent_kernel(name):
    kernel, x = kernel_of(name), CASES[name].x
    shares = kernel.by_layer(x)
    assert set(shares) <= {n for n, _ in CASES[name].make(16).named_parameters()}
    torch.testing.assert_close(sum(shares.values()), kernel.ntk(x), rtol=1e-10, atol=1e-14)


def test_the_readouts_share_is_the_covariance_of_the_outputs():
    kernel = sim.kernel(mlp(nn.GELU)(8), sample=VECTORS, weight_variance=2.0, bias_variance=0.0)
    torch.testing.assert_close(kernel.by_layer(VECTORS)["4.weight"], kernel.nngp(VECTORS), rtol=1e-12, atol=0)


def test_a_shared_layer_adds_coefficients_and_two_layers_add_covariances():
    def kernels(shared: bool) -> tuple[torch.Tensor, torch.Tensor]:
        a, b = nn.Linear(16, 16), nn.Linear(16, 16)
        net = vectors(16, lambda m, h: m.a(h) + m.b(h), a=a, b=a if shared else b)
        k = sim.kernel(net, weight_variance=1.0, bias_variance=0.0)
        return k.nngp(VECTORS), k.ntk(VECTORS)

    one, two = kernels(True), kernels(False)
    for shared, apart in zip(one, two, strict=True):
        torch.testing.assert_close(shared, 2 * apart, rtol=1e-12, atol=0)


def test_one_module_and_its_family_have_the_same_kernel():
    family = sim.kernel(mlp(nn.Tanh), sample=VECTORS, widths=(16, 24))
    single = sim.kernel(mlp(nn.Tanh)(64), sample=VECTORS)
    torch.testing.assert_close(family.ntk(VECTORS), single.ntk(VECTORS), rtol=1e-10, atol=0)


def test_verification_sees_a_wrong_kernel():
    kernel = sim.kernel(residual(nn.LayerNorm), sample=VECTORS, widths=(16, 24))
    reader = kernel.reader(VECTORS)
    right = dict(reader.scales.variance)

    class Wrong(type(kernel)):
        def pair(self, *args, **kwargs):
            found = super().pair(*args, **kwargs)
            return {name: 1.5 * block for name, block in found.items()}

    wrong = Wrong(**{name: getattr(kernel, name) for name in kernel.__dataclass_fields__})
    verdict = wrong.verify(VECTORS, seconds=2)
    assert verdict.outcome == "inconsistent"
    assert reader.scales.variance == right


def test_learning_rates_weigh_the_shares():
    found = {
        rule: sim.kernel(mlp(nn.ReLU), sample=VECTORS, widths=(16, 24), rule=rule)
        for rule in ("ntp", "mup", "sp")
    }
    ntp, mup, sp = (k.by_layer(VECTORS) for k in found.values())
    # ntp trains with the variance 1 / (3 fan-in) as the rate; the others with 1.
    torch.testing.assert_close(mup["2.weight"], 3 * 16 * ntp["2.weight"], rtol=1e-9, atol=0)
    torch.testing.assert_close(mup["0.weight"], 3 * 5 * ntp["0.weight"], rtol=1e-9, atol=0)
    torch.testing.assert_close(sp["2.weight"], mup["2.weight"], rtol=1e-12, atol=0)
    assert not sp["0.weight"].any()


def test_explanation_names_operations_and_variances():
    text = str(sim.kernel(mlp(nn.Tanh), sample=VECTORS, widths=(16, 24)).explain())
    assert "tanh(x) (bounded, error below" in text
    assert "uniform, PyTorch's default: 0.3333 / fan-in" in text
    assert "variance of 2.bias (bias): 1 / fan-in up to a factor: 0 at infinite width" in text


def test_kernels_can_be_pickled():
    kernel = sim.kernel(mlp(nn.ReLU)(16), sample=VECTORS)
    again = pickle.loads(pickle.dumps(kernel))
    assert torch.equal(again.ntk(VECTORS), kernel.ntk(VECTORS))


def test_float32_is_near():
    double = sim.kernel(residual(nn.LayerNorm)(32), sample=VECTORS)
    single = replace(double, dtype=torch.float32, _readers={})
    assert single.ntk(VECTORS).dtype == torch.float32
    torch.testing.assert_close(single.ntk(VECTORS).double(), double.ntk(VECTORS), rtol=2e-3, atol=0)


def test_the_module_is_left_as_it_was():
    net = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    generator = torch.get_rng_state()
    sim.kernel(net, sample=VECTORS).ntk(VECTORS)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.training
    assert net[0].weight.dtype == torch.float32
    assert torch.equal(torch.get_rng_state(), generator)


def test_initializations_are_recognized():
    torch.manual_seed(0)
    he, default = torch.randn(400, 100) * math.sqrt(2 / 100), nn.Linear(100, 400).weight.detach()
    for values, expected in ((he, 2 / 100), (default, 1 / 300)):
        draw = Draw(
            values.numel(), float(values.square().mean()), float(values.abs().max()), False, (400, 100)
        )
        assert recognized(draw, 100)[0] == pytest.approx(expected, rel=1e-12)
    odd = he * 1.3
    draw = Draw(odd.numel(), float(odd.square().mean()), float(odd.abs().max()), False, (400, 100))
    variance, how = recognized(draw, 100)
    assert variance == pytest.approx(float(odd.square().mean()))
    assert how.startswith("measured")


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(5, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a(x) if x.sum() > 0 else torch.relu(self.a(x))


class Mixing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(5, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.a(x)
        return h - h.mean(0)


@pytest.mark.parametrize(
    ("build", "x", "message"),
    [
        (lambda: mlp(nn.ReLU)(8), torch.zeros(0, 5), "0 samples"),
        (lambda: mlp(nn.ReLU)(8), torch.full((2, 5), math.nan), "not finite"),
        (lambda: mlp(nn.ReLU)(8), torch.zeros(2, 7), "cannot be called with inputs of shape"),
        (Mixing, VECTORS, "sums over samples"),
        (Branching, -VECTORS.abs(), "another path"),
    ],
)
def test_wrong_inputs(build, x, message):
    kernel = sim.kernel(build(), sample=VECTORS.abs() if build is Branching else None)
    with pytest.raises(sim.KernelError, match=message):
        kernel.nngp(x)


def test_wrong_use():
    with pytest.raises(sim.KernelError, match="needs a family"):
        sim.kernel(mlp(nn.ReLU)(8), widths=(8, 16))
    with pytest.raises(sim.KernelError, match="two different widths"):
        sim.kernel(mlp(nn.ReLU))
    with pytest.raises(sim.KernelError, match="neither a module nor a function"):
        sim.kernel(3)
    with pytest.raises(sim.KernelError, match="not a variance"):
        sim.kernel(mlp(nn.ReLU)(8), weight_variance=-1.0)
    with pytest.raises(sim.KernelError, match="rule='adam'"):
        sim.kernel(mlp(nn.ReLU)(8), rule="adam")
    kernel = sim.kernel(mlp(nn.ReLU)(8))
    with pytest.raises(sim.KernelError, match="needs inputs"):
        kernel.verify()
    with pytest.raises(sim.KernelError, match="the same shapes and types"):
        kernel.nngp(VECTORS, STEPS)
    assert WORDS.dtype == torch.int64


def test_an_activation_that_is_not_finite_is_refused():
    net = vectors(8, lambda m, h: m.a(torch.exp(h.square())), a=nn.Linear(8, 8))
    with pytest.raises(sim.KernelError):
        sim.kernel(net, sample=VECTORS).nngp(VECTORS)
