"""Gradient flow and ensembles against integration in small steps, their limits, and draws of trained functions."""

import pytest
import torch

from similitude.core.errors import KernelError
from similitude.kernels.ensemble import ensemble
from similitude.kernels.gradient_flow import gradient_flow
from similitude.kernels.posterior import posterior
from similitude.kernels.train_test import TrainTest
from tests.kernels.gram_pairs import relu_pair, samples
from tests.kernels.kernel_cases import blocks, labels, small_steps, targets

ZERO, ZERO_TEST = torch.zeros(12, 2, dtype=torch.float64), torch.zeros(5, 2, dtype=torch.float64)
START, START_TEST = targets(seed=1), targets(5, seed=2)


@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("time", [0.1, 3.0])
def test_the_squared_error_is_what_small_steps_integrate_to(time, ridge):
    ntk, y = blocks()["ntk"], targets()
    found = gradient_flow(ntk, y, times=time, start=START, start_test=START_TEST, ridge=ridge)
    expected = small_steps(
        ntk.train, ntk.test_train, lambda f: f - y, START, START_TEST, time=time, ridge=ridge, steps=2000
    )
    torch.testing.assert_close((found.train[0], found.test[0]), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_cross_entropy_is_what_small_steps_integrate_to(ridge):
    ntk, y = blocks()["ntk"], labels()
    start, start_test = targets(12, 3), targets(5, 3, seed=1)
    rows = torch.nn.functional.one_hot(y, 3)
    found = gradient_flow(
        ntk, y, times=[0.5, 5.0], loss="cross_entropy", start=start, start_test=start_test, ridge=ridge
    )
    assert found.steps == (0.5, 5.0)
    for k, time in enumerate(found.steps):
        expected = small_steps(
            ntk.train,
            ntk.test_train,
            lambda f: f.softmax(-1) - rows,
            start,
            start_test,
            time=time,
            ridge=ridge,
            steps=1000,
        )
        torch.testing.assert_close((found.train[k], found.test[k]), expected, rtol=1e-5, atol=1e-5)


def test_a_loss_of_the_user_is_integrated_too():
    ntk, y = blocks()["ntk"], targets()
    exact = gradient_flow(ntk, y, times=2.0, start=START, start_test=START_TEST)
    own = gradient_flow(
        ntk, y, times=2.0, start=START, start_test=START_TEST, loss=lambda f, t: (f - t).square().sum() / 2
    )
    torch.testing.assert_close((own.train, own.test), (exact.train, exact.test), rtol=1e-4, atol=1e-4)


def test_the_tolerance_is_what_the_error_follows():
    ntk, y = blocks()["ntk"], targets()
    exact = gradient_flow(ntk, y, times=1.0).train
    errors = [
        float(
            (gradient_flow(ntk, y, times=1.0, loss=squares, rtol=rtol, atol=rtol).train - exact).abs().max()
        )
        for rtol in (1e-3, 1e-6, 1e-9)
    ]
    assert errors[0] > 20 * errors[1] > 400 * errors[2]


def squares(f, t):
    return (f - t).square().sum() / 2


def test_the_flow_begins_at_the_start_and_ends_at_the_targets():
    kernels = blocks()
    found = gradient_flow(kernels["ntk"], targets(), times=[0.0, 1e9], start=START, start_test=START_TEST)
    assert torch.equal(found.train[0], START)
    assert torch.equal(found.test[0], START_TEST)
    torch.testing.assert_close(found.train[1], targets(), rtol=1e-6, atol=1e-6)
    end = ensemble(kernels["nngp"], kernels["ntk"], targets() - START).mean
    torch.testing.assert_close(found.test[1] - START_TEST + 0 * end, end, rtol=1e-6, atol=1e-6)


def test_a_singular_kernel_flows_at_any_time():
    x = samples(12)
    x[3] = x[8]
    gram = relu_pair(x)["ntk"]
    found = gradient_flow(TrainTest(gram, gram), targets(), times=1e8)
    half = (targets()[3] + targets()[8]) / 2  # what two equal samples with two targets can be fitted to
    torch.testing.assert_close(found.train[0, [3, 8]], torch.stack([half, half]), rtol=1e-5, atol=1e-5)
    with pytest.raises(KernelError, match="samples 3 and 8 are the same to the kernel"):
        ensemble(TrainTest(gram, gram, gram), TrainTest(gram, gram), targets())


# --------------------------------------------------------------------------------------------------- ensembles
@pytest.mark.parametrize("time", [0.0, 0.2, 5.0, None])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_mean_and_covariance_are_those_of_functions_trained_one_by_one(time, ridge):
    """The flow is linear in the start: its response to every unit start gives the covariance without any draw."""
    kernels, y = blocks(), targets()
    nngp, ntk = kernels["nngp"], kernels["ntk"]
    at = 1e7 if time is None else time
    starts = torch.eye(17, dtype=torch.float64)
    flow = gradient_flow(
        ntk, torch.zeros(12, 17).double(), times=at, start=starts[:12], start_test=starts[12:], ridge=ridge
    )
    joint = torch.cat(
        [torch.cat([nngp.train, nngp.test_train.T], 1), torch.cat([nngp.test_train, nngp.test], 1)]
    )
    mean, cov = ensemble(nngp, ntk, y, time=time, ridge=ridge)
    torch.testing.assert_close(
        mean, gradient_flow(ntk, y, times=at, ridge=ridge).test[0], rtol=1e-6, atol=1e-6
    )
    torch.testing.assert_close(cov, flow.test[0] @ joint @ flow.test[0].T, rtol=1e-6, atol=1e-6)


def test_no_time_leaves_the_prior_and_the_nngp_alone_gives_the_posterior():
    kernels = blocks()
    nngp, ntk = kernels["nngp"], kernels["ntk"]
    mean, cov = ensemble(nngp, ntk, targets(), time=0.0)
    assert not mean.any()
    torch.testing.assert_close(cov, nngp.test)
    # Nets of which only the last layer is trained: the tangent kernel is the NNGP kernel.
    found, expected = ensemble(nngp, nngp, targets()), posterior(nngp, targets())
    torch.testing.assert_close((found.mean, found.cov), (expected.mean, expected.cov), rtol=1e-7, atol=1e-7)


def test_a_finite_time_converges_to_the_end_of_training():
    kernels = blocks()
    late = ensemble(kernels["nngp"], kernels["ntk"], labels(), time=1e8)
    end = ensemble(kernels["nngp"], kernels["ntk"], labels())
    torch.testing.assert_close((late.mean, late.cov), (end.mean, end.cov), rtol=1e-6, atol=1e-8)


def test_a_jitter_is_said_at_finite_times_too():
    kernels = blocks()
    found = ensemble(kernels["nngp"], kernels["ntk"], labels(), time=1.0, jitter=1e-6)
    assert "as asked by jitter=" in str(found)
    assert found.jitter == pytest.approx(1e-6 * float(kernels["ntk"].train.diagonal().mean()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"times": []}, r"times=\[\]"),
        ({"times": [2.0, 1.0]}, "ascending"),
        ({"times": -1.0}, "time=-1.0"),
        ({"times": float("inf")}, "time=inf"),
        ({"loss": "hinge"}, "loss='hinge' is not known"),
        ({"start": START}, "start_test= is not"),
        ({"start_test": START_TEST}, "start= is not"),
        ({"start": START[:5], "start_test": START_TEST}, r"start has shape \(5, 2\), and \(12, outputs\)"),
        ({"start": START, "start_test": START_TEST[:, :1]}, "start has 2 outputs and start_test 1"),
        ({"start": torch.zeros(12, 3)}, "targets have 2 columns, and the outputs at the start 3"),
        ({"loss": "cross_entropy"}, "takes class numbers"),
        ({"loss": "cross_entropy", "y": labels(), "times": 1e9}, r"takes about .* products with the kernel"),
        ({"loss": lambda f, t: f, "times": 1.0}, r"returned \(12, 2\)"),
        ({"loss": lambda f, t: f.sum(), "y": torch.zeros(3)}, r"targets have shape \(3,\)"),
        ({"loss": lambda f, t: (f.sum() * torch.nan)}, "could not be integrated"),
    ],
)  # fmt: skip
def test_wrong_use_is_named(change, said):
    given = {"y": targets(), "times": 1.0} | change
    with pytest.raises(KernelError, match=said):
        gradient_flow(blocks()["ntk"], given.pop("y"), **given)


def test_kernels_of_other_samples_are_refused():
    with pytest.raises(KernelError, match="Compute both on the same samples"):
        ensemble(blocks(11)["nngp"], blocks(12)["ntk"], targets(12))
