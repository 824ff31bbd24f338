"""The text at a place: a WikiText folder, or plain text files."""

from __future__ import annotations

from pathlib import Path

from similitude.data.sets import TextSet
from similitude.data.text import read_text_set, read_wikitext


def text_at(path: str | Path) -> TextSet:
    """Read a text to pretrain on.

    Args:
        path: A WikiText folder, or what `read_text_set` reads: a file, a folder or a pattern of .txt files.

    Raises:
        DataError: It is neither, or a file is not UTF-8.
    """
    folder = Path(path)
    if folder.is_dir() and (any(folder.rglob("wiki.train.*")) or any(folder.rglob("train.txt"))):
        return read_wikitext(folder)
    return read_text_set(path)
