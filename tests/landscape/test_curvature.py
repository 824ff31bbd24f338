"""The public face of curvature: forms of vectors and batches, following updates, stale graphs, bad input."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

import similitude as sim
from similitude.core.errors import CurvatureError

D = torch.float64


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to(D)


def data(n: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, generator=generator, dtype=D), torch.randint(0, 3, (n,), generator=generator)


def loss(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return F.cross_entropy(model(batch[0]), batch[1])


def rows(product, dim: int) -> torch.Tensor:
    return torch.stack([product(unit) for unit in torch.eye(dim, dtype=D)])


def test_sharpness_top_split_and_ntk_against_dense_matrices() -> None:
    model, batch = net(), data()
    with sim.Curvature(model, loss, batch) as curv:
        hessian, gauss_newton = rows(curv.hvp, curv.dim), rows(curv.gauss_newton_product, curv.dim)
        params = dict(model.named_parameters())

        def of(*values: torch.Tensor) -> torch.Tensor:
            named = dict(zip(params, values, strict=True))
            return torch.func.functional_call(model, named, (batch[0],))

        j = torch.autograd.functional.jacobian(of, tuple(params.values()))
        j = torch.cat([part.reshape(27, -1) for part in j], 1)
        assert torch.allclose(rows(curv.ntk_product, curv.outputs_dim), j @ j.T, atol=1e-12)
        p = of(*params.values()).softmax(1).detach()
        bend = torch.block_diag(*[(torch.diag(q) - torch.outer(q, q)) / 9 for q in p])
        assert torch.allclose(gauss_newton, j.T @ bend @ j, atol=1e-12)
        assert torch.allclose(rows(curv.residual_product, curv.dim), hessian - gauss_newton, atol=1e-12)
        top = torch.linalg.eigvalsh(hessian).flip(0)
        assert curv.sharpness(1e-10).value == pytest.approx(float(top[0]), rel=1e-10)
        assert np.allclose(curv.top(4, tol=1e-9), top[:4], rtol=1e-9)
        split = curv.split(tol=1e-9)
        assert split.hessian == pytest.approx(float(top[0]))
        assert split.gauss_newton == pytest.approx(float(torch.linalg.eigvalsh(gauss_newton)[-1]))
        assert split.residual == pytest.approx(float(torch.linalg.eigvalsh(hessian - gauss_newton)[-1]))
        assert split.ratio == split.residual / split.gauss_newton
        v = torch.randn(curv.dim, dtype=D, generator=torch.Generator().manual_seed(2))
        assert curv.directional_sharpness(v) == pytest.approx(float(v @ hessian @ v / (v @ v)))
        assert curv.self_check() < 1e-14
        assert curv.trace("gauss_newton", products=curv.dim).value == pytest.approx(
            float(gauss_newton.trace())
        )
        assert curv.density().mean(lambda x: x)[0] == pytest.approx(float(hessian.trace()) / curv.dim)
        assert curv.loss_value == pytest.approx(loss(model, batch).item())


def test_dicts_and_flat_vectors_come_back_as_they_came() -> None:
    model = net()
    curv = sim.Curvature(model, loss, data())
    flat = torch.randn(curv.dim, dtype=D, generator=torch.Generator().manual_seed(0))
    named = curv.space.unflatten(flat)
    assert list(named) == [name for name, _ in model.named_parameters()]
    for product in (curv.hvp, curv.gauss_newton_product, curv.residual_product):
        whole, parts = product(flat), product(named)
        assert isinstance(parts, dict)
        assert torch.equal(torch.cat([parts[name].flatten() for name in named]), whole)


@pytest.mark.parametrize("memory", [2**30, 0], ids=["kept", "rebuilt"])
@pytest.mark.parametrize("form", ["list", "loader", "generator"])
def test_several_batches_are_a_mean_over_examples(form: str, memory: int) -> None:
    x, y = data(10)
    parts = [(x[:4], y[:4]), (x[4:8], y[4:8]), (x[8:], y[8:])]
    given = {
        "list": parts,
        "loader": DataLoader(TensorDataset(x, y), batch_size=4),
        "generator": (part for part in parts),
    }[form]
    model = net()
    whole, split = sim.Curvature(model, loss, (x, y)), sim.Curvature(model, loss, given, memory=memory)
    v = torch.randn(whole.dim, dtype=D, generator=torch.Generator().manual_seed(0))
    assert split.examples == 10
    assert split.loss_value == pytest.approx(whole.loss_value, rel=1e-12)
    assert torch.allclose(split.gradient(), whole.gradient(), atol=1e-14)
    assert torch.allclose(split.hvp(v), whole.hvp(v), atol=1e-13)
    assert torch.allclose(split.gauss_newton_product(v), whole.gauss_newton_product(v), atol=1e-13)
    u = torch.randn(whole.outputs_dim, dtype=D, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(split.ntk_product(u), whole.ntk_product(u), atol=1e-13)


def test_rebuilt_graphs_draw_the_same_and_start_from_the_same_buffers() -> None:
    """Dropout masks and spectral normalization's power iteration would differ from product to product otherwise."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(4, 5)), nn.Dropout(0.3), nn.Linear(5, 3)
    ).to(D)
    x, y = data(10)
    parts = [(x[:5], y[:5]), (x[5:], y[5:])]
    kept, rebuilt = (sim.Curvature(model, loss, parts, memory=memory) for memory in (2**30, 0))
    v = torch.randn(kept.dim, dtype=D, generator=torch.Generator().manual_seed(0))
    assert torch.equal(kept.hvp(v), rebuilt.hvp(v))
    assert torch.equal(rebuilt.hvp(v), rebuilt.hvp(v))


