"""All objects by name, and where others are looked for: files of the user's, Debian's furniture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError
from similitude.scenes.meshes import ObjectModel
from similitude.scenes.objects import (
    balls,
    bottles,
    devices,
    fruit,
    household,
    joinery,
    primitives,
    signs,
    vessels,
)
from similitude.scenes.objects.surfaces import settled, united
from similitude.scenes.objects.view import View

FURNITURE = "sweethome3d:"
"""What the names of Debian's furniture begin with."""

FILES = (".obj", ".gltf", ".glb")
"""Endings of models that are read from files."""


@dataclass(frozen=True)
class ObjectEntry:
    """An object that is built by code.

    Attributes:
        name: Its name in scenes and studies.
        summary: What it is, in a line.
        labels: Names of ImageNet classes that are right for it; empty for props.
        make: Builds it, in any size and place.
        view: An everyday view of it, in which `similitude.scenes.objects.admission` tests it.
    """

    name: str
    summary: str
    labels: tuple[str, ...]
    make: Callable[[], ObjectModel]
    view: View = field(default_factory=View)

    @property
    def is_prop(self) -> bool:
        """Whether it only stands in scenes of others: classifiers are not asked what it is."""
        return not self.labels


def _entries() -> tuple[ObjectEntry, ...]:
    turn = View.about
    return (
        ObjectEntry("mug", "a white mug with a handle", ("coffee mug", "cup"), vessels.mug, turn(-0.5)),
        ObjectEntry("teapot", "a round white teapot", ("teapot",), vessels.teapot),
        ObjectEntry(
            "wine_bottle",
            "a green bottle with a label and a red capsule",
            ("wine bottle", "red wine"),
            bottles.wine_bottle,
            turn(0.3, towards=(0.3, -1.0, 0.25)),
        ),
        ObjectEntry(
            "beer_bottle",
            "a brown bottle with a label and a crown cap",
            ("beer bottle",),
            bottles.beer_bottle,
            turn(0.2, towards=(0.3, -1.0, 0.25), ground="planks"),
        ),
        ObjectEntry("candle", "a lit candle on a brass dish", ("candle",), household.candle),
        ObjectEntry("bucket", "a bucket of zinc, its bail up", ("bucket",), vessels.bucket),
        ObjectEntry("flowerpot", "a pot of terracotta", ("pot",), vessels.flowerpot),
        ObjectEntry(
            "barrel",
            "an oak barrel with iron hoops",
            ("barrel", "rain barrel"),
            bottles.barrel,
            turn(0.3, towards=(0.3, -1.0, 0.3)),
        ),
        ObjectEntry(
            "table_lamp",
            "a lamp with a pleated shade",
            ("table lamp", "lampshade"),
            household.table_lamp,
            View(towards=(0.3, -1.0, 0.2)),
        ),
        ObjectEntry(
            "frying_pan",
            "a black frying pan",
            ("frying pan", "wok"),
            vessels.frying_pan,
            turn(-0.6, towards=(0.2, -1.0, 0.8)),
        ),
        ObjectEntry(
            "toilet_roll",
            "a roll of toilet paper",
            ("toilet tissue",),
            household.toilet_roll,
            turn(-0.7, towards=(0.3, -1.0, 0.5)),
        ),
        ObjectEntry(
            "dumbbell", "a dumbbell with hexagonal heads", ("dumbbell",), household.dumbbell, turn(0.5)
        ),
        ObjectEntry(
            "banana",
            "a ripe banana",
            ("banana",),
            fruit.banana,
            View((1.57, 0.0, 3.3), (0.2, -1.0, 1.0), ground="white"),
        ),
        ObjectEntry("orange", "an orange", ("orange",), fruit.orange),
        ObjectEntry(
            "lemon",
            "a lemon on its side",
            ("lemon",),
            fruit.lemon,
            View((0.0, 0.2, 0.4), (0.3, -1.0, 0.6), 0.6, ground="white"),
        ),
        ObjectEntry("apple", "a green apple", ("Granny Smith",), fruit.apple),
        ObjectEntry(
            "strawberry",
            "a strawberry",
            ("strawberry",),
            fruit.strawberry,
            turn(0.4, towards=(0.3, -1.0, 0.6), ground="white"),
        ),
        ObjectEntry(
            "tennis_ball",
            "a ball of yellow felt",
            ("tennis ball",),
            balls.tennis_ball,
            turn(0.6, towards=(0.3, -1.0, 0.4), fill=0.6),
        ),
        ObjectEntry(
            "baseball", "a white ball with red stitches", ("baseball",), balls.baseball, View(ground="white")
        ),
        ObjectEntry("golf_ball", "a white ball with dimples", ("golf ball",), balls.golf_ball),
        ObjectEntry(
            "soccer_ball",
            "a ball of black and white panels",
            ("soccer ball",),
            balls.soccer_ball,
            View(ground="grey"),
        ),
        ObjectEntry(
            "basketball",
            "an orange ball with black seams",
            ("basketball",),
            balls.basketball,
            View((0.3, 0.2, 0.4)),
        ),
        ObjectEntry(
            "volleyball",
            "a white ball of 18 panels",
            ("volleyball",),
            balls.volleyball,
            View((0.2, 0.6, 1.0), (0.3, -1.0, 0.4), 0.7, ground="planks"),
        ),
        ObjectEntry(
            "traffic_light",
            "a traffic light that shows red",
            ("traffic light",),
            signs.traffic_light,
            turn(0.35, towards=(0.2, -1.0, -0.1), ground=None),
        ),
        ObjectEntry(
            "stop_sign",
            "a red octagon that says STOP",
            ("street sign",),
            signs.stop_sign,
            turn(0.25, towards=(0.1, -1.0, -0.05), ground=None),
        ),
        ObjectEntry(
            "wall_clock",
            "a round clock at ten past ten",
            ("wall clock", "analog clock"),
            signs.wall_clock,
            turn(0.25, towards=(0.0, -1.0, 0.1), ground=None),
        ),
        ObjectEntry(
            "keyboard",
            "a computer's keyboard",
            ("computer keyboard", "space bar"),
            devices.keyboard,
            turn(0.1, towards=(0.1, -1.0, 2.0), fill=0.95),
        ),
        ObjectEntry(
            "monitor",
            "a computer's screen",
            ("monitor", "screen", "desktop computer"),
            devices.monitor,
            turn(0.3, towards=(0.1, -1.0, 0.25)),
        ),
        ObjectEntry(
            "remote_control",
            "a remote control",
            ("remote control",),
            devices.remote_control,
            turn(0.6, towards=(0.1, -1.0, 1.0)),
        ),
        ObjectEntry(
            "park_bench",
            "a bench of slats on iron feet",
            ("park bench",),
            joinery.park_bench,
            turn(0.5, towards=(0.2, -1.0, 0.4), ground="concrete"),
        ),
        ObjectEntry(
            "bookcase",
            "a bookcase full of books",
            ("bookcase",),
            joinery.bookcase,
            turn(0.3, towards=(0.1, -1.0, 0.15)),
        ),
        ObjectEntry(
            "crate",
            "an open crate of boards",
            ("crate",),
            joinery.crate,
            turn(0.5, towards=(0.3, -1.0, 0.8), fill=0.8, ground="grey"),
        ),
        ObjectEntry(
            "envelope",
            "a sealed envelope, its back to the front",
            ("envelope",),
            joinery.envelope,
            View((-1.57, 0.0, 0.3), (0.1, -1.0, 1.2)),
        ),
        ObjectEntry(
            "umbrella",
            "a red umbrella, open",
            ("umbrella",),
            joinery.umbrella,
            View((-0.5, 0.3, 0.0), (0.2, -1.0, 0.05), 0.85, ground=None),
        ),
        ObjectEntry("plane", "a flat square that faces up", (), primitives.plane),
        ObjectEntry("panel", "an upright square that faces the front, for occlusion", (), primitives.panel),
        ObjectEntry("box", "a cube with sharp edges", (), primitives.cube),
        ObjectEntry("ball", "a plain ball", (), primitives.sphere),
        ObjectEntry("disc", "a flat disc that faces up, for liquids", (), primitives.disc),
    )


