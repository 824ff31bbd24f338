"""TensorBoard events of a study: right or wrong and loss by model and object, and the pictures that were wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.evaluation.rows import Row
from similitude.scenes.frame import Frame

PICTURES = 50
"""Wrong pictures that are written per model and object."""


class Events:
    """Writes events to `tensorboard/` in a study's folder.

    Args:
        folder: The study's folder.

    Raises:
        SceneError: Neither tensorboard nor tensorboardX is installed.
    """

    def __init__(self, folder: Path) -> None:
        self.writer = _writer()(str(folder / "tensorboard"))
        self.steps: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()

    def add(self, row: Row, frame: Frame) -> None:
        """Add a row and, where the model was wrong, its picture."""
        name = f"{row.subject}/{row.task}"
        step = self.steps[name]
        self.steps[name] += 1
        if row.success is not None:
            self.writer.add_scalar(f"{name}/is_correct", float(row.success), step)
        for metric, value in row.metrics.items():
            if metric != "prediction" and np.isfinite(value):
                self.writer.add_scalar(f"{name}/{metric}", value, step)
        if row.success is False and self.wrong[name] < PICTURES:
            self.wrong[name] += 1
            self.writer.add_image(f"{name}/wrong", frame.rgb, step, dataformats="HWC")

    def close(self) -> None:
        """Finish the file."""
        self.writer.close()


def _writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise SceneError(
                "TensorBoard's events need a package that is not installed. Install it: pip install tensorboard"
            ) from error
    return SummaryWriter
