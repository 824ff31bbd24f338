"""Scaling laws of whole studies: exponents that are known, coverage, verdicts, predictions, backtest, JSON, edges."""

import datetime
import io
import json
import math
from dataclasses import replace

import numpy as np
import optuna
import pytest
from laws_cases import chinchilla, drawn, history, log10
from rich.console import Console

import similitude as sim
from similitude.core.citation import cite
from similitude.core.errors import NotEnoughEvidenceError, TuningError
from similitude.core.verdict import Outcome
from similitude.tuning.problems.chinchilla import ChinchillaLaw
from similitude.tuning.problems.runs import continued
from similitude.tuning.trials.history import History

SEEDS = range(5)
RESAMPLES = 30


@pytest.fixture(scope="module")
def drifting():
    return [
        sim.ScalingLaws.from_study(chinchilla(seed=s), ChinchillaLaw().space, resamples=100) for s in SEEDS
    ]


@pytest.fixture(scope="module")
def laws():
    return sim.ScalingLaws.from_study(chinchilla(seed=0), ChinchillaLaw().space, resamples=RESAMPLES)


def holds(quantity, truth):
    return quantity.low <= truth <= quantity.high


def check_bar(found):
    """The bar of exponents on Chinchilla's law, for one study per seed."""
    truth = ChinchillaLaw().exponents
    for laws in found:
        assert abs(laws.exponents["parameters"].value - truth["parameters"]) < 0.02
        assert abs(laws.exponents["lr"].value - truth["lr"]) < 0.03
        assert laws.transfer()["lr"].outcome is Outcome.SHIFTS
    for name, value in truth.items():
        assert sum(holds(laws.exponents[name], value) for laws in found) >= 4


def test_exponents_of_random_trials_are_those_of_the_law(drifting):
    check_bar(drifting)


def test_the_frontier_is_the_laws(drifting):
    truth = ChinchillaLaw()
    inside = [holds(laws.predict(cost=1e4).value, truth.front(1e4)) for laws in drifting]
    assert sum(inside) >= 4
    for laws in drifting:
        assert laws.frontier.limit.value == pytest.approx(1.69, abs=0.05)
        assert laws.frontier.power.value == pytest.approx(0.34 * 0.28 / 0.62, abs=0.005)
        assert laws.frontier.value(1e3) == pytest.approx(truth.front(1e3), abs=0.02)
        assert laws.frontier.identified
        assert (
            laws.frontier.amplitude.value * 1e3** -laws.frontier.power.value + laws.frontier.limit.value
            == (pytest.approx(laws.frontier.value(1e3)))
        )


def test_without_drift_the_learning_rate_transfers():
    for seed in (0, 1):
        study = chinchilla(seed=seed, drift=0.0)
        laws = sim.ScalingLaws.from_study(study, ChinchillaLaw().space, resamples=RESAMPLES)
        assert laws.transfer()["lr"].outcome is Outcome.TRANSFERS
        assert laws.verdict.ok
        laws.raise_if_bad()


def test_the_naive_estimator_alone_would_be_far_off(drifting):
    """Why three stand side by side: the published regression over the Pareto set, on the same trials."""
    errors = {
        which: np.mean([abs(laws.by_estimator[which]["lr"].value + 0.2258) for laws in drifting])
        for which in ("naive", "surrogate", "parametric")
    }
    assert errors["parametric"] < errors["surrogate"] < errors["naive"]


@pytest.mark.slow
@pytest.mark.parametrize("drift", [-0.5, 0.0])
def test_the_bar_on_trials_of_our_sampler(drift):
    found = []
    for seed in SEEDS:
        problem = ChinchillaLaw(drift=drift)
        sampler = sim.CarbsSampler(problem.space, seed=seed, budget=sim.Budget(per_trial=problem.cap))
        study = optuna.create_study(sampler=sampler)
        for _ in continued(problem, study, seed=seed, trials=60):
            pass
        found.append(sim.ScalingLaws.from_study(study))
    if drift:
        check_bar(found)
    else:
        assert all(laws.transfer()["lr"].outcome is Outcome.TRANSFERS for laws in found)


@pytest.mark.slow
def test_units_and_order_change_nothing(laws):
    study, space = chinchilla(seed=0), ChinchillaLaw().space
    moved = sim.Space({name: space[name] for name in reversed(space.names)})
    other = sim.ScalingLaws.from_study(study, moved, resamples=RESAMPLES)
    for name, exponent in laws.exponents.items():
        # Candidates of the surrogate are drawn in another order; the law is the same up to rounding.
        assert other.exponents[name].value == pytest.approx(exponent.value, abs=2e-3)
    data = laws.history
    dearer = sim.ScalingLaws.from_history(replace(data, costs=1000 * data.costs), resamples=RESAMPLES)
    for name, exponent in laws.exponents.items():
        assert dearer.exponents[name].value == pytest.approx(exponent.value, abs=2e-3)
    assert dearer.predict(cost=1e7).value.value == pytest.approx(laws.predict(cost=1e4).value.value, abs=0.01)