OBJECTS: dict[str, ObjectEntry] = {entry.name: entry for entry in _entries()}
"""Objects that are built by code, by name; props have no labels."""


def find_object(name: str) -> ObjectModel:
    """Return an object: its middle at the origin, its largest extent 1, z up, its front to -y.

    Args:
        name: One of `OBJECTS`, "sweethome3d:NAME", or the path of an OBJ or glTF file, which is read again once it or a
            file that it names beside it has changed.

    Raises:
        SceneError: There is no such object, or its file cannot be read.

    Example:
        >>> find_object("mug").labels
        ('coffee mug', 'cup')
    """
    if Path(name).suffix.lower() in FILES and not name.startswith(FURNITURE):
        from similitude.scenes.assets.loading import remembered_object

        return remembered_object(name)
    return _found(name)


@lru_cache(maxsize=64)
def _found(name: str) -> ObjectModel:
    if name in OBJECTS:
        return built(OBJECTS[name])
    if name.startswith(FURNITURE):
        from similitude.scenes.assets.sweethome import furniture

        return furniture(name.removeprefix(FURNITURE))
    raise SceneError(
        f"there is no object {name!r}. "
        + did_you_mean(name, OBJECTS)
        + f"There are: {', '.join(OBJECTS)}; '{FURNITURE}NAME' for Debian's furniture; and paths that end in "
        f"{', '.join(FILES)}."
    )


def built(entry: ObjectEntry) -> ObjectModel:
    """Return the object of an entry, in the middle and of size 1, its numbers rounded (`surfaces.settled`)."""
    made = entry.make()
    named = replace(made, name=entry.name, labels=entry.labels, meshes=united(made.meshes)).normalised()
    return replace(named, meshes=tuple(settled(mesh) for mesh in named.meshes))
