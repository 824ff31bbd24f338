"""Claims of paper 17, Tensor Programs V: hyperparameters transfer across width, and wider is better."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import tempfile

import numpy as np
from torch import Tensor, nn

from similitude.claims.charts import loss_curves, means
from similitude.claims.judged import judged
from similitude.claims.registry import Measured, claim
from similitude.claims.sweeps import chosen_at_base, finals, moves, stays, sweep, train, tuned
from similitude.core.chart import Chart, Series
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.data import load
from similitude.data.batches import ImageBatches
from similitude.models import MLP
from similitude.studies import reference
from similitude.studies.experiment import Experiment
from similitude.studies.records import Transfer
from similitude.studies.run import DEFAULT_FOLDER, run
from similitude.training.schedule import Schedule, WarmupCosine, WarmupLinear, constant

WINDOWS = 10
"""Parts of a training run whose mean losses are compared between widths."""

MEMORISING_LR = 2.0**-8
"""Learning rate at which 100 images are memorised within 300 steps at every width."""


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
    minutes=1.5,
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
    figures = tuple(loss_curves(found, "learning rate") for found in (mup, sp))
    return judged(
        holds,
        mup.shift,
        "octaves per doubling of width",
        summary,
        evidence,
        mup.shift_interval,
        figures=figures,
    )


@claim(
    "17.wider_is_better",
    paper=17,
    statement="At fixed hyperparameters under muP, wider networks do better (Section 8).",
    claimed="loss at the largest width minus loss at the smallest, same learning rate and steps: below 0",
    minutes=0.2,
)
def wider_is_better() -> Measured:
    """Train the MLP at its base's best learning rate at the smallest and largest width, paired by seed."""
    experiment = _digits()
    ends = (experiment.widths[0], experiment.widths[-1])
    # The rate is chosen at the base alone, as a user would, and on other seeds than those that are compared.
    best = tuned(experiment)
    seeds = tuple(range(8))
    narrow, wide = (finals(train(experiment, width, [(best, {})], seeds=seeds))[0] for width in ends)
    differences = wide - narrow
    mean = float(differences.mean())
    interval = t_interval(differences)
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
    figure = Chart(
        "Test loss at one learning rate",
        "seed",
        "test loss",
        tuple(
            Series(f"width {width}", seeds, losses)
            for width, losses in zip(ends, (narrow, wide), strict=True)
        ),
        "Seed by seed the wider network should have the lower loss.",
        ordered=True,
    )
    return Measured(mean, interval, "nats of test loss", Verdict(outcome, summary, evidence), (figure,))


@claim(
    "17.wider_throughout",
    paper=17,
    statement="Under muP wider networks have the lower training loss all along, not only at the end (Section 8, "
    "Figure 7).",
    claimed=f"training loss at the largest width minus that at the smallest, in every one of {WINDOWS} parts of the run "
    "but the first: below 0",
    minutes=0.2,
)
def wider_throughout() -> Measured:
    """Compare the training curves of the smallest and largest width part by part, paired by seed."""
    experiment = _digits()
    best, seeds = tuned(experiment), tuple(range(8))
    curves = [
        np.array([run.losses for run in train(experiment, width, [(best, {})], seeds=seeds)[0]])
        for width in (experiment.widths[0], experiment.widths[-1])
    ]
    return judged_curves(curves[0], curves[1])


@claim(
    "17.init_scale",
    paper=17,
    statement="The best scale of the initialization is the same at every width under muP (Figure 4).",
    claimed="shift of the best multiplier of the initial weights before the head within 0.25 octave per doubling",
    minutes=0.6,
)
def init_scale() -> Measured:
    """Sweep a common multiplier of the initial values of the first and the hidden layers."""
    experiment = _digits()
    best = tuned(experiment)

    def losses_at(width: int, scale: float) -> np.ndarray:
        knobs = {"input": {"init": scale}, "hidden": {"init": scale}}
        return finals(train(experiment, width, [(best, {})], seeds=experiment.seeds, knobs=knobs))[0]

    return stays("scale of the initialization", sweep(experiment.widths, _octaves(-4, 3), losses_at))


@claim(
    "17.output_multiplier",
    paper=17,
    statement="The best multiplier of the output is the same at every width under muP (Figure 4).",
    claimed="shift within 0.25 octave per doubling or, where the basin is flat, the base's value within 2 % or two "
    "standard errors of the best at the largest width",
    minutes=0.8,
)
def output_multiplier() -> Measured:
    """Sweep the head's forward multiplier on an MLP whose head starts at random."""
    experiment = dataclasses.replace(_annealed(), make=make_random_head)
    best = tuned(experiment)

    def losses_at(width: int, multiplier: float) -> np.ndarray:
        settings = [(best, {})]
        return finals(train(experiment, width, settings, seeds=range(4), knobs={"head": multiplier}))[0]

    return stays("multiplier of the output", sweep(experiment.widths, _octaves(-2, 6), losses_at))


