"""Training accuracy against depth: what learns, what does not, and wrong use."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

import similitude as sim
from similitude.core.errors import BadVerdictError, FactoryError, TheoryError
from similitude.core.verdict import Outcome

X = torch.randn(96, 12, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()


def construction(depth):
    return sim.signal.batch_norm_net(12, 3, width=12, depth=depth)


def fading(depth):
    """Linear layers through which signal and gradients fade."""
    layers = [nn.Linear(12, 12, bias=False) for _ in range(depth)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain=0.3)
    return nn.Sequential(*layers, nn.Linear(12, 2))


def test_deep_networks_of_the_construction_learn_and_fading_ones_do_not():
    x = torch.randn(240, 12, generator=torch.Generator().manual_seed(0))
    data = (x, (x[:, 0] > 0).long())
    good = sim.signal.train_depths(construction, data, depths=(40, 4), epochs=15, batch=120, seeds=2)
    assert good.depths == (4, 40)
    assert good.verdict.ok, str(good)
    assert good.means[1] > 0.9
    bad = sim.signal.train_depths(fading, data, depths=(1, 20), epochs=15, batch=120, lr=0.5)
    assert bad.verdict.outcome is Outcome.SHRINKS
    assert bad.means[0] > 0.9
    assert bad.means[1] == pytest.approx(bad.chance)
    with pytest.raises(BadVerdictError):
        bad.raise_if_bad()
    assert json.loads(json.dumps(bad.to_dict()))["depths"] == [1, 20]
    assert "accuracy" in str(bad)


def test_it_is_plain_training():
    """One network, one batch, two steps of SGD written out."""
    torch.manual_seed(5)
    start = nn.Linear(12, 3)
    state = {name: value.clone() for name, value in start.state_dict().items()}

    def make(depth):
        net = nn.Linear(12, 3)
        net.load_state_dict(state)
        return net

    found = sim.signal.train_depths(make, (X, Y), depths=(1, 2), epochs=2, batch=96, lr=0.5)
    for _ in range(2):
        slopes = torch.autograd.grad(nn.functional.cross_entropy(start(X), Y), list(start.parameters()))
        with torch.no_grad():
            for value, slope in zip(start.parameters(), slopes, strict=True):
                value -= 0.5 * slope
    accuracy = float((start(X).argmax(1) == Y).double().mean())
    assert found.accuracies == ((accuracy,), (accuracy,))


def test_the_global_generator_is_left_alone_and_losses_that_are_not_finite_are_told():
    before = torch.random.get_rng_state()
    found = sim.signal.train_depths(
        lambda depth: nn.Sequential(nn.Linear(12, 3), nn.Dropout(0.5)), (1e30 * X, Y), depths=(1, 2), lr=1e30
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert found.verdict.outcome is Outcome.DIVERGED
    assert math.isnan(found.means[0])
    assert found.to_dict()["means"] == [None, None]


@pytest.mark.parametrize(
    ("make", "data", "options", "error", "words"),
    [
        (construction, (X, Y), {"depths": (3,)}, TheoryError, "two different ones"),
        (construction, (X, Y), {"depths": (0, 3)}, TheoryError, "depths"),
        (construction, X, {}, TheoryError, "no pair"),
        (construction, (X, Y[:5]), {}, TheoryError, "one whole number per sample"),
        (construction, (X, Y.float()), {}, TheoryError, "float32"),
        (construction, (X, Y - 1), {}, TheoryError, "Number them from 0"),
        (construction, (X, Y), {"lr": 0}, TheoryError, "lr=0"),
        (construction, (X, Y), {"epochs": 0}, TheoryError, "epochs=0"),
        (construction, (X, Y), {"seeds": 0}, TheoryError, "seeds=0"),
        (lambda depth: 3, (X, Y), {}, FactoryError, "returned a int"),
        (lambda depth: nn.Linear(12, 2), (X, Y), {}, FactoryError, "3 classes at least"),
    ],
)
def test_wrong_use_is_explained(make, data, options, error, words):
    with pytest.raises(error, match=words):
        sim.signal.train_depths(make, data, **{"depths": (2, 4), **options})