def test_a_batch_as_loaders_yield_it_is_one_batch() -> None:
    x, y = data(10)
    whole = sim.Curvature(net(), loss, (x, y))
    yielded = sim.Curvature(net(), loss, [x, y])
    assert (yielded.examples, yielded.loss_value) == (10, whole.loss_value)
    with pytest.raises(CurvatureError, match=r"tuple\(batch\)"):
        sim.Curvature(net(), loss, [x, x])
    assert sim.Curvature(net(), lambda m, b: m(b).square().mean(), iter([x, x])).examples == 20
    assert (
        sim.Curvature(net(), lambda m, b: m(b["x"]).mean(), {"scale": torch.tensor(1.0), "x": x}).examples
        == 10
    )


def test_reading_a_shuffled_loader_leaves_the_generators_alone() -> None:
    loader = DataLoader(TensorDataset(*data(10)), batch_size=4, shuffle=True)
    before = torch.get_rng_state()
    values = [sim.Curvature(net(), loss, loader).loss_value for _ in range(2)]
    assert values[0] == values[1]
    torch.manual_seed(0)
    torch.set_rng_state(before)
    sim.Curvature(net(), loss, loader)
    assert torch.equal(torch.get_rng_state(), before)


def step(model: nn.Module, how: str) -> None:
    if how == "optimizer":
        model[0].weight.grad = torch.ones_like(model[0].weight)
        torch.optim.SGD(model.parameters(), lr=0.1).step()
    elif how == "data":
        model[0].weight.data.mul_(1.1)
    elif how == "one entry":
        model[0].weight.data[1, 2] += 0.1
    elif how == "assigned":
        model.load_state_dict({name: 1.1 * t for name, t in model.state_dict().items()}, assign=True)
    elif how == "another":
        model[0].weight = nn.Parameter(1.1 * model[0].weight.detach())
    elif how == "replaced":
        model[0].weight.data = 1.1 * model[0].weight.data
    else:
        with torch.no_grad():
            model[0].weight.copy_(1.1 * model[0].weight)


