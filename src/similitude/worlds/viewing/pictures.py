"""Pictures for people: what the eyes see beside the map, and moments of an episode side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from similitude.worlds.engine import columns as c
from similitude.worlds.viewing.livemap import LiveMap
from similitude.worlds.viewing.session import Session

if TYPE_CHECKING:
    from similitude.worlds.viewing.recording import Recording
    from similitude.worlds.world import World

BAR = 18
"""Rows of the line of text below a picture."""
INK, PAPER = (235, 238, 240), (30, 34, 38)
"""Colours of that line."""


class Panel:
    """What the eyes see, the map beside it if asked for, and a line of text below.

    Args:
        world: The world.
        rows: Rows of what the eyes see, and of the map.
        with_map: Draw the map.
    """

    def __init__(self, world: World, *, rows: int = 240, with_map: bool = True) -> None:
        self._map = LiveMap(world, side=rows) if with_map else None
        self._name = f"{world.task}, difficulty {world.difficulty:g}, seed {world.seed}"

    def note(self, session: Session) -> None:
        """Add the agent's place to the trail of the map."""
        if self._map is not None:
            self._map.note(session.simulation)

    def draw(self, session: Session) -> np.ndarray:
        """Draw the present moment of a session of the world, uint8, (rows + 18, columns, 3)."""
        self.note(session)
        parts = [session.look()[..., :3]]
        if self._map is not None:
            parts.append(self._map.draw(session.simulation))
        body = session.simulation.body[0]
        line = f"{self._name}   frame {session.frame}   hit points {max(body[c.HP], 0.0):.2f}"
        return np.concatenate([np.concatenate(parts, axis=1), caption(line, sum(p.shape[1] for p in parts))])


def caption(text: str, width: int) -> np.ndarray:
    """Return a line of text as a picture, uint8, (18, width, 3)."""
    from PIL import Image, ImageDraw, ImageFont

    bar = Image.new("RGB", (width, BAR), PAPER)
    ImageDraw.Draw(bar).text((5, 3), text, fill=INK, font=ImageFont.load_default(11))
    return np.asarray(bar)


def first_sight(world: World, *, resolution: tuple[int, int] = (240, 320), backend: str = "numba"):
    """Draw a world at its beginning: what the eyes see, and the map with the way of its solution.

    Args:
        world: The world.
        resolution: Rows and columns of what the eyes see.
        backend: Backend of the camera.

    Returns:
        A Pillow image.
    """
    from PIL import Image

    session = Session(world, resolution=resolution, backend=backend)
    panel = Panel(world, rows=resolution[0])
    if panel._map is not None:
        way = [tuple(point[:2]) for step in world.solution for point in step.at]
        panel._map.trail.extend([world.spawn[:2], *((x, y) for x, y in way)])
    return Image.fromarray(panel.draw(session))


def strip(
    recording: Recording,
    *,
    world: World | None = None,
    moments: Sequence[float] = (0.0, 0.5, 0.92),
    resolution: tuple[int, int] = (150, 200),
    backend: str = "numba",
):
    """Draw moments of a recorded episode side by side, and the map with the way that was gone.

    Args:
        recording: The episode.
        world: Its world; made from its name by default.
        moments: When, as shares of the frames until the last food was eaten.
        resolution: Rows and columns of each picture.
        backend: Backend of the simulation.

    Returns:
        A Pillow image.
    """
    from PIL import Image

    from similitude.worlds.viewing.replay import Replay

    last = recording.frames
    if recording.success:
        replay = Replay(recording, world=world, backend=backend)
        last = next(s.frame for s in replay if s.simulation.body[0, c.FOOD_LEFT] == 0)
    wanted = [min(round(share * last), recording.frames) for share in moments]
    replay = Replay(recording, world=world, resolution=resolution, backend=backend)
    above = LiveMap(replay.session.world, side=resolution[0])
    seen: dict[int, np.ndarray] = {}
    for session in replay:
        above.note(session.simulation)
        if session.frame in wanted:
            seen[session.frame] = session.look()[..., :3]
    first = Session(replay.session.world, resolution=resolution, backend=backend)
    parts = [above.draw(first.simulation), *(seen[frame] for frame in wanted)]
    return Image.fromarray(np.concatenate(parts, axis=1))
