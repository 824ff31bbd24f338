"""IDX: round trips of every type, and files that are truncated, lying or hostile."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from data_files import IDX_CODES, idx_bytes, memory_below, write_idx_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from similitude.core.errors import DataError
from similitude.data import load
from similitude.data.files import reading
from similitude.data.idx import read_idx, read_idx_images

arrays = st.sampled_from(sorted(IDX_CODES)).flatmap(
    lambda name: hnp.arrays(np.dtype(name), hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx")


@given(array=arrays, zipped=st.booleans())
@settings(max_examples=60, deadline=None)
def test_round_trip_of_every_type_and_shape(folder: Path, array: np.ndarray, zipped: bool):
    file = folder / "round"
    file.write_bytes(gzip.compress(idx_bytes(array)) if zipped else idx_bytes(array))
    back = read_idx(file)
    assert back.dtype == array.dtype
    assert back.dtype.isnative
    np.testing.assert_array_equal(back, array)


@given(array=arrays, zipped=st.booleans(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_corruption_gives_numbers_or_a_data_error(
    folder: Path, array: np.ndarray, zipped: bool, data: st.DataObject
):
    blob = bytearray(gzip.compress(idx_bytes(array)) if zipped else idx_bytes(array))
    for position in data.draw(st.lists(st.integers(0, len(blob) - 1), min_size=1, max_size=4)):
        blob[position] = data.draw(st.integers(0, 255))
    blob = blob[: data.draw(st.integers(0, len(blob)))] + data.draw(st.binary(max_size=3))
    file = folder / "corrupt"
    file.write_bytes(blob)
    try:
        text = str(read_idx(file)) and "corrupt"
    except DataError as error:
        text = str(error)
    assert "corrupt" in text


@pytest.mark.parametrize(
    "shape", [(2**32 - 1,), (2**32 - 1, 2**32 - 1, 2**32 - 1), (60000, 28, 28), (2**32 - 1, 0)]
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_lying_header_allocates_nothing(tmp_path: Path, shape: tuple[int, ...], zipped: bool):
    blob = bytes([0, 0, 14, len(shape)]) + b"".join(struct.pack(">I", n) for n in shape) + b"1234"
    file = tmp_path / "lie"
    file.write_bytes(gzip.compress(blob) if zipped else blob)
    with memory_below(5), pytest.raises(DataError, match="lie"):
        read_idx(file)


def test_a_gzip_bomb_behind_an_honest_header_stops_at_the_header(tmp_path: Path):
    file = tmp_path / "bomb.gz"
    file.write_bytes(
        gzip.compress(idx_bytes(np.zeros((4, 4), np.uint8)) + bytes(200 * 2**20), compresslevel=1)
    )
    with (
        memory_below(10),
        pytest.raises(DataError, match="holds more than the 16 bytes that its header says"),
    ):
        read_idx(file)


@pytest.mark.parametrize(
    ("blob", "text"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"\x00\x00\x08", "truncated: it promises 4 bytes"),
        (b"PNG\x01\x00\x00\x00\x01a", "starts with bytes 50 4e 47 01, but IDX starts with 00 00"),
        (b"\x00\x00\x0a\x01\x00\x00\x00\x01a", "a type among 0x08"),
        (b"\x00\x00\x08\x00a", "0 dimensions, but 1 to 8"),
        (b"\x00\x00\x08\xff" + bytes(1020), "255 dimensions"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x03ab", "a file of 11 bytes, but it has 10"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x01ab", "a file of 9 bytes, but it has 10"),
        (gzip.compress(b"\x00\x00\x08\x01\x00\x00\x00\x03abc", mtime=0)[:-9], "truncated or damaged"),
        (
            gzip.compress(b"\x00\x00\x08\x01\x00\x00\x00\x03ab", mtime=0),
            "promises 3 bytes of data but holds 2",
        ),
    ],
)
def test_malformed_files_say_what_is_wrong(tmp_path: Path, blob: bytes, text: str):
    file = tmp_path / "bad-file"
    file.write_bytes(blob)
    with pytest.raises(DataError, match=text) as caught:
        read_idx(file)
    assert str(file) in str(caught.value)


def test_a_damaged_checksum_is_noticed(tmp_path: Path):
    blob = bytearray(gzip.compress(idx_bytes(np.arange(100, dtype=np.uint8))))
    blob[-6] ^= 1
    (tmp_path / "crc.gz").write_bytes(blob)
    with pytest.raises(DataError, match="CRC"):
        read_idx(tmp_path / "crc.gz")


def test_what_is_not_an_ordinary_file(tmp_path: Path):
    with pytest.raises(DataError, match="is a folder where a file is expected"):
        read_idx(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_idx(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is a device or pipe"):
        read_idx(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"embedded null|not a valid file|cannot be read|no such file"):
        read_idx("a\0b")


def test_an_unreadable_file_says_how_to_make_it_readable():
    with pytest.raises(DataError, match=r"permission denied.*chmod u\+r 'secret'"), reading("secret"):
        raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("below", ["", "raw", "MNIST/raw"])
def test_image_folder_in_every_layout(tmp_path: Path, zipped: bool, below: str):
    arrays = write_idx_folder(tmp_path / below, zipped=zipped)
    data = load("mnist", path=tmp_path)
    np.testing.assert_array_equal(data.train_images[..., 0], arrays["train-images"])
    np.testing.assert_array_equal(data.test_labels, arrays["t10k-labels"])
    assert data.classes == tuple("0123456789")
    assert data.image_shape == (6, 5, 1)


def test_folders_that_do_not_fit_together(tmp_path: Path):
    write_idx_folder(tmp_path)
    labels = tmp_path / "train-labels-idx1-ubyte.gz"
    good = labels.read_bytes()
    labels.write_bytes(gzip.compress(idx_bytes(np.zeros(7, np.uint8))))
    with pytest.raises(DataError, match="20 train images but 7 labels"):
        load("mnist", path=tmp_path)
    labels.write_bytes(gzip.compress(idx_bytes(np.full(20, 11, np.uint8))))
    with pytest.raises(
        DataError, match=r"train labels run from 11 to 11, but there are 10 classes \(0 to 9\)"
    ):
        load("mnist", path=tmp_path)
    labels.write_bytes(gzip.compress(idx_bytes(np.full(20, 2**31 - 1, np.int32))))
    with memory_below(5), pytest.raises(DataError, match="labels run from 2147483647"):
        read_idx_images(tmp_path)
    labels.write_bytes(gzip.compress(idx_bytes(np.zeros(20))))
    with pytest.raises(DataError, match="labels are whole numbers in 1"):
        load("mnist", path=tmp_path)
    labels.write_bytes(good)
    images = tmp_path / "t10k-images-idx3-ubyte.gz"
    images.write_bytes(gzip.compress(idx_bytes(np.zeros((10, 4, 4), np.uint8))))
    with pytest.raises(DataError, match="train images are 6x5x1 but test images are 4x4x1"):
        load("mnist", path=tmp_path)
    images.write_bytes(gzip.compress(idx_bytes(np.zeros((0, 6, 5), np.uint8))))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(np.zeros(0, np.uint8))))
    with pytest.raises(DataError, match="the test split is empty"):
        load("mnist", path=tmp_path)
    images.unlink()
    with pytest.raises(DataError, match=r"has no test-images file.*found 2 of 4"):
        load("mnist", path=tmp_path)


def test_ambiguous_folders_are_refused(tmp_path: Path):
    write_idx_folder(tmp_path)
    os.rename(tmp_path / "t10k-labels-idx1-ubyte.gz", tmp_path / "letters-train-images-idx3-ubyte.gz")
    with pytest.raises(DataError, match="2 files could be the train-images"):
        read_idx_images(tmp_path)
    with pytest.raises(DataError, match="is a file; a folder with the four IDX files"):
        read_idx_images(tmp_path / "train-images-idx3-ubyte.gz")


@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="apt install dataset-fashion-mnist"
)
def test_the_real_fashion_mnist(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SIMILITUDE_DATA", raising=False)
    data = load("fashion-mnist")
    assert data.train_images.shape == (60000, 28, 28, 1)
    assert data.test_images.shape == (10000, 28, 28, 1)
    assert np.bincount(data.train_labels).tolist() == [6000] * 10
    assert data.classes[data.train_labels[0]] == "ankle boot"
    assert data.train_images.mean() / 255 == pytest.approx(
        0.2860, abs=1e-4
    )  # its published mean and deviation
    assert data.train_images.std() / 255 == pytest.approx(0.3530, abs=1e-4)
