"""The data sets by name: where each is looked for and which command supplies it; nothing is downloaded."""

from __future__ import annotations

import difflib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, overload

from similitude.core.errors import DataError
from similitude.data.entries import ENTRIES, VARIABLE, Entry
from similitude.data.files import reading
from similitude.data.folder import read_folder
from similitude.data.sets import ImageSet, TextSet

Images = Literal[
    "digits", "photos", "fashion-mnist", "mnist", "cifar-10", "cifar-100", "idx", "npz", "image-folder"
]
"""Names whose data are an `ImageSet`."""

Texts = Literal["text", "wikitext-2", "wikitext-103", "text8", "enwik8", "text-file"]
"""Names whose data are a `TextSet`."""


@dataclass(frozen=True)
class Listing:
    """One line of the list of data sets.

    Attributes:
        name: What to pass to `load`.
        kind: "images", "text" or "few-shot".
        found: Whether `load(name)` will find it without a path.
        where: Where it was found; None where it was not.
        size: What it holds, in words.
        licence: Licence of the data, or what is known of it.
        get: The command that supplies it, or the call that reads the user's own file.
        needs_path: Whether the name is a file format, which is read from the user's path alone.
    """

    name: str
    kind: str
    found: bool
    where: str | None
    size: str
    licence: str
    get: str
    needs_path: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


@overload
def load(name: Images, *, path: str | Path | None = None, size: int | None = None) -> ImageSet: ...


@overload
def load(name: Texts, *, path: str | Path | None = None, size: int | None = None) -> TextSet: ...


@overload
def load(name: str, *, path: str | Path | None = None, size: int | None = None) -> ImageSet | TextSet: ...


def load(name: str, *, path: str | Path | None = None, size: int | None = None) -> ImageSet | TextSet:
    """Load a data set by name, from the first of: `path`, the folder `$SIMILITUDE_DATA`, installed packages.

    Args:
        name: A data set ("digits", "photos", "fashion-mnist", "mnist", "cifar-10", "cifar-100", "text",
            "wikitext-2", "wikitext-103", "text8", "enwik8") or a file format ("idx", "npz", "image-folder",
            "text-file"), which needs a path.
        path: The user's own file or folder of that data set or format.
        size: Height and width in pixels to resize to; for "image-folder" alone.

    Returns:
        An `ImageSet` or a `TextSet`, each with a hold-out.

    Raises:
        DataError: The name is unknown, the data is not there (the message has the command that supplies it),
            or its files are malformed, truncated, empty or hostile.

    Example:
        >>> digits = load("digits")
        >>> digits.train_images.shape, digits.classes[3]
        ((1500, 8, 8, 1), '3')
    """
    entry = _entry(name)
    if entry.reader:
        raise DataError(
            f"'{name}' is neither images nor text, which load() returns. Read it with {entry.reader}; to get it, run: "
            f"{entry.get}"
        )
    if size is not None and name != "image-folder":
        raise DataError(
            f"load('{name}', size={size}): size= resizes the images of 'image-folder' alone and would have "
            f"no effect here. Drop it."
        )
    if path is not None:
        if entry.read is None:
            raise DataError(
                f"load('{name}', path='{path}'): '{name}' is read from an installed package and takes no "
                f"path. Drop path=, or name the format of your files: {', '.join(_formats())}."
            )
        return read_folder(path, size=size) if size is not None else entry.read(Path(path))
    mine = _in_data_folder(entry, strict=True)
    if mine is not None and entry.read is not None:
        return entry.read(mine)
    where = entry.installed()
    if where is not None:
        if entry.packaged is not None:
            return entry.packaged()
        if entry.read is not None:
            return entry.read(Path(where))
    raise DataError(_not_found(name, entry))


def available() -> list[Listing]:
    """List every name that `load` knows, with where it is found, without loading any data."""
    listings = []
    for name, entry in ENTRIES.items():
        mine = _in_data_folder(entry, strict=False)
        where = str(mine) if mine is not None else entry.installed()
        listings.append(
            Listing(
                name=name,
                kind=entry.kind,
                found=where is not None,
                where=where,
                size=entry.size,
                licence=entry.licence,
                get=entry.get,
                needs_path=entry.is_format,
            )
        )
    return listings


def _entry(name: str) -> Entry:
    if name in ENTRIES:
        return ENTRIES[name]
    close = difflib.get_close_matches(str(name).lower(), ENTRIES, n=1)
    hint = f"Did you mean '{close[0]}'? " if close else ""
    raise DataError(
        f"'{name}' is not a data set: {len(ENTRIES)} names are known. {hint}Use one of {', '.join(ENTRIES)}."
    )


def _formats() -> list[str]:
    return [name for name, entry in ENTRIES.items() if entry.is_format]


def _in_data_folder(entry: Entry, *, strict: bool) -> Path | None:
    """Return the data set's place in the user's data folder; `strict` fails where that folder is wrong."""
    folder = os.environ.get(VARIABLE)
    if not folder or not entry.places:
        return None
    root = Path(folder).expanduser()
    if strict and not root.is_dir():
        raise DataError(
            f"${VARIABLE} is '{folder}', which is {'a file' if root.exists() else 'no folder'}. "
            f"Run: mkdir -p '{folder}', or unset {VARIABLE}."
        )
    try:
        with reading(root):
            return next((root / place for place in entry.places if (root / place).exists()), None)
    except DataError:
        if strict:
            raise
        return None  # a listing shows an unreadable folder as not found; loading says why


def _not_found(name: str, entry: Entry) -> str:
    if entry.is_format:
        return f"load('{name}') needs a path: '{name}' is a file format. Call {entry.get}"
    folder = os.environ.get(VARIABLE)
    if not entry.places:
        looked = "in the installed packages"
    elif folder:
        looked = f"in {folder} (as {', '.join(entry.places)}) and in the installed packages"
    else:
        looked = f"in the installed packages (and ${VARIABLE} is not set)"
    own = "Pass path= to your own copy, or run" if entry.read is not None else "Run"
    export = f"export {VARIABLE}=~/data && mkdir -p ${VARIABLE} && "
    setting = export if f"${VARIABLE}" in entry.get and not folder else ""
    return (
        f"'{name}' ({entry.size}) was not found {looked}; nothing is downloaded for you. "
        f"{own}: {setting}{entry.get}"
    )
