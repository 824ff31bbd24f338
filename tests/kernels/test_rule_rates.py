"""Learning rates of a rule: the tangent kernel against one small step of SGD with the plan's own parameter groups."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn

import similitude as sim
from similitude.kernels import rule_rates
from similitude.kernels.rule_rates import Use
from similitude.scaling.plan import Planner
from similitude.scaling.rules import TABLE
from similitude.training.build import build_model
from tests.kernels.modules import CASES

BASE, WIDER, WIDTHS, SEEDS, LR = 12, 18, (48, 384), 6, 1e-6
WEIGHT, BIAS = 3.0, 0.3
VECTORS = torch.randn(4, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
TARGETS = torch.tensor([[2.0], [-1.0], [0.5], [1.5]], dtype=torch.float64)


def linear(fan_in: int, fan_out: int, bias: float | None) -> nn.Linear:
    """Return a layer whose weights have variance WEIGHT / fan-in, and biases one of their own."""
    layer = nn.Linear(fan_in, fan_out, bias=bias is not None)
    nn.init.normal_(layer.weight, std=math.sqrt(WEIGHT / fan_in))
    if bias is not None:
        nn.init.normal_(layer.bias, std=math.sqrt(bias))
    return layer


def deep(width: int, bias: float | None = BIAS) -> nn.Module:
    """Two hidden layers with biases; zero ones where `bias` is 0."""
    hidden = (linear(5, width, bias), nn.ReLU(), linear(width, width, bias), nn.Tanh())
    return nn.Sequential(*hidden, linear(width, 1, bias)).double()


def shallow(width: int) -> nn.Module:
    return nn.Sequential(linear(5, width, BIAS), nn.Tanh(), linear(width, 1, None)).double()


class Words(nn.Module):
    """Embeddings, a residual branch behind a norm, and a head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.branch, self.head = linear(width, width, None), linear(width, 1, None)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).mean(1)
        return self.head(x + torch.relu(self.branch(self.norm(x))))


def words(width: int) -> nn.Module:
    return Words(width).double()


TOKENS = torch.randint(7, (4, 3), generator=torch.Generator().manual_seed(4))
NETS = {"deep": (deep, VECTORS), "shallow": (shallow, VECTORS), "words": (words, TOKENS)}


def start_rates(make, rule: str) -> dict[str, float]:
    """Return the learning rate of each tensor at the base: the variance of its initial values, or 1."""

    def variance(name: str, p: Tensor) -> float:
        return BIAS if p.dim() == 1 else 1.0 if name == "embed.weight" else WEIGHT / p.shape[1]

    return {n: variance(n, p) if rule == "ntp" else 1.0 for n, p in make(BASE).named_parameters()}


def stepped(make, x: Tensor, rule: str, width: int) -> Tensor:
    """Return -(change of the outputs in one step) / lr, averaged over nets: the kernel times the residual."""
    plan = Planner(make, base=BASE, sample=x, optimizer=torch.optim.SGD, rule=rule).plan(width)
    base = start_rates(make, rule)
    moves = []
    for seed in range(SEEDS):
        net = build_model(partial(make, width), seed, plan)
        names = {id(p): name for name, p in net.named_parameters()}
        groups = [
            {"params": [p], "lr": group["lr"] * base[names[id(p)]]}
            for group in plan.groups(net, lr=LR)
            for p in group["params"]
        ]
        before = net(x)
        # The residual is held: the loss is linear in the outputs, with the targets as its gradient.
        (before * TARGETS).sum().backward()
        torch.optim.SGD(groups, lr=LR).step()
        with torch.no_grad():
            moves.append((before - net(x)) / LR)
    return torch.stack(moves).mean(0).detach()


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        *((name, rule) for name in ("deep", "words") for rule in ("ntp", "mup", "sp")),
        ("shallow", "mean_field"), ("words", "spectral"), ("words", "u_mup"),
    ],
)  # fmt: skip
def test_one_small_step_moves_the_outputs_by_the_kernel_times_the_residual(name, rule):
    make, x = NETS[name]
    kernel = sim.kernel(
        make, sample=x, widths=(BASE, WIDER), rule=rule, weight_variance=WEIGHT, bias_variance=BIAS
    )
    growth = kernel.reader(x).scales.growth
    expected = kernel.ntk(x) @ TARGETS
    near, far = (
        float((stepped(make, x, rule, width) / (width / BASE) ** growth - expected).norm() / expected.norm())
        for width in WIDTHS
    )
    assert far < 0.1
    # Shares that vanish beside others (of sp as 1 / r, of u_mup's tables as r^-0.5) are what is left at the smaller one.
    assert near < 0.3


def test_only_what_a_rule_lets_diverge_is_divided():
    found = {
        rule: sim.kernel(deep, sample=VECTORS, widths=(BASE, WIDER), rule=rule)
        for rule in ("ntp", "mup", "sp", "spectral")
    }
    growth = {rule: k.reader(VECTORS).scales.growth for rule, k in found.items()}
    assert growth == {"ntp": 0, "mup": 0, "sp": 1, "spectral": 0}
    said = str(found["sp"].explain())
    assert "grows as r^1" in said
    assert "r = width / 12" in said
    assert "initial outputs go as r^-0.5" in str(found["mup"].explain())


