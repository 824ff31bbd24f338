"""Difficulty as a budget: hard choices spend of it, and what is left sets the scalars; every choice is kept.

After Avalon's difficulty calculus (arXiv 2210.13417, appendix on task generation), with the choices recorded so that
failures can be regressed on them.
"""

from __future__ import annotations

from collections.abc import Sequence

from similitude.worlds.draws import Draws, exact

Value = str | int | float | bool


class Budget:
    """Turns a difficulty in [0, 1] into the parameters of a world.

    Args:
        draws: Where its random numbers come from.
        difficulty: In [0, 1].

    Attributes:
        left: Difficulty that is not spent yet.
        parameters: Every choice by name.

    Example:
        >>> budget = Budget(Draws("example"), 0.5)
        >>> budget.scalar("gap", easy=1.0, hard=2.0)
        1.5
        >>> budget.parameters
        {'gap': 1.5}
    """

    def __init__(self, draws: Draws, difficulty: float) -> None:
        self.draws = draws
        self.difficulty = difficulty
        self.left = difficulty
        self.parameters: dict[str, Value] = {}

    def note(self, name: str, value: Value) -> None:
        """Keep a number that followed from others."""
        self.parameters[name] = exact(value) if isinstance(value, float) else value

    def spend(self, share: float) -> None:
        """Take a share in [0, 1) of what is left."""
        self.left *= 1.0 - share

    def flag(self, name: str, *, easy: float, hard: float, cost: float = 0.0) -> bool:
        """Choose the harder branch with a probability that grows from `easy` to `hard`, geometrically.

        Args:
            name: Name of the parameter.
            easy: Probability at difficulty 0; 0 counts as 1/1000.
            hard: Probability at difficulty 1.
            cost: Share of the difficulty left that choosing it spends.
        """
        low, high = max(easy, 1e-3), max(hard, 1e-3)
        probability = low + (high - low) * self.left * (low + (high - low) * self.left) / high
        chosen = self.draws.chance(easy if self.left == 0.0 else probability)
        self.parameters[name] = chosen
        if chosen:
            self.spend(cost)
        return chosen

    def choice(self, name: str, options: Sequence[str], *, costs: Sequence[float] | None = None) -> str:
        """Choose one of several kinds, hardest last; harder ones become likely as the difficulty grows.

        Args:
            name: Name of the parameter.
            options: Kinds from the easiest to the hardest.
            costs: Share of the difficulty left that each spends.
        """
        last = max(len(options) - 1, 1)
        weights = [(1.0 - self.left) * (1.0 - i / last) + self.left + 0.05 for i in range(len(options))]
        index = self.draws.pick(range(len(options)), weights)
        self.parameters[name] = options[index]
        if costs is not None:
            self.spend(costs[index])
        return options[index]

    def scalar(self, name: str, *, easy: float, hard: float, spread: float = 0.0) -> float:
        """Return a number between easy and hard, by the difficulty left.

        Args:
            name: Name of the parameter.
            easy: Its value at difficulty 0.
            hard: Its value at difficulty 1.
            spread: Standard deviation around it as a share of |hard - easy|; the result stays between the two.
        """
        at = self.left + (self.draws.normal(0.0, spread) if spread else 0.0)
        value = exact(easy + (hard - easy) * min(max(at, 0.0), 1.0))
        self.parameters[name] = value
        return value

    def count(self, name: str, *, easy: int, hard: int) -> int:
        """Return a whole number between easy and hard, by the difficulty left, rounded at random."""
        at = easy + (hard - easy) * self.left
        whole = int(at // 1)
        value = min(
            max(whole + (1 if self.draws.uniform() < at - whole else 0), min(easy, hard)), max(easy, hard)
        )
        self.parameters[name] = value
        return value
