"""Change of features: against the definitions, for calls of every kind; and the measures of kernels they share."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
from torch import nn

from similitude.core.errors import CurvatureError
from similitude.landscape.alignment import alignment, centre
from similitude.landscape.features import FeatureProbe, feature_change
from similitude.landscape.ntk import ntk_gram

D = torch.float64


def perceptron(width: int = 9) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 4)).to(D)


def trained(model: nn.Module, inputs: torch.Tensor) -> nn.Module:
    later = copy.deepcopy(model)
    optimizer = torch.optim.SGD(later.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        later(inputs).square().mean().backward()
        optimizer.step()
    return later


def cka(x: torch.Tensor, y: torch.Tensor) -> float:
    """In the space of features: |Y'X|^2 / (|X'X| |Y'Y|) of centred columns."""
    x, y = (np.asarray(t.detach().flatten(1)) for t in (x, y))
    x, y = x - x.mean(0), y - y.mean(0)
    return float(np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))


def test_change_follows_the_definitions():
    model, inputs = perceptron(), torch.randn(12, 6, dtype=D)
    later = trained(model, inputs)
    change = feature_change(model, later, inputs=inputs)
    assert [one.name for one in change] == ["0", "2", ""]
    first, second = model[0](inputs).detach(), later[0](inputs).detach()
    hidden = change.of("0")
    assert hidden.relative == pytest.approx(float((second - first).norm() / first.norm()))
    assert hidden.before == pytest.approx(float(first.square().mean().sqrt()))
    assert hidden.after == pytest.approx(float(second.square().mean().sqrt()))
    assert hidden.cka == pytest.approx(cka(first, second))
    assert change.of("").relative == change.of("2").relative > 0


def test_a_probe_follows_a_model_along_training():
    model, inputs = perceptron(), torch.randn(12, 6, dtype=D)
    probe = FeatureProbe(model, inputs)
    assert all(one.relative == 0 and one.cka == pytest.approx(1) for one in probe.change(model))
    later = trained(model, inputs)
    assert probe.change(later) == feature_change(model, later, inputs=inputs)
    with torch.no_grad():  # the snapshot is a copy
        for p in model.parameters():
            p.zero_()
    assert probe.change(later) == feature_change(perceptron(), later, inputs=inputs)


def test_state_dicts_stand_for_models():
    inputs = torch.randn(12, 6, dtype=D)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 2)).to(D)
    later = trained(model, inputs)
    expected = feature_change(model, later, inputs=inputs)
    assert feature_change(model, later.state_dict(), inputs=inputs) == expected
    assert feature_change(model.state_dict(), later, inputs=inputs) == expected
    both = feature_change(model.state_dict(), later.state_dict(), inputs=inputs, model=copy.deepcopy(model))
    assert both == expected
    running = feature_change(model.eval(), later.eval().state_dict(), inputs=inputs)
    assert running == feature_change(model, later, inputs=inputs)  # buffers are part of the state


def test_state_dicts_of_tied_and_recurrent_models():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.layer = nn.Linear(6, 6), nn.LSTM(6, 6, batch_first=True)
            self.body, self.last = nn.ModuleList([self.first]), nn.Linear(6, 6)
            self.last.weight = self.first.weight

        def forward(self, x):
            return self.last(self.layer(self.body[0](self.first(x)))[0])

    torch.manual_seed(0)
    model, inputs = Tied().to(D), torch.randn(5, 4, 6, dtype=D)
    later = trained(model, inputs)
    before = {name: (id(p), p.data_ptr(), p.clone()) for name, p in model.named_parameters()}
    assert feature_change(model, later.state_dict(), inputs=inputs) == feature_change(
        model, later, inputs=inputs
    )
    for name, p in model.named_parameters():
        assert (id(p), p.data_ptr()) == before[name][:2]
        assert torch.equal(p, before[name][2])


