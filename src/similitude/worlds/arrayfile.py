"""Files of arrays whose bytes depend on the arrays alone: npz without dates, as worlds and recordings are kept."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_STAMP = (1980, 1, 1, 0, 0, 0)
"""Date of every member: the earliest that a zip can hold."""


def npz_path(path: str | Path) -> Path:
    """Return a path with the suffix .npz, added where it lacks."""
    given = Path(path)
    return given if given.suffix == ".npz" else given.with_name(given.name + ".npz")


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name to one compressed npz file; the same arrays always give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _STAMP), buffer.getvalue(), zipfile.ZIP_DEFLATED)
