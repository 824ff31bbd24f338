"""Family, decay, defaults and own scale of everything that can stand for an optimizer."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch.optim import ASGD, SGD, Adafactor, Adagrad, Adam, Adamax, AdamW, Muon, NAdam, RAdam, RMSprop, Rprop

from similitude.core.errors import PlanError
from similitude.scaling.optimizers import OptimizerSpec, register_optimizer, resolve


class Mine(AdamW):
    pass


class MyMuon(Muon):
    pass


def _parameter() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.zeros(2))]


@pytest.mark.parametrize(
    ("optimizer", "name", "family", "decay", "eps", "weight_decay"),
    [
        (SGD, "SGD", "sgd", "shrink", None, 0),
        (partial(SGD, lr=0.1, momentum=0.9, weight_decay=1e-4), "SGD", "sgd", "shrink", None, 1e-4),
        (partial(SGD, momentum=0.9, nesterov=True, fused=True), "SGD", "sgd", "shrink", None, 0),
        (Adam, "Adam", "entrywise", "gradient", 1e-8, 0),
        (lambda p: Adam(p, eps=1e-6, amsgrad=True), "Adam", "entrywise", "gradient", 1e-6, 0),
        (partial(Adam, decoupled_weight_decay=True), "Adam", "entrywise", "shrink", 1e-8, 0),
        (AdamW, "AdamW", "entrywise", "shrink", 1e-8, 1e-2),
        (AdamW(_parameter(), weight_decay=0.1, foreach=True), "AdamW", "entrywise", "shrink", 1e-8, 0.1),
        (partial(AdamW, fused=True), "AdamW", "entrywise", "shrink", 1e-8, 1e-2),
        (partial(AdamW, capturable=True, lr=torch.tensor(1e-3)), "AdamW", "entrywise", "shrink", 1e-8, 1e-2),
        (Mine, "Mine", "entrywise", "shrink", 1e-8, 1e-2),
        (NAdam, "NAdam", "entrywise", "gradient", 1e-8, 0),
        (partial(NAdam, decoupled_weight_decay=True), "NAdam", "entrywise", "shrink", 1e-8, 0),
        (Adamax, "Adamax", "entrywise", "gradient", 1e-8, 0),
        (RMSprop, "RMSprop", "entrywise", "gradient", 1e-8, 0),
        (Adagrad, "Adagrad", "entrywise", "gradient", 1e-10, 0),
        (Muon, "Muon", "orthogonalized", "shrink", 1e-7, 0.1),
        (partial(MyMuon, adjust_lr_fn="match_rms_adamw"), "MyMuon", "orthogonalized", "shrink", 1e-7, 0.1),
    ],
)
def test_what_a_plan_learns_about_an_optimizer(optimizer, name, family, decay, eps, weight_decay):
    spec = resolve(optimizer)
    assert (spec.name, spec.family, spec.decay) == (name, family, decay)
    assert (spec.defaults.get("eps"), spec.defaults["weight_decay"]) == (eps, weight_decay)
    assert "lr" not in spec.defaults


SHAPES = [((64, 64), (256, 256)), ((16, 64), (16, 256)), ((64, 16), (256, 16)), ((8, 64), (128, 256))]


@pytest.mark.parametrize(("base_shape", "shape"), SHAPES)
@pytest.mark.parametrize("adjust", [None, "original", "match_rms_adamw"])
def test_the_own_scale_of_muon_is_what_a_step_has_beyond_an_orthogonal_matrix(adjust, base_shape, shape):
    """Two real steps on gradients of rank one, whose orthogonalized spectral norm knows no shape."""

    def size(shape: tuple[int, ...]) -> float:
        weight = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
        weight.grad = torch.ones(shape, dtype=torch.float64)
        Muon([weight], lr=1.0, weight_decay=0.0, adjust_lr_fn=adjust).step()
        return float(torch.linalg.matrix_norm(weight.detach(), ord=2))

    spec = resolve(partial(Muon, adjust_lr_fn=adjust))
    assert spec.adjustment(base_shape, shape) == pytest.approx(size(shape) / size(base_shape), rel=0.01)


def test_the_own_scale_is_exact_for_powers_of_four_and_one_elsewhere():
    muon, rms = resolve(Muon), resolve(partial(Muon, adjust_lr_fn="match_rms_adamw"))
    assert muon.adjustment((64, 64), (256, 256)) == 1.0
    assert muon.adjustment((48, 48), (768, 48)) == 4.0
    assert rms.adjustment((24, 24), (96, 96)) == 2.0
    assert muon.adjustment((64,), (256,)) == rms.adjustment((3, 3, 3, 3), (9, 9, 3, 3)) == 1.0
    assert resolve(AdamW).adjustment((8, 8), (32, 8)) == 1.0


def test_what_folding_cannot_keep_is_warned_about():
    assert resolve(AdamW).warnings == resolve(SGD).warnings == ()
    for optimizer, text in (
        (Adam, "normalizes weight decay together with the gradient"),
        (partial(Adagrad, initial_accumulator_value=0.1), "initial_accumulator_value=0.1"),
        (Muon, "bfloat16"),
    ):
        spec = resolve(optimizer)
        assert any(text in warning for warning in spec.warnings)
        assert all(warning.startswith(f"{spec.name} ") for warning in spec.warnings)


@pytest.mark.parametrize(
    ("optimizer", "text"),
    [
        (torch.optim.Adadelta, "optimizer Adadelta has no rule yet: its eps sets the size of its steps"),
        (
            torch.optim.LBFGS,
            r"LBFGS has no rule yet: its step needs a closure.*Supported are the classes of",
        ),
        (torch.optim.SparseAdam, "SparseAdam has no rule yet: it makes no step on a dense gradient"),
        ("adamw", "optimizer='adamw' is not an optimizer"),
        (lambda p: p, "returned a list, not a torch.optim.Optimizer"),
        (lambda p, lr: SGD(p, lr=lr), "cannot be built from parameters alone: TypeError"),
        (partial(AdamW, eps=-1.0), "cannot be built from parameters alone: ValueError"),
    ],
)
def test_what_has_no_rule_is_told(optimizer, text):
    with pytest.raises(PlanError, match=text):
        resolve(optimizer)


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_the_first_steps_of_radam_follow_the_raw_gradient(scale):
    """As many as its specification says: they are in proportion to the gradient, and later ones are not."""
    seen: dict[float, list[float]] = {}
    for size in (scale, scale / 100):
        weight = torch.zeros(1, requires_grad=True)
        optimizer = RAdam([weight], lr=1.0)
        seen[size] = []
        for _ in range(12):
            before = weight.item()
            weight.grad = torch.full((1,), size)
            optimizer.step()
            seen[size].append(before - weight.item())
    ratios = [a / b for a, b in zip(*seen.values(), strict=True)]
    raw = [math.isclose(ratio, 100, rel_tol=1e-2) for ratio in ratios]
    spec = resolve(RAdam)
    assert raw == [True] * spec.settling + [False] * (12 - spec.settling)
    assert any("first 5 steps" in text for text in spec.warnings)


class OwnStep(SGD):
    """A subclass whose steps are those of the sign."""

    def step(self, closure=None):
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.sub_(group["lr"] * p.grad.sign())


def test_a_step_of_its_own_is_measured_and_an_inherited_one_is_derived():
    assert resolve(OwnStep).family == "entrywise"
    assert any("was measured" in text for text in resolve(OwnStep).warnings)
    assert not any("was measured" in text for text in resolve(Mine).warnings)


def test_more_of_torch():
    rprop, asgd, adafactor = resolve(Rprop), resolve(ASGD), resolve(Adafactor)
    assert (rprop.family, rprop.decay) == ("entrywise", "none")
    assert any("step_sizes" in text for text in rprop.warnings)
    assert (asgd.family, asgd.decay) == ("sgd", "shrink")
    assert (adafactor.family, adafactor.decay, adafactor.relative) == ("entrywise", "shrink", True)


def test_a_third_party_says_what_its_optimizer_does():
    class Theirs(torch.optim.Optimizer):
        def __init__(self, params, lr=0.1, weight_decay=0.0):
            super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

        def step(self, closure=None):  # nothing that could be measured
            raise RuntimeError("not on this machine")

    with pytest.raises(PlanError, match=r"Theirs has no rule yet: it makes no step.*not on this machine"):
        resolve(Theirs)
    register_optimizer(Theirs, OptimizerSpec("any", "entrywise", "shrink", {}))
    assert resolve(Theirs) == OptimizerSpec("Theirs", "entrywise", "shrink", {"weight_decay": 0.0})
    by_options = lambda o: OptimizerSpec("any", "sgd", "fixed", {"weight_decay": o.defaults["lr"]})  # noqa: E731
    with pytest.raises(PlanError, match="Theirs is registered already"):
        register_optimizer(Theirs, by_options)
    register_optimizer(Theirs, by_options, replace=True)
    assert resolve(partial(Theirs, lr=0.3)).defaults == {"weight_decay": 0.3}

    class Heir(Theirs):
        def step(self, closure=None):
            raise RuntimeError("another step")

    with pytest.raises(PlanError, match="another step"):
        resolve(Heir)


@pytest.mark.parametrize(
    ("cls", "spec", "text"),
    [
        (3, OptimizerSpec("a", "sgd", "none", {}), "3 is not an optimizer class"),
        (
            Mine,
            OptimizerSpec("a", "lion", "none", {}),
            "Mine cannot have the family 'lion'. Choose one of 'sgd'",
        ),
        (Mine, "sgd", "Mine cannot be registered with a str"),
    ],
)
def test_what_cannot_be_registered_is_told(cls, spec, text):
    with pytest.raises(PlanError, match=text):
        register_optimizer(cls, spec)
