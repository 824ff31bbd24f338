"""Everything that stands in a world: foods, tools, blocks, animals, doors and locks, with sizes and habits.

Names, energies, masses, order of danger, senses and damages follow Avalon's published tables (arXiv 2210.13417); sizes,
speeds and colours are our own.
"""

from __future__ import annotations

from dataclasses import dataclass

from similitude.worlds.engine import columns as c


@dataclass(frozen=True)
class Kind:
    """A kind of thing.

    Attributes:
        name: Its name.
        role: What it is to the engine: one of `columns`' roles.
        half: Half extents in metres, (along, across, up).
        color: Red, green, blue, 0 to 255.
        mass: Kilograms.
        energy: Energy when eaten.
        points: Hit points.
        speed: Metres per second.
        sense: Distance at which it notices the agent, in metres.
        damage: Hit points that its attack takes.
        rest: Frames between its attacks.
        traits: Sum of `columns`' traits.
        opens: Impact that opens it, in metres per second.
    """

    name: str
    role: int
    half: tuple[float, float, float]
    color: tuple[int, int, int]
    mass: float = 1.0
    energy: float = 0.0
    points: float = 0.0
    speed: float = 0.0
    sense: float = 0.0
    damage: float = 0.0
    rest: float = 0.0
    traits: int = 0
    opens: float = 0.0


def _food(name, size, color, energy=1.0, traits=0, opens=0.0) -> Kind:
    return Kind(name, c.FOOD, (size, size, size), color, 0.5, energy, traits=traits, opens=opens)


def _tool(name, half, color, mass, points=0.0) -> Kind:
    return Kind(name, c.TOOL, half, color, mass, damage=points)


def _prey(name, half, color, speed, *, points=1.0, sense=6.0, traits=0) -> Kind:
    return Kind(name, c.PREY, half, color, 5.0, 1.0, points, speed, sense, traits=traits)


def _predator(name, half, color, speed, *, points=1.0, sense=12.0, damage=0.5, rest=7.0, traits=0) -> Kind:
    return Kind(name, c.PREDATOR, half, color, 30.0, 0.0, points, speed, sense, damage, rest, traits)


