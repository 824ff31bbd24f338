"""Rendered pictures with known factors: to train on, to test on, and with one thing shifted; kept in parts on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from similitude.core.errors import SceneError
from similitude.core.seeding import numpy_generator
from similitude.data.sets import ImageSet
from similitude.runs.engine import Engine, InProcess, one_line
from similitude.runs.faults import storage_fault
from similitude.scenes.controls.look import ORIGINAL
from similitude.scenes.families.factors import SHIFTS, Factors, draw_factors, scene_of
from similitude.scenes.families.settings import FamilySettings
from similitude.scenes.scene import Scene

TRAIN, TEST = "train", "test"
"""Names of the splits in distribution; those of the others are names of shifts."""

PART = 64
"""Pictures of a file: what is drawn again after a kill, at most, per process."""


@dataclass(frozen=True, eq=False)
class RenderedSet:
    """Pictures with known factors.

    Attributes:
        classes: Names of the objects.
        images: By split, uint8, shape (pictures, rows, columns, 3). Each picture of a shifted split is that of the same
            place in "test" with one thing changed.
        factors: Of "train" and "test".
        digest: Of all that the pictures depend on.
    """

    classes: tuple[str, ...]
    images: Mapping[str, np.ndarray] = field(repr=False)
    factors: Mapping[str, tuple[Factors, ...]] = field(repr=False)
    digest: str

    def labels(self, split: str) -> np.ndarray:
        """Return the classes of a split's pictures, int64; those of a shifted split are the test's."""
        drawn = self.factors[split if split == TRAIN else TEST]
        return np.array([one.object for one in drawn], np.int64)

    @property
    def image_set(self) -> ImageSet:
        """What is trained on, with the test in distribution as the hold-out."""
        return ImageSet(
            name=f"rendered scenes {self.digest[:12]}",
            train_images=self.images[TRAIN],
            train_labels=self.labels(TRAIN),
            test_images=self.images[TEST],
            test_labels=self.labels(TEST),
            classes=self.classes,
            source="similitude.scenes",
            licence="made by code",
        )

    def inputs(self, split: str) -> np.ndarray:
        """Return a split's pictures as networks see them, by the mean and deviation of what is trained on.

        Returns:
            float32, shape (pictures, 3, rows, columns).
        """
        seen = self.images[TRAIN]
        mean, deviation = float(seen.mean()), float(max(seen.std(), 1e-6))
        scaled = (self.images[split].astype(np.float32) - mean) / deviation
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


@dataclass(frozen=True)
class Part:
    """Some pictures of a split, which are drawn and kept together.

    Attributes:
        split: The split.
        start: Place of the first.
        count: How many.
    """

    split: str
    start: int
    count: int

    def __str__(self) -> str:
        return f"pictures of {self.split}, {self.start} to {self.start + self.count - 1}"

    @property
    def file(self) -> str:
        """Its file in the folder of the set."""
        return f"{self.split}-{self.start:06d}.npy"


def scenes_of(settings: FamilySettings, split: str, start: int, count: int) -> list[Scene]:
    """Return scenes of a split."""
    source = TRAIN if split == TRAIN else TEST
    found = []
    for index in range(start, start + count):
        factors = draw_factors(settings.seed, source, index, classes=len(settings.objects))
        scene = scene_of(factors, settings.objects, resolution=settings.resolution, samples=settings.samples)
        if split not in (TRAIN, TEST):
            scene = SHIFTS[split](scene, numpy_generator(settings.seed, "shift", split, index))
        found.append(scene)
    return found


def rendered_set(
    settings: FamilySettings,
    *,
    out: str | os.PathLike[str],
    engine: Engine | None = None,
    on_done: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> RenderedSet:
    """Draw the pictures of a study, or read those that are there.

    Args:
        settings: Objects, numbers and sizes of pictures, renderer.
        out: Folder, in which the set has one of its own by its digest; after an interruption only what is missing is
            drawn.
        engine: Where pictures are drawn; this process where None.
        on_done: Called after every part with what it was, and how many are done.

    Raises:
        SceneError: A scene cannot be drawn.
        JobsFailedError: Some parts failed; the others are kept.
        StudyError: The folder cannot be written.

    Cost:
        About 25 ms of processor time per picture.
    """
    digest = set_digest(settings)
    folder = Path(out) / digest[:16]
    parts = _parts(settings)
    missing = [part for part in parts if _kept(folder / part.file, settings, part) is None]
    done = len(parts) - len(missing)

    def keep(part: Part, pixels: np.ndarray) -> None:
        nonlocal done
        _write(folder / part.file, pixels)
        done += 1
        on_done(str(part), done, len(parts))

    if missing:
        (engine or InProcess()).map(partial(draw_part, settings), missing, on_done=keep)
    images: dict[str, list[np.ndarray]] = {}
    for part in parts:
        pixels = _kept(folder / part.file, settings, part)
        if pixels is None:
            raise SceneError(
                f"{folder / part.file} was changed while it was read. Run the same command again."
            )
        images.setdefault(part.split, []).append(pixels)
    return RenderedSet(
        classes=settings.objects,
        images={split: np.concatenate(found) for split, found in images.items()},
        factors={
            split: tuple(
                draw_factors(settings.seed, split, index, classes=len(settings.objects))
                for index in range(count)
            )
            for split, count in ((TRAIN, settings.images), (TEST, settings.tests))
        },
        digest=digest,
    )


def draw_part(settings: FamilySettings, part: Part) -> np.ndarray:
    """Draw some pictures.

    Returns:
        uint8, shape (count, rows, columns, 3).

    Raises:
        SceneError: A scene cannot be drawn; it is named.
    """
    from similitude.scenes.renderers.open_renderers import opened
    from similitude.scenes.rendering import render

    renderer, drawn = opened(settings.renderer), []
    for place, scene in enumerate(scenes_of(settings, part.split, part.start, part.count), start=part.start):
        try:
            frame = render(scene, renderer)
        except Exception as error:  # whatever a renderer raises
            raise SceneError(
                f"picture {place} of {part.split} ({scene.object}) cannot be drawn: {one_line(error)}"
            ) from error
        drawn.append(np.round(frame.rgb * 255).astype(np.uint8))
    return np.stack(drawn)


def set_digest(settings: FamilySettings) -> str:
    """Return the SHA-256 of all that the pictures depend on: scenes, and the objects, textures and skies in them."""
    from similitude.scenes.assets.environments import environment_digest
    from similitude.scenes.assets.textures import texture_digest
    from similitude.scenes.objects.catalog import find_object
    from similitude.scenes.renderers.open_renderers import opened

    renderer = opened(settings.renderer)
    scenes = [
        scene
        for part in _parts(settings)
        for scene in scenes_of(settings, part.split, part.start, part.count)
    ]
    parts = [renderer.name, renderer.version, *(scene.digest for scene in scenes)]
    parts += [find_object(name).digest for name in (*settings.objects, "panel")]
    parts += [environment_digest(name) for name in sorted({scene.environment for scene in scenes})]
    parts += [texture_digest(name) for name in sorted(_textures(scenes))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _textures(scenes: Sequence[Scene]) -> set[str]:
    found = {str(scene["texture.name"]) for scene in scenes}
    found |= {str(scene.controls["background"].get("picture", ORIGINAL)) for scene in scenes}
    return found - {ORIGINAL}


def _parts(settings: FamilySettings) -> list[Part]:
    sizes = {TRAIN: settings.images, TEST: settings.tests, **dict.fromkeys(settings.shifts, settings.tests)}
    return [
        Part(split, start, min(PART, size - start))
        for split, size in sizes.items()
        for start in range(0, size, PART)
    ]


def _kept(file: Path, settings: FamilySettings, part: Part) -> np.ndarray | None:
    try:
        pixels = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # not there, or torn: it is drawn again
        return None
    shape = (part.count, settings.resolution, settings.resolution, 3)
    return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None


def _write(file: Path, pixels: np.ndarray) -> None:
    beside = file.with_name(f".{os.getpid()}-{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(beside, pixels)
        os.replace(beside, file)
    except OSError as error:
        raise storage_fault(file, error) from error
