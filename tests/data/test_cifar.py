"""CIFAR-10 and CIFAR-100: every distribution gives the same arrays; hostile archives do nothing."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from data_files import cifar_batches, cifar_binary, memory_below, python2_pickle, tar_gz
from hypothesis import given, settings
from hypothesis import strategies as st

from similitude.core.errors import DataError
from similitude.data import ImageSet, load
from similitude.data.cifar import read_cifar


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def check(data: ImageSet, arrays: dict[str, np.ndarray], classes: int) -> None:
    names = [f"data_batch_{i}" for i in range(1, 6)] if classes == 10 else ["train"]
    pixels = np.concatenate([arrays[f"{n}:data"] for n in names])
    labels = np.concatenate([arrays[f"{n}:labels"] for n in names])
    assert data.train_images.shape == (len(pixels), 32, 32, 3)
    for i, y, x, c in [(0, 0, 0, 0), (3, 5, 7, 1), (9, 31, 30, 2)]:
        assert data.train_images[i, y, x, c] == pixels[i, c * 1024 + y * 32 + x]
    np.testing.assert_array_equal(data.train_labels, labels)
    assert data.classes == tuple(f"class{i}" for i in range(classes))
    assert data.train_images.flags.c_contiguous


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize("form", ["python2", "protocol2", "protocol4", "binary"])
@pytest.mark.parametrize("place", ["folder", "parent", "archive", "archive in folder"])
def test_every_distribution(tmp_path: Path, classes: int, form: str, place: str):
    dumps = {
        "python2": python2_pickle,
        "protocol2": lambda b: pickle.dumps(b, protocol=2),
        "protocol4": lambda b: pickle.dumps(b, protocol=4),
    }
    files, arrays = cifar_binary(classes) if form == "binary" else cifar_batches(classes, dump=dumps[form])
    stem = f"cifar-{classes}"
    if place == "folder":
        path = write(tmp_path / "any", files)
    elif place == "parent":
        path = write(tmp_path / f"{stem}-batches-py", files).parent
    else:
        path = tar_gz(tmp_path / f"{stem}-python.tar.gz", {"readme.html": b"<html>", **files})
        path = path.parent if place == "archive in folder" else path
    check(load(stem, path=path), arrays, classes)
    assert len(list(tmp_path.iterdir())) == 1, "nothing is unpacked on disk"


def info(name: str, kind: bytes = tarfile.REGTYPE, *, size: int = 0, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size, link
    return made


@pytest.mark.parametrize(
    ("member", "text"),
    [
        (info("/etc/passwd"), "'/etc/passwd' leaves the archive's folder"),
        (info("cifar/../../data_batch_1"), "leaves the archive's folder"),
        (info("cifar/data_batch_1", tarfile.SYMTYPE, link="/etc/passwd"), r"is a link \(to '/etc/passwd'\)"),
        (info("cifar/data_batch_1", tarfile.LNKTYPE, link="/etc/passwd"), r"is a link \(to '/etc/passwd'\)"),
        (info("cifar/data_batch_1", tarfile.FIFOTYPE), "neither a folder nor an ordinary file"),
        (info("cifar/data_batch_1", tarfile.CHRTYPE), "neither a folder nor an ordinary file"),
        (info("cifar/test_batch", size=4), "holds 2 files named test_batch"),
    ],
)
def test_hostile_members_are_refused(tmp_path: Path, member: tarfile.TarInfo, text: str):
    files, _ = cifar_batches(10, 2)
    path = tar_gz(tmp_path / "hostile.tar.gz", files, extra=[member])
    with pytest.raises(DataError, match=text) as caught:
        read_cifar(path)
    assert str(path) in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["hostile.tar.gz"]


def test_an_archive_that_unpacks_without_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("similitude.data.cifar.MOST_UNPACKED", 2**22)
    path = tmp_path / "bomb.tar.gz"
    zeros = info("cifar/padding", size=2**22 - 1024)
    with tarfile.open(path, "w:gz") as tar:
        for _ in range(2):
            tar.addfile(zeros, io.BytesIO(bytes(zeros.size)))
    with memory_below(8), pytest.raises(DataError, match="unpacks to more than 4,194,304 bytes"):
        read_cifar(path)


def test_a_member_that_promises_too_much_allocates_nothing(tmp_path: Path):
    head = info("cifar/data_batch_1", size=2**40).tobuf()
    path = tmp_path / "lie.tar.gz"
    path.write_bytes(gzip.compress(head + b"x" * 512))
    with memory_below(3), pytest.raises(DataError, match="size of 1,099,511,627,776 bytes"):
        read_cifar(path)
    path.write_bytes(gzip.compress(info("cifar/data_batch_1", size=2**28).tobuf() + b"x" * 512))
    with memory_below(3), pytest.raises(DataError, match="lie"):
        read_cifar(path)


def test_too_many_members_are_refused(tmp_path: Path):
    path = tar_gz(tmp_path / "many.tar.gz", {f"file{i}": b"" for i in range(1001)})
    with pytest.raises(DataError, match="is number 1001, but at most 1000 are read"):
        read_cifar(path)


@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_corrupt_archives_give_a_data_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    plain = io.BytesIO()
    kind = data.draw(st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
    with tarfile.open(fileobj=plain, mode="w", format=kind) as tar:
        for name in ("y" * 60 + "/" + "x" * 90, "data_batch_1", "é"):
            tar.addfile(info(f"cifar/{name}", size=9), io.BytesIO(b"123456789"))
    blob = bytearray(plain.getvalue()[: 12 * 512])
    for position in data.draw(st.lists(st.integers(0, len(blob) - 1), min_size=0, max_size=5)):
        blob[position] = data.draw(st.integers(0, 255))
    # A header with a wrong checksum is not looked into: make them right, so that the corruption is read.
    for at in data.draw(st.lists(st.integers(0, len(blob) // 512 - 1), max_size=4)):
        header = blob[512 * at : 512 * at + 512]
        header[148:156] = b" " * 8
        blob[512 * at + 148 : 512 * at + 156] = b"%06o\0 " % sum(header)
    packed = gzip.compress(bytes(blob), 1) if data.draw(st.booleans()) else bytes(blob)
    path = tmp_path_factory.mktemp("corrupt") / "cifar.tar"
    path.write_bytes(packed[: data.draw(st.integers(0, len(packed)))])
    with pytest.raises(DataError, match=r"cifar\.tar"):
        read_cifar(path)


def test_negative_sizes_in_a_header_end(tmp_path: Path):
    for kind in (tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
        header = bytearray(info("cifar/data_batch_1", kind).tobuf(tarfile.GNU_FORMAT))
        header[124:136] = b"\xff" * 10 + b"\xfe\x00"  # base-256 for -512
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        path = tmp_path / "negative.tar"
        path.write_bytes(bytes(header) + bytes(2048))
        with pytest.raises(DataError, match="negative"):
            read_cifar(path)


def test_truncated_archives_and_batches(tmp_path: Path):
    files, _ = cifar_batches(10, 2)
    path = tar_gz(tmp_path / "cut.tar.gz", files)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match="truncated or damaged"):
        read_cifar(path)
    folder = write(tmp_path / "folder", {**files, "data_batch_3": files["data_batch_3"][:3000]})
    with pytest.raises(DataError, match="folder:data_batch_3"):
        read_cifar(folder)
    (folder / "data_batch_3").write_bytes(b"")
    with pytest.raises(DataError, match=r"is empty \(0 bytes\)"):
        read_cifar(folder)
    (folder / "data_batch_3").unlink()
    with pytest.raises(
        DataError, match=r"1 of the 7 files of CIFAR-10 are missing: data_batch_3\. Pass cifar-10-python"
    ):
        read_cifar(folder)
    (folder / "data_batch_3").mkdir()
    with pytest.raises(DataError, match="is a folder where a file is expected"):
        read_cifar(folder)


@pytest.mark.parametrize(
    ("batch", "text"),
    [
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}, "2 images but 1 labels"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [1, 10]}, "list of whole numbers 0 to 9"),
        ({"data": np.zeros((2, 3072), np.uint8), "fine_labels": [1, 2]}, "its 'labels' is missing"),
        (
            {"data": np.zeros((2, 3071), np.uint8), "labels": [1, 2]},
            r"its 'data' is \(2, 3071\).*rows of 3072",
        ),
        ({"data": [1, 2], "labels": [1, 2]}, "its 'data' is list"),
        ({"labels": [1, 2]}, "its 'data' is NoneType"),
    ],
)
def test_batches_of_another_structure(tmp_path: Path, batch: dict[str, object], text: str):
    files, _ = cifar_batches(10, 2)
    folder = write(tmp_path / "cifar", {**files, "data_batch_2": python2_pickle(batch)})
    with pytest.raises(DataError, match=text) as caught:
        read_cifar(folder)
    assert "data_batch_2" in str(caught.value)


def test_binary_batches_of_the_wrong_size_or_label(tmp_path: Path):
    files, _ = cifar_binary(10, 2)
    folder = write(tmp_path / "cifar", {**files, "test_batch.bin": files["test_batch.bin"][:-1]})
    with pytest.raises(DataError, match="has 6,145 bytes, which is 1 records of 3,073 bytes and 3,072 more"):
        read_cifar(folder)
    write(folder, {"test_batch.bin": b"\x0a" + bytes(3072)})
    with pytest.raises(DataError, match="a label is 10, but CIFAR-10 has labels 0 to 9"):
        read_cifar(folder)
    write(folder, {**files, "batches.meta.txt": b"only\n"})
    with pytest.raises(DataError, match="names 1 classes, but CIFAR-10 has 10"):
        read_cifar(folder)


def test_a_batch_that_would_execute_code(tmp_path: Path):
    files, _ = cifar_batches(10, 2)
    target = tmp_path / "executed"
    attack = (
        b"cposix\nsystem\n(X"
        + len(f"touch {target}").to_bytes(4, "little")
        + f"touch {target}".encode()
        + b"tR."
    )
    path = tar_gz(tmp_path / "attack.tar.gz", {**files, "test_batch": attack})
    with pytest.raises(DataError, match=r"attack\.tar\.gz:test_batch: the pickle names 'posix\.system'"):
        read_cifar(path)
    assert not target.exists()
