"""Alternating gradient flows: dormant neurons maximize their utility, active ones minimize the cost, in turns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.gradient_flows.comparison import Comparison, Run, compare_runs
from similitude.theory.gradient_flows.cost import minimize_cost
from similitude.theory.gradient_flows.dormant import Dormant, accumulated, check_small, maximize_utility
from similitude.theory.gradient_flows.problem import Problem, small_scale
from similitude.theory.gradient_flows.staircase import Staircase
from similitude.theory.gradient_flows.vanishing import Vanishing, judge_vanishing

if TYPE_CHECKING:
    from similitude.theory.gradient_flows.trajectory import Trajectory

Array = np.ndarray
_RETURNED = 1e-2  # of the largest active norm, and of the threshold: below it a neuron may be back at zero
_UNSEEN = 1e-6  # of the initial loss: what the loss changes by without a neuron that has gone back to sleep
_HALVINGS = 100  # of the norm at which a neuron joins the active ones
_SEEN = 1e-7  # of the initial loss: a smaller drop is counted to the one before
_FAINT = 0.05  # of the largest feature: below this relative growth does not count
_LEARNED = 1e-8  # of the initial loss: nothing is left to learn
_PATIENCE = 1e3  # how many times the first wait, without `until`, the search for further drops lasts
_DRAWN = 1e-3  # of the initial loss: the last drop that gradient flow is simulated to by default
_BEYOND = 1.15  # how far past the last drop gradient flow is simulated by default


@cites(4, "Algorithm 1")
class AlternatingGradientFlow:
    """Predict the staircase of losses of a two-layer network that starts small.

    Near the origin neurons do not see each other. Each climbs its own utility, the correlation of its output with the
    residual, and grows at that rate; the first whose accumulated utility reaches its threshold becomes active and the
    loss drops, while all active neurons follow gradient flow to the next point of rest. There the residual is another
    one, and the rest of the neurons go on from where they are.

    Args:
        problem: `diagonal_linear`, `linear`, `linear_transformer`, `modular_addition`, or `own_problem` and
            `two_layer_problem` for utility and cost of one's own.
        threshold: Norm at which a neuron becomes active. As the initialization vanishes it does not matter.
        until: Time to stop at; by default what is left when nothing grows any more, or no drop comes for 10^3 times as
            long as the first took.
        numerical: Run the neurons even where the staircase has a closed form.

    Raises:
        TheoryError: A neuron starts at the threshold or above, or a number is out of range.

    Example:
        >>> from similitude.theory import diagonal_linear
        >>> X, y = np.sqrt(2) * np.eye(2), np.sqrt(2) * np.array([3.0, 1.0])
        >>> agf = AlternatingGradientFlow(diagonal_linear(X, y, alpha=1e-24))
        >>> agf.run().learned
        ('coordinate 0', 'coordinate 1')
        >>> agf.compare(agf.flow()).verdict.ok
        True

    Source: paper 4 (arXiv 2506.06489), Algorithm 1.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        threshold: float = 1.0,
        until: float | None = None,
        numerical: bool = False,
    ) -> None:
        if not isinstance(problem, Problem):
            raise TheoryError(
                f"problem is a {type(problem).__name__}. Pass what `similitude.theory.diagonal_linear`, `linear`, "
                "`linear_transformer`, `modular_addition`, `own_problem` or `two_layer_problem` returns."
            )
        check_small(problem, threshold)
        if until is not None and not until > 0:
            raise TheoryError(f"until={until}: pass a positive time, or leave it out.")
        self.problem, self.threshold, self.until, self.numerical = problem, float(threshold), until, numerical
        self._staircase: Staircase | None = None

    def run(self) -> Staircase:
        """Return the predicted staircase, in closed form where there is one; it is computed once.

        Raises:
            TheoryError: An integration fails.
        """
        if self._staircase is None:
            limit = None if self.numerical else self.problem.limit()
            self._staircase = self._alternate() if limit is None else limit
        return self._staircase

    def flow(self, until: float | None = None, *, points: int = 2000) -> Trajectory:
        """Simulate gradient flow of the same problem.

        Args:
            until: Time to stop at; by default 15 % past the last predicted drop.
            points: Times at which the loss is kept.

        Raises:
            TheoryError: No time was given and no drop is predicted, or the integration fails.
        """
        if until is None:
            last = float(self.run().merged(least=_DRAWN).times[-1])
            if not last > 0:
                raise TheoryError(
                    "no drop is predicted, so there is no time to simulate gradient flow to. Give until=..."
                )
            until = _BEYOND * last
        return self.problem.flow(until, points=points)

    def compare(
        self, run: Run, *, lr: float | None = None, time: float = 0.1, size: float = 0.05
    ) -> Comparison:
        """Compare order, time and size of every drop with a run of training.

        Args:
            run: What `flow` returned, times and losses, or the result of a run of `similitude.train`.
            lr: Learning rate of a run that has losses by step; time is steps times learning rate.
            time: Largest relative difference of times that counts as agreement.
            size: Largest difference of the sizes of a drop that counts as agreement, relative to the initial loss.

        Raises:
            TheoryError: The run has no times, or its numbers do not fit.
        """
        return compare_runs(self.run(), run, lr=lr, time=time, size=size)

    def vanishing(self, alphas: Sequence[float] = (1e-6, 1e-12, 1e-24), *, points: int = 4000) -> Vanishing:
        """Measure how gradient flow comes to the staircase as the initialization vanishes.

        At each alpha the same neurons start smaller in the same directions; staircase and gradient flow are compared
        until 15 % past the last predicted drop.

        Args:
            alphas: Scales of the initialization, two or more. Neurons of degree 3 wait for times of 1 / alpha: give them
                scales like 1e-2, 1e-3, 1e-4.
            points: Times at which each run's loss is kept.

        Raises:
            TheoryError: There are no two scales, a scale does not fit, or an integration fails.

        Example:
            >>> from similitude.theory import diagonal_linear
            >>> X, y = np.sqrt(2) * np.eye(2), np.sqrt(2) * np.array([3.0, 1.0])
            >>> found = AlternatingGradientFlow(diagonal_linear(X, y)).vanishing()
            >>> found.verdict.ok, round(found.halving, 1)
            (True, 0.5)

        Cost: as `run` and `flow` at each alpha.
        """
        scales = np.unique([small_scale(alpha) for alpha in alphas])[::-1]
        if len(scales) < 2:
            raise TheoryError(
                f"alphas={list(alphas)}: a limit needs two different scales, e.g. (1e-6, 1e-12)."
            )
        found = []
        for scale in scales:
            agf = AlternatingGradientFlow(
                self.problem.at(float(scale)),
                threshold=self.threshold,
                until=self.until,
                numerical=self.numerical,
            )
            found.append(agf.compare(agf.flow(points=points)))
        return judge_vanishing(scales, self.problem.degree, found)

    def _alternate(self) -> Staircase:
        problem, degree = self.problem, self.problem.degree
        dormant = Dormant.of(problem.start, degree)
        active, asleep = np.zeros_like(problem.start), np.ones(len(problem.start), dtype=bool)
        initial = problem.loss(active)
        scale = float(np.linalg.norm(problem.push(dormant.directions, active), axis=1).max())
        time, until = 0.0, math.inf if self.until is None else float(self.until)
        times, levels, features = [0.0], [initial], [problem.features(active)]
        order, notes = list[int](), list[str]()
        while levels[-1] > _LEARNED * initial:
            wait = maximize_utility(
                problem, dormant, asleep, active,
                start=time, threshold=self.threshold, until=until, scale=scale,
            )  # fmt: skip
            if not wait.woken:
                break
            if math.isinf(until):
                until = _PATIENCE * wait.time
            time, dormant, woken = wait.time, wait.dormant, list(wait.woken)
            active[woken] = self._joined(active, dormant.neurons(degree), woken)[woken]
            asleep[woken] = False
            active, done = minimize_cost(problem, active, ~asleep, horizon=time)
            if not done:
                notes.append(
                    f"active neurons stick to a kink after {time:.4g}, and are not followed to their rest"
                )
            dormant, asleep, active = self._put_to_sleep(dormant, asleep, active)
            level, found = problem.loss(active), problem.features(active)
            sizes = np.maximum(np.abs(found), np.abs(features[-1]))
            growth = (np.abs(found) - np.abs(features[-1])) / np.maximum(
                sizes, _FAINT * sizes.max(initial=1e-300)
            )
            if abs(levels[-1] - level) < _SEEN * initial and order:
                levels[-1], features[-1] = level, found
                continue
            if len(woken) > 1:
                notes.append(f"{len(woken)} neurons become active at the same time {time:.4g}")
            times.append(time)
            levels.append(level)
            features.append(found)
            order.append(int(np.argmax(growth)))
        if not asleep.any() and levels[-1] > _LEARNED * initial:
            notes.append("all neurons are active; what their own small parts learn later is not predicted")
        return Staircase(
            np.array(times),
            np.array(levels),
            np.array(features),
            tuple(order),
            problem.names,
            problem.clock,
            tuple(notes),
        )

    def _joined(self, active: Array, grown: Array, woken: list[int]) -> Array:
        """Add woken neurons to the active ones, smaller than the threshold where that is more than is to be learned."""
        before, added = self.problem.loss(active), np.zeros_like(active)
        added[woken] = grown[woken]
        for _ in range(_HALVINGS):
            if self.problem.loss(active + added) <= before:
                break
            added = added / 2
        return active + added

    def _put_to_sleep(self, dormant: Dormant, asleep: Array, active: Array) -> tuple[Dormant, Array, Array]:
        """Make neurons dormant that are back near zero, without which the loss is the same; they go on from there."""
        norms = np.linalg.norm(active, axis=1)
        small = _RETURNED * min(self.threshold, float(norms.max()))
        back = ~asleep & (norms < small)
        if not back.any():
            return dormant, asleep, active
        without = np.where(back[:, None], 0.0, active)
        change = abs(self.problem.loss(without) - self.problem.loss(active))
        if change > _UNSEEN * self.problem.loss(np.zeros_like(active)):
            return dormant, asleep, active
        directions, utilities = dormant.directions.copy(), dormant.utilities.copy()
        floor = np.maximum(norms[back], np.finfo(float).tiny)
        moved = norms[back] > 0
        directions[back] = np.where(moved[:, None], active[back] / floor[:, None], directions[back])
        utilities[back] = accumulated(np.full(int(back.sum()), small), self.problem.degree)
        return Dormant(directions, utilities), asleep | back, without
