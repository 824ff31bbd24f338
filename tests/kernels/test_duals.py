"""Duals against nested quadrature, against one another, and at the correlations where formulas lose digits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from similitude.core.errors import KernelError
from similitude.kernels.duals import Dual, cross, dual, find_dual
from similitude.kernels.duals.angular import Angular
from similitude.kernels.duals.mehler import mehler
from similitude.kernels.duals.series import Series
from tests.oracles.gaussian_pairs import expectation

PLAIN = torch.float64

FUNCTIONS = {
    "relu": (torch.relu, (0.0,)),
    "leaky": (nn.LeakyReLU(0.2), (0.0,)),
    "prelu": (nn.PReLU(init=0.3), (0.0,)),
    "abs": (torch.abs, (0.0,)),
    "sign": (torch.sign, (0.0,)),
    "erf": (torch.erf, ()),
    "gelu": (nn.GELU(), ()),
    "gelu_tanh": (nn.GELU("tanh"), ()),
    "sin": (torch.sin, ()),
    "cos": (torch.cos, ()),
    "exp": (torch.exp, ()),
    "square": (torch.square, ()),
    "cube": (lambda x: x**3, ()),
    "identity": (nn.Identity(), ()),
    "hardtanh": (nn.Hardtanh(), (-1.0, 1.0)),
    "relu6": (nn.ReLU6(), (0.0, 6.0)),
    "hardswish": (nn.Hardswish(), (-3.0, 3.0)),
    "hardsigmoid": (nn.Hardsigmoid(), (-3.0, 3.0)),
    "softshrink": (nn.Softshrink(), (-0.5, 0.5)),
    "hardshrink": (nn.Hardshrink(), (-0.5, 0.5)),
    "threshold": (nn.Threshold(0.1, 2.0), (0.1,)),
    "relu squared": (lambda x: torch.relu(x) ** 2, (0.0,)),
    "biased relu": (lambda x: torch.relu(x + 0.7), (-0.7,)),
    "elu": (nn.ELU(), (0.0,)),
    "selu": (nn.SELU(), (0.0,)),
    "silu": (nn.SiLU(), ()),
    "mish": (nn.Mish(), ()),
    "softplus": (nn.Softplus(), ()),
    "sigmoid": (torch.sigmoid, ()),
    "tanh": (torch.tanh, ()),
    "log_sigmoid": (nn.LogSigmoid(), ()),
    "softsign": (nn.Softsign(), (0.0,)),
    "biased gelu": (lambda x: nn.functional.gelu(x - 0.4), ()),
    "a wave on a line": (lambda x: x + torch.sin(x) ** 2, ()),
}


@pytest.fixture(scope="module")
def duals() -> dict[str, Dual]:
    return {name: dual(function) for name, (function, _) in FUNCTIONS.items()}


def tensor(*values: float) -> Tensor:
    return torch.tensor(values[0] if len(values) == 1 else values, dtype=PLAIN)


def slope(function: Dual):
    def at(x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        value = function(x)
        return torch.autograd.grad(value.sum(), x)[0] if value.requires_grad else torch.zeros_like(x)

    return at


ANGULAR = {"elu", "selu", "softsign"}
FEWER = sorted(set(FUNCTIONS) - {"selu", "softsign"})  # a second each for every range of variances

CASES = [(0.4, 1.0, 1.5), (-0.7, 1.2, 0.6), (1.95, 2.0, 2.0), (0.0, 0.3, 1.0), (-0.199, 0.2, 0.2)]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "softsign" else n for n in FUNCTIONS]
)
def test_agrees_with_nested_quadrature(name, duals):
    phi, kinks = duals[name], FUNCTIONS[name][1]
    k, q1, q2 = (tensor(*column) for column in zip(*CASES, strict=True))
    q = torch.cat([q1, q2])
    for values, f, bound in (
        (phi.covariance(k, q1, q2), phi, phi.error_bound(q)),
        (phi.derivative(k, q1, q2), slope(phi), phi.derivative_bound(q)),
    ):
        for value, case in zip(values, CASES, strict=True):
            wanted = expectation(f, f, *case, kinks=kinks)
            assert abs(float(value) - wanted) <= bound + 1e-11 * max(1, abs(wanted))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_moments_of_one_gaussian(name, duals):
    phi, kinks = duals[name], FUNCTIONS[name][1]
    one = torch.ones_like
    for q in (0.3, 2.0):
        for value, f in (
            (phi.mean(tensor(q)), phi),
            (phi.slope(tensor(q)), slope(phi)),
            (phi.second(tensor(q)), lambda x: phi(x) ** 2),
            (phi.steepness(tensor(q)), lambda x: slope(phi)(x) ** 2),
            (phi.stein(tensor(q)), lambda x, q=q: phi(x) * x / q),
        ):
            wanted = expectation(f, one, 0.0, q, 1.0, kinks=kinks)
            assert float(value) == pytest.approx(wanted, rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("name", FEWER)
def test_what_is_called_exact_is_the_series_within_its_bound(name, duals):
    phi = duals[name]
    series = Series(phi.__call__, name=name, kinks=FUNCTIONS[name][1])
    q = tensor(0.25, 1.0, 2.25)
    roots = q.sqrt()
    for rho in (-0.99, -0.3, 0.5, 1 - 1e-9):
        k = rho * roots[:, None] * roots
        ours, theirs = phi.both(k, q[:, None], q), series.both(k, q[:, None], q)
        assert float((ours[0] - theirs[0]).abs().max()) <= series.error_bound(q) + phi.error_bound(q)
        assert float((ours[1] - theirs[1]).abs().max()) <= series.derivative_bound(q) + phi.derivative_bound(
            q
        )


@pytest.mark.parametrize("name", FEWER)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_diagonal_is_the_limit_of_equal_inputs(name, dtype, duals):
    phi = duals[name]
    q = torch.tensor([0.1, 0.7, 1.3, 3.0], dtype=dtype)
    second, steepness = phi.diagonal(q)
    covariance, derivative = phi.both(q.clone(), q, q)
    assert second.dtype == covariance.dtype == dtype
    bounds = phi.error_bound(q), phi.derivative_bound(q)
    assert float((covariance - second).abs().max()) <= bounds[0] + 8 * torch.finfo(dtype).eps * float(
        second.max()
    )
    assert float((derivative - steepness).abs().max()) <= bounds[1] + 8 * torch.finfo(dtype).eps * max(
        1.0, float(steepness.max())
    )


@pytest.mark.parametrize("name", ["relu", "leaky", "abs", "hardtanh", "biased relu", "gelu", "erf", "sin"])
def test_near_perfect_correlation_no_digits_are_lost(name, duals):
    """E phi phi falls below E phi^2 by (q - k) E phi'^2 at first order, and E phi'phi' by sqrt(q - k) at a kink."""
    phi, q = duals[name], tensor(1.7)
    second, steepness = (float(value) for value in phi.diagonal(q))
    for gap in (1e-6, 1e-9, 1e-12):
        covariance = float(phi.covariance(q * (1 - gap), q, q))
        assert covariance == pytest.approx(second - 1.7 * gap * steepness, abs=4 * gap**1.5 + 4e-15)
    if name == "relu":
        assert float(phi.derivative(q * (1 - 1e-12), q, q)) == pytest.approx(
            0.5 - math.sqrt(2e-12) / (2 * math.pi), abs=1e-11
        )


