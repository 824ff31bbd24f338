"""Losses by their definitions, spectra in a loop that is not disturbed, steps of made-up curves."""

from __future__ import annotations

import itertools
import json
import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from similitude.core.errors import TheoryError
from similitude.core.verdict import Outcome
from similitude.theory.joint_embedding.history import EmbeddingHistory, effective_rank
from similitude.theory.joint_embedding.losses import (
    barlow_twins,
    embedding_loss,
    simclr,
    spectral_contrastive,
    vicreg,
)
from similitude.theory.joint_embedding.tracker import EmbeddingTracker
from similitude.theory.joint_embedding.training import train_encoder
from similitude.theory.joint_embedding.views import image_views


def two_views(n=6, d=3, seed=0):
    drawn = torch.Generator().manual_seed(seed)
    a = torch.randn(n, d, generator=drawn, dtype=torch.float64)
    return a, a + 0.3 * torch.randn(n, d, generator=drawn, dtype=torch.float64)


def test_losses_by_loops():
    a, b = two_views()
    x, y = a.numpy(), b.numpy()
    n, d = x.shape
    barlow = off = 0.0
    for i, j in itertools.product(range(d), repeat=2):
        c = sum(x[k, i] * y[k, j] + y[k, i] * x[k, j] for k in range(n)) / (2 * n)
        barlow += (c - (i == j)) ** 2
        off += (c - (i == j)) ** 2 if i != j else 0
    assert barlow_twins(a, b).item() == pytest.approx(barlow)
    assert barlow_twins(a, b, off_diagonal=0.1).item() == pytest.approx(barlow - 0.9 * off)

    spectral = -2 * sum(x[k] @ y[k] for k in range(n)) / n
    spectral += sum((x[k] @ y[m]) ** 2 for k in range(n) for m in range(n) if k != m) / (n * (n - 1))
    assert spectral_contrastive(a, b).item() == pytest.approx(spectral)

    z = np.concatenate([x, y])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    total = 0.0
    for k in range(2 * n):
        others = [math.exp(z[k] @ z[m] / 0.5) for m in range(2 * n) if m != k]
        total -= math.log(math.exp(z[k] @ z[(k + n) % (2 * n)] / 0.5) / sum(others))
    assert simclr(a, b).item() == pytest.approx(total / (2 * n))

    expected = 25 * ((x - y) ** 2).mean()
    for view in (x, y):
        cov = np.cov(view.T)
        expected += 25 * np.maximum(0, 1 - np.sqrt(np.diag(cov) + 1e-4)).mean() / 2
        expected += ((cov**2).sum() - (np.diag(cov) ** 2).sum()) / d
    assert vicreg(a, b).item() == pytest.approx(expected)


def test_own_losses_and_unknown_ones():
    assert embedding_loss(barlow_twins) is barlow_twins
    assert embedding_loss("vicreg") is vicreg
    with pytest.raises(TheoryError, match="choose one of barlow_twins, vicreg"):
        embedding_loss("byol")


def batch_norm_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))


def train_it(tracker):
    net, views = batch_norm_net(), two_views()
    a, b = (view.float() for view in views)
    made = torch.optim.Adam(net.parameters(), lr=1e-2)
    net[0].eval()
    for step in range(1, 11):
        made.zero_grad()
        loss = barlow_twins(net(a), net(b))
        loss.backward()
        made.step()
        if tracker is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                tracker.update(net, step, loss=loss)
    return net


def test_the_tracker_disturbs_nothing():
    views = tuple(view.float() for view in two_views())
    with torch.random.fork_rng():
        tracker = EmbeddingTracker(views, every=3)
        tracked = train_it(tracker)
        plain = train_it(None)
    assert all(
        torch.equal(x, y)
        for x, y in zip(tracked.state_dict().values(), plain.state_dict().values(), strict=True)
    )
    assert [m.training for m in tracked] == [False, True, True, True]
    assert tracker.history.times.tolist() == [3, 6, 9]
    assert np.isfinite(tracker.history.losses).all()
    tracked.eval()
    with torch.no_grad():
        a, b = (tracked(view).double().numpy() for view in views)
    C = (a.T @ b + b.T @ a) / (2 * len(a))
    again = EmbeddingTracker(views).update(tracked, 1)
    np.testing.assert_allclose(again, np.linalg.eigvalsh(C)[::-1], atol=1e-12)


