"""Tangent kernels against the dense Jacobian: every kind of layer, every form, and what is left behind."""

from __future__ import annotations

import copy

import pytest
import torch
from ntk_nets import NETS, D, Gpt, batch_normalized, build, images, tokens, vectors
from torch import nn
from torch.utils.checkpoint import checkpoint

from similitude.core.errors import CurvatureError
from similitude.landscape.curvature import Curvature
from similitude.landscape.ntk import ntk_gram
from tests.oracles.dense_ntk import jacobian, kernel

ROUTES = {  # parameters that no rule covers; all others must be structured
    "batch norm train": {"0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias"},
    "instance norm": {"1.weight", "1.bias"},
    "reparametrized": {
        "0.parametrizations.weight.original0",
        "0.parametrizations.weight.original1",
        "2.parametrizations.weight.original",
    },
    "odd": {"matrix", "custom", "temperature", "bilinear.weight", "slope.weight", "bag.weight"},
    "odd, one example": {
        "matrix",
        "custom",
        "temperature",
        "heads",
        "bilinear.weight",
        "slope.weight",
        "bag.weight",
    },
}


def near(measured: torch.Tensor, expected: torch.Tensor) -> float:
    return float((measured - expected).norm() / expected.norm())


def perceptron() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 4)).to(D)


@pytest.mark.parametrize("name", NETS)
def test_equals_the_dense_jacobian(name):
    model, inputs = build(name)
    found = ntk_gram(model, inputs)
    assert near(found.matrix, kernel(model, inputs)) < 1e-12
    rows = {parameter for parameter, route in found.routes.items() if route in ("rows", "outputs")}
    assert rows == ROUTES.get(name, set())


@pytest.mark.parametrize("name", ["mlp", "convolutions", "resnet", "gpt", "lstm", "odd", "batch norm train"])
def test_every_parameter_has_its_part(name):
    model, inputs = build(name)
    found = ntk_gram(model, inputs, by_layer=True)
    for parameter, rows in jacobian(model, inputs).items():
        expected = rows @ rows.T
        assert found.traces[parameter] == pytest.approx(float(expected.trace()), rel=1e-10, abs=1e-14)
        if expected.any():
            assert near(found.layers[parameter], expected) < 1e-11
    assert sum(found.shares().values()) == pytest.approx(1)


@pytest.mark.parametrize("name", ["mlp", "convolutions", "gpt", "odd"])
def test_float32_is_right_to_six_digits(name):
    model, inputs = build(name)
    single = copy.deepcopy(model).float()
    rounded = inputs.float() if inputs.is_floating_point() else inputs
    expected = kernel(copy.deepcopy(single).to(D), rounded.to(D) if rounded.is_floating_point() else rounded)
    found = ntk_gram(single, rounded)
    assert found.matrix.dtype == torch.float32
    assert near(found.matrix, expected) < 1e-6
    assert {n for n, route in found.routes.items() if route in ("rows", "outputs")} == ROUTES.get(name, set())


@pytest.mark.parametrize("name", ["mlp", "resnet", "gpt", "cross attention", "experts and windows", "odd"])
def test_trace_form_is_the_mean_over_outputs(name):
    model, inputs = build(name)
    whole = kernel(model, inputs)
    n = (inputs[0] if isinstance(inputs, tuple) else inputs).shape[0]
    c = len(whole) // n
    expected = whole.view(n, c, n, c).diagonal(dim1=1, dim2=3).mean(-1)
    found = ntk_gram(model, inputs, of="trace")
    assert near(found.matrix, expected) < 1e-12
    assert near(ntk_gram(model, inputs).traced(), expected) < 1e-12
    assert sum(found.traces.values()) == pytest.approx(float(expected.trace()))


def test_random_sums_estimate_the_trace_form_without_bias():
    model, inputs = build("mlp")
    exact = ntk_gram(model, inputs, of="trace").matrix
    drawn = torch.stack([ntk_gram(model, inputs, of=4, seed=seed).matrix for seed in range(60)])
    error = (drawn.mean(0) - exact).abs()
    assert (error < 4 * drawn.std(0) / 60**0.5 + 1e-12).all()
    assert near(drawn[0], exact) > 1e-3  # an estimate, no more


@pytest.mark.parametrize(
    "name", ["mlp", "resnet", "gpt", "lstm", "cross attention", "odd", "batch norm eval"]
)
def test_kernel_between_two_sets(name):
    model, inputs = build(name)
    cut = [(lambda t, where=where: t[where]) for where in (slice(0, 2), slice(2, None))]
    first, second = (tuple(map(c, inputs)) if isinstance(inputs, tuple) else c(inputs) for c in cut)
    whole = kernel(model, inputs)
    found = ntk_gram(model, first, other=second)
    assert near(found.matrix, whole[: found.matrix.shape[0], -found.matrix.shape[1] :]) < 1e-12
    with pytest.raises(CurvatureError, match="between two sets"):
        found.eigenvalues()


