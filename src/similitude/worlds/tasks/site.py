"""A world in the making: a height map that can be edited, what stands on it, and the steps of its solution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from similitude.worlds.draws import Draws, exact
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import CLIMBABLE, UNITS
from similitude.worlds.kinds import COLOR, KINDS, NUMBER
from similitude.worlds.land.biomes import paint
from similitude.worlds.land.grid import coordinates, half_width, height_at
from similitude.worlds.land.ring import Ring, on_grid
from similitude.worlds.land.terrain import island, noise, smoothed
from similitude.worlds.land.trees import plant
from similitude.worlds.world import Step, World


class ImpossibleSiteError(Exception):
    """A builder that finds no place for what it wants: another attempt may."""


class Site:
    """What a task's builder works on.

    A builder first makes an island (`site.island(...)`), edits its heights `z`, adds things and solids, sets the spawn
    and writes the steps of the solution; biomes, trees and rounding come in `finish`.

    Args:
        task: Name of the task.
        difficulty: In [0, 1].
        seed: Whole number.
        draws: Where its random numbers come from.
        size: Corners per side of the map, 0.5 m apart; a multiple of 32.

    Attributes:
        z: Heights of the corners in metres, float64, (size, size); rows along y, columns along x.
        climbs: Cells where hands find holds, bool, (size, size). All do until an obstacle forbids it; only steep ground
            matters.
        solids: Rows of `World.solids`.
        things: Rows of `World.things`.
        steps: The solution so far.
        spawn: x, y, z of the feet in metres, cos and sin of the yaw.
        bare: Cells where no tree grows, bool, (size, size).
        clear: Circles (x, y, radius) where no tree grows, besides those around things, spawn and steps.
        trees: How much of the woods grows, from 0 to 1.
    """

    def __init__(self, task: str, difficulty: float, seed: int, *, draws: Draws, size: int = 128) -> None:
        self.task, self.difficulty, self.seed = task, difficulty, seed
        self.draws = draws
        self.resize(size)
        self.solids: list[tuple[float, ...]] = []
        self.things: list[tuple[float, ...]] = []
        self.steps: list[Step] = []
        self.spawn: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 1.0, 0.0)
        self.clear: list[tuple[float, float, float]] = []
        self.trees = 0.4 + 0.6 * difficulty

    def resize(self, size: int) -> None:
        """Begin again with an empty map of `size` corners per side."""
        self.size = size
        self.z = np.zeros((size, size))
        self.climbs = np.ones((size, size), dtype=bool)
        self.bare = np.zeros((size, size), dtype=bool)
        self.x, self.y = coordinates(size)
        self.half = half_width(size)
        self._noise: np.ndarray | None = None

    # the land

    def island(self, *, relief: float = 4.0, base: float = 2.0, fading: float = 0.4) -> None:
        """Make an island: plains at about `base` metres with hills `relief` metres higher."""
        self.z = island(self.draws.child("island"), self.size, relief=relief, base=base, fading=fading)

    def height_at(self, x: float, y: float) -> float:
        """Return the height of the terrain in metres (under water too)."""
        return height_at(self.z, x, y)

    def distance(self, x: float, y: float) -> np.ndarray:
        """Return the distance of every corner from a point, in metres, (size, size)."""
        dx, dy = self.x - x, self.y - y
        return np.sqrt(dx * dx + dy * dy)

    def flatten(
        self, x: float, y: float, radius: float, z: float | None = None, *, rim: float = 2.0
    ) -> float:
        """Make a disc level; it joins the land around it over `rim` metres.

        Returns:
            Its height, by default the one at its middle.
        """
        level = exact(self.height_at(x, y) if z is None else z)
        weight = np.minimum(np.maximum((radius + rim - self.distance(x, y)) / max(rim, 0.25), 0.0), 1.0)
        self.z = self.z + (level - self.z) * weight
        return level

    def ring(
        self,
        x: float,
        y: float,
        direction: tuple[float, float],
        radius: float,
        *,
        outward: bool = False,
        flat: float = 2.0,
    ) -> Ring:
        """Return a ring (see `Ring`) around a point that is moved onto the grid, as is the radius."""
        return Ring(
            *(on_grid(x), on_grid(y), *direction, on_grid(radius), self.size),
            outward=outward,
            flat=flat,
            wobble=self._wobble(),
        )

    def _wobble(self) -> np.ndarray:
        """Return the noise that moves the edges of rings: one for all of a site, which costs as much as its island."""
        if self._noise is None or self._noise.shape[0] != self.size:
            self._noise = noise(self.draws.child("wobble"), self.size)
        return self._noise

    def level(self, weight: np.ndarray, z: float) -> None:
        """Move the land towards a height by a weight from 0 to 1 at every corner (`Ring.passage` gives one)."""
        self.z = self.z + (z - self.z) * weight

    def smooth(self, times: int, where: np.ndarray | None = None) -> None:
        """Smooth the land, all of it or where a mask (size, size) is true."""
        soft = smoothed(self.z, times)
        self.z = soft if where is None else np.where(where, soft, self.z)

    # what stands on it

    def add_thing(
        self,
        kind: str,
        x: float,
        y: float,
        *,
        z: float | None = None,
        state: int = 0,
        energy: float | None = None,
        link: int = -1,
        half: tuple[float, float, float] | None = None,
        facing: tuple[float, float] = (1.0, 0.0),
        mass: float | None = None,
        opens: float | None = None,
    ) -> int:
        """Add something that can move.

        Args:
            kind: Name of one of `kinds.KINDS`.
            x: Of its centre, metres.
            y: Of its centre, metres.
            z: Of its centre, metres; by default it rests on the terrain (edit the land first).
            state: One of the states of `engine.columns`: FREE, CLOSED, HANGING, BURIED; ALIVE.
            energy: Energy when eaten, by default the kind's.
            link: Lock: index of its door.
            half: Half extents in metres, by default the kind's.
            facing: Unit vector along which it lies.
            mass: Kilograms, by default the kind's.
            opens: Impact that opens a food, by default the kind's; door: number of locks.

        Returns:
            Its index in `World.things`.
        """
        table = KINDS[NUMBER[kind]]
        half = table.half if half is None else half
        z = self.height_at(x, y) + half[2] if z is None else z
        self.things.append(
            (
                *(float(NUMBER[kind]), exact(x), exact(y), exact(z), exact(facing[0]), exact(facing[1])),
                *(exact(half[0]), exact(half[1]), exact(half[2])),
                *(table.mass if mass is None else exact(mass), float(state)),
                *(table.energy if energy is None else exact(energy), table.points, float(link)),
                table.opens if opens is None else exact(opens),
            )
        )
        return len(self.things) - 1

    def place_of(self, thing: int) -> tuple[float, float, float]:
        """Return the centre of a thing in metres."""
        row = self.things[thing]
        return row[1], row[2], row[3]

    def add_solid(
        self,
        x: float,
        y: float,
        z: float,
        half: tuple[float, float, float],
        *,
        color: str = "wall",
        shape: int = c.BOX,
        climbs: bool = False,
        facing: tuple[float, float] = (1.0, 0.0),
    ) -> int:
        """Add something that never moves, by its centre and half extents in metres; return its index."""
        self.solids.append(
            (
                *(exact(x), exact(y), exact(z), exact(facing[0]), exact(facing[1])),
                *(exact(half[0]), exact(half[1]), exact(half[2])),
                *(float(shape), float(COLOR[color]), 1.0 if climbs else 0.0),
            )
        )
        return len(self.solids) - 1

    def add_box(
        self,
        x: float,
        y: float,
        half: tuple[float, float, float],
        *,
        z: float | None = None,
        color: str = "wall",
        climbs: bool = False,
        facing: tuple[float, float] = (1.0, 0.0),
    ) -> int:
        """Add a box that never moves; by default it stands on the terrain. Returns its index."""
        z = self.height_at(x, y) + half[2] if z is None else z
        return self.add_solid(x, y, z, half, color=color, climbs=climbs, facing=facing)

    def add_tree(self, x: float, y: float, *, height: float = 4.0, leaves: str = "leaves") -> int:
        """Add a tree, a trunk that is in the way and a crown that is not; return the index of its trunk.

        Args:
            x: Of its foot, metres.
            y: Of its foot, metres.
            height: In metres.
            leaves: "leaves", "needles" or "palm".
        """
        foot = self.height_at(x, y)
        thick, half = 0.09 + 0.02 * height, 0.325 * height
        trunk = self.add_solid(
            *(x, y, foot + half - 0.25, (thick, thick, half + 0.25)), color="trunk", shape=c.CYLINDER
        )
        wide, tall, low = {
            "leaves": (0.36, 0.3, 0.72),
            "needles": (0.22, 0.44, 0.58),
            "palm": (0.36, 0.11, 0.72),
        }[leaves]
        self.add_solid(
            *(x, y, foot + low * height, (wide * height, wide * height, tall * height)),
            color=leaves,
            shape=c.CROWN,
        )
        return trunk

    # how it begins and how it is solved

    def set_spawn(self, x: float, y: float, facing: tuple[float, float]) -> None:
        """Let the agent start at a point of the terrain, looking along a unit vector."""
        self.spawn = (
            *(exact(x), exact(y), exact(max(self.height_at(x, y), -0.5))),
            *(exact(facing[0]), exact(facing[1])),
        )

    def step(self, do: str, at: Sequence[Sequence[float]] = (), *, thing: int = -1, target: int = -1) -> Step:
        """Add a step of the solution; points are rounded. See `Step`."""
        points = tuple(tuple(exact(float(value)) for value in point) for point in at)
        done = Step(do, points, thing, target)
        self.steps.append(done)
        return done

    def finish(self, parameters: dict | None = None) -> World:
        """Paint the biomes, plant trees, round everything, and return the world."""
        height = np.floor(self.z * UNITS + 0.5)
        height = np.minimum(np.maximum(height, -32000.0), 32000.0).astype(np.int16)
        biomes = paint(height.astype(np.float64) / UNITS, self.climbs, self.draws.child("biomes"))
        plant(self, biomes)
        ground = biomes | np.where(self.climbs, CLIMBABLE, 0).astype(np.uint8)
        return World(
            task=self.task,
            difficulty=self.difficulty,
            seed=self.seed,
            height=height,
            ground=ground,
            solids=np.array(self.solids, dtype=np.float32).reshape(-1, c.SOLID),
            things=np.array(self.things, dtype=np.float32).reshape(-1, 15),
            spawn=self.spawn,
            parameters=parameters or {},
            solution=tuple(self.steps),
        )
