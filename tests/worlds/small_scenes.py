"""Hand-made worlds of a few things for tests of the engine, run as plain Python."""

from __future__ import annotations

import numpy as np

from similitude.worlds.engine import columns as c
from similitude.worlds.kinds import KINDS, NUMBER
from similitude.worlds.simulation import Simulation
from similitude.worlds.world import World

LAND = 2.0
"""Height of flat land, in metres."""


def flat(z: float = LAND, *, corners: int = 96) -> np.ndarray:
    """Return level terrain in metres, (corners, corners)."""
    return np.full((corners, corners), z)


def corners_of(terrain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the corners of a terrain in metres, each of its shape."""
    at = (np.arange(len(terrain)) - len(terrain) / 2) * 0.5
    return np.meshgrid(at, at)


def thing(
    kind: str,
    x: float,
    y: float,
    z: float | None = None,
    *,
    half: tuple[float, float, float] | None = None,
    facing: tuple[float, float] = (1.0, 0.0),
    mass: float | None = None,
    state: int = 0,
    link: int = -1,
    opens: float | None = None,
) -> tuple[float, ...]:
    """Return a row of `World.things`; without z it lies on flat land."""
    made = KINDS[NUMBER[kind]]
    size = half or made.half
    height = LAND + size[2] if z is None else z
    return (
        *(NUMBER[kind], x, y, height, *facing, *size),
        *(mass or made.mass, state, made.energy, made.points, link),
        made.opens if opens is None else opens,
    )


def box(x: float, y: float, z: float, half: tuple[float, float, float]) -> tuple[float, ...]:
    """Return a row of `World.solids`: a box with its middle at (x, y, z)."""
    return (x, y, z, 1.0, 0.0, *half, c.BOX, 0, 0)


def scene(
    *things: tuple[float, ...],
    terrain: np.ndarray | None = None,
    solids: tuple[tuple[float, ...], ...] = (),
    spawn: tuple[float, float] = (0.0, 0.0),
    feet: float = LAND,
    backend: str = "plain",
) -> Simulation:
    """Return a simulation of one environment with these things; the body looks along +x."""
    land = flat() if terrain is None else terrain
    height = np.floor(land * 128 + 0.5).astype(np.int16)
    world = World(
        *("eat", 0.0, 0, height, np.zeros(height.shape, np.uint8)),
        np.array(solids, np.float32).reshape(-1, 11),
        np.array(things, np.float32).reshape(-1, 15),
        (*spawn, feet, 1.0, 0.0),
    )
    simulation = Simulation(1, backend=backend)
    simulation.load(0, world, limit=100_000)
    return simulation


def frames(simulation: Simulation, n: int = 1, *, action: dict[int, float] | None = None) -> Simulation:
    """Move on by n frames with the given components of the action, the others 0."""
    acts = np.zeros((simulation.num_envs, 21))
    for i, value in (action or {}).items():
        acts[:, i] = value
    for _ in range(n):
        simulation.step(acts)
    return simulation


def throw(simulation: Simulation, k: int, velocity: tuple[float, float, float]) -> None:
    """Give thing k a velocity in metres per second."""
    simulation.things[0, k, [c.TVX, c.TVY, c.TVZ]] = velocity
    simulation.things[0, k, c.TIMER] = 3.0


def place(simulation: Simulation, k: int) -> np.ndarray:
    """Return the middle of thing k in metres."""
    return simulation.things[0, k, [c.TX, c.TY, c.TZ]].copy()