def test_maximized_values_mirror_minimized_ones(laws):
    data = laws.history
    up = sim.ScalingLaws.from_history(replace(data, values=-data.values, minimize=False), resamples=RESAMPLES)
    for name, exponent in laws.exponents.items():
        assert up.exponents[name].value == pytest.approx(exponent.value, abs=0.01)
    assert up.predict(cost=1e4).value.value == pytest.approx(-laws.predict(cost=1e4).value.value, abs=0.02)
    assert up.frontier.limit.value == pytest.approx(-1.69, abs=0.1)
    assert up.frontier.value(1e3) < up.frontier.value(1e4)


def test_equal_seeds_give_equal_laws(laws):
    again = sim.ScalingLaws.from_history(laws.history, resamples=RESAMPLES)
    assert again.to_dict() == laws.to_dict()
    other = sim.ScalingLaws.from_history(laws.history, resamples=RESAMPLES, seed=1)
    assert other.exponents["lr"].interval != laws.exponents["lr"].interval


def test_predictions_beyond_the_data_say_so_and_widen(laws):
    near, far = laws.predict(cost=1e3), laws.predict(cost=1e6)
    assert near.decades == 0
    assert far.decades == pytest.approx(6 - log10(laws.history.costs.max()))
    assert far.value.width > near.value.width
    assert far.value.value < near.value.value
    width = [math.log10(p.intervals["tokens"][1] / p.intervals["tokens"][0]) for p in (near, far)]
    assert width[1] > width[0]
    assert any("parameters is held at its bound" in note for note in far.notes)
    assert far.values["parameters"] == 1e9
    assert any("decades beyond" in note for note in far.notes)
    assert laws.predict(cost=1e-3).decades < 0
    for name, value in near.values.items():
        low, high = near.intervals[name]
        assert low < value < high
    assert any("the value is the law's, without the bound" in note for note in far.notes)
    assert not any("without the bound" in note for note in near.notes)
    for cost in (0.0, -1.0, math.inf, math.nan, True, "10"):
        with pytest.raises(TuningError, match="finite cost above 0"):
            laws.predict(cost=cost)


def test_the_split_adds_up(laws):
    split = laws.split
    assert set(split.exponents) == {"parameters", "tokens"}
    assert split.cost_powers["parameters"] == pytest.approx(1, abs=0.02)
    assert holds(split.total, 1.0) or split.total.value == pytest.approx(1, abs=1e-6)


def test_the_backtest_predicts_the_dearest_decade(laws):
    test = laws.backtest()
    assert test.verdict.ok
    assert test.kept + test.held_out == len(laws.history.values)
    assert test.held_out == (laws.history.costs > laws.history.costs.max() / 10).sum()
    assert abs(test.predicted.value - ChinchillaLaw().front(test.cost)) < 0.05
    assert max(abs(step) for step in test.steps.values()) < 0.2
    assert set(json.loads(json.dumps(test.to_dict()))) >= {"predicted", "found", "error", "verdict"}


def test_a_frontier_that_breaks_fails_the_backtest():
    """Losses fall as a power of the cost up to 30, and no further: no law of the cheap trials can know."""
    space = sim.Space(n=sim.Log(1.0, role="scale"), lr=sim.Log(1.0))
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(80):
        n, lr = rng.uniform(-1, 3), rng.normal()
        loss = 1 + 10 ** (-0.5 * min(n, 1.5)) + 0.3 * lr**2 + 0.005 * rng.standard_normal()
        rows.append(({"n": 10**n, "lr": 10**lr}, loss, 10**n))
    test = sim.ScalingLaws.from_history(history(space, rows), resamples=RESAMPLES).backtest()
    assert test.predicted.value < test.found.value
    assert not test.verdict.ok


def test_json_goes_there_and_back(laws, tmp_path):
    path = laws.save(tmp_path / "deep" / "laws.json")
    back = sim.ScalingLaws.load(path)
    assert back.to_dict() == laws.to_dict()
    assert back.predict(cost=1e5) == laws.predict(cost=1e5)
    json.dumps(laws.to_dict(), allow_nan=False)
    path.write_text("{}")
    with pytest.raises(TuningError, match="no file of scaling laws"):
        sim.ScalingLaws.load(path)
    with pytest.raises(TuningError, match="cannot be read"):
        sim.ScalingLaws.load(tmp_path / "none.json")


