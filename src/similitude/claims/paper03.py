"""Claims of paper 3, batch norm without gradient explosion: orthogonal weights, isometry, rank, shaping, training."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor

from similitude.claims.judged import judged
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.intervals import t_interval
from similitude.core.seeding import torch_generator
from similitude.core.verdict import Evidence
from similitude.theory.batch_norm.bounds import gradient_bound, isometry_bound
from similitude.theory.batch_norm.gaps import isometry_gap, isometry_rate
from similitude.theory.batch_norm.network import RowNorm, batch_norm_net
from similitude.theory.batch_norm.orthogonal import haar_orthogonal
from similitude.theory.batch_norm.rank import Weights, gradient_rate, rank_condition
from similitude.theory.batch_norm.shaping import choose_shaping
from similitude.theory.signal.training import DepthTraining, train_depths

WIDTH = 50
SEEDS = 5
DEPTHS = (20, 50, 100, 200, 400)
DEEPEST = 1000
IMAGE_DEPTHS = (20, 100, 200)
RANKS = ((24, 12), (48, 24), (48, 12), (48, 8))  # width, rank
TRAINED = (10, 50, 150)


def inputs(samples: int, width: int, rank: int, seed: int) -> Tensor:
    """Return Gaussian inputs of a rank, shape (samples, width), float64."""
    drawn = torch_generator(seed, "inputs", samples, width, rank)
    if rank >= min(samples, width):
        return torch.randn(samples, width, generator=drawn, dtype=torch.float64)
    left = torch.randn(samples, rank, generator=drawn, dtype=torch.float64)
    return left @ torch.randn(rank, width, generator=drawn, dtype=torch.float64)


def image_gradient(depth: int, *, seed: int) -> float:
    """Return log |gradient of the first layer| of a convolutional network on eight 4x4 images of 16 channels."""
    return first_gradient(depth, inputs(8, 256, 256, seed).reshape(8, 16, 4, 4), seed=seed, convolution=3)


def first_gradient(depth: int, batch: Tensor, *, seed: int, **options: object) -> float:
    """Return log |gradient of the first layer| of the cross entropy on ten random classes."""
    width = batch.shape[1]
    net = batch_norm_net(width, 10, width=width, depth=depth, seed=seed, dtype=torch.float64, **options)  # pyright: ignore[reportArgumentType]
    labels = torch.randint(10, (len(batch),), generator=torch_generator(seed, "labels"))
    first = next(net.parameters())
    (slope,) = torch.autograd.grad(F.cross_entropy(net(batch), labels), first)
    return float(slope.norm().log())


def by_depth(
    depths: Sequence[int], seeds: int = SEEDS, *, width: int = WIDTH, **options: object
) -> np.ndarray:
    """Return log |gradient| of the first layer, shape (depths, seeds), at full rank."""
    return np.array(
        [
            [
                first_gradient(L, inputs(width, width, width, seed), seed=seed, **options)
                for seed in range(seeds)
            ]
            for L in depths
        ]
    )


def slopes(depths: Sequence[int], logs: np.ndarray) -> np.ndarray:
    """Return the slope per layer of every seed, shape (seeds,)."""
    return np.polyfit(depths, logs, 1)[0]


@claim(
    "3.flat",
    paper=3,
    statement="With orthogonal weights and batch norm the gradient of the first layer has a bound that does not depend "
    "on the depth (Theorem 2); with Gaussian weights gradients explode.",
    claimed=f"{WIDTH} samples and features, linear layers, to depth 400: slope of log |gradient| per layer below 1e-3 "
    "orthogonal (with and without mean removal; 3x3 convolutions to 200), above 4e-3 Gaussian; at "
    f"{DEEPEST} layers orthogonal within 0.5 of depth 20; at full size all of these twice as large and as deep",
    minutes=0.5,
    full_minutes=2,
)
def flat(*, full: bool = False) -> Measured:
    """Measure gradients of the first layer at depths up to 1,000, or 2,000."""
    times = 2 if full else 1
    width, depths, deepest = times * WIDTH, tuple(times * L for L in DEPTHS), times * DEEPEST
    orthogonal, gaussian = by_depth(depths, width=width), by_depth(depths, width=width, weights="gaussian")
    centred = by_depth(depths, seeds=2, width=width, centred=True)
    far = by_depth((deepest,), seeds=2, width=width)
    images = np.array([[image_gradient(L, seed=s) for s in range(3)] for L in IMAGE_DEPTHS])
    rows = {
        "orthogonal": slopes(depths, orthogonal),
        "orthogonal, means removed": slopes(depths, centred),
        "orthogonal, convolutions": slopes(IMAGE_DEPTHS, images),
        "Gaussian": slopes(depths, gaussian),
    }
    evidence = [
        Evidence(
            f"slope per layer, {name}",
            float(v.mean()),
            t_interval(v),
            "above 4e-3" if name == "Gaussian" else "within 1e-3",
        )
        for name, v in rows.items()
    ]
    beyond = float(far.mean() - orthogonal[0].mean())
    evidence.append(Evidence(f"log |gradient| at {deepest} layers less that at {depths[0]}", beyond))
    gap = float(np.mean([isometry_gap(inputs(width, width, width, seed)) for seed in range(SEEDS)]))
    bound = gradient_bound(gap, width)
    largest = float(max(orthogonal.max(), far.max()))
    evidence.append(
        Evidence(
            "largest log |gradient|, orthogonal",
            largest,
            None,
            f"at most {bound:.1e} by Theorem 2 with C = 1",
        )
    )
    means = {name: abs(float(v.mean())) for name, v in rows.items()}
    holds = max(value for name, value in means.items() if name != "Gaussian") < 1e-3
    holds = holds and float(rows["Gaussian"].mean()) > 4e-3 and abs(beyond) < 0.5
    figure = Chart(
        "Gradients of the first layer",
        "depth",
        "log |gradient|",
        (
            Series("orthogonal", (*depths, deepest), [*orthogonal.mean(1), far.mean()], kind="joined"),
            Series("orthogonal, means removed", depths, centred.mean(1), kind="joined"),
            Series("orthogonal, convolutions", IMAGE_DEPTHS, images.mean(1), kind="joined"),
            Series("Gaussian", depths, gaussian.mean(1), kind="joined"),
        ),
        "Orthogonal weights should stay level at any depth, Gaussian ones rise.",
    )
    value = float(rows["orthogonal"].mean())
    summary = f"slopes per layer {value:.1e} orthogonal, {rows['Gaussian'].mean():.4f} Gaussian"
    return judged(
        holds,
        value,
        "slope per layer",
        summary,
        evidence,
        t_interval(rows["orthogonal"]),
        figures=(figure,),
    )


def shrinking(
    width: int, layers: int, *, seed: int, weights: Weights = "orthogonal", near: bool = True
) -> list[float]:
    """Return isometry gaps of a batch near isometry, or of Gaussian inputs, before and after every layer."""
    drawn = torch_generator(seed, "gap", width)
    noise = torch.randn(width, width, generator=drawn, dtype=torch.float64)
    start = haar_orthogonal(width, generator=drawn) + 1e-3 * noise if near else noise
    x = RowNorm()(start.T)  # samples times features
    gaps = [isometry_gap(x)]
    for _ in range(layers):
        w = haar_orthogonal(width, generator=drawn)
        if weights == "gaussian":
            w = torch.randn(width, width, generator=drawn, dtype=torch.float64)
        x = RowNorm()(x @ w.T)
        gaps.append(isometry_gap(x))
    return gaps


@claim(
    "3.isometry",
    paper=3,
    statement="Batch norm behind orthogonal weights makes features orthogonal exponentially fast (Theorem 1). Near "
    "isometry one layer multiplies the gap by d / (d + 2) in the mean.",
    claimed="ten layers of widths 8, 16 and 32: mean ratio of gaps within 3 standard errors of (d / (d + 2))^10, the gap "
    "falling in every layer of every network; from Gaussian inputs at most the bound of Theorem 1 behind every layer, "
    "its constant the least possible; Gaussian weights: above 1 behind three",
    minutes=0.2,
)
def isometry() -> Measured:
    """Follow the isometry gap from near isometry."""
    layers, evidence, series, off, falls, within = 10, [], [], 0.0, True, True
    for width, seeds in ((8, 80), (16, 60), (32, 30)):
        gaps = np.array([shrinking(width, layers, seed=s) for s in range(seeds)])
        falls = falls and bool((np.diff(gaps) < 0).all())
        ratios = gaps[:, -1] / gaps[:, 0]
        error = float(ratios.std(ddof=1)) / math.sqrt(seeds)
        predicted = isometry_rate(width) ** layers
        off = max(off, abs(float(ratios.mean()) - predicted) / error)
        evidence.append(
            Evidence(f"ratio at width {width}", float(ratios.mean()), t_interval(ratios), f"{predicted:.4f}")
        )
        far = np.array([shrinking(width, layers, seed=s, near=False) for s in range(seeds)])
        bounds = [
            np.mean([isometry_bound(gap, width, layers=k) for gap in far[:, 0]]) for k in range(layers + 1)
        ]
        within = within and bool((far.mean(0) <= np.array(bounds) * (1 + 1e-9)).all())
        ends = far[:, -1]
        evidence.append(
            Evidence(
                f"gap behind {layers} layers of width {width}, from {far[:, 0].mean():.2f} of Gaussian inputs",
                float(ends.mean()),
                t_interval(ends),
                f"at most {bounds[-1]:.3f} by Theorem 1",
            )
        )
        shown = np.arange(layers + 1)
        series += [
            Series(f"width {width}", shown, (gaps / gaps[:, :1]).mean(0)),
            Series(f"width {width}", shown, isometry_rate(width) ** shown, kind="line"),
        ]
    end = float(np.mean([shrinking(32, 3, seed=s, weights="gaussian")[-1] for s in range(3)]))
    evidence.append(Evidence("gap behind three Gaussian layers of width 32", end, None, "above 1"))
    figure = Chart(
        "Isometry gap behind batch norm",
        "layers",
        "gap / gap at the start",
        tuple(series),
        "Marks (networks) should lie on the lines, (d / (d + 2))^layers.",
        source="Theorem 1",
        y_scale="log",
    )
    summary = f"ratios are off by at most {off:.1f} standard errors; the gap behind three Gaussian layers is {end:.1f}"
    holds = off <= 3 and falls and within and end > 1
    return judged(holds, off, "standard errors", summary, evidence, figures=(figure,))


@claim(
    "3.rank",
    paper=3,
    statement="The condition is on the batch: its rows need the rank of the width, else gradients grow with depth even "
    "with orthogonal weights.",
    claimed="ranks of 1/2 to 1/6 of widths 24 and 48: every one is warned of, and log |gradient| grows per layer as "
    "predicted, 0.5 log((r-1)(d-2) / ((r-2)(d-1))), within 25 %; at full rank and rank 47 of 48 no warning, below 2e-3",
    minutes=0.5,
)
def rank() -> Measured:
    """Measure growth with depth at several ranks."""
    evidence, off, warned, measured_all, predicted_all = [], 0.0, True, [], []
    for width, r in RANKS:
        batch = inputs(width, width, r, 0)
        found = rank_condition(batch, width)
        warned = warned and not found.enough and found.rank == r
        expected = gradient_rate(r, width)
        # two depths between which gradients grow by about e^3.5, beyond the part that never grows
        near = math.ceil(2 / expected)
        depths = (near, near + math.ceil(3.5 / expected))
        logs = np.array(
            [[first_gradient(L, inputs(width, width, r, s), seed=s) for s in range(4)] for L in depths]
        )
        rates = slopes(depths, logs)
        off = max(off, abs(float(rates.mean()) / expected - 1))
        evidence.append(
            Evidence(f"rank {r} of {width}", float(rates.mean()), t_interval(rates), f"{expected:.4f}")
        )
        measured_all.append(float(rates.mean()))
        predicted_all.append(expected)
    free = 0.0
    for r in (48, 47):
        warned = warned and rank_condition(inputs(48, 48, r, 0), 48).enough
        logs = np.array(
            [[first_gradient(L, inputs(48, 48, r, s), seed=s) for s in range(3)] for L in (50, 200)]
        )
        rates = slopes((50, 200), logs)
        free = max(free, abs(float(rates.mean())))
        evidence.append(Evidence(f"rank {r} of 48", float(rates.mean()), t_interval(rates), "within 2e-3"))
    ends = [min(predicted_all), max(predicted_all)]
    figure = Chart(
        "Growth with depth where the rank is short",
        "predicted growth of log |gradient| per layer",
        "measured",
        (
            Series("networks", predicted_all, measured_all),
            Series("as predicted", ends, ends, kind="guide"),
        ),
        "Marks should lie on the dotted line.",
        x_scale="log",
        y_scale="log",
    )
    summary = f"growth is off from the prediction by at most {off:.0%}; {free:.1e} per layer near full rank"
    holds = warned and off <= 0.25 and free < 2e-3
    return judged(holds, off, "largest relative error", summary, evidence, figures=(figure,))


@claim(
    "3.gaussian",
    paper=3,
    statement="Behind Gaussian weights gradients explode at a rate that the batch sets: 0.5 log((n-1) / (n-2)) per "
    "layer, and that of one sample less where means are removed.",
    claimed="8 samples, width 400, mean squares over 6 networks between depths 20 and 60: within 6 % of both",
    minutes=0.5,
)
def gaussian() -> Measured:
    """Measure growth of the mean square gradient in wide networks."""
    evidence, off, rows = [], 0.0, []
    for centred in (False, True):
        samples, width = 8, 400
        squares = [
            np.mean(
                [
                    math.exp(
                        2
                        * first_gradient(
                            L,
                            inputs(samples, width, samples, s),
                            seed=s,
                            weights="gaussian",
                            centred=centred,
                        )
                    )
                    for s in range(6)
                ]
            )
            for L in (20, 60)
        ]
        rate = 0.5 * math.log(squares[1] / squares[0]) / 40
        expected = gradient_rate(samples - centred, width, weights="gaussian")
        off = max(off, abs(rate / expected - 1))
        rows.append((rate, expected))
        name = "means removed" if centred else "means kept"
        evidence.append(Evidence(f"growth per layer, {name}", rate, None, f"{expected:.4f}"))
    figure = Chart(
        "Growth with depth of Gaussian weights behind batch norm",
        "",
        "log |gradient| per layer",
        (
            Series("networks", (0, 1), [rate for rate, _ in rows]),
            Series("mean field", (0, 1), [expected for _, expected in rows]),
        ),
        "Two marks of one place should coincide.",
        x_names=("means kept", "means removed"),
    )
    summary = f"rates are off from the mean field by at most {off:.1%}"
    return judged(off <= 0.06, off, "largest relative error", summary, evidence, figures=(figure,))


@claim(
    "3.shaping",
    paper=3,
    statement="Activations whose gain falls with the layer as l^-k keep gradients from exploding; without it they "
    "explode.",
    claimed="tanh and sin, orthogonal weights, depths 20 to 400: log |gradient| spans less than 2 at the exponent that "
    "the chooser gives, and more than 10 at exponent 0",
    minutes=0.6,
)
def shaping() -> Measured:
    """Choose exponents, and measure gradients with and without them."""
    evidence, series, worst, least = [], [], 0.0, math.inf
    for name, activation in (("tanh", torch.tanh), ("sin", torch.sin)):
        chosen = choose_shaping(activation, DEPTHS[-1])
        for exponent in (chosen.exponent, 0.0):
            logs = by_depth(DEPTHS, seeds=2, activation=activation, exponent=exponent).mean(1)
            span = float(logs.max() - logs.min())
            worst, least = (max(worst, span), least) if exponent else (worst, min(least, span))
            wanted = "below 2" if exponent else "above 10"
            evidence.append(Evidence(f"span of log |gradient|, {name}, k = {exponent:g}", span, None, wanted))
            series.append(Series(f"{name}, k = {exponent:g}", DEPTHS, logs, kind="joined"))
    figure = Chart(
        "Gradients of the first layer with shaped activations",
        "depth",
        "log |gradient|",
        tuple(series),
        "With the chosen exponent lines should stay level up to a slow fall, -k log(depth), of the last gain itself.",
    )
    summary = f"log |gradient| spans at most {worst:.2f} shaped, {least:.0f} or more unshaped"
    return judged(worst < 2 and least > 10, worst, "span", summary, evidence, figures=(figure,))


def trained(kind: str, *, epochs: int = 4) -> DepthTraining:
    """Train networks with batch norm on digits, mapped to 48 features: linear or "shaped", with tanh of falling gain."""
    images, classes = load_digits(return_X_y=True)
    x = torch.tensor(np.asarray(images)[:1500], dtype=torch.float32)
    x = (x - x.mean(0)) / (x.std(0) + 1e-3)
    x = x @ (torch.randn(64, 48, generator=torch_generator(0, "training")) / 8)

    def make(depth: int) -> torch.nn.Module:
        weights: Weights = "gaussian" if kind == "gaussian" else "orthogonal"
        activation = torch.tanh if kind == "shaped" else None
        return batch_norm_net(48, 10, width=48, depth=depth, weights=weights, activation=activation)

    return train_depths(make, (x, torch.tensor(np.asarray(classes)[:1500])), depths=TRAINED, epochs=epochs)


@claim(
    "3.training",
    paper=3,
    statement="Such networks train at any depth, where Gaussian weights fail.",
    claimed="digits, width 48, batches of 150, four epochs: training accuracy at 150 layers within 0.02 of that at 10, "
    "or above it, with linear layers and with tanh of gains l^-0.4; Gaussian weights below 0.5 at 150",
    minutes=0.5,
)
def training() -> Measured:
    """Train networks of three depths: orthogonal, orthogonal with shaped tanh, Gaussian."""
    found = {kind: trained(kind) for kind in ("orthogonal", "shaped", "gaussian")}
    evidence = [
        Evidence(f"accuracy of {L} layers, {kind}", value)
        for kind, run in found.items()
        for L, value in zip(TRAINED, run.means, strict=True)
    ]
    ends = {kind: run.means[-1] for kind, run in found.items()}
    figure = Chart(
        "Training accuracy and depth",
        "depth",
        "training accuracy",
        tuple(Series(kind, TRAINED, run.means, kind="joined") for kind, run in found.items()),
        "Orthogonal weights should stay level, Gaussian ones fall.",
    )
    summary = f"at {TRAINED[-1]} layers " + ", ".join(f"{end:.3f} {kind}" for kind, end in ends.items())
    holds = found["orthogonal"].verdict.ok and found["shaped"].verdict.ok and ends["gaussian"] < 0.5
    return judged(holds, ends["orthogonal"], "accuracy", summary, evidence, figures=(figure,))
