"""Read text: a file, a folder or a pattern of .txt files, WikiText's three files, text8 and enwik8."""

from __future__ import annotations

import codecs
import glob
from pathlib import Path

from similitude.core.errors import DataError
from similitude.data.files import GZIP_MAGIC, read_exactly, reading, regular_file
from similitude.data.sets import TextSet

ZIP_MAGIC = b"PK\x03\x04"
WIKITEXT = ("wiki.{}.raw", "wiki.{}.tokens", "{}.txt")
TEXT8_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz \n")


def read_text(path: str | Path, *, cut: bool = False) -> str:
    """Read one UTF-8 file exactly as it is, but for a byte order mark at its start.

    Args:
        path: The file.
        cut: Whether the file may end within a character, as one does that was cut at a number of bytes; the
            part of it is left out.

    Raises:
        DataError: The file is missing, empty, compressed or not UTF-8.
    """
    path = regular_file(path)
    with reading(path), path.open("rb") as stream:
        data = bytes(read_exactly(stream, path.stat().st_size, path))
    if data.startswith((GZIP_MAGIC, ZIP_MAGIC)):
        tool = "gunzip -k" if data.startswith(GZIP_MAGIC) else "unzip"
        raise DataError(
            f"{path}: is a compressed file, not text (it starts with {data[:2].hex(' ')}). Run: {tool} "
            f"'{path}'"
        )
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=not cut)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {data[error.start]:#04x} at position {error.start:,} is not UTF-8 "
            f"({error.reason}). Convert it, e.g. iconv -f LATIN1 -t UTF-8 '{path}' > utf8.txt"
        ) from error


def read_text_set(path: str | Path, name: str = "text-file", *, licence: str = "not stated") -> TextSet:
    """Read plain text and hold out its last tenth.

    Args:
        path: A file; a folder, whose `.txt` files at any depth are joined in order of name; or a pattern such
            as `books/*.txt`. Files are joined by a blank line.
        name: Name of the data set.
        licence: Licence to state.

    Raises:
        DataError: There is no file, a file is empty or not UTF-8, or there are fewer than 10 characters.
    """
    root = Path(path)
    with reading(root):
        if root.is_dir():
            files = sorted(p for p in root.rglob("*.txt") if p.is_file())
        elif glob.has_magic(str(path)) and not root.exists():
            files = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file())
        else:
            files = [root]
    if not files:
        raise DataError(
            f"{path}: 0 files with the ending .txt match. Name a text file, or a folder or pattern that "
            "holds some."
        )
    text = "\n\n".join(read_text(file) for file in files)
    return TextSet.from_text(name, text, source=str(path), licence=licence)


def read_wikitext(path: str | Path, name: str = "wikitext-2", *, licence: str = "not stated") -> TextSet:
    """Read a WikiText folder: its training text and its test text, blank lines and headings kept.

    Args:
        path: A folder with `wiki.train.raw` and `wiki.test.raw` (used first), the same with `.tokens`, or
            `train.txt` and `test.txt`; itself or in a folder below whose name starts with "wikitext".
        name: Name of the data set.
        licence: Licence to state.

    Raises:
        DataError: The folder or one of the two files is missing, empty or not UTF-8.
    """
    root = Path(path)
    with reading(root):
        if not root.is_dir():
            raise DataError(
                f"{root}: {'is a file' if root.exists() else 'no such folder'}; the folder with "
                "wiki.train.raw and wiki.test.raw is expected. Unzip WikiText and pass the folder that "
                "comes out."
            )
        folders = [root, *sorted(p for p in root.iterdir() if p.is_dir() and p.name.startswith("wikitext"))]
    for folder in folders:
        for pattern in WIKITEXT:
            train, test = (folder / pattern.format(split) for split in ("train", "test"))
            if train.exists() and test.exists():
                return TextSet(
                    name=name,
                    train=read_text(train),
                    test=read_text(test),
                    source=str(folder),
                    licence=licence,
                )
    pairs = ", ".join(f"{pattern.format('train')} + {pattern.format('test')}" for pattern in WIKITEXT)
    raise DataError(
        f"{root}: has none of the pairs {pairs}. Unzip WikiText and pass the folder that comes out."
    )


def read_text8(path: str | Path, name: str = "text8", *, licence: str = "not stated") -> TextSet:
    """Read text8 (a to z and spaces) or enwik8 (the start of a Wikipedia dump, cut at a byte), by `name`.

    Args:
        path: The file, or a folder that holds a file called `name`.
        name: "text8" or "enwik8".
        licence: Licence to state.

    Raises:
        DataError: The file is missing or empty, text8 holds another byte, or enwik8 is not UTF-8.
    """
    file = Path(path)
    if file.is_dir():
        file = file / name
    text = read_text(file, cut=name == "enwik8")
    if name == "text8":
        odd = set(text.encode()) - TEXT8_LETTERS
        if odd:
            raise DataError(
                f"{file}: holds {len(odd)} bytes that text8 has not, such as {min(odd):#04x}; text8 is a to "
                f"z and spaces. Read other text with load('text-file', path=...)."
            )
    return TextSet.from_text(name, text, source=str(file), licence=licence)