def test_layers_of_choice_and_several_calls():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared, self.cell = nn.Linear(6, 6), nn.LSTM(6, 3, batch_first=True)

        def forward(self, x, *, gain):
            return {"features": self.cell(self.shared(self.shared(x).tanh()) * gain)}

    model = Twice().to(D)
    inputs = {"x": torch.randn(5, 7, 6, dtype=D), "gain": 2.0}
    change = FeatureProbe(model, inputs).change(model)
    assert [one.name for one in change] == ["shared", "shared[1]", "cell", ""]
    assert [one.name for one in FeatureProbe(model, inputs, layers=["cell"]).change(model)] == ["cell"]


def test_nothing_is_left_behind_and_dropout_is_the_same_twice():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 30), nn.BatchNorm1d(30), nn.Dropout(0.5), nn.Linear(30, 2)).to(D)
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    change = FeatureProbe(model, torch.randn(8, 6, dtype=D, generator=torch.Generator())).change(model)
    assert all(one.relative == 0 for one in change)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_inputs_that_change_in_place_are_no_movement():
    class Doubling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = perceptron()

        def forward(self, x):
            return self.net(x.mul_(2))

    for model in (perceptron(), Doubling()):
        inputs = torch.randn(10, 6, dtype=D)
        before = inputs.clone()
        probe = FeatureProbe(model, {"input" if isinstance(model, nn.Sequential) else "x": inputs})
        assert torch.equal(inputs, before)
        inputs.zero_()
        assert [one.relative for one in probe.change(model)] == [0.0] * len(probe.change(model))


def test_cka_disregards_what_it_should():
    torch.manual_seed(0)
    x = torch.randn(20, 7, dtype=D)
    turn = torch.linalg.qr(torch.randn(7, 7, dtype=D))[0]
    moved = 3 * x @ turn + torch.randn(7, dtype=D)
    assert alignment(x @ x.T, moved @ moved.T) == pytest.approx(1)
    assert alignment(x @ x.T, moved @ moved.T, centred=False) < 0.999
    y = torch.randn(20, 5, dtype=D)
    assert alignment(x @ x.T, y @ y.T) == pytest.approx(cka(x, y))
    assert np.isnan(alignment(torch.ones(3, 3), torch.eye(3)))


def test_centring_by_output():
    torch.manual_seed(0)
    n, c = 6, 3
    kernel = torch.randn(n * c, n * c, dtype=D)
    remove = torch.kron(torch.eye(n, dtype=D) - 1 / n, torch.eye(c, dtype=D))
    assert torch.allclose(centre(kernel, outputs=c), remove @ kernel @ remove.T)


def test_alignment_of_kernels_with_targets():
    model, inputs = perceptron(), torch.randn(10, 6, dtype=D)
    labels = torch.arange(10) % 4
    values = nn.functional.one_hot(labels).to(D)
    full = ntk_gram(model, inputs)
    y = values.flatten()
    expected = float(y @ full.matrix @ y / (full.matrix.norm() * y.square().sum()))
    assert full.alignment(labels, centred=False) == pytest.approx(expected)
    assert full.alignment(values) == full.alignment(labels)
    y = (values - values.mean(0)).flatten()
    middle = centre(full.matrix, outputs=4)
    assert full.alignment(labels) == pytest.approx(float(y @ middle @ y / (middle.norm() * y.square().sum())))
    few = labels.clamp(max=2)  # the last class has no example
    assert full.alignment(few) == full.alignment(nn.functional.one_hot(few, 4))
    trace = ntk_gram(model, inputs, of="trace")
    same = values @ values.T
    expected = float((trace.matrix * same).sum() / (trace.matrix.norm() * same.norm()))
    assert trace.alignment(labels, centred=False) == pytest.approx(expected)


