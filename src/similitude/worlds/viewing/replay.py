"""Replays: a recording is played again, frame by frame, and must end as it did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from similitude.core.errors import WorldError
from similitude.worlds.viewing.recording import Recording
from similitude.worlds.viewing.session import Session
from similitude.worlds.world import World

Ending = Literal["exact", "same", "other"]
"""exact: every bit at the end is as it was; same: score and success are, though some bits are not (another machine's
sines); other: neither."""

NEAR = 1e-6
"""Scores that differ by no more count as the same."""


class Replay:
    """A recording that is played again; going through it gives the session at the beginning and after every frame.

    Args:
        recording: The recording.
        world: Its world; made from its name by default.
        resolution: Rows and columns of pictures.
        backend: Backend of the simulation.

    Raises:
        WorldError: The world that is made here, or given, is not the one that was played.

    Example:
        >>> import numpy as np
        >>> from similitude.worlds import make_world
        >>> session = Session(make_world("eat", 0.0, 0), backend="plain")
        >>> session.step(np.full(21, 0.5))
        >>> replay = Replay(session.recording("nobody"), backend="plain")
        >>> replay.finish()
        'exact'
    """

    def __init__(
        self,
        recording: Recording,
        *,
        world: World | None = None,
        resolution: tuple[int, int] = (96, 96),
        backend: str = "numba",
    ) -> None:
        from similitude.worlds.making import make_world

        if world is None:
            world = make_world(recording.task, recording.difficulty, recording.seed)
        if world.digest != recording.world:
            raise WorldError(
                f"the world {world.name} has the digest {world.digest[:12]}... here, and {recording.world[:12]}... was "
                "played: it was made by another release, or is no world of the generator's. Replay it there, or pass "
                "world=."
            )
        self.recording = recording
        self.session = Session(world, limit=recording.limit, resolution=resolution, backend=backend)

    def __iter__(self) -> Iterator[Session]:
        if self.session.frame == 0:
            yield self.session
        while self.session.frame < self.recording.frames and not self.session.over:
            self.session.step(self.recording.actions[self.session.frame])
            yield self.session

    @property
    def ending(self) -> Ending:
        """How the replay has ended, compared with the recording."""
        session, recording = self.session, self.recording
        if session.frame == recording.frames and session.state() == recording.state:
            return "exact"
        alike = session.frame == recording.frames and session.success == recording.success
        return "same" if alike and abs(session.score - recording.score) <= NEAR else "other"

    def finish(self) -> Ending:
        """Play what is left and say how it ended."""
        for _ in self:
            pass
        return self.ending
