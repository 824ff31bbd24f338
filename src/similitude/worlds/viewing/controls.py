"""Keyboard and mouse as a headset: what is held and moved in a frame becomes the 21 numbers of an action."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from similitude.core.errors import WorldError
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.climbing import hold
from similitude.worlds.engine.constants import (
    ARM,
    HAND_MOVE,
    HEAD_LOW,
    HEAD_MOVE,
    HEAD_PITCH,
    HEAD_TOP,
    HEAD_YAW,
)

if TYPE_CHECKING:
    from similitude.worlds.simulation import Simulation

KEYS: Mapping[str, str] = {
    "KeyW": "walk forward; pull yourself up where a hand holds on",
    "KeyS": "walk backward; let yourself down where a hand holds on",
    "KeyA": "walk left",
    "KeyD": "walk right",
    "Space": "jump",
    "KeyC": "crouch",
    "KeyQ": "left hand, as the left button",
    "KeyE": "right hand, as the right button",
    "KeyR": "bring the hands to the mouth: eat",
    "KeyF": "throw what the hands hold",
    "ShiftLeft": "the mouse moves the hands instead of the eyes",
    "ArrowLeft": "look left",
    "ArrowRight": "look right",
    "ArrowUp": "look up",
    "ArrowDown": "look down",
    "Mouse0": "left hand: reach out and grasp, as long as it is held",
    "Mouse2": "right hand: reach out and grasp, as long as it is held",
}
"""Keys and buttons by the names that browsers give them."""

TURN = 0.0026
"""Radians that the eyes turn per pixel of the mouse."""
SLIDE = 0.004
"""Metres that hands move per pixel of the mouse while Shift is held."""
BEHIND = 0.8
"""The eyes follow the mouse at most this many radians late."""
REACH = (0.3, 0.97)
"""Nearest and farthest that hands are stretched out, as shares of an arm."""
NOTCH = 0.1
"""By how much the wheel changes that per notch."""
NEAR, PATIENCE = 0.12, 3
"""A hand closes within this many metres of where it is sent, or after so many frames, for walls may stop it."""
EMPTY, LADEN = 0.6, 0.35
"""Farthest that a hand moves per frame, in metres, when it holds nothing and when it does."""
TILT, TILTS = 0.15, 10
"""Steps in which a hand looks for a hold below where the eyes look, in radians, and how many."""
HAUL = 0.4
"""How far hands pull the body per frame, in metres."""
SWING = 3
"""Frames of a throw: two to draw back, one forward."""


@dataclass(frozen=True)
class Controls:
    """What a person does in a frame.

    Attributes:
        keys: Keys and buttons that are held, or were tapped.
        turn: Pixels that the mouse moved to the right and down.
        wheel: Notches that the wheel turned away from the hand.
    """

    keys: frozenset[str] = frozenset()
    turn: tuple[float, float] = (0.0, 0.0)
    wheel: float = 0.0

    @classmethod
    def read(cls, data: Any) -> Controls:
        """Return the controls of a request: `{"keys": ["KeyW"], "turn": [3, 0], "wheel": 0}`.

        Raises:
            WorldError: It is something else.
        """
        if not isinstance(data, dict) or not set(data) <= {"keys", "turn", "wheel"}:
            raise WorldError("controls are an object of keys, turn and wheel.")
        keys, turn, wheel = data.get("keys", []), data.get("turn", [0, 0]), data.get("wheel", 0)
        if not isinstance(keys, list) or not all(isinstance(key, str) and key in KEYS for key in keys):
            raise WorldError(f"keys are a list of some of {', '.join(KEYS)}.")
        if not isinstance(turn, list) or len(turn) != 2 or not all(map(_is_number, [*turn, wheel])):
            raise WorldError("turn is a list of two numbers, in pixels, and wheel is a number.")
        return cls(frozenset(keys), (float(turn[0]), float(turn[1])), float(wheel))


class Driver:
    """Turns controls into actions for the agent of one episode, frame by frame."""

    def __init__(self) -> None:
        self._yaw = self._pitch = 0.0  # what the eyes have still to turn
        self._reach = REACH[1]
        self._slide = [0.0, 0.0]  # right and up
        self._closing = [0, 0]
        self._swing = 0

    def action(self, controls: Controls, simulation: Simulation, environment: int = 0) -> np.ndarray:
        """Return the action of this frame, 21 numbers in [-1, 1].

        Args:
            controls: What the person does.
            simulation: Where the agent is.
            environment: Its environment.
        """
        body, hands = simulation.body[environment], simulation.hands[environment]
        keys = controls.keys
        action = np.zeros(21)
        pressed = [
            bool(keys & pair) for pair in (frozenset({"Mouse0", "KeyQ"}), frozenset({"Mouse2", "KeyE"}))
        ]
        self._aim(controls, pressed)
        self._turn(action, body)
        self._walk(action, keys, body)
        if "KeyF" in keys and self._swing == 0 and (hands[:, c.HELD] >= 0).any():
            self._swing = SWING
        for h in (0, 1):
            action[18 + h] = self._hand(action, h, keys, pressed[h], simulation, environment)
        self._swing = max(self._swing - 1, 0)
        return np.clip(action, -1.0, 1.0)

    def _aim(self, controls: Controls, pressed: list[bool]) -> None:
        """Take in mouse and wheel."""
        keys = controls.keys
        right, down = controls.turn
        if "ShiftLeft" in keys and any(pressed):
            self._slide = [
                min(max(old + move * SLIDE, -ARM), ARM)
                for old, move in zip(self._slide, (right, -down), strict=True)
            ]
        else:
            self._yaw -= right * TURN
            self._pitch -= down * TURN
        if not any(pressed):
            self._slide = [0.0, 0.0]
        self._yaw += 0.7 * HEAD_YAW * (("ArrowLeft" in keys) - ("ArrowRight" in keys))
        self._pitch += 0.7 * HEAD_PITCH * (("ArrowUp" in keys) - ("ArrowDown" in keys))
        self._yaw = min(max(self._yaw, -BEHIND), BEHIND)
        self._pitch = min(max(self._pitch, -BEHIND), BEHIND)
        self._reach = min(max(self._reach + NOTCH * controls.wheel, REACH[0]), REACH[1])

    def _turn(self, action: np.ndarray, body: np.ndarray) -> None:
        """Turn the eyes as fast as they turn; the rest is left for the next frames."""
        pitch, yaw = self._pitch / HEAD_PITCH, self._yaw / HEAD_YAW
        size = max(math.hypot(pitch, yaw), 1.0)
        action[3], action[4] = pitch / size, yaw / size
        self._pitch -= action[3] * HEAD_PITCH
        self._yaw -= action[4] * HEAD_YAW

    def _walk(self, action: np.ndarray, keys: frozenset[str], body: np.ndarray) -> None:
        low = HEAD_LOW if "KeyC" in keys else HEAD_TOP
        action[0] = ("KeyD" in keys) - ("KeyA" in keys)
        action[1] = min(max((low - body[c.HEAD]) / HEAD_MOVE, -1.0), 1.0)
        action[2] = ("KeyW" in keys) - ("KeyS" in keys)
        action[20] = "Space" in keys

    def _hand(self, action, h: int, keys, pressed: bool, simulation: Simulation, e: int) -> bool:
        """Write the movement of a hand and return whether it is closed."""
        body, hand, first = simulation.body[e], simulation.hands[e, h], 6 + 6 * h
        holds = hand[c.HELD] >= 0
        at = _offset(body, hand)
        pitch = float(body[c.PITCH] + HEAD_PITCH * action[3])
        gaze = _gaze(pitch)
        side = -1.0 if h == 0 else 1.0
        if pressed and hand[c.GRIP] == 2:  # the body moves against what holds it
            wish = np.array(
                [
                    ("KeyD" in keys) - ("KeyA" in keys),
                    0.92 * (("KeyW" in keys) - ("KeyS" in keys)),
                    0.4 * ("KeyW" in keys),
                ],
                dtype=float,
            )
            action[first : first + 3] = -HAUL / HAND_MOVE * wish / max(float(np.linalg.norm(wish)), 1.0)
            return True
        if self._swing and holds:
            move = -0.4 * gaze + [0.2 * side, 0.0, 0.0] - at if self._swing > 1 else gaze
            action[first : first + 3] = move / max(float(np.linalg.norm(move)), HAND_MOVE)
            return self._swing > 1
        if "KeyR" in keys and (pressed or holds):
            goal = np.array([0.06 * side, -0.12, 0.2])
        elif pressed or holds:
            at_rest = not holds and hand[c.TOUCH] < 0 and not any(self._slide)
            tilt = _to_hold(simulation, e, pitch, 0.12 * side, self._reach) if at_rest else 0.0
            goal = self._reach * ARM * _gaze(pitch - tilt)
            goal += [0.12 * side + self._slide[0], self._slide[1], 0.0]
        else:
            goal = np.array([0.3 * side, -0.5, 0.4])
        goal = goal / max(float(np.linalg.norm(goal)) / (REACH[1] * ARM), 1.0)
        move = goal - at
        far = float(np.linalg.norm(move))
        fastest = LADEN if holds and "ShiftLeft" not in keys else EMPTY
        action[first : first + 3] = move / HAND_MOVE * min(1.0, fastest / max(far, 1e-9))
        self._closing[h] = self._closing[h] + 1 if pressed else 0
        return pressed and (holds or far < NEAR or hand[c.TOUCH] >= 0 or self._closing[h] > PATIENCE)


def _gaze(pitch: float) -> np.ndarray:
    """Return the unit vector (right, up, forward) of a look in the frame of the body."""
    return np.array([0.0, math.sin(pitch), math.cos(pitch)])


def _to_hold(simulation: Simulation, e: int, pitch: float, right: float, reach: float) -> float:
    """Return by how much less than the eyes a hand has to point up to find a hold, in radians; 0 where there is none.

    A wall leans away from who climbs it, so that a hand which is sent where the eyes look often reaches into the air.
    """
    x, y, feet, yaw, head = simulation.body[e, [c.BX, c.BY, c.BZ, c.YAW, c.HEAD]].tolist()
    cos, sin = math.cos(yaw), math.sin(yaw)
    land = (simulation.height, simulation.ground, simulation.meta, simulation.solids)
    for i in range(TILTS):
        _, up, ahead = (reach * ARM * _gaze(pitch - TILT * i)).tolist()
        at = (x + ahead * cos + right * sin, y + ahead * sin - right * cos, feet + head + up)
        if hold(e, *at, x, y, cos, sin, *land) == 1:
            return TILT * i
    return 0.0


def _offset(body: np.ndarray, hand: np.ndarray) -> np.ndarray:
    """Return where a hand is as seen from the eyes: right, up, forward in the frame of the body, in metres."""
    dx, dy = hand[c.HX] - body[c.BX], hand[c.HY] - body[c.BY]
    cos, sin = math.cos(body[c.YAW]), math.sin(body[c.YAW])
    up = hand[c.HZ] - body[c.BZ] - body[c.HEAD]
    return np.array([dx * sin - dy * cos, up, dx * cos + dy * sin])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
