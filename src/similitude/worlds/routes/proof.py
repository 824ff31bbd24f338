"""The proof that a world can be solved: every step of its solution by the physics' own rules."""

from __future__ import annotations

from similitude.worlds.world import World


class Flaw(Exception):  # noqa: N818
    """A step of a solution that does not work."""


def verify(world: World) -> None:
    """Prove the solution of a world."""
