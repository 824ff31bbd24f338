"""Put the CLUES files in place from a folder, a zip or an address: checked first, then written whole, or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from similitude.core.errors import DataError
from similitude.data.files import reading
from similitude.fewshot.archive import LARGEST_TOTAL, read_named_files
from similitude.fewshot.reading import Clues, clues_files, read_clues

FOLDER = "CLUES-JSON"
TIMEOUT_SECONDS = 60.0


def get_clues(source: str | Path, to: str | Path) -> Clues:
    """Read CLUES from somewhere and write its 96 files to `to`/CLUES-JSON, under their known names alone.

    Args:
        source: A folder, a zip, or an address that begins with https:// or http://.
        to: The folder to write into; made if it is not there.

    Returns:
        What was written, read again from there; its notes say which files are not as published.

    Raises:
        DataError: As of `read_clues`; or the address cannot be read, or gives more than `LARGEST_TOTAL` bytes; or other
            files are in the place already. Nothing is left behind in `to` then.
    """
    to = Path(to)
    target = to / FOLDER
    with reading(to):
        to.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".clues-", dir=to))
    try:
        path = _fetched(source, work)
        try:
            clues = read_clues(path)
        except DataError as error:
            raise DataError(str(error).replace(str(path), str(source))) from error
        if os.path.lexists(target):
            return _same(target, clues)
        with reading(to):
            for name, data in read_named_files(path, clues_files()).items():
                file = work / FOLDER / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            (work / FOLDER).rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return _same(target, clues)


def download(address: str, *, largest: int = LARGEST_TOTAL) -> bytes:
    """Return what is at an address, over http or https alone, also where it redirects.

    Args:
        address: The address.
        largest: Bytes above which it is refused.

    Raises:
        DataError: It cannot be read, or is too large.
    """
    opener = urllib.request.OpenerDirector()  # not the default one, which would read file: and ftp: as well
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    try:
        with opener.open(address, timeout=TIMEOUT_SECONDS) as response:
            data = response.read(largest + 1)
            promised = response.headers.get("Content-Length", "")
    except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
        raise DataError(
            f"{address}: cannot be read ({error}). Check the address and the connection, or get the file by other means "
            "and name it with --from."
        ) from error
    if len(data) > largest:
        raise DataError(f"{address}: gives more than {largest:,} bytes. It is not the zip of the data set.")
    if promised.isdigit() and len(data) < int(promised):
        raise DataError(
            f"{address}: broke off after {len(data):,} of {int(promised):,} bytes. Try again, or get the file by other "
            "means and name it with --from."
        )
    return data


def _fetched(source: str | Path, work: Path) -> Path:
    scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*)://", str(source))
    if scheme is None:
        return Path(source)
    if scheme[1].lower() not in ("http", "https"):
        raise DataError(
            f"{source}: addresses begin with https:// or http://, not {scheme[1]}://. Name a file by its path."
        )
    path = work / "download.zip"
    data = download(str(source))
    with reading(path):
        path.write_bytes(data)
    return path


def _same(target: Path, wanted: Clues) -> Clues:
    """Read what is at the target, which has to be what is wanted."""
    there = read_clues(target)
    if there.digest != wanted.digest:
        changed = [name for name, value in wanted.files.items() if there.files[name] != value]
        raise DataError(
            f"{target}: is there already, and {len(changed)} of {len(wanted.files)} files are others, such as "
            f"{changed[0]}. It was left as it is; move it away, or write elsewhere with --to."
        )
    return there