def shown(laws, *, width):
    file = io.StringIO()
    Console(file=file, width=width).print(laws)
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_says_it_all(laws, width):
    text = shown(laws, width=width)
    for words in ("parametric*", "surrogate", "naive", "shifts", "Frontier", "Backtest", "Believe", "100x"):
        assert words in text
    assert max(map(len, text.splitlines())) <= width


def test_any_study_with_costs_will_do():
    """Conditional and unordered dimensions, one that does not vary, and costs in seconds of a function."""
    space = sim.Space(
        width=sim.Log(64, integer=True, role="scale"),
        optimizer=sim.Choice("sgd", "adam"),
        lr=sim.Log(0.1, role="transfer"),
        momentum=sim.Logit(0.9, when={"optimizer": "sgd"}),
        eps=sim.Log(1e-8, role="transfer"),
    )
    rng = np.random.default_rng(0)
    study = optuna.create_study()
    for _ in range(70):
        values = space.values_at(
            np.r_[rng.uniform(-1.2, 1.2), rng.integers(2), rng.uniform(-1.2, 1.2, 2), 0.0]
        )
        lr, width = log10(values["lr"]), values["width"]
        loss = 0.5 + 3 * width**-0.5 + 0.3 * (lr + 1.2) ** 2 + 0.15 * (values["optimizer"] == "sgd")
        if "momentum" in values:
            loss += 0.2 * (log10(values["momentum"] / (1 - values["momentum"])) - 1.2) ** 2
        distributions = {name: space[name].distribution() for name in values}
        trial = optuna.trial.create_trial(
            params=values, distributions=distributions, value=loss + 0.005 * rng.standard_normal()
        )
        study.add_trial(trial)
    laws = sim.ScalingLaws.from_study(
        study, space, cost=lambda values: values["width"] ** 2, resamples=RESAMPLES
    )
    assert laws.exponents["width"].value == pytest.approx(0.5, abs=1e-6)  # one size: the cost alone says it
    assert laws.frontier.power.value == pytest.approx(0.25, abs=0.03)
    assert laws.exponents["lr"].value == pytest.approx(0.0, abs=0.03)
    assert not laws.exponents["eps"].identified
    assert laws.transfer()["eps"].outcome is Outcome.CANNOT_TELL
    assert laws.verdict.outcome is Outcome.CANNOT_TELL
    best = laws.predict(cost=1e4)
    assert best.values["optimizer"] == "adam"
    assert best.values["width"] == pytest.approx(100, abs=1)
    assert "momentum" not in best.values
    assert any("eps hardly varied" in note for note in laws.notes)
    assert "not identified" in shown(laws, width=100)
    json.dumps(laws.to_dict(), allow_nan=False)


def test_without_roles_sizes_are_what_the_cost_goes_with():
    space = sim.Space({name: replace(dim, role="free") for name, dim in ChinchillaLaw().space.items()})
    laws = sim.ScalingLaws.from_study(chinchilla(seed=0), space)
    assert laws.exponents["parameters"].value == pytest.approx(0.4516, abs=0.02)
    assert laws.transfer() == {}
    assert laws.split.exponents == {}
    assert laws.verdict.ok


def test_an_estimator_may_be_asked_for(laws):
    asked = sim.ScalingLaws.from_history(laws.history, estimator="surrogate", resamples=RESAMPLES)
    assert asked.estimator == "surrogate"
    assert asked.exponents == asked.by_estimator["surrogate"]
    assert asked.reason == "you asked for it"
    with pytest.raises(TuningError, match="the estimators are parametric, surrogate, naive"):
        sim.ScalingLaws.from_history(laws.history, estimator="best")
    with pytest.raises(TuningError, match="at least 20"):
        sim.ScalingLaws.from_history(laws.history, resamples=5)


def test_few_trials_are_an_error_or_wide_intervals(laws):
    data = laws.history

    def some(n):
        part = slice(0, n)
        return replace(
            data,
            points=data.points[part],
            values=data.values[part],
            costs=data.costs[part],
            numbers=data.numbers[part],
        )

    with pytest.raises(TuningError, match="at least 15") as error:
        sim.ScalingLaws.from_history(some(14))
    assert isinstance(error.value, NotEnoughEvidenceError)  # more trials would do: the exit code of commands
    few = sim.ScalingLaws.from_history(some(15), resamples=RESAMPLES)
    assert few.exponents["lr"].width > laws.exponents["lr"].width
    with pytest.raises(TuningError, match="a backtest needs 15"):
        few.backtest()
    assert "none: Without the dearest decade" in shown(few, width=200)