def test_biases_that_start_at_zero_are_trained_under_all_rules_but_ntp():
    def shares(rule: str) -> dict[str, Tensor]:
        return sim.kernel(partial(deep, bias=0.0), sample=VECTORS, widths=(BASE, WIDER), rule=rule).by_layer(
            VECTORS
        )

    assert set(shares("ntp")) == {"0.weight", "2.weight", "4.weight"}
    mup = shares("mup")
    torch.testing.assert_close(mup["4.bias"], torch.ones(4, 4, dtype=torch.float64))
    assert mup["0.bias"].diagonal().min() > 0


def test_a_convolutions_zero_bias_has_the_variance_that_is_given():
    def make(width: int) -> nn.Module:
        conv = nn.Conv1d(2, width, 3)
        conv.load_state_dict({"weight": conv.weight, "bias": torch.zeros(width)})
        return nn.Sequential(conv, nn.Flatten(), nn.Linear(4 * width, 1, bias=False))

    x = torch.zeros(1, 2, 6, dtype=torch.float64)
    assert float(
        sim.kernel(make, widths=(8, 12), weight_variance=1.0, bias_variance=0.7).nngp(x)
    ) == pytest.approx(0.7)


def test_a_rule_under_which_the_signal_vanishes_is_refused_with_the_power():
    with pytest.raises(sim.KernelError, match=r"mean_field.*'2\.weight' \(hidden\).*width\^-1.*vanish"):
        sim.kernel(deep, sample=VECTORS, widths=(BASE, WIDER), rule="mean_field")


def test_a_function_of_a_readout_that_vanishes_is_refused():
    def make(width: int) -> nn.Module:
        return nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, 1), nn.Tanh())

    assert sim.kernel(make, sample=VECTORS, widths=(8, 12)).ntk(VECTORS).shape == (4, 4)
    with pytest.raises(sim.KernelError, match=r"'2\.(weight|bias)'.*nonlinear"):
        sim.kernel(make, sample=VECTORS, widths=(8, 12), rule="mup")


@pytest.mark.parametrize(
    "name", ["residual, LayerNorm", "convolutions, flattened", "embeddings with positions", "SwiGLU"]
)
def test_roles_are_those_of_the_plan(name):
    case = CASES[name]
    scales = sim.kernel(case.make, sample=case.x, widths=(16, 24), rule="mup").reader(case.x).scales
    sample = case.x.float() if case.x.is_floating_point() else case.x
    plan = sim.plan(case.make, base=16, target=32, sample=sample, optimizer=torch.optim.SGD)
    roles = {row.name: row.role for row in plan.rows}
    for (parameter, kind), note in scales.notes.items():
        assert f"trained as {roles[parameter]} " in note, (parameter, kind)


def test_a_module_alone_has_the_roles_of_its_family():
    family = sim.kernel(deep, sample=VECTORS, widths=(BASE, WIDER), rule="mup")
    alone = sim.kernel(deep(BASE), sample=VECTORS, rule="mup")
    rates = [k.reader(VECTORS).scales.rate for k in (family, alone)]
    assert rates[0] == pytest.approx(rates[1])


def test_outputs_that_are_neurons_have_no_readout():
    def make(width: int) -> nn.Module:
        return nn.Sequential(linear(5, width, None), nn.ReLU(), linear(width, width, None)).double()

    scales = sim.kernel(make, sample=VECTORS, widths=(8, 12), rule="mup").reader(VECTORS).scales
    assert (scales.growth, scales.outputs) == (1, 0)
    assert all(rate > 0 for rate in scales.rate.values())


def test_a_wrong_cell_of_the_table_is_seen(monkeypatch):
    make, x = NETS["words"]
    right = sim.kernel(make, sample=x, widths=(BASE, WIDER), rule="mup").ntk(x)
    cell = TABLE["mup"]["lookup"]
    monkeypatch.setitem(TABLE, "mup", {**TABLE["mup"], "lookup": replace(cell, sgd=type(cell.sgd)(0, 0.5))})
    wrong = sim.kernel(make, sample=x, widths=(BASE, WIDER), rule="mup").ntk(x)
    assert float((right - wrong).norm() / right.norm()) > 0.05


def test_constants_of_the_table_are_powers_with_a_factor():
    # Spectral: 1 / sqrt(fan-in) min(1, sqrt(fan-out / fan-in)), here of 64 inputs at 16 neurons and at infinitely many.
    uses = {
        ("w", "matrix"): Use("matrix", 1.0, 64, 16),
        ("o", "matrix"): Use("matrix", 1.0, 16, 1, True, True),
    }
    found = rule_rates.rule_rates("spectral", uses).uses["w", "matrix"]
    assert found.variance == pytest.approx(64 / 16)
    assert found.rate == pytest.approx(64)
