"""Claims of paper 6, more is better: errors of random features, optimal ridges, and overfitting that is obligatory."""

from __future__ import annotations

import math

import numpy as np

from similitude.claims.charts import means, theory
from similitude.claims.gaussian_designs import gaussian_errors, image_kernel, images
from similitude.claims.judged import judged
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence
from similitude.studies.kernel_regressions import kernel_regressions
from similitude.theory.ridge.power_law import optimal_fitting_ratio, power_law_error
from similitude.theory.ridge.risk import rf_risk
from similitude.theory.ridge.spectrum import Spectrum

LAW = np.arange(1, 1501) ** -1.5
NOISE = 0.5
PAIRS = ((64, 16), (64, 256), (256, 64), (256, 128), (256, 512), (256, 2048), (128, 256), (512, 256))
RIDGES = (1e-3, 1e-2, 0.1, 1.0, 10.0)
SIZES = ((64, 64), (128, 64), (128, 256), (256, 256), (256, 1024), (512, 1024))
SCANNED = tuple(10.0**p for p in np.arange(-4, 3.01, 0.25))
ALPHA, BETA = 1.5, 1.5
RELATIVE_NOISE = (0.0, 1.0, 5.0)
POOL, IMAGE_SIZES, IMAGE_RIDGES = 2000, (50, 100, 200), (0.0, 0.5, 5.0)


@claim(
    "6.errors",
    paper=6,
    statement="Test and training errors of ridge regression on random features follow from the kernel's spectrum and the "
    "target's coefficients by two coupled equations (Section 3).",
    claimed="power law of exponent 3/2, 8 pairs of samples and features, 5 ridges: mean test errors of 24 draws, at full "
    "size 200, within three standard errors or 5 % of the prediction in at least 95 % of the cases, with a median "
    "distance of at most 2 %",
    minutes=0.1,
    full_minutes=1,
)
def errors(*, full: bool = False) -> Measured:
    """Fit regressions on Gaussian features and compare with the prediction."""
    draws = 200 if full else 24
    off, hits, evidence, found = [], [], [], {}
    for n, k in PAIRS:
        test, _ = gaussian_errors(LAW, LAW, n, k, RIDGES, noise=NOISE, draws=draws, seed=6)
        found[n, k] = test
        for i, ridge in enumerate(RIDGES):
            mean, error = float(test[:, i].mean()), float(test[:, i].std(ddof=1)) / math.sqrt(len(test))
            predicted = rf_risk(Spectrum(LAW, LAW), n, k, ridge=ridge, noise=NOISE).test
            off.append(abs(mean / predicted - 1))
            hits.append(abs(mean - predicted) <= max(3 * error, 0.05 * predicted))
            evidence.append(
                Evidence(
                    f"test error, {n} samples, {k} features, ridge {ridge:g}",
                    mean,
                    (mean - 1.96 * error, mean + 1.96 * error),
                    f"{predicted:.4g}",
                )
            )
    median = float(np.median(off))
    summary = f"{sum(hits)} of {len(hits)} test errors are as predicted; the median distance is {100 * median:.1f} %"
    holds = sum(hits) >= 0.95 * len(hits) and median <= 0.02
    figures = (_against("features", found), _against("samples", found))
    return judged(holds, median, "median relative distance", summary, evidence, figures=figures)


def _against(axis: str, found: dict[tuple[int, int], np.ndarray]) -> Chart:
    """Draw errors against features or samples, at that number of the other at which most were measured."""
    moving, fixed = (1, 0) if axis == "features" else (0, 1)
    others = [pair[fixed] for pair in found]
    at = max(set(others), key=lambda other: (others.count(other), other))
    pairs = sorted(pair for pair in found if pair[fixed] == at)
    places = [pair[moving] for pair in pairs]
    series = []
    for i, ridge in enumerate(RIDGES):

        def predicted(place: float, ridge: float = ridge) -> float:
            n, k = (at, place) if axis == "features" else (place, at)
            return rf_risk(Spectrum(LAW, LAW), n, k, ridge=ridge, noise=NOISE).test

        label = f"ridge {ridge:g}"
        series += [
            means(label, places, [found[pair][:, i] for pair in pairs]),
            theory(label, min(places), max(places), predicted),
        ]
    other = "samples" if axis == "features" else "features"
    return Chart(
        f"Test error against {axis}, {at} {other}",
        axis,
        "test error",
        tuple(series),
        "Marks should lie on their lines at every ridge. At the smallest ridges the error peaks where there are as many "
        "features as samples, larger ones take the peak away.",
        source="Figure 1",
        x_scale="log2",
        y_scale="log",
        places={f"{at} {axis}": at},
        y_range=_range([found[pair][:, i].mean() for pair in pairs for i in range(len(RIDGES))]),
        ordered=True,
    )


