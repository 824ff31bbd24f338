"""npz: what NumPy writes is read back; pickled, lying and damaged files are refused."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_files import memory_below
from hypothesis import given, settings
from hypothesis import strategies as st

from similitude.core.errors import DataError
from similitude.data import load

ARRAYS = {
    "x_train": np.random.default_rng(0).integers(0, 256, (12, 5, 4, 3), dtype=np.uint8),
    "y_train": np.arange(12, dtype=np.uint8)[:, None] % 3,
    "x_test": np.random.default_rng(1).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8),
    "y_test": np.arange(6) % 3,
}


def write(path: Path, compressed: bool = False, **changes: object) -> Path:
    (np.savez_compressed if compressed else np.savez)(path, **{**ARRAYS, **changes})  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_round_trip(tmp_path: Path, compressed: bool):
    fortran = np.asfortranarray(ARRAYS["x_train"])
    data = load("npz", path=write(tmp_path / "a.npz", compressed, x_train=fortran))
    np.testing.assert_array_equal(data.train_images, ARRAYS["x_train"])
    np.testing.assert_array_equal(data.test_images, ARRAYS["x_test"])
    np.testing.assert_array_equal(data.train_labels, np.arange(12) % 3)
    assert data.classes == ("0", "1", "2")


def test_grey_images_and_named_classes(tmp_path: Path):
    grey = {"x_train": ARRAYS["x_train"][..., 0], "x_test": ARRAYS["x_test"][..., 0]}
    data = load("npz", path=write(tmp_path / "a.npz", **grey, classes=np.array(["cat", "dog", "owl"])))
    assert data.image_shape == (5, 4, 1)
    assert data.classes == ("cat", "dog", "owl")


class Runs:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({str(self.target)!r}, 'w')",)


def test_objects_are_refused_and_not_executed(tmp_path: Path):
    target = tmp_path / "executed"
    path = write(tmp_path / "a.npz", y_test=np.array([Runs(target)] * 6, dtype=object))
    with pytest.raises(DataError, match=r"y_test: holds Python objects.*nothing was executed"):
        load("npz", path=path)
    assert not target.exists()
    path.write_bytes(pickle.dumps(Runs(target)))
    with pytest.raises(DataError, match="File is not a zip file"):
        load("npz", path=path)
    assert not target.exists()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"x_train": ARRAYS["x_train"] / 255}, r"x_train: has type float64.*Convert it, e\.g\. \(255 \* x\)"),
        ({"x_test": ARRAYS["x_test"][0, 0]}, "shape 4x3, but images are uint8 in 3 or 4"),
        ({"y_train": np.eye(3)[ARRAYS["y_test"]]}, r"Convert one-hot labels with y\.argmax\(1\)"),
        ({"y_train": np.arange(11)}, "12 train images but 11 labels"),
        ({"y_train": np.arange(12) - 1}, "labels run from -1 to 10"),
        ({"y_train": np.full(12, 2**40)}, "labels run from 1099511627776"),
        ({"x_test": ARRAYS["x_test"][:, :4]}, "train images are 5x4x3 but test images are 4x4x3"),
        ({"x_test": ARRAYS["x_test"][:0], "y_test": ARRAYS["y_test"][:0]}, "the test split is empty"),
        ({"classes": np.array(["cat", "dog"])}, "labels run from 0 to 2, but there are 2 classes"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, changes: dict[str, np.ndarray], text: str):
    with pytest.raises(DataError, match=text):
        load("npz", path=write(tmp_path / "a.npz", **changes))


def test_missing_arrays_are_named(tmp_path: Path):
    np.savez(tmp_path / "a.npz", x_train=ARRAYS["x_train"], images=ARRAYS["x_test"])
    with pytest.raises(DataError, match=r"has no array y_train, x_test, y_test; it has images, x_train"):
        load("npz", path=tmp_path / "a.npz")


def member(shape: tuple[int, ...], data: bytes) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return out.getvalue() + data


@pytest.mark.parametrize("shape", [(2**40,), (2**62, 2**62), (7, 7), (2**63, 0)])
def test_a_lying_header_allocates_nothing(tmp_path: Path, shape: tuple[int, ...]):
    path = write(tmp_path / "lie.npz")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key in ARRAYS:
            archive.writestr(f"{key}.npy", member(shape, b"1234"))
    with memory_below(3), pytest.raises(DataError, match="lie"):
        load("npz", path=path)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_corruption_gives_images_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    path = write(tmp_path_factory.mktemp("npz") / "corrupt.npz", data.draw(st.booleans()))
    blob = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(blob) - 1), min_size=1, max_size=5)):
        blob[position] = data.draw(st.integers(0, 255))
    path.write_bytes(blob[: data.draw(st.integers(1, len(blob)))] if data.draw(st.booleans()) else blob)
    try:
        load("npz", path=path)
    except DataError as error:
        text = str(error)
    else:
        text = "corrupt"
    assert "corrupt" in text
