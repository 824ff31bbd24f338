"""What a classifier is: pictures in, logits of named classes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from similitude.core.closest import closest_name
from similitude.core.errors import SceneError


class Classifier(Protocol):
    """A model that says what is in a picture.

    Attributes:
        name: Its name in rows.
        names: Names of its classes in the order of its logits; empty where they only have numbers.
    """

    @property
    def name(self) -> str:
        """Its name in rows."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Names of its classes."""
        ...

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return logits.

        Args:
            images: sRGB from 0 to 1, float32, shape (N, H, W, 3).

        Returns:
            Shape (N, C).
        """
        ...


@dataclass(frozen=True)
class CallableModel:
    """Any callable on a batch of pictures, with a name.

    Attributes:
        function: From float32 sRGB of shape (N, H, W, 3) to the answers.
        name: Its name in rows.
        names: Names of its classes; empty where they only have numbers.
    """

    function: Callable[[np.ndarray], Any]
    name: str
    names: tuple[str, ...] = ()

    def __call__(self, images: np.ndarray) -> Any:
        """Return the answers of the callable; tensors as arrays."""
        return as_array(self.function(images))


def as_array(answers: Any) -> Any:
    """Return a tensor as an array of numpy, and anything else as it is."""
    return answers.detach().cpu().numpy() if hasattr(answers, "detach") else answers


def accepted_classes(labels: Iterable[str], names: Sequence[str]) -> tuple[int, ...]:
    """Return the numbers of the classes that labels stand for.

    Args:
        labels: Names of classes or synonyms, or numbers written out.
        names: Names of the classifier's classes; those of ImageNet are known with all their synonyms.

    Raises:
        SceneError: A label is no class of the classifier; the close one is said.

    Example:
        >>> accepted_classes(["dog", "2"], ["cat, feline", "Dog", "cow"]), accepted_classes(["feline"], ["cat, feline"])
        ((1, 2), (0,))
    """
    if is_imagenet(names):
        from similitude.scenes.assets.imagenet import class_ids

        words = [label for label in labels if not label.isdecimal()]
        return tuple(sorted({*(class_ids(words) if words else ()), *_numbers(labels, len(names))}))
    known: dict[str, int] = {}
    for number, name in enumerate(names):
        for synonym in (name, *name.split(", ")):
            known.setdefault(synonym.casefold(), number)
    found = set(_numbers(labels, len(names)))
    for label in labels:
        if label.isdecimal():
            continue
        if label.casefold() not in known:
            close = closest_name(label.casefold(), known, cutoff=0.5)
            hint = "" if close is None else f"Did you mean {close!r}? "
            how = (
                "Its classes have no names: give their numbers."
                if not any(names)
                else "Say labels in the study."
            )
            raise SceneError(f"{label!r} is none of the model's {len(names) or ''} classes. {hint}{how}")
        found.add(known[label.casefold()])
    return tuple(sorted(found))


def is_imagenet(names: Sequence[str]) -> bool:
    """Whether classes are the 1,000 of ImageNet in their usual order."""
    return len(names) == 1000 and names[0].startswith("tench") and names[504].startswith("coffee mug")


def _numbers(labels: Iterable[str], count: int) -> list[int]:
    found = [int(label) for label in labels if label.isdecimal()]
    if count and (wrong := [number for number in found if number >= count]):
        raise SceneError(f"class {wrong[0]} is none of the model's {count}, which are numbered from 0.")
    return found
