"""Small worlds made by hand, and actions, for tests of the engine."""

from __future__ import annotations

import numpy as np

from similitude.worlds.engine.columns import BOX
from similitude.worlds.kinds import KINDS, NUMBER
from similitude.worlds.simulation import Simulation
from similitude.worlds.world import World

AHEAD, UP, RIGHT = 2, 1, 0
PITCH, YAW = 3, 4
LEFT_HAND, RIGHT_HAND = 6, 12
LEFT_GRASP, RIGHT_GRASP, JUMP = 18, 19, 20


def world(rise=None, *, base=1.0, size=64, climbs=True, solids=(), things=(), spawn=None) -> World:
    """A world whose corners lie `rise(x, y)` metres above `base`; x and y are arrays."""
    line = (np.arange(size) - size // 2) * 0.5
    x, y = np.meshgrid(line, line)
    z = np.full((size, size), float(base)) if rise is None else base + rise(x, y)
    return World(
        task="eat",
        difficulty=0.0,
        seed=0,
        height=np.round(z * 128).astype(np.int16),
        ground=np.full((size, size), 5 + 128 * climbs, np.uint8),
        solids=np.array(solids, np.float32).reshape(-1, 11),
        things=np.array(things, np.float32).reshape(-1, 15),
        spawn=(0.0, 0.0, base, 1.0, 0.0) if spawn is None else spawn,
    )


def box(x, y, z, hx, hy, hz, *, yaw=0.0, shape=BOX, climbs=0):
    """A row of `World.solids`."""
    return (x, y, z, np.cos(yaw), np.sin(yaw), hx, hy, hz, shape, 4, climbs)


def thing(name, x, y, z, *, state=0, half=None, yaw=0.0, energy=None, link=-1, mass=None):
    """A row of `World.things`."""
    kind = KINDS[NUMBER[name]]
    return (
        *(NUMBER[name], x, y, z, np.cos(yaw), np.sin(yaw), *(half or kind.half)),
        *(kind.mass if mass is None else mass, state, kind.energy if energy is None else energy),
        *(kind.points, link, kind.opens),
    )


def loaded(made: World, *, backend="plain", num_envs=1, limit=3000) -> Simulation:
    """A simulation with the same world in every environment."""
    simulation = Simulation(num_envs, backend=backend)
    for e in range(num_envs):
        simulation.load(e, made, limit=limit)
    return simulation


def act(**parts: float) -> np.ndarray:
    """An action from names: ahead, right, up, yaw, pitch, jump, left/right + _ahead, _up, _right, _grasp, _yaw."""
    action = np.zeros((1, 21))
    places = {"ahead": 2, "right": 0, "up": 1, "pitch": 3, "yaw": 4, "roll": 5, "jump": 20}
    for side, first in (("left", LEFT_HAND), ("right", RIGHT_HAND)):
        places |= {f"{side}_right": first, f"{side}_up": first + 1, f"{side}_ahead": first + 2}
        places |= {f"{side}_pitch": first + 3, f"{side}_yaw": first + 4, f"{side}_roll": first + 5}
        places[f"{side}_grasp"] = LEFT_GRASP if side == "left" else RIGHT_GRASP
    for name, value in parts.items():
        action[0, places[name]] = value
    return action


def run(simulation: Simulation, frames: int, **parts: float) -> np.ndarray:
    """Repeat an action; returns the bodies after every frame, (frames, BODY)."""
    bodies = []
    for _ in range(frames):
        simulation.step(np.repeat(act(**parts), simulation.num_envs, axis=0))
        bodies.append(simulation.body[0].copy())
    return np.array(bodies)