def test_centre_log_and_own_embedding(tmp_path):
    a, b = two_views()
    log = tmp_path / "spectrum.jsonl"
    tracker = EmbeddingTracker((a, b), center=True, log=log, embed=lambda model, view: model(view)[0])
    net = nn.Module()
    net.forward = lambda view: (view + 5, None)
    values = tracker.update(net, 2, loss=1.5, lr=0.5)
    mean = (a.mean(0) + b.mean(0)) / 2
    x, y = (a - mean).numpy(), (b - mean).numpy()
    np.testing.assert_allclose(values, np.linalg.eigvalsh((x.T @ y + y.T @ x) / 12)[::-1], atol=1e-12)
    row = json.loads(log.read_text())
    assert (row["step"], row["time"], row["loss"], row["eigenvalue_1"]) == (2, 1.0, 1.5, values[0])
    assert row["rank"] == pytest.approx(effective_rank(values))
    assert tracker.update(net, 1, lr=0.5) == values  # a loop that goes back drops what comes after
    assert tracker.history.times.tolist() == [0.5]


def test_time_adds_up_the_learning_rates_of_a_schedule():
    tracker = EmbeddingTracker(two_views(), every=2)
    net = nn.Identity()
    rates = [0.4, 0.3, 0.2, 0.1, 0.05, 0.025]
    for step, lr in enumerate(rates, 1):
        tracker.update(net, step, lr=lr)
    assert tracker.history.times.tolist() == pytest.approx([0.7, 1.0, 1.075])
    tracker.update(net, 4, lr=0.2)  # resumed from an earlier checkpoint
    assert tracker.history.times.tolist() == pytest.approx([0.7, 1.1])
    for wrong in ({"step": -1}, {"step": 1.5}, {"step": 7, "lr": 0.0}):
        with pytest.raises(TheoryError, match=r"step=|lr="):
            tracker.update(net, **wrong)


def test_dimensions_that_still_rise_are_told():
    t = np.linspace(0, 10, 200)
    short = EmbeddingHistory.of(t, logistic(t, (3.0, 6.0, 9.9)))
    assert [s.rising for s in short.steps()] == [False, False, True]
    assert short.verdict().ok
    assert "dimension 3 still rises at the end" in short.verdict().summary
    endless = EmbeddingHistory.of(t, np.exp(np.stack([0.5 * t, 0.48 * t, 0.46 * t], 1)))
    assert str(endless.verdict().outcome) == "cannot_tell"
    assert "does not bound" in endless.verdict().causes[1]


