"""Routes to Hessian products over PyTorch's operations: ours must be right on all of them; the others are shown.

What other routes do today is printed by the slow test and asserted nowhere, so that a PyTorch that mends them passes.
"""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from similitude.core.errors import CurvatureError
from similitude.landscape.curvature import Curvature
from similitude.landscape.doctor import doctor
from similitude.landscape.doctor_records import word
from similitude.landscape.doctor_subject import Subject
from similitude.landscape.routes import OURS, ROUTES, central_difference, routes_by_name, step_scale

D = torch.float64
B, T, N = 3, 5, 8
G = torch.Generator().manual_seed(0)
X = torch.randn(B, T, N, generator=G, dtype=D)
IMAGE = torch.randn(B, 4, 6, 6, generator=G, dtype=D)
INDEX = torch.randint(0, 7, (B, T), generator=G)
LABELS = torch.randint(0, N, (B * T,), generator=G)
TARGET = torch.randn(B, T, N, generator=G, dtype=D)
CAUSAL = torch.ones(T, T, dtype=torch.bool).tril()
W = torch.randn(N, N, generator=G, dtype=D) * 0.5
KERNEL = torch.randn(4, 4, 3, 3, generator=G, dtype=D) * 0.3
TABLE = torch.randn(7, N, generator=G, dtype=D)


class Weighted(nn.Module):
    """One weight, and what is computed from it."""

    def __init__(self, weight, compute):
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.compute = compute

    def forward(self, batch):
        return self.compute(self.weight)


class Layer(nn.Module):
    """A layer of PyTorch's own with all of its parameters."""

    def __init__(self, layer, call):
        super().__init__()
        torch.manual_seed(0)
        self.layer = layer().double()
        self.call = call

    def forward(self, batch):
        return self.call(self.layer, X)


def of_x(function):
    return W, lambda w: function(X @ w)


def of_image(function):
    return KERNEL, lambda w: function(F.conv2d(IMAGE, w, padding=1))


def attention(**options):
    def attend(w):
        q = (X @ w).reshape(B, T, 2, 4).transpose(1, 2)
        return F.scaled_dot_product_attention(q, 0.7 * q, 0.3 * q, **options)

    return W, attend


OPERATIONS = {
    "linear": of_x(lambda z: z),
    "relu": of_x(F.relu),
    "gelu": of_x(F.gelu),
    "gelu tanh": of_x(lambda z: F.gelu(z, approximate="tanh")),
    "silu": of_x(F.silu),
    "mish": of_x(F.mish),
    "softplus": of_x(F.softplus),
    "elu": of_x(F.elu),
    "leaky relu": of_x(F.leaky_relu),
    "hardswish": of_x(F.hardswish),
    "softmax": of_x(lambda z: z.softmax(-1)),
    "softmax, masked": of_x(lambda z: (z @ X.mT).masked_fill(~CAUSAL, -math.inf).softmax(-1)),
    "logsumexp": of_x(lambda z: z.logsumexp(-1)),
    "cross entropy": of_x(lambda z: F.cross_entropy(z.reshape(-1, N), LABELS)),
    "cross entropy, smoothed": of_x(lambda z: F.cross_entropy(z.reshape(-1, N), LABELS, label_smoothing=0.1)),
    "mse": of_x(lambda z: F.mse_loss(z, TARGET)),
    "huber": of_x(lambda z: F.huber_loss(z, TARGET)),
    "bce": of_x(lambda z: F.binary_cross_entropy_with_logits(z, TARGET.sigmoid())),
    "layer norm": of_x(lambda z: F.layer_norm(z, (N,))),
    "layer norm, affine": (W, lambda w: F.layer_norm(X @ w, (N,), w[0], w[1])),
    "rms norm": of_x(lambda z: F.rms_norm(z, (N,))),
    "group norm": of_image(lambda z: F.group_norm(z, 2)),
    "batch norm": of_image(lambda z: F.batch_norm(z, None, None, training=True)),
    "instance norm": of_image(F.instance_norm),
    "conv": of_image(lambda z: z),
    "max pool": of_image(lambda z: F.max_pool2d(z, 2)),
    "average pool": of_image(lambda z: F.avg_pool2d(z, 2)),
    "adaptive pool": of_image(lambda z: F.adaptive_avg_pool2d(z, 1)),
    "bilinear": of_image(lambda z: F.interpolate(z, scale_factor=2, mode="bilinear")),
    "embedding": (TABLE, lambda w: F.embedding(INDEX, w) @ W),
    "einsum": (W, lambda w: torch.einsum("btd,de->bte", X, w)),
    "attention": attention(is_causal=True),
    "attention, mask": attention(attn_mask=CAUSAL),
    "attention, all to all": attention(),
    "weight norm": (W, lambda w: X @ torch._weight_norm(w, W[:, :1].abs(), 0)),
    "cumsum": of_x(lambda z: z.cumsum(1)),
    "sort": of_x(lambda z: z.sort(-1)[0]),
    "svdvals": (W, torch.linalg.svdvals),
    "fft": of_x(lambda z: torch.fft.rfft(z).abs()),
}
LAYERS = {
    "multi-head attention": (
        lambda: nn.MultiheadAttention(N, 2, batch_first=True),
        lambda layer, x: layer(x, x, x)[0],
    ),
    "lstm": (lambda: nn.LSTM(N, N, batch_first=True), lambda layer, x: layer(x)[0]),
    "gru": (lambda: nn.GRU(N, N, batch_first=True), lambda layer, x: layer(x)[0]),
}


