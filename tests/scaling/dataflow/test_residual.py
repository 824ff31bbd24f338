"""Residual branches by the graph: what is one, where it ends, and what only looks like one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from similitude.scaling.dataflow.interpret import analyse
from similitude.scaling.dataflow.residual import branches, residuals
from similitude.scaling.dataflow.trace import trace

WIDTH = 8


class Net(nn.Module):
    """Two matrices, a gain and a norm, wired by a function."""

    def __init__(self, run) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, WIDTH)
        self.norm, self.gain = nn.LayerNorm(WIDTH), nn.Parameter(torch.ones(WIDTH))
        self.run = run

    def forward(self, x):
        return self.run(self, x)


def _experts(m, x):
    rows = x.flatten(0, 1)
    out = torch.zeros_like(rows)
    chosen = torch.arange(len(rows)) % 2 == 0
    index = chosen.nonzero().flatten()
    out.index_add_(0, index, m.b(m.a(rows[index]).relu()))
    return x + out.view_as(x)


def _recurrent(m, x):
    h = torch.zeros_like(x[:, 0])
    for step in x.unbind(1):
        h = torch.tanh(m.a(step) + m.b(h))
    return h


BRANCHES = {
    "pre-norm": (lambda m, x: x + m.b(m.a(m.norm(x)).relu()), [("b.weight", "b.bias")]),
    "other order": (lambda m, x: m.b(m.a(x).relu()) + x, [("b.weight", "b.bias")]),
    "post-norm": (lambda m, x: m.norm(x + m.b(m.a(x).relu())), [("b.weight", "b.bias")]),
    "norm at the end of the branch": (
        lambda m, x: x + m.norm(m.b(m.a(x))),
        [("norm.weight", "norm.bias")],
    ),
    "layer scale": (lambda m, x: x + m.gain * m.a(x), [("gain",)]),
    "parallel branches": (lambda m, x: x + m.a(x) + m.b(x), [("a.weight",), ("b.weight", "b.bias")]),
    "parallel branches, added first": (
        lambda m, x: x + (m.a(x) + m.b(x)),
        [("a.weight", "b.weight", "b.bias")],
    ),
    "in a row": (
        lambda m, x: (lambda y: y + m.b(y))(x + m.a(x)),
        [("a.weight",), ("b.weight", "b.bias")],
    ),
    "experts by scatter": (_experts, [("b.weight", "b.bias")]),
    "branch that ends in a nonlinearity": (lambda m, x: x + m.a(x).tanh(), [("a.weight",)]),
    "in place": (lambda m, x: x.clone().add_(m.a(x)), [("a.weight",)]),
    "concatenation": (lambda m, x: torch.cat([x, m.a(x)], -1), []),
    "self-gate": (lambda m, x: x * m.a(x).sigmoid(), []),
    "polynomial": (lambda m, x: m.a(x + 0.044 * x**3), []),
    "gelu by hand": (lambda m, x: m.b(F.gelu(m.a(x), approximate="tanh")), []),
    "two projections": (lambda m, x: m.a(x) + m.b(x), []),
    "recurrent net": (_recurrent, []),
}


@pytest.mark.parametrize("case", BRANCHES)
def test_branches(case):
    run, ends = BRANCHES[case]
    x = torch.randn(2, 5, WIDTH)
    found = branches(residuals(analyse(trace(Net(run), lambda m: m(x), inputs=x))))
    assert [tuple(sorted(b.ends)) for b in found] == [tuple(sorted(e)) for e in ends]


def test_inside_is_what_stands_between_the_stream_and_the_end():
    x = torch.randn(2, 5, WIDTH)
    net = Net(lambda m, x: m.norm(x + m.gain * m.b(m.a(x).relu())))
    (branch,) = branches(residuals(analyse(trace(net, lambda m: m(x), inputs=x))))
    assert set(branch.inside) == {"a.weight", "b.weight", "b.bias", "gain"}
    assert branch.ends == ("gain",)


def test_what_makes_the_start_of_a_branch_is_outside():
    stem = Net(lambda m, x: (h := m.a(x)) + m.b(h).relu())
    normed = Net(lambda m, x: (h := m.norm(x)) + m.b(h).relu())
    x = torch.randn(2, 3, WIDTH)
    for net in (stem, normed):
        (branch,) = branches(residuals(analyse(trace(net, lambda m: m(x), inputs=x))))
        assert branch.inside == ("b.weight", "b.bias")
