"""Read files that may be truncated, lying or hostile: nothing is allocated beyond what is really there."""

from __future__ import annotations

import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from similitude.core.errors import DataError

LARGEST = 8 * 2**30
"""Bytes of the largest file, array or set of images that is read into memory."""

DEFLATE_RATIO = 1032
"""The most bytes that deflate (gzip, zip) can make of one byte; source: zlib's technical notes."""

CHUNK = 2**20

GZIP_MAGIC = b"\x1f\x8b"


class Readable(Protocol):
    """Anything with `read(n)` that returns at most n bytes."""

    def read(self, n: int, /) -> bytes:
        """Return up to n bytes; none at the end."""
        ...


@contextmanager
def reading(where: str | Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a `DataError` that names it.

    Args:
        where: The file, for the message.

    Raises:
        DataError: The file cannot be opened, is truncated or is damaged.
    """
    try:
        yield
    except (
        EOFError,
        zlib.error,
        gzip.BadGzipFile,
        lzma.LZMAError,
        tarfile.TarError,
        zipfile.BadZipFile,
    ) as error:
        raise DataError(
            f"{where}: the compressed data is truncated or damaged ({error}). Get the file again and compare "
            f"its size or checksum with the original."
        ) from error
    except PermissionError as error:
        raise DataError(
            f"{where}: permission denied. Make it readable for you, e.g. chmod u+r '{where}'."
        ) from error
    except OSError as error:
        raise DataError(
            f"{where}: cannot be read ({error.strerror or error}). Check the path and the disk."
        ) from error
    except MemoryError as error:
        raise DataError(
            f"{where}: does not fit in memory. Use a machine with more, or a part of the data."
        ) from error
    except (ValueError, OverflowError, struct.error, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{where}: not a valid file of its format ({error}). Get the file again, or save it anew."
        ) from error


def regular_file(path: str | Path) -> Path:
    """Return the path of an ordinary, not empty file of at most `LARGEST` bytes.

    Raises:
        DataError: It does not exist, is a folder, a pipe or a device, is empty or too large.
    """
    path = Path(path)
    with reading(path):
        if path.is_dir():
            raise DataError(f"{path}: is a folder where a file is expected. Name the file inside it.")
        if not path.exists():
            raise DataError(f"{path}: no such file. Check the spelling; the current folder is {Path.cwd()}.")
        if not path.is_file():
            raise DataError(
                f"{path}: is a device or pipe, not an ordinary file. Save the data to a file first."
            )
        size = path.stat().st_size
    if size == 0:
        raise DataError(f"{path}: is empty (0 bytes). Get the file again.")
    if size > LARGEST:
        raise DataError(
            f"{path}: has {size:,} bytes, more than the {LARGEST:,} read into memory. Use a part of it."
        )
    return path


def read_exactly(stream: Readable, count: int, where: str | Path) -> bytearray:
    """Read exactly `count` bytes, growing with what really arrives rather than with what was promised.

    Raises:
        DataError: The stream ends before.
    """
    data = bytearray()
    while len(data) < count:
        part = stream.read(min(CHUNK, count - len(data)))
        if not part:
            raise DataError(
                f"{where}: truncated: it promises {count:,} bytes of data but holds {len(data):,}. Get it "
                "again."
            )
        data += part
    return data


def check_expansion(compressed: int, promised: int, where: str | Path) -> None:
    """Check that compressed data can hold what its header promises, before anything is allocated for it.

    Args:
        compressed: Bytes on disk.
        promised: Bytes promised after decompression.
        where: The file, for the message.

    Raises:
        DataError: It promises more than deflate can make of it, or more than `LARGEST`.
    """
    if promised > LARGEST:
        raise DataError(
            f"{where}: its header promises {promised:,} bytes, more than the {LARGEST:,} that are read into "
            f"memory. The file is damaged or hostile, or use a part of it."
        )
    if promised > DEFLATE_RATIO * compressed:
        raise DataError(
            f"{where}: its header promises {promised:,} bytes, but {compressed:,} compressed bytes hold at "
            f"most {DEFLATE_RATIO * compressed:,}. The file is damaged or hostile; get it again from its "
            "origin."
        )
