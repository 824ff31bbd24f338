"""Problems with a known frontier: the frontier against brute force, noise, failures, and the training against torch."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from similitude.tuning.problems.chinchilla import ChinchillaLaw
from similitude.tuning.problems.digits import DigitsTraining, gigaflops, train_digits
from similitude.tuning.problems.on_policy import OnPolicyLearning
from similitude.tuning.problems.problem import Problem

LAW, AGENT, DIGITS = ChinchillaLaw(), OnPolicyLearning(), DigitsTraining()


@pytest.mark.parametrize("problem", [LAW, AGENT, DIGITS], ids=lambda p: p.name)
def test_a_problem_is_one(problem):
    assert isinstance(problem, Problem)
    found = problem.evaluate(problem.space.center, np.random.default_rng(0))
    assert found.failure is None
    assert 0 < found.cost < problem.cap
    fronts = [problem.front(cost) for cost in np.geomspace(*problem.costs, 30)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(fronts))
    assert fronts[0] <= problem.worst


def test_the_best_of_a_grid_is_the_frontier_of_the_law():
    n, d = np.meshgrid(np.geomspace(1e6, 1e9, 1201), np.geomspace(1e7, 1e11, 1201))
    loss = 1.69 + 406.4 * n**-0.34 + 410.7 * d**-0.28
    for cost in (0.2, 30.0, 1e4, 1e6):
        assert LAW.front(cost) == pytest.approx(loss[6 * n * d / 1e15 <= cost].min(), rel=2e-3)


def test_the_best_learning_rate_is_the_best_and_the_exponents_are_those_of_the_best_configurations():
    values = {"parameters": 1e8, "tokens": 1e9}
    losses = {lr: LAW.truth({**values, "lr": lr}, math.nan) for lr in np.geomspace(1e-4, 1e-1, 3001)}
    assert min(losses, key=losses.__getitem__) == pytest.approx(LAW.best_lr(1e8), rel=0.01)
    best = []
    for cost in (1e2, 1e4):
        n = np.geomspace(1e6, 1e9, 200_001)
        loss = 1.69 + 406.4 * n**-0.34 + 410.7 * (cost * 1e15 / 6 / n) ** -0.28
        best.append(n[loss.argmin()])
    assert math.log10(best[1] / best[0]) / 2 == pytest.approx(LAW.exponents["parameters"], abs=1e-3)
    drift = math.log10(LAW.best_lr(best[1]) / LAW.best_lr(best[0])) / 2
    assert drift == pytest.approx(LAW.exponents["lr"], abs=1e-3)
    assert LAW.exponents["lr"] == pytest.approx(-0.2258, abs=1e-4)
    assert ChinchillaLaw(drift=0.0).exponents["lr"] == 0


def test_units_change_the_numbers_that_the_user_sees_and_nothing_else():
    other = ChinchillaLaw(units=(1e6, 1e9, 1e-3))
    point = np.array([0.5, 1.0, -0.5])
    here, there = LAW.space.values_at(point), other.space.values_at(point)
    assert there["parameters"] == pytest.approx(here["parameters"] / 1e6)
    found = [p.evaluate(v, np.random.default_rng(3)) for p, v in ((LAW, here), (other, there))]
    assert found[0].value == pytest.approx(found[1].value, rel=1e-12)
    assert found[0].cost == pytest.approx(found[1].cost, rel=1e-12)


@pytest.mark.parametrize(
    ("problem", "value_sd"), [(LAW, 0.01), (AGENT, math.hypot(0.02, 0.2 * math.sqrt(0.05 * 0.95)))]
)
def test_noise_is_what_it_says(problem, value_sd):
    rng, values = np.random.default_rng(0), problem.space.center
    found = [problem.evaluate(values, rng) for _ in range(4000)]
    off = np.array([f.value for f in found]) - problem.truth(values, math.nan)
    assert off.std() == pytest.approx(value_sd, rel=0.08)
    assert np.log([f.cost for f in found]).std() == pytest.approx(0.05, rel=0.08)


def test_a_trial_that_is_too_dear_is_killed_at_the_cap():
    found = LAW.evaluate({"parameters": 1e9, "tokens": 1e11, "lr": 1e-3}, np.random.default_rng(0))
    assert (found.failure, found.cost) == ("cap", LAW.cap)
    assert math.isnan(found.value)
    found = DIGITS.evaluate(
        {"lr": 0.1, "momentum": 0.5, "width": 256, "steps": 3000}, np.random.default_rng(0)
    )
    assert (found.failure, found.cost) == ("cap", DIGITS.cap)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [({"environments": 1000, "epochs": 1}, "oom"), ({"lr": 0.05}, "diverged"), ({}, None)],
)
def test_an_agent_fails_for_its_reasons(changes, kind):
    values = AGENT.space.center | changes
    found = AGENT.evaluate(values, np.random.default_rng(0))
    assert found.failure == kind
    full = values["steps"] * (1 + 0.3 * values["epochs"]) / (2000 * values["environments"] ** 0.8)
    assert found.cost == pytest.approx(full * (0.05 if kind else 1.0), rel=0.25)


def test_random_agents_are_never_better_than_the_frontier():
    rng = np.random.default_rng(0)
    dims = {"lr": (-6, -1), "entropy": (-5, 0), "odds": (0, 4), "environments": (0.9, 3.3), "steps": (5, 9)}
    compared = 0
    for _ in range(3000):
        v = {name: 10 ** rng.uniform(*ends) for name, ends in dims.items()}
        odds = v.pop("odds")
        v |= {
            "discount": odds / (1 + odds),
            "environments": int(v["environments"]),
            "epochs": int(rng.integers(1, 11)),
        }
        if AGENT.evaluate(v, rng).failure is None:
            cost = v["steps"] * (1 + 0.3 * v["epochs"]) / (2000 * v["environments"] ** 0.8)
            assert AGENT.truth(v, math.nan) >= AGENT.front(cost) - 1e-9
            compared += 1
    assert compared > 500


def test_digits_are_trained_as_torch_trains_them():
    from sklearn.datasets import load_digits

    width, steps, lr, momentum = 5, 12, 0.3, 0.8
    rng = np.random.default_rng(4)
    found = train_digits(width, (steps,), np.array([lr]), np.array([momentum]), rng=rng)[0, 0]
    rng = np.random.default_rng(4)
    order = np.random.default_rng(0).permutation(1797)
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images[order] / 16), torch.tensor(labels[order])
    hidden, output = torch.nn.Linear(64, width).double(), torch.nn.Linear(width, 10).double()
    with torch.no_grad():
        hidden.weight.copy_(torch.tensor(rng.standard_normal((64, width)).T / 8))
        output.weight.copy_(torch.tensor(rng.standard_normal((width, 10)).T / math.sqrt(width)))
        for layer in (hidden, output):
            layer.bias.zero_()
    model = torch.nn.Sequential(hidden, torch.nn.Tanh(), output)
    sgd = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    for _ in range(steps):
        chosen = torch.tensor(rng.integers(0, 1200, 64))
        sgd.zero_grad()
        torch.nn.functional.cross_entropy(model(x[chosen]), y[chosen]).backward()
        sgd.step()
    with torch.no_grad():
        assert found == pytest.approx(
            float(torch.nn.functional.cross_entropy(model(x[1200:]), y[1200:])), rel=1e-9
        )


def test_networks_side_by_side_are_each_as_if_alone_and_divergence_is_told():
    rates, momenta = np.array([0.1, 0.5]), np.array([0.9, 0.5])
    both = train_digits(6, (5, 20), rates, momenta, rng=np.random.default_rng(0))
    for k in range(2):
        alone = train_digits(6, (5, 20), rates[k : k + 1], momenta[k : k + 1], rng=np.random.default_rng(0))
        assert both[:, k] == pytest.approx(alone[:, 0], rel=1e-9)
    found = DIGITS.evaluate({"lr": 1e308, "momentum": 0.5, "width": 4, "steps": 30}, np.random.default_rng(0))
    assert (found.failure, found.cost) == ("diverged", gigaflops(4, 30))


def test_the_frontier_of_the_digits_is_reached_by_its_own_settings():
    import csv
    from importlib import resources

    with resources.files("similitude.tuning.problems").joinpath("digits_front.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if float(row["gflop"]) < 0.1][::8]
    assert len(rows) > 3
    for row in rows:
        values = {"lr": float(row["lr"]), "momentum": float(row["momentum"])}
        values |= {"width": int(row["width"]), "steps": int(row["steps"])}
        found = [DIGITS.evaluate(values, np.random.default_rng(seed)).value for seed in range(8)]
        error = math.hypot(float(np.std(found, ddof=1)) / math.sqrt(8), float(row["standard_error"]))
        assert abs(np.mean(found) - float(row["loss"])) < 4.5 * error
