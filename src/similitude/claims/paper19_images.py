"""Claim of paper 19 on test errors: what a bottleneck does to infinitely wide nets on images."""

from __future__ import annotations

import numpy as np
import torch

from similitude.claims.bottleneck_nets import Nets
from similitude.claims.judged import judged
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence
from similitude.studies.universality_nets import PIXELS, digits_task


@claim(
    "19.performance",
    paper=19,
    statement="A bottleneck improves the overall performance of infinitely wide nets on images (abstract).",
    claimed="100 digits, one-hot targets times 10, 400 steps, n = 256: squared error on 400 others with the better of d "
    "= 10 and 50 below that without a bottleneck, their intervals apart (10 nets each); d = 2, and targets times 1, are "
    "shown beside",
    minutes=0.8,
)
def performance() -> Measured:
    """Train nets with and without a bottleneck on ten classes of digits, and test them."""
    task = digits_task(train=500, test=0)
    x, targets = task.inputs.flatten(1), task.targets
    train, rows, found = 100, [], {}
    for scale in (1.0, 10.0):
        for d in (2, 10, 50, None):
            nets = Nets(PIXELS, bottleneck=d or 256, width=256, nets=10, seed=192, outputs=targets.shape[1])
            top = float(torch.linalg.eigvalsh(nets.kernels(x[:train]))[:, -1].max())
            y = scale * targets
            out = nets.train(x, y[:train], lr=0.5 / top / max(1.0, scale / 3), steps=400, kept=(400,))[0]
            errors = ((out - y)[:, train:].square().mean((1, 2)) / y.square().mean()).numpy()
            wrong = (out[:, train:].argmax(-1) != y[train:].argmax(-1)).double().mean()
            found[scale, d] = errors
            name = f"targets times {scale:g}, {'no bottleneck' if d is None else f'd {d}'}"
            rows += [
                Evidence(f"test error, {name}", float(errors.mean()), t_interval(errors)),
                Evidence(f"share of wrong classes, {name}", float(wrong)),
            ]
    best, small = (min(found[scale, 10], found[scale, 50], key=np.mean) for scale in (10.0, 1.0))
    without = float(found[10.0, None].mean())
    ratio, alone = float(best.mean()) / without, float(small.mean() / found[1.0, None].mean())
    holds = t_interval(best)[1] < t_interval(found[10.0, None])[0]
    summary = f"the test error is {ratio:.2f} of that without a bottleneck, {alone:.2f} with targets times 1"
    names = {2: "d = 2", 10: "d = 10", 50: "d = 50", None: "none"}
    figure = Chart(
        "Test error on digits, by bottleneck",
        "bottleneck",
        "squared error / square of the targets",
        tuple(
            Series(
                f"targets times {scale:g}",
                range(len(names)),
                [found[scale, d].mean() for d in names],
                [t_interval(found[scale, d]) for d in names],
                "joined",
            )
            for scale in (1.0, 10.0)
        ),
        "With large targets the best bottleneck should be below none, intervals apart; a very narrow one is worse.",
        x_names=tuple(names.values()),
    )
    interval = t_interval(best / without)
    return judged(holds, ratio, "ratio of test errors", summary, rows, interval, figures=(figure,))
