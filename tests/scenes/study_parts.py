"""A renderer and models that cost nothing: pictures whose brightness says how the object is turned."""

import os
import signal
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from similitude.scenes.frame import NOTHING, OBJECT, Frame
from similitude.scenes.study.settings import StudySettings

MODELS = """
    import numpy as np
    import torch

    def turned(images):
        '''The right class (1 of 3) where the picture is bright.'''
        bright = images.mean((1, 2, 3))
        return np.stack([0.5 - bright, bright - 0.5, np.full_like(bright, -9.0)], 1)
    turned.names = ("dark", "bright", "never")

    def other(images):
        return turned(images) * 2
    other.names = turned.names

    def sometimes_nan(images):
        logits = turned(images)
        logits[logits[:, 1] > 0] = np.nan
        return logits
    sometimes_nan.names = turned.names

    def sometimes_raises(images):
        if (images.mean((1, 2, 3)) > 0.5).any():
            raise RuntimeError("too bright for me")
        return turned(images)
    sometimes_raises.names = turned.names

    def wrong_shape(images):
        return np.zeros(3)

    class Net(torch.nn.Module):
        resolution = 16

        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(3, 4)

        def forward(self, x):
            return self.head(x.mean((2, 3)))

    def net():
        torch.manual_seed(0)
        return Net()

    a_number = 3

    def angle(images):
        return images.mean((1, 2, 3)) * 2 - 1

    def height(scene):
        return scene["orientation.rotation_z"] / 2

    def judge(batch, scenes, frames):
        return [
            {"score": float(image.mean()), "success": True, "visible_share": frame.visible}
            for image, frame in zip(batch, frames)
        ]

    def whole_boxes(images):
        return [
            {"boxes": [[2.0, 2.0, 6.0, 6.0]], "labels": [1], "scores": [0.9]} for _ in images
        ]
    whole_boxes.names = ("dark", "bright", "never")
"""


def models_in(folder: Path) -> Path:
    """Write a file of models, under a name of its own for every folder."""
    place = folder / f"models_{abs(hash(str(folder)))}.py"
    place.write_text(textwrap.dedent(MODELS))
    return place


@dataclass(frozen=True)
class Flat:
    """A square of one brightness: (rotation about z + 1) / 2; what else it does depends on the rotation about x.

    Attributes:
        folder: Where it notes every picture that it draws.
    """

    folder: str
    name: str = "flat"
    version: str = "1"

    def draw(self, stage, *, resolution, samples=None):
        """Draw a stage; 1 raises, 2 kills the process once, 3 always, 4 gives nan, 5 shows nothing of the object."""
        turn, _, angle = stage.subject.rotation
        with open(Path(self.folder) / "drawn.txt", "a") as file:
            file.write(f"{angle:.6f}\n")
        once = Path(self.folder) / "killed"
        if turn == 1:
            raise RuntimeError("the renderer broke down")
        if turn == 3 or (turn == 2 and not once.exists()):
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        size = (resolution, resolution)
        level = np.nan if turn == 4 else (angle + 1) / 2
        segmentation = np.zeros(size, np.uint8)
        segmentation[2:6, 2:6] = NOTHING if turn == 5 else OBJECT
        return Frame(
            np.full((*size, 3), level, np.float32),
            np.ones(size, np.float32),
            np.ones(size, np.float32),
            segmentation,
            np.zeros((*size, 2), np.float32),
        )

    def close(self):
        """Nothing is held."""

    @property
    def drawn(self) -> int:
        """How many pictures were drawn, by whatever process."""
        place = Path(self.folder) / "drawn.txt"
        return len(place.read_text().splitlines()) if place.exists() else 0


def study(models: Path, *, model="turned", count=8, turns=None, **more) -> StudySettings:
    """Return a study of the ball in the flat renderer."""
    turning = {} if turns is None else {"rotation_x": turns}
    names = [model] if isinstance(model, str) else list(model)
    given = {
        "objects": ["ball"],
        "controls": {"orientation": {"rotation_z": {"low": -1.0, "high": 1.0}, **turning}},
        "policy": {"kind": "sobol", "count": count},
        "models": [f"{models}:{name}" for name in names],
        "labels": {"ball": ["bright"]},
        "resolution": 8,
        **more,
    }
    return StudySettings.from_dict(given)
