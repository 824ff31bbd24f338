"""Forecasts from tuning studies of a law that is known: lr of the compute-optimal model at 10 times the dearest cost."""

from __future__ import annotations

import math

import optuna
import pytest

from similitude.core.errors import GridError
from similitude.core.verdict import Outcome
from similitude.studies.forecast import forecast
from similitude.tuning.problems.chinchilla import (
    PARAMETER_POWER,
    PARAMETER_TERM,
    TOKEN_POWER,
    TOKEN_TERM,
    ChinchillaLaw,
)
from similitude.tuning.problems.runs import continued
from similitude.tuning.space.dimensions import Log
from similitude.tuning.space.space import Space
from similitude.tuning.trials.history import SPACE_KEY

COST = 1e5


def tuned(law: ChinchillaLaw, seed: int, *, trials: int = 60) -> optuna.Study:
    study = optuna.create_study(study_name="p1", sampler=optuna.samplers.RandomSampler(seed=seed))
    study.set_user_attr(SPACE_KEY, law.space.to_dict())
    list(continued(law, study, seed=seed, trials=trials))
    return study


def optimal(cost: float) -> tuple[float, float]:
    """Parameters and tokens that are best at a cost of 6 N D / 1e15, by brute force over N."""
    best = min(
        (
            PARAMETER_TERM * n**-PARAMETER_POWER + TOKEN_TERM * (cost * 1e15 / 6 / n) ** -TOKEN_POWER,
            n,
        )
        for n in (10 ** (6 + k / 1000) for k in range(4000))
    )
    return best[1], cost * 1e15 / 6 / best[1]


def forecast_of(law: ChinchillaLaw):
    study = tuned(law, 1)
    return law, study, forecast(study, {"cost": COST})


@pytest.fixture(scope="module")
def drifting():
    return forecast_of(ChinchillaLaw())


@pytest.fixture(scope="module")
def staying():
    return forecast_of(ChinchillaLaw(drift=0.0))


@pytest.fixture(params=["drifting", "staying"])
def found(request):
    return request.getfixturevalue(request.param)


def test_the_fit_holds_the_best_value_at_ten_times_the_dearest_cost(found):
    law, _, result = found
    rate = result.values["lr"]
    truth = law.best_lr(optimal(COST)[0])
    assert rate.fitted.holds(truth)
    assert rate.fitted.value == pytest.approx(truth, rel=0.1)
    assert rate.exponent.holds(law.exponents["lr"])
    assert result.loss.value == pytest.approx(law.front(COST), abs=0.02)
    assert result.dial == "cost"


def test_the_verdict_says_whether_the_rate_stays(found):
    law, _, result = found
    rate = result.values["lr"]
    if law.drift:
        assert rate.verdict.outcome is Outcome.SHIFTS
        assert rate.best is rate.fitted
        assert not rate.backtest.transfer_error.holds(0.0)
    else:
        assert rate.verdict.outcome is Outcome.TRANSFERS
        assert rate.best is rate.transferred
        assert rate.transferred.value == pytest.approx(3e-3, rel=0.05)
    assert rate.backtest.fit_error.holds(0.0)
    expected, measured = result.loss_backtest
    assert abs(expected.value - measured) < 0.05


def test_the_next_trials_are_told_with_their_command(found):
    _, study, result = found
    run = result.values["lr"].next_run
    assert run.dial == "trials"
    assert run.octaves <= 0.5 * (result.values["lr"].difference.high - result.values["lr"].difference.low)
    spent = sum(trial.user_attrs["cost"] for trial in study.trials)
    assert run.options.startswith("similitude tune resume p1 --budget ")
    assert float(run.options.split()[5]) == pytest.approx(spent + run.cost, rel=1e-3)


def test_a_target_by_its_scale_dimensions_is_that_of_their_cost(drifting):
    _, study, result = drifting
    parameters, tokens = optimal(COST)
    skewed = forecast(study, {"parameters": parameters * 8, "tokens": tokens / 8})
    assert skewed.at == pytest.approx(COST, rel=0.05)
    assert skewed.values["lr"].fitted.value == pytest.approx(result.values["lr"].fitted.value, rel=0.05)
    assert any(note.startswith("at this cost the frontier has parameters") for note in skewed.notes)
    assert not any("frontier has" in note for note in result.notes)


def test_targets_that_are_none_of_the_study(drifting):
    _, study, _ = drifting
    with pytest.raises(GridError, match="lacks tokens: what it costs follows from all scale dimensions"):
        forecast(study, {"parameters": 1e9})
    with pytest.raises(GridError, match=r"names 'width', which is no scale dimension.*parameters, tokens"):
        forecast(study, {"width": 1024})
    with pytest.raises(GridError, match="which is not beyond the dearest trial"):
        forecast(study, {"cost": 10.0})
    with pytest.raises(GridError, match="pass a positive number"):
        forecast(study, {"parameters": math.nan, "tokens": 1e9})
    for cost in (math.nan, -1.0, "much"):
        with pytest.raises(GridError, match="pass a positive number"):
            forecast(study, {"cost": cost})
    with pytest.raises(GridError, match="names no dial"):
        forecast(study, 1024)
    with pytest.raises(GridError, match="a tuning study has no rules"):
        forecast(study, {"cost": COST}, rule="mup")


def test_a_study_without_transfer_dimensions():
    law = ChinchillaLaw()
    space = Space(
        {
            name: Log(d.center, low=d.low, high=d.high, role="scale" if name != "lr" else "free")
            for name, d in law.space.items()
        }
    )
    study = tuned(law, 1)
    study.set_user_attr(SPACE_KEY, space.to_dict())
    with pytest.raises(GridError, match="no logarithmic dimension of role 'transfer'"):
        forecast(study, {"cost": COST})
