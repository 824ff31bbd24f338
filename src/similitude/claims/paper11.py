"""Claims of paper 11, stepwise self-supervised learning: linear models, kernels, wide networks, other losses."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import numpy as np
import torch

from similitude.claims.encoder_nets import Encoder, digit_pairs
from similitude.claims.judged import judged
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.seeding import numpy_generator
from similitude.core.verdict import Evidence
from similitude.theory.joint_embedding.history import SPILL, EmbeddingHistory
from similitude.theory.joint_embedding.losses import EmbeddingLoss, simclr, spectral_contrastive, vicreg
from similitude.theory.joint_embedding.overlap import kernel_pca, subspace_overlap
from similitude.theory.joint_embedding.steps import EmbeddingSteps, embedding_steps
from similitude.theory.joint_embedding.tracker import EmbeddingTracker
from similitude.theory.joint_embedding.training import train_encoder

Array = np.ndarray
GAMMAS = (1.0, 0.6, 0.4, 0.25, 0.16, 0.08, 0.05, -0.1)
DIM = 5
ALPHA = 1e-4


def gaussian_pairs(samples: int = 400) -> tuple[Array, Array]:
    """Return two views, shape (samples, 8) each, whose cross-correlation has the eigenvalues of GAMMAS exactly."""
    drawn = numpy_generator(11, "pairs")
    gammas = np.array(GAMMAS)
    scores = np.linalg.qr(drawn.standard_normal((samples, len(gammas))))[0] * math.sqrt(samples)
    V = np.linalg.qr(drawn.standard_normal((len(gammas), len(gammas))))[0]
    roots = np.sqrt(np.abs(gammas))
    return scores * roots @ V.T, scores * (np.sign(gammas) * roots) @ V.T


def linear_run(
    alpha: float, *, steps: int = 30_000, lr: float = 1.5e-3
) -> tuple[EmbeddingSteps, EmbeddingHistory, Array]:
    """Train a linear encoder from small random weights; return the prediction, the run and the weights at its end."""
    A, B = gaussian_pairs()
    W = start = alpha * numpy_generator(11, "start").standard_normal((DIM, A.shape[1]))
    times, eigenvalues, losses = [], [], []
    for step in range(steps + 1):
        a, b = A @ W.T, B @ W.T
        C = (a.T @ b + b.T @ a) / (2 * len(A))
        error = C - np.eye(DIM)
        if step % 10 == 0:
            times.append(step * lr)
            eigenvalues.append(np.linalg.eigvalsh(C))
            losses.append(float((error**2).sum()))
        W = W - lr * 2 * error @ (b.T @ A + a.T @ B) / len(A)
    return embedding_steps((A, B), DIM, start=start), EmbeddingHistory.of(times, eigenvalues, losses), W


def measured_times(run: EmbeddingHistory, count: int) -> Array:
    """Return when each of the dimensions switched on, nan for those that did not."""
    found = np.full(count, np.nan)
    for step in run.steps():
        found[step.dimension - 1] = step.time
    return found


def spectrum_chart(title: str, run: EmbeddingHistory, predicted: EmbeddingSteps, source: str) -> Chart:
    """Draw eigenvalues of a run as marks and those of the prediction as lines."""
    shown = slice(None, None, max(len(run.times) // 60, 1))
    t = run.times[shown]
    theory = -np.sort(-predicted.eigenvalues(run.times), axis=1)
    series = []
    for j in range(run.eigenvalues.shape[1]):
        series += [
            Series(f"dimension {j + 1}", t, run.eigenvalues[shown, j]),
            Series(f"dimension {j + 1}", run.times, theory[:, j], kind="line"),
        ]
    return Chart(
        title,
        "time (learning rate x steps)",
        "eigenvalue of C",
        tuple(series),
        "Marks (training) should lie on the lines (theory): one dimension after the other rises from 0 to 1.",
        source=source,
        ordered=True,
    )


@claim(
    "11.linear",
    paper=11,
    statement="A linear encoder that starts small learns the eigenmodes of the views' cross-correlation one at a time, "
    "at times -log(gamma s(0)^2) / (8 gamma) (Proposition 3.1).",
    claimed=f"five dimensions, random weights of {ALPHA:g}: half-rise times by gradient descent within 1 %",
    minutes=0.1,
)
def linear_times() -> Measured:
    """Train a linear encoder and take the times at which its eigenvalues reach one half."""
    predicted, run, _ = linear_run(ALPHA)
    ratios = measured_times(run, DIM) / predicted.times
    off = float(np.abs(ratios - 1).max())
    evidence = [
        Evidence(f"time of dimension {j + 1} over the predicted", r, None, "1") for j, r in enumerate(ratios)
    ]
    figure = spectrum_chart("Eigenvalues of the embedding of a linear model", run, predicted, "Figure 1")
    summary = f"the times of five dimensions are at most {off:.2%} off"
    return judged(off <= 0.01, off, "largest relative error", summary, evidence, figures=(figure,))


@claim(
    "11.staircase",
    paper=11,
    statement="The loss goes down a staircase, by one with each dimension.",
    claimed="the same at starts of 1e-5: half way between two predicted times the loss is d - j within 0.05",
    minutes=0.1,
)
def staircase() -> Measured:
    """Train a linear encoder and read its loss between the steps."""
    predicted, run, _ = linear_run(1e-5)
    middles = (predicted.times[1:] + predicted.times[:-1]) / 2
    measured = np.interp(middles, run.times, run.losses)
    off = float(np.abs(measured - predicted.levels[1:-1]).max())
    evidence = [
        Evidence(f"loss after {j + 1} steps", x, None, f"{level:g}")
        for j, (x, level) in enumerate(zip(measured, predicted.levels[1:-1], strict=True))
    ]
    shown = slice(None, None, max(len(run.times) // 80, 1))
    figure = Chart(
        "Loss of a linear model",
        "time (learning rate x steps)",
        "|C - 1|^2",
        (
            Series("training", run.times[shown], run.losses[shown]),
            Series("theory", run.times, predicted.loss(run.times), kind="line"),
        ),
        "Marks should lie on the line, which goes down stairs of height 1.",
        source="Figure 1",
        places={f"step {j + 1}": t for j, t in enumerate(predicted.times)},
    )
    summary = f"the plateaus are at most {off:.3f} from {', '.join(f'{x:g}' for x in predicted.levels[1:-1])}"
    return judged(off <= 0.05, off, "largest distance", summary, evidence, figures=(figure,))


@claim(
    "11.norm",
    paper=11,
    statement="Of all weights that bring the loss to zero, training from small starts finds those of least norm.",
    claimed="squared norm after training within 1 % of the sum of 1 / gamma; each of 1000 random solutions is larger",
    minutes=0.1,
)
def least_norm() -> Measured:
    """Train a linear encoder, and draw other weights of zero loss."""
    predicted, run, W = linear_run(ALPHA)
    learned = float((W**2).sum())
    modes = predicted.modes
    positive = modes.gammas > 0
    drawn = numpy_generator(11, "solutions")
    others = []
    for _ in range(1000):
        U = np.linalg.qr(drawn.standard_normal((int(positive.sum()), DIM)))[0].T
        others.append(float(((U / np.sqrt(modes.gammas[positive])) ** 2).sum()))
    ratio = learned / predicted.norm
    evidence = (
        Evidence("squared norm after training", learned, None, f"{predicted.norm:.4g}, the sum of 1 / gamma"),
        Evidence("least of 1000 random solutions", min(others), None, "more"),
        Evidence("loss after training", float(run.losses[-1]), None, "0"),
    )
    holds = abs(ratio - 1) <= 0.01 and min(others) > learned and run.losses[-1] < 1e-3
    figure = Chart(
        "Norms of weights of zero loss",
        "random solution, smallest first",
        "squared norm",
        (Series("random solutions", np.arange(1, 1001), np.sort(others)),),
        "All random solutions should lie above the line of the trained weights, which is that of theory.",
        source="Section 3",
        levels={"trained": learned, "sum of 1 / gamma": predicted.norm},
    )
    summary = (
        f"squared norm {learned:.2f}, {ratio:.4f} of the least; the best of 1000 others has {min(others):.1f}"
    )
    return judged(holds, ratio, "over the sum of 1 / gamma", summary, evidence, figures=(figure,))


@claim(
    "11.kernel",
    paper=11,
    statement="Kernels learn the eigenmodes of the contrastive kernel in the same way (Proposition 4.1).",
    claimed="centred RBF kernel on digits, three dimensions: times of gradient descent in function space within 2 %, "
    "overlap with the predicted modes above 0.98, C = 1 of the closed-form embedding within 1e-9",
    minutes=0.1,
)
def kernel_times() -> Measured:
    """Train the embedding of all views by kernel gradient descent."""
    dim, (A, B) = 3, digit_pairs(300)
    S = np.concatenate([A, B])
    squares = (S**2).sum(1)
    K = np.exp(-(squares[:, None] + squares - 2 * S @ S.T) / (2 * 64))
    K = K - K.mean(0) - K.mean(1, keepdims=True) + K.mean()
    drawn = numpy_generator(11, "function")
    F = 1e-4 * drawn.standard_normal((dim, len(S))) @ np.linalg.cholesky(K + 1e-8 * np.eye(len(S))).T
    predicted = embedding_steps(K, dim, start=F)
    lr, n = 0.01 / (8 * predicted.gammas[0]), len(A)
    times, eigenvalues = [], []
    for step in range(round(1.4 * predicted.times[-1] / lr)):
        swapped = np.roll(F, n, axis=1)
        C = F @ swapped.T / (2 * n)
        if step % 10 == 0:
            times.append(step * lr)
            eigenvalues.append(np.linalg.eigvalsh((C + C.T) / 2))
        F = F - 4 * lr * (C - np.eye(dim)) @ swapped @ K / (2 * n)
    run = EmbeddingHistory.of(times, eigenvalues)
    ratios = measured_times(run, dim) / predicted.times
    off, overlap = float(np.abs(ratios - 1).max()), predicted.overlap(F.T)
    f = predicted.embed(K)
    apart = float(np.abs((f[:n].T @ f[n:] + f[n:].T @ f[:n]) / (2 * n) - np.eye(dim)).max())
    evidence = [
        Evidence(f"time of dimension {j + 1} over the predicted", r, None, "1") for j, r in enumerate(ratios)
    ]
    evidence += [
        Evidence("overlap of the trained embedding with the predicted", overlap, None, "1"),
        Evidence("largest entry of C - 1 of the closed form", apart, None, "0"),
    ]
    holds = off <= 0.02 and overlap > 0.98 and apart <= 1e-9
    figure = spectrum_chart("Eigenvalues of the embedding of a kernel model", run, predicted, "Section 4")
    summary = f"times at most {off:.2%} off; overlap {overlap:.3f}"
    return judged(holds, off, "largest relative error", summary, evidence, figures=(figure,))


def wide_run(width: int, *, samples: int = 300) -> tuple[EmbeddingSteps, EmbeddingHistory, Array, Array]:
    """Train a wide encoder on digits; return the prediction of its last hidden layer's kernel, the run, the embedding."""
    A, B = (torch.tensor(view, dtype=torch.float32) for view in digit_pairs(samples))
    encoder = Encoder(A.shape[1], width, DIM)
    S = torch.cat([A, B])
    with torch.no_grad():
        hidden, start = encoder.hidden(S).double(), encoder(S).double()
    K = (hidden @ hidden.T).numpy()
    predicted = embedding_steps(K, DIM, start=start.T)
    lr = 0.02 / float(predicted.gammas[0])
    steps = math.ceil(1.25 * float(predicted.times[-1]) / lr)
    run = train_encoder(encoder, (A, B), lr=lr, steps=steps, every=5)
    with torch.no_grad():
        return predicted, run, encoder(S).double().numpy(), K


