"""Claims of paper 14, Adaptive Optimization in the Infinite-Width Limit: abcd-parametrizations and their regimes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction

from similitude.checking.slopes import Slope
from similitude.claims.abcd_nets import (
    OPTIMIZERS,
    Run,
    Task,
    Training,
    growth,
    some_digits,
    three_points,
    train,
)
from similitude.claims.charts import equality
from similitude.claims.judged import WIDTH_EXPONENT, judged, judged_slopes
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.verdict import Evidence
from similitude.scaling.abcd import Parametrization, abcd, layer
from similitude.scaling.eps_limit import where_eps_wins
from similitude.scaling.regime import classify

EPS = 0.05
SHALLOW, DEEP, WIDE = (512, 2048, 8192, 32768), (128, 256, 512, 1024), (256, 512, 1024, 2048)
FULL_DEEP, FULL_SEEDS = (256, 1024, 4096), 6
HIDDEN_LAYERS = 3
_HALF = Fraction(1, 2)
_LARGE_EPS = 100.0  # far above every gradient of these networks
# Rates at which a run changes outputs by a good part of the targets and stays far from diverging.
_RATE = {"sgd": 0.03, "sign": 0.02, "adam": 0.02}

_Row = tuple[str, Slope, float]


def between(r: Fraction, family: str, *, hidden_layers: int) -> Parametrization:
    """Return the stable parametrization whose features change by n^-r, between muP at 0 and NTP at 1/2.

    Args:
        r: The feature-learning exponent.
        family: "sgd" or "entrywise".
        hidden_layers: Number of hidden layers.

    Example:
        >>> from similitude.scaling.regime import classify
        >>> classify(between(Fraction(1, 4), "sgd", hidden_layers=3)).r
        Fraction(1, 4)
    """
    backward = 1 - r
    if family == "sgd":
        first = layer("input", family, c=2 * r - 1)
        middle = layer("hidden", family, b=_HALF, c=2 * r)
    else:
        first = layer("input", family, c=r, d=backward)
        middle = layer("hidden", family, b=_HALF, c=1 + r, d=backward)
    last = layer("output", family, b=backward, c=1)
    return Parametrization(f"r = {r}", (first, *([middle] if hidden_layers > 1 else []), last))


@claim(
    "14.dichotomy",
    paper=14,
    statement="Between the neural tangent and the maximal update parametrization, outputs change alike at every width, "
    "and features if and only if r = 0 (Section 2.3).",
    claimed="shallow net under SignSGD, r = 0, 1/8, 1/4, 3/8, 1/2: exponents of outputs within 0.15 of 0, of features "
    "within 0.1 of -r, of the feature kernel within 0.15 of -2r",
    minutes=0.2,
)
def dichotomy() -> Measured:
    """Fit the growth of all three over ten steps of a shallow net."""
    rows: list[_Row] = []
    for eighths in range(5):
        r = Fraction(eighths, 8)
        parametrization = between(r, "entrywise", hidden_layers=1)
        found = _growth(parametrization, SHALLOW, range(5), three_points(), Training("sign", 0.1, 10, EPS), 1)
        expected = {"outputs": 0.0, "features of layer 1": -float(r), "kernel": -2 * float(r)}
        rows += [(f"{name}, r = {r}", found[name], value) for name, value in expected.items()]
    return _near(rows, lambda name: 0.15 if name.startswith("kernel") else 0.1)


@claim(
    "14.feature_exponent",
    paper=14,
    statement="Features of a deep net change by n^-r, with r = c + a - 1 for Adam (Section 2.3) and the r of Tensor "
    "Programs IV for SGD.",
    claimed="three hidden layers, r = 0, 1/4, 1/2, widths 128 to 1024, at full size 256 to 4096: exponents of every "
    "layer's features within 0.1 of -r",
    minutes=1.0,
    full_minutes=3,
)
def feature_exponent(*, full: bool = False) -> Measured:
    """Fit the growth of feature changes over five steps of SGD and Adam on digits."""
    widths, seeds = (FULL_DEEP, range(FULL_SEEDS)) if full else (DEEP, range(8))
    rows: list[_Row] = []
    for optimizer, quarters in itertools.product(("sgd", "adam"), range(3)):
        r, training = Fraction(quarters, 4), Training(optimizer, _RATE[optimizer], 5, EPS)
        parametrization = between(r, training.family, hidden_layers=HIDDEN_LAYERS)
        found = _growth(parametrization, widths, seeds, some_digits(), training, HIDDEN_LAYERS)
        rows += [
            (f"{name}, {optimizer}, r = {r}", slope, -float(r))
            for name, slope in found.items()
            if name.startswith("features")
        ]
    return _near(rows, lambda name: 0.1)


@claim(
    "14.kernel_change",
    paper=14,
    statement="The feature kernel stays as it was in the neural tangent limit of adaptive optimizers too, and moves "
    "by an amount that does not depend on the width in the maximal update limit (Sections 2.4 and 2.5).",
    claimed="shallow net, 15 steps of SGD, SignSGD and Adam: exponents of the kernel's change within 0.2 of -1 under "
    "ntp, within 0.05 of 0 under mup",
    minutes=0.2,
)
def kernel_change() -> Measured:
    """Fit the growth of the kernel's change under both parametrizations."""
    rows: list[_Row] = []
    for name, optimizer in itertools.product(("mup", "ntp"), OPTIMIZERS):
        training = Training(optimizer, 0.05, 15, EPS)
        parametrization = abcd(name, training.family, hidden_layers=1)
        # Rates of both tables are in units of their own gradients, which "mup" has times the width under SGD.
        found = _growth(parametrization, SHALLOW, range(5), three_points(), training, 1)
        rows.append((f"kernel, {name}, {optimizer}", found["kernel"], 0.0 if name == "mup" else -1.0))
    return _near(rows, lambda name: 0.05 if "mup" in name else 0.2)


