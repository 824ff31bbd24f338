"""The SHA-256 of the published CLUES files, and what differs from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

TABLE = Path(__file__).parent / "clues.sha256"
"""Of the 96 files of microsoft/CLUES at commit 995fd5e2e66289eafc87d01fbff052c87876eccb, as `sha256sum` writes them."""


def published_checksums() -> dict[str, str]:
    """Return the SHA-256 of every published file by name.

    Example:
        >>> sums = published_checksums()
        >>> len(sums), sums["SST-2/sst_test.jsonl"][:8]
        (96, '6f1839b0')
    """
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return {name: checksum for checksum, name in (line.split("  ", 1) for line in lines)}


def checksum(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def combined(checksums: Mapping[str, str]) -> str:
    """Return one SHA-256 over files: that of the lines `checksum  name`, sorted by name.

    Example:
        >>> combined({"a": "00", "b": "11"}) == combined({"b": "11", "a": "00"})
        True
    """
    lines = "".join(f"{checksums[name]}  {name}\n" for name in sorted(checksums))
    return checksum(lines.encode())


def differing(checksums: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of files that are not as published, sorted."""
    published = published_checksums()
    return tuple(sorted(name for name, value in checksums.items() if published.get(name) != value))
