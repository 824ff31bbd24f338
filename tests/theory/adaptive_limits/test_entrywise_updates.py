"""Entrywise optimizers: the steps of torch's own, gradients of any size, and what is refused."""

from functools import partial

import numpy as np
import pytest
import torch

import similitude as sim
from similitude.core.errors import PlanError, TheoryError
from similitude.theory.adaptive_limits.entrywise import Adaptive, Momentum, entrywise

TORCH = [
    torch.optim.SGD,
    partial(torch.optim.SGD, momentum=0.9, dampening=0.3),
    partial(torch.optim.SGD, momentum=0.8, nesterov=True),
    torch.optim.Adam,
    partial(torch.optim.Adam, betas=(0.7, 0.8), eps=0.3),
    partial(torch.optim.AdamW, weight_decay=0.0, betas=(0.0, 0.5)),
    torch.optim.RMSprop,
    partial(torch.optim.RMSprop, alpha=0.5, eps=0.1),
]


@pytest.mark.parametrize("optimizer", TORCH)
def test_steps_are_those_of_torch(optimizer):
    draw = torch.Generator().manual_seed(0)
    w = torch.zeros(7, dtype=torch.float64, requires_grad=True)
    torchs, rule, state = optimizer([w], lr=0.25), entrywise(optimizer), ()
    for _ in range(6):
        before = w.detach().clone()
        w.grad = torch.randn(7, generator=draw, dtype=torch.float64)
        torchs.step()
        update, state = rule.step(w.grad, state)
        assert torch.allclose(before - w.detach(), 0.25 * update, rtol=1e-9, atol=1e-14)


def test_names_have_torchs_numbers():
    for name, optimizer in (
        ("adam", torch.optim.Adam),
        ("sgd", torch.optim.SGD),
        ("rmsprop", torch.optim.RMSprop),
    ):
        assert entrywise(name) == entrywise(optimizer)
        assert entrywise(optimizer([torch.zeros(1, requires_grad=True)], lr=0.1)) == entrywise(name)


def test_without_eps_zero_has_no_sign_and_scale_is_free():
    rule = sim.theory.entrywise("sign")
    g = torch.tensor([3.0, -1e-20, 0.0], dtype=torch.float64)
    assert rule.step(g, ())[0].tolist() == [1.0, -1.0, 0.0]
    adam = Adaptive((0.9, 0.99), eps=0.0)
    states = [(), ()]
    for scale in torch.randn(5, generator=torch.Generator().manual_seed(1)).tolist():
        one, states[0] = adam.step(torch.full((2,), scale).double(), states[0])
        two, states[1] = adam.step(torch.full((2,), 1e5 * scale).double(), states[1])
        assert torch.allclose(one, two, rtol=1e-12)


def test_eps_stands_under_the_root_or_outside():
    g = torch.tensor([0.3, -2.0], dtype=torch.float64)
    inside, outside = (Adaptive(eps=0.4, inside=inside).step(g, ())[0] for inside in (True, False))
    assert torch.allclose(inside, g / (g**2 + 0.16).sqrt())
    assert torch.allclose(outside, g / (g.abs() + 0.4))


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        (torch.optim.AdamW, "weight_decay=0.01"),
        (partial(torch.optim.Adam, amsgrad=True), "amsgrad=True"),
        (partial(torch.optim.RMSprop, momentum=0.9), "momentum=0.9"),
        (partial(torch.optim.RMSprop, centered=True), "centered=True"),
        (partial(torch.optim.SGD, maximize=True), "maximize=True"),
        (torch.optim.Adagrad, "Adagrad are not known"),
        ("lion", "'lion' is unknown"),
    ],
)
def test_what_is_not_entrywise_is_refused(optimizer, words):
    with pytest.raises(TheoryError, match=words):
        entrywise(optimizer)


def test_what_is_no_optimizer_is_refused():
    with pytest.raises(PlanError, match="not an optimizer"):
        entrywise(3)
    for betas, eps in (((1.0, 0.5), 0.0), ((-0.1, 0.5), 0.0), ((0.5, 0.5), -1.0)):
        with pytest.raises(TheoryError, match=r"betas|eps"):
            Adaptive(betas, eps)


@pytest.mark.filterwarnings("error")
def test_updates_are_finite_for_any_gradients():
    rng = np.random.default_rng(2)
    for _ in range(1000):
        betas = tuple(rng.choice([0.0, 0.5, 0.9, 0.999], 2))
        eps = float(rng.choice([0.0, 1e-8, 1.0]))
        corrected, inside = rng.random(2) < 0.5
        rule = Adaptive(betas, eps, corrected=bool(corrected), inside=bool(inside))
        state = ()
        for _ in range(3):
            sizes = 10.0 ** rng.uniform(-160, 120, 5) * rng.choice([-1.0, 0.0, 1.0], 5)
            update, state = rule.step(torch.from_numpy(sizes), state)
            assert torch.isfinite(update).all(), (rule, sizes)


def test_an_optimizer_of_ones_own_is_taken():
    class Clipped:
        linear = False

        def step(self, gradient, state):
            return gradient.clamp(-1, 1), state

    rule = Clipped()
    assert entrywise(rule) is rule
    assert entrywise(Momentum(0.5)) == Momentum(0.5)
