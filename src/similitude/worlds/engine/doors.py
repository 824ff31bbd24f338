"""Doors of the engine: what they do in one frame."""


def move_doors(e, height, ground, meta, solids, things, body, hands, action):
    """Move all doors of environment `e` by one frame."""
    return