def _range(values: list[float]) -> tuple[float, float]:
    """Return the range of what was measured, with some room: predicted peaks may leave it."""
    return float(min(values)) / 1.3, float(max(values)) * 1.6


@claim(
    "6.more_is_better",
    paper=6,
    statement="At the best ridge the test error falls with more samples and with more random features; at a fixed ridge "
    "it has a peak where there are as many of both (Theorem 1).",
    claimed="power law of exponent 3/2: along growing samples and features the measured error at the measured best "
    "ridge never rises by more than its standard error, and at ridge 1e-3 with 256 samples 256 features are worse than "
    "64",
    minutes=0.1,
)
def more_is_better() -> Measured:
    """Scan ridges by brute force at growing sizes, in the same draws for all ridges."""
    averages, standard, scans = [], [], []
    for n, k in SIZES:
        test, _ = gaussian_errors(LAW, LAW, n, k, SCANNED, noise=NOISE, draws=16, seed=61)
        scans.append(test)
        best = test[:, int(test.mean(0).argmin())]
        averages.append(float(best.mean()))
        standard.append(float(best.std(ddof=1)) / math.sqrt(len(best)))
    rises = [
        b - a - math.hypot(s, t)
        for a, b, s, t in zip(averages, averages[1:], standard, standard[1:], strict=False)
    ]
    peak = {
        k: float(gaussian_errors(LAW, LAW, 256, k, (1e-3,), noise=NOISE, draws=16, seed=62)[0].mean())
        for k in (64, 256)
    }
    evidence = [
        Evidence(
            f"best error, {n} samples, {k} features", mean, (mean - 1.96 * s, mean + 1.96 * s), "falling"
        )
        for (n, k), mean, s in zip(SIZES, averages, standard, strict=True)
    ]
    evidence += [
        Evidence(f"error at ridge 1e-3, 256 samples, {k} features", value) for k, value in peak.items()
    ]
    ratio = averages[-1] / averages[0]
    summary = (
        f"at the best ridge the error falls from {averages[0]:.3f} to {averages[-1]:.3f}; at a fixed one it rises from "
        f"{peak[64]:.2f} to {peak[256]:.2f} where features come to be as many as samples"
    )
    holds = max(rises) <= 0 and peak[256] > peak[64]
    return judged(holds, ratio, "last error over first", summary, evidence, figures=_more(scans))


def _more(scans: list[np.ndarray]) -> tuple[Chart, Chart]:
    """Draw errors against the ridge at growing sizes, and along the sizes at the best ridge and at the smallest."""
    names = tuple(f"{n}\n{k}" for n, k in SIZES)
    ridges = Chart(
        "Test error against the ridge",
        "ridge; curves are of samples and features",
        "test error",
        tuple(
            Series(f"{n}, {k}", SCANNED, scan.mean(0), kind="joined")
            for (n, k), scan in zip(SIZES, scans, strict=True)
        ),
        "The lowest point of a curve should be lower the more samples and features it has, though curves may cross at "
        "small ridges.",
        source="Theorem 1",
        x_scale="log",
        y_scale="log",
        ordered=True,
    )
    places = range(len(SIZES))
    best = [scan[:, int(scan.mean(0).argmin())] for scan in scans]
    sizes = Chart(
        "Test error at growing sizes",
        "samples, and below them features",
        "test error",
        (
            means("best ridge", places, best, kind="joined"),
            means(f"ridge {SCANNED[0]:g}", places, [scan[:, 0] for scan in scans], kind="joined"),
        ),
        "At the best ridge the error should only fall; at a small fixed one it rises where features come to be as many "
        "as samples.",
        source="Theorem 1",
        y_scale="log",
        x_names=names,
    )
    return ridges, sizes


