"""Read CIFAR-10 and CIFAR-100 as distributed: pickled or binary batches, in a folder or inside a .tar.gz."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from similitude.core.errors import DataError
from similitude.data.files import GZIP_MAGIC, Readable, read_exactly, reading, regular_file
from similitude.data.pickles import read_plain_pickle
from similitude.data.sets import ImageSet

SIDE = 32
PIXELS = 3 * SIDE * SIDE

MOST_UNPACKED = 2**29
"""Bytes that an archive may unpack to; the real ones have less than 190 MB."""

MOST_MEMBERS = 1000


@dataclass(frozen=True)
class Layout:
    """Names of the files of one distribution, and where labels stand in them.

    Attributes:
        train: Files of the training split, in order.
        test: Files of the test split.
        names: File with the names of the classes.
        label: Key of the labels in a pickled batch, or position of the label byte in a binary record.
        names_key: Key of the classes' names in the pickled `names`; None for a text file, one name per line.
        label_bytes: Label bytes before the pixels of a binary record; 0 for pickled batches.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    label: str | int
    names_key: str | None
    label_bytes: int = 0

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that has to be there."""
        return (*self.train, *self.test, self.names)


_FIVE = tuple(f"data_batch_{i}" for i in range(1, 6))
LAYOUTS: dict[int, tuple[Layout, ...]] = {
    10: (
        Layout(_FIVE, ("test_batch",), "batches.meta", "labels", "label_names"),
        Layout(tuple(f"{n}.bin" for n in _FIVE), ("test_batch.bin",), "batches.meta.txt", 0, None, 1),
    ),
    100: (
        Layout(("train",), ("test",), "meta", "fine_labels", "fine_label_names"),
        Layout(("train.bin",), ("test.bin",), "fine_label_names.txt", 1, None, 2),
    ),
}


def read_cifar(path: str | Path, classes: int = 10, *, licence: str = "not stated") -> ImageSet:
    """Read CIFAR-10 or CIFAR-100 (fine labels) as its authors distribute it, without unpacking it on disk.

    Args:
        path: The .tar.gz (or .tar), the folder in it (`cifar-10-batches-py`, `cifar-10-batches-bin`,
            `cifar-100-python`, `cifar-100-binary`), or a folder that holds one of these.
        classes: 10 or 100.
        licence: Licence to state.

    Raises:
        DataError: Files are missing, damaged, of another data set, or hostile; pickles are read as plain data
            (see `similitude.data.pickles`), so nothing in them is executed.

    Cost: a few seconds, and at the peak about 4 times the size of the largest batch beyond the images.
    """
    layouts = LAYOUTS[classes]
    wanted = {file for layout in layouts for file in layout.files}
    source, found = _gather(Path(path), wanted)
    layout = next((lay for lay in layouts if all(file in found for file in lay.files)), None)
    if layout is None:
        near = max(layouts, key=lambda lay: sum(file in found for file in lay.files))
        missing = [file for file in near.files if file not in found]
        raise DataError(
            f"{source}: {len(missing)} of the {len(near.files)} files of CIFAR-{classes} are missing: "
            f"{', '.join(missing)}. Pass cifar-{classes}-python.tar.gz, or the folder that it unpacks to."
        )
    if layout.names_key is None:
        names = _text_names(found[layout.names], f"{source}:{layout.names}")
    else:
        meta = _pickled(found[layout.names], f"{source}:{layout.names}")
        names = _strings(meta.get(layout.names_key), f"{source}:{layout.names}", layout.names_key)
    if len(names) != classes:
        raise DataError(
            f"{source}:{layout.names}: names {len(names)} classes, but CIFAR-{classes} has {classes}. "
            f"Check which of the two data sets this is."
        )
    splits = {}
    for split, files in (("train", layout.train), ("test", layout.test)):
        parts = [_batch(found[file], layout, classes, f"{source}:{file}") for file in files]
        splits[split] = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    return ImageSet(
        name=f"cifar-{classes}",
        train_images=splits["train"][0],
        train_labels=splits["train"][1],
        test_images=splits["test"][0],
        test_labels=splits["test"][1],
        classes=names,
        source=str(source),
        licence=licence,
    )


def _gather(path: Path, wanted: set[str]) -> tuple[Path, dict[str, bytearray]]:
    """Return where files were found and the content of the wanted ones by name."""
    if not path.is_dir():
        path = regular_file(path)
        return path, _from_archive(path, wanted)
    with reading(path):
        folders = [path, *sorted(p for p in path.iterdir() if p.is_dir() and p.name.startswith("cifar"))]
        best = max(folders, key=lambda folder: sum((folder / name).exists() for name in wanted))
        archives = sorted(path.glob("cifar*.tar.gz"))
    if archives and not any((best / name).exists() for name in wanted):
        return archives[0], _from_archive(regular_file(archives[0]), wanted)
    found = {}
    for name in sorted(wanted):
        file = best / name
        if file.exists():
            with reading(file), regular_file(file).open("rb") as stream:
                found[name] = read_exactly(stream, file.stat().st_size, file)
    return best, found


class _Bounded:
    """A stream of at most `MOST_UNPACKED` bytes, so that a small archive cannot unpack without end."""

    def __init__(self, stream: Readable, where: Path) -> None:
        self.stream, self.where, self.given = stream, where, 0

    def read(self, n: int, /) -> bytes:
        part = self.stream.read(n)
        self.given += len(part)
        if self.given > MOST_UNPACKED:
            raise DataError(
                f"{self.where}: unpacks to more than {MOST_UNPACKED:,} bytes, but CIFAR has less than "
                f"190,000,000. It is another archive or a hostile one; get it again from its authors."
            )
        return part


def _from_archive(path: Path, wanted: set[str]) -> dict[str, bytearray]:
    found: dict[str, bytearray] = {}
    with reading(path), path.open("rb") as raw:
        for member, stream in _members(raw, path):
            name = PurePosixPath(member.name).name
            if name not in wanted:
                continue
            if name in found:
                raise DataError(
                    f"{path}: holds 2 files named {name}, but CIFAR has 1. Get it again from its authors."
                )
            found[name] = read_exactly(stream, member.size, f"{path}:{member.name}")
    return found


def _members(raw: BinaryIO, path: Path) -> Iterator[tuple[tarfile.TarInfo, Readable]]:
    """Stream the ordinary files of an archive; refuse members that an honest CIFAR archive does not have."""
    compressed = raw.read(2) == GZIP_MAGIC
    raw.seek(0)
    bounded: Any = _Bounded(gzip.GzipFile(fileobj=raw) if compressed else raw, path)
    with tarfile.open(fileobj=bounded, mode="r|") as tar:
        for count, member in enumerate(tar):
            name = PurePosixPath(member.name)
            problem = None
            if count >= MOST_MEMBERS:
                problem = f"is number {count + 1}, but at most {MOST_MEMBERS} are read"
            elif name.is_absolute() or ".." in name.parts:
                problem = "leaves the archive's folder"
            elif member.issym() or member.islnk():
                problem = f"is a link (to '{member.linkname}')"
            elif not (member.isdir() or member.isreg()) or member.issparse():
                problem = "is neither a folder nor an ordinary file"
            elif not 0 <= member.size <= MOST_UNPACKED:
                problem = f"has a size of {member.size:,} bytes, but 0 to {MOST_UNPACKED:,} are read"
            if problem:
                raise DataError(
                    f"{path}: member '{member.name}' {problem}. An archive of CIFAR has none such and "
                    f"nothing was unpacked; get it again from its authors."
                )
            stream = tar.extractfile(member) if member.isreg() else None
            if stream is not None:
                yield member, stream  # type: ignore[misc]


def _pickled(data: bytearray, where: str) -> dict[str, Any]:
    record = read_plain_pickle(data, where)
    if not isinstance(record, dict):
        raise DataError(
            f"{where}: holds a {type(record).__name__}, but a batch of CIFAR is a dict. Get it again."
        )
    return {k.decode("latin-1") if isinstance(k, bytes) else str(k): v for k, v in record.items()}


def _batch(data: bytearray, layout: Layout, classes: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, 32, 32, 3) and labels (N,) of one batch."""
    if isinstance(layout.label, int):
        record = layout.label_bytes + PIXELS
        if not data or len(data) % record:
            raise DataError(
                f"{where}: has {len(data):,} bytes, which is {len(data) // record:,} records of {record:,} "
                f"bytes and {len(data) % record:,} more, but CIFAR-{classes} has whole records. It is "
                "truncated or the other CIFAR."
            )
        table = np.frombuffer(data, np.uint8).reshape(-1, record)
        labels, pixels = table[:, layout.label].astype(np.int64), table[:, layout.label_bytes :]
    else:
        batch = _pickled(data, where)
        pixels, labels = batch.get("data"), _integers(batch.get(layout.label), where, layout.label, classes)
        if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != PIXELS:
            shape = getattr(pixels, "shape", type(pixels).__name__)
            raise DataError(
                f"{where}: its 'data' is {shape}, but a batch of CIFAR has uint8 rows of {PIXELS}. Get it "
                "again."
            )
    if len(pixels) != len(labels):
        raise DataError(f"{where}: {len(pixels):,} images but {len(labels):,} labels. Get it again.")
    if labels.size and labels.max() >= classes:
        raise DataError(
            f"{where}: a label is {labels.max()}, but CIFAR-{classes} has labels 0 to {classes - 1}. "
            f"Check which of the two data sets this is."
        )
    return np.ascontiguousarray(pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)), labels


def _integers(values: Any, where: str, key: str, classes: int) -> np.ndarray:
    plain = isinstance(values, list) and all(type(v) is int and 0 <= v < classes for v in values)
    if not plain:
        what = "missing" if values is None else f"a {type(values).__name__} with other values"
        raise DataError(
            f"{where}: its '{key}' is {what}, but a batch of CIFAR-{classes} has a list of whole numbers 0 "
            f"to {classes - 1}. Check which of the two data sets this is."
        )
    return np.array(values, dtype=np.int64)


def _strings(values: Any, where: str, key: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(v, str | bytes) for v in values):
        raise DataError(f"{where}: its '{key}' is not a list of names. Get it again.")
    return tuple(v.decode("latin-1") if isinstance(v, bytes) else v for v in values)


def _text_names(data: bytearray, where: str) -> tuple[str, ...]:
    with reading(where):
        return tuple(line.strip() for line in data.decode("ascii").splitlines() if line.strip())