@claim(
    "11.wide",
    paper=11,
    statement="Wide networks that start small follow the kernel: same modes, same times (Section 5).",
    claimed="tanh MLP of two hidden layers on augmented digits, width 512 (1024 in full): times within 10 % after "
    "the first, overlap with the predicted modes above 0.9 and above that with plain kernel PCA",
    minutes=0.2,
    full_minutes=3,
)
def wide(*, full: bool = False) -> Measured:
    """Train all layers of a wide network by gradient descent."""
    predicted, run, embedding, K = wide_run(1024 if full else 512)
    ratios = measured_times(run, DIM) / predicted.times
    off = float(np.abs(ratios[1:] - 1).max())
    overlap = predicted.overlap(embedding)
    plain = subspace_overlap(embedding, kernel_pca(K, DIM))
    evidence = [
        Evidence(f"time of dimension {j + 1} over the predicted", r, None, "1") for j, r in enumerate(ratios)
    ]
    evidence += [
        Evidence("overlap with the predicted modes", overlap, None, "1"),
        Evidence("overlap with kernel PCA, which knows no pairs", plain, None, "less"),
    ]
    figure = spectrum_chart("Eigenvalues of the embedding of a wide network", run, predicted, "Figure 3")
    summary = (
        f"times after the first at most {off:.1%} off (the first {ratios[0] - 1:+.1%}); overlap {overlap:.3f}"
    )
    holds = off <= 0.1 and overlap > 0.9 and overlap > plain
    return judged(holds, off, "largest relative error", summary, evidence, figures=(figure,))


