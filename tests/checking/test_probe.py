"""Probes against the same numbers worked out by hand, layer by layer."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from similitude.checking.probe import Probe


def _rms(values: torch.Tensor) -> float:
    return float(values.detach().double().square().mean().sqrt())


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 6)
        self.norm = nn.LayerNorm(6)
        self.mix = nn.Parameter(torch.randn(6, 7) / 3)
        self.head = nn.Linear(7, 3)
        self.drop = nn.Dropout(0.5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(torch.tanh(self.norm(self.table(tokens)) @ self.mix))) * 0.5


@pytest.fixture
def moved():
    """A network, the same after a step, and what a probe says of the two."""
    torch.manual_seed(0)
    tokens = torch.tensor([[0, 3, 1], [4, 4, 2]])
    before = Net()
    after = copy.deepcopy(before)
    with torch.no_grad():
        for p in after.parameters():
            p.add_(0.1 * torch.randn_like(p))
    probe = Probe(lambda model: model(tokens).logsumexp(-1).mean(), tokens, seed=3)
    return before, after, tokens, probe.after(after, probe.before(before))


def test_own_updates_are_the_operation_of_the_step_on_the_trained_input(moved):
    before, after, tokens, found = moved
    x = after.norm(after.table(tokens))
    step = after.mix - before.mix
    assert found["mix", "update", "contract"] == pytest.approx(_rms(x @ step), rel=1e-5)
    rows = (after.table.weight - before.table.weight)[tokens]
    assert found["table.weight", "update", "lookup"] == pytest.approx(_rms(rows), rel=1e-5)
    normed = F.layer_norm(after.table(tokens), (6,))
    gain = normed * (after.norm.weight - before.norm.weight)
    assert found["norm.weight", "update", "gain"] == pytest.approx(_rms(gain), rel=1e-5)
    bias = after.norm.bias - before.norm.bias
    assert found["norm.bias", "update", "bias"] == pytest.approx(_rms(bias), rel=1e-5)


def test_the_change_of_an_activation_is_that_of_the_whole_network_up_to_it(moved):
    before, after, tokens, found = moved
    change = after.norm(after.table(tokens)) @ after.mix - before.norm(before.table(tokens)) @ before.mix
    assert found["mix", "change", "contract"] == pytest.approx(_rms(change), rel=1e-5)


def test_outputs_count_with_the_constant_that_follows(moved):
    before, after, _, found = moved
    step = after.head.bias - before.head.bias
    assert found["head.bias", "update", "bias"] == pytest.approx(0.5 * _rms(step), rel=1e-5)
    assert ("head.weight", "logits change", "contract") in found
    assert ("head.weight", "logits", "contract") in found
    assert ("head.weight", "change", "contract") not in found


def test_norms_are_those_of_the_matrix_as_it_is_contracted(moved):
    before, after, _, found = moved
    step = (after.mix - before.mix).detach().T  # (fan_out, fan_in)
    top = float(torch.linalg.svdvals(step)[0]) * math.sqrt(6 / 7)
    assert found["mix", "update norm", "contract"] == pytest.approx(top, rel=1e-5)
    start = float(torch.linalg.svdvals(before.mix.detach())[0]) * math.sqrt(6 / 7)
    assert found["mix", "init norm", "contract"] == pytest.approx(start, rel=1e-5)


def test_probing_changes_neither_the_model_nor_the_generators():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2)).eval()
    state = copy.deepcopy(model.state_dict())
    x = torch.randn(16, 4)
    random = torch.get_rng_state()
    probe = Probe(lambda m: m(x).sum(), x, seed=0)
    found = probe.after(model, probe.before(model))
    assert all(torch.equal(a, b) for a, b in zip(state.values(), model.state_dict().values(), strict=True))
    assert torch.equal(random, torch.get_rng_state())
    assert not model.training
    assert found["0.weight", "update", "contract"] == 0.0  # nothing was trained, and dropout drew the same
    assert found["0.weight", "change", "contract"] == 0.0


class Routed(nn.Module):
    """Which matrix is used depends on the data and the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(4, 1)
        self.left, self.right = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        goes_left = bool(self.router(x).mean() > 0)
        return self.left(x) if goes_left else self.right(x) * 2 + 1


def test_another_way_through_the_network_is_matched_by_tensor():
    before, x = Routed(), torch.randn(8, 4)
    with torch.no_grad():
        before.router.bias.fill_(9.0)
    after = copy.deepcopy(before)
    with torch.no_grad():
        after.router.bias.fill_(-9.0)
    probe = Probe(lambda m: m(x).sum(), x, seed=0)
    found = probe.after(after, probe.before(before))
    assert ("router.bias", "update", "bias") in found
    assert not any(name.startswith(("left", "right")) for name, _, _ in found)