@settings(max_examples=80, deadline=None)
@given(
    name=st.sampled_from(
        sorted(set(FUNCTIONS) - ANGULAR)
    ),  # those take a second for every range of variances
    log_q1=st.floats(-6, 2),
    log_q2=st.floats(-6, 2),
    rho=st.floats(-1, 1),
)
def test_laws_that_hold_for_any_function(name, log_q1, log_q2, rho):
    phi = _cached(name)
    q = tensor(math.exp(log_q1), math.exp(log_q2))
    k = rho * (q[0] * q[1]).sqrt()
    covariance, derivative = (float(value) for value in phi.both(k, q[0], q[1]))
    swapped = phi.both(k, q[1], q[0])
    slack, slope_slack = phi.error_bound(q), phi.derivative_bound(q)
    second, steepness = phi.diagonal(q)
    assert covariance == pytest.approx(float(swapped[0]), abs=slack)
    assert derivative == pytest.approx(float(swapped[1]), abs=slope_slack)
    assert abs(covariance) <= math.sqrt(float(second.prod())) + slack  # Cauchy and Schwarz
    assert abs(derivative) <= math.sqrt(float(steepness.prod())) + slope_slack
    mean = phi.mean(q)
    assert bool((second + slack >= mean**2).all())  # a variance


_known: dict[str, Dual] = {}