def other_loss(loss: EmbeddingLoss, *, lr: float, steps: int) -> EmbeddingHistory:
    """Train a small encoder on digits from a small start with another loss than that of the theory."""
    A, B = (torch.tensor(view, dtype=torch.float32) for view in digit_pairs(150))
    encoder = Encoder(A.shape[1], 192, DIM)
    return train_encoder(encoder, (A, B), lr=lr, steps=steps, loss=loss, every=5)


def sphere_run(start: Literal["near", "spread"], *, seed: int) -> EmbeddingHistory:
    """Train a small encoder with SimCLR, embeddings of length 1 that start near one point or spread over the sphere."""
    A, B = (torch.tensor(view, dtype=torch.float32) for view in digit_pairs(150, seed=seed))
    readout = 1e-5 if start == "near" else 1.0
    encoder = Encoder(A.shape[1], 192, DIM, readout=readout, sphere=start, seed=seed)
    # centred: near one point the first mode of C is that point
    tracker = EmbeddingTracker((A, B), every=5, center=True)
    loss = partial(simclr, temperature=0.2)
    return train_encoder(encoder, (A, B), lr=1.0, steps=1300, loss=loss, tracker=tracker)


def separate(run: EmbeddingHistory) -> int:
    """Return how many steps stand apart."""
    steps = run.steps()
    return bool(steps) + sum(s.spill is not None and s.spill <= SPILL for s in steps)