@pytest.mark.parametrize(
    "how", ["optimizer", "data", "one entry", "assigned", "another", "replaced", "no_grad"]
)
def test_a_stale_graph_is_an_error_and_refresh_follows(how: str) -> None:
    model, batch = net(), data()
    curv = sim.Curvature(model, loss, batch)
    operator = curv.operator("hessian")
    step(model, how)
    flat = torch.ones(curv.dim, dtype=D)
    for use in (lambda: curv.hvp(flat), curv.sharpness, curv.split, curv.gradient, lambda: curv.loss_value):
        with pytest.raises(CurvatureError, match=r"Call refresh\(\)"):
            use()
    curv.refresh()
    fresh = sim.Curvature(model, loss, batch)
    v = torch.ones(curv.dim, dtype=D)
    assert torch.equal(curv.hvp(v), fresh.hvp(v))
    assert torch.equal(curv.gradient(), fresh.gradient())
    with pytest.raises(CurvatureError, match=r"Call refresh\(\)"):
        operator.matvec(v)


def test_refresh_follows_what_is_trained() -> None:
    model, batch = net(), data()
    curv = sim.Curvature(model, loss, batch)
    model[0].bias.requires_grad_(False)
    with pytest.raises(CurvatureError, match=r"Call refresh\(\)"):
        curv.sharpness()
    curv.refresh()
    assert "0.bias" not in curv.names
    model[0].bias.requires_grad_(True)
    curv.refresh()
    assert torch.equal(curv.gradient(), sim.Curvature(model, loss, batch).gradient())


def test_statistics_that_an_evaluation_computes_with_make_graphs_stale() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).to(D).eval()
    curv = sim.Curvature(model, loss, data())
    model[1].running_var.mul_(2.0)
    with pytest.raises(CurvatureError, match=r"Call refresh\(\)"):
        curv.sharpness()


def test_outputs_that_are_written_into_have_no_jacobian() -> None:
    model, (x, y) = net(), data()

    def in_place(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        z = model(batch[0])
        z.sigmoid_()
        return F.cross_entropy(z, batch[1])

    curv = sim.Curvature(model, in_place, (x, y))
    apart = sim.Curvature(model, lambda m, b: F.cross_entropy(m(b[0]).sigmoid(), b[1]), (x, y))
    v = torch.ones(curv.dim, dtype=D)
    assert torch.allclose(curv.hvp(v), apart.hvp(v))
    with pytest.raises(CurvatureError, match="written into after its call"):
        curv.gauss_newton_product(v)


def test_what_the_old_weight_norm_computes_is_put_back() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 3).to(D)))
    own = model[0].weight
    with sim.Curvature(model, loss, data()) as curv:
        curv.sharpness()
        assert model[0].weight is own


def test_inference_mode() -> None:
    model, batch = net(), data()
    expected = sim.Curvature(model, loss, batch)
    u = torch.ones(expected.outputs_dim, dtype=D)
    with torch.inference_mode():
        curv = sim.Curvature(model, loss, batch)
        assert curv.sharpness().value == expected.sharpness().value
        assert torch.equal(curv.ntk_product(torch.ones_like(u)), expected.ntk_product(u))


def test_closing_frees_and_refresh_opens_again() -> None:
    with sim.Curvature(net(), loss, data()) as curv:
        value = curv.sharpness().value
    with pytest.raises(CurvatureError, match="closed"):
        curv.sharpness()
    curv.refresh()
    assert curv.sharpness().value == value


def test_works_where_gradients_are_off() -> None:
    model, batch = net(), data()
    expected = sim.Curvature(model, loss, batch).sharpness().value
    with torch.no_grad():
        assert sim.Curvature(model, loss, batch).sharpness().value == expected
        assert not torch.is_grad_enabled()