def _cached(name: str) -> Dual:
    if name not in _known:
        _known[name] = dual(FUNCTIONS[name][0])
    return _known[name]


def test_bounds_of_series_hold_in_three_thousand_random_cases():
    """Closed forms are the truth: their functions as series, with few terms or many, are off by no more than they say."""
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for name in ("erf", "gelu", "relu", "sin", "hardtanh", "biased relu"):
        phi = _cached(name)
        series = Series(phi.__call__, name=name, kinks=FUNCTIONS[name][1])
        q1, q2 = (torch.exp(2 * torch.randn(10, dtype=PLAIN, generator=generator) - 1) for _ in range(2))
        rho = torch.cat([torch.rand(2, dtype=PLAIN, generator=generator) * 2 - 1, tensor(1.0, -1.0, 0.999)])
        for terms in (None, 8, 40):
            first, second = series.expansion(q1, terms=terms), series.expansion(q2, terms=terms)
            for r in rho:
                k = r * (q1[:, None] * q2).sqrt()
                expanded = [
                    type(e)(
                        e.coefficients.reshape(e.terms, *shape),
                        e.second.reshape(shape),
                        e.rest.reshape(shape),
                    )
                    for e, shape in ((first, (10, 1)), (second, (1, 10)))
                ]
                value = mehler(k, q1[:, None], q2[None], *expanded)
                error = (value - phi.covariance(k, q1[:, None], q2[None])).abs()
                terms_kept = min(first.terms, second.terms)
                bound = (
                    _cauchy(first, second, terms_kept)
                    + 1e-13 * (first.second[:, None] * second.second).sqrt()
                )
                assert bool((error <= bound).all()), (name, terms, float(r))
                worst = max(worst, float((error / bound).max()))
    assert worst > 0.5  # the bound is no idle one: it is attained at a correlation of 1


def _cauchy(first, second, terms: int) -> Tensor:
    rests = [
        (e.second - e.coefficients[:terms].square().sum(0)).clamp_min(0)
        + 8 * torch.finfo(PLAIN).eps * e.second
        for e in (first, second)
    ]
    return (rests[0][:, None] * rests[1]).sqrt()


def test_interpolation_in_the_angle_is_the_closed_form():
    """ReLU, leaky ReLU and |x| as if nothing were known of them: rounding, at every correlation, within the bound."""
    generator = torch.Generator().manual_seed(0)
    q = torch.exp(torch.rand(40, dtype=PLAIN, generator=generator) * 3 - 2)
    gaps = torch.cat(
        [torch.rand(30, dtype=PLAIN, generator=generator) * 2, 10 ** -torch.arange(1.0, 11.0, dtype=PLAIN)]
    )
    rho = torch.cat([1 - gaps, gaps - 1])
    for name in ("relu", "leaky", "abs"):
        phi = _cached(name)
        ours = Angular(phi.__call__, name=name, kinked=True)
        k = rho[:, None, None] * (q[:, None] * q).sqrt()  # 64,000 cases
        for values, wanted, bound in zip(
            ours.both(k, q[:, None], q),
            phi.both(k, q[:, None], q),
            (ours.error_bound(q), ours.derivative_bound(q)),
            strict=True,
        ):
            assert float((values - wanted).abs().max()) <= bound < 1e-11
        table = ours.both(k[3], q[:, None], q[None])  # rows and columns: products of matrices
        assert float((table[0] - phi.covariance(k[3], q[:, None], q)).abs().max()) <= ours.error_bound(q)


