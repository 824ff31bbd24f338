"""The avatar of an oracle: what it knows of its environment, and what it wants, said in metres instead of 21 numbers."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import (
    ARM,
    HAND_MOVE,
    HEAD_MOVE,
    HEAD_PITCH,
    HEAD_TOP,
    HEAD_YAW,
)

if TYPE_CHECKING:
    from similitude.worlds.simulation import Simulation

Deed = Generator[list[float], None, bool]
"""A controller: it yields the action of every frame, and returns whether it reached what it was for."""

LEFT, RIGHT = 0, 1
REST = ((0.3, -0.5, 0.35), (-0.3, -0.5, 0.35))
"""Where an idle hand is, (left, up, ahead) of the eyes in metres, for the left and the right one."""
NOWHERE: Mapping[int, tuple[float, float, float]] = {}
GLANCE = -0.15
"""Pitch at which one walks, in radians."""


def angle_between(new: float, old: float) -> float:
    """Return the turn from an angle to another, in (-pi, pi]."""
    turn = (new - old) % (2.0 * math.pi)
    return turn - 2.0 * math.pi if turn > math.pi else turn


class Avatar:
    """One environment, seen as by somebody who knows all; `look` reads it anew in every frame.

    Args:
        simulation: Where the environment is.
        e: Which one it is.

    Attributes:
        body: Its row of `Simulation.body`.
        hands: Its rows of `Simulation.hands`.
        things: Its rows of `Simulation.things` (a view).
        grip: Which hands stay closed when nothing else is said.
        busy: Whether it fights.
        ignored: Predators that cannot come, by the frame until which they do not matter.
        predators: Indices of the predators there were when it began.
    """

    def __init__(self, simulation: Simulation, e: int) -> None:
        self.simulation, self.e = simulation, e
        self.grip = [False, False]
        self.busy = False
        self.ignored: dict[int, int] = {}
        self.predators = (simulation.things[e, :, c.ROLE] == c.PREDATOR).nonzero()[0]
        self.look()

    def look(self) -> None:
        """Read the state of this frame."""
        self.body: list[float] = self.simulation.body[self.e].tolist()
        self.hands: list[list[float]] = self.simulation.hands[self.e].tolist()
        self.things: np.ndarray = self.simulation.things[self.e]

    # where things are

    @property
    def x(self) -> float:
        """Of the feet, metres."""
        return self.body[c.BX]

    @property
    def y(self) -> float:
        """Of the feet, metres."""
        return self.body[c.BY]

    @property
    def z(self) -> float:
        """Of the feet, metres."""
        return self.body[c.BZ]

    @property
    def eye(self) -> float:
        """Height of the eyes, metres."""
        return self.body[c.BZ] + self.body[c.HEAD]

    @property
    def yaw(self) -> float:
        """Direction in which the body looks, in radians."""
        return self.body[c.YAW]

    @property
    def grounded(self) -> bool:
        """Whether it stands."""
        return self.body[c.GROUNDED] > 0.5

    @property
    def frame(self) -> int:
        """Frames so far."""
        return int(self.body[c.FRAME])

    def place(self, k: int) -> tuple[float, float, float]:
        """Return the centre of a thing, in metres."""
        x, y, z = self.things[k, c.TX : c.TZ + 1].tolist()
        return x, y, z

    def half(self, k: int) -> tuple[float, float, float]:
        """Return the half extents of a thing along its own axes, in metres."""
        x, y, z = self.things[k, c.EX : c.EZ + 1].tolist()
        return x, y, z

    def facing(self, k: int) -> tuple[float, float]:
        """Return cosine and sine of a thing's yaw."""
        cos, sin = self.things[k, c.COS : c.SIN + 1].tolist()
        return cos, sin

    def role(self, k: int) -> int:
        """Return what a thing is now, one of the roles of `engine.columns`."""
        return int(self.things[k, c.ROLE])

    def state(self, k: int) -> int:
        """Return the state of a thing."""
        return int(self.things[k, c.STATE])

    def gone(self, k: int) -> bool:
        """Return whether a thing is no more."""
        return self.role(k) == c.GONE

    def held(self, hand: int) -> int:
        """Return the index of what a hand holds, or -1."""
        return int(self.hands[hand][c.HELD])

    def hand_with(self, k: int) -> int:
        """Return the hand that holds a thing, or -1."""
        return LEFT if self.held(LEFT) == k else RIGHT if self.held(RIGHT) == k else -1

    def free_hand(self) -> int:
        """Return a hand that holds nothing, the right one if both do or neither does."""
        return LEFT if self.held(RIGHT) >= 0 and self.held(LEFT) < 0 else RIGHT

    def far(self, x: float, y: float) -> float:
        """Return the horizontal distance of a point from the body, in metres."""
        return math.hypot(x - self.body[c.BX], y - self.body[c.BY])

    def bearing(self, x: float, y: float) -> float:
        """Return the yaw at which the body faces a point, in radians."""
        return math.atan2(y - self.body[c.BY], x - self.body[c.BX])

    def off(self, hand: int) -> tuple[float, float, float]:
        """Return where a hand is, (left, up, ahead) of the eyes, in metres."""
        row = self.hands[hand]
        dx, dy = row[c.HX] - self.x, row[c.HY] - self.y
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return dy * cos - dx * sin, row[c.HZ] - self.eye, dx * cos + dy * sin

    # what it does

    def act(
        self,
        *,
        go: tuple[float, float] = (0.0, 0.0),
        face: float | None = None,
        head: float = HEAD_TOP,
        at: tuple[float, float, float] | None = None,
        hands: Mapping[int, tuple[float, float, float]] = NOWHERE,
        poses: Mapping[int, tuple[float, float, float]] = NOWHERE,
        jump: bool = False,
    ) -> list[float]:
        """Return the action of this frame.

        Args:
            go: How far to walk, x and y in metres of the world; what is too far is cut.
            face: Yaw to turn to, in radians; None: as it is.
            head: Height of the eyes over the feet to rise or crouch to, in metres.
            at: Point of the world to look up or down to, in metres.
            hands: Points of the world for hands, in metres, by hand.
            poses: Where hands go, (left, up, ahead) of the eyes in metres, by hand; the others go where they rest.
            jump: Whether to jump.
        """
        action = [0.0] * 21
        body = self.body
        turn = 0.0
        if face is not None:
            turn = min(max(angle_between(face, body[c.YAW]), -HEAD_YAW), HEAD_YAW)
        action[4] = turn / HEAD_YAW
        pitch = GLANCE
        if at is not None:
            pitch = math.atan2(at[2] - self.eye, max(self.far(at[0], at[1]), 0.05))
        action[3] = min(max((pitch - body[c.PITCH]) / HEAD_PITCH, -1.0), 1.0)
        size = math.hypot(action[3], action[4])
        if size > 1.0:  # turning comes before looking down
            action[3] = math.copysign(math.sqrt(max(1.0 - action[4] * action[4], 0.0)), action[3])
        yaw = body[c.YAW] + turn
        cos, sin = math.cos(yaw), math.sin(yaw)
        rise = min(max((head - body[c.HEAD]) / HEAD_MOVE, -1.0), 1.0)
        right_way = (go[0] * sin - go[1] * cos) / HEAD_MOVE
        ahead = (go[0] * cos + go[1] * sin) / HEAD_MOVE
        size = math.sqrt(right_way * right_way + rise * rise + ahead * ahead)
        share = 1.0 / size if size > 1.0 else 1.0
        action[0], action[1], action[2] = right_way * share, rise * share, ahead * share
        # where the eyes will be
        ex = body[c.BX] + go[0] * share
        ey = body[c.BY] + go[1] * share
        ez = self.eye + rise * share * HEAD_MOVE
        for hand in (LEFT, RIGHT):
            if hand in hands:
                goal = hands[hand]
                dx, dy = goal[0] - ex, goal[1] - ey
                wish = dy * cos - dx * sin, goal[2] - ez, dx * cos + dy * sin
            else:
                wish = poses.get(hand, REST[hand])
            here = self.off(hand)  # turns with the body
            way = [-(wish[0] - here[0]), wish[1] - here[1], wish[2] - here[2]]
            size = math.sqrt(way[0] * way[0] + way[1] * way[1] + way[2] * way[2]) / HAND_MOVE
            share = 1.0 / size if size > 1.0 else 1.0
            first = 6 + 6 * hand
            for i in range(3):
                action[first + i] = min(max(way[i] * share / HAND_MOVE, -1.0), 1.0)
            action[18 + hand] = 1.0 if self.grip[hand] else 0.0
        action[20] = 1.0 if jump else 0.0
        return action

    def reaches(self, goal: tuple[float, float, float], slack: float = 0.0) -> bool:
        """Return whether a point is within an arm's length of the eyes, less `slack` metres."""
        dx, dy, dz = goal[0] - self.x, goal[1] - self.y, goal[2] - self.eye
        return math.sqrt(dx * dx + dy * dy + dz * dz) <= ARM - slack