KINDS: tuple[Kind, ...] = (
    # foods
    _food("apple", 0.125, (214, 40, 40)),
    _food("banana", 0.125, (245, 215, 70), energy=0.5),
    _food("fig", 0.125, (110, 60, 120), traits=c.BREAKS, opens=2.0),
    _food("orange", 0.125, (240, 140, 30)),
    _food("avocado", 0.125, (60, 90, 45), traits=c.NEEDS_ROCK, opens=2.0),
    _food("coconut", 0.1875, (110, 80, 55), traits=c.BREAKS, opens=5.0),
    _food("honeycomb", 0.1875, (225, 165, 40)),
    _food("cherry", 0.125, (170, 20, 60)),
    _food("mulberry", 0.125, (85, 25, 85)),
    _food("carrot", 0.125, (235, 120, 40)),
    # tools: damage is the hit points that an impact takes
    _tool("rock", (0.125, 0.125, 0.125), (125, 125, 130), 1.0, 1.0),
    _tool("large rock", (0.25, 0.25, 0.25), (105, 105, 112), 3.0, 2.0),
    _tool("stick", (0.5, 0.0625, 0.0625), (140, 100, 60), 5.0, 1.0),
    _tool("large stick", (0.75, 0.09375, 0.09375), (120, 82, 48), 8.0, 2.0),
    # blocks: boxes that can be stood on
    Kind("stone", c.BLOCK, (0.5, 0.5, 0.5), (150, 150, 155), 12.0),
    Kind("log", c.BLOCK, (3.2, 0.25, 0.1875), (130, 92, 55), 60.0),
    Kind("boulder", c.BLOCK, (1.0, 1.0, 1.0), (118, 114, 110), 600.0),
    # prey
    _prey("frog", (0.15625, 0.125, 0.125), (80, 150, 60), 1.5, sense=4.0),
    _prey("turtle", (0.25, 0.1875, 0.15625), (95, 120, 60), 0.5, sense=4.0),
    _prey("mouse", (0.125, 0.09375, 0.09375), (150, 140, 135), 2.0, sense=4.0),
    _prey("rabbit", (0.21875, 0.15625, 0.1875), (190, 170, 150), 2.5),
    _prey("pigeon", (0.1875, 0.125, 0.125), (150, 155, 175), 2.5, traits=c.FLIES),
    _prey("squirrel", (0.1875, 0.125, 0.15625), (165, 95, 50), 2.5, traits=c.CLIMBS),
    _prey("crow", (0.21875, 0.15625, 0.15625), (40, 40, 48), 2.75, traits=c.FLIES),
    _prey("deer", (0.5, 0.25, 0.5), (160, 115, 70), 2.75, points=2.0, sense=8.0),
    # predators, from the mildest to the most dangerous
    _predator(
        "bee", (0.09375, 0.09375, 0.09375), (240, 200, 30), 2.5, sense=6.0, damage=0.25, traits=c.FLIES
    ),
    _predator("snake", (0.4375, 0.09375, 0.09375), (90, 110, 40), 1.5, damage=5.0),
    _predator("hawk", (0.3125, 0.1875, 0.15625), (125, 85, 55), 3.25, damage=0.25, rest=64.0, traits=c.FLIES),
    _predator("hippo", (0.875, 0.5, 0.5), (125, 105, 115), 2.0, points=500.0, traits=c.UNKILLABLE | c.SWIMS),
    _predator("alligator", (0.9375, 0.3125, 0.25), (70, 95, 60), 2.25, traits=c.SWIMS),
    _predator("eagle", (0.375, 0.25, 0.1875), (95, 70, 45), 3.5, traits=c.FLIES),
    _predator("wolf", (0.5, 0.21875, 0.375), (120, 120, 125), 3.0, points=2.0),
    _predator("jaguar", (0.5625, 0.25, 0.375), (215, 165, 70), 3.25, points=2.0, traits=c.CLIMBS),
    _predator(
        "bear", (0.6875, 0.375, 0.5625), (95, 65, 45), 2.75, points=500.0, traits=c.UNKILLABLE | c.CLIMBS
    ),
    # doors and locks; half extents are set by the building
    Kind("swing door", c.DOOR, (0.5, 0.0625, 1.0), (150, 105, 65), 40.0, traits=c.SWINGS),
    Kind("slide door", c.DOOR, (0.5, 0.0625, 1.0), (135, 115, 85), 40.0, traits=c.SLIDES),
    Kind("turning bar", c.LOCK, (0.5, 0.0625, 0.0625), (200, 170, 60), 3.0, traits=c.TURNS),
    Kind("sliding bar", c.LOCK, (0.375, 0.0625, 0.0625), (90, 150, 190), 3.0, traits=c.SHIFTS),
    Kind("button", c.LOCK, (0.125, 0.0625, 0.125), (205, 60, 50), 3.0, traits=c.PRESSES),
)
"""Every kind; its place here is its number in the arrays."""

NAMES = tuple(kind.name for kind in KINDS)

NUMBER = {kind.name: i for i, kind in enumerate(KINDS)}
"""Number of a kind by its name."""

FOODS = tuple(kind.name for kind in KINDS if kind.role == c.FOOD)
PREDATORS = tuple(kind.name for kind in KINDS if kind.role == c.PREDATOR)

COLORS: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("trunk", (96, 70, 45)),
    ("leaves", (62, 110, 48)),
    ("needles", (44, 86, 58)),
    ("palm", (104, 142, 60)),
    ("wall", (196, 184, 160)),
    ("floor", (150, 122, 92)),
    ("roof", (150, 70, 55)),
    ("stair", (128, 108, 88)),
    ("altar", (205, 200, 190)),
    ("ladder", (118, 92, 62)),
    ("window", (150, 190, 210)),
)
"""Colours of what never moves; their places are the numbers in the arrays."""

COLOR = {name: i for i, (name, _) in enumerate(COLORS)}

BIOMES: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("water", (60, 110, 180)),
    ("coast", (226, 214, 160)),
    ("dark shore", (120, 112, 98)),
    ("fresh water", (82, 142, 190)),
    ("swamp", (92, 108, 70)),
    ("grassland", (124, 170, 87)),
    ("deciduous forest", (84, 140, 66)),
    ("temperate rain forest", (58, 118, 70)),
    ("tropical rain forest", (46, 108, 52)),
    ("dry grassland", (176, 168, 92)),
    ("temperate desert", (198, 180, 128)),
    ("tropical desert", (222, 196, 128)),
    ("bare rock", (168, 168, 170)),
    ("unclimbable", (117, 98, 92)),
)
"""The fourteen biomes with their colours; a biome's place here is its number in `World.ground`."""

BIOME = {name: i for i, (name, _) in enumerate(BIOMES)}
