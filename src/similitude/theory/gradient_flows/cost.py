"""Cost minimization: active neurons follow gradient flow to where the loss next stands still."""

from __future__ import annotations

import numpy as np
from scipy.integrate import LSODA

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.gradient_flows.problem import Problem

Array = np.ndarray
_ACCURACY = 1e-7
_SETTLED = (
    1e-9  # of the initial loss: what the loss may still fall by at its present rate in the time gone by
)
_PASSED = 3.0  # by how much the loss speeds up again after a saddle
_SLOW = 1e-2  # of its fastest: how slowly the loss must have fallen for that to have been a saddle
_STEPS = 3_000  # smooth networks take less than 1,000; at a kink steps become ever shorter


@cites(4, "Algorithm 1: cost minimization")
def minimize_cost(problem: Problem, active: Array, awake: Array, *, horizon: float) -> tuple[Array, bool]:
    """Follow gradient flow of the active neurons alone, to a minimum or to the saddle that it slows down at first.

    It has to be a flow. Whatever takes larger steps (a quasi-Newton method) leaves the saddle that the network rests at,
    and predicts the next drop far too early. A saddle of the active neurons has directions that lead away from it and
    into which a little is always mixed; so the flow is stopped where it is slowest before it speeds up again.

    Args:
        problem: Its loss and push.
        active: Parameters, shape (H, P), rows of zeros for dormant neurons.
        awake: Which neurons are active, shape (H,).
        horizon: Longest time of the flow. As the initialization vanishes waits become endless; before, a slow drift along
            a valley that would take longer than dormant neurons take does not come to its end.

    Returns:
        Parameters of all neurons where it stopped, rows of zeros for dormant ones; and whether it was done: at a kink of
        the activation the flow takes too many steps, and is left where it is.

    Raises:
        TheoryError: The integration fails.
    """
    initial = problem.loss(np.zeros_like(active))

    def expand(state: Array) -> Array:
        neurons = np.zeros_like(active)
        neurons[awake] = state.reshape(-1, active.shape[1])
        return neurons

    def velocity(_: float, state: Array) -> Array:
        neurons = expand(state)
        return problem.push(neurons, neurons)[awake].ravel()

    state = active[awake].ravel()
    solver = LSODA(velocity, 0.0, state, horizon, rtol=_ACCURACY, atol=_ACCURACY * problem.small)
    fastest = slowest = float(np.sum(velocity(0.0, state) ** 2))
    best = state
    for _ in range(_STEPS):
        message = solver.step()
        if solver.status == "failed":
            raise TheoryError(
                f"active neurons could not be followed beyond t={solver.t:.3g}: {message}. Give inputs and targets of "
                "the order of 1."
            )
        fall = float(np.sum(velocity(solver.t, solver.y) ** 2))
        if fall >= fastest:
            fastest, slowest = fall, fall
        if fall <= slowest:
            slowest, best = fall, solver.y.copy()
        elif slowest < _SLOW * fastest and fall > _PASSED * slowest:
            break
        settled = fall < _SLOW * fastest and fall * solver.t <= _SETTLED * initial
        if settled or solver.status == "finished":
            best = solver.y.copy()
            break
    else:
        return expand(solver.y), False
    return expand(best), True