def judged_losses(runs: dict[str, EmbeddingHistory], least: int) -> Measured:
    """Return how many of the dimensions switch on in separate steps, the fewest of several losses."""
    apart = {name: separate(run) for name, run in runs.items()}
    evidence = [Evidence(f"separate steps, {name}", n, None, f"{least} or more") for name, n in apart.items()]
    evidence += [
        Evidence(
            f"time of dimension {s.dimension}, {name}",
            s.time,
            None,
            "" if s.spill is None else f"the next low; it is at {s.spill:.0%}",
        )
        for name, run in runs.items()
        for s in run.steps()
    ]
    figures = tuple(
        Chart(
            f"Eigenvalues of the embedding, {name}",
            "time (learning rate x steps)",
            "eigenvalue of C",
            tuple(
                Series(f"dimension {j + 1}", run.times[::4], run.eigenvalues[::4, j], kind="line")
                for j in range(DIM)
            ),
            "The lines should leave zero one after the other.",
            source="Figures 1 and 4",
            ordered=True,
        )
        for name, run in runs.items()
    )
    fewest = min(apart.values())
    summary = f"of {DIM} dimensions in separate steps: " + ", ".join(
        f"{n} with {name}" for name, n in apart.items()
    )
    return judged(fewest >= least, fewest, "separate steps", summary, evidence, figures=figures)


