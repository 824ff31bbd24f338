"""How models are fed and their outputs told: one rule for the tangent kernel and the Gauss-Newton matrix, and copies."""

from __future__ import annotations

from collections import UserDict, namedtuple
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from similitude.core.errors import CurvatureError
from similitude.landscape.calls import copied, output_tensors, pick
from similitude.landscape.curvature import Curvature
from similitude.landscape.ntk import ntk_gram

Pair = namedtuple("Pair", "out ids")
FORMS = {
    "tensor": (lambda y: y, lambda result: result),
    "tuple": (lambda y: (y, None, torch.arange(3)), lambda result: result[0]),
    "named tuple": (lambda y: Pair(y, torch.arange(3)), lambda result: result.out),
    "list in a tuple": (lambda y: ([y],), lambda result: result[0][0]),
    "dict": (lambda y: {"out": y, "length": 3}, lambda result: result["out"]),
    "logits": (lambda y: {"logits": y, "hidden": y + 1}, lambda result: result["logits"]),
}


class Returning(nn.Module):
    def __init__(self, form: Any) -> None:
        super().__init__()
        self.form = form
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = nn.Linear(4, 2, dtype=torch.float64)

    def forward(self, x: Tensor) -> Any:
        return self.form(self.net(x).tanh())


def vectors(count: int = 3) -> Tensor:
    return torch.randn(count, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", FORMS)
def test_the_kernel_and_the_curvature_take_the_same_outputs_by_default(name):
    form, read = FORMS[name]
    x, u = vectors(), torch.arange(6, dtype=torch.float64)
    found = ntk_gram(Returning(form), x).matrix
    # K by autograd, with the outputs named.
    plain = Returning(lambda y: y)
    jacobian = torch.cat([
        j.flatten(2).flatten(0, 1)
        for j in torch.autograd.functional.jacobian(
            lambda w, b: (x @ w.T + b).tanh(), tuple(p.detach() for p in plain.parameters())
        )
    ], dim=1)  # fmt: skip
    assert torch.allclose(found, jacobian @ jacobian.T, rtol=1e-12)
    with Curvature(Returning(form), lambda model, x: read(model(x)).square().mean(), x) as curvature:
        assert torch.allclose(curvature.ntk_product(u), found @ u, rtol=1e-12)


def test_outputs_that_cannot_be_told_are_refused():
    two = {"one": vectors(), "other": vectors()}
    with pytest.raises(CurvatureError, match=r"the model returned a dict with 2 real tensors.*Pass outputs="):
        pick(two)
    with pytest.raises(CurvatureError, match="gave a str with 0 real tensors"):
        pick(two, lambda result: "one")
    assert pick(two, lambda result: (result["other"],)) is two["other"]
    assert output_tensors("logits") == []


def test_copies_share_nothing_with_what_they_were_taken_of():
    x = vectors().requires_grad_()
    given = UserDict({"x": x * 2, "parts": (vectors(), [vectors(2)]), "names": ["a"]})
    taken = copied(given)
    assert torch.equal(taken["x"], given["x"])
    assert not taken["x"].requires_grad
    taken["parts"][1][0].zero_()
    taken["names"].append("b")
    assert given["parts"][1][0].abs().min() > 0
    assert given["names"] == ["a"]