def test_random_layers_draw_alike_in_both_sets():
    model, inputs = build("dropout")
    assert torch.equal(ntk_gram(model, inputs, other=inputs).matrix, ntk_gram(model, inputs).matrix)


def test_little_memory_changes_nothing_but_time():
    for name in ("convolutions", "gpt", "odd"):
        model, inputs = build(name)
        whole = ntk_gram(model, inputs)
        rows = len(whole.matrix)
        held = 3 * 8 * rows**2
        for spare in (2**19, 2**23):
            assert near(ntk_gram(model, inputs, memory=held + spare).matrix, whole.matrix) < 1e-12


def test_a_long_vocabulary_is_never_written_out():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(200_000, 4), nn.Flatten(), nn.Linear(24, 2)).to(D)
    ids = torch.randint(200_000, (3, 6))
    ids[1, :3] = ids[0, 3:]  # shared words
    found = ntk_gram(model, ids, memory=2**20)  # the dense Jacobian would take 37 MB
    assert near(found.matrix, kernel(model, ids)) < 1e-12


def test_rates_weigh_every_parameter():
    model = perceptron()
    inputs = vectors()
    rates = {"0.weight": 0.5, "0.bias": 0.0, "2.weight": 2.0, "2.bias": 1.0}
    rows = jacobian(model, inputs)
    expected = sum(rate * rows[name] @ rows[name].T for name, rate in rates.items())
    found = ntk_gram(model, inputs, rates=rates)
    assert near(found.matrix, expected) < 1e-12
    assert found.shares()["0.bias"] == 0
    groups = [{"params": [p], "lr": rates[name]} for name, p in model.named_parameters()]
    assert torch.equal(ntk_gram(model, inputs, rates=torch.optim.SGD(groups, lr=1.0)).matrix, found.matrix)


def test_gradient_descent_moves_the_outputs_by_the_weighted_kernel():
    model = perceptron()
    inputs = vectors()
    groups = [{"params": [p], "lr": 1e-6 * k} for k, p in enumerate(model.parameters(), 1)]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    found = ntk_gram(model, inputs, rates=optimizer)
    before = model(inputs)
    before.square().sum().backward()
    optimizer.step()
    moved = (model(inputs) - before).detach().flatten()
    expected = -found.matrix @ (2 * before.detach().flatten())
    assert near(moved, expected) < 1e-4


def test_inputs_and_outputs_in_all_forms():
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = perceptron()

        def forward(self, x, scale=1.0):
            return {"logits": scale * self.net(x), "other": x}

    model, x = Named(), vectors()
    plain = ntk_gram(model.net, x).matrix
    assert near(ntk_gram(model, {"x": x, "scale": 2.0}).matrix, 4 * plain) < 1e-12
    assert (
        near(ntk_gram(model, (x,), outputs=lambda result: result["logits"][:, :1]).matrix, plain[::4, ::4])
        < 1e-12
    )


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints(reentrant):
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(6, 6).to(D), nn.Linear(6, 2).to(D)

        def forward(self, x):
            return self.head(checkpoint(lambda y: self.inner(y).tanh(), x, use_reentrant=reentrant))

    torch.manual_seed(0)
    model, inputs = Checkpointed(), vectors().requires_grad_()
    if reentrant:
        with pytest.raises(CurvatureError, match="use_reentrant=False"):
            ntk_gram(model, inputs)
        return
    assert near(ntk_gram(model, inputs).matrix, kernel(model, inputs)) < 1e-12


def test_half_precision_keeps_its_routes():
    single = perceptron().float()
    half = copy.deepcopy(single).bfloat16()
    inputs = vectors().bfloat16()
    found = ntk_gram(half, inputs)
    assert set(found.routes.values()) == {"structured"}
    assert found.matrix.dtype == torch.float32
    assert near(found.matrix, kernel(half.double(), inputs.double())) < 0.02


def test_fused_recurrent_layers_in_single_precision():
    torch.manual_seed(0)
    model, inputs = nn.LSTM(6, 3, batch_first=True), torch.randn(4, 5, 6)
    found = ntk_gram(model, inputs, outputs=lambda result: result[0][:, -1])
    exact = kernel(copy.deepcopy(model).to(D), inputs.to(D), outputs=lambda result: result[0][:, -1])
    assert near(found.matrix, exact) < 1e-6