@claim(
    "11.losses",
    paper=11,
    statement="Other joint-embedding losses go in steps too.",
    claimed="tanh MLP on digits, VICReg and the spectral contrastive loss: at least four of five dimensions in separate "
    "steps (the next one below a quarter of its end)",
    minutes=0.7,
)
def losses() -> Measured:
    """Train encoders with two other losses."""
    light = partial(vicreg, invariance=1.0, variance=2.0, covariance=0.2)
    return judged_losses(
        {
            "VICReg": other_loss(light, lr=1.0, steps=1250),
            "spectral contrastive": other_loss(spectral_contrastive, lr=0.5, steps=1200),
        },
        DIM - 1,
    )


@claim(
    "11.simclr",
    paper=11,
    statement="SimCLR goes in steps too.",
    claimed="the same network, embeddings of length 1 that start within 1e-5 of one point, temperature 0.2, spectrum "
    "centred: at least four of five dimensions in separate steps in the median of three draws. Beside it, not judged: "
    "embeddings spread over the sphere, which have no small scale",
    minutes=0.8,
)
def contrastive() -> Measured:
    """Train encoders with SimCLR from three starts near one point, and from one spread over the sphere."""
    near = {f"SimCLR, draw {seed + 1}": sphere_run("near", seed=seed) for seed in range(3)}
    spread = sphere_run("spread", seed=0)
    found = judged_losses(near, DIM - 1)
    apart = [separate(run) for run in near.values()]
    middle = float(np.median(apart))
    evidence = (
        Evidence("separate steps from a start spread over the sphere", separate(spread)),
        *found.verdict.evidence,
    )
    summary = (
        f"of {DIM} dimensions {', '.join(map(str, apart))} in separate steps from starts near one point, "
        f"{separate(spread)} from one spread over the sphere"
    )
    return judged(middle >= DIM - 1, middle, "separate steps", summary, evidence, figures=found.figures)


@claim(
    "11.start",
    paper=11,
    statement="Smaller starts postpone every step by the logarithm of the start, and leave the steps apart.",
    claimed="from 1e-4 to 1e-6 each time grows by log(1e4) / (8 gamma) within 2 %",
    minutes=0.1,
)
def smaller_starts() -> Measured:
    """Train linear encoders from two starts."""
    runs = {alpha: linear_run(alpha) for alpha in (1e-4, 1e-6)}
    times = {alpha: measured_times(run, DIM) for alpha, (_, run, _) in runs.items()}
    grown = times[1e-6] - times[1e-4]
    law = math.log(1e4) / (8 * np.array(GAMMAS[:DIM]))
    off = float(np.abs(grown / law - 1).max())
    evidence = [
        Evidence(f"delay of dimension {j + 1}", g, None, f"{x:.3g}")
        for j, (g, x) in enumerate(zip(grown, law, strict=True))
    ]
    figure = Chart(
        "Times of the steps and the size of the start",
        "dimension",
        "time (learning rate x steps)",
        tuple(
            series
            for alpha, (predicted, _, _) in runs.items()
            for series in (
                Series(f"start {alpha:g}", np.arange(1, DIM + 1), times[alpha]),
                Series(f"start {alpha:g}", np.arange(1, DIM + 1), predicted.times, kind="line"),
            )
        ),
        "Marks (training) should lie on the lines (theory); later dimensions are delayed more.",
        source="Section 3",
    )
    summary = f"the delays are at most {off:.2%} off"
    return judged(off <= 0.02, off, "largest relative error", summary, evidence, figures=(figure,))