@claim(
    "6.obligatory",
    paper=6,
    statement="On power-law tasks the best ridge fits training data far below the test error, and interpolates exactly "
    "where noise is at most (beta - alpha) / (alpha (alpha - 1)) of the error without it (Section 5).",
    claimed="alpha = beta = 3/2, 300 samples, noise 0, 1 and 5 times the error without it: training over test error at "
    "the measured best ridge within 0.05 of the root of the paper's equation",
    minutes=0.1,
)
def obligatory() -> Measured:
    """Find the best ridge by brute force, and the ratio of training and test error there."""
    n, modes = 300, 6000
    values = np.arange(1.0, modes + 1) ** -ALPHA
    target = np.arange(1.0, modes + 1) ** -BETA
    small = 1e-7
    base = float(gaussian_errors(values, target, n, math.inf, (small,), draws=10, seed=63)[0].mean())
    ridges = (small, *SCANNED)
    evidence, series, off, shown = [], [], 0.0, (0.0, (0.0, 0.0))
    for noise in RELATIVE_NOISE:
        test, train = gaussian_errors(
            values, target, n, math.inf, ridges, noise=noise * base, draws=10, seed=64
        )
        best = int(test.mean(0).argmin())
        ratios = train[:, best] / test[:, best]
        ratio = float(train[:, best].mean() / test[:, best].mean())
        predicted = optimal_fitting_ratio(alpha=ALPHA, beta=BETA, noise=noise)
        off = max(off, abs(ratio - predicted))
        shown = ratio, t_interval(ratios)
        series += _fitting(f"noise {noise:g}", noise, test, train)
        evidence.append(
            Evidence(
                f"training over test error at the best ridge, noise {noise:g} of the error",
                *shown,
                f"{predicted:.3f}",
            )
        )
    values_said = ", ".join(f"{row.value:.3f}" for row in evidence)
    summary = (
        f"training over test error at the best ridge is {values_said} at noise of 0, 1 and 5 times the error"
    )
    figure = Chart(
        "Test error against how well training data are fitted",
        "training over test error",
        "test error / error of interpolation",
        tuple(series),
        "Each curve is lowest at the best ridge. Without noise that is at or beside 0, interpolation, and with noise it "
        "moves right by little: fitting the training data far below the test error remains best. Lines are the closed "
        "form for many samples, which large ridges on the right leave too few of.",
        source="Section 5",
        y_range=(0.6, 1.6),
    )
    return judged(
        off <= 0.05, shown[0], "training over test error", summary, evidence, shown[1], figures=(figure,)
    )


def _fitting(label: str, noise: float, test: np.ndarray, train: np.ndarray) -> tuple[Series, Series]:
    """Return errors over that of interpolation against training over test error, measured and in closed form."""
    ratios = train.mean(0) / test.mean(0)
    law = {"alpha": ALPHA, "beta": BETA, "noise": noise}
    return (
        Series(label, ratios, test.mean(0) / test[:, 0].mean()),
        theory(
            label,
            0.0,
            0.97,
            lambda r: power_law_error(1.0, fitting_ratio=r, **law) / power_law_error(1.0, **law),
            log=False,
        ),
    )


@claim(
    "6.images",
    paper=6,
    statement="The equations predict kernel regression on real images from the spectrum of a pool (Section 5).",
    claimed="tangent kernel of a ReLU network on 2,000 images, samples up to a tenth of them, ridges 0, 0.5 and 5, "
    "labels with and without noise: all 18 mean test errors within 10 % of the prediction",
    minutes=0.1,
)
def real_images() -> Measured:
    """Fit regressions on samples of the pool, test on the rest."""
    name, _, rows = images(POOL)
    gram = image_kernel(POOL)
    spectrum = Spectrum.from_kernel(gram, rows)
    evidence, off, figures = [], [], []
    for noise in (0.0, 0.5):
        tests = []
        for n in IMAGE_SIZES:
            test, _ = kernel_regressions(gram, rows, n, IMAGE_RIDGES, noise=noise, draws=16, seed=65)
            tests.append(test)
            for ridge, found in zip(IMAGE_RIDGES, test.T, strict=True):
                predicted = rf_risk(spectrum, n, ridge=ridge, noise=noise).test
                off.append(abs(predicted / float(found.mean()) - 1))
                evidence.append(
                    Evidence(
                        f"test error, {n} samples, ridge {ridge:g}, noise {noise:g}",
                        float(found.mean()),
                        t_interval(found),
                        f"{predicted:.4g}",
                    )
                )
        figures.append(_image_chart(name, spectrum, tests, noise))
    worst = max(off)
    middle = float(np.median(off))
    summary = f"on {name} predicted errors are off by {100 * middle:.1f} % in the median, {100 * worst:.1f} % at worst"
    return judged(worst <= 0.1, worst, "largest relative distance", summary, evidence, figures=figures)


def _image_chart(name: str, spectrum: Spectrum, tests: list[np.ndarray], noise: float) -> Chart:
    series = []
    for i, ridge in enumerate(IMAGE_RIDGES):

        def predicted(n: float, ridge: float = ridge) -> float:
            return rf_risk(spectrum, n, ridge=ridge, noise=noise).test

        label = f"ridge {ridge:g}"
        series += [
            means(label, IMAGE_SIZES, [test[:, i] for test in tests]),
            theory(label, min(IMAGE_SIZES) / 1.3, max(IMAGE_SIZES) * 1.3, predicted),
        ]
    return Chart(
        f"Test error on {name}" + (f", noise {noise:g}" if noise else ""),
        "training images",
        "test error",
        tuple(series),
        "Marks are regressions on images, lines come from the spectrum of the pool and its labels. They should agree "
        "within 10 %."
        + (" With noise a ridge pays." if noise else " Without noise no ridge is about as good as the best."),
        source="Section 5",
        x_scale="log2",
        ordered=True,
    )