def test_training_is_plain_gradient_descent():
    a, b = (view.float() for view in two_views())
    nets = [nn.Linear(3, 2, bias=False) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    history = train_encoder(nets[0], (a, b), lr=0.01, steps=20, every=10)
    made = torch.optim.SGD(nets[1].parameters(), lr=0.01)
    for _ in range(20):
        made.zero_grad()
        barlow_twins(nets[1](a), nets[1](b)).backward()
        made.step()
    torch.testing.assert_close(nets[0].weight, nets[1].weight)
    np.testing.assert_allclose(history.times, [0, 0.1, 0.2])
    adam = train_encoder(nets[0], (a, b), lr=0.01, steps=2, optimizer=lambda p: torch.optim.Adam(p, lr=0.01))
    assert adam.times.tolist() == [0, 1, 2]


def test_training_that_diverges_ends():
    a, b = (view.float() for view in two_views())
    net = nn.Linear(3, 2, bias=False)
    history = train_encoder(net, (a, b), lr=100.0, steps=500)
    assert len(history.times) < 100
    assert EmbeddingHistory.of([0.0, 1.0], [[0.0], [np.nan]]).steps() == ()
    assert history.verdict().outcome is Outcome.DIVERGED
    lost = EmbeddingHistory.of([0.0, 1.0], [[0.0], [np.nan]])
    assert json.loads(json.dumps(lost.to_dict(), allow_nan=False))["eigenvalues"] == [[0.0], [None]]


def logistic(t, times, rate=4.0):
    return np.stack([1 / (1 + np.exp(-rate * (t - at))) for at in times], 1)


def test_steps_of_curves():
    t = np.linspace(0, 20, 400)
    curves = logistic(t, (3.0, 6.0, 6.2, 12.0))
    history = EmbeddingHistory.of(t, np.pad(curves, ((0, 0), (0, 1)))[:, ::-1])
    steps = history.steps()
    assert [s.time for s in steps] == pytest.approx([3, 6, 6.2, 12], abs=1e-2)
    assert steps[0].spill == pytest.approx(1 / (1 + math.exp(12)), abs=1e-4)
    assert steps[1].spill == pytest.approx(1 / (1 + math.exp(0.8)), abs=1e-2)
    assert steps[3].spill is None
    verdict = history.verdict()
    assert verdict.ok
    assert "4 of 5 dimensions switched on in 3 separate steps" in verdict.summary
    assert history.ranks[-1] == pytest.approx(4, abs=1e-3)
    assert json.loads(json.dumps(history.to_dict()))["losses"][0] is None


@pytest.mark.parametrize(
    ("history", "outcome", "words"),
    [
        (EmbeddingHistory.of(np.arange(50.0), logistic(np.arange(50.0), (20, 20.1, 20.2))), "inconsistent", "1 separate"),
        (EmbeddingHistory.of(np.arange(50.0), np.ones((50, 3))), "cannot_tell", "0 of 3"),
        (EmbeddingHistory.of([0.0, 1.0], [[0, 0], [1, 1]]), "cannot_tell", "in 2 records"),
        (EmbeddingHistory.of(np.arange(9.0), np.zeros((9, 2))), "cannot_tell", "0 of 2"),
    ],
)  # fmt: skip
def test_other_verdicts(history, outcome, words):
    verdict = history.verdict()
    assert str(verdict.outcome) == outcome
    assert words in verdict.summary
    assert verdict.next


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: EmbeddingTracker(torch.ones(2, 2)), "pair of views"),
        (lambda: EmbeddingTracker((1, 2), every=0), "every=0"),
        (lambda: EmbeddingTracker((1, 2)).history, "no record yet"),
        (
            lambda: EmbeddingTracker((torch.ones(2, 3), torch.ones(3, 3))).update(nn.Identity(), 0),
            "have shapes",
        ),
        (lambda: EmbeddingTracker((torch.ones(2), torch.ones(2))).update(nn.Identity(), 0), r"shape \(2,\)"),
        (
            lambda: EmbeddingTracker(two_views(), log="/no/place").update(nn.Identity(), 0),
            "cannot be written",
        ),
        (lambda: train_encoder(nn.Identity(), two_views(), lr=0.0, steps=1), "lr=0"),
        (
            lambda: train_encoder(nn.Identity(), two_views(), lr=0.1, steps=1),
            "no parameters that are trained",
        ),
        (lambda: train_encoder(nn.Linear(3, 2), torch.ones(4, 3), lr=0.1, steps=1), "pass a tuple of two"),
        (
            lambda: train_encoder(nn.Linear(3, 2), (torch.ones(4, 3), torch.ones(5, 3)), lr=0.1, steps=1),
            r"shapes \(4, 3\) and \(5, 3\)",
        ),
        (
            lambda: train_encoder(
                nn.Linear(3, 2).double(), two_views(), lr=0.1, steps=1, loss=lambda a, b: a
            ),
            r"gives shape \(6, 2\), and training needs one number",
        ),
        (
            lambda: train_encoder(
                nn.Linear(3, 2).double(), two_views(), lr=0.1, steps=1, loss=lambda a, b: 1.0
            ),
            "gives float, and training needs",
        ),
        (lambda: EmbeddingHistory.of([0.0, 0.0], np.ones((2, 1))), "do not rise"),
        (lambda: EmbeddingHistory.of([0.0], np.ones((2, 1))), "pass"),
        (lambda: EmbeddingHistory.of([0.0], np.ones((1, 1)), [1.0, 2.0]), "losses has shape"),
    ],
)
def test_bad_use(call, message):
    with pytest.raises(TheoryError, match=message):
        call()


def test_views_are_shifted_scaled_and_noisy():
    images = torch.zeros(200, 1, 5, 5)
    images[:, :, 2, 2] = 1.0
    first, second = image_views(images, gain=0.0, noise=0.0, seed=3)
    for view in (first, second):
        assert torch.equal(view.sum((1, 2, 3)), torch.ones(200))
        places = view.flatten(1).argmax(1)
        assert sorted({(int(p) // 5, int(p) % 5) for p in places}) == list(
            itertools.product((1, 2, 3), repeat=2)
        )
    assert not torch.equal(first, second)
    brighter, _ = image_views(images, shift=0, noise=0.0, gain=0.3)
    peaks = brighter.amax((1, 2, 3))
    assert 0.7 <= peaks.min() < 0.75
    assert 1.25 < peaks.max() <= 1.3
    noisy, _ = image_views(images, shift=0, gain=0.0, noise=0.5)
    assert float((noisy - images).std() / images.std()) == pytest.approx(0.5, rel=0.05)
    assert torch.equal(image_views(images, seed=3)[0], image_views(images, seed=3)[0])
    with pytest.raises(TheoryError, match=r"shape \(5, 5\)"):
        image_views(images[0, 0])
