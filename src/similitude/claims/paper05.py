"""Claims of paper 5, saddle to saddle in deep ReLU networks: how they leave the origin, how fast, at what rank."""

from __future__ import annotations

import itertools
import math

import numpy as np
from sklearn.datasets import load_digits
from torch.func import grad_and_value

from similitude.claims.judged import judged
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.seeding import numpy_generator
from similitude.core.verdict import Evidence
from similitude.theory.saddle_escape.direction import Escape, escape
from similitude.theory.saddle_escape.norm_law import escape_scale
from similitude.theory.saddle_escape.path import SmallStart, from_small_start
from similitude.theory.saddle_escape.task import Weights, relu_task

WIDTH = 24
START = 0.02  # of the layers' norms: the corrections to L_0 are of its L-th power
GROWTH = 5.0
DEPTHS = (2, 3, 4, 6)
SIZES = (4.0, 2.0, 1.0)  # of separate features


def circle() -> tuple[np.ndarray, np.ndarray]:
    """Return eight points on the unit circle, shape (8, 2), and targets whose gradient alternates, shape (8, 1)."""
    angles = 2 * math.pi * np.arange(8) / 8
    return np.stack([np.cos(angles), np.sin(angles)], 1), 8.0 * np.array([1.0, -1.0] * 4)[:, None]


