"""What an operating-system error on the files of a study means for its user, and what to do about it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from similitude.core.errors import StudyError

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_NOT_A_FOLDER = {errno.ENOTDIR, errno.EEXIST}


def put_on_disk(path: Path, flags: int) -> None:
    """Wait until what was written to a file, or the names in a folder, would survive a loss of power.

    Args:
        path: The file or folder.
        flags: How `os.open` is to open it.

    Raises:
        StudyError: The disk refuses.
    """
    try:
        descriptor = os.open(path, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise storage_fault(path, error) from error


def storage_fault(path: Path, error: OSError) -> StudyError:
    """Return the error to raise instead of `error`, which reading or writing `path` gave.

    Args:
        path: The file or folder of the study.
        error: What the operating system said.
    """
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return StudyError(
            f"The study file {path} cannot grow: {reason}. Every cell finished so far is kept. Free some "
            "space (or raise the quota or file-size limit), then run the same command again: it goes on "
            "where it stopped."
        )
    if error.errno in _FORBIDDEN:
        return StudyError(
            f"{path} cannot be opened or written: {reason}. What is stored there is unchanged. Choose a "
            "folder that you may write to, or change the permissions of this one."
        )
    if error.errno in _NOT_A_FOLDER:
        return StudyError(
            f"{path} cannot hold a study: {reason}; a part of this path is a file, not a folder. Choose "
            "another folder."
        )
    if error.errno == errno.EISDIR:
        return StudyError(
            f"{path} is a folder, but a study keeps a file of this name. Move it away or choose another "
            "folder."
        )
    return StudyError(
        f"{path} cannot be read or written: {reason}. Finished cells are kept as they are on disk. Check the "
        "disk (or the network it is on), then run the same command again."
    )
