"""Predictions from samples: the same as from blocks put together by hand; options, files, and wrong use."""

from functools import partial

import pytest
import torch

from similitude.core.errors import KernelError
from similitude.kernels.ensemble import ensemble
from similitude.kernels.ensemble_draws import drawn_ensemble
from similitude.kernels.gradient_flow import gradient_flow
from similitude.kernels.gram_store import read_grams
from similitude.kernels.grams import gram_matrices
from similitude.kernels.leave_one_out import choose_ridge
from similitude.kernels.posterior import posterior
from similitude.kernels.predict import predict
from tests.kernels.gram_pairs import Counting, relu_pair, samples
from tests.kernels.kernel_cases import blocks, labels, targets

X, X_TEST = samples(12), samples(5, seed=100)
GRAMS = partial(gram_matrices, relu_pair)


def same(found, expected):
    torch.testing.assert_close(found.mean, expected.mean, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found.cov, expected.cov, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("side", [None, 4])
def test_it_is_what_the_blocks_give(side):
    kernels = blocks()
    nngp, ntk = kernels["nngp"], kernels["ntk"]
    same(predict(GRAMS, X, targets(), X_TEST, side=side), ensemble(nngp, ntk, targets()))
    same(
        predict(GRAMS, X, labels(), X_TEST, time=2.0, ridge=0.1, side=side),
        ensemble(nngp, ntk, labels(), time=2.0, ridge=0.1),
    )
    same(
        predict(GRAMS, X, targets(), X_TEST, of="posterior", ridge=0.1, side=side),
        posterior(nngp, targets(), ridge=0.1),
    )


def test_leave_one_out_chooses_the_ridge_and_says_so():
    kernels = blocks()
    choice = choose_ridge(kernels["ntk"].train, labels())
    found = predict(GRAMS, X, labels(), X_TEST, ridge="loo")
    same(found, ensemble(kernels["nngp"], kernels["ntk"], labels(), ridge=choice.ridge))
    assert found.ridge == choice.ridge
    assert f"leave-one-out chose a ridge of {choice.ridge:.4g}" in str(found)
    of_nngp = predict(GRAMS, X, labels(), X_TEST, of="posterior", ridge="loo")
    assert of_nngp.ridge == choose_ridge(kernels["nngp"].train, labels()).ridge


def test_without_covariance_only_the_tangent_kernel_is_kept(tmp_path):
    pair = Counting()
    grams = partial(gram_matrices, pair, identity={"kernel": "relu"})
    found = predict(grams, X, targets(), X_TEST, cov=False, folder=tmp_path)
    mean, cov = found
    assert cov is None
    assert found.std is None
    torch.testing.assert_close(mean, ensemble(*blocks().values(), targets()).mean)
    assert pair.calls == [(12, None), (5, 12)]
    assert set(read_grams(tmp_path / "train")) == {"ntk"}


def test_blocks_on_disk_are_used_again(tmp_path):
    pair, options = Counting(), {"folder": tmp_path}
    grams = partial(gram_matrices, pair, identity={"kernel": "relu"})
    first = predict(grams, X, targets(), X_TEST, **options)
    assert len(pair.calls) == 3
    same(
        predict(grams, X, targets(), X_TEST, time=1e9, **options),
        predict(GRAMS, X, targets(), X_TEST, time=1e9),
    )
    same(predict(grams, X, targets(), X_TEST, **options), first)
    assert len(pair.calls) == 3


def test_cross_entropy_is_followed_from_zero_or_from_draws():
    kernels, y = blocks(), labels()
    found = predict(GRAMS, X, y, X_TEST, loss="cross_entropy", time=2.0)
    assert found.cov is None
    assert "pass draws=16" in str(found)
    torch.testing.assert_close(
        found.mean, gradient_flow(kernels["ntk"], y, times=2.0, loss="cross_entropy").test[0]
    )
    drawn = predict(GRAMS, X, y, X_TEST, loss="cross_entropy", time=2.0, draws=4)
    same(predict(GRAMS, X, y, X_TEST, loss="cross_entropy", time=2.0, draws=4, cov=False), drawn)
    same(drawn, drawn_ensemble(*kernels.values(), y, time=2.0, loss="cross_entropy", draws=4))
    assert drawn.cov.shape == (3, 5, 5)
    assert drawn.std.shape == (5, 3)
    other = predict(GRAMS, X, y, X_TEST, loss="cross_entropy", time=2.0, draws=4, seed=1)
    assert not torch.equal(other.mean, drawn.mean)


def test_draws_of_the_squared_error_have_the_exact_mean_and_covariance():
    nngp, ntk = blocks().values()
    exact = ensemble(nngp, ntk, targets(), time=1.0)

    def squares(f, t):
        return (f - t).square().sum() / 2

    draws = 120
    found = drawn_ensemble(nngp, ntk, targets(), time=1.0, loss=squares, draws=draws, rtol=1e-3)
    error = exact.std[:, None] / draws**0.5
    assert float(((found.mean - exact.mean) / error).abs().max()) < 3.5  # 10 means
    spread = found.cov.diagonal(dim1=1, dim2=2).mean(0) / exact.cov.diagonal()
    assert float((spread - 1).abs().max()) < 4 * (2 / (2 * draws)) ** 0.5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"of": "prior"}, "of='prior' is not known"),
        ({"of": "posterior", "time": 1.0}, "knows no time"),
        ({"of": "posterior", "loss": "cross_entropy"}, "knows no time and no other loss"),
        ({"draws": 3}, "draws= has no effect with loss='mse'"),
        ({"loss": "cross_entropy"}, "followed to a finite time"),
        ({"loss": lambda f, t: f.sum()}, "loss=a function"),
        ({"loss": "cross_entropy", "time": 1.0, "jitter": 1e-6}, "jitter= has no effect"),
        ({"loss": "cross_entropy", "time": 1.0, "draws": 1}, "draws=1"),
        ({"ridge": "best"}, "ridge='best'"),
        ({"folder": "somewhere"}, "identity="),
    ],
)
def test_wrong_use_is_named(change, said):
    with pytest.raises(KernelError, match=said):
        predict(GRAMS, X, labels(), X_TEST, **change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"y": labels(11)}, r"targets have shape \(11,\), and there are 12 training samples"),
        ({"y": targets(), "loss": "cross_entropy", "time": 1.0}, "takes class numbers"),
        ({"y": labels(), "time": -1.0}, "time=-1.0"),
        ({"y": labels(), "of": "prior"}, "of='prior'"),
    ],
)
def test_what_can_be_told_before_the_kernel_is_computed_is(change, said):
    pair = Counting()
    with pytest.raises(KernelError, match=said):
        predict(partial(gram_matrices, pair), X, change.pop("y"), X_TEST, **change)
    assert pair.calls == []


def test_draws_need_the_covariance_of_the_test_samples():
    nngp, ntk = blocks(test=False).values()
    with pytest.raises(KernelError, match="'test' block"):
        drawn_ensemble(nngp, ntk, labels(), time=1.0, loss="cross_entropy")