def digits(samples: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return images of digits, shape (samples, 64), in [0, 1], and their classes."""
    images, classes = load_digits(return_X_y=True)
    return np.asarray(images)[:samples] / 16, np.asarray(classes)[:samples]


def random_task(outputs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return Gaussian inputs, shape (32, 6), and Gaussian targets."""
    drawn = numpy_generator(5, "random task", outputs)
    return drawn.standard_normal((32, 6)), drawn.standard_normal((32, outputs))


def flow(found: Escape, start: float, end: float, *, step: float = 2e-3) -> tuple[list[float], list[float]]:
    """Train the loss itself from an escape direction by short steps, and note times and mean norms of the layers."""
    task = found.task
    slope = grad_and_value(lambda at: task.loss(task.outputs(at), task.targets))
    weights: Weights = {name: start * w for name, w in found.weights.items()}
    times, sizes = [0.0], [start]
    while sizes[-1] < end:
        gradients, _ = slope(weights)
        steep = math.sqrt(sum(float(g.square().sum()) for g in gradients.values()) / len(gradients))
        length = step * sizes[-1] / steep
        weights = {name: w - length * gradients[name] for name, w in weights.items()}
        times.append(times[-1] + length)
        squares = [float(w.square().sum()) for w in weights.values()]
        sizes.append(math.sqrt(sum(squares) / len(squares)))
    return times, sizes


@claim(
    "5.growth",
    paper=5,
    statement="Along an escape direction of speed s the scale c of the weights grows by dc/dt = s c^(L-1): exponentially "
    "for two layers, to blow-up in finite time for more.",
    claimed=f"gradient descent in short steps from {START:g} times the direction: its time to {GROWTH:g} times the "
    "scale is the predicted one within 2 % for L = 2, 3, 4",
    minutes=0.1,
)
def growth() -> Measured:
    """Train networks of three depths from their escape directions and take the time."""
    evidence, off, series = [], 0.0, []
    for depth in DEPTHS[:3]:
        found = escape(depth, WIDTH, random_task(), starts=16, steps=400)
        times, sizes = flow(found, START, GROWTH * START)
        predicted = found.time(START, sizes[-1])
        ratio = times[-1] / predicted
        off = max(off, abs(ratio - 1))
        evidence.append(Evidence(f"time of L = {depth} over the predicted", ratio, None, "1"))
        shown = slice(None, None, max(len(times) // 25, 1))
        x = np.array(times)[shown] / times[-1]
        law = [escape_scale(t, START, speed=found.speed, depth=depth) / START for t in times[shown]]
        series += [
            Series(f"L = {depth}", x, np.array(sizes)[shown] / START),
            Series(f"L = {depth}", x, law, kind="line"),
        ]
    figure = Chart(
        "Growth of the weights along the escape direction",
        f"time / time to {GROWTH:g} times the scale",
        "scale / scale at the start",
        tuple(series),
        "Marks (training) should lie on the lines (law): straight for two layers, bent upwards for more.",
        source="Section 2",
        y_scale="log",
    )
    summary = f"the times differ by at most {off:.2%} from those of the law"
    return judged(off <= 0.02, off, "largest relative error", summary, evidence, figures=(figure,))


@claim(
    "5.circle",
    paper=5,
    statement="The first layer may need more than one direction: on eight points of the circle with alternating "
    "gradients rank one everywhere leaves at speed sqrt(2) - 1, a first layer of rank two at 1/2.",
    claimed="two layers: speed 0.4142 within 0.001; three layers: 0.5 within 0.001, two equal singular values in the "
    "first layer (within 2 %), s1/s2 above 30 after it",
    minutes=0.1,
)
def two_directions() -> Measured:
    """Climb to the escape directions of two depths."""
    two, three = (escape(depth, WIDTH, circle(), steps=1500) for depth in (2, 3))
    first, *later = three.layers
    ratios = [layer.ratio for layer in later]
    evidence = (
        Evidence("speed of two layers", two.speed, None, f"{math.sqrt(2) - 1:.4f}"),
        Evidence("speed of three layers", three.speed, None, "0.5"),
        Evidence("s1/s2 of the first layer of three", first.ratio, None, "1"),
        Evidence("s1/s2 of the layers after it, least", min(ratios), None, "above 30"),
    )
    holds = abs(two.speed - (math.sqrt(2) - 1)) <= 1e-3 and abs(three.speed - 0.5) <= 1e-3
    holds = holds and first.ratio <= 1.02 and min(ratios) > 30
    figure = Chart(
        "Speeds that starts end at, eight points of the circle",
        "start, fastest first",
        "escape speed",
        tuple(
            Series(f"{e.depth} layers", np.arange(1, len(e.speeds) + 1), e.speeds, kind="joined")
            for e in (two, three)
        ),
        "The fastest of two layers should come to the lower line, of three to the upper one; others stay at slower "
        "saddles.",
        source="Counterexample of Section 3",
        levels={"rank one: sqrt(2) - 1": math.sqrt(2) - 1, "rank two first: 1/2": 0.5},
    )
    summary = (
        f"speeds {two.speed:.4f} and {three.speed:.4f}; s1/s2 {first.ratio:.3f} in the first layer, {min(ratios):.0f} "
        "or more after it"
    )
    return judged(holds, three.speed, "escape speed", summary, evidence, figures=(figure,))


@claim(
    "5.depth",
    paper=5,
    statement="The speed of the best escape direction never falls with depth (Proposition 3.2).",
    claimed="Gaussian data, one output and four, L = 2, 3, 4, 6, at full size also 8 and 12: no fall by more than 0.1 %",
    minutes=0.4,
    full_minutes=1,
)
def never_falls(*, full: bool = False) -> Measured:
    """Climb to escape directions of four depths, or six, on two tasks, each from its own random starts."""
    depths = (*DEPTHS, 8, 12) if full else DEPTHS
    evidence, falls, series = [], [], []
    for outputs in (1, 4):
        X, Y = random_task(outputs)
        speeds = [escape(depth, WIDTH, (X, Y), seed=depth).speed for depth in depths]
        falls += [1 - b / a for a, b in itertools.pairwise(speeds)]
        evidence += [
            Evidence(f"speed of L = {L}, {outputs} output{'s' * (outputs > 1)}", s)
            for L, s in zip(depths, speeds, strict=True)
        ]
        series.append(
            Series(
                f"{outputs} output{'s' * (outputs > 1)}", depths, np.array(speeds) / speeds[0], kind="joined"
            )
        )
    figure = Chart(
        "Escape speed and depth",
        "layers L",
        "speed / speed of two layers",
        tuple(series),
        "Lines should nowhere fall.",
        source="Proposition 3.2",
    )
    summary = f"the largest fall from one depth to the next is {max(falls):.2%}"
    return judged(
        max(falls) <= 1e-3, max(falls), "largest relative fall", summary, evidence, figures=(figure,)
    )


def small_starts() -> dict[float, SmallStart]:
    """Train six layers on digits from three small initializations until the loss has fallen by a tenth."""
    task = relu_task(6, 48, digits(), loss="cross_entropy")
    return {scale: from_small_start(task, levels=(0.99, 0.96), scale=scale) for scale in (0.4, 0.1, 0.02)}


@claim(
    "5.ranks",
    paper=5,
    statement="Networks leave the origin with layers of almost rank one, the more so the deeper the layer: the first "
    "singular value exceeds all others by a factor of about l^(1/4) (Theorem 3.1).",
    claimed="six layers of 48 units trained on digits from a start of 0.02 / sqrt(fan-in), loss fallen by 1 %: s1/s2 >= "
    "l^(1/4) in every layer (below 1.3 at the start); energy of activations beyond one direction falling with the layer",
    minutes=0.1,
)
def ranks() -> Measured:
    """Train from small initializations and look at singular values when the loss begins to fall."""
    runs = small_starts()
    run = runs[0.02]
    then, before = run.passages[0].layers, run.start.layers
    evidence = [
        Evidence(
            f"s1/s2 of layer {layer.depth}",
            layer.ratio,
            None,
            f"above {layer.least_ratio:.2f}; {b.ratio:.2f} before",
        )
        for layer, b in zip(then, before, strict=True)
    ]
    tails = [layer.activation_tail or 0.0 for layer in then]
    evidence.append(
        Evidence("activations beyond one direction: layer 1 over layer 6", tails[0] / max(tails[-1], 1e-300))
    )
    enough = min(layer.ratio / layer.least_ratio for layer in then)
    falling = all(b <= a + 1e-3 for a, b in itertools.pairwise(tails))
    holds = enough >= 1 and falling and max(b.ratio for b in before) < 1.3
    places = [layer.depth for layer in then]
    figure = Chart(
        "Rank of the layers when the loss has fallen by 1 %",
        "layer l",
        "first singular value / second",
        (
            Series("at initialization", places, [b.ratio for b in before], kind="joined"),
            *(
                Series(
                    f"start {scale:g}", places, [layer.ratio for layer in r.passages[0].layers], kind="joined"
                )
                for scale, r in runs.items()
            ),
            Series("l^(1/4)", places, [layer.least_ratio for layer in then], kind="guide"),
        ),
        "At initialization no direction stands out. The smaller the start, the further every layer should be above the "
        "dotted line, the first the least.",
        source="Theorem 3.1 and Figure of Section 5",
        y_scale="log",
    )
    summary = (
        f"s1/s2 is {min(layer.ratio for layer in then):.1f} to {max(layer.ratio for layer in then):.1f}, "
        f"{enough:.1f} times l^(1/4) or more; before {max(b.ratio for b in before):.2f} at most"
    )
    return judged(holds, enough, "least ratio to l^(1/4)", summary, evidence, figures=(figure,))


@claim(
    "5.landing",
    paper=5,
    statement="Gradient flow from small initializations comes to an escape direction: the smaller the start, the "
    "nearer to the fastest.",
    claimed="the same runs: share of the fastest speed when the loss has fallen by 1 % grows as the start shrinks from "
    "0.4 to 0.02, above 0.7 at the smallest",
    minutes=0.1,
)
def landing() -> Measured:
    """Compare what training leaves the origin with, and the fastest direction that ascent finds."""
    best = escape(6, 48, digits(), loss="cross_entropy", starts=8, steps=300)
    runs = small_starts()
    shares = {scale: run.passages[0].speed / best.speed for scale, run in runs.items()}
    evidence = [Evidence(f"share of the fastest, start {scale:g}", share) for scale, share in shares.items()]
    values = list(shares.values())
    holds = values == sorted(values) and values[-1] > 0.7 and values[-1] <= 1 + 1e-6
    figure = Chart(
        "How near training comes to the fastest escape",
        "size of the initial weights times sqrt(fan-in)",
        "speed with layers of norm 1 / fastest",
        (Series("when the loss has fallen by 1 %", list(shares), values, kind="joined"),),
        "The share should rise towards 1 as the start shrinks.",
        source="Section 3",
        x_scale="log",
        levels={"fastest": 1.0},
    )
    summary = (
        f"shares {', '.join(f'{v:.2f}' for v in values)} at starts {', '.join(f'{s:g}' for s in shares)}"
    )
    return judged(holds, values[-1], "share of the fastest speed", summary, evidence, figures=(figure,))


@claim(
    "5.saddles",
    paper=5,
    statement="Later saddles have higher bottleneck rank: directions enter one after the other (conjecture of "
    "Section 4).",
    claimed="four layers of 48 units on digits from a start of 0.02: activations of the narrowest hidden layer beyond "
    "one direction have more than 5 times the share of energy at half of the loss that they have at 96 %",
    minutes=0.1,
)
def saddles() -> Measured:
    """Train through the first plateaus, and follow how many directions the activations use."""
    levels = (0.99, 0.96, 0.9, 0.8, 0.7, 0.6, 0.5)
    run = from_small_start(relu_task(4, 48, digits(), loss="cross_entropy"), levels=levels, scale=0.02)
    hidden = np.array([[x.activation_tail or 0.0 for x in p.layers[:-1]] for p in run.passages])
    tails = hidden.min(1)
    reached = [p.level for p in run.passages]
    evidence = [
        Evidence(f"energy beyond one direction at {level:.0%} of the loss", tail)
        for level, tail in zip(reached, tails, strict=True)
    ]
    grown = tails[-1] / tails[reached.index(0.96)] if 0.5 in reached else math.nan
    figure = Chart(
        "Activations beyond one direction, as the loss falls",
        "loss / loss at the origin",
        "share of energy",
        tuple(
            Series(f"layer {layer + 1}", reached, hidden[:, layer], kind="joined")
            for layer in range(hidden.shape[1])
        ),
        "The shares should fall with the layer, and rise to the left, where further directions have entered.",
        source="Section 4",
        y_scale="log",
        ordered=True,
    )
    summary = f"the least share of a hidden layer grows {grown:.1f} times"
    return judged(grown > 5, grown, "growth of the share", summary, evidence, figures=(figure,))


def three_features() -> tuple[np.ndarray, np.ndarray]:
    """Return inputs, shape (60, 3), each with one of three features, and targets of 4, 2 and 1 times these."""
    X = np.zeros((60, 3))
    X[np.arange(60), np.arange(60) % 3] = np.abs(numpy_generator(5, "features").standard_normal(60))
    return X, X * SIZES


@claim(
    "5.plateaus",
    paper=5,
    statement="Saddles follow one another in the order of their bottleneck rank (conjecture of Section 4).",
    claimed="three layers of 24 units on three separate features of sizes 4, 2 and 1, five initializations of 0.05: on "
    "every plateau the rank is the number of features that are learned, and the loss what these leave within 0.02 of the "
    "first; nine of ten plateaus are seen",
    minutes=0.1,
)
def plateaus() -> Measured:
    """Train from five small initializations to the end, and look at the network on each plateau."""
    X, Y = three_features()
    shares = (Y**2).sum(0) / (Y**2).sum()
    left = {
        some: 1 - sum(shares[j] for j in some) for k in (1, 2) for some in itertools.combinations(range(3), k)
    }
    task = relu_task(3, WIDTH, (X, Y))
    runs = [from_small_start(task, levels=(0.9, 0.001), scale=0.05, seed=seed) for seed in range(5)]
    evidence, off, seen, ranks_fit = [], 0.0, 0, True
    for seed, run in enumerate(runs):
        for saddle in run.saddles:
            some = min(left, key=lambda j, loss=saddle.loss: abs(left[j] - loss))
            off = max(off, abs(saddle.loss - left[some]))
            ranks_fit = ranks_fit and saddle.rank == len(some)
            seen += 1
            names = " and ".join(f"{SIZES[j]:g}" for j in some)
            evidence.append(
                Evidence(
                    f"loss on a plateau of rank {saddle.rank}, start {seed + 1}",
                    saddle.loss,
                    None,
                    f"{left[some]:.4g}, what the features of size {names} leave",
                )
            )
    figure = Chart(
        "Loss from small starts, three features",
        "time of gradient flow",
        "loss / loss at the origin",
        tuple(
            Series(f"start {seed + 1}", run.times, run.losses, kind="line") for seed, run in enumerate(runs)
        ),
        "The lines should go down stairs: to the dotted line of the feature of size 4, then to one of two features.",
        source="Section 4",
        levels={
            "after " + ", ".join(f"{SIZES[j]:g}" for j in some): value
            for some, value in left.items()
            if 0 in some
        },
    )
    summary = (
        f"{seen} plateaus, their losses at most {off:.3f} from what the features that are learned leave"
        + (", as many as their rank" if ranks_fit else ", and not as many as their rank")
    )
    holds = ranks_fit and off <= 0.02 and seen >= 9
    return judged(holds, off, "largest distance of a loss", summary, evidence, figures=(figure,))
