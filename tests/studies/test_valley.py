"""Valleys of (learning rate, multiplier): slopes of models whose law is exact, intervals, verdicts, wrong use."""

import functools
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from similitude.core.errors import FactoryError, GridError, NotEnoughEvidenceError, PlanError
from similitude.core.verdict import Outcome
from similitude.runs.engine import InProcess
from similitude.studies.valley import valley
from similitude.studies.valley_records import Valley
from similitude.studies.valley_slope import change_of, judge, valley_at
from tests.cases import TeacherBatches

LRS = (1 / 64, 1 / 32, 1 / 16)
MULTIPLIERS = tuple(2.0 ** (k / 2) for k in range(-9, 9))


class Multiplied(nn.Module):
    """A linear model times a number to the power of its depth: what it learns depends on rate x number^power alone."""

    def __init__(self, depth: int, multiplier: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(16, 4, dtype=torch.float64))
        self.factor = multiplier**depth

    def forward(self, x):
        return self.factor * (x @ self.weight)


def make(width, depth, multiplier):
    return Multiplied(depth, multiplier)


class Drawn(Multiplied):
    def __init__(self, multiplier):
        super().__init__(1, multiplier)
        nn.init.normal_(self.weight)


def squares(model, batch):
    """Regress on one-hot classes."""
    return (model(batch[0]) - nn.functional.one_hot(batch[1], 4)).square().sum(-1).mean()


@pytest.mark.parametrize(
    ("optimizer", "slopes"),
    [
        (torch.optim.SGD, (-0.5,)),
        (functools.partial(torch.optim.Adam, eps=0.0), (-1.0, -0.5)),
    ],
)
def test_the_slope_is_that_of_the_exact_law(optimizer, slopes):
    """SGD on c w x learns as on w x at the rate c^2 lr, Adam as at c lr; with c^2 for c slopes are half as steep."""
    found = valley(
        make,
        TeacherBatches(),
        base={"width": 8, "depth": 1},
        depths=(1, 2) if len(slopes) > 1 else None,
        lrs=LRS,
        multipliers=MULTIPLIERS,
        alpha=0.0,
        lr_exponent=0.0,
        loss=squares,
        optimizer=optimizer,
        steps=5,
        seeds=(0,),
    )
    for got, exact in zip(found.valleys, slopes, strict=True):
        assert len(got.bracketed) == len(LRS)
        assert got.slope == pytest.approx(exact, abs=0.01)  # a step of rates is one or two of multipliers
        assert got.interval is not None
        assert got.interval[0] <= exact <= got.interval[1]
    if len(slopes) > 1:
        assert found.change == pytest.approx(0.5, abs=0.01)
    assert json.loads(json.dumps(found.to_dict()))["change"] == found.change


def test_rates_and_multipliers_follow_the_depth():
    found = valley(
        make,
        TeacherBatches(),
        base={"width": 8, "depth": 3},
        depths=(4, 16),
        lrs=LRS,
        multipliers=(1, 2, 4),
        steps=1,
    )
    assert [one.size for one in found.valleys] == [{"width": 8, "depth": 4}, {"width": 8, "depth": 16}]
    assert found.valleys[0].multipliers == (1, 2, 4)
    assert found.valleys[1].multipliers == (0.5, 1, 2)
    assert [point.lr for point in found.valleys[1].points] == pytest.approx([lr / 2 for lr in LRS])


class Backwards(InProcess):
    """An engine that is done with the last job first."""

    def map(self, function, jobs, **options):
        super().map(function, jobs[::-1], **options)


def test_every_seed_has_a_start_of_its_own_and_the_order_of_jobs_does_not_matter():
    given = {"base": 8, "lrs": LRS, "multipliers": (1, 2, 4), "steps": 2, "loss": squares}
    seen = []
    here = valley(make_drawn, TeacherBatches(), **given, on_progress=seen.append)
    assert here.to_dict() == valley(make_drawn, TeacherBatches(), **given, engine=Backwards()).to_dict()
    assert [(one.cells_done, one.cells, one.label) for one in seen][-1] == (3, 3, "width 8, multiplier 4")
    for point in here.valleys[0].points:
        assert all(len(set(row)) == 3 for row in point.losses)


def make_drawn(width, multiplier):
    return Drawn(multiplier)


def table(slope, *, noise=0.0, seeds=3, draw=0, bend=0.5):
    rng = np.random.default_rng(draw)
    off = np.log(MULTIPLIERS)[None] - slope * np.log(np.array(LRS) * 32)[:, None] - 0.6
    return np.exp(bend * off**2)[..., None] * np.exp(
        noise * rng.standard_normal((len(LRS), len(MULTIPLIERS), seeds))
    )


def test_intervals_hold_the_slope():
    held = 0
    for draw in range(60):
        found = valley_at({"width": 8}, LRS, MULTIPLIERS, table(-1.0, noise=0.1, draw=draw))
        assert found.slope is not None
        assert found.interval is not None
        held += found.interval[0] <= -1 <= found.interval[1]
    assert held >= 54  # 95 % of 60, less three standard deviations