@claim(
    "14.symmetry",
    paper=14,
    statement="(a, b, c, d) -> (a + t, b - t, c - t, d + t) in any layer leaves the trained function as it is at every "
    "width (Section 2.1), eps of Adam included.",
    claimed="largest difference of outputs over 20 steps at most 1e-12, for SGD, SignSGD and Adam; at least 1e-4 for "
    "Adam where eps is not shifted",
    minutes=0.1,
)
def symmetry() -> Measured:
    """Train the same net in shifted forms, in double precision."""
    task, width, evidence, worst = some_digits(), 64, [], 0.0
    shifts = {"input": Fraction(1, 3), "hidden": Fraction(-1, 2), "output": Fraction(3, 4)}
    for optimizer, name in itertools.product(OPTIMIZERS, ("mup", "ntp")):
        # Slow enough that training is smooth: near the edge of stability rounding grows from step to step.
        training = Training(optimizer, 0.1 * _RATE[optimizer], 20, EPS)
        plain = shifted = abcd(name, training.family)
        for role, theta in shifts.items():
            shifted = shifted.shift(theta, roles=[role])
        difference = _difference(plain, shifted, width, task, training)
        worst = max(worst, difference)
        evidence.append(Evidence(f"{optimizer}, {name}, shifted", difference, None, "at most 1e-12"))
    adam = Training("adam", 0.1 * _RATE["adam"], 20, EPS)
    plain = abcd("mup", "entrywise")
    half = Parametrization(
        "eps left behind",
        tuple(
            layer(x.role, x.family, a=x.a + _HALF, b=(x.b or 0) - _HALF, c=x.c - _HALF, d=x.d)
            for x in plain.layers
        ),
    )
    control = _difference(plain, half, width, task, adam)
    evidence.append(Evidence("adam, mup, shifted without eps", control, None, "at least 1e-4"))
    holds = worst <= 1e-12 and control >= 1e-4
    summary = f"outputs differ by at most {worst:.1e}; by {control:.1e} where eps is not shifted"
    figure = Chart(
        "Outputs of one net in shifted forms",
        "",
        "largest difference of outputs",
        (Series("shifted", range(len(evidence)), [row.value or 1e-17 for row in evidence]),),
        "Shifted forms should differ by rounding alone, the control whose eps was left behind by much more.",
        y_scale="log",
        x_names=tuple(row.name.replace(", shifted", "") for row in evidence),
        levels={"at most": 1e-12},
    )
    return judged(holds, worst, "difference of outputs", summary, evidence, figures=(figure,))


