"""Claims of paper 17, Tensor Programs V: hyperparameters transfer across width, and wider is better."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence

import numpy as np
from scipy import stats

from similitude.claims.registry import Measured, claim
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.data import load
from similitude.studies import reference
from similitude.studies.experiment import Experiment, planner_of
from similitude.studies.run import run
from similitude.training.ensemble import Replica, train_ensemble


def _digits() -> Experiment:
    """The MLP experiment on the data that every installation has."""
    return reference.mlp(load("digits"))


@claim(
    "17.transfer",
    paper=17,
    statement="Under muP the optimal learning rate of Adam is stable across width; in the standard "
    "parametrization it is not (Figure 1).",
    claimed="shift under muP within 0.25 octave per doubling and at most 0.4 of that under sp, which falls "
    "by 0.25 or more",
    minutes=0.6,
)
def transfer() -> Measured:
    """Sweep the learning rate of the MLP under both parametrizations; compare the shifts of the optimum."""
    with tempfile.TemporaryDirectory() as folder:
        study = run(_digits(), folder)
    sp, mup = study.transfers["sp"], study.transfers["mup"]
    evidence = tuple(
        Evidence(f"shift under {t.rule}, octaves per doubling", t.shift, t.shift_interval) for t in (mup, sp)
    )
    if mup.shift is None or sp.shift is None:
        verdict = Verdict(Outcome.CANNOT_TELL, "an optimum was not found", evidence, (mup.verdict.summary,))
        return Measured(float("nan"), None, "octaves per doubling of width", verdict)
    holds = sp.shift <= -0.25 and abs(mup.shift) <= min(0.25, 0.4 * abs(sp.shift))
    summary = f"the optimum moves by {mup.shift:+.2f} octave per doubling under muP, {sp.shift:+.2f} under sp"
    verdict = Verdict(Outcome.OK if holds else Outcome.INCONSISTENT, summary, evidence)
    return Measured(mup.shift, mup.shift_interval, "octaves per doubling of width", verdict)


@claim(
    "17.wider_is_better",
    paper=17,
    statement="At fixed hyperparameters under muP, wider networks do better (Section 8).",
    claimed="loss at the largest width minus loss at the smallest, same learning rate and steps: below 0",
    minutes=0.6,
)
def wider_is_better() -> Measured:
    """Train the MLP at its base's best learning rate at the smallest and largest width, paired by seed."""
    experiment = _digits()
    ends = (experiment.base, experiment.widths[-1])
    # The rate is chosen at the base alone, as a user would, and on other seeds than those that are compared.
    tuning = _finals(experiment, experiment.base, experiment.lrs, seeds=(100, 101, 102))
    best = experiment.lrs[int(np.argmin(tuning.mean(axis=1)))]
    seeds = tuple(range(8))
    narrow, wide = (_finals(experiment, width, (best,), seeds=seeds)[0] for width in ends)
    differences = wide - narrow
    mean = float(differences.mean())
    half = float(stats.t.ppf(0.975, len(seeds) - 1) * stats.sem(differences))
    interval = (mean - half, mean + half)
    evidence = (
        Evidence(f"mean loss at width {ends[0]}", float(narrow.mean())),
        Evidence(f"mean loss at width {ends[1]}", float(wide.mean())),
        Evidence("difference", mean, interval, "below 0"),
    )
    if interval[1] < 0:
        outcome, word = Outcome.OK, "lower"
    elif interval[0] > 0:
        outcome, word = Outcome.INCONSISTENT, "higher"
    else:
        outcome, word = Outcome.TOO_NOISY, "not clearly different"
    what = f"the loss at width {ends[1]} is {word} than at width {ends[0]}: {mean:+.4f}"
    summary = f"at learning rate {best:.3g} {what}"
    return Measured(mean, interval, "nats of test loss", Verdict(outcome, summary, evidence))


def _finals(experiment: Experiment, width: int, lrs: Sequence[float], *, seeds: Sequence[int]) -> np.ndarray:
    """Final losses under muP at one width, shape (rates, seeds)."""
    made = planner_of(experiment).plan(width, rule="mup")
    results = train_ensemble(
        functools.partial(experiment.make, width),
        [Replica(seed, lr) for lr in lrs for seed in seeds],
        batches=experiment.batches,
        loss=experiment.loss,
        steps=experiment.steps,
        optimizer=experiment.optimizer,
        plan=made,
        schedule=experiment.schedule,
    )
    return np.array([r.final for r in results]).reshape(len(lrs), len(seeds))
