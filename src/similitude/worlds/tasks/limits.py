"""Frames that an episode may take: the twenty tasks with their limits in evaluation and in training."""

from __future__ import annotations

from collections.abc import Mapping

from similitude.worlds.tasks.catalog import checked_task

LIMITS: Mapping[str, tuple[int, int]] = {
    "eat": (3000, 260),
    "move": (3000, 360),
    "jump": (3000, 310),
    "climb": (3000, 250),
    "descend": (3000, 340),
    "scramble": (3000, 190),
    "stack": (6000, 710),
    "bridge": (3000, 630),
    "push": (3000, 700),
    "throw": (3000, 600),
    "hunt": (3000, 420),
    "fight": (3000, 220),
    "avoid": (3000, 240),
    "explore": (6000, 1340),
    "open": (3000, 170),
    "carry": (6000, 610),
    "navigate": (9000, 1220),
    "find": (9000, 1180),
    "gather": (9000, 3300),
    "survive": (6000, 3780),
}
"""Frames in evaluation, and in training at difficulty 0, as Avalon publishes them (arXiv 2210.13417)."""


def frame_limit(task: str, difficulty: float, *, training: bool = False) -> int:
    """Return how many frames an episode may take.

    Args:
        task: Name of the task.
        difficulty: In [0, 1].
        training: Take the shorter limit of training, which grows tenfold from difficulty 0 to 1.

    Raises:
        WorldError: There is no such task.

    Example:
        >>> frame_limit("eat", 0.5), frame_limit("eat", 0.5, training=True)
        (3000, 822)
    """
    evaluation, easy = LIMITS[checked_task(task)]
    return min(evaluation, round(easy * 10.0**difficulty)) if training else evaluation
