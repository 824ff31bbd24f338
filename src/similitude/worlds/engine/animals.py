"""Animals of the engine: what they do in one frame."""


def move_animals(e, height, ground, meta, solids, things, body, hands, action):
    """Move all animals of environment `e` by one frame."""
    return