@claim(
    "14.wrong_exponent",
    paper=14,
    statement="Hidden rates of the neural tangent parametrization fall as n^-1; n^-1/2 is unstable (Sections 2.1, 2.3).",
    claimed="exponents of the outputs' change in one step of SignSGD: within 0.1 of 0 with c = 1; with c = 1/2 its "
    "interval above 0.2 (1/2 in the limit, on top of what other layers do at every width alike)",
    minutes=0.4,
)
def wrong_exponent() -> Measured:
    """Fit the growth of the change of outputs under the right and under the wrong exponent."""
    right = abcd("ntp", "entrywise")
    wrong = right.slower(-_HALF, roles=["hidden"])
    found = {}
    for name, parametrization in (("c = 1", right), ("c = 1/2", wrong)):
        training = Training("sign", 1e-3, 1, EPS)
        found[name] = _growth(parametrization, WIDE, range(16), some_digits(), training, HIDDEN_LAYERS)[
            "outputs"
        ]
    good, bad = found["c = 1"], found["c = 1/2"]
    holds = abs(good.value) <= 0.1 and bad.low >= 0.2
    summary = f"outputs change by n^{good.value:+.2f} with c = 1 and by n^{bad.value:+.2f} with c = 1/2"
    return judged_slopes(holds, summary, bad, [(f"outputs, {name}", slope) for name, slope in found.items()])


@claim(
    "14.standard_adam",
    paper=14,
    statement="The standard parametrization learns features under Adam at rates that fall as 1/n, unlike under SGD at "
    "the same rates (Section 2.3).",
    claimed="exponents of hidden features at rates of 1/n: within 0.1 of 0 for Adam, at most -0.4 for SGD",
    minutes=0.4,
)
def standard_adam() -> Measured:
    """Fit the growth of hidden feature changes in one step, and that of outputs, which the theory says is n^1/2."""
    rows: list[tuple[str, Slope]] = []
    for optimizer in ("adam", "sgd"):
        training = Training(optimizer, _RATE[optimizer], 1, 1e-9)
        parametrization = abcd("sp", training.family).slower(1)
        found = _growth(parametrization, DEEP, range(16), some_digits(), training, HIDDEN_LAYERS)
        rows += [(f"{name}, {optimizer}", slope) for name, slope in found.items() if name != "kernel"]
    inner = {name: slope for name, slope in rows if "layer 2" in name or "layer 3" in name}
    adam = [slope for name, slope in inner.items() if name.endswith("adam")]
    sgd = [slope for name, slope in inner.items() if name.endswith("sgd")]
    worst = max(adam, key=lambda slope: abs(slope.value))
    fastest = max(sgd, key=lambda slope: slope.value)
    outputs = dict(rows)["outputs, adam"]
    holds = abs(worst.value) <= 0.1 and fastest.value <= -0.4
    summary = (
        f"hidden features change by n^{worst.value:+.2f} under Adam and by n^{fastest.value:+.2f} under SGD; outputs by "
        f"n^{outputs.value:+.2f} under Adam, so that this rate is the largest for features alone"
    )
    return judged_slopes(holds, summary, worst, rows)


@claim(
    "14.eps",
    paper=14,
    statement="Faithfulness needs gradients and eps of the same order: eps goes as n^-d (Section 2.2). With an eps that "
    "stays, wide networks under muP and Adam stop learning features.",
    claimed="exponents of every layer's features: within 0.1 of 0 with eps n^-d, at most -0.4 with the eps that fits "
    "width 128",
    minutes=0.3,
)
def faithful_eps() -> Measured:
    """Fit the growth of feature changes with the eps that follows gradients, and with one that stays."""
    right = between(Fraction(0), "entrywise", hidden_layers=HIDDEN_LAYERS)
    stays = Parametrization("eps stays", tuple(layer(x.role, x.family, b=x.b, c=x.c) for x in right.layers))
    found: dict[str, dict[str, Slope]] = {}
    for name, parametrization, eps in (("n^-d", right, 1.0), ("constant", stays, 1.0 / DEEP[0])):
        training = Training("adam", _RATE["adam"], 5, eps)
        slopes = _growth(parametrization, DEEP, range(8), some_digits(), training, HIDDEN_LAYERS)
        found[name] = {key: slope for key, slope in slopes.items() if key.startswith("features")}
    good = max(found["n^-d"].values(), key=lambda slope: abs(slope.value))
    bad = max(found["constant"].values(), key=lambda slope: slope.value)
    holds = abs(good.value) <= 0.1 and bad.value <= -0.4
    summary = f"features change by n^{good.value:+.2f} with eps n^-d, by n^{bad.value:+.2f} or less with a constant eps"
    rows = [(f"{key}, eps {name}", slope) for name, slopes in found.items() for key, slope in slopes.items()]
    return judged_slopes(holds, summary, bad, rows)


