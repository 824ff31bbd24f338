"""A plan with gamma trains as the output divided by gamma written out, at the learning rate of the law."""

import copy

import pytest
import torch

from similitude.models import MLP
from similitude.scaling.centred import Centred
from similitude.scaling.outputs import Divided
from similitude.scaling.plan import plan
from similitude.scaling.richness import lr_scale


def losses(model, optimizer, steps=6):
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(steps):
        x = torch.randn(32, 6, generator=generator, dtype=torch.float64)
        loss = (model(x) - x[:, :2].sin()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("gamma", [1 / 64, 0.3, 5.0, 1000.0])
@pytest.mark.parametrize(
    ("optimizer", "family", "options"),
    [
        (torch.optim.SGD, "sgd", {"momentum": 0.9}),
        (torch.optim.Adam, "entrywise", {"eps": 1e-30}),
    ],
    ids=["sgd", "adam"],
)
@pytest.mark.parametrize("bias", [True, False])
def test_a_plan_is_the_model_divided_by_gamma(gamma, optimizer, family, options, bias):
    def make(width):
        return MLP(6, 2, width=width, depth=2, activation="tanh", bias=bias)

    made = plan(make, base=16, target=16, sample=torch.zeros(4, 6), optimizer=optimizer, gamma=gamma)
    torch.manual_seed(1)
    start = make(16)
    planned, plain = copy.deepcopy(start), copy.deepcopy(start).double()
    made.apply_(planned).double()
    rate = 0.01
    folded = losses(Centred(planned), optimizer(made.groups(planned, lr=rate, **options)))
    scaled = rate * lr_scale(gamma, 3, family)
    written_out = losses(Divided(Centred(plain), gamma), optimizer(plain.parameters(), lr=scaled, **options))
    assert made.layers == 3
    assert folded == pytest.approx(written_out, rel=1e-5 if family == "sgd" else 1e-4)
    assert len(set(folded)) > 1
