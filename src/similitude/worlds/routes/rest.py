"""Whether a block stays where a solution puts it, by the engine's own rules of falling and toppling."""

from __future__ import annotations

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.blocks import footing, settle_block
from similitude.worlds.engine.flight import AWAKE
from similitude.worlds.routes.state import State
from similitude.worlds.routes.walking import Flaw

FRAMES = 4
"""Frames for which a block is looked at: what is not at rest has begun to move by then."""
SLACK = 0.15
"""A block may come to rest this far from where it is put, in metres, and be sunk so deep: hands are no nearer."""


def settled(state: State, block: int) -> None:
    """Check that a block rests where it is; nothing is moved.

    Raises:
        Flaw: It falls, topples, or overlaps the ground or another block.
    """
    x, y, z = state.place(block)
    half = float(max(state.things[block, c.EX], state.things[block, c.EY]))
    height, meta, solids, things = state.around(x - half, y - half, x + half, y + half)
    index = next(
        (i for i in range(things.shape[1]) if things[0, i, c.TX : c.TZ + 1].tolist() == [x, y, z]), -1
    )
    if index < 0:
        raise Flaw(f"thing {block} is no block")
    low, up = z - float(things[0, index, c.EZ]), float(things[0, index, c.EZ])
    _, stopped = footing(0, index, x, y, low + SLACK, low + 2.0 * up, height, meta, solids, things)
    if stopped:
        raise Flaw(f"thing {block} is put into the ground, a wall or another block")
    things[0, index, c.TIMER] = AWAKE
    for _ in range(FRAMES):
        settle_block(0, index, height, meta, solids, things)
    moved = things[0, index, c.TX : c.TZ + 1] - (x, y, z)
    if max(abs(moved[0]), abs(moved[1]), abs(moved[2])) > SLACK:
        raise Flaw(
            f"thing {block} does not rest where it is put, it moves by {', '.join(f'{v:.2f}' for v in moved)} m"
        )
