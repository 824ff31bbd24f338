"""What a data set is once it is read: images with labels, or text; with hold-out, source and licence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from similitude.core.errors import DataError

if TYPE_CHECKING:
    from rich.text import Text

HOLD_OUT = 0.1
"""Share of a text without a split of its own that is held out, from its end."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images with a hold-out.

    Attributes:
        name: Name of the data set.
        train_images: Shape (N, height, width, channels), uint8, 0 to 255.
        train_labels: Shape (N,), int64, positions in `classes`.
        test_images: Hold-out, shape (M, height, width, channels), uint8.
        test_labels: Shape (M,), int64.
        classes: Name of each class.
        source: Where the files were read.
        licence: Licence of the data, or what is known of it.

    Raises:
        DataError: Shapes, types, counts or labels do not fit together, or a split is empty.
    """

    name: str
    train_images: np.ndarray = field(repr=False)
    train_labels: np.ndarray = field(repr=False)
    test_images: np.ndarray = field(repr=False)
    test_labels: np.ndarray = field(repr=False)
    classes: tuple[str, ...]
    source: str
    licence: str

    def __post_init__(self) -> None:
        for split, images, labels in (
            ("train", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            self._check(split, images, labels)
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise DataError(
                f"{self.source}: train images are {shape_text(self.train_images.shape[1:])} but test images "
                f"are {shape_text(self.test_images.shape[1:])}. Use two splits of one data set."
            )

    def _check(self, split: str, images: np.ndarray, labels: np.ndarray) -> None:
        if images.dtype != np.uint8 or images.ndim != 4:
            raise DataError(
                f"{self.source}: {split} images have type {images.dtype} and {images.ndim} dimensions, but "
                "must be uint8 with 4 (images, height, width, channels). Convert them to 0..255 in that "
                "shape."
            )
        if labels.dtype != np.int64 or labels.ndim != 1:
            raise DataError(
                f"{self.source}: {split} labels have type {labels.dtype} and {labels.ndim} dimensions, but "
                f"must be int64 with 1. Give one whole number per image."
            )
        if len(images) != len(labels):
            raise DataError(
                f"{self.source}: {len(images):,} {split} images but {len(labels):,} labels. "
                f"Give one label per image; the two files may belong to different data sets."
            )
        if images.size == 0:
            raise DataError(
                f"{self.source}: the {split} split is empty (shape {shape_text(images.shape)}). "
                f"Give at least one image for training and one as hold-out."
            )
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(self.classes):
            raise DataError(
                f"{self.source}: {split} labels run from {low} to {high}, but there are {len(self.classes)} "
                f"classes (0 to {len(self.classes) - 1}). Check that this is a label file of '{self.name}'."
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.train_images.shape[1:]
        return height, width, channels

    def to_dict(self) -> dict[str, Any]:
        """Return a summary for JSON, without the images."""
        return {
            "name": self.name,
            "kind": "images",
            "train": len(self.train_images),
            "test": len(self.test_images),
            "image_shape": list(self.image_shape),
            "classes": list(self.classes),
            "source": self.source,
            "licence": self.licence,
        }

    def __str__(self) -> str:
        return (
            f"{self.name}: {len(self.train_images):,} + {len(self.test_images):,} images "
            f"{shape_text(self.image_shape)}, {len(self.classes)} classes, from {self.source} "
            f"({self.licence})"
        )

    def __rich__(self) -> Text:
        return _rich(self.name, str(self))


@dataclass(frozen=True, repr=False)
class TextSet:
    """Text with a hold-out.

    Attributes:
        name: Name of the data set.
        train: Text to train on.
        test: Hold-out: the file's own split where it has one, else the last tenth of the text.
        source: Where the files were read.
        licence: Licence of the data, or what is known of it.

    Raises:
        DataError: A split is empty.
    """

    name: str
    train: str
    test: str
    source: str
    licence: str

    def __post_init__(self) -> None:
        for split, text in (("train", self.train), ("test", self.test)):
            if not text:
                raise DataError(
                    f"{self.source}: the {split} split has 0 characters. Give a text of at least 10 "
                    f"characters, or files whose splits are not empty."
                )

    @classmethod
    def from_text(cls, name: str, text: str, *, source: str, licence: str) -> TextSet:
        """Hold out the last tenth of a text that has no split of its own.

        Raises:
            DataError: The text has fewer than 10 characters.
        """
        cut = len(text) - int(len(text) * HOLD_OUT)
        return cls(name=name, train=text[:cut], test=text[cut:], source=source, licence=licence)

    def to_dict(self) -> dict[str, Any]:
        """Return a summary for JSON, without the text; sizes are in characters."""
        return {
            "name": self.name,
            "kind": "text",
            "train": len(self.train),
            "test": len(self.test),
            "source": self.source,
            "licence": self.licence,
        }

    def __repr__(self) -> str:
        return (
            f"TextSet({self.name!r}, train={len(self.train)}, test={len(self.test)}, source={self.source!r})"
        )

    def __str__(self) -> str:
        return (
            f"{self.name}: {len(self.train):,} + {len(self.test):,} characters, "
            f"from {self.source} ({self.licence})"
        )

    def __rich__(self) -> Text:
        return _rich(self.name, str(self))


def shape_text(shape: tuple[int, ...]) -> str:
    """Write a shape as it is spoken, e.g. "28x28x1"."""
    return "x".join(map(str, shape))


def _rich(name: str, line: str) -> Text:
    from rich.text import Text

    text = Text(line)  # not markup: a path may hold brackets
    text.stylize("bold", 0, len(name))
    return text
