"""Films: pictures one after the other in a gif or mp4 file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from similitude.core.errors import WorldError

FORMATS = (".gif", ".mp4")
"""Suffixes of films."""
COLORS = 96
"""Colours of a gif's frames."""


def write_film(path: str | Path, frames: Iterable[np.ndarray], *, fps: float = 10.0) -> Path:
    """Write pictures as a film, whole or not at all.

    Args:
        path: The file: .gif (any viewer, large) or .mp4 (H.264, through imageio-ffmpeg of the extra `worlds`).
        frames: Pictures of one size, uint8, (rows, columns, 3).
        fps: Frames per second.

    Returns:
        The path as given.

    Raises:
        WorldError: The suffix is another, or there is no picture.
        ReportError: The file cannot be written.
    """
    from similitude.report.files import replacing

    given = Path(path)
    check_format(given)
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise WorldError("a film of no pictures cannot be written.")
    with replacing(given) as (target, temporary):
        write = _gif if given.suffix.lower() == ".gif" else _mp4
        write(temporary, chain([first], pictures), first.shape[:2], fps)
        os.replace(temporary, target)
    return given


def check_format(path: Path) -> None:
    """Find out whether a file of this name can be a film.

    Raises:
        WorldError: Its suffix is another, or imageio-ffmpeg is missing.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise WorldError(f"{path.name!r} is no name of a film. Films end in {' or '.join(FORMATS)}.")
    if suffix == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError as error:
            raise WorldError(
                "mp4 needs imageio-ffmpeg: pip install 'similitude[worlds]', or write a .gif."
            ) from error


def _gif(path: Path, frames: Iterator[np.ndarray], shape: tuple[int, ...], fps: float) -> None:
    from PIL import Image

    how = {
        "method": Image.Quantize.MAXCOVERAGE,
        "dither": Image.Dither.NONE,
    }  # which keeps small red fruit red
    images = (Image.fromarray(frame).quantize(COLORS, **how) for frame in frames)
    next(images).save(
        *(path, "GIF"),
        save_all=True,
        append_images=images,
        # gif counts in hundredths of a second, and viewers slow down below two of them
        duration=max(20, round(100 / fps) * 10),
        loop=0,
        optimize=True,
    )


def _mp4(path: Path, frames: Iterator[np.ndarray], shape: tuple[int, ...], fps: float) -> None:
    import imageio_ffmpeg

    rows, columns = (n + n % 2 for n in shape[:2])  # the format wants even numbers
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (columns, rows),
        fps=fps,  # pyright: ignore[reportArgumentType]  # it takes fractions too
        macro_block_size=2,
        output_params=["-f", "mp4", "-movflags", "+faststart", "-threads", "1"],
    )
    writer.send(None)
    try:
        for frame in frames:
            padded = np.pad(frame, ((0, rows - shape[0]), (0, columns - shape[1]), (0, 0)), mode="edge")
            writer.send(np.ascontiguousarray(padded))
    finally:
        writer.close()