@claim(
    "14.eps_limit",
    paper=14,
    statement="Where eps is larger than all gradients an adaptive optimizer trains as SGD does: muP with such an eps is "
    "a kernel (Sections 2.2 and 2.3).",
    claimed="three hidden layers, Adam with an eps of 100 at every width: exponents of every layer's features within 0.1 "
    "of -1, which is r of the same exponents under SGD; of outputs within 0.1 of 0",
    minutes=0.2,
)
def eps_limit() -> Measured:
    """Fit the growth of feature changes where eps has won."""
    right = between(Fraction(0), "entrywise", hidden_layers=HIDDEN_LAYERS)
    stays = Parametrization("eps stays", tuple(layer(x.role, x.family, b=x.b, c=x.c) for x in right.layers))
    expected = classify(where_eps_wins(stays))
    training = Training("adam", _RATE["sgd"] * _LARGE_EPS, 5, _LARGE_EPS)
    slopes = _growth(stays, DEEP, range(8), some_digits(), training, HIDDEN_LAYERS)
    rows: list[_Row] = [
        (f"{name}, eps has won", slope, -float(expected.r))
        for name, slope in slopes.items()
        if name.startswith("features")
    ]
    rows.append(("outputs, eps has won", slopes["outputs"], 0.0))
    return _near(rows, lambda name: 0.15 if name.startswith("outputs") else 0.1)


def _growth(
    parametrization: Parametrization,
    widths: Sequence[int],
    seeds: Sequence[int],
    task: Task,
    training: Training,
    hidden_layers: int,
) -> dict[str, Slope]:
    def run(width: int, seed: int) -> Run:
        return train(parametrization, width, task, training, hidden_layers=hidden_layers, seed=seed)

    def quantities(run: Run) -> dict[str, float]:
        features = {f"features of layer {i}": change for i, change in enumerate(run.features, 1)}
        return {"outputs": run.moved, "kernel": run.kernel, **features}

    return growth(widths, seeds, run, quantities)


def _difference(
    one: Parametrization, other: Parametrization, width: int, task: Task, training: Training
) -> float:
    runs = [train(p, width, task, training, hidden_layers=2, seed=0).outputs for p in (one, other)]
    return float((runs[0] - runs[1]).abs().max())


def _near(rows: Sequence[_Row], tolerance: Callable[[str], float]) -> Measured:
    """Judge that every exponent is as near to what is claimed as its tolerance says."""
    name, worst, expected = max(rows, key=lambda row: abs(row[1].value - row[2]) / tolerance(row[0]))
    holds = abs(worst.value - expected) <= tolerance(name)
    summary = f"of {len(rows)} exponents the farthest from its value is {worst.value:+.3f} for {expected:+g} ({name})"
    evidence = tuple(
        Evidence(name, slope.value, (slope.low, slope.high), f"{expected:g} +- {tolerance(name):g}")
        for name, slope, expected in rows
    )
    figures = (_near_chart(rows),)
    return judged(
        holds, worst.value, WIDTH_EXPONENT, summary, evidence, (worst.low, worst.high), figures=figures
    )


def _near_chart(rows: Sequence[_Row]) -> Chart:
    """Draw measured exponents against those of theory, a series for each word before the first comma of a name."""
    series = []
    for label in dict.fromkeys(name.partition(",")[0] for name, _, _ in rows):
        mine = [(slope, expected) for name, slope, expected in rows if name.partition(",")[0] == label]
        series.append(
            Series(
                label,
                [expected for _, expected in mine],
                [slope.value for slope, _ in mine],
                [(slope.low, slope.high) for slope, _ in mine],
            )
        )
    return Chart(
        "Exponents of width, measured and in theory",
        "exponent in theory",
        "measured exponent",
        (*series, equality([-1.0 if min(e for *_, e in rows) < -0.6 else -0.5, 0.0])),
        "Marks should lie on the dotted line.",
    )
