"""The recorded pass: every operation once, values written in place, modules, and nothing left changed."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from similitude.scaling.dataflow.trace import trace


def ops(model: nn.Module, x: torch.Tensor) -> list[str]:
    return [node.op for node in trace(model, lambda m: m(x), inputs=x).nodes]


class Call(nn.Module):
    def __init__(self, run) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3))
        self.run = run

    def forward(self, x):
        return self.run(self, x)


def test_a_linear_layer_is_three_operations_with_their_operands():
    layer = nn.Linear(3, 5)
    x = torch.randn(4, 3)
    found = trace(layer, lambda m: m(x), inputs=x)
    assert [n.op for n in found.nodes] == ["input", "t", "addmm"]
    addmm = found.nodes[-1]
    names = [found.values[v].name for v in addmm.inputs]
    assert names == ["bias", "", ""]
    assert found.values[addmm.inputs[1]].kind == "input"
    assert found.outputs == addmm.outputs
    assert found.shapes == {"weight": (5, 3), "bias": (5,)}
    assert found.entries == (("", addmm.inputs[1]),)


@pytest.mark.parametrize(
    "model",
    [
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1),
        nn.LSTM(8, 8, batch_first=True),
        nn.GRU(8, 8, batch_first=True),
        nn.RNN(8, 8, batch_first=True),
    ],
    ids=lambda m: type(m).__name__,
)
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_fused_paths_are_off_and_come_back(model):
    fastpath, onednn = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    found = ops(model, torch.randn(2, 3, 8))
    assert {"addmm", "mm"} & set(found)
    assert not any("encoder_layer" in op or "rnn" in op or "lstm" in op or "gru" in op for op in found)
    assert torch.backends.mha.get_fastpath_enabled() is fastpath
    assert torch.backends.mkldnn.enabled is onednn


def test_the_model_and_the_generators_are_left_alone():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    model[2].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    states = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    trace(model, lambda m: m(torch.rand(4, 3)) + random.random() + np.random.rand())
    assert [m.training for m in model] == [True, True, False]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_model_that_fails_is_left_alone_too():
    model = Call(lambda m, x: x @ m.weight @ torch.zeros(7, 7))
    with pytest.raises(RuntimeError):
        ops(model, torch.randn(2, 3))
    assert model.training
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def _depends(run, on: str) -> bool:
    """Whether the result of the pass descends from a named tensor."""
    x = torch.randn(2, 3)
    found = trace(Call(run), lambda m: m(x), inputs=x)
    made = {v: n for n in found.nodes for v in n.outputs}
    todo, seen = list(found.outputs), set()
    while todo:
        value = todo.pop()
        if found.values[value].name == on:
            return True
        if value in made and value not in seen:
            todo += made[value].inputs
        seen.add(value)
    return False


def _write_into_a_slice(m, x):
    out = torch.zeros(4, 3)
    out[:2] = x @ m.weight
    return out


def _write_through_a_view(m, x):
    out = torch.zeros(2, 3)
    view = out.view(6)
    view.copy_((x @ m.weight).flatten())
    return out + 1


def _scatter(m, x):
    out = torch.zeros(2, 3)
    out.index_add_(0, torch.tensor([1, 0]), x @ m.weight)
    return out


@pytest.mark.parametrize("run", [_write_into_a_slice, _write_through_a_view, _scatter])
def test_what_is_written_in_place_is_read_by_every_view(run):
    assert _depends(run, "weight")


def test_what_is_not_written_is_not_read():
    def other(m, x):
        out, unread = torch.zeros(2, 3), torch.zeros(2, 3)
        unread.add_(x @ m.weight)
        return out + x

    assert not _depends(other, "weight")


def test_an_observer_sees_real_tensors():
    seen = []
    x = torch.randn(4, 3)
    layer = nn.Linear(3, 5)
    trace(
        layer,
        lambda m: m(x),
        inputs=x,
        observer=lambda node, func, args, kwargs, out: seen.append((node.op, out)),
    )
    assert [op for op, _ in seen] == ["t", "addmm"]
    assert torch.equal(seen[-1][1], layer(x))
