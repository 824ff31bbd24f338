"""Who makes the queries of attention, told by the pass of networks that say it in many ways."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from similitude.core.errors import PlanError
from similitude.scaling.dataflow.structure import study
from similitude.scaling.queries import Queries, queries_of, require_queries

HEAD = 8


class Net(nn.Module):
    """Two maps of the input, a and b, a third c that is weighed, and a way to weigh it."""

    def __init__(self, width: int, weigh) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(6, width) for _ in range(3))
        self.gain = nn.Parameter(torch.ones(width))
        self.both = nn.Linear(6, 2 * width)
        self.head = nn.Linear(width, 3)
        self.weigh = weigh

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.weigh(self, x))


def heads(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(-1, (-1, HEAD)).transpose(1, 2)


def merged(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).flatten(-2)


def found(weigh) -> Queries:
    sample = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    size = {"width": 16}
    return queries_of(
        study(lambda width: Net(width, weigh), sample, base=size, target=size, loss=None, seed=0)
    )


def written_out(net: Net, x: torch.Tensor) -> torch.Tensor:
    scores = heads(net.a(x)) @ heads(net.b(x)).transpose(-2, -1) / HEAD**0.5
    future = torch.ones(5, 5, dtype=torch.bool).triu(1)
    return merged(scores.masked_fill(future, -torch.inf).softmax(-1) @ heads(net.c(x)))


def fused(net: Net, x: torch.Tensor) -> torch.Tensor:
    return merged(F.scaled_dot_product_attention(heads(net.a(x)), heads(net.b(x)), heads(net.c(x))))


def keys_first(net: Net, x: torch.Tensor) -> torch.Tensor:
    scores = torch.einsum("bhkd,bhqd->bhqk", heads(net.b(x)), heads(net.a(x)))
    return merged(torch.einsum("bhqk,bhkd->bhqd", scores.softmax(-1), heads(net.c(x))))


def other_axis(net: Net, x: torch.Tensor) -> torch.Tensor:
    scores = heads(net.b(x)) @ heads(net.a(x)).transpose(-2, -1)  # (keys, queries)
    return merged(scores.softmax(-2).transpose(-2, -1) @ heads(net.c(x)))


def capped_with_a_sink(net: Net, x: torch.Tensor) -> torch.Tensor:
    scores = 5 * torch.tanh(heads(net.a(x)) @ heads(net.b(x)).transpose(-2, -1) / 5)
    scores = torch.cat([scores, torch.zeros(*scores.shape[:-1], 1)], -1).softmax(-1)[..., :-1]
    return merged(scores @ heads(net.c(x)))


@pytest.mark.parametrize("weigh", [written_out, fused, keys_first, other_axis, capped_with_a_sink])
def test_a_layer_of_its_own_makes_queries_with_its_bias(weigh):
    assert found(weigh) == Queries(("a.weight", "a.bias"))


def test_a_gain_behind_the_layer_makes_them():
    def weigh(net: Net, x: torch.Tensor) -> torch.Tensor:
        q = F.rms_norm(net.a(x), (net.a.out_features,)) * net.gain
        return (q @ net.b(x).transpose(-2, -1)).softmax(-1) @ net.c(x)

    assert found(weigh) == Queries(("gain",))


def test_what_also_makes_keys_or_values_is_mixed():
    def with_keys(net: Net, x: torch.Tensor) -> torch.Tensor:
        q, k = net.both(x).chunk(2, -1)
        return (q @ k.transpose(-2, -1)).softmax(-1) @ net.c(x)

    def with_values(net: Net, x: torch.Tensor) -> torch.Tensor:
        q, v = net.both(x).chunk(2, -1)
        return F.scaled_dot_product_attention(q, net.b(x), v)

    def as_keys_elsewhere(net: Net, x: torch.Tensor) -> torch.Tensor:
        first = (net.a(x) @ net.b(x).transpose(-2, -1)).softmax(-1) @ net.c(x)
        return first + (net.b(x) @ net.a(x).transpose(-2, -1)).softmax(-1) @ net.c(x)

    assert found(with_keys) == found(with_values) == Queries(mixed=("both.weight", "both.bias"))
    assert found(as_keys_elsewhere) == Queries(mixed=("a.weight", "a.bias", "b.weight", "b.bias"))


def test_vectors_of_length_one_are_scaled_by_nobody():
    def weigh(net: Net, x: torch.Tensor) -> torch.Tensor:
        return (F.normalize(net.a(x), dim=-1) @ net.b(x).transpose(-2, -1)).softmax(-1) @ net.c(x)

    assert found(weigh) == Queries(nameless=("",))


def test_a_gain_of_one_and_a_tensor_scales_nothing():
    def weigh(net: Net, x: torch.Tensor) -> torch.Tensor:
        q = F.rms_norm(net.a(x), (net.a.out_features,)) * (1 + net.gain)
        return (q @ net.b(x).transpose(-2, -1)).softmax(-1) @ net.c(x)

    assert found(weigh) == Queries(nameless=("",))


def without_softmax(net: Net, x: torch.Tensor) -> torch.Tensor:
    return net.a(x) @ net.b(x).transpose(-2, -1) @ net.c(x)


def of_a_matrix(net: Net, x: torch.Tensor) -> torch.Tensor:
    return net.c(x) * net.a(x).softmax(-1)


def of_similarities(net: Net, x: torch.Tensor) -> torch.Tensor:
    """A softmax of products that weighs nothing, as the probabilities of pairs."""
    return (net.a(x) @ net.b(x).transpose(-2, -1)).softmax(-1).sum(-1, keepdim=True) + net.c(x)


@pytest.mark.parametrize("weigh", [without_softmax, of_a_matrix, of_similarities])
def test_what_is_no_attention_has_no_queries(weigh):
    assert found(weigh) == Queries()


@pytest.mark.parametrize(
    ("queries", "text"),
    [
        (Queries(), "has no attention"),
        (Queries(("q",), mixed=("qkv",)), "'qkv' makes keys, values or something else together with the queries"),
        (Queries(mixed=("w", "b")), "'w', 'b' make keys.* a layer of their own in make"),
        (Queries(nameless=("blocks.0",)), "no tensor scales the queries as a whole in 'blocks.0'"),
    ],
)  # fmt: skip
def test_a_knob_that_cannot_act_on_the_queries_alone_is_told(queries, text):
    with pytest.raises(PlanError, match=text):
        require_queries(queries)
    require_queries(Queries(("q",)))