def test_frozen_parameters_have_no_part():
    model = perceptron()
    model[0].weight.requires_grad_(False)
    found = ntk_gram(model, vectors())
    assert "0.weight" not in found.traces
    torch.manual_seed(1)
    inputs = vectors()
    assert near(ntk_gram(model, inputs).matrix, kernel(model, inputs)) < 1e-12


def test_nothing_is_left_behind():
    model, inputs = build("dropout")
    normalized = batch_normalized(eval_mode=False).to(D)
    for net, x in ((model, inputs), (normalized, images())):
        for p in net.parameters():
            p.grad = torch.ones_like(p)
        before = copy.deepcopy(net.state_dict())
        buffers = {name: id(b) for name, b in net.named_buffers()}
        state = torch.get_rng_state()
        with torch.no_grad():  # as inside an evaluation loop
            ntk_gram(net, x)
        assert torch.equal(torch.get_rng_state(), state)
        assert net.training
        assert {name: id(b) for name, b in net.named_buffers()} == buffers
        assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
        assert all(torch.equal(p.grad, torch.ones_like(p)) for p in net.parameters())
        assert not any(p._backward_hooks for p in net.parameters())


def test_leading_eigenvalues_are_those_of_products():
    model = perceptron()
    inputs, targets = vectors(), torch.randn(5, 4, dtype=D)

    def loss(net, batch):
        return 0.5 * (net(batch[0]) - batch[1]).square().sum(1).mean()

    found = ntk_gram(model, inputs)
    with Curvature(model, loss, (inputs, targets)) as curvature:
        u = torch.randn(20, dtype=D)
        assert near(curvature.ntk_product(u), found.matrix @ u) < 1e-12
        top = curvature.top(3, of="ntk", tol=1e-9)
    assert torch.allclose(top.values, found.eigenvalues()[:3], rtol=1e-8)


def test_equals_the_gauss_newton_spectrum_of_the_squared_loss():
    """For the squared loss, n times the Gauss-Newton matrix J'J / n has the kernel's nonzero eigenvalues."""
    model = perceptron()
    inputs = vectors()
    whole = torch.cat(list(jacobian(model, inputs).values()), 1)
    expected = torch.linalg.eigvalsh(whole.T @ whole).flip(0)[:20]
    assert torch.allclose(ntk_gram(model, inputs).eigenvalues(), expected, rtol=1e-9, atol=1e-10)


def test_refusals():
    model = perceptron()
    with pytest.raises(CurvatureError, match=r"memory=.*trace.*random sums"):
        ntk_gram(model, vectors(200), memory=2**20)
    with pytest.raises(CurvatureError, match="eval mode"):
        ntk_gram(batch_normalized(eval_mode=False).to(D), images(16), of="trace", memory=20_000)
    with pytest.raises(CurvatureError, match="no trainable parameter"):
        ntk_gram(perceptron().requires_grad_(False), vectors())
    with pytest.raises(CurvatureError, match="first axis"):
        ntk_gram(model, vectors(), outputs=lambda result: result.sum())
    with pytest.raises(CurvatureError, match="not all finite"):
        ntk_gram(model, vectors() * float("nan"))
    with pytest.raises(CurvatureError, match="Pass outputs="):
        ntk_gram(Cell(), vectors())
    with pytest.raises(CurvatureError, match=r"depend on none"):
        ntk_gram(model, vectors(), outputs=lambda result: result.detach())
    with pytest.raises(CurvatureError, match="of='rank'"):
        ntk_gram(model, vectors(), of="rank")
    with pytest.raises(CurvatureError, match=r"rates have none for '2.bias'"):
        ntk_gram(model, vectors(), rates={"0.weight": 1.0, "0.bias": 1.0, "2.weight": 1.0})
    with pytest.raises(CurvatureError, match="inputs is a list"):
        ntk_gram(model, [vectors()])
    with pytest.raises(CurvatureError, match="one length"):
        ntk_gram(Gpt().to(D), tokens(), other=tokens()[:, :3])
    with pytest.raises(CurvatureError, match="'root' is not finite"):
        ntk_gram(Root(), vectors())


class Cell(nn.Module):
    """Returns two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(6, 3).to(D)

    def forward(self, x):
        return self.cell(x)


class Root(nn.Module):
    """Finite, with a derivative that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.root = nn.Parameter(torch.zeros(1, dtype=D))

    def forward(self, x):
        return x * self.root.sqrt()


@pytest.mark.slow
def test_a_wide_perceptron_in_single_precision():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3072, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    inputs = torch.randn(8, 3072)
    assert near(ntk_gram(model, inputs).matrix, kernel(copy.deepcopy(model).to(D), inputs.to(D))) < 1e-6
