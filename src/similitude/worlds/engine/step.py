"""One frame of one environment: body, hands, items, animals, doors, then reward."""

from similitude.worlds.engine.animals import move_animals
from similitude.worlds.engine.body import crouch, look, walk
from similitude.worlds.engine.climbing import hold_on
from similitude.worlds.engine.columns import (
    BVX,
    BVY,
    BX,
    BY,
    BZ,
    CLIMBING,
    DX,
    DY,
    DZ,
    EATEN,
    ENEMY,
    FALL,
    REWARD,
)
from similitude.worlds.engine.doors import move_doors
from similitude.worlds.engine.grasping import handle
from similitude.worlds.engine.hands import move_hand
from similitude.worlds.engine.items import move_items
from similitude.worlds.engine.scoring import ended, score


def step(e, height, ground, meta, solids, things, body, hands, action):
    """Move environment `e` on by one frame; an episode that is over stands still."""
    body[e, REWARD] = 0.0
    body[e, EATEN] = 0.0
    body[e, FALL] = 0.0
    body[e, ENEMY] = 0.0
    if ended(e, meta, body) == 1:
        return
    x = float(body[e, BX])
    y = float(body[e, BY])
    z = float(body[e, BZ])
    look(e, body, action)
    crouch(e, height, meta, solids, things, body, action)
    hold_on(e, height, ground, meta, solids, things, body, hands, action)
    if int(body[e, CLIMBING]) == 0:
        walk(e, height, meta, solids, things, body, action)
    else:
        body[e, BVX] = 0.0
        body[e, BVY] = 0.0
    body[e, DX] = float(body[e, BX]) - x
    body[e, DY] = float(body[e, BY]) - y
    body[e, DZ] = float(body[e, BZ]) - z
    for h in range(2):
        move_hand(e, h, meta, solids, things, body, hands, action)
    handle(e, height, meta, solids, things, body, hands, action)
    move_items(e, height, ground, meta, solids, things, body, hands, action)
    move_animals(e, height, ground, meta, solids, things, body, hands, action)
    move_doors(e, height, ground, meta, solids, things, body, hands, action)
    score(e, meta, things, body)
