"""A person in a list of worlds: episodes are played, recorded, and scored the first time that each is played."""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from similitude.core.errors import WorldError
from similitude.evaluation.rowfile import RowFile
from similitude.evaluation.rows import Row
from similitude.worlds.engine import columns as c
from similitude.worlds.kinds import KINDS
from similitude.worlds.making import make_world
from similitude.worlds.protocol.definition import EVALUATION, NAME
from similitude.worlds.protocol.playing import numbers_of
from similitude.worlds.protocol.suite import PEOPLE, SUMMARIES
from similitude.worlds.splits import WorldName
from similitude.worlds.viewing.controls import Controls, Driver
from similitude.worlds.viewing.session import Session

RECORDINGS = "recordings"
"""Folder of recordings."""
QUALITY = 88
"""Quality of the JPEG pictures, in percent."""


class Game:
    """Episodes in a list of worlds, one after the other, over and over.

    The first whole episode of a person in a world is a row of results; a later one is practice, and only recorded. Who
    gives up stands still until the episode ends.

    Args:
        worlds: Names of the worlds.
        out: A folder for rows and recordings; None: nothing is kept.
        name: Who plays; people are told apart by the seed of their rows.
        resolution: Rows and columns of pictures.
        backend: Backend of the simulation.

    Raises:
        WorldError: There is no world, or one cannot be made.
        EvaluationError: The folder holds something else.
    """

    def __init__(
        self,
        worlds: Sequence[WorldName],
        *,
        out: str | Path | None = None,
        name: str = "",
        resolution: tuple[int, int] = (360, 480),
        backend: str = "numba",
    ) -> None:
        if not worlds:
            raise WorldError("there is no world to play. Name at least one.")
        self.worlds, self.name, self.out = tuple(worlds), name, None if out is None else Path(out)
        self.resolution, self.backend = resolution, backend
        self.seed = zlib.crc32(name.encode()) >> 1 if name else 0
        self._file = None if self.out is None else RowFile(self.out)
        self._done = {self._key(row) for row in self._file.read()} if self._file else set()
        self.rows: list[Row] = []
        fresh = [i for i, world in enumerate(self.worlds) if self._name(world) not in self._done]
        self._begin(fresh[0] if fresh else 0)

    def warm(self) -> None:
        """Compile what a frame needs, so that the first one does not wait."""
        session = Session(self.session.world, resolution=(8, 8), backend=self.backend)
        session.step(np.zeros(21))
        session.look()

    def step(self, act: Controls | Any) -> None:
        """Act for one frame; when the episode ends with it, it is written down.

        Args:
            act: Controls, or an action: 21 numbers, or a mapping of "real" and "discrete".

        Raises:
            WorldError: The episode is over, or the action is not valid.
        """
        if isinstance(act, Controls):
            act = self._driver.action(act, self.session.simulation)
        self.session.step(act)
        self._finish()

    def give_up(self) -> None:
        """Stand still until the episode ends, and write it down."""
        while not self.session.over:
            self.session.step(np.zeros(21))
        self._finish()

    def again(self) -> None:
        """Begin the same world anew; an episode that is not over is given up."""
        self._leave()
        self._begin(self._level)

    def next(self) -> None:
        """Go on to the next world; an episode that is not over is given up."""
        self._leave()
        self._begin((self._level + 1) % len(self.worlds))

    def close(self) -> None:
        """Keep what was played of an episode that is not over; it is no row of results."""
        if self.out is not None and self.session.frame and not self._written:
            self._written = True
            self.session.recording(self.name or PEOPLE).save(self._free_name())

    def picture(self) -> bytes:
        """Return what the eyes see as a JPEG file."""
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(self.session.look()[..., :3]).save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()

    def status(self) -> dict[str, Any]:
        """Return what a player may know, as plain data."""
        session, world = self.session, self.session.world
        simulation = session.simulation
        body, hands = simulation.body[0], simulation.hands[0]
        return {
            "task": world.task,
            "demand": SUMMARIES[world.task],
            "difficulty": world.difficulty,
            "seed": world.seed,
            "level": [self._level + 1, len(self.worlds)],
            "frame": session.frame,
            "limit": session.limit,
            "hit_points": max(float(body[c.HP]), 0.0),
            "food_left": int(body[c.FOOD_LEFT]),
            "hands": [_in_hand(hand, simulation.things[0]) for hand in hands],
            "over": session.over,
            "success": session.success,
            "score": session.score if session.over else None,
            "scored": self._scored,
            "keeps": None if self.out is None else str(self.out),
        }

    def _begin(self, level: int) -> None:
        self._level = level
        self.session = Session(
            make_world(*self.worlds[level]), resolution=self.resolution, backend=self.backend
        )
        self._driver = Driver()
        self._started = time.monotonic()
        self._written = False
        self._scored = self._file is not None and self._name(self.worlds[level]) not in self._done

    def _leave(self) -> None:
        if self.session.frame and not self.session.over:
            self.give_up()

    def _finish(self) -> None:
        if self._written or not self.session.over:
            return
        self._written = True
        row = self._row()
        self.rows.append(row)
        if self._file is None or self.out is None:
            return
        self.session.recording(self.name or PEOPLE).save(self._free_name())
        if self._scored:
            self._file.add(row)
            self._done.add(self._key(row))

    def _row(self) -> Row:
        session, world = self.session, self.session.world
        return Row(
            *(NAME, world.task, PEOPLE, session.score),
            {"difficulty": world.difficulty, "world": world.seed, "digest": world.digest[:16]},
            {"frames": float(session.frame), **numbers_of(world.parameters)},
            success=session.success,
            seed=self.seed,
            seconds=time.monotonic() - self._started,
            version=EVALUATION,
        )

    def _free_name(self) -> Path:
        """Return the name of a recording that is not there yet."""
        assert self.out is not None, "only called where recordings are kept"
        folder, number = self.out / RECORDINGS, 1
        while (path := folder / f"{self.session.world.name}-{number}.npz").exists():
            number += 1
        return path

    def _name(self, world: WorldName) -> tuple[str, float, int, int]:
        return world.task, world.difficulty, world.seed, self.seed

    @staticmethod
    def _key(row: Row) -> tuple[str, float, int, int]:
        return (
            *(row.task, float(row.params.get("difficulty") or 0.0), int(row.params.get("world") or 0)),
            row.seed or 0,
        )


def _in_hand(hand: np.ndarray, things: np.ndarray) -> dict[str, str | None]:
    names = {}
    for what, column in (("holds", c.HELD), ("touches", c.TOUCH)):
        k = int(hand[column])
        names[what] = KINDS[int(things[k, c.KIND])].name if k >= 0 else None
    if hand[c.GRIP] == 2:
        names["holds"] = "the wall"
    return names
