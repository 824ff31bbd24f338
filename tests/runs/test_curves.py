"""Files of curves: whole or not there."""

import errno
import os

import polars as pl
import pytest

from similitude.core.errors import StudyError
from similitude.runs.curves import CurveFolder

ONE, TWO = pl.DataFrame({"loss": [1.0, 2.0]}), pl.DataFrame({"loss": [3.0], "note": ["x"]})


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_curve_from_before_and_no_litter(tmp_path, monkeypatch, step):
    folder = CurveFolder(tmp_path, "study")
    folder.write(7, ONE)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(StudyError, match=r"7\.parquet cannot grow: No space left .* Free some space"):
            folder.write(7, TWO)
    assert folder.read(7).equals(ONE)
    assert [file.name for file in folder.path.iterdir()] == ["7.parquet"]
    folder.write(7, TWO)
    assert folder.read(7).equals(TWO)


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "curves").write_text("")
    with pytest.raises(StudyError, match="is a file, not a folder"):
        CurveFolder(tmp_path / "curves", "study").write(0, ONE)


def test_studies_have_folders_of_their_own(tmp_path):
    paths = {CurveFolder(tmp_path, name).path for name in ("a", "a/b", "a%2Fb", ".", "..", "%2E")}
    assert len(paths) == 6
    assert all(path.parent == tmp_path and path.name not in (".", "..") for path in paths)
