"""Texture against shape: what a model calls an object that wears the skin of another class (Geirhos et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from similitude.core.errors import SceneError
from similitude.evaluation.aggregate import Estimate
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.factors import factor_named, factors_of, judged
from similitude.scenes.analysis.shares import share_of

TEXTURE_CLASSES: dict[str, tuple[str, ...]] = {
    "zebra": ("zebra",),
    "tiger": ("tiger", "tiger cat"),
    "leopard": ("leopard", "snow leopard", "jaguar", "cheetah"),
    "cheetah": ("cheetah", "leopard", "jaguar"),
    "elephant": ("African elephant", "Indian elephant", "tusker"),
    "crocodile": ("African crocodile", "American alligator"),
    "cow": ("ox",),
    "snake": (
        *(
            f"{kind} snake"
            for kind in ("thunder", "ringneck", "hognose", "green", "king", "garter", "water", "vine")
        ),
        *("night snake", "boa constrictor", "rock python", "Indian cobra", "green mamba", "sea snake"),
        *("horned viper", "diamondback", "sidewinder"),
    ),
}
"""Classes of ImageNet that a texture or a material is cut from, by its name; a texture that has none asks no question."""


@dataclass(frozen=True)
class TextureStanding:
    """What a texture does.

    Attributes:
        texture: Its name.
        scenes: Scenes with it.
        shape: Answers that are right for the object.
        skin: Answers that are a class of the texture.
        accuracy: Share of right answers (Wilson).
    """

    texture: str
    scenes: int
    shape: int
    skin: int
    accuracy: Estimate


@dataclass(frozen=True)
class CueConflict:
    """Texture against shape.

    Attributes:
        factor: The setting that swaps textures.
        textures: Those with a class of their own.
        shape_bias: Share of shape answers among those that are of shape or texture (Wilson), as Geirhos et al. define it;
            None where no answer is either.
        decided: Share of answers that are either (Wilson); a bias of few answers says little.
        original: Accuracy with the object's own material in this study; None where there is no such scene.
        swapped: Accuracy over all swapped scenes, also of textures without a class.
    """

    factor: str
    textures: tuple[TextureStanding, ...]
    shape_bias: Estimate | None
    decided: Estimate
    original: Estimate | None
    swapped: Estimate

    @property
    def lost(self) -> float | None:
        """Share of the accuracy with the own material that swapping takes; None where that is not known or 0."""
        if self.original is None or not self.original.value:
            return None
        return 1 - self.swapped.value / self.original.value

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "factor": self.factor,
            "shape_bias": None if self.shape_bias is None else self.shape_bias.to_dict(),
            "decided": self.decided.to_dict(),
            "original": None if self.original is None else self.original.to_dict(),
            "swapped": self.swapped.to_dict(),
            "lost": self.lost,
            "textures": [
                {
                    "texture": one.texture,
                    "scenes": one.scenes,
                    "shape": one.shape,
                    "skin": one.skin,
                    "accuracy": one.accuracy.to_dict(),
                }
                for one in self.textures
            ],
        }


ORIGINAL = ("original", "own", "none", "None", "")
"""Values of a setting of textures that leave the object as it is; so does a setting that is not given."""


def texture_factor(rows: Sequence[Row], classes: Mapping[str, Sequence[str]] = TEXTURE_CLASSES) -> str | None:
    """Return the setting whose values are most often textures with a class of their own; None where there is none."""
    counts = {
        name: sum(value in classes for value in factor.names)
        for name, factor in factors_of(rows).items()
        if not factor.numeric and name not in ("object", "environment")
    }
    best = max(counts, key=lambda name: counts[name], default=None)
    return best if best is not None and counts[best] else None


def cue_conflict(
    rows: Iterable[Row],
    names: Sequence[str],
    *,
    factor: str | None = None,
    classes: Mapping[str, Sequence[str]] = TEXTURE_CLASSES,
) -> CueConflict:
    """Return how often answers follow the shape, and how often the texture.

    Args:
        rows: Rows of one model that classifies.
        names: Names of the classes that predictions number, as `SceneRun.names`.
        factor: The setting that swaps textures; found by its values where None.
        classes: Names of classes by texture.

    Raises:
        SceneError: No setting has textures with a class, or rows have no prediction.

    Source: Geirhos et al., ImageNet-trained CNNs are biased towards texture (2019), Section 2: answers that are neither
        of the shape's nor of the texture's class are left out of the share.
    """
    kept = judged(rows)
    name = factor or texture_factor(kept, classes)
    if name is None:
        raise SceneError(
            "no setting swaps textures that are a class of their own. Give a choice of them, e.g. zebra and elephant; "
            f"known are {', '.join(classes)}."
        )
    values = [None if v in ORIGINAL else v for v in factor_named(kept, name).values]
    if any("prediction" not in row.metrics or row.success is None for row in kept):
        raise SceneError("these rows have no predicted class. Use the evaluator 'classification'.")
    conflict: dict[str, list[tuple[bool, bool]]] = {}
    for row, value in zip(kept, values, strict=True):
        if value in classes:
            answer = int(row.metrics["prediction"])
            said = names[answer] if answer < len(names) else ""
            # An answer that is right for the object is of its shape, also where its texture has that class too.
            conflict.setdefault(str(value), []).append(
                (bool(row.success), not row.success and said in classes[str(value)])
            )
    if not conflict:
        raise SceneError(
            f"'{name}' has no texture that is a class of its own. Known are {', '.join(classes)}."
        )
    answers = [one for group in conflict.values() for one in group]
    decided = [shape for shape, skin in answers if shape or skin]
    own = [bool(row.success) for row, value in zip(kept, values, strict=True) if value is None]
    swapped = [bool(row.success) for row, value in zip(kept, values, strict=True) if value is not None]
    return CueConflict(
        name,
        tuple(
            TextureStanding(
                texture,
                len(group),
                sum(shape for shape, _ in group),
                sum(skin for _, skin in group),
                share_of([shape for shape, _ in group]),
            )
            for texture, group in sorted(conflict.items())
        ),
        share_of(decided) if decided else None,
        share_of([shape or skin for shape, skin in answers]),
        share_of(own) if own else None,
        share_of(swapped),
    )
