"""Forecasts on synthetic families whose law is known: coverage, backtest, next run, verdicts, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from similitude.core.errors import BadVerdictError, GridError
from similitude.core.verdict import Outcome
from similitude.studies.extrapolation import Line, line_of, predictor
from similitude.studies.forecast import forecast
from similitude.studies.forecast_records import Forecast, octaves_between
from similitude.studies.loss_law import expected_loss
from similitude.studies.next_run import next_run, work_of
from similitude.studies.records import Curve, Transfer, TransferStudy
from similitude.studies.shift import transfer
from tests.studies.loss_curves import SHAPES, drawn

WIDTHS = (64, 128, 256)
TARGET = {"width": 1024}


def loss_level(width: float) -> float:
    return 1 + 2 * (width / 64) ** -0.7


def family(
    seed: int, *, shift: float, shape: str = "bowl", widths=WIDTHS, seeds=3, noise=0.02, points=21
) -> list[Curve]:
    """Curves whose best rate moves by `shift` octaves per doubling, and whose best loss follows `loss_level`."""
    rng = np.random.default_rng([seed, 5])
    phase = rng.uniform(-0.25, 0.25)
    counts = (seeds,) * len(widths) if isinstance(seeds, int) else seeds
    curves = []
    for width, count in zip(widths, counts, strict=True):
        by = shift * math.log2(width / 128)
        level = loss_level(width)
        moved = lambda x, by=by, level=level: SHAPES[shape](x - by) * level  # noqa: E731
        curves.append(
            drawn(moved, rng, offset=phase, width=width, step=0.5, points=points, noise=noise, seeds=count)
        )
    return curves


def study(curves: list[Curve], rule: str = "mup", **settings) -> TransferStudy:
    found = transfer(rule, curves)
    return TransferStudy("mine", {rule: found}, {}, settings, 0, 0, 0, 0.0)


@pytest.mark.parametrize("shift", [pytest.param(0.0, marks=pytest.mark.slow), -0.5])
def test_intervals_hold_the_value_at_the_target_and_the_loss_there(shift):
    """Over 60 families each; two standard errors of a coverage of 95 % are 6 %."""
    fits, differences, losses = [], [], []
    for seed in range(60):
        found = forecast(transfer("mup", family(seed, shift=shift)), TARGET)
        rate = found.values["lr"]
        fits.append(rate.fitted.holds(2.0 ** (3 * shift)))
        differences.append(rate.difference.holds(4 * shift))
        losses.append(found.loss.holds(loss_level(1024)))
    assert 0.89 <= np.mean(fits) <= 1
    assert 0.89 <= np.mean(differences) <= 1
    assert 0.89 <= np.mean(losses) <= 1


def test_the_difference_is_covered_for_lopsided_curves_too():
    """Their vertex lies beside the minimum, at every size alike, which drops out of the difference."""
    held = [
        forecast(transfer("mup", family(seed, shift=0.25, shape=shape)), TARGET)
        .values["lr"]
        .difference.holds(1)
        for shape in ("lopsided", "ushape")
        for seed in range(25)
    ]
    assert np.mean(held) >= 0.9


def test_without_noise_the_law_is_found_exactly():
    curves = family(0, shift=-0.5, noise=0.0)
    found = forecast(transfer("sp", curves), TARGET)
    rate = found.values["lr"]
    assert rate.fitted.value == pytest.approx(2**-1.5, rel=1e-2)
    assert rate.exponent.value == pytest.approx(-0.5, abs=1e-2)
    assert rate.difference.value == pytest.approx(-2.0, abs=0.03)
    assert rate.verdict.outcome is Outcome.SHIFTS
    assert rate.best is rate.fitted
    with pytest.raises(BadVerdictError, match=r"fitted lr is 0\.25 times the transferred one"):
        found.raise_if_bad()


def test_the_line_is_that_of_numpy():
    x, y = np.array([6.0, 7.0, 9.0]), np.array([-3.0, -3.7, -4.1])
    line = Line(x, y, np.repeat(y[:, None], 5, 1))
    slope, intercept = np.polyfit(x, y, 1)
    assert line.at(12.0)[0] == pytest.approx(intercept + 12 * slope)
    assert line.slope()[0] == pytest.approx(slope)
    assert predictor(x, 9.0) @ np.ones(3) == pytest.approx(1)


def test_optima_off_their_line_widen_the_interval():
    """A bend of the law, far above the noise of any size, is in the interval of the line."""
    curves = family(1, shift=0.0, widths=(64, 128, 256, 512))
    bent = [
        Curve(c.size, tuple(lr * 2.0**up for lr in c.lrs), c.losses)
        for c, up in zip(curves, (0.0, 0.6, 0.0, 0.6), strict=True)
    ]
    plain = forecast(transfer("mup", curves), {"width": 2048}).values["lr"]
    wide = forecast(transfer("mup", bent), {"width": 2048}).values["lr"]
    assert octaves_between(wide.fitted) > 3 * octaves_between(plain.fitted)


def test_the_backtest_holds_the_largest_size_out():
    curves = family(2, shift=-0.5)
    rate = forecast(transfer("sp", curves), TARGET).values["lr"]
    alone = forecast(transfer("sp", curves[:2]), {"width": 256}).values["lr"]
    measured = line_of(transfer("sp", curves).optima)
    assert rate.backtest.at == {"width": 256}
    error = math.log2(alone.fitted.value) - measured.y[-1]
    assert rate.backtest.fit_error.value == pytest.approx(error)
    assert rate.backtest.transfer_error.value == pytest.approx(measured.y[0] - measured.y[-1])
    assert rate.backtest.fit_error.holds(0.0)
    assert not rate.backtest.transfer_error.holds(0.0)
    # the loss of the parabola one octave off its minimum is 8 % above it
    assert rate.backtest.transfer_cost == pytest.approx(0.08, abs=0.06)
    assert rate.backtest.fit_cost < 0.05


def test_the_next_run_halves_the_interval_when_it_is_made():
    """The predicted runs are drawn: their intervals have half the length, on average over families."""
    ratios, predicted = [], []
    for seed in range(12):
        before = forecast(transfer("mup", family(seed, shift=0.0)), TARGET).values["lr"]
        run = before.next_run
        seeds = dict.fromkeys(WIDTHS, 3) | {64: max(3, run.seeds), run.size: run.seeds}
        widths = tuple(sorted(seeds))
        after = forecast(
            transfer("mup", family(seed, shift=0.0, widths=widths, seeds=tuple(seeds[w] for w in widths))),
            TARGET,
        )
        ratios.append(octaves_between(after.values["lr"].fitted) / octaves_between(before.fitted))
        predicted.append(run.octaves / octaves_between(before.fitted))
    assert max(predicted) <= 0.5
    assert np.median(ratios) == pytest.approx(np.median(predicted), abs=0.15)


def test_the_next_run_is_the_cheapest_by_brute_force():
    curves = family(3, shift=0.0)
    line = line_of(transfer("mup", curves).optima)
    work = work_of(None, "width", WIDTHS)
    length = 0.1
    value, draws = line.at(math.log2(1024))
    low, high = np.quantile(draws, [0.025, 0.975])
    run = next_run(line, curves, math.log2(1024), work=work, length=float(high - low) * 1.2)
    dearer = next_run(line, curves, math.log2(1024), work=work, length=float(high - low))
    assert value == pytest.approx(predictor(line.x, 10.0) @ line.y)
    assert run.cost <= dearer.cost
    assert run.size <= 512
    assert run.runs * work(run.size) >= run.cost
    assert next_run(line, curves, math.log2(1024), work=work, length=length * 1e-3) is None


def test_work_is_counted_in_parameters_of_the_plan():
    import torch

    import similitude as sim

    make = lambda n: torch.nn.Sequential(torch.nn.Linear(10, n), torch.nn.Linear(n, n))  # noqa: E731
    plan = sim.plan(make, base=64, target=256, sample=torch.zeros(2, 10))
    work = work_of(plan, "width", (64, 256))
    count = lambda n: sum(p.numel() for p in make(n).parameters())  # noqa: E731
    for width in (64, 128, 256, 1024):
        assert work(width) == pytest.approx(count(width) / count(256))
    assert work_of(None, "depth", (2, 8))(4) == 0.5


def test_agreement_and_its_lack_of_evidence():
    agree = forecast(transfer("mup", family(4, shift=0.0)), TARGET)
    assert agree.verdict.outcome is Outcome.TRANSFERS
    assert agree.values["lr"].best is agree.values["lr"].transferred
    agree.raise_if_bad()
    noisy = [c for c in family(5, shift=0.1, noise=0.1, shape="flat", points=9) if c.size < 256]
    doubt = forecast(transfer("mup", noisy), {"width": 2**14})
    assert doubt.verdict.undecided
    assert any("doublings beyond" in note for note in doubt.notes)
    assert any("two sizes fit any line" in note for note in doubt.notes)


def test_a_fit_that_fails_its_backtest_does_not_agree():
    """The optimum rises, then falls back: the line through all is level, that through the first two is not."""
    curves = [
        Curve(c.size, tuple(lr * 2.0**up for lr in c.lrs), c.losses)
        for c, up in zip(family(6, shift=0.0, noise=0.001), (0.0, 2.0, 0.3), strict=True)
    ]
    found = forecast(transfer("mup", curves), {"width": 512})
    assert found.values["lr"].backtest.fit_error.value == pytest.approx(3.7, abs=0.2)
    assert found.verdict.outcome is not Outcome.TRANSFERS
    assert not found.verdict.ok


def test_an_optimum_at_the_edge_is_no_basis():
    curves = family(7, shift=-2.0, points=7, widths=(64, 128, 256))
    found = forecast(transfer("sp", curves), TARGET)
    assert found.verdict.outcome is Outcome.NOT_BRACKETED
    assert "no forecast of the lr yet" in found.verdict.summary
    assert "--lr-m" in found.verdict.next


def test_one_size_gives_the_transferred_value_alone():
    found = forecast(transfer("mup", family(8, shift=0.0)[:1]), TARGET)
    rate = found.values["lr"]
    assert rate.fitted is None
    assert rate.transferred.holds(1.0)
    assert found.loss is None
    assert found.verdict.outcome is Outcome.CANNOT_TELL


def test_targets_that_the_study_says_nothing_about():
    mine = study(family(9, shift=0.0), depth=6)
    assert forecast(mine, {"width": 1024, "depth": 6}).at == 1024
    with pytest.raises(
        GridError, match=r"names 'tokens', which is no dial.*varied the width \(64, 128, 256\)"
    ):
        forecast(mine, {"width": 1024, "tokens": 1e9})
    with pytest.raises(GridError, match=r"depth 12, and the study 'mine' kept it at 6"):
        forecast(mine, {"width": 1024, "depth": 12})
    with pytest.raises(GridError, match=r"names no width.*Add width=, e\.g\. \{'width': 1024\}"):
        forecast(mine, {"depth": 6})
    with pytest.raises(GridError, match=r"width 256 is not beyond the largest one measured, 256"):
        forecast(mine, {"width": 256})
    for wrong in (0, -1, math.nan, math.inf, True, "1024"):
        with pytest.raises(GridError, match="pass a positive number"):
            forecast(mine, {"width": wrong})
    with pytest.raises(GridError, match=r"holds no rule 'ntp'; it compares 'mup'"):
        forecast(mine, TARGET, rule="ntp")
    with pytest.raises(GridError, match="list is no study to forecast from"):
        forecast([mine], TARGET)  # type: ignore[arg-type]
    with pytest.raises(GridError, match="the Transfer is of 'mup'"):
        forecast(mine.transfers["mup"], TARGET, rule="sp")


def test_a_forecast_is_plain_data():
    found = forecast(study(family(10, shift=0.0)), TARGET)
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["verdict"] == "transfers"
    assert data["to"] == TARGET
    rate = data["values"]["lr"]
    assert rate["use"] == rate["by_transfer"]["value"]
    assert rate["backtest"]["at"] == {"width": 256}
    assert data["loss_backtest"]["expected"]["interval"][0] < data["loss_backtest"]["measured"]
    assert isinstance(found, Forecast)


def test_expected_losses_reach_from_levelled_off_to_falling_on():
    """Two sizes leave the power open: the interval holds the laws of its ends."""
    sizes, at = (64, 256), 4096
    for power in (0.3, 1.5):
        found = expected_loss(sizes, [1 + n**-power for n in sizes], [1e-3, 1e-3], at)
        assert found.holds(1 + at**-power)
    assert expected_loss((64,), (1.0,), (0.1,), 128) is None
    assert expected_loss(sizes, (-1.0, -2.0), (0.1, 0.1), at) is None
    rising = expected_loss(sizes, (1.0, 2.0), (0.01, 0.01), at)
    assert 1.0 < rising.value < 2.0  # no law that falls fits: the mean of both


def test_a_transfer_is_untouched():
    before = transfer("mup", family(11, shift=0.0))
    text = json.dumps(before.to_dict(), sort_keys=True)
    forecast(before, TARGET)
    assert isinstance(before, Transfer)
    assert json.dumps(before.to_dict(), sort_keys=True) == text
