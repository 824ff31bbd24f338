"""The robust fit of many resamples against scipy's, with constraints, outliers and errors of the law."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from similitude.tuning.laws.least_squares import HUBER, Prior, fit

X = np.linspace(0, 3, 40)


def exponential(theta):
    a, b = np.exp(theta[:, :1]), np.exp(theta[:, 1:])
    y = a * np.exp(-b * X)
    return y, np.stack([y, -y * b * X], 2)


def straight(theta):
    return theta[:, :1] + theta[:, 1:] * X, np.broadcast_to(
        np.stack([np.ones(40), X], 1), (len(theta), 40, 2)
    )


def vague(p, rows=None, offsets=None):
    return Prior(
        np.zeros(p),
        np.full(p, 1e3),
        np.zeros((0, p)) if rows is None else rows,
        np.zeros(0) if offsets is None else offsets,
    )


def found(curve, y, *, counts=None, **kwargs):
    counts = np.ones((1, 40)) if counts is None else counts
    start = np.zeros((len(counts), 2))
    return fit(curve, y, counts=counts, start=start, prior=kwargs.pop("prior", vague(2)), **kwargs)


def test_it_finds_what_scipy_finds_with_the_same_loss():
    rng = np.random.default_rng(0)
    y = 2 * np.exp(-0.7 * X) + 0.05 * rng.standard_normal(40)
    ours = found(exponential, y, rounds=20)
    scale = float(ours.sigma[0])
    theirs = least_squares(
        lambda t: (exponential(t[None])[0][0] - y) / scale, np.zeros(2), loss="huber", f_scale=HUBER
    )
    assert ours.parameters[0] == pytest.approx(theirs.x, abs=1e-5)


def test_every_resample_is_fitted_as_if_it_were_alone():
    rng = np.random.default_rng(1)
    y = 1.5 * np.exp(-X) + 0.03 * rng.standard_normal(40)
    counts = rng.multinomial(40, np.full(40, 1 / 40), size=5).astype(float)
    together = found(exponential, y, counts=counts)
    for b in range(5):
        index = np.repeat(np.arange(40), counts[b].astype(int))

        def written_out(theta, index=index):
            y, jacobian = exponential(theta)
            return y[:, index], jacobian[:, index]

        alone = fit(written_out, y[index], counts=np.ones((1, 40)), start=np.zeros((1, 2)), prior=vague(2))
        assert together.parameters[b] == pytest.approx(alone.parameters[0], abs=1e-6)
        assert together.bic[b] == pytest.approx(alone.bic[0], abs=1e-4)


def test_runs_of_bad_luck_hardly_move_it_and_plain_least_squares_they_do():
    rng = np.random.default_rng(2)
    y = 1 + 2 * X + 0.1 * rng.standard_normal(40)
    spoilt = y.copy()
    spoilt[30:36] += 50
    clean, robust = found(straight, y), found(straight, spoilt)
    plain = np.polyfit(X, spoilt, 1)[0]
    assert abs(robust.parameters[0, 1] - clean.parameters[0, 1]) < 0.1
    assert abs(plain - clean.parameters[0, 1]) > 3


def test_constraints_hold():
    y = 1 + 2 * X
    tied = found(straight, y + 0.01 * np.sin(9 * X), prior=vague(2, np.array([[0.0, 1.0]]), np.array([-1.5])))
    assert tied.parameters[0, 1] == pytest.approx(1.5, abs=0.01)


def test_slack_trusts_trials_far_above_the_front_less():
    # A parabola is fitted to a bowl that is none: near its bottom it is right only if the walls count less.
    x = np.linspace(-3, 3, 40)
    y = np.exp(x) - 1 - x

    def parabola(theta):
        k, m = np.exp(theta[:, :1]), theta[:, 1:]
        return k * (x - m) ** 2, np.stack([k * (x - m) ** 2, -2 * k * (x - m)], 2)

    order = np.argsort(np.abs(x))  # the bottom is cheapest
    bottoms = [
        abs(found(parabola, y, order=order, slack=slack, rounds=20).parameters[0, 1]) for slack in (0.0, 1.0)
    ]
    assert bottoms[1] < 0.3 * bottoms[0]