@pytest.mark.slow
def test_large_variances_of_a_smooth_function():
    """At variances where 512 terms of the series are too few."""
    phi, q = _cached("tanh"), tensor(9.0, 25.0, 60.0)
    assert phi.error_bound(q) < 1e-7
    for k, q1, q2 in ((12.0, 9.0, 25.0), (24.9, 25.0, 25.0), (-38.0, 25.0, 60.0)):
        value = phi.covariance(tensor(k, 0.0), tensor(q1, 9.0), tensor(q2, 60.0))[0]
        wanted = expectation(phi, phi, k, q1, q2, kinks=(0.0,))
        assert abs(float(value) - wanted) <= phi.error_bound(q) + 1e-10


def test_two_different_functions():
    one, other = _cached("relu"), _cached("biased relu")
    pair = cross(one, other)
    assert pair.exact
    mixed = cross(_cached("relu"), _cached("tanh"))
    assert not mixed.exact
    for k, q1, q2 in CASES:
        args = tensor(k), tensor(q1), tensor(q2)
        wanted = expectation(one, other, k, q1, q2, kinks=(0.0, -0.7))
        assert float(pair.covariance(*args)) == pytest.approx(wanted, abs=1e-12)
        wanted = expectation(slope(one), slope(other), k, q1, q2, kinks=(0.0, -0.7))
        assert float(pair.derivative(*args)) == pytest.approx(wanted, abs=1e-12)
        wanted = expectation(_cached("relu"), _cached("tanh"), k, q1, q2, kinks=(0.0,))
        assert abs(float(mixed.covariance(*args)) - wanted) <= mixed.error_bound(args[1], args[2]) + 1e-12
        wanted = expectation(slope(_cached("relu")), slope(_cached("tanh")), k, q1, q2, kinks=(0.0,))
        assert (
            abs(float(mixed.derivative(*args)) - wanted) <= mixed.derivative_bound(args[1], args[2]) + 1e-12
        )


@pytest.mark.parametrize("name", ["relu", "hardtanh", "gelu", "sin", "exp", "tanh", "sign", "cube"])
def test_scaled_and_shifted_gaussians(name, duals):
    phi, kinks = duals[name], FUNCTIONS[name][1]
    moved = phi.affine(1.5, -0.4)

    def plain(x: Tensor) -> Tensor:
        return phi(1.5 * x - 0.4)

    assert float((moved(tensor(-1.0, 0.3)) - plain(tensor(-1.0, 0.3))).abs().max()) < 1e-14
    at = [(t + 0.4) / 1.5 for t in kinks]
    q = tensor(0.8, 1.1)
    covariance, derivative = moved.both(tensor(0.5), q[0], q[1])
    assert float(covariance) == pytest.approx(expectation(plain, plain, 0.5, 0.8, 1.1, kinks=at), abs=1e-11)
    wanted = expectation(slope(moved), slope(moved), 0.5, 0.8, 1.1, kinks=at)
    assert float(derivative) == pytest.approx(wanted, abs=1e-11)


@pytest.mark.parametrize("name", ["relu", "gelu", "erf", "hardtanh", "tanh", "sin"])
def test_float32_is_float64_rounded(name, duals):
    phi = duals[name]
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(1), dtype=PLAIN)
    k, q = x @ x.T / 5, x.square().mean(1)
    exact = phi.both(k, q[:, None], q)
    single = phi.both(k.float(), q.float()[:, None], q.float())
    off = ~torch.eye(8, dtype=torch.bool)
    for wanted, value in zip(exact, single, strict=True):
        assert value.dtype == torch.float32
        assert float((value - wanted)[off].abs().max()) < 1e-5 * float(wanted.abs().max())


@pytest.mark.parametrize("name", FEWER)
def test_a_zero_input_and_an_empty_block(name, duals):
    phi = duals[name]
    zero, one = tensor(0.0), tensor(1.0)
    for q in (zero, one):
        for value in phi.both(zero, zero, q):
            assert bool(torch.isfinite(value))
    at_zero = float(phi(zero))
    if name not in ("sign",):
        assert float(phi.covariance(zero, zero, zero)) == pytest.approx(at_zero**2, abs=1e-12)
    empty = torch.zeros(0, 3, dtype=PLAIN)
    assert phi.covariance(empty, torch.zeros(0, 1, dtype=PLAIN), torch.ones(1, 3, dtype=PLAIN)).shape == (
        0,
        3,
    )


