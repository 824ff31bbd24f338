"""The covariance flow with depth against integrals, networks of weights in both orders of the limits, and autograd."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate

from similitude.core.errors import TheoryError
from similitude.theory.finite_width.activation import read_activation
from similitude.theory.finite_width.duals import products, slope_products
from similitude.theory.finite_width.residual_draws import sample_resnet_covariance
from similitude.theory.finite_width.residual_flow import covariance_profile, resnet_covariance, resnet_ntk

Q0 = np.array([[0.6695, -0.0712], [-0.0712, 0.7645]])
F = torch.nn.functional


def brute(function, q: np.ndarray) -> float:
    """E f(u) f(v) over (u, v) ~ N(0, q) by a fine grid of trapezoids, kinks at zero on the grid."""
    t = np.linspace(-8, 8, 1601)
    w = np.exp(-(t**2) / 2)
    w /= w.sum()
    c = q[0, 1] / math.sqrt(q[0, 0] * q[1, 1])
    u = math.sqrt(q[0, 0]) * t[:, None]
    v = math.sqrt(q[1, 1]) * (c * t[:, None] + math.sqrt(1 - c**2) * t[None])
    u, v = (function(torch.from_numpy(np.array(np.broadcast_to(z, (1601, 1601))))).numpy() for z in (u, v))
    return float(w @ (u * v) @ w)


@pytest.mark.parametrize("phi", [torch.relu, torch.tanh, torch.abs, F.gelu, F.elu, torch.cos])
@pytest.mark.parametrize("c", [-0.9, 0.0, 0.3, 0.99])
def test_products_are_integrals(phi, c):
    q = np.array([[1.7, c * math.sqrt(1.7 * 0.4)], [c * math.sqrt(1.7 * 0.4), 0.4]])
    assert products(read_activation(phi), q)[0, 1] == pytest.approx(brute(phi, q), rel=1e-3, abs=1e-5)


def test_products_of_slopes_are_integrals():
    q = np.array([[1.2, 0.5], [0.5, 0.8]])
    tanh = slope_products(read_activation(torch.tanh), q)[0, 1]
    assert tanh == pytest.approx(brute(lambda z: 1 - torch.tanh(z) ** 2, q), rel=1e-6)
    relu = slope_products(read_activation(torch.relu), q)[0, 1]
    assert relu == pytest.approx(brute(lambda z: (z > 0).double(), q), abs=2e-3)
    c = 0.5 / math.sqrt(0.96)
    assert relu == pytest.approx((math.pi - math.acos(c)) / (2 * math.pi))


def test_the_limit_of_relu_is_the_equation_of_the_paper():
    def rate(_, q):
        c = np.clip(q[2] / math.sqrt(q[0] * q[1]), -1, 1)
        f = (c * math.asin(c) + math.sqrt(1 - c**2)) / math.pi + c / 2
        return [q[0] / 2, q[1] / 2, f * math.sqrt(q[0] * q[1]) / 2]

    a, b, ab = integrate.solve_ivp(rate, (0, 1), [Q0[0, 0], Q0[1, 1], Q0[0, 1]], rtol=1e-10, atol=1e-13).y[
        :, -1
    ]
    assert resnet_covariance(Q0) == pytest.approx(np.array([[a, ab], [ab, b]]), rel=1e-7)
    assert a == pytest.approx(math.exp(0.5) * Q0[0, 0])


def test_the_error_of_finite_depth_is_one_over_depth():
    limit = resnet_covariance(Q0)
    depths = np.array([16, 64, 256, 1024])
    errors = [np.abs(resnet_covariance(Q0, int(L)) / limit - 1).max() for L in depths]
    assert np.polyfit(np.log(depths), np.log(errors), 1)[0] == pytest.approx(-1, abs=0.02)
    assert depths[-1] * errors[-1] == pytest.approx(0.97, abs=0.01)


def networks(width: int, depth: int, *, trials: int, seed: int, phi=torch.relu) -> np.ndarray:
    """Covariances of residual networks of real weights on two inputs with covariance Q0, one after another."""
    g = torch.Generator().manual_seed(seed)
    stem = torch.linalg.cholesky(torch.tensor(Q0, dtype=torch.float32))
    found = []
    for _ in range(trials):
        Y = stem @ torch.randn(2, width, generator=g)
        for _ in range(depth):
            Y = Y + phi(Y) @ torch.randn(width, width, generator=g) / (width * depth) ** 0.5
        found.append((Y @ Y.T / width).numpy())
    return np.stack(found)


def test_width_and_depth_may_grow_in_any_order():
    limit, scaled = resnet_covariance(Q0), {}
    for width, depth, trials in ((16, 16, 400), (16, 256, 100), (64, 16, 200), (64, 128, 60)):
        drawn = networks(width, depth, trials=trials, seed=width + depth)
        scaled[width, depth] = math.sqrt(((drawn - limit)[:, 0, 1] ** 2).mean() * width)
    values = list(scaled.values())
    assert max(values) / min(values) < 1.35
    assert np.mean(values) == pytest.approx(1.5, rel=0.2)


def test_draws_without_weights_are_those_of_networks():
    law = sample_resnet_covariance(Q0, 32, depth=24, trials=4000, seed=1)
    real = networks(32, 24, trials=800, seed=3)
    for i, j in ((0, 0), (0, 1), (1, 1)):
        error = real[:, i, j].std() / 800**0.5
        assert abs(law[:, i, j].mean() - real[:, i, j].mean()) <= 4 * error
        assert law[:, i, j].std() == pytest.approx(real[:, i, j].std(), rel=0.12)


@pytest.mark.parametrize(
    ("phi", "end", "low", "high"), [(torch.relu, 1.64872, 4.3, 5.5), (torch.tanh, 1.4279, 2.1, 2.9)]
)
@pytest.mark.parametrize(("n", "L"), [(32, 24), (32, 128), (96, 24)])
def test_fluctuations_depend_on_the_width_alone(phi, end, low, high, n, L):
    q = sample_resnet_covariance(1.0, n, depth=L, trials=4000, phi=phi, seed=n * L)[:, 0, 0]
    assert resnet_covariance(1.0, phi=phi)[0, 0] == pytest.approx(end, abs=1e-4)
    assert q.mean() == pytest.approx(end, abs=4 * q.std() / 4000**0.5 + 0.4 / L)
    assert low <= n * q.var() / q.mean() ** 2 <= high


@pytest.mark.parametrize(("phi", "branch"), [(torch.relu, 1.0), (torch.tanh, 1.3)])
def test_the_tangent_kernel_is_that_of_wide_networks(phi, branch):
    g, n, L, features = torch.Generator().manual_seed(15), 192, 8, 20
    X = torch.randn(2, features, generator=g, dtype=torch.float64)
    kernels = []
    for _ in range(24):
        shapes = [(features, n), *[(n, n)] * L, (n, 1)]
        weights = [torch.randn(s, generator=g, dtype=torch.float64, requires_grad=True) for s in shapes]
        Y = X @ weights[0] / features**0.5
        for weight in weights[1:-1]:
            Y = Y + branch * phi(Y) @ weight / (n * L) ** 0.5
        f = (Y @ weights[-1])[:, 0] / n**0.5
        rows = [
            torch.cat([p.ravel() for p in torch.autograd.grad(each, weights, retain_graph=True)])
            for each in f
        ]
        J = torch.stack(rows)
        kernels.append((J @ J.T).numpy())
    mean, error = np.mean(kernels, 0), np.std(kernels, 0) / 24**0.5
    theory = resnet_ntk((X @ X.T / features).numpy(), L, phi=phi, branch=branch)
    assert (np.abs(mean - theory) <= 3.5 * error + 0.01 * np.abs(theory)).all()


def test_the_tangent_kernel_in_the_limit_of_depth():
    assert resnet_ntk(Q0).diagonal() == pytest.approx(2.5 * math.exp(0.5) * Q0.diagonal())
    assert resnet_ntk(Q0, 4000) == pytest.approx(resnet_ntk(Q0), rel=1e-3)


def test_a_profile_is_every_stop_on_the_way():
    profile = covariance_profile(Q0, 6)
    assert profile.shape == (7, 2, 2)
    assert profile[0] == pytest.approx(Q0)
    assert profile[3] == pytest.approx(resnet_covariance(Q0, 6, time=0.5))
    limit = covariance_profile(Q0, times=(0.0, 0.5, 2.0))
    assert limit[:, 0, 0] == pytest.approx(Q0[0, 0] * np.exp([0.0, 0.25, 1.0]))


def test_each_branch_may_have_its_multiplier():
    branches = [0.5, 1.0, 2.0]
    end = resnet_covariance(1.0, 3, branch=branches)[0, 0]
    assert end == pytest.approx(math.prod(1 + a**2 / 6 for a in branches))


def test_norms_make_growth_linear():
    """A branch that normalizes its input adds the same at every size of the stream."""
    q = covariance_profile(9.0, 10, normalized=True)[:, 0, 0]
    assert q == pytest.approx(9 + 0.5 * np.arange(11) / 10)
    assert resnet_covariance(9.0, normalized=True)[0, 0] == pytest.approx(9.5)


def test_degenerate_inputs():
    same = resnet_covariance([[1.0, 1.0], [1.0, 1.0]])
    assert same == pytest.approx(np.full((2, 2), math.exp(0.5)))
    zero = resnet_covariance([[0.0, 0.0], [0.0, 1.0]])
    assert zero == pytest.approx(np.array([[0.0, 0.0], [0.0, math.exp(0.5)]]))
    opposite = resnet_covariance([[1.0, -1.0], [-1.0, 1.0]], 2)
    assert opposite[0, 1] == pytest.approx(
        -1 + brute(torch.relu, np.array([[1.25, -1.0], [-1.0, 1.25]])) / 2, abs=1e-4
    )
    (drawn,) = sample_resnet_covariance([[1.0, 1.0], [1.0, 1.0]], 8, depth=3, trials=1)
    assert drawn == pytest.approx(np.full((2, 2), drawn[0, 0]))
    assert resnet_covariance(torch.eye(2), branch=0.0) == pytest.approx(np.eye(2))


@pytest.mark.parametrize(
    ("q0", "depth", "options", "says"),
    [
        ([[1.0, 2.0], [2.0, 1.0]], 4, {}, "has the eigenvalue -1"),
        ([[1.0, 0.5], [0.0, 1.0]], 4, {}, "q0 is not symmetric: it is off by 0.5"),
        ([1.0, 2.0], 4, {}, r"q0 has shape \(2,\)"),
        (math.nan, 4, {}, "not finite"),
        (1.0, 0, {}, "depth=0: pass a whole number of at least 1"),
        (1.0, 2.5, {}, "depth=2.5"),
        (1.0, 4, {"branch": -1.0}, "branch=-1: pass a finite number of at least 0"),
        (1.0, 4, {"branch": [1.0]}, "branch has 1 numbers for 4 branches"),
        (1.0, math.inf, {"branch": [1.0]}, "a number per branch, and depth is inf"),
        (1.0, 4, {"time": 2.0}, "increasing shares of the depth"),
        (1.0, 4, {"branch": 1e200}, r"branch=1e\+200: the square of it leaves the range"),
        (1.0, 2, {"branch": 1e120}, "leaves the range of numbers in branch 2 of 2"),
        (1.0, math.inf, {"branch": 60.0}, "leaves the range of numbers in the limit of infinite depth"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_wrong_use_is_explained(q0, depth, options, says):
    with pytest.raises(TheoryError, match=says):
        resnet_covariance(q0, depth, **options)


def test_draws_that_overflow_say_so():
    with pytest.raises(TheoryError, match="the stream overflows behind branch"):
        sample_resnet_covariance(1.0, 4, depth=4, trials=2, branch=1e200)
    with pytest.raises(TheoryError, match="width=0"):
        sample_resnet_covariance(1.0, 0, depth=4, trials=2)


@pytest.mark.parametrize("count", [60, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("error")
@pytest.mark.slow
def test_random_cases_stay_covariances_or_are_refused(count):
    rng = np.random.default_rng(150)
    kinds = (torch.relu, torch.tanh, torch.abs, F.gelu)
    for _ in range(count):
        inputs = rng.normal(size=(rng.integers(1, 5), rng.integers(1, 5))) * np.exp(rng.uniform(-20, 5))
        q0 = inputs @ inputs.T
        depth = math.inf if rng.random() < 0.1 else int(np.exp(rng.uniform(0, 4)))
        phi = kinds[rng.integers(2 if depth == math.inf else 4)]
        try:
            q = resnet_covariance(q0, depth, phi=phi, branch=np.exp(rng.uniform(-6, 1)))
        except TheoryError as error:
            assert "leaves the range" in str(error)  # noqa: PT017
            continue
        assert np.isfinite(q).all()
        assert q == pytest.approx(q.T)
        assert (q.diagonal() >= q0.diagonal() * (1 - 1e-9)).all()
        assert np.linalg.eigvalsh(q)[0] >= -1e-6 * np.abs(q).max()
        if depth != math.inf:
            tangent = resnet_ntk(q0, depth, phi=phi, branch=0.5)
            assert (tangent.diagonal() >= 2 * q0.diagonal() * (1 - 1e-9)).all()


def test_a_norm_leaves_zero_inputs_zero_and_small_ones_grow():
    q = resnet_covariance([[0.0, 0.0], [0.0, 1.0]], normalized=True)
    assert q == pytest.approx(np.array([[0.0, 0.0], [0.0, 1.5]]))
    small = resnet_covariance(1e-300, normalized=True)
    assert small[0, 0] == pytest.approx(0.5)


def test_multipliers_and_activations_of_other_types_are_taken():
    assert resnet_covariance(1.0, 4, branch=torch.ones(4)) == resnet_covariance(1.0, 4)
    draws = sample_resnet_covariance(1.0, 8, depth=2, trials=2, phi=lambda z: z.float().tanh())
    assert draws.shape == (2, 1, 1)


@pytest.mark.parametrize("phi", [torch.nn.Dropout(0.5), torch.nn.Softmax(-1)])
def test_what_does_not_act_entry_by_entry_is_refused(phi):
    with pytest.raises(TheoryError, match="phi gives other values for the same numbers"):
        resnet_covariance(1.0, phi=phi)