def test_compiled_and_replicated_models_are_unwrapped() -> None:
    model, batch = net(), data()
    compiled = torch.compile(model)
    v = torch.ones(sum(p.numel() for p in model.parameters()), dtype=D)
    assert torch.equal(sim.Curvature(compiled, loss, batch).hvp(v), sim.Curvature(model, loss, batch).hvp(v))


def test_unused_and_frozen_parameters() -> None:
    model = net()
    model.spare = nn.Parameter(torch.ones(2, dtype=D))
    model[0].bias.requires_grad_(False)

    def apart(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return F.cross_entropy(model[2](model[1](model[0](batch[0]))), batch[1])

    curv = sim.Curvature(model, apart, data())
    assert curv.unused == ("spare",)
    assert "0.bias" not in curv.names
    assert curv.dim == 20 + 15 + 3 + 2
    product = curv.hvp({name: torch.ones_like(p) for name, p in model.named_parameters() if p.requires_grad})
    assert product["spare"].tolist() == [0.0, 0.0]
    with pytest.raises(CurvatureError, match="never calls the model itself"):
        curv.gauss_newton_product(torch.ones(curv.dim, dtype=D))


def test_a_loss_that_is_linear_has_no_curvature() -> None:
    linear = nn.Linear(3, 2).to(D)
    curv = sim.Curvature(linear, lambda model, x: model(x).mean(), torch.ones(4, 3, dtype=D))
    assert curv.hvp(torch.ones(8, dtype=D)).tolist() == [0.0] * 8
    assert curv.sharpness().value == 0.0


def penalized(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return loss(model, batch) + sum(p.square().sum() for p in model.parameters())


def test_a_penalty_on_weights_has_a_hessian_but_no_gauss_newton_matrix() -> None:
    model, batch = net(), data()
    v = torch.ones(sum(p.numel() for p in model.parameters()), dtype=D)
    plain, more = sim.Curvature(model, loss, batch), sim.Curvature(model, penalized, batch)
    assert torch.allclose(more.hvp(v), plain.hvp(v) + 2 * v, atol=1e-13)
    with pytest.raises(CurvatureError, match="a penalty on weights"):
        more.gauss_newton_product(v)


class Twice(nn.Module):
    """Returns an output and a function of it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = net()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z = self.inner(x)
        return z, z.tanh()


def test_outputs_choose_what_the_loss_is_a_function_of() -> None:
    model, (x, y) = Twice(), data()

    def both(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        z, t = model(batch[0])
        return F.cross_entropy(z, batch[1]) + t.square().mean()

    v = torch.ones(sum(p.numel() for p in model.parameters()), dtype=D)
    with pytest.raises(CurvatureError, match=r"output \d of the model is computed from another"):
        sim.Curvature(model, both, (x, y)).gauss_newton_product(v)
    chosen = sim.Curvature(model, both, (x, y), outputs=lambda result: result[0])

    def direct(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        z = model(batch[0])
        return F.cross_entropy(z, batch[1]) + z.tanh().square().mean()

    assert torch.allclose(
        chosen.gauss_newton_product(v), sim.Curvature(model.inner, direct, (x, y)).gauss_newton_product(v)
    )


class Once(torch.autograd.Function):
    """An operation whose backward pass cannot be differentiated."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


@torch.no_grad()
def poison(model: nn.Module) -> nn.Module:
    model[2].weight[0, 0] = float("nan")
    return model


def freeze(model: nn.Module) -> nn.Module:
    return model.requires_grad_(False)


def complex_layer() -> nn.Module:
    layer = nn.Module()
    layer.weight = nn.Parameter(torch.ones(3, 4, dtype=torch.complex64))
    return layer


X, Y = data()

BAD = {
    "not a scalar": (
        net,
        lambda m, b: F.cross_entropy(m(b[0]), b[1], reduction="none"),
        (X, Y),
        r"shape \(9,\)",
    ),
    "a number": (net, lambda m, b: loss(m, b).item(), (X, Y), "returned a float"),
    "detached": (net, lambda m, b: loss(m, b).detach(), (X, Y), "does not depend on any"),
    "no parameter": (lambda: freeze(net()), loss, (X, Y), "no trainable parameter"),
    "nan parameter": (lambda: poison(net()), loss, (X, Y), "'2.weight' hold values that are not finite"),
    "overflow": (net, lambda m, b: loss(m, b) / 0, (X, Y), "the loss is inf although every parameter"),
    "no derivative": (
        net,
        lambda m, b: (m(b[0]) * 0).norm(dim=1).sqrt().mean(),
        (X, Y),
        "is not finite although",
    ),
    "empty batch": (net, loss, (X[:0], Y[:0]), r"has no examples: its first tensor has shape \(0, 4\)"),
    "no batches": (net, loss, [], "list without batches"),
    "no tensor": (net, loss, ("a", "b"), "has no tensor in it"),
    "not a batch": (net, loss, 3.0, "batch is a float"),
    "complex": (complex_layer, loss, (X, Y), "complex64"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told(case: str) -> None:
    make, of, batch, text = BAD[case]
    with pytest.raises(CurvatureError, match=text):
        sim.Curvature(make(), of, batch)


def test_operations_without_a_second_derivative_are_named() -> None:
    model = net()
    curv = sim.Curvature(model, lambda m, b: Once.apply(m(b[0])).mean(), data())
    with pytest.raises(CurvatureError, match="once_differentiable"):
        curv.hvp(torch.ones(curv.dim, dtype=D))
    x = torch.randn(2, 2, 4, 4, dtype=D)

    def packed(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        q = model(x)
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, q, q)[0].square().mean()

    attention = sim.Curvature(nn.Linear(4, 4).to(D), packed, x)
    with pytest.raises(
        CurvatureError, match="aten::_scaled_dot_product_flash_attention_for_cpu_backward has no"
    ):
        attention.sharpness()


def test_reentrant_checkpoints_are_refused_and_others_are_right() -> None:
    model, (x, y) = net(), data()
    v = torch.ones(sum(p.numel() for p in model.parameters()), dtype=D)

    def saved(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor], *, reentrant: bool) -> torch.Tensor:
        x = batch[0].requires_grad_()
        return F.cross_entropy(checkpoint(model, x, use_reentrant=reentrant), batch[1])

    again = sim.Curvature(model, functools.partial(saved, reentrant=False), (x.clone(), y))
    assert torch.equal(again.hvp(v), sim.Curvature(model, loss, (x, y)).hvp(v))
    with pytest.raises(CurvatureError, match="use_reentrant=False"):
        sim.Curvature(model, functools.partial(saved, reentrant=True), (x.clone(), y)).hvp(v)


@pytest.mark.parametrize(
    ("vector", "text"),
    [
        (torch.ones(5, dtype=D), r"shape \(5,\).*43 entries"),
        ({"0.weight": torch.ones(5, 4)}, "lacks '0.bias'"),
        ({"elsewhere": torch.ones(1)}, "has 'elsewhere'"),
        ([1.0], "is a list"),
    ],
)
def test_vectors_that_do_not_fit(vector: object, text: str) -> None:
    with pytest.raises(CurvatureError, match=text):
        sim.Curvature(net(), loss, data()).hvp(vector)


def test_arguments_out_of_range() -> None:
    curv = sim.Curvature(net(), loss, data())
    with pytest.raises(CurvatureError, match="this operator has 43 rows"):
        curv.top(44)
    with pytest.raises(CurvatureError, match="'hessian', 'gauss_newton'"):
        curv.top(1, of="fisher")
    with pytest.raises(CurvatureError, match="no curvature along it"):
        curv.directional_sharpness(torch.zeros(43, dtype=D))
    with pytest.raises(CurvatureError, match="gives 27 outputs"):
        curv.ntk_product(torch.ones(5, dtype=D))
