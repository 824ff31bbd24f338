"""The general loop on problems of one's own: agreement with gradient flow, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from similitude.core.citation import cite
from similitude.core.errors import TheoryError
from similitude.theory import (
    AlternatingGradientFlow,
    linear,
    linear_transformer,
    own_problem,
    two_layer_problem,
)
from similitude.theory.gradient_flows import cost, dormant
from similitude.theory.gradient_flows.cost import minimize_cost


def relu(neurons, x):
    return neurons[:, :1] * torch.relu(neurons[:, 1:] @ x.T)


def two_tasks(alpha=1e-8):
    """Two ReLU neurons that each fit one of two orthogonal inputs, targets 3 and 1."""
    start = alpha * np.array([[1.0, 1.0, -0.02], [1.0, -0.03, 1.0]])
    return two_layer_problem(relu, np.eye(2), [3.0, 1.0], start=start, degree=2)


def test_neurons_that_share_nothing_are_learned_one_by_one():
    agf = AlternatingGradientFlow(two_tasks())
    stairs = agf.run()
    assert stairs.learned == ("neuron 0", "neuron 1")
    assert stairs.levels == pytest.approx([2.5, 0.25, 0.0], abs=1e-6)
    # u' = t v / 2 and v' = t u / 2 for target t and two samples: norms grow at the rate t / 2.
    assert stairs.times[1:] / stairs.clock == pytest.approx([2 / 3, 2.0], rel=0.02)
    assert agf.compare(agf.flow()).verdict.ok


def test_neurons_slide_along_a_kink(monkeypatch):
    """The second sample pushes a ReLU neuron out of its half-plane, the first pushes it back in.

    It slides along the edge, where it sees 0.8 of the first alone: its norm grows at the rate 2 * 0.8 / 2, once it has
    turned. Plain gradient descent in small steps crosses the kink to and fro.
    """
    monkeypatch.setattr(dormant, "_SMOOTH", 600)
    monkeypatch.setattr(cost, "_STEPS", 200)
    X, y, start = np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([2.0, -3.0]), np.array([1.0, 0.8, -0.5])
    problem = two_layer_problem(relu, X, y, start=[1e-8 * start], degree=2)
    stairs = AlternatingGradientFlow(problem).run()
    assert "active neurons stick to a kink" in stairs.notes[0]
    assert stairs.times[1] == pytest.approx(problem.clock / 0.8, rel=0.02)
    lr, theta, steps = 5e-3, start, 0
    while np.linalg.norm(1e-8 * theta) < 1:
        hidden = np.maximum(X @ theta[1:], 0)
        pull = (y - 1e-16 * theta[0] * hidden) / 2 * (hidden > 0)
        theta = theta + lr * np.concatenate([[pull @ hidden], theta[0] * pull @ X])
        steps += 1
    assert steps * lr == pytest.approx(stairs.times[1], rel=0.02)


def test_neurons_that_do_not_get_along_a_kink_are_named(monkeypatch):
    monkeypatch.setattr(dormant, "_SMOOTH", 10)
    monkeypatch.setattr(dormant, "_MOST", 50)
    with pytest.raises(TheoryError, match="stick to a kink of their utility"):
        AlternatingGradientFlow(two_tasks()).run()


def test_utility_and_cost_of_one_s_own_are_the_instance():
    """A linear transformer written by hand gives the staircase of `linear_transformer`."""
    sigma, N = np.diag([1.0, 0.6]), 8
    instance = linear_transformer(sigma, N, heads=3, alpha=1e-3, seed=3)
    S = torch.from_numpy(sigma)
    Q = N * (N + 1) * S @ S + N * S.trace() * S

    def gains(n):
        return n[:, :1, None] * n[:, 1:3, None] * n[:, None, 3:]

    def utility(n, active):
        G = N * S @ S - S @ gains(active).sum(0) @ Q
        return (gains(n) * G).sum((1, 2))

    def own_cost(n):
        A = gains(n).sum(0)
        return (S.trace() - 2 * N * (S @ A @ S).trace() + (S @ A @ Q @ A.T).trace()) / 2

    own = AlternatingGradientFlow(own_problem(utility, own_cost, start=instance.start, degree=3)).run()
    assert own.times == pytest.approx(AlternatingGradientFlow(instance).run().times, rel=1e-5)
    assert own.levels == pytest.approx(AlternatingGradientFlow(instance).run().levels, abs=1e-7)


def test_the_cost_step_stops_at_the_saddle():
    """One neuron that could learn either of two modes, near the weaker one, ends there; far from it, at the stronger."""
    problem = linear(np.eye(2), np.diag([1.0, 3.0]), width=1)
    for rest, level in ((1e-6, 9 / 2), (0.5, 1 / 2)):
        at = np.array([[0.7, rest, 0.7, rest]])
        ended, done = minimize_cost(problem, at, np.array([True]), horizon=1e9)
        assert done
        assert problem.loss(ended) == pytest.approx(level, abs=1e-3)


def test_nothing_to_learn_has_no_drops():
    start = 1e-3 * np.ones((2, 3))
    agf = AlternatingGradientFlow(two_layer_problem(relu, np.eye(2), np.zeros(2), start=start, degree=2))
    assert agf.run().order == ()
    with pytest.raises(TheoryError, match="no drop is predicted"):
        agf.flow()
    assert agf.compare(agf.flow(10.0)).verdict.undecided


def test_a_time_limit_ends_the_run():
    stairs = AlternatingGradientFlow(two_tasks(), until=20.0).run()
    assert stairs.learned == ("neuron 0",)


def test_contradictions_are_named():
    start = 1e-3 * np.ones((2, 3))
    with pytest.raises(
        TheoryError, match="twice as large is 4 times as large, and of degree 3 it would be 8"
    ):
        two_layer_problem(relu, np.eye(2), np.ones(2), start=start, degree=3)
    with pytest.raises(TheoryError, match="utility and cost contradict each other"):
        own_problem(lambda n, a: n[:, 0] * n[:, 1], lambda n: n.square().sum(), start=start, degree=2)
    with pytest.raises(TheoryError, match=r"utility returns shape \(\)"):
        own_problem(lambda n, a: n.square().sum(), lambda n: n.sum(), start=start, degree=2)
    with pytest.raises(TheoryError, match=r"cost returns shape \(2, 3\)"):
        own_problem(lambda n, a: n[:, 0] * n[:, 1], lambda n: n, start=start, degree=2)
    with pytest.raises(TheoryError, match=r"neuron returns shape \(2,\) for 2 neurons"):
        two_layer_problem(lambda n, x: n.sum(1), np.eye(2), np.ones(2), start=start, degree=2)
    with pytest.raises(TheoryError, match="1 names for 2 neurons"):
        own_problem(lambda n, a: n[:, 0], lambda n: n.sum(), start=start, degree=2, names=["one"])


def test_starts_that_are_not_small_are_refused():
    with pytest.raises(TheoryError, match="degree=1: below 2"):
        two_layer_problem(relu, np.eye(2), np.ones(2), start=1e-3 * np.ones((2, 3)), degree=1)
    with pytest.raises(TheoryError, match="neuron 1 starts at zero"):
        two_layer_problem(relu, np.eye(2), np.ones(2), start=[[1e-3] * 3, [0] * 3], degree=2)
    with pytest.raises(TheoryError, match="no small initialization"):
        AlternatingGradientFlow(two_tasks(alpha=0.3), threshold=0.2)
    with pytest.raises(TheoryError, match="threshold=-1"):
        AlternatingGradientFlow(two_tasks(), threshold=-1)
    with pytest.raises(TheoryError, match="problem is a list"):
        AlternatingGradientFlow([1])  # type: ignore[arg-type]
    with pytest.raises(TheoryError, match="until=0"):
        AlternatingGradientFlow(two_tasks(), until=0)
    with pytest.raises(TheoryError, match="points=1"):
        AlternatingGradientFlow(two_tasks()).flow(3.0, points=1)


def test_it_cites_its_paper():
    assert [citation.paper.number for citation in cite(AlternatingGradientFlow)] == [4]
