"""What a profile measures against plain autograd and closed forms, its verdicts, and what it says to change."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

import similitude as sim
from similitude.core.errors import BadVerdictError, FactoryError, NotEnoughEvidenceError, TheoryError
from similitude.core.verdict import Outcome


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain(depth, *, gain=1.0, width=32):
    """A linear network whose weights are orthogonal times a gain: gradients grow by exactly log(gain)."""
    net = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(depth)), nn.Linear(width, 3))
    sim.signal.orthogonal_(net)
    with torch.no_grad():
        for layer in net[:-1]:
            layer.weight.mul_(gain)
    return net


def squares(model, batch):
    return model(batch).square().mean()


def test_numbers_are_those_of_autograd():
    net, x = plain(4), drawn(8, 32)
    found = sim.signal.profile(net, x, loss=squares)
    slopes = torch.autograd.grad(squares(net, x), [layer.weight for layer in net])
    assert [layer.gradient for layer in found.layers] == pytest.approx(
        [float(g.norm()) for g in slopes], rel=1e-5
    )
    assert [layer.name for layer in found.layers] == [f"{i}.weight" for i in range(5)]
    out = net[0](x).detach()
    assert found.layers[0].scale == pytest.approx(float(out.square().mean().sqrt()), rel=1e-5)
    assert found.layers[0].isometry_gap == pytest.approx(sim.signal.isometry_gap(out), rel=1e-4)
    assert found.layers[0].rank == 8
    units = nn.functional.normalize(out).double()
    pairs = (units @ units.T)[~torch.eye(8, dtype=torch.bool)]
    assert found.layers[0].cosine == pytest.approx(float(pairs.mean()), rel=1e-5)


@pytest.mark.parametrize("gain", [0.8, 1.0, 1.25])
def test_the_rate_of_a_linear_network_is_its_gain(gain):
    found = sim.signal.profile(plain(16, gain=gain), drawn(8, 32), loss=squares)
    assert found.gradients.value == pytest.approx(math.log(gain), abs=1e-5)
    assert found.scales.value == pytest.approx(math.log(gain), abs=1e-5)
    wanted = Outcome.OK if gain == 1 else Outcome.GROWS if gain > 1 else Outcome.SHRINKS
    assert found.verdict.outcome is wanted
    assert found.coupled is False
    assert found.condition is None
    if gain != 1:
        assert f"times {1 / gain:.4g}" in found.verdict.next


def test_the_advice_is_right():
    """Networks that were scaled as the profile says keep their gradients."""

    def make():
        net = nn.Sequential(
            *(m for _ in range(24) for m in (nn.Linear(64, 64, bias=False), nn.ReLU())), nn.Linear(64, 3)
        )
        with torch.no_grad():
            for i, layer in enumerate(net[:-1:2]):
                layer.weight.copy_(drawn(64, 64, seed=i) / 8)
        return net

    net = make()
    before = sim.signal.profile(net, drawn(16, 64), loss=squares)
    assert before.verdict.outcome is Outcome.SHRINKS
    with torch.no_grad():
        for layer in net[:-1:2]:
            layer.weight.mul_(math.exp(-before.gradients.value))
    assert sim.signal.profile(net, drawn(16, 64), loss=squares).verdict.ok


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.LayerNorm])
def test_samples_that_see_each_other_are_found_by_what_they_do(norm):
    net = nn.Sequential(
        *(m for _ in range(5) for m in (nn.Linear(16, 16), norm(16), nn.Dropout(0.5))), nn.Linear(16, 2)
    )
    state = {k: v.clone() for k, v in net.state_dict().items()}
    net.eval()
    found = sim.signal.profile(net, drawn(32, 16))
    assert found.coupled is (norm is nn.BatchNorm1d)
    assert not net.training
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_the_construction_is_flat_and_gaussian_weights_are_told():
    def make(depth, weights="orthogonal"):
        return sim.signal.batch_norm_net(32, 4, width=32, depth=depth, weights=weights)

    x = drawn(32, 32)
    flat = sim.signal.profile(make, x, depths=(20, 100), seeds=1)
    assert flat.verdict.ok
    assert flat.orthogonal
    assert flat.expected == 0
    assert abs(flat.by_depth.value) < 1e-2
    rough = sim.signal.profile(lambda depth: make(depth, "gaussian"), x, depths=(20, 260), seeds=1)
    assert rough.verdict.outcome is Outcome.GROWS
    assert not rough.orthogonal
    assert "orthogonal_(model)" in rough.verdict.next
    with pytest.raises(BadVerdictError, match="explode"):
        rough.raise_if_bad()


def test_a_short_rank_is_warned_of_and_its_growth_predicted():
    def make(depth):
        return sim.signal.batch_norm_net(32, 4, width=32, depth=depth)

    found = sim.signal.profile(make, drawn(8, 32), depths=(60, 160), seeds=1)
    assert found.condition.rank == 8
    assert not found.condition.enough
    assert found.verdict.outcome is Outcome.GROWS
    assert found.gradients.value == pytest.approx(found.expected, rel=0.35)
    assert "8 samples" in found.verdict.causes[0]
    shallow = sim.signal.profile(lambda: make(6), drawn(8, 32), seeds=1)
    assert shallow.verdict.ok
    assert "At more depth they grow" in shallow.verdict.summary


def test_positions_count_as_samples():
    def make():
        return sim.signal.batch_norm_net(3, 2, width=12, depth=4, convolution=3)

    found = sim.signal.profile(make, drawn(4, 3, 4, 4), seeds=1)
    assert found.condition.samples == 64
    assert found.condition.rank == 3  # one tap: the rank stays that of the channels
    assert "span 3 directions" in found.condition.verdict.causes[0]


def test_relu_behind_batch_norm_is_told_from_weights():
    def make():
        return sim.signal.batch_norm_net(16, 4, width=16, depth=40, activation=torch.relu, exponent=0)

    found = sim.signal.profile(make, drawn(64, 16), seeds=1)
    assert found.verdict.outcome is Outcome.GROWS
    assert any("the activation" in cause for cause in found.verdict.causes)


def convolutions():
    layers = (m for _ in range(4) for m in (nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Tanh()))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48, 2))


def transformer():
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True), 3)


@pytest.mark.parametrize(("make", "x"), [(convolutions, drawn(4, 3, 4, 4)), (transformer, drawn(4, 5, 4))])
def test_other_modules_can_be_measured(make, x):
    found = sim.signal.profile(make, x, seeds=2)
    assert len(found.layers) >= 4
    assert found.coupled is (make is convolutions)
    assert all(math.isfinite(layer.gradient) for layer in found.layers)
    json.dumps(found.to_dict(), allow_nan=False)
    assert str(found.verdict.outcome) in str(found)


def test_seeds_give_intervals():
    def make():
        return nn.Sequential(*(m for _ in range(8) for m in (nn.Linear(16, 16), nn.Tanh())), nn.Linear(16, 2))

    found = sim.signal.profile(make, drawn(8, 16), seeds=3)
    low, high = found.gradients.interval
    assert low < found.gradients.value < high
    assert np.isfinite(found.first).all()


def test_too_few_layers_are_said():
    found = sim.signal.profile(nn.Linear(3, 3), drawn(8, 3))
    assert found.verdict.outcome is Outcome.CANNOT_TELL
    with pytest.raises(NotEnoughEvidenceError):
        found.raise_if_bad()


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((3, drawn(4, 3)), {}, TheoryError, "make is a int"),
        ((nn.Linear(3, 3), drawn(4, 3)), {"depths": (1, 2)}, TheoryError, "depths have no effect"),
        ((lambda depth: nn.Linear(3, 3), drawn(4, 3)), {"depths": (2, 2)}, TheoryError, "two different ones"),
        ((lambda depth: nn.Linear(3, 3), drawn(4, 3)), {}, FactoryError, "make\\(\\) failed"),
        ((lambda: 3, drawn(4, 3)), {}, FactoryError, "returned a int"),
        ((nn.Linear(3, 3), ()), {}, TheoryError, "no tensor"),
        ((lambda: nn.Linear(3, 3), drawn(4, 3)), {"seeds": 0}, TheoryError, "seeds=0"),
        (
            (nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), torch.full((4, 3), math.nan)),
            {},
            TheoryError,
            "not finite",
        ),
    ],
)
def test_wrong_use_is_explained(arguments, options, error, words):
    with pytest.raises(error, match=words):
        sim.signal.profile(*arguments, **options)
