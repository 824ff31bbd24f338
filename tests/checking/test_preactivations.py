"""Preactivations by layer against hooks on the modules, and the longest way through a model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from similitude.checking.preactivations import find_sites, record_preactivations
from similitude.core.errors import PlanError
from similitude.models import MLP, ConvNet, ResMLP


def hooked(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What every linear or convolutional module gives."""
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str):
        def hook(module: nn.Module, inputs: object, out: torch.Tensor) -> None:
            seen[name] = out.detach()

        return hook

    hooks = [
        module.register_forward_hook(keep(f"{name}.weight"))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    with torch.no_grad():
        model.train()(x)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (MLP(6, 3, width=8, depth=3), (5, 6)),
        (ResMLP(6, 3, width=8, depth=2), (5, 6)),
        (
            nn.Sequential(nn.Conv2d(2, 7, 3), nn.ReLU(), nn.Conv2d(7, 4, 3), nn.Flatten(), nn.Linear(36, 2)),
            (5, 2, 7, 7),
        ),
        (nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 3)), (5, 4, 6)),
    ],
)
def test_what_is_recorded_is_what_modules_give(model, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    sites = find_sites(model, lambda net: net(x), inputs=x, examples=5)
    values = record_preactivations(model, lambda net: net(x), sites, inputs=x, examples=5)
    seen = hooked(model, x)
    assert {site.name for site in sites.found} == set(seen)
    for site, value in zip(sites.found, values, strict=True):
        out = seen[site.name]
        expected = out.movedim(1, -1) if out.ndim == 4 else out
        assert torch.allclose(value.float(), expected.reshape(5, -1, site.width), atol=1e-5)
    assert not sites.found[-1].hidden
    assert all(site.hidden for site in sites.found[:-1])


def test_the_longest_way():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c, self.d = (nn.Linear(4, 4) for _ in range(4))
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.b(self.a(x).relu()).relu() + self.c(x).relu() + self.d(x))

    x = torch.randn(3, 4)
    sites = find_sites(Two(), lambda net: net(x), inputs=x, examples=3)
    assert [site.name for site in sites.path] == ["a.weight", "b.weight"]
    assert {site.name: site.depth for site in sites.found}["head.weight"] == 3
    assert sites.branches == 0


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randn(8, 4)
    find_sites(model, lambda net: net(x), inputs=x, examples=8)
    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_matrices_on_the_left_are_named_and_left_out():
    class Left(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 6), nn.Parameter(torch.randn(6, 6))

        def forward(self, x):
            return (self.second @ self.first(x).relu().T).T

    x = torch.randn(3, 4)
    sites = find_sites(Left(), lambda net: net(x), inputs=x, examples=3)
    assert sites.skipped == ("second",)
    assert [site.name for site in sites.found] == ["first.weight"]


def test_a_model_without_matrices_is_refused():
    x = torch.randn(3, 4)
    with pytest.raises(PlanError, match="no matrix of the model acts on 3 examples"):
        find_sites(nn.ReLU(), lambda net: net(x), inputs=x, examples=3)


def test_a_network_that_goes_another_way_is_refused():
    class Fickle(nn.Module):
        def __init__(self, *, more: bool):
            super().__init__()
            self.layer, self.more = nn.Linear(4, 4), more

        def forward(self, x):
            return self.layer(x).relu() if self.more else self.layer(x)

    x = torch.randn(3, 4)
    sites = find_sites(Fickle(more=True), lambda net: net(x), inputs=x, examples=3)
    with pytest.raises(PlanError, match="networks of two seeds ran different operations"):
        record_preactivations(Fickle(more=False), lambda net: net(x), sites, inputs=x, examples=3)


def test_convolutional_networks_have_channels():
    model = ConvNet(1, 3, width=6)
    x = torch.randn(2, 1, 16, 16)
    sites = find_sites(model, lambda net: net(x), inputs=x, examples=2)
    assert sites.found[0].width == 6
    assert len(sites.path) >= 2
