"""The law of losses fitted to every trial, and the line along which it is best at every cost."""

from __future__ import annotations

import numpy as np
from scipy import stats

from similitude.core.seeding import numpy_generator
from similitude.tuning.laws.cost import CostModel
from similitude.tuning.laws.data import LawData
from similitude.tuning.laws.forms import Form, forms
from similitude.tuning.laws.least_squares import Fit, Prior, fit
from similitude.tuning.laws.paths import LEVEL, Paths, cost_levels, lines

STARTS = 24
SLACKS = (0.0, 0.05, 0.2, 0.5, 1.0)
"""Errors of the law itself, as a share of how far a trial is above the front, of which the likeliest is taken."""

PLAUSIBLE = 10.0
"""A form whose information criterion is worse than the best by more than this is not fitted to the resamples."""


def parametric_paths(
    data: LawData, counts: np.ndarray, cost: CostModel, *, seed: int
) -> tuple[Paths, np.ndarray, str]:
    """Fit every form of the law, and follow the best one of each resample along the cost.

    Args:
        data: The trials.
        counts: How often each is in each resample, shape (b, n), the first row ones.
        cost: What configurations cost, in every resample.
        seed: Of the starts.

    Returns:
        The lines, the predictions of every trial in each resample, shape (b, n), and the form of the trials as they
        are in words.

    Raises:
        ValueError: There are too few trials for any form.
    """
    candidates = [(form, *_whole(form, data, cost, seed)) for form in forms(data, cost)]
    if not candidates:
        raise ValueError(f"{len(data)} trials are too few for {len(data.axes)} dimensions")
    best = min(found.bic[0] for _, found, _ in candidates)
    fitted = [
        (form, _fit(form, data, counts, cost, start=np.repeat(found.parameters, len(counts), 0), slack=slack))
        for form, found, slack in candidates
        if found.bic[0] <= best + PLAUSIBLE
    ]
    followed = [_follow(form, found.parameters, data, cost) for form, found in fitted]
    winner = np.stack([found.bic for _, found in fitted]).argmin(0)
    rows = np.arange(len(counts))

    def pick(arrays: list[np.ndarray]) -> np.ndarray:
        return np.stack(arrays)[winner, rows]

    freedom = max(len(data) - fitted[winner[0]][0].count, 1)
    student = stats.t.ppf((1 + LEVEL) / 2, freedom) / stats.norm.ppf((1 + LEVEL) / 2)
    paths = Paths(
        reference=followed[0].reference,
        widening=float(np.sqrt(len(data) / freedom) * student),
        **{
            name: pick([getattr(path, name) for path in followed])
            for name in ("middles", "slopes", "floor", "amplitude", "power", "chosen")
        },
    )
    predictions = pick([found.predictions * form.unit for form, found in fitted])
    return paths, predictions, fitted[winner[0]][0].name


def _whole(form: Form, data: LawData, cost: CostModel, seed: int) -> tuple[Fit, float]:
    """Fit one form to the trials as they are from many starts, with the likeliest error of the law itself."""
    prior = _prior(form, data, cost)
    generator = numpy_generator(seed, "starts", form.name)
    start = prior.mean + np.minimum(prior.width, 1.0) * generator.standard_normal((STARTS, form.count))
    start[0] = prior.mean
    ones = np.ones((STARTS, len(data)))
    tried = []
    for slack in SLACKS:
        found = _fit(form, data, ones, cost, start=start, slack=slack)
        k = int(found.bic.argmin())
        tried.append((Fit(*(array[k : k + 1] for array in vars(found).values())), slack))
    return min(tried, key=lambda pair: float(pair[0].bic[0]))


def _fit(
    form: Form, data: LawData, counts: np.ndarray, cost: CostModel, *, start: np.ndarray, slack: float
) -> Fit:
    return fit(
        form.curve,
        data.values / form.unit,
        counts=counts,
        start=start,
        prior=_prior(form, data, cost),
        order=np.argsort(data.log_costs, kind="stable"),
        slack=slack,
    )