@pytest.mark.parametrize("noise", [pytest.param(0.0, marks=pytest.mark.slow), 0.1])
def test_losses_that_depend_on_nothing_identify_nothing(laws, noise):
    """Priors give exponents to noise, and resamples agree on them: their spread alone would call them known."""
    data = laws.history
    values = 2 + noise * np.random.default_rng(0).standard_normal(len(data.values))
    found = sim.ScalingLaws.from_history(replace(data, values=values), resamples=RESAMPLES)
    assert not any(exponent.identified for exponent in found.exponents.values())
    assert "predicted no better" in found.notes[-1]
    assert not found.frontier.identified
    assert found.transfer()["lr"].outcome is Outcome.CANNOT_TELL
    assert "nothing in" in found.transfer()["lr"].summary
    assert found.verdict.outcome is Outcome.CANNOT_TELL
    assert found.predict(cost=1e6).intervals["lr"] == (0.0, math.inf)
    assert found.backtest().verdict.outcome is Outcome.TOO_NOISY
    assert "is not identified" in shown(found, width=140)
    back = sim.ScalingLaws.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert back.exponents.keys() == found.exponents.keys()
    assert not back.exponents["lr"].identified


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_losses_in_any_unit_have_the_same_laws(laws, unit):
    data = laws.history
    found = sim.ScalingLaws.from_history(replace(data, values=unit * data.values), resamples=RESAMPLES)
    assert found.estimator == laws.estimator
    for name, exponent in laws.exponents.items():
        assert found.exponents[name].interval == pytest.approx(exponent.interval, abs=1e-6)
    for cost in (1e4, 1e6):
        scaled = found.predict(cost=cost).value
        assert scaled.value == pytest.approx(unit * laws.predict(cost=cost).value.value, rel=1e-6)


def test_repeated_and_tied_trials_are_no_trouble(laws):
    data = laws.history
    twice = History(
        space=data.space,
        points=np.repeat(data.points, 2, 0),
        values=np.repeat(data.values, 2),
        costs=np.repeat(data.costs, 2),
        numbers=np.arange(2 * len(data.values)),
    )
    found = sim.ScalingLaws.from_history(twice, resamples=RESAMPLES)
    for name, exponent in laws.exponents.items():
        assert found.exponents[name].value == pytest.approx(exponent.value, abs=0.01)


def test_a_cost_that_no_trial_tells_is_said():
    space = sim.Space(n=sim.Log(1.0, role="scale"))
    study = optuna.create_study()
    start = datetime.datetime(2020, 1, 1)
    for k in range(20):
        trial = optuna.trial.create_trial(
            params={"n": 1.2**k},
            distributions=space.distributions(),
            value=1.2**-k,
            user_attrs={"flop": 1.44**k},
        )
        trial.datetime_start, trial.datetime_complete = start, start + datetime.timedelta(seconds=1.2**k)
        study.add_trial(trial)
    with pytest.raises(
        TuningError, match="cost='flops': no finished trial has this attribute; they have 'flop'"
    ):
        sim.ScalingLaws.from_study(study, space, cost="flops")
    told = sim.ScalingLaws.from_study(study, space, cost="flop", resamples=RESAMPLES)
    assert told.exponents["n"].value == pytest.approx(0.5, abs=0.01)
    seconds = sim.ScalingLaws.from_study(study, space, resamples=RESAMPLES)
    assert seconds.notes[0] == "No trial tells its cost by the attribute 'cost': costs are measured seconds."
    assert seconds.exponents["n"].value == pytest.approx(1.0, abs=0.01)
    assert not any("seconds" in note for note in told.notes)


def test_wrong_arguments_are_said(laws, tmp_path):
    study, space = chinchilla(seed=0), ChinchillaLaw().space
    for arguments, words in (
        (("study", space), "str is no study"),
        ((study, {"lr": 1}), "is no space"),
    ):
        with pytest.raises(TuningError, match=words):
            sim.ScalingLaws.from_study(*arguments)
    for given in ({"resamples": 20.5}, {"resamples": "50"}, {"seed": "a"}):
        with pytest.raises(TuningError, match="no whole number"):
            sim.ScalingLaws.from_study(study, space, **given)
    with pytest.raises(TuningError, match="these laws have parametric, surrogate, naive"):
        laws.frontier_of("best")
    (tmp_path / "file").write_text("")
    with pytest.raises(TuningError, match="cannot be written"):
        laws.save(tmp_path / "file" / "laws.json")


def test_one_dimension_is_enough():
    space = sim.Space(n=sim.Log(1.0, role="scale"))
    rng = np.random.default_rng(0)
    rows = [(v := drawn(space, rng), 1 + v["n"] ** -0.3, v["n"] ** 2) for _ in range(40)]
    laws = sim.ScalingLaws.from_history(history(space, rows), resamples=RESAMPLES)
    assert laws.exponents["n"].value == pytest.approx(0.5, abs=1e-3)
    assert laws.frontier.power.value == pytest.approx(0.15, abs=0.01)


def test_the_paper_is_cited():
    assert [citation.paper.number for citation in cite(sim.ScalingLaws)] == [10]
