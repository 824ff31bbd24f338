"""The complete state that a renderer draws: plain numbers and names, nothing left from the picture before."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from similitude.scenes.frame import GROUND, OBJECT

Vector = tuple[float, float, float]

SENSOR = 36.0
"""Width of the camera's sensor in mm."""


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        name: Its name in messages.
        color: sRGB, each from 0 to 1; multiplies the texture.
        texture: Name of a texture (`similitude.scenes.assets.textures`), or the path of a picture; None for plain colour.
        projection: "uv" by texture coordinates, "box" from the six sides of the object's own frame.
        scale: Repetitions of the texture per unit of the object (box) or of texture coordinates (uv).
        roughness: 0 a mirror, 1 matt.
        metallic: 0 dielectric, 1 metal.
        transmission: 0 opaque, 1 clear glass; renderers that cannot refract show unbent what is behind it.
    """

    name: str = "plain"
    color: Vector = (0.8, 0.8, 0.8)
    texture: str | None = None
    projection: str = "uv"
    scale: float = 1.0
    roughness: float = 0.5
    metallic: float = 0.0
    transmission: float = 0.0


@dataclass(frozen=True)
class Placed:
    """A model and where it stands: first scaled, then turned about x, y and z in that order, then moved.

    Attributes:
        model: Its name (`similitude.scenes.objects.find_object`).
        position: Where its origin is.
        rotation: Angles about x, y and z in radians, as Blender's XYZ Euler angles.
        scale: Factor of each axis.
        material: Replaces all its materials; None keeps them.
        segment: Its value in the segmentation.
        keep_color: Whether the own colours of its materials multiply a replacement's texture.
    """

    model: str
    position: Vector = (0.0, 0.0, 0.0)
    rotation: Vector = (0.0, 0.0, 0.0)
    scale: Vector = (1.0, 1.0, 1.0)
    material: Material | None = None
    segment: int = OBJECT
    keep_color: bool = False

    @property
    def matrix(self) -> np.ndarray:
        """From the model's frame to the scene's, float64, shape (4, 4)."""
        out = np.eye(4)
        out[:3, :3] = turned(self.rotation) * np.asarray(self.scale)
        out[:3, 3] = self.position
        return out


@dataclass(frozen=True)
class Camera:
    """A camera that looks from a position at a target, z up.

    Attributes:
        position: Where it is.
        target: The point in the middle of its picture (before the shift).
        focal_length: In mm, before a sensor 36 mm wide.
        aperture: Ratio of focal length to opening (f-number) for depth of field, focused on the target; None: all sharp.
        shift: Of the picture to the right and up, in widths of the picture.
    """

    position: Vector = (0.8, -2.0, 1.0)
    target: Vector = (0.0, 0.0, 0.0)
    focal_length: float = 50.0
    aperture: float | None = None
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def axes(self) -> np.ndarray:
        """Right, up and forward in the scene's frame, the rows of a float64 array, shape (3, 3)."""
        forward = np.subtract(self.target, self.position)
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, (0.0, 0.0, 1.0))
        if np.linalg.norm(right) < 1e-9:  # straight down or up: north is up in the picture
            right = np.array([1.0, 0.0, 0.0])
        right = right / np.linalg.norm(right)
        return np.stack([right, np.cross(right, forward), forward])

    @property
    def half_width(self) -> float:
        """Tangent of half the angle of view, for square pictures both across and up."""
        return SENSOR / 2 / self.focal_length


@dataclass(frozen=True)
class Light:
    """A lamp that shines to all sides.

    Attributes:
        position: Where it is.
        power: In watts: at distance d it lights a surface that faces it with power / (4 pi d^2) per unit of area.
        color: Linear, each from 0 to 1.
        radius: Of the ball that shines; larger is softer.
    """

    position: Vector = (1.5, -1.8, 3.0)
    power: float = 150.0
    color: Vector = (1.0, 1.0, 1.0)
    radius: float = 0.3


@dataclass(frozen=True)
class Environment:
    """Light from all around, an equirectangular picture of radiance.

    Attributes:
        name: One of `similitude.scenes.assets.environments`, or the path of an EXR or HDR file.
        strength: Factor of its radiance.
        rotation: About z, in radians.
        visible: Whether it is seen behind the objects.
    """

    name: str = "studio"
    strength: float = 1.0
    rotation: float = 0.0
    visible: bool = False


@dataclass(frozen=True)
class Stage:
    """All that a renderer needs: two stages of one digest give one picture.

    Attributes:
        subject: The object that is looked at.
        props: What else stands there: ground, occluders, liquids.
        camera: The camera.
        lights: Lamps.
        environment: Light from all around.
    """

    subject: Placed
    props: tuple[Placed, ...] = ()
    camera: Camera = field(default_factory=Camera)
    lights: tuple[Light, ...] = (Light(),)
    environment: Environment = field(default_factory=Environment)

    @property
    def placed(self) -> tuple[Placed, ...]:
        """The subject, then the props."""
        return (self.subject, *self.props)

    def moved(self, **changes: Any) -> Stage:
        """Return the stage with changes of its subject."""
        return replace(self, subject=replace(self.subject, **changes))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return json.loads(json.dumps(asdict(self)))


def turned(rotation: Vector) -> np.ndarray:
    """Return the matrix of rotations about x, then y, then z; float64, shape (3, 3)."""
    (cx, cy, cz), (sx, sy, sz) = (tuple(map(f, rotation)) for f in (math.cos, math.sin))
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return z @ y @ x


def ground_at(height: float, material: Material) -> Placed:
    """Return a large floor at a height."""
    return Placed("plane", (0.0, 0.0, height), scale=(20.0, 20.0, 1.0), material=material, segment=GROUND)