def test_shapes_with_positions_and_blocks_that_are_cut():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(
        5, 7, 3, 40, dtype=PLAIN, generator=generator
    )  # samples, two axes of positions, coordinates
    k = torch.einsum("ahwc,bijc->abhwij", x, x) / 40
    q = x.square().mean(-1)
    q1, q2 = q[:, None, :, :, None, None], q[None, :, None, None]
    for name in ("relu", "tanh", "hardtanh"):
        phi = _cached(name)
        covariance, derivative = phi.both(k, q1, q2)
        assert covariance.shape == k.shape
        picked = (2, 3, 6, 1, 0, 2)
        alone = phi.both(k[picked], q[2, 6, 1], q[3, 0, 2])
        assert float(covariance[picked]) == pytest.approx(float(alone[0]), abs=1e-12)
        assert float(derivative[picked]) == pytest.approx(float(alone[1]), abs=1e-12)


def test_equal_variances_take_fewer_terms_and_change_nothing():
    phi = _cached("tanh")
    k = torch.linspace(-1.3, 1.3, 301, dtype=PLAIN)
    q = torch.full_like(k, 1.3)
    nearly = q * (1 + 1e-13 * torch.arange(301, dtype=PLAIN))  # not equal any more: Horner's rule
    for fast, plain in zip(phi.both(k, q, q), phi.both(k, nearly, q), strict=True):
        assert float((fast - plain).abs().max()) < 1e-11


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (torch.log, "not finite"),
        (torch.rsqrt, "not finite"),
        (torch.reciprocal, "second moment"),
        (lambda x: 1 / (x - 0.3), "second moment"),
        (torch.tan, "second moment"),
        (lambda x: torch.exp(x**2), "second moment"),
        (nn.Softmax(-1), "depends on others"),
        (nn.Dropout(0.5), "eval mode"),
        (torch.sum, "changes shapes"),
        (nn.GLU(), "changes shapes"),
        (lambda x: x @ x, "cannot be applied"),
    ],
)
def test_what_has_no_dual_is_refused(function, words):
    with pytest.raises(KernelError, match=words):
        dual(function)


def test_a_variance_at_which_the_moment_ends_is_refused():
    phi = dual(lambda x: torch.exp(0.1 * x**2))
    assert phi.error_bound(tensor(1.0)) < 1e-10
    assert float(phi.mean(tensor(1.0))) == pytest.approx(1 / math.sqrt(1 - 0.2), rel=1e-12)
    with pytest.raises(KernelError, match="second moment"):
        phi.error_bound(tensor(5.0))


@pytest.mark.parametrize(
    ("operation", "args", "kwargs", "module"),
    [
        ("aten.leaky_relu.default", (0.3,), {}, nn.LeakyReLU(0.3)),
        ("hardtanh", (-2.0, 0.5), {}, nn.Hardtanh(-2.0, 0.5)),
        ("aten.gelu.default", (), {"approximate": "tanh"}, nn.GELU("tanh")),
        ("elu", (0.5,), {}, nn.ELU(0.5)),
        ("softplus", (2.0, 20.0), {}, nn.Softplus(2.0)),
        ("relu_", (), {}, nn.ReLU()),
        ("clamp", (), {"min": -0.5, "max": 2.0}, nn.Hardtanh(-0.5, 2.0)),
        ("log_sigmoid_forward", (), {}, nn.LogSigmoid()),
    ],
)
def test_operations_are_found_by_name(operation, args, kwargs, module):
    found = find_dual(operation, *args, **kwargs)
    x = torch.linspace(-3, 3, 41, dtype=PLAIN)
    assert float((found(x) - module(x)).abs().max()) < 1e-14


def test_an_unknown_operation_is_refused():
    with pytest.raises(KernelError, match="no operation 'swishplus'"):
        find_dual("swishplus")
