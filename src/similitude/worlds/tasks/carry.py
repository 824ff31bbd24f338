"""Carry: throw, fight, stack or bridge, with what is needed lying farther away."""

from __future__ import annotations

from similitude.worlds.budget import Budget
from similitude.worlds.tasks import bridge, fight, stack, throw
from similitude.worlds.tasks.lanes import put_goal, ring_island
from similitude.worlds.tasks.site import Site


def build(site: Site, budget: Budget) -> None:
    """Lay out a world of another task, with its tools moved away from where one starts."""
    kind = budget.choice("task", ("throw", "stack", "bridge", "fight"))
    moved = budget.scalar("moved", easy=1.0, hard=10.0, spread=0.1)
    if kind == "throw":
        throw.build(site, budget, moved=moved)
        return
    task = {"stack": stack, "bridge": bridge, "fight": fight}[kind]
    extent = {"stack": stack.WALL, "bridge": bridge.EXTENT, "fight": 4.0 + 8.0 * budget.difficulty}[kind]
    ring = ring_island(site, extent + 5.0, room=task.ROOM, extent=extent, below=5.0, spare=0.5 * moved)
    task.obstacle(site, budget, ring, moved=moved)
    put_goal(site, ring)