def test_anything_may_diverge():
    """Tables at random, with runs that diverged: always a verdict, and plain numbers."""
    rng = np.random.default_rng(0)
    for draw in range(60):
        losses = table(
            -1.0, noise=float(rng.choice([0.0, 0.3, 3.0])), seeds=int(rng.integers(1, 4)), draw=draw
        )
        losses[rng.random(losses.shape) < rng.choice([0.0, 0.2, 0.9])] = rng.choice([np.nan, np.inf])
        made = [
            valley_at({"width": 8, "depth": d}, LRS, MULTIPLIERS, losses[:, ::s])
            for d, s in ((1, 1), (2, -1))
        ]
        verdict = judge(made, *change_of(made))
        assert verdict.summary
        json.dumps([verdict.to_dict(), *(one.to_dict() for one in made)], allow_nan=False)


def test_what_is_not_bracketed_is_left_out():
    losses = table(-1.0)
    losses[0] = losses[0][np.argsort(losses[0].mean(-1))]  # falls to the smallest multiplier
    losses[1, -1] = math.inf
    found = valley_at({"width": 8}, LRS, MULTIPLIERS, losses)
    assert [point.bracketed for point in found.points] == [False, True, True]
    assert found.points[0].edge == "low"
    assert found.slope == pytest.approx(-1, abs=0.1)
    losses[1] = losses[0]
    alone = valley_at({"width": 8}, LRS, MULTIPLIERS, losses)
    assert alone.slope is None
    assert alone.interval is None
    verdict = judge([alone], *change_of([alone]))
    assert verdict.outcome is Outcome.NOT_BRACKETED
    assert "at 1 of 3 learning rates of width 8" in verdict.summary
    assert "multipliers below 0.0441942" in verdict.next
    nothing = valley_at({"width": 8}, LRS, MULTIPLIERS, np.full_like(losses, np.nan))
    assert judge([nothing], None, None).outcome is Outcome.DIVERGED


@pytest.mark.parametrize(
    ("slopes", "half", "outcome"),
    [
        ((-1.0, -0.9), 0.1, Outcome.CONSISTENT),
        ((-1.0, -0.9), 0.8, Outcome.CANNOT_TELL),
        ((-2.0, -1.0), 0.1, Outcome.SHIFTS),
        ((-2.0, -1.0), 0.9, Outcome.CANNOT_TELL),
        ((-2.0,), 0.1, Outcome.OK),
    ],
)
def test_verdicts_over_depths(slopes, half, outcome):
    points = valley_at({"width": 8}, LRS, MULTIPLIERS, table(-1.0)).points
    made = [
        Valley({"depth": i + 1}, MULTIPLIERS, points, s, (s - half, s + half)) for i, s in enumerate(slopes)
    ]
    change, interval = change_of(made)
    verdict = judge(made, change, interval)
    assert verdict.outcome is outcome
    if interval is not None:
        assert interval[1] - interval[0] == pytest.approx(2 * math.hypot(half, half))
        assert f"{slopes[0]:.2f} at depth 1, {slopes[1]:.2f} at depth 2" in verdict.summary


def test_it_is_written_in_words(tmp_path):
    found = valley(make_drawn, TeacherBatches(), base=8, lrs=LRS, multipliers=(1, 2, 4), steps=1, seeds=(0,))
    assert "Valley at width 8" in str(found)
    assert json.loads(found.save(tmp_path / "v.json").read_text()) == found.to_dict()
    with pytest.raises(GridError, match="cannot be written"):
        found.save(tmp_path / "no" / "v.json")
    if found.verdict.undecided:
        with pytest.raises(NotEnoughEvidenceError):
            found.raise_if_bad()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"multipliers": (1.0, 2.0)}, GridError, "the multipliers 1, 2 bracket no best one"),
        ({"multipliers": (1.0, 2.0, 2.0)}, GridError, "all positive, finite and different"),
        ({"multipliers": (0.0, 1.0, 2.0)}, GridError, "the multipliers 0, 1, 2"),
        ({"lrs": (0.1, 0.2)}, GridError, "2 learning rates"),
        ({"seeds": ()}, GridError, "at least one seed"),
        ({"depths": (2,)}, GridError, "there is 1 depth"),
        ({"alpha": math.nan}, PlanError, "alpha=nan is no exponent"),
        (
            {"make": lambda width, depth: nn.Linear(2, 2)},
            FactoryError,
            "takes width, depth and no multiplier",
        ),
        ({"base": {"width": 8}}, FactoryError, "depth"),
    ],
)
def test_wrong_use(change, error, words):
    given = {"make": make, "base": {"width": 8, "depth": 1}, "lrs": LRS, "multipliers": (1, 2, 4), **change}
    with pytest.raises(error, match=words):
        valley(given.pop("make"), TeacherBatches(), **given, steps=1)
