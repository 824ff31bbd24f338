"""What oracles do about predators."""

from similitude.worlds.oracles.scene import Deed, Scene


def on_guard(me: Scene, plan: Deed) -> Deed:
    """Carry out a plan."""
    return (yield from plan)