@claim(
    "17.betas",
    paper=17,
    statement="The best betas of Adam are the same at every width under muP (Section 6.1, Table 2).",
    claimed="of 9 pairs, the best one at the base costs at most 2 % or two standard errors at the largest width",
    minutes=0.6,
)
def betas() -> Measured:
    """Train with nine pairs of betas at every width."""
    experiment = _annealed()
    best = tuned(experiment)
    pairs = list(itertools.product((0.0, 0.9, 0.98), (0.9, 0.99, 0.999)))
    losses = {
        width: finals(train(experiment, width, [(best, {"betas": pair}) for pair in pairs], seeds=range(6)))
        for width in experiment.widths
    }
    return chosen_at_base("betas of Adam", [str(pair) for pair in pairs], losses)


@claim(
    "17.schedule",
    paper=17,
    statement="The best shape of the learning rate's schedule is the same at every width under muP (Figure 4).",
    claimed="of 5 shapes, the best one at the base costs at most 2 % or two standard errors at the largest width",
    minutes=0.6,
)
def schedule() -> Measured:
    """Train with five schedules at every width, all at the rate that is best at the base with linear decay."""
    experiment = _annealed()
    best, n = tuned(experiment), experiment.steps
    shapes: dict[str, Schedule] = {
        "constant": constant,
        "linear to 0": WarmupLinear(n),
        "cosine to 0": WarmupCosine(n),
        "linear to a half": WarmupLinear(n, final=0.5),
        "warmup over a half, linear to 0": WarmupLinear(n, warmup=n // 2),
    }
    losses = {
        width: np.concatenate(
            [
                finals(
                    train(
                        dataclasses.replace(experiment, schedule=shape), width, [(best, {})], seeds=range(6)
                    )
                )
                for shape in shapes.values()
            ]
        )
        for width in experiment.widths
    }
    return chosen_at_base("schedule", list(shapes), losses)


@claim(
    "17.dropout",
    paper=17,
    statement="Regularization does not transfer: its best strength depends on the width (Section 6.1, Table 2).",
    claimed="on 100 images that are memorised, the best odds of dropout move with width (95 % interval beside 0), or "
    "those of the base cost more than the test of a learning rate allows",
    minutes=1.2,
)
def dropout() -> Measured:
    """Sweep the odds p / (1 - p) of dropout where networks overfit, everything else by the plan."""
    experiment = _memorised()

    def losses_at(width: int, odds: float) -> np.ndarray:
        dropped = dataclasses.replace(experiment, make=functools.partial(DroppedMLP, rate=odds / (1 + odds)))
        return finals(train(dropped, width, [(MEMORISING_LR, {})], seeds=range(6)))[0]

    return moves("strength of dropout (odds)", sweep(experiment.widths, _octaves(-4, 2), losses_at))


@claim(
    "17.text_transfer",
    paper=17,
    statement="On text, the learning rate of a transformer that is tuned at a small width is right at a large one under "
    "muP (Figure 1, Section 7).",
    claimed="from width 64 to 128, at full size to 512, the best rate moves by at most a factor of 2, and that of "
    "the base costs at most 2 % or two standard errors at the largest width",
    minutes=1.1,
    full_minutes=35,
)
def text_transfer(*, full: bool = False) -> Measured:
    """Sweep the learning rate of GPTs; at full size what is finished is kept in `similitude-runs`."""
    if full:
        study = run(reference.gpt_long(), DEFAULT_FOLDER)
    else:
        with tempfile.TemporaryDirectory() as folder:
            study = run(reference.gpt(), folder)
    return judged_text(study.transfers["mup"], study.transfers["sp"])


def judged_curves(narrow: np.ndarray, wide: np.ndarray) -> Measured:
    """Compare training losses of two widths in equal parts of the run.

    Args:
        narrow: Losses of the smaller width, shape (seeds, steps).
        wide: Losses of the larger one, of the same seeds.

    Returns:
        The largest mean difference of a part but the first, with its interval.
    """
    parts = np.array_split(wide - narrow, WINDOWS, axis=1)
    rows = []
    for number, part in enumerate(parts[1:], 2):
        each = part.mean(axis=1)
        name = f"difference in part {number} of {WINDOWS}"
        rows.append(Evidence(name, float(each.mean()), t_interval(each), "below 0"))
    worst = max(rows, key=lambda row: row.value or 0.0)
    assert worst.value is not None
    assert worst.interval is not None
    below = sum(row.interval is not None and row.interval[1] < 0 for row in rows)
    failed = Outcome.INCONSISTENT if worst.interval[0] > 0 else Outcome.TOO_NOISY
    outcome = Outcome.OK if below == len(rows) else failed
    summary = f"the wider network is ahead in {below} of {len(rows)} parts; {worst.name}: {worst.value:+.4f}"
    shown = {"narrowest": narrow, "widest": wide}
    edges = np.linspace(0, narrow.shape[1], WINDOWS + 1)
    figure = Chart(
        "Training loss",
        "steps",
        f"training loss, mean of {100 // WINDOWS} % of the run",
        tuple(
            means(
                name,
                (edges[1:] + edges[:-1]) / 2,
                [part.mean(axis=1) for part in np.array_split(losses, WINDOWS, axis=1)],
                kind="joined",
            )
            for name, losses in shown.items()
        ),
        "The wider network should have the lower loss all along, also where the bars of all seeds overlap: seeds are "
        "compared one by one.",
        source="Figure 7",
        y_scale="log",
        ordered=True,
    )
    verdict = Verdict(outcome, summary, tuple(rows))
    return Measured(worst.value, worst.interval, "nats of training loss", verdict, (figure,))


def judged_text(mup: Transfer, sp: Transfer) -> Measured:
    """Judge the transfer over all widths of a study: by how far the optimum moves in all, and by what that costs.

    Args:
        mup: The transfer under muP.
        sp: The same in the standard parametrization, which is shown beside it.
    """
    evidence = []
    for found in (mup, sp):
        octaves, cost = _moved(found), _cost(found)
        evidence += [
            Evidence(f"octaves that the best rate moves in all, {found.rule}", octaves),
            Evidence(f"relative cost of the transferred rate, {found.rule}", cost),
            *(
                Evidence(
                    f"log2 of the best rate at width {best.size}, {found.rule}",
                    None if best.lr is None else math.log2(best.lr),
                )
                for best in found.optima
            ),
        ]
    octaves, cost = _moved(mup), _cost(mup)
    if octaves is None or cost is None or not mup.loss_at_best:
        verdict = Verdict(Outcome.CANNOT_TELL, mup.verdict.summary, tuple(evidence), (), mup.verdict.next)
        return Measured(math.nan, None, "octaves", verdict)
    allowed = max(0.02, 2 * (mup.loss_stderr or 0.0) / mup.loss_at_best)
    holds = abs(octaves) <= 1 and cost <= allowed
    other = _moved(sp)
    more = " or more, to the end of the grid" if sp.optima[-1].edge else ""
    beside = "" if other is None else f"; under sp it moves by {other:+.2f}{more}"
    summary = (
        f"from width {mup.optima[0].size} to {mup.optima[-1].size} the best rate moves by {octaves:+.2f} octaves under "
        f"muP, and the transferred one costs {100 * cost:.1f} %{beside}"
    )
    figures = tuple(loss_curves(found, "learning rate") for found in (mup, sp))
    return judged(holds, octaves, "octaves", summary, evidence, figures=figures)


def make_random_head(width: int) -> nn.Module:
    """Return the MLP on digits with a head that starts at random, so that a multiplier of the output matters at once."""
    return MLP(64, reference.CLASSES, width=width, depth=3)


class DroppedMLP(nn.Module):
    """The MLP on digits with dropout after every hidden layer.

    Args:
        width: Units per hidden layer.
        rate: Share of the units that are dropped, 0 to 1.
    """

    def __init__(self, width: int, *, rate: float) -> None:
        super().__init__()
        self.mlp = reference.make_mlp(width, inputs=64)
        self.dropout = nn.Dropout(rate)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, ...) to logits (B, classes)."""
        assert isinstance(self.mlp, MLP)
        x = x.flatten(1)
        for layer in self.mlp.hidden:
            x = self.dropout(self.mlp.activation(layer(x)))
        return self.mlp.head(x)


def _annealed() -> Experiment:
    """The MLP experiment with a rate that falls to 0, which leaves less noise in the final loss."""
    experiment = _digits()
    return dataclasses.replace(experiment, schedule=WarmupLinear(experiment.steps))


def _memorised() -> Experiment:
    """The MLP on few digits without noise, to the point of overfitting."""
    digits = load("digits")
    few = dataclasses.replace(
        digits, train_images=digits.train_images[:100], train_labels=digits.train_labels[:100]
    )
    return dataclasses.replace(
        reference.mlp(digits),
        batches=ImageBatches(few, batch_size=50),
        steps=300,
        schedule=WarmupLinear(300),
    )


def _octaves(low: int, high: int) -> tuple[float, ...]:
    return tuple(2.0**k for k in range(low, high + 1))


def _moved(found: Transfer) -> float | None:
    """Octaves from the optimum of the smallest width to that of the largest."""
    first, last = found.optima[0].lr, found.optima[-1].lr
    return None if first is None or last is None else math.log2(last / first)


def _cost(found: Transfer) -> float | None:
    if found.loss_at_transferred is None or not found.loss_at_best:
        return None
    return found.loss_at_transferred / found.loss_at_best - 1
