"""Comparisons of a staircase with runs that are made up, and joined drops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.core.verdict import Outcome
from similitude.theory import AlternatingGradientFlow, Staircase, linear
from similitude.theory.gradient_flows.comparison import compare_runs
from similitude.theory.gradient_flows.trajectory import Trajectory
from similitude.training.result import RunResult

STAIRS = Staircase(
    np.array([0.0, 10.0, 30.0]),
    np.array([4.0, 1.0, 0.0]),
    np.array([[0, 0], [1, 0], [1, 1.0]]),
    (0, 1),
    ("a", "b"),
)
TIMES = np.linspace(0, 60, 601)


def made_up(first=10.0, second=30.0, middle=1.0):
    return np.select([first > TIMES, second > TIMES], [4.0, middle], 0.0)


def compared(run, **options):
    return compare_runs(STAIRS, run, **{"lr": None, "time": 0.1, "size": 0.05, **options})


def test_a_run_as_predicted_agrees():
    found = compared((TIMES, made_up()))
    assert found.verdict.outcome is Outcome.CONSISTENT
    assert [drop.measured_time for drop in found.drops] == pytest.approx([10, 30], abs=0.1)
    assert [drop.measured_size for drop in found.drops] == [3.0, 1.0]
    assert found.mean_difference < 0.01
    assert found.same_order is None


@pytest.mark.parametrize("change", [{"first": 12.0}, {"second": 50.0}, {"middle": 1.4}])
def test_times_and_sizes_are_judged(change):
    found = compared((TIMES, made_up(**change)))
    assert found.verdict.outcome is Outcome.INCONSISTENT
    assert found.verdict.causes


def test_features_in_another_order_disagree():
    late, early = np.clip((TIMES[:, None] - [30, 10]) * 10, 0, 1).T
    right = compared(Trajectory(TIMES, made_up(), np.column_stack([early, late])))
    wrong = compared(Trajectory(TIMES, made_up(), np.column_stack([late, early])))
    assert right.same_order is True
    assert right.verdict.ok
    assert wrong.same_order is False
    assert "another order" in wrong.verdict.summary


def test_a_run_that_ends_early_cannot_tell():
    early = TIMES < 8
    found = compared((TIMES[early], made_up()[early]))
    assert found.verdict.outcome is Outcome.CANNOT_TELL
    assert "the first drop is predicted for 10" in found.verdict.summary


def test_plain_gradient_descent_by_steps_is_compared_by_its_rate():
    problem = linear(np.eye(3), np.diag([2.0, 1.0, 0.5]), width=6, alpha=1e-6)
    agf = AlternatingGradientFlow(problem)
    rows, lr, losses = torch.from_numpy(problem.start), 0.02, []
    target = torch.diag(torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64))
    for _ in range(2000):
        rows = rows.detach().requires_grad_()
        loss = ((rows[:, :3].T @ rows[:, 3:] - target) ** 2).sum() / 2
        losses.append(loss.item())
        rows = rows - lr * torch.autograd.grad(loss, rows)[0]
    for run in (np.array(losses), RunResult(np.array(losses), None)):
        found = agf.compare(run, lr=lr)
        assert found.verdict.ok, str(found.verdict)
        assert found.to_dict()["drops"][0]["learned"] == "mode 1"


def test_drops_that_learn_the_same_are_joined():
    many = Staircase(
        np.array([0.0, 1.0, 2.0, 3.0, 9.0]),
        np.array([4.0, 3.0, 2.0, 1.0, 0.999]),
        np.zeros((5, 2)),
        (0, 0, 0, 1),
        ("a", "b"),
        notes=("kept",),
        alternative=STAIRS,
    )
    joined = many.merged()
    assert joined.times.tolist() == [0.0, 2.0]
    assert joined.levels.tolist() == [4.0, 1.0]
    assert joined.learned == ("a",)
    assert joined.to_dict()["alternative"]["order"] == [0, 1]
    assert len(many.merged(least=1e-4).order) == 2


def test_wrong_runs_are_named():
    with pytest.raises(TheoryError, match="losses by step and no times"):
        compared(made_up())
    with pytest.raises(TheoryError, match="lr would change nothing"):
        compared((TIMES, made_up()), lr=0.1)
    with pytest.raises(TheoryError, match="601 times and 3 losses"):
        compared((TIMES, [1.0, 2.0, 3.0]))
    with pytest.raises(TheoryError, match="not finite"):
        compared(np.array([1.0, np.nan]), lr=0.1)
    with pytest.raises(TheoryError, match="time=0"):
        compared((TIMES, made_up()), time=0)
