"""What a kernel offers by its value between few samples alone."""

import pytest
import torch

from similitude.core.errors import KernelError
from similitude.kernels.ensemble import ensemble
from similitude.kernels.gram_store import read_grams
from similitude.kernels.tiled import TiledKernel
from similitude.runs.engine import InProcess
from similitude.runs.pool import ProcessPool
from tests.kernels.gram_pairs import relu_pair, samples
from tests.kernels.kernel_cases import blocks, targets


class Relu(TiledKernel):
    dtype = torch.float64

    def __init__(self, scale=1.0):
        self.scale = scale

    def pair(self, x1, x2=None, /, *, which=("nngp", "ntk")):
        found = relu_pair(x1, x2)
        return {name: self.scale * found[name] for name in which}

    def fingerprint(self, x):
        return {"scale": self.scale}


class Counted(InProcess):
    """An engine that counts the jobs it is given."""

    jobs = 0

    def map(self, function, jobs, **options):
        self.jobs += len(jobs)
        super().map(function, jobs, **options)


X, X_TEST = samples(12), samples(5, seed=100)


def test_its_matrices_are_those_of_its_pairs():
    kernel, whole = Relu(), relu_pair(X)
    torch.testing.assert_close(kernel.nngp(X, side=5), whole["nngp"])
    torch.testing.assert_close(kernel.ntk(X_TEST, X, side=5), relu_pair(X_TEST, X)["ntk"])
    engine = Counted()
    assert torch.equal(kernel.grams(X, side=5, engine=engine)["ntk"], kernel.ntk(X, side=5))
    assert engine.jobs == 6  # 12 samples are 3 tiles of a side, and half of the matrix is computed


@pytest.mark.slow
def test_another_process_gives_the_same_numbers():
    kernel = Relu()
    assert torch.equal(kernel.grams(X, engine=ProcessPool(1))["ntk"], kernel.ntk(X))


def test_its_predictions_are_those_of_its_blocks():
    mean, cov = Relu().predict(X, targets(), X_TEST, time=2.0)
    expected = ensemble(*blocks().values(), targets(), time=2.0)
    torch.testing.assert_close((mean, cov), (expected.mean, expected.cov))


def test_a_folder_knows_its_kernel(tmp_path):
    found = Relu().train_test(X, X_TEST, cov=False, folder=tmp_path)
    assert torch.equal(read_grams(tmp_path / "train")["ntk"], found["ntk"].train)
    assert not (tmp_path / "test").exists()
    with pytest.raises(KernelError, match=r"kernel\.scale was 1\.0, is now 2\.0"):
        Relu(2.0).train_test(X, X_TEST, cov=False, folder=tmp_path)
