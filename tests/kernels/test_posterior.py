"""The posterior and marginal likelihood against scikit-learn, scipy and conditioning of a joint Gaussian by hand."""

import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Kernel

from similitude.core.errors import KernelError
from similitude.kernels.posterior import log_marginal_likelihood, posterior
from similitude.kernels.train_test import TrainTest
from tests.kernels.gram_pairs import relu_pair, samples
from tests.kernels.kernel_cases import blocks, labels, targets


class Fixed(Kernel):
    """Our kernel in scikit-learn's form."""

    def __init__(self):  # scikit-learn reads the parameters of a kernel off it
        super().__init__()

    def __call__(self, X, Y=None, eval_gradient=False):
        found = relu_pair(torch.as_tensor(X), None if Y is None else torch.as_tensor(Y))["nngp"].numpy()
        return (found, torch.zeros(*found.shape, 0).numpy()) if eval_gradient else found

    def diag(self, X):
        return relu_pair(torch.as_tensor(X))["nngp"].diagonal().numpy()

    def is_stationary(self):
        return False


@pytest.fixture(scope="module")
def fitted():
    model = GaussianProcessRegressor(Fixed(), alpha=0.1, optimizer=None)
    return model.fit(samples(12).numpy(), targets().numpy())


def test_mean_and_covariance_are_those_of_scikit_learn(fitted):
    mean, cov = posterior(blocks()["nngp"], targets(), ridge=0.1)
    expected, expected_cov = fitted.predict(samples(5, seed=100).numpy(), return_cov=True)
    torch.testing.assert_close(mean, torch.as_tensor(expected), rtol=1e-9, atol=1e-9)
    for output in range(2):
        torch.testing.assert_close(cov, torch.as_tensor(expected_cov[..., output]), rtol=1e-8, atol=1e-8)


def test_the_marginal_likelihood_is_that_of_scikit_learn_and_of_the_density(fitted):
    gram = blocks()["nngp"].train
    found = log_marginal_likelihood(gram, targets(), ridge=0.1)
    assert found == pytest.approx(fitted.log_marginal_likelihood_value_, rel=1e-10)
    density = multivariate_normal(cov=(gram + 0.1 * torch.eye(12, dtype=torch.float64)).numpy())
    assert found == pytest.approx(sum(density.logpdf(column.numpy()) for column in targets().T), rel=1e-10)


def test_without_noise_the_training_targets_are_met():
    kernels = relu_pair(samples(12))["nngp"]
    mean, cov = posterior(TrainTest(kernels, kernels, kernels), targets())
    torch.testing.assert_close(mean, targets(), rtol=1e-7, atol=1e-7)
    assert float(cov.abs().max()) < 1e-9


def test_targets_keep_their_form():
    nngp = blocks()["nngp"]
    assert posterior(nngp, targets()[:, 0], ridge=0.1).mean.shape == (5,)
    assert posterior(nngp, targets()[:, :1], ridge=0.1).mean.shape == (5, 1)
    rows = torch.nn.functional.one_hot(labels(), 3).double()
    assert torch.equal(posterior(nngp, labels(), ridge=0.1).mean, posterior(nngp, rows, ridge=0.1).mean)
    assert posterior(blocks(test=False)["nngp"], labels(), ridge=0.1).cov is None


def test_the_standard_deviation_is_that_of_the_diagonal():
    found = posterior(blocks()["nngp"], targets(), ridge=0.1)
    torch.testing.assert_close(found.std, found.cov.diagonal().sqrt())
    assert found.residual < 1e-12
    assert "5 predictions, ridge 0.1, residual" in str(found)


def test_a_jitter_is_added_when_asked_for_and_said():
    nngp = blocks()["nngp"]
    found = posterior(nngp, targets(), jitter=1e-3)
    added = 1e-3 * float(nngp.train.diagonal().mean())
    assert found.jitter == pytest.approx(added)
    assert "was added to the training diagonal, as asked by jitter=" in str(found)
    torch.testing.assert_close(found.mean, posterior(nngp, targets(), ridge=added).mean)
    assert posterior(nngp, targets(), ridge=0.1).notes == ()


