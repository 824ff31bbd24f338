"""The residual stream of any model: what is recorded against hooks and gradients by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from similitude.checking.stream import record_stream
from similitude.core.errors import PlanError
from similitude.models import GPT, ResMLP, ResNet

WIDTH = 12


class InPlace(nn.Module):
    """Blocks as torchvision writes them: the branch is added in place, and so is the nonlinearity."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            y = block(x)
            y += x
            self.seen.append(y.detach().clone())
            x = F.relu_(y)
        return x.square().mean()


class OnTheStream(nn.Module):
    """Blocks that write over the stream itself."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone()
        for block in self.blocks:
            x.add_(torch.tanh(block(x.clone())), alpha=0.5)
        return x.square().mean()


def sample(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def seeded(make):
    state = torch.get_rng_state()
    try:
        torch.manual_seed(0)
        return make()
    finally:
        torch.set_rng_state(state)


def by_hand(model: ResMLP, x: Tensor, probe: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The stream of a residual perceptron and the gradients at its preactivations, written out."""
    stream = [x @ model.stem.weight.T]
    before = []
    for block in model.blocks:
        before.append((stream[-1] @ block.linear.weight.T).detach().requires_grad_())
        y = F.relu(stream[-1] @ block.linear.weight.T + before[-1] - before[-1].detach())
        stream.append(stream[-1] + block.branch * (y - y.mean(-1, keepdim=True)))
    loss = ((stream[-1] @ model.head.weight.T + model.head.bias) * probe).sum()
    return [s.detach() for s in stream], list(torch.autograd.grad(loss, before))


def test_values_and_gradients_are_those_by_hand():
    model = seeded(lambda: ResMLP(5, 3, width=WIDTH, depth=6, branch=0.4))
    x, probe = sample(7, 5), sample(7, 3)
    found = record_stream(model, lambda net: (net(x) * probe).sum(), inputs=x)
    stream, gradients = by_hand(model, x, probe)
    assert len(found.values) == 7
    assert found.others == 0
    for value, expected in zip(found.values, stream, strict=True):
        torch.testing.assert_close(value, expected)
    for gradient, expected in zip(found.gradients, gradients, strict=True):
        torch.testing.assert_close(gradient, expected)


def test_what_is_written_in_place_is_recorded_as_it_was():
    model = seeded(lambda: InPlace(4))
    x = sample(9, WIDTH)
    found = record_stream(model, lambda net: net(x), inputs=x)
    for value, expected in zip(found.values[1:], model.seen[-4:], strict=True):
        torch.testing.assert_close(value, expected)
    torch.testing.assert_close(found.values[0], x)
    last = model.seen[-1].clone().requires_grad_()
    (expected,) = torch.autograd.grad(last.relu().square().mean(), last)
    torch.testing.assert_close(found.gradients[-1], expected)


def test_a_stream_that_is_written_over_has_its_entry():
    model = seeded(lambda: OnTheStream(3))
    x = sample(4, WIDTH)
    found = record_stream(model, lambda net: net(x), inputs=x)
    torch.testing.assert_close(found.values[0], x)
    after = x + 0.5 * torch.tanh(x @ model.blocks[0].weight.T)
    torch.testing.assert_close(found.values[1], after.detach())


def test_a_transformer_has_two_branches_a_layer():
    model = seeded(lambda: GPT(11, 8, width=16, depth=3, head_dim=8))
    tokens = torch.arange(8).repeat(2, 1)
    found = record_stream(model, lambda net: net(tokens).square().mean(), inputs=tokens)
    assert len(found.values) == 2 * 3 + 1
    assert all(value.shape == (2, 8, 16) for value in found.values)
    assert all(gradient is not None and gradient.numel() == 2 * 8 * 16 for gradient in found.gradients)


def test_the_longest_stage_is_taken_and_the_others_are_counted():
    model = seeded(lambda: ResNet(1, 3, width=8, depth=3))
    images = sample(2, 1, 8, 8)
    found = record_stream(model, lambda net: net(images).square().mean(), inputs=images)
    assert len(found.values) >= 3
    assert len({value.shape for value in found.values}) == 1
    assert found.others > 0


def test_the_model_is_left_as_it_was():
    model = seeded(
        lambda: nn.Sequential(nn.Linear(5, WIDTH), nn.BatchNorm1d(WIDTH), nn.Dropout(), InPlace(3))
    )
    model.eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    x = sample(6, 5)
    rng = torch.get_rng_state()
    first = record_stream(model, lambda net: net(x), inputs=x, seed=3)
    again = record_stream(model, lambda net: net(x), inputs=x, seed=3)
    torch.testing.assert_close(first.values[-1], again.values[-1], rtol=0, atol=0)
    assert torch.equal(rng, torch.get_rng_state())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not model.training
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_model_without_a_stream_is_refused():
    model = seeded(lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1)))
    x = sample(6, 5)
    with pytest.raises(
        PlanError, match="at least 2 branches one after another, and the forward pass shows 0"
    ):
        record_stream(model, lambda net: net(x).mean(), inputs=x)
