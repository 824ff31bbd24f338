"""Dimensions of a parameter through views, against a search by resized parameters."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from similitude.scaling.dataflow.interpret import analyse
from similitude.scaling.dataflow.trace import trace


class View(nn.Module):
    def __init__(self, shape, view) -> None:
        super().__init__()
        self.p, self.view = nn.Parameter(torch.randn(shape)), view

    def forward(self, x):
        return self.view(self.p)


VIEWS = {
    "transposed": (lambda a, b, c: (a, b), lambda p: p.t()),
    "permuted": (lambda a, b, c: (a, b, c), lambda p: p.permute(2, 0, 1)),
    "swapped": (lambda a, b, c: (a, b, c), lambda p: p.transpose(-1, 0)),
    "merged": (lambda a, b, c: (a, b, c), lambda p: p.reshape(p.shape[0], -1)),
    "merged after a permutation": (lambda a, b, c: (a, b, c), lambda p: p.permute(1, 0, 2).flatten(1)),
    "with new dimensions": (lambda a, b, c: (a, b), lambda p: p[None, :, None, :]),
    "squeezed": (lambda a, b, c: (a, 1, c), lambda p: p.squeeze(1)),
    "selected": (lambda a, b, c: (a, b, c), lambda p: p[:, 1]),
    "expanded": (lambda a, b, c: (a, b), lambda p: p.expand(4, -1, -1)),
    "cut": (lambda a, b, c: (a, b), lambda p: p[:3, 1:]),
    "in two parts": (lambda a, b, c: (2 * a, b), lambda p: p.chunk(2)[1]),
}


@pytest.mark.parametrize("case", VIEWS)
def test_every_dimension_is_a_product_of_the_parameters_own(case):
    shape, view = VIEWS[case]
    own = shape(6, 10, 15)
    model = View(own, view)
    found = trace(model, lambda m: m(torch.zeros(1)))
    (value,) = found.outputs
    weight = analyse(found).facts[value].weight
    assert weight is not None
    made = found.values[value].shape
    assert len(weight.dims["p"]) == len(made)
    for at, dims in enumerate(weight.dims["p"]):
        assert dims is not None
        # Growing one dimension of the parameter must change exactly the dimensions that are said to run over it.
        for i in range(len(own)):
            sizes = [6, 10, 15]
            grown = tuple(2 * n if j == i and n != 1 else n for j, n in enumerate(shape(*sizes)))
            if grown == own:
                continue
            with torch.no_grad():
                after = view(torch.empty(grown)).shape[at]
            if case != "cut" and (case != "expanded" or at > 0):
                assert (after != made[at]) == (i in dims), (at, i)
        if case not in ("cut", "in two parts", "expanded", "with new dimensions"):
            assert made[at] == math.prod(own[d] for d in dims)


def test_a_dimension_that_is_split_is_unknown():
    found = trace(View((6, 4), lambda p: p.view(3, 2, 4)), lambda m: m(torch.zeros(1)))
    weight = analyse(found).facts[found.outputs[0]].weight
    assert weight is not None
    assert weight.dims["p"] == (None, None, (1,))
