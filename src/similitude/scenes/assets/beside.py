"""Files that belong to a model: those of its folder on the disk or in a zip, and no others."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Protocol

from similitude.core.errors import DataError, SceneError

LARGEST = 256 * 2**20
"""Bytes of the largest file of a model that is read."""


class Files(Protocol):
    """The files of one folder, by their paths relative to it."""

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, None where the folder has none of that name.

        A name that leads out of the folder (absolute, of another machine, or by `..`) stands for the file of that last
        name in the folder itself: a model cannot make us read elsewhere.

        Raises:
            SceneError: The file is too large or damaged.
        """
        ...


class FolderFiles:
    """The files of a folder on the disk.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stamps: dict[Path, tuple[int, int]] = {}
        """Of every path that was looked at, from before it was read; of those that were not there too."""

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file of the folder; see `Files.read`."""
        file = self.place(name)
        return None if file is None else read_file(file)

    def place(self, name: str) -> Path | None:
        """Return the file of the folder that a name stands for; see `Files.read`."""
        root = self.folder.resolve()
        for inside in _inside(name):
            self.stamps[root / inside] = stamp_of(root / inside)
            try:
                file = (root / inside).resolve()
                there = file.is_relative_to(root) and file.is_file()
            except (OSError, ValueError):  # no name that a disk could have
                continue
            if there:
                return file
        return None


class ZipFiles:
    """The files of a folder in a zip; nothing is extracted.

    Args:
        archive: The zip.
        folder: The folder in it, with forward slashes.
    """

    def __init__(self, archive: Path, folder: str = "") -> None:
        self.archive, self.folder = archive, folder.strip("/")

    @cached_property
    def _held(self) -> zipfile.ZipFile:
        from similitude.data.files import reading

        with _scene_errors(), reading(self.archive):
            return zipfile.ZipFile(self.archive)

    @cached_property
    def _names(self) -> dict[str, zipfile.ZipInfo]:
        """The members by their paths in the folder."""
        start = f"{self.folder}/" if self.folder else ""
        members = {info.filename.lstrip("/"): info for info in self._held.infolist()}
        return {name.removeprefix(start): info for name, info in members.items() if name.startswith(start)}

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file of the folder; see `Files.read`."""
        from similitude.data.files import DEFLATE_RATIO, read_exactly, reading

        info = next((self._names[inside] for inside in _inside(name) if inside in self._names), None)
        if info is None:
            return None
        where = f"{self.archive}: {info.filename}"
        _refuse_large(info.file_size, where)
        if info.file_size > DEFLATE_RATIO * info.compress_size:
            raise SceneError(
                f"{where}: promises {info.file_size:,} bytes of {info.compress_size:,} compressed ones, more than "
                f"{DEFLATE_RATIO} of each. The archive is damaged or hostile; get it again."
            )
        with _scene_errors(), reading(where), self._held.open(info) as stream:
            return bytes(read_exactly(stream, info.file_size, where))


def stamp_of(path: Path) -> tuple[int, int]:
    """Return when a file was last changed, in nanoseconds, and its bytes; zeros where it is not there."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def read_file(path: Path) -> bytes:
    """Return the bytes of a file of a scene.

    Raises:
        SceneError: It is missing, empty, no ordinary file, too large or not readable.
    """
    from similitude.data.files import reading, regular_file  # here: studies that are finished read nothing

    with _scene_errors():
        path = regular_file(path)
        _refuse_large(path.stat().st_size, path)
        with reading(path):
            return path.read_bytes()


def _refuse_large(size: int, where: str | Path) -> None:
    if size > LARGEST:
        raise SceneError(
            f"{where}: has {size:,} bytes, more than the {LARGEST:,} that are read. Use a simpler model or a smaller "
            "picture."
        )


def _inside(name: str) -> Iterator[str]:
    """Yield the paths in the folder that a name may stand for."""
    if "\0" in name:
        return
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.is_absolute() and ".." not in path.parts and not PureWindowsPath(name).drive:
        yield str(path)
    if path.name not in ("", ".", ".."):
        yield path.name


@contextmanager
def _scene_errors() -> Iterator[None]:
    """Turn what the readers of data say into an error of scenes."""
    try:
        yield
    except DataError as error:
        raise SceneError(str(error)) from error
