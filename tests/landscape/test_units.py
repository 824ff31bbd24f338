"""Thresholds against the optimizers themselves: torch's own steps on a quadratic, a little below and above each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from similitude.core.errors import CurvatureError
from similitude.landscape.units import Units, units_of
from similitude.landscape.vectors import ParameterSpace

SHAPES = ((3, 2), (4,), ())


class Quadratic(nn.Module):
    """Parameters of several shapes, with loss x'Hx / 2 of all of them, H positive definite."""

    def __init__(self, seed: int = 0, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        draw = lambda *shape: torch.randn(shape, generator=g, dtype=torch.float64)  # noqa: E731
        self.parts = nn.ParameterList([nn.Parameter(1e-6 * draw(*shape).to(dtype)) for shape in SHAPES])
        self.dim = sum(p.numel() for p in self.parts)
        root = draw(self.dim, self.dim)
        self.hessian = (root @ root.T / self.dim).to(dtype)

    def flat(self) -> Tensor:
        return torch.cat([p.reshape(-1) for p in self.parts])

    def loss(self) -> Tensor:
        return self.flat() @ self.hessian @ self.flat() / 2


Make = Callable[[Quadratic], optim.Optimizer]


@dataclass(frozen=True)
class Case:
    """An optimizer of a quadratic, and state to hold it at (large second moments beside tiny gradients)."""

    make: Make
    frozen: tuple[str, ...] = ()
    steps: int = 0
    threshold: float | None = None
    rest: dict[str, float] = field(default_factory=dict)


def plain(cls: type[optim.Optimizer], **options: Any) -> Make:
    return lambda model: cls(model.parameters(), **options)


def grouped(cls: type[optim.Optimizer], *groups: dict[str, Any], **options: Any) -> Make:
    def make(model: Quadratic) -> optim.Optimizer:
        return cls([{"params": [p], **g} for p, g in zip(model.parts, groups, strict=True)], **options)

    return make


SECOND = ("exp_avg_sq",)
RATES = ({"lr": 0.1}, {"lr": 0.03}, {"lr": 0.2})
DECAYS = ({"weight_decay": 0.0}, {"weight_decay": 1.5}, {"weight_decay": 4.0})
adam = partial(plain, optim.Adam, lr=0.1, betas=(0.9, 0.999999))
adamw = partial(plain, optim.AdamW, lr=0.1, betas=(0.9, 0.999999))
nadam = partial(plain, optim.NAdam, lr=0.1, betas=(0.9, 0.999999))
radam = partial(plain, optim.RAdam, lr=0.1, betas=(0.9, 0.999))
CASES = {
    "gd": Case(plain(optim.SGD, lr=0.3), threshold=2),
    "gd-decay": Case(plain(optim.SGD, lr=0.3, weight_decay=0.2), threshold=2),
    "gd-decay-in-one-group": Case(grouped(optim.SGD, *DECAYS, lr=0.1), threshold=2),
    "gd-rates": Case(grouped(optim.SGD, *RATES), threshold=2),
    "gd-foreach": Case(plain(optim.SGD, lr=0.3, foreach=True), threshold=2),
    "gd-tensor-lr": Case(plain(optim.SGD, lr=torch.tensor(0.3)), threshold=2),
    "heavy-ball": Case(plain(optim.SGD, lr=0.3, momentum=0.9), threshold=3.8),
    "heavy-ball-dampened": Case(plain(optim.SGD, lr=0.3, momentum=0.8, dampening=0.5), threshold=7.2),
    "heavy-ball-rates": Case(grouped(optim.SGD, *RATES, momentum=0.5), threshold=3),
    "nesterov": Case(plain(optim.SGD, lr=0.3, momentum=0.9, nesterov=True), threshold=3.8 / 2.8),
    "nesterov-decay": Case(
        plain(optim.SGD, lr=0.3, momentum=0.5, nesterov=True, weight_decay=0.3), threshold=1.5
    ),
    "adam": Case(adam(), SECOND, 400_000, 38),
    "adam-early": Case(adam(), SECOND, 3, 38),
    "adam-beta": Case(plain(optim.Adam, lr=0.1, betas=(0.5, 0.999999)), SECOND, 20, 6),
    "adam-eps": Case(adam(eps=1.0), SECOND, 400_000, 38),
    "adam-decay": Case(adam(weight_decay=0.3), SECOND, 400_000, 38),
    "adam-amsgrad": Case(adam(amsgrad=True), ("exp_avg_sq", "max_exp_avg_sq"), 400_000, 38),
    "adam-rates": Case(grouped(optim.Adam, *RATES, betas=(0.9, 0.999999)), SECOND, 400_000, 38),
    "adam-fused": Case(adam(fused=True), SECOND, 400_000, 38),
    "adam-foreach": Case(adam(foreach=True), SECOND, 400_000, 38),
    "adam-tensor-lr": Case(
        plain(optim.Adam, lr=torch.tensor(0.1), betas=(0.9, 0.999999), foreach=False), SECOND, 9, 38
    ),
    "adamw": Case(adamw(weight_decay=0.01), SECOND, 400_000, 38),
    "adamw-strong": Case(adamw(weight_decay=8.0), SECOND, 400_000, 38),
    "adamw-one-group": Case(
        grouped(optim.AdamW, *DECAYS, lr=0.2, betas=(0.9, 0.999999)), SECOND, 400_000, 38
    ),
    "adamax": Case(plain(optim.Adamax, lr=0.1, betas=(0.9, 0.999999)), ("exp_inf",), 5, 38),
    "adamax-decay": Case(
        plain(optim.Adamax, lr=0.1, betas=(0.9, 0.999999), weight_decay=0.3), ("exp_inf",), 500, 38
    ),
    "nadam": Case(nadam(), SECOND, 200_000, 3.8 / 0.28, {"mu_product": 0.0}),
    "nadam-early": Case(nadam(), SECOND, 10, 3.8 / 0.28, {"mu_product": 3e-4}),
    "nadam-decoupled": Case(
        nadam(weight_decay=3.0, decoupled_weight_decay=True), SECOND, 200_000, 3.8 / 0.28, {"mu_product": 0.0}
    ),
    "radam": Case(radam(), SECOND, 2000, 38),
    "radam-early": Case(radam(), SECOND, 3, 38),
    "radam-decoupled": Case(radam(weight_decay=2.0, decoupled_weight_decay=True), SECOND, 2000, 38),
    "rmsprop": Case(plain(optim.RMSprop, lr=0.1, alpha=0.999999), ("square_avg",), 5, 2),
    "rmsprop-momentum": Case(
        plain(optim.RMSprop, lr=0.1, alpha=0.999999, momentum=0.9), ("square_avg",), 5, 3.8
    ),
    "rmsprop-centered": Case(
        plain(optim.RMSprop, lr=0.1, alpha=0.999999, centered=True, weight_decay=0.1),
        ("square_avg", "grad_avg"),
        5,
        2,
    ),
    "adagrad": Case(plain(optim.Adagrad, lr=0.1), ("sum",), 5, 2),
    "adagrad-decays": Case(plain(optim.Adagrad, lr=0.1, lr_decay=0.01, weight_decay=0.3), ("sum",), 50, 2),
}


def hold(optimizer: optim.Optimizer, case: Case, *, before_step: bool) -> None:
    """Set the state of every parameter to the frozen one, as it is before or after a step."""
    for number, (p, state) in enumerate(optimizer.state.items()):
        for name in case.frozen:
            g = torch.Generator().manual_seed(7 + number)
            values = (0.3 + torch.rand(p.shape, generator=g, dtype=torch.float64)).to(p.dtype)
            state[name].copy_(0.2 * values if name == "grad_avg" else values)
        if "step" in state:
            state["step"].fill_(case.steps - 1 if before_step else case.steps)
        if "mu_product" in state:
            state["mu_product"].fill_(case.rest["mu_product"])
            if before_step and case.rest["mu_product"]:  # the step multiplies it by its own momentum
                state["mu_product"].div_(0.9 * (1 - 0.5 * 0.96 ** (case.steps * 4e-3)))


def at(model: Quadratic, case: Case) -> tuple[optim.Optimizer, Units]:
    """Return the optimizer after a step, its state held, and the units that are read off it."""
    optimizer = case.make(model)
    start = [p.detach().clone() for p in model.parts]
    model.loss().backward()
    optimizer.step()
    hold(optimizer, case, before_step=False)
    for state in optimizer.state.values():  # the first step was made with another preconditioner
        if state.get("momentum_buffer") is not None:
            state["momentum_buffer"].zero_()
    with torch.no_grad():
        for p, was in zip(model.parts, start, strict=True):
            p.copy_(was)
    return optimizer, units_of(optimizer, ParameterSpace.of(model))


def seen_sharpness(model: Quadratic, units: Units) -> float:
    """Return the largest eigenvalue of diag(scale) (H + shift) diag(scale), by dense algebra."""
    shift = torch.zeros(model.dim) if units.shift is None else units.shift
    matrix = units.scale[:, None] * (model.hessian + torch.diag(shift)) * units.scale
    return float(torch.linalg.eigvalsh(matrix)[-1])


def size_after(model: Quadratic, optimizer: optim.Optimizer, case: Case, steps: int) -> float:
    """Return how large the parameters are after more steps with the state held, in units of their first size.

    It ends when they have grown a thousandfold.
    """
    first, size = model.flat().detach().norm(), 1.0
    for _ in range(steps):
        hold(optimizer, case, before_step=True)
        optimizer.zero_grad()
        model.loss().backward()
        optimizer.step()
        size = float(model.flat().detach().norm() / first)
        if size > 1000:
            break
    return size


def placed(case: Case, part: float) -> tuple[Quadratic, optim.Optimizer]:
    """Return a quadratic whose eta times sharpness is a part of the threshold, ready to be trained."""
    model = Quadratic()
    optimizer, units = at(model, case)
    shift = torch.zeros(model.dim) if units.shift is None else units.shift
    # H = c H0 - (1 - c) shift has H + shift = c (H0 + shift): sharpness goes with c, decay stays what it is.
    c = part * units.threshold / (units.eta * seen_sharpness(model, units))
    model.hessian = c * (model.hessian + torch.diag(shift)) - torch.diag(shift)
    assert units.eta * seen_sharpness(model, units) == pytest.approx(part * units.threshold, rel=1e-9)
    return model, optimizer


@pytest.mark.parametrize("name", CASES)
def test_steps_die_out_below_the_threshold_and_run_away_above(name):
    case = CASES[name]
    below = size_after(*placed(case, 0.99), case, 300)
    above = size_after(*placed(case, 1.01), case, 900)
    assert above > 100 > 1 > below, (below, above)


@pytest.mark.parametrize("name", CASES)
def test_thresholds_are_those_of_the_literature(name):
    _, units = at(Quadratic(), CASES[name])
    assert units.threshold == pytest.approx(CASES[name].threshold, rel=1e-9)


def test_adam_is_cohens_preconditioner():
    """P = (1 - b1^t) (sqrt(v / (1 - b2^t)) + eps), written out anew."""
    model = Quadratic()
    optimizer = optim.Adam(model.parameters(), lr=0.01, betas=(0.8, 0.99), eps=1e-7)
    for _ in range(4):
        optimizer.zero_grad()
        model.loss().backward()
        optimizer.step()
    v = torch.cat([optimizer.state[p]["exp_avg_sq"].reshape(-1) for p in model.parts])
    units = units_of(optimizer, ParameterSpace.of(model))
    wanted = (1 - 0.8**4) * ((v / (1 - 0.99**4)).sqrt() + 1e-7)
    torch.testing.assert_close(1 / units.scale**2, wanted, rtol=1e-12, atol=0)
    assert (units.name, units.steps, units.eta, units.shift, units.frozen) == ("Adam", 4, 0.01, None, ())
    assert units.formula == "(2 + 2 beta1) / (1 - beta1), beta1 = 0.8"


def test_only_reads():
    model = Quadratic(dtype=torch.float32)
    optimizer = optim.Adam(model.parameters())
    model.parts[0].sum().backward()  # the others get no gradient, hence no state
    optimizer.step()
    before = {id(p): {k: v.clone() for k, v in s.items()} for p, s in optimizer.state.items()}
    units = units_of(optimizer, ParameterSpace.of(model))
    assert len(optimizer.state) == len(before) == 1
    assert all(torch.equal(v, before[id(p)][k]) for p, s in optimizer.state.items() for k, v in s.items())
    assert units.frozen == ("parts.1", "parts.2")
    assert bool((units.scale[:6] > 0).all())
    assert bool((units.scale[6:] == 0).all())


def test_half_precision_state_keeps_its_eps():
    model = Quadratic(dtype=torch.bfloat16)
    optimizer = optim.Adam(model.parameters(), eps=1e-8, weight_decay=0.01)
    model.loss().backward()
    optimizer.step()
    for state in optimizer.state.values():
        state["exp_avg_sq"].zero_()
    units = units_of(optimizer, ParameterSpace.of(model))
    assert units.scale.dtype == torch.float32
    torch.testing.assert_close(units.scale, torch.full((11,), (0.1e-8) ** -0.5), rtol=1e-5, atol=0)
    assert units.shift is not None
    torch.testing.assert_close(units.shift, torch.full((11,), 0.01), rtol=1e-6, atol=0)


def test_parameters_that_the_optimizer_does_not_hold_do_not_count():
    model = Quadratic()
    optimizer = optim.SGD([model.parts[1]], lr=0.1)
    units = units_of(optimizer, ParameterSpace.of(model))
    assert units.scale.tolist() == [0.0] * 6 + [1.0] * 4 + [0.0]
    assert units.frozen == ("parts.0", "parts.2")


def test_a_warm_up_that_starts_at_rate_zero():
    model = Quadratic()
    units = units_of(optim.SGD(model.parameters(), lr=0.0), ParameterSpace.of(model))
    assert units.eta == 0
    assert bool((units.scale == 1).all())


class Lion(optim.Optimizer):
    """Steps of signs."""

    def __init__(self, params) -> None:
        super().__init__(params, {"lr": 0.1})

    def step(self, closure=None):
        """Do nothing."""


class Renamed(optim.Adam):
    """Adam with another name."""


class Clipped(optim.Adam):
    """Adam whose steps are changed."""

    def step(self, closure=None):
        """Clip, then step."""
        return super().step(closure)


REFUSED = {
    "unknown": (lambda m: Lion(m.parameters()), r"no threshold is known for Lion.*directional_sharpness"),
    "overridden": (lambda m: Clipped(m.parameters()), "no threshold is known for Clipped"),
    "lbfgs": (lambda m: optim.LBFGS(m.parameters()), "LBFGS.*directional_sharpness"),
    "rprop": (lambda m: optim.Rprop(m.parameters()), "Rprop.*directional_sharpness"),
    "muon": (lambda m: optim.Muon([m.parts[0]]), "Muon.*directional_sharpness"),
    "class": (lambda m: optim.SGD, "a type is no optimizer"),
    "others": (lambda m: optim.SGD(nn.Linear(2, 2).parameters()), "none of the 2 tensors .* 3 trainable"),
    "before-a-step": (lambda m: optim.Adam(m.parameters()), "no state of the 3 parameters yet.*Take a step"),
    "adagrad-before": (lambda m: optim.Adagrad(m.parameters()), "Take a step first"),
    "maximize": (lambda m: optim.SGD(m.parameters(), maximize=True), "group 0 has maximize=True"),
    "momentum": (lambda m: optim.SGD(m.parameters(), momentum=1.0), "momentum is 1"),
    "dampening": (lambda m: optim.SGD(m.parameters(), momentum=0.5, dampening=1.0), "dampening is 1.*0 of"),
    "groups": (
        grouped(optim.SGD, {"momentum": 0.9}, {"momentum": 0.9}, {"momentum": 0.5}),
        r"groups 0 and 2 have thresholds 3.8 \(2 \(1 \+ b\), momentum b = 0.9\) and 3 .*same momentum",
    ),
    "rate": (lambda m: optim.SGD(m.parameters(), lr=float("nan")), "learning rate nan"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_why(name):
    make, text = REFUSED[name]
    model = Quadratic()
    if name == "muon" and not hasattr(optim, "Muon"):
        pytest.skip("this torch has no Muon")
    with pytest.raises(CurvatureError, match=text):
        units_of(make(model), ParameterSpace.of(model))


def test_second_moments_of_zero_need_eps():
    model = Quadratic()
    optimizer = optim.RMSprop(model.parameters(), eps=0.0)
    (model.flat()[:8] ** 2).sum().backward()
    optimizer.step()
    with pytest.raises(CurvatureError, match=r"2 of 4 entries of the state of 'parts.1'.*eps = 0.*eps > 0"):
        units_of(optimizer, ParameterSpace.of(model))


def test_a_decay_that_makes_weights_grow():
    model = Quadratic()
    optimizer = optim.AdamW(model.parameters(), lr=1.0, weight_decay=2.5)
    model.loss().backward()
    optimizer.step()
    with pytest.raises(CurvatureError, match=r"learning rate x weight decay is 2.5 for 'parts.0'"):
        units_of(optimizer, ParameterSpace.of(model))


def test_a_subclass_that_steps_as_its_parent():
    model = Quadratic()
    optimizer = Renamed(model.parameters())
    model.loss().backward()
    optimizer.step()
    assert units_of(optimizer, ParameterSpace.of(model)).threshold == pytest.approx(38)


def test_the_wrapper_of_accelerate_is_looked_through():
    accelerate = pytest.importorskip("accelerate")
    model = Quadratic()
    accelerator = accelerate.Accelerator(cpu=True)
    wrapped = accelerator.prepare_optimizer(optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    assert units_of(wrapped, ParameterSpace.of(model)).name == "heavy ball"


@pytest.mark.slow  # for the import of lightning
def test_the_wrapper_of_lightning_is_looked_through():
    optimizers = pytest.importorskip("lightning.pytorch.core.optimizer")
    model = Quadratic()
    wrapped = optimizers.LightningOptimizer(optim.SGD(model.parameters(), lr=0.1))
    assert units_of(wrapped, ParameterSpace.of(model)).name == "gradient descent"


def test_a_wrapper_with_a_state_of_its_own_is_another_optimizer():
    zoo = pytest.importorskip("pytorch_optimizer")
    model = Quadratic()
    with pytest.raises(CurvatureError, match="no threshold is known for Lookahead"):
        units_of(zoo.Lookahead(optim.SGD(model.parameters(), lr=0.1)), ParameterSpace.of(model))
