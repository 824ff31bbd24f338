"""The limit of a vanishing initialization: against the closed form of one feature, right and wrong rules, odd scales."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from similitude.core.errors import TheoryError
from similitude.core.verdict import Outcome
from similitude.theory import (
    AlternatingGradientFlow,
    diagonal_linear,
    linear,
    linear_transformer,
    modular_addition,
    own_problem,
)

pytestmark = pytest.mark.filterwarnings("error")


def test_one_feature_comes_as_the_closed_form_says():
    """With weight m, targets' loss F = (1 - m)^2 / 2 and m a logistic function of 2 t, drawn until 1.15 log(1 / alpha).

    The loss is above its middle for m < s = 1 - 1 / sqrt(2). With dm = m (1 - m) 2 dt, what is missing before is the
    integral of (2 m - m^2) / (m (1 - m)), and after that of (1 - m)^2 / (m (1 - m)).
    """
    s = 1 - 1 / math.sqrt(2)
    before, after = s - math.log(1 - s), -math.log(s) - (1 - s)
    agf = AlternatingGradientFlow(diagonal_linear([[1.0]], [1.0]))
    found = agf.vanishing((1e-12, 1e-24, 1e-48))
    assert found.least == pytest.approx((before + after) / (2 * 1.15) * found.small, rel=2e-3)
    assert (found.differences >= found.least).all()
    assert found.differences == pytest.approx(found.least, rel=0.02)
    assert found.halving == pytest.approx(0.5, abs=0.01)
    assert found.verdict.ok


def test_a_right_rule_vanishes_and_a_wrong_one_does_not():
    Sxx = np.diag([2.0, 0.3])
    cross = np.diag([1.5, 4.5]) @ Sxx
    right, wrong = (
        AlternatingGradientFlow(linear(Sxx, cross, rule=rule)).vanishing((1e-4, 1e-8, 1e-16), points=2000)
        for rule in ("modes", "sequential")
    )
    assert right.verdict.ok
    assert right.exponent == pytest.approx(1, abs=0.15)
    assert right.same_order == (True, True, True)
    assert right.time_errors[2] < 0.3 * right.time_errors[0]
    assert wrong.verdict.outcome is Outcome.INCONSISTENT
    assert "another order" in wrong.verdict.summary
    data = json.loads(json.dumps(wrong.to_dict(), allow_nan=False))
    assert data["alphas"] == [1e-4, 1e-8, 1e-16]
    assert data["verdict"]["causes"]


def test_neurons_of_degree_3_come_closer_with_alpha_itself():
    problem = linear_transformer(np.diag([1.0, 0.4]), 16, heads=3, seed=1)
    found = AlternatingGradientFlow(problem).vanishing((1e-2, 1e-4, 1e-3))
    assert found.small.tolist() == pytest.approx([1e-2, 1e-3, 1e-4])
    assert found.exponent > 0.8
    assert found.verdict.ok


@pytest.mark.parametrize(
    "problem",
    [
        diagonal_linear(np.eye(2), [1.0, 2.0]),
        linear(np.eye(2), np.eye(2), seed=3),
        linear_transformer(np.eye(2), 4, seed=3),
        modular_addition(np.eye(5)[0] - 0.2, seed=3),
    ],
)
def test_at_another_scale_it_is_the_problem_of_that_scale(problem):
    smaller = problem.at(1e-5)
    assert smaller.small == 1e-5
    assert smaller.start == pytest.approx(problem.start * (1e-5 / problem.small))
    assert smaller.loss(smaller.start) == pytest.approx(problem.loss(0 * problem.start))
    assert type(problem).__name__ in repr(type(smaller))
    assert problem.at(problem.small).start == pytest.approx(problem.start)


def test_utility_and_cost_of_one_s_own_have_a_limit_too():
    problem = own_problem(
        lambda n, active: n.prod(1) * (3 - active.prod(1).sum()),
        lambda n: (3 - n.prod(1).sum()) ** 2 / 2,
        start=[[1e-6, 2e-6], [1e-6, -1e-6]],
        degree=2,
    )
    found = AlternatingGradientFlow(problem).vanishing((1e-6, 1e-12, 1e-24), points=1000)
    assert found.verdict.ok
    assert found.halving == pytest.approx(0.5, abs=0.05)


def test_scales_that_do_not_fit_are_named():
    agf = AlternatingGradientFlow(diagonal_linear(np.eye(2), [1.0, 2.0]))
    with pytest.raises(TheoryError, match="needs two different scales"):
        agf.vanishing((1e-6, 1e-6))
    with pytest.raises(TheoryError, match="alpha=2"):
        agf.vanishing((1e-6, 2.0))
    with pytest.raises(TheoryError, match="alpha='small'"):
        agf.vanishing(("small", 1e-3))  # type: ignore[arg-type]
    with pytest.raises(TheoryError, match="below what double precision holds"):
        agf.vanishing((1e-6, 1e-200))
    with pytest.raises(TheoryError, match="no drop is predicted"):
        AlternatingGradientFlow(diagonal_linear(np.eye(2), np.zeros(2))).vanishing()
    for make in (
        lambda alpha: diagonal_linear(np.eye(2), [1.0, 2.0], alpha=alpha),
        lambda alpha: linear(np.eye(2), np.eye(2), alpha=alpha),
        lambda alpha: linear_transformer(np.eye(2), 4, alpha=alpha),
        lambda alpha: modular_addition(np.eye(5)[0] - 0.2, alpha=alpha),
    ):
        for alpha in ("x", None, math.nan, 0, True, 1e-200):
            with pytest.raises(TheoryError):
                make(alpha)