def model_of(name):
    return Layer(*LAYERS[name]) if name in LAYERS else Weighted(*OPERATIONS[name])


def loss(model, batch):
    z = model(batch)
    weights = torch.linspace(0.5, 1.5, z.numel(), dtype=z.dtype).reshape(z.shape)
    return (weights * z.tanh() ** 2).sum()


@pytest.mark.parametrize("name", [*OPERATIONS, *LAYERS])
def test_our_own_products_are_right_on_every_operation(name):
    subject = Subject(model_of(name), loss, X, dtype=None, seed=0)
    reference = subject.difference()
    assert reference.settled
    with Curvature(subject.model, loss, X) as curv:
        product = curv.hvp(subject.space.join(subject.direction(0)))
    assert reference.error(product) < max(1e-6, 3 * reference.uncertainty)


@pytest.mark.slow
def test_the_whole_table(capsys):
    """Every route on every operation, each in a process that may die; only our own is asserted."""
    found = {}
    for name in [*OPERATIONS, *LAYERS]:
        found[name] = doctor(model_of(name), loss, X)
        with capsys.disabled():
            row = "  ".join(f"{r} {word(found[name].finding(r))}" for r in ROUTES)
            print(f"{name:24s} {row}")
    assert all(one.finding(OURS).result == "ok" for one in found.values())


@pytest.mark.parametrize("name", [name for name in ROUTES if name != "linearize"])
def test_every_route_is_exact_on_a_polynomial(name):
    """f = sum t^3 / 6 + (a . t)^2 / 2: H = diag(t) + a a'. What a route cannot do is told elsewhere."""
    t, v = torch.randn(2, 6, generator=torch.Generator().manual_seed(1), dtype=D)
    a = torch.arange(6.0, dtype=D)
    point = [t[:2].clone().requires_grad_(), t[2:].clone().requires_grad_()]

    def f(*at):
        whole = torch.cat(at)
        return (whole**3).sum() / 6 + (a @ whole) ** 2 / 2

    found = torch.cat(ROUTES[name].product(f, point, [v[:2], v[2:]]))
    torch.testing.assert_close(found.detach(), t * v + a * (a @ v), rtol=1e-8, atol=1e-8)


def test_a_tensor_without_effect_has_no_curvature():
    point = [torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)]
    ones = [torch.ones(2), torch.ones(3)]
    for route in (ROUTES[OURS], ROUTES["vjp_grad"], ROUTES["dual"]):
        used, unused = route.product(lambda a, b: (a**2).sum(), point, ones)
        assert used.tolist() == [2, 2]
        assert unused.tolist() == [0, 0, 0]


def test_a_difference_does_not_depend_on_the_length_of_the_direction():
    point = [torch.linspace(1, 2, 5, dtype=D)]
    v = torch.linspace(-1, 1, 5, dtype=D)
    small, large = (central_difference(lambda t: t.exp().sum(), point, [c * v])[0] / c for c in (1e-6, 1e6))
    torch.testing.assert_close(small, large, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(small, point[0].exp() * v, rtol=1e-7, atol=1e-8)


def test_a_point_of_zeros_has_a_step():
    assert step_scale([torch.zeros(4)], [torch.ones(4)]) == pytest.approx(0.01)


def test_routes_are_chosen_by_name_and_ours_comes_first():
    assert [r.name for r in routes_by_name(["dual", "vjp_grad"])] == [OURS, "vjp_grad", "dual"]
    assert [r.name for r in routes_by_name(None)] == list(ROUTES)
    with pytest.raises(CurvatureError, match=r"no route 'jvp'\. Name some of: curvature, double_backward"):
        routes_by_name(["jvp"])