def _prior(form: Form, data: LawData, cost: CostModel) -> Prior:
    """Return the prior; where the cost is the one size, the line of optima has to cost what it stands for."""
    _, h, r, _ = form.shape
    first = 1 + 2 * form.shape[0] + h
    growing = cost.slopes[0] * data.steps
    rows, offsets = np.zeros((0, form.count)), np.zeros(0)
    if not len(form.columns) and growing.any():
        rows = np.zeros((2, form.count))
        rows[0, first : first + h] = growing
        rows[1, first + h : first + h + h * r] = growing
        offsets = np.array([cost.offset[0] - form.center[0], -1.0])
    return form.prior(data.values / form.unit, rows, offsets)


def _follow(form: Form, theta: np.ndarray, data: LawData, cost: CostModel) -> Paths:
    """Find the configuration of least loss at several costs, and draw lines through them."""
    levels = cost_levels(data)
    reference = float(levels.mean())
    floor, amplitude, power, k, m, q, offsets = form.split(theta)
    chosen, gained = _choose(data, offsets)
    b, d = len(theta), len(data.axes)
    rest = form.rest
    if not len(form.columns):
        s = np.broadcast_to(levels - form.center[0], (b, len(levels)))[:, :, None]
        u = m[:, None] + np.einsum("bls,sr,bhr->blh", s, form.basis, q)
        optima = u * data.steps[rest]
        loss = floor + (amplitude[:, None] * np.exp(-power[:, None] * s)).sum(2)
    else:
        growing = cost.slopes[:, form.columns]
        own = cost.slopes[:, rest] * data.steps[rest]
        drift = np.einsum("sr,bhr->bhs", form.basis, q)
        # A size pays for itself and for what its growth does to the optima of other dimensions that cost something.
        price = growing + np.einsum("bh,bhs->bs", own, drift)
        price = np.where(price > 1e-3, price, np.nan)
        base = cost.at(chosen) + (growing * form.center).sum(1) + (own * m).sum(1)

        def sizes(multiplier: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """Return sizes (b, l, s) and deviations (b, l, h) at log multipliers (b, l)."""
            s = (np.log(power * amplitude / price)[:, None] - multiplier[:, :, None]) / power[:, None]
            bent = -np.exp(multiplier)[:, :, None] * own[:, None] / (2 * k[:, None])
            return s, bent

        low, high = np.full((b, len(levels)), -60.0), np.full((b, len(levels)), 60.0)
        for _ in range(60):
            middle = (low + high) / 2
            s, bent = sizes(middle)
            paid = base[:, None] + (price[:, None] * s).sum(2) + (own[:, None] * bent).sum(2)
            dear = paid > levels
            low, high = np.where(dear, middle, low), np.where(dear, high, middle)
        s, bent = sizes((low + high) / 2)
        optima = np.empty((b, len(levels), d))
        optima[:, :, form.columns] = s + form.center
        u = m[:, None] + np.einsum("bls,bhs->blh", s, drift) + bent
        optima[:, :, rest] = u * data.steps[rest]
        with np.errstate(over="ignore"):
            loss = (
                floor
                + (amplitude[:, None] * np.exp(-power[:, None] * s)).sum(2)
                + (k[:, None] * bent**2).sum(2)
            )
    middles, slopes = lines(levels - reference, optima)
    with np.errstate(invalid="ignore", divide="ignore"):
        heights, falls = lines(levels - reference, np.log10(loss - floor)[:, :, None])
    return Paths(
        reference=reference,
        middles=middles,
        slopes=slopes,
        floor=(floor[:, 0] + gained) * form.unit,
        amplitude=10.0 ** heights[:, 0] * form.unit,
        power=-falls[:, 0],
        chosen=chosen,
    )


def _choose(data: LawData, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best level of every choice, shape (b, h), and what it adds to the loss, shape (b,)."""
    chosen = np.zeros((len(offsets), len(data.choices)), int)
    gained = np.zeros(len(offsets))
    place = 0
    for h, (_, values) in enumerate(data.choices):
        table = np.concatenate([np.zeros((len(offsets), 1)), offsets[:, place : place + len(values) - 1]], 1)
        tried = np.isin(np.arange(len(values)), data.levels[:, h])
        table = np.where(tried, table, np.inf)
        chosen[:, h] = table.argmin(1)
        gained += table.min(1)
        place += len(values) - 1
    return chosen, gained
