"""The measured geometry of optimizers whose law is known by construction, and the refusals of those without one."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import similitude as sim
from similitude.core.errors import PlanError
from similitude.scaling.factors import training_factors
from similitude.scaling.geometry import measure_optimizer
from similitude.scaling.optimizers import resolve
from similitude.scaling.shape_laws import LAWS, Point, fit_shapes
from similitude.scaling.trial import aligned_gradients, steps_of

SIDES = (32, 96)


class Law(torch.optim.Optimizer):
    """An optimizer whose step is any function of the gradient, the tensor and its group."""

    def __init__(self, params: Any, *, law: Callable[..., Tensor], lr: float = 1e-3, **defaults: Any) -> None:
        super().__init__(params, {"lr": lr, **defaults})
        self.law = law

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                state["t"] = state.get("t", 0) + 1
                given = {k: v for k, v in group.items() if k not in ("params", "lr")}
                p.sub_(group["lr"] * self.law(p.grad, p, t=state["t"], **given))


def polar(g: Tensor) -> Tensor:
    u, s, v = torch.linalg.svd(g, full_matrices=False)
    keep = s > 1e-9 * s[0]
    return u[:, keep] @ v[keep]


def rms(values: Tensor) -> Tensor:
    return values.square().mean().sqrt()


def measured(law: Callable[..., Tensor], **options: Any) -> Any:
    return measure_optimizer(partial(Law, law=law, **options), sizes=SIDES)


# Each step has the exponents beside it, worked out on gradients of low rank with entries of one size.
KNOWN = {
    "gradient": (lambda g, w, t: g, "sgd", "sqrt(fan_in fan_out)", (0.5, 0.5, 1, 0)),
    "sign": (lambda g, w, t: g.sign(), "entrywise", "sqrt(fan_in fan_out)", (0.5, 0.5, 0, 0)),
    "polar": (lambda g, w, t: polar(g) if g.ndim == 2 else g.sign(), "orthogonalized", "1", (0, 0, 0, 0)),
    "unit norm": (lambda g, w, t: g / g.norm(), "orthogonalized", "1", (0, 0, 0, 0)),
    "aspect": (
        lambda g, w, t: polar(g) * (g.shape[0] / g.shape[1]) ** 0.5,
        "orthogonalized",
        "sqrt(fan_out / fan_in)",
        (-0.5, 0.5, 0, 0),
    ),
    "per row": (
        lambda g, w, t: g / g.norm(dim=1, keepdim=True),
        "orthogonalized",
        "fan_in^0 fan_out^0.5",
        (0, 0.5, 0, 0),
    ),
    "relative sign": (
        lambda g, w, t: g.sign() * rms(w),
        "entrywise",
        "sqrt(fan_in fan_out)",
        (0.5, 0.5, 0, 1),
    ),
    "trust ratio": (
        lambda g, w, t: g * w.norm() / g.norm(),
        "entrywise",
        "sqrt(fan_in fan_out)",
        (0.5, 0.5, 0, 1),
    ),
}


@pytest.mark.parametrize(("law", "family", "name", "exponents"), KNOWN.values(), ids=KNOWN)
def test_laws_that_are_known_by_construction(law, family, name, exponents):
    found = measured(law)
    assert (found.family, found.law, found.reason) == (family, name, "")
    keys = ("fan_in", "fan_out", "gradient", "weight")
    assert [found.exponents[key] for key in keys] == pytest.approx(exponents, abs=0.04)
    assert found.exponents["lr"] == pytest.approx(1, abs=0.02)
    assert found.exponents["eps"] is None
    assert found.residual < 0.05
    assert found.decay == "none"
    assert len(found.points) == len(SIDES) ** 2


REFUSED = {
    "square root": (lambda g, w, t: g.sign() * g.abs().sqrt(), "gradient's size to the power 0.50"),
    "gradient by rows": (lambda g, w, t: g * (g.shape[0] ** 0.5), "follow the gradient's size and the shape as"),
    "bounded trust": (lambda g, w, t: g.sign() * rms(w).clamp(max=0.2), "the tensor's own size with a power from"),
    "odd shape": (lambda g, w, t: g.sign() / g.shape[0] ** 0.35, "which is none of the laws"),
    "nan": (lambda g, w, t: g * math.nan, "steps that are not finite"),
    "still": (lambda g, w, t: g * 0, "makes no step that can be measured"),
    "late": (
        lambda g, w, t: g if t <= 12 else g.sign(),
        "first 12 steps follow another law than later ones do",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("law", "text"), REFUSED.values(), ids=REFUSED)
def test_what_no_rule_fits_is_refused_with_the_measurement(law, text):
    found = measured(law)
    assert found.refused
    assert text in found.reason
    with pytest.raises(PlanError, match="Law has no rule yet: it"):
        resolve(partial(Law, law=law, salt=text))


def test_the_rate_has_to_count():
    class Own(Law):
        def step(self, closure=None):
            for group in self.param_groups:
                group["lr"] = 1e-3
            super().step()

    found = measure_optimizer(partial(Own, law=lambda g, w, t: g.sign()), sizes=SIDES)
    assert "grow with the learning rate as its power 0.00" in found.reason


def test_one_tensor_must_not_depend_on_another():
    class Joint(torch.optim.SGD):
        def step(self, closure=None):
            torch.nn.utils.clip_grad_norm_(self.param_groups[0]["params"], 1.0)
            super().step()

    found = measure_optimizer(Joint, sizes=SIDES)
    # Clipping normalizes a single tensor and couples two.
    assert "when the gradient of another grows 64-fold" in found.reason


@pytest.mark.parametrize("settling", [0, 1, 4])
def test_first_steps_of_another_law_are_counted(settling):
    found = measured(lambda g, w, t: g if t <= settling else g.sign())
    assert (found.family, found.settling) == ("entrywise", settling)
    assert any("first" in text for text in found.warnings) is (settling > 0)


@pytest.mark.parametrize(
    ("law", "power"),
    [
        (lambda g, w, t, eps: g / (g.abs() + eps), 1),
        (lambda g, w, t, eps: g / (g.square() + eps).sqrt(), 2),
        (lambda g, w, t, eps: g.sign(), None),
    ],
)
def test_eps_moves_with_a_power_of_the_gradient(law, power):
    found = measured(law, eps=1e-8)
    assert found.family == "entrywise"
    assert found.exponents["eps"] == (None if power is None else pytest.approx(power, abs=0.02))
    if power is None:
        return
    # And a plan moves it so: steps of a gradient x c under the planned eps are those of the gradient.
    spec = resolve(partial(Law, law=law, eps=1e-8))
    shapes = {"shape": (64, 64), "base_shape": (16, 16)}
    f = training_factors("mup", "hidden", spec, r_in=4, r_out=4, **shapes)
    assert f.eps == 0.25**power
    g, w = torch.full((4, 4), 1e-8, dtype=torch.float64), torch.zeros(4, 4, dtype=torch.float64)
    (one,) = steps_of(partial(Law, law=law, eps=1e-8), [w], [[g]], options={})
    (two,) = steps_of(partial(Law, law=law, eps=1e-8 * f.eps), [w], [[g / 4]], options={})
    assert torch.allclose(one, two, rtol=1e-12)


def test_an_eps_that_does_more_than_damp_is_refused():
    found = measured(lambda g, w, t, eps: eps**0.5 * g.sign(), eps=1e-6)
    assert "eps sets the size of its steps" in found.reason
    found = measured(lambda g, w, t, eps: g / (g.abs() + eps + 1e-3), eps=1e-8)
    assert "make other steps, and no eps mends it" in found.reason
    found = measured(lambda g, w, t, eps: g / (g.abs() + eps + 1e-7), eps=1e-12)
    assert found.family == "entrywise"
    assert "damps gradients below 1e-07" in found.warnings[0]


@pytest.mark.parametrize(
    ("law", "decay"),
    [
        (lambda g, w, t, weight_decay: g.sign() + weight_decay * w, "shrink"),
        (lambda g, w, t, weight_decay: g + weight_decay * w, "shrink"),
        (lambda g, w, t, weight_decay: (g + weight_decay * w).sign(), "gradient"),
        (lambda g, w, t, weight_decay: g.sign(), "none"),
        (lambda g, w, t, weight_decay: g.sign() + weight_decay * w * (g.sign() * w > 0), "other"),
        (lambda g, w, t, weight_decay: g.sign() + weight_decay * w.sign(), "other"),
        (lambda g, w, t, weight_decay: g.sign() - weight_decay * w, "other"),
        (lambda g, w, t, weight_decay: g.sign() + weight_decay * w * (g != 0), "other"),
        (lambda g, w, t, weight_decay: g.sign() + weight_decay * w * g.square().mean().sqrt(), "other"),
    ],
)
def test_what_weight_decay_does(law, decay):
    assert measured(law, weight_decay=0.1).decay == decay


class OddDecay(torch.optim.Optimizer):
    """Steps along the sign, with a decay towards the initial values or one by the square of the rate."""

    def __init__(self, params, lr=1e-3, weight_decay=0.1, squared=False):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "squared": squared})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            rate = group["lr"]
            for p in group["params"]:
                first = self.state[p].setdefault("first", p.clone())
                drift = rate**2 * p if group["squared"] else rate * (p - first)
                p.sub_(group["weight_decay"] * drift + rate * p.grad.sign())


@pytest.mark.parametrize("squared", [False, True])
def test_a_decay_of_no_known_law_keeps_its_number_with_a_note(squared):
    make = partial(OddDecay, squared=squared)
    assert measure_optimizer(make, sizes=SIDES).decay == "other"
    spec = resolve(make)
    assert any("weight decay follows no law that is known here" in text for text in spec.warnings)
    f = training_factors("mup", "hidden", spec, r_in=4, r_out=4, shape=(64, 64), base_shape=(16, 16))
    assert (f.lr, f.weight_decay) == (0.25, 1.0)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SystemExit(7), "makes no step on a dense gradient: SystemExit: 7"),
        (RuntimeError("SAM requires closure"), "needs a closure"),
        (KeyError("exp_avg"), "makes no step on a dense gradient: KeyError: 'exp_avg'"),
    ],
)
def test_a_step_that_fails_is_a_refusal(error, text):
    class Fails(torch.optim.SGD):
        def step(self, closure=None):
            raise error

    assert text in measure_optimizer(Fails, sizes=SIDES).reason


def test_a_factory_that_fails_is_told_by_name_once_or_with_what_its_groups_lack():
    with pytest.raises(PlanError) as caught:
        measure_optimizer(partial(partial(torch.optim.AdamW, betaz=3), lr=0.1), sizes=SIDES)
    text = str(caught.value)
    assert text.startswith(
        "optimizer AdamW cannot be built from parameters alone: TypeError: AdamW.__init__() got"
    )
    assert "functools.partial(AdamW, ...)" in text
    assert "--kwarg.NAME VALUE" in text
    assert ".." not in text.replace("...", "")
    assert "parameter group" not in text

    def flagged(groups):
        if any("use_muon" not in group for group in groups):
            raise ValueError("`use_muon` must be set.")

    with pytest.raises(
        PlanError, match=r"nor from a parameter group: ValueError: `use_muon` must be set\. .*groups"
    ):
        measure_optimizer(flagged, sizes=SIDES)

    def leaves(params):
        raise SystemExit("no licence")

    with pytest.raises(PlanError, match=r"optimizer leaves cannot be built .*: SystemExit: no licence"):
        measure_optimizer(leaves, sizes=SIDES)


def test_a_decay_that_ignores_the_rate():
    class Fixed(Law):
        def step(self, closure=None):
            super().step()
            with torch.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p.mul_(1 - group["weight_decay"])

    make = partial(Fixed, law=lambda g, w, t, weight_decay: g.sign(), weight_decay=0.1)
    assert measure_optimizer(make, sizes=SIDES).decay == "fixed"
    f = training_factors(
        "mup", "hidden", resolve(make), r_in=4, r_out=4, shape=(64, 64), base_shape=(16, 16), multiplier=0.5
    )
    assert (f.lr, f.weight_decay) == (0.125, 1.0)


def test_relative_steps_get_the_rule_over_what_the_tensor_grows_by():
    spec = resolve(partial(Law, law=lambda g, w, t: g.sign() * rms(w)))
    shapes = {"shape": (64, 64), "base_shape": (16, 16)}
    f = training_factors("mup", "hidden", spec, r_in=4, r_out=4, **shapes)
    assert (f.init, f.lr, f.own_scale) == (0.5, 0.5, 0.5)
    folded = training_factors("mup", "hidden", spec, r_in=4, r_out=4, **shapes, multiplier=0.5)
    assert (folded.init, folded.lr) == (0.25, 0.5)  # a step on m W is m times that on W by itself


def test_a_measurement_is_kept_for_its_options_and_no_others():
    class Two(torch.optim.Optimizer):
        made = 0

        def __init__(self, params, lr=0.1, power=1.0):
            super().__init__(params, {"lr": lr, "power": power})
            type(self).made += 1

        def step(self, closure=None):
            with torch.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p.sub_(group["lr"] * p.grad.sign() * p.grad.abs() ** group["power"])

    assert resolve(Two).family == "sgd"
    before = Two.made
    assert resolve(partial(Two, lr=0.1)).family == "sgd"
    assert Two.made == before + 1
    assert resolve(partial(Two, power=0.0)).family == "entrywise"


def test_what_takes_matrices_alone_is_one_side_of_a_split():
    def law(g: Tensor, w: Tensor, t: int) -> Tensor:
        if g.ndim != 2:
            raise ValueError("matrices only")
        return g.sign()

    found = measured(law)
    assert (found.family, found.vectors, found.convolutions) == ("entrywise", "refused", False)
    spec = resolve(partial(Law, law=law))
    assert spec.family == "orthogonalized"
    f = training_factors("mup", "hidden", spec, r_in=4, r_out=4, shape=(64, 64), base_shape=(16, 16))
    assert f.lr == 0.25  # a matrix is trained entry by entry all the same


def test_vectors_may_have_a_family_of_their_own():
    def law(g: Tensor, w: Tensor, t: int) -> Tensor:
        return g * w.norm() / g.norm() if g.ndim > 1 else g

    spec = resolve(partial(Law, law=law))
    assert (spec.family, spec.relative, spec.vector_family) == ("entrywise", True, "sgd")
    f = training_factors("mup", "vector", spec, r_in=1, r_out=4, shape=(64,), base_shape=(16,))
    assert (f.family, f.lr) == ("sgd", 4.0)


def test_nothing_global_is_touched_and_the_result_is_data():
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    noisy = measured(lambda g, w, t: g.sign() * (1 + 0 * torch.rand(())))
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all()
    assert states[2] == random.getstate()
    assert noisy.to_dict() == measured(lambda g, w, t: g.sign()).to_dict()
    data = json.loads(json.dumps(noisy.to_dict()))
    assert data["family"] == "entrywise"
    assert len(data["points"]) == 4
    for text in ("Law: entrywise", "sqrt(fan_in fan_out)", "degree in the gradient's size: 0.00"):
        assert text in str(noisy)


def test_factories_that_take_groups_alone():
    def make(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD([{**group, "momentum": 0.5} for group in groups], lr=0.1)

    found = measure_optimizer(make, sizes=SIDES)
    assert (found.family, found.defaults["momentum"]) == ("sgd", 0.5)


@pytest.mark.parametrize(
    ("factory", "sizes", "text"),
    [
        ("adam", SIDES, "optimizer='adam' is not an optimizer"),
        (lambda params, more: None, SIDES, "cannot be built from parameters alone: TypeError"),
        (torch.optim.SGD, (32, 32), r"sizes=\(32, 32\): an exponent needs at least 2 different sides"),
        (torch.optim.SGD, (4, 32), "of at least 16 each"),
    ],
)
def test_wrong_use(factory, sizes, text):
    with pytest.raises(PlanError, match=text):
        sim.measure_optimizer(factory, sizes=sizes)


def test_an_instance_is_measured_with_its_options_and_left_alone():
    weight = torch.nn.Parameter(torch.ones(3, 3))
    mine = torch.optim.Muon([weight], adjust_lr_fn="match_rms_adamw")
    assert measure_optimizer(mine, sizes=SIDES).law == "sqrt(max(fan_out, fan_in))"
    assert torch.equal(weight, torch.ones(3, 3))
    assert not mine.state


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_every_law_is_told_from_the_others_within_noise(law):
    generator = torch.Generator().manual_seed(3)
    for _ in range(20):
        noise = 1 + 0.02 * torch.randn(9, generator=generator)
        sides = [(rows, columns) for rows in (48, 96, 192) for columns in (48, 96, 192)]
        points = [
            Point(*side, 0.3 * law.squared(*side) ** 0.5 * float(n))
            for side, n in zip(sides, noise, strict=True)
        ]
        assert fit_shapes(points).law is law
        assert law.ratio(sides[0], sides[0]) == 1.0


@pytest.mark.parametrize("shape", [(32, 96), (96, 32), (16, 16)])
def test_gradients_have_entries_of_one_size_and_low_rank(shape):
    found = aligned_gradients(*shape, 3)
    for g, other in zip(found, aligned_gradients(32, 32, 3), strict=True):
        values = torch.linalg.svdvals(g)
        assert (values[:5] > 1e-3 * values[0]).all()
        assert (values[5:] < 1e-9 * values[0]).all()
        ratio = math.sqrt(shape[0] * shape[1]) / 32
        assert torch.allclose(values[:5] / ratio, torch.linalg.svdvals(other)[:5], rtol=1e-9)
    assert 0.3 < float(rms(torch.stack(found))) < 3


@pytest.mark.parametrize("sizes", ["abc", (16, "a"), (16.5, 32)])
def test_sides_that_are_no_numbers_are_named(sizes):
    with pytest.raises(PlanError, match=r"are not sides of matrices. Pass whole numbers"):
        measure_optimizer(torch.optim.SGD, sizes=sizes)
