"""Admission: does a classifier know an object in an everyday view? Failures elsewhere mean little otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.objects.catalog import OBJECTS, find_object
from similitude.scenes.objects.view import RESOLUTION, View

if TYPE_CHECKING:
    from similitude.scenes.models.classifier import Classifier
    from similitude.scenes.renderers.renderer import Renderer
    from similitude.scenes.scene import Scene

LEAST = 0.5
"""Probability of the accepted labels together from which on an object is admitted."""

MODEL = "efficientnet-lite0"
"""The classifier that is asked where none is named."""


@dataclass(frozen=True)
class Admission:
    """What a classifier sees in the canonical view of an object.

    Attributes:
        name: The object's name.
        labels: Names of the classes that are right.
        first: Name of the class that it puts first; its number where classes have no names.
        right: Whether that is one of the labels.
        probability: Of the labels together.
        visible: Share of the picture that shows the object.
    """

    name: str
    labels: tuple[str, ...]
    first: str
    right: bool
    probability: float
    visible: float

    @property
    def admitted(self) -> bool:
        """Whether an accepted class is first and the accepted ones have at least `LEAST` together."""
        return self.right and self.probability >= LEAST


def canonical_scene(name: str, *, resolution: int = RESOLUTION) -> Scene:
    """Return the everyday view of an object: its own, or else three quarters from the front on a wooden table.

    Args:
        name: As in `similitude.scenes.Scene`.
        resolution: Rows and columns.

    Example:
        >>> canonical_scene("mug")["ground.material"]
        'wood'
    """
    view = OBJECTS[name].view if name in OBJECTS else View()
    return view.scene(name, resolution=resolution)


def admit(
    name: str,
    renderer: str | Renderer = "raster",
    *,
    model: str | Classifier = MODEL,
    labels: Sequence[str] | None = None,
    scene: Scene | None = None,
) -> Admission:
    """Show the canonical view of an object to a classifier.

    Args:
        name: One of `similitude.scenes.OBJECTS`, "sweethome3d:NAME", or the path of a file.
        renderer: Name of a renderer, or one of your own.
        model: Name of a classifier (`similitude.scenes.models`), or one of your own.
        labels: Names of the classes that are right; those of the object by default.
        scene: Another view than `canonical_scene(name)`.

    Returns:
        What was seen.

    Raises:
        SceneError: The object, the renderer or the model is not there, the object has no labels, or the classifier does
            not know them or returns logits that are not finite.

    Cost:
        One picture and one inference, about 0.3 s on a core with the raster and EfficientNet-Lite0.
    """
    from similitude.scenes.models.classification import class_metrics
    from similitude.scenes.models.classifier import accepted_classes
    from similitude.scenes.rendering import render

    accepted_labels = tuple(find_object(name).labels if labels is None else labels)
    if not accepted_labels:
        raise SceneError(
            f"the object '{name}' has no labels, so no answer about it is right. Give some, e.g. labels=['cup']."
        )
    asked = _shared(model) if isinstance(model, str) else model
    frame = render(canonical_scene(name) if scene is None else scene, renderer)
    logits = np.asarray(asked(frame.rgb[None].astype(np.float32)), np.float64)[0]
    if not np.isfinite(logits).all():
        raise SceneError(
            f"the model '{asked.name}' returns logits that are not finite for the object '{name}'. Check its weights."
        )
    accepted = accepted_classes(accepted_labels, asked.names)
    found = class_metrics(logits, np.array(accepted))
    first = int(found["prediction"])
    return Admission(
        name,
        accepted_labels,
        asked.names[first] if asked.names else str(first),
        first in accepted,
        found["probability"],
        frame.visible,
    )


@lru_cache(maxsize=2)
def _shared(name: str) -> Classifier:
    from similitude.scenes.models.catalog import model_named

    return model_named(name)
