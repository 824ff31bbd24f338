"""Items of the engine: what they do in one frame."""


def move_items(e, height, ground, meta, solids, things, body, hands, action):
    """Move all items of environment `e` by one frame."""
    return