def twice(*pairs, n=12, factor=1.0):
    """Samples some of which are (multiples of) others."""
    x = samples(n)
    for one, other in pairs:
        x[other] = factor * x[one]
    return relu_pair(x)["nngp"]


@pytest.mark.parametrize(
    ("gram", "said"),
    [
        (twice((3, 7)), r"of 12 training samples is singular: samples 3 and 7 are the same to the kernel"),
        (twice((3, 7), factor=2.5), r"samples 3 and 7 are"),
        (twice((0, 4), (1, 5), (2, 6), (3, 7)), r"samples 0 and 4, 1 and 5, 2 and 6 and 1 more pairs are"),
        (twice((3, 7)).float(), r"samples 3 and 7 are"),
        (torch.zeros(3, 3), r"samples 0 and 1, 1 and 2 are"),
        (samples(8, 3) @ samples(8, 3).T, r"singular in float64: 5 of its 8 eigenvalues are below"),
    ],
)
def test_a_singular_matrix_is_explained(gram, said):
    y = torch.arange(len(gram), dtype=torch.float64)
    for use in (lambda: posterior(TrainTest(gram, gram), y), lambda: log_marginal_likelihood(gram, y)):
        with pytest.raises(KernelError, match=said) as raised:
            use()
        assert "ridge='loo' chooses one" in str(raised.value)
    assert posterior(TrainTest(gram, gram), y, ridge=0.1).residual < 1e-9


EYE = torch.eye(3)


@pytest.mark.parametrize(
    ("blocks_", "said"),
    [
        ((torch.zeros(3, 2),), r"'train' block of the kernel has shape \(3, 2\)"),
        ((EYE, torch.zeros(2, 4)), r"'test_train' block of the kernel has shape \(2, 4\), and \(2, 3\)"),
        ((EYE, torch.zeros(2, 3), EYE), r"'test' block of the kernel has shape \(3, 3\), and \(2, 2\)"),
        ((torch.zeros(0, 0),), "none of them empty"),
        ((EYE.long(),), "has type torch.int64"),
        ((EYE + torch.tensor([[0, 0, 0], [0, 0, 0], [0, torch.nan, 0]]),), r"is nan at \(2, 1\)"),
        ((torch.tensor([[1.0, 0.5], [0.4, 1.0]]),), r"not symmetric: entries that should be equal differ by 0\.1"),
        ((torch.diag(torch.tensor([1.0, -1.0])),), "has -1 on its diagonal"),
    ],
)  # fmt: skip
def test_wrong_blocks_are_named(blocks_, said):
    with pytest.raises(KernelError, match=said):
        TrainTest(*blocks_)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (torch.zeros(2), r"targets have shape \(2,\), and there are 3"),
        (torch.zeros(3, 1, 1), r"shape \(3, 1, 1\)"),
        (torch.tensor([0.0, torch.inf, 0.0]), "training sample 1 is not finite"),
        (torch.tensor([0, -1, 2]), "go from -1 to 2"),
        (torch.zeros(3, 2, dtype=torch.long), r"class numbers from 0, one per sample; these have shape \(3, 2\)"),
        ([0.0, 1.0, 2.0], "targets are a list"),
    ],
)  # fmt: skip
def test_wrong_targets_are_named(y, said):
    with pytest.raises(KernelError, match=said):
        posterior(TrainTest(EYE, EYE), y)


def test_wrong_numbers_are_named():
    with pytest.raises(KernelError, match="ridge=-1"):
        posterior(TrainTest(EYE, EYE), torch.zeros(3), ridge=-1)
    with pytest.raises(KernelError, match="jitter=inf"):
        posterior(TrainTest(EYE, EYE), torch.zeros(3), jitter=float("inf"))
    with pytest.raises(KernelError, match="without the 'test_train' block"):
        posterior(TrainTest(EYE), torch.zeros(3))