def test_effective_rank_and_distance():
    model, inputs = perceptron(), torch.randn(10, 6, dtype=D)
    gram = ntk_gram(model, inputs)
    values = torch.linalg.eigvalsh(gram.matrix)
    assert gram.effective_rank() == pytest.approx(float(values.sum() / values[-1]))
    later = ntk_gram(trained(model, inputs), inputs)
    assert gram.distance(later) == pytest.approx(
        float((later.matrix - gram.matrix).norm() / gram.matrix.norm())
    )
    assert gram.distance(gram) == 0


def test_lazy_networks_move_less_the_wider_they_are():
    """With 1/sqrt(n) in front and rate 1 the kernel moves by about n^-1/2 (paper 21); features of a layer too."""
    inputs, targets = torch.randn(16, 6, dtype=D), torch.randn(16, dtype=D)

    def moved(width: int, seed: int) -> tuple[float, float]:
        torch.manual_seed(seed)
        weights = [nn.Linear(6, width, bias=False), nn.Linear(width, 1, bias=False)]
        for layer in weights:
            nn.init.normal_(layer.weight)

        class Scaled(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.first, self.last = weights

            def forward(self, x):
                return self.last(torch.tanh(self.first(x) / 6**0.5)) / width**0.5

        model = Scaled().to(D)
        before, probe = ntk_gram(model, inputs), FeatureProbe(model, inputs)
        start = model(inputs).detach()
        for _ in range(30):
            loss = ((model(inputs) - start)[:, 0] - targets).square().mean() / 2
            for p, g in zip(
                model.parameters(), torch.autograd.grad(loss, list(model.parameters())), strict=True
            ):
                p.data.sub_(g)
        return before.distance(ntk_gram(model, inputs)), probe.change(model).of("first").relative

    small, large = (np.mean([moved(width, seed) for seed in range(3)], axis=0) for width in (32, 512))
    assert (large < small / 2.5).all()  # 4 in the limit


def test_tables_show_every_row():
    from rich.console import Console

    model, inputs = perceptron(), torch.randn(10, 6, dtype=D)
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(ntk_gram(model, inputs), FeatureProbe(model, inputs).change(model))
    text = console.export_text()
    for word in ("0.weight", "2.bias", "structured", "share", "CKA", "(output)"):
        assert word in text


def test_refusals():
    model, inputs = perceptron(), torch.randn(10, 6, dtype=D)
    state = model.state_dict()
    with pytest.raises(CurvatureError, match="Pass model="):
        feature_change(state, state, inputs=inputs)
    with pytest.raises(CurvatureError, match="no module 'body'"):
        FeatureProbe(model, inputs, layers=["body"])
    with pytest.raises(CurvatureError, match=r"lacks '0.weight'"):
        feature_change(model, {n: v for n, v in state.items() if n != "0.weight"}, inputs=inputs)
    with pytest.raises(CurvatureError, match="'odd', unknown"):
        feature_change(model, state | {"odd": inputs}, inputs=inputs)
    with pytest.raises(CurvatureError, match=r"another shape for '0.weight'"):
        feature_change(model, state | {"0.weight": inputs}, inputs=inputs)
    with pytest.raises(CurvatureError, match="layer '0' has features of shape"):
        feature_change(model, perceptron(width=11), inputs=inputs)
    with pytest.raises(CurvatureError, match=r"'2' ran in one|'2' and"):
        feature_change(model, nn.Sequential(nn.Linear(6, 9)).to(D), inputs=inputs)
    broken = {name: value * float("nan") for name, value in state.items()}
    with pytest.raises(CurvatureError, match="not finite after"):
        feature_change(model, broken, inputs=inputs)
    gram = ntk_gram(model, inputs)
    with pytest.raises(CurvatureError, match="cannot be compared"):
        gram.distance(ntk_gram(model, inputs[:5]))
    with pytest.raises(CurvatureError, match="of 10 examples"):
        gram.alignment(torch.zeros(4))
    with pytest.raises(CurvatureError, match="2 values per example"):
        gram.alignment(torch.zeros(10, 2))
