"""Checkpoints of training: one file that a kill leaves whole, read without running code from it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from similitude.core.errors import WorldError
from similitude.report.files import replacing


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary file that takes the place of another once it is on the disk; an error leaves the old one.

    Raises:
        ReportError: The path is a folder or a device, or cannot be written.
    """
    with replacing(Path(path)) as (target, temporary):
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)


def save_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Write a state of tensors and plain data, whole or not at all."""
    with written_whole(path) as temporary:
        torch.save(state, temporary)


def load_checkpoint(path: str | Path) -> dict[str, Any] | None:
    """Return what `save_checkpoint` wrote; None where there is no file.

    Raises:
        WorldError: The file holds something else.
    """
    path = Path(path)
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, pickle.UnpicklingError) as error:
        raise WorldError(
            f"{path} is no checkpoint of a training ({str(error).splitlines()[0]:.100}). Remove it to begin anew, or "
            "name another folder."
        ) from error
    if not isinstance(state, dict) or "settings" not in state:
        raise WorldError(
            f"{path} holds no state of a training. Remove it to begin anew, or name another folder."
        )
    return state
