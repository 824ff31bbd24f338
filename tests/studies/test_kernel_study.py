"""A kernel looked at on data: spectra, alignment, scores and their intervals, against numpy and by hand."""

import io

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn.kernel_ridge import KernelRidge

from similitude.core.intervals import wilson_interval
from similitude.core.verdict import Outcome, Verdict
from similitude.data import load
from similitude.kernels.gram_store import read_grams
from similitude.report.kernel_table import kernel_table
from similitude.studies.kernel_study import kernel_study
from tests.kernels.gram_pairs import relu_pair
from tests.kernels.test_tiled import Relu


class Verified(Relu):
    def verify(self, sample, *, seconds):
        return Verdict(Outcome.OK, f"{len(sample)} samples agree")


DIGITS = load("digits")
X, X_TEST = (
    torch.as_tensor(part.reshape(len(part), -1) / 255 - 0.3)[:200] for part in (DIGITS.train_images, DIGITS.test_images)
)  # fmt: skip
Y, Y_TEST = (torch.as_tensor(part)[:200] for part in (DIGITS.train_labels, DIGITS.test_labels))


@pytest.fixture(scope="module")
def study():
    return kernel_study(Verified(), X, Y, X_TEST, Y_TEST, name="relu", data="digits")


def test_spectra_are_those_of_the_matrices(study):
    whole = relu_pair(X)
    for s in study.spectra:
        values = np.linalg.eigvalsh(whole[s.kernel].numpy())[::-1]
        np.testing.assert_allclose(s.top, values[:10], rtol=1e-9)
        assert s.smallest == pytest.approx(values[-1], abs=1e-9)
        assert s.mean == pytest.approx(float(whole[s.kernel].diagonal().mean()))
        assert s.effective_rank == pytest.approx(values.sum() / values[0])
        assert 0.05 < s.alignment < 1


def test_accuracies_are_those_of_scikit_learn(study):
    rows = np.eye(10)[Y] - 0.1
    for fit, name in zip(study.fits, ("ntk", "nngp"), strict=True):
        model = KernelRidge(alpha=fit.ridge, kernel="precomputed").fit(relu_pair(X)[name].numpy(), rows)
        guessed = model.predict(relu_pair(X_TEST, X)[name].numpy()).argmax(1)
        assert fit.score == pytest.approx((guessed == Y_TEST.numpy()).mean())
        assert fit.interval[0] < fit.score < fit.interval[1]
        assert fit.score > 0.85
        assert "by leave-one-out" in fit.notes[0]


def test_the_interval_is_wilsons():
    for hits, of in ((0, 5), (3, 7), (200, 200), (150, 200)):
        expected = binomtest(hits, of).proportion_ci(method="wilson")
        assert wilson_interval(hits, of) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_values_are_judged_by_the_variance_that_is_explained():
    values = X.mean(1, keepdim=True) + 0.05 * torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
    test = X_TEST.mean(1)
    found = kernel_study(Relu(), X, values[:, 0], X_TEST, test, ridge=0.1, time=5.0, verify=0)
    for fit in found.fits:
        assert fit.measure == "explained variance"
        assert 0.2 < fit.interval[0] < fit.score < fit.interval[1] < 1
        assert fit.ridge == 0.1
    assert "at time 5" in found.fits[0].what
    assert found.verdict is None


def test_without_targets_nothing_is_predicted(tmp_path):
    found = kernel_study(Relu(), X[:20], None, X_TEST, None, verify=0, folder=tmp_path / "g")
    assert found.fits == ()
    assert {s.alignment for s in found.spectra} == {None}
    assert set(read_grams(found.folder)) == {"nngp", "ntk"}


def test_the_table_and_the_dict_say_it_all(study):
    from rich.console import Console

    console = Console(width=160, record=True, file=io.StringIO())
    console.print(kernel_table(study))
    text = " ".join(console.export_text().split())
    assert "relu on digits: 200 training and 200 test samples" in text
    assert f"{100 * study.fits[0].score:.1f} %" in text
    assert "4 samples agree" in text
    assert "are stable below 2 / " in text
    data = study.to_dict()
    assert data["fits"][0]["interval"] == study.fits[0].interval
    assert data["verdict"]["outcome"] == "ok"
