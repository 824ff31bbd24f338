"""Writers of small files in the true formats, from the formats' descriptions, not our readers."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

IDX_CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def idx_bytes(array: np.ndarray) -> bytes:
    head = bytes([0, 0, IDX_CODES[array.dtype.name], array.ndim]) + b"".join(
        struct.pack(">I", n) for n in array.shape
    )
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_idx_folder(
    folder: Path, *, rows: int = 20, zipped: bool = True, classes: int = 10
) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", rows), ("t10k", rows // 2)):
        arrays[f"{split}-images"] = rng.integers(0, 256, (count, 6, 5), dtype=np.uint8)
        arrays[f"{split}-labels"] = (np.arange(count) % classes).astype(np.uint8)
        for part, rank in (("images", 3), ("labels", 1)):
            data = idx_bytes(arrays[f"{split}-{part}"])
            name = f"{split}-{part}-idx{rank}-ubyte"
            if zipped:
                (folder / f"{name}.gz").write_bytes(gzip.compress(data))
            else:
                (folder / name).write_bytes(data)
    return arrays


def python2_pickle(batch: dict[str, object]) -> bytes:
    """Write a batch as Python 2 does with protocol 2: text as byte strings, arrays by `_reconstruct`."""
    out = io.BytesIO()
    out.write(b"\x80\x02}(")

    def text(data: bytes) -> None:
        out.write(
            b"U" + bytes([len(data)]) + data
            if len(data) < 256
            else b"T" + struct.pack("<i", len(data)) + data
        )

    for key, value in batch.items():
        text(key.encode())
        if isinstance(value, np.ndarray):
            out.write(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01")
            out.write(b"".join(b"M" + struct.pack("<H", n) for n in value.shape) + b"\x86")
            out.write(
                b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
            )
            text(value.tobytes())
            out.write(b"tb")
        elif isinstance(value, list):
            out.write(b"](")
            for item in value:
                if isinstance(item, int):
                    out.write(b"K" + bytes([item]))
                else:
                    text(str(item).encode())
            out.write(b"e")
        else:
            text(str(value).encode())
    out.write(b"u.")
    return out.getvalue()


def cifar_batches(
    classes: int, rows: int = 10, dump: Callable[[dict[str, object]], bytes] = python2_pickle
) -> tuple[dict[str, bytes], dict[str, np.ndarray]]:
    """Return the pickled files of a tiny CIFAR, and its pixels and labels by file."""
    rng = np.random.default_rng(classes)
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"] if classes == 10 else ["train", "test"]
    files, arrays = {}, {}
    for name in names:
        pixels = rng.integers(0, 256, (rows, 3072), dtype=np.uint8)
        labels = rng.integers(0, classes, rows)
        arrays[f"{name}:data"], arrays[f"{name}:labels"] = pixels, labels
        batch: dict[str, object] = {"batch_label": f"batch {name}", "data": pixels}
        batch["labels" if classes == 10 else "fine_labels"] = labels.tolist()
        if classes == 100:
            batch["coarse_labels"] = (labels // 5).tolist()
        batch["filenames"] = [f"image_{i}.png" for i in range(rows)]
        files[name] = dump(batch)
    key = "label_names" if classes == 10 else "fine_label_names"
    files["batches.meta" if classes == 10 else "meta"] = dump({key: [f"class{i}" for i in range(classes)]})
    return files, arrays


def cifar_binary(classes: int, rows: int = 10) -> tuple[dict[str, bytes], dict[str, np.ndarray]]:
    files, arrays = cifar_batches(classes, rows)
    names = "".join(f"class{i}\n" for i in range(classes)).encode() + b"\n"
    out = {"batches.meta.txt" if classes == 10 else "fine_label_names.txt": names}
    for name in (n for n in files if f"{n}:data" in arrays):
        pixels, labels = arrays[f"{name}:data"], arrays[f"{name}:labels"]
        heads = [bytes([x]) if classes == 10 else bytes([x // 5, x]) for x in labels.tolist()]
        out[f"{name}.bin"] = b"".join(h + row.tobytes() for h, row in zip(heads, pixels, strict=True))
    return out, arrays


def tar_gz(
    path: Path, files: dict[str, bytes], folder: str = "cifar", extra: list[tarfile.TarInfo] | None = None
) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info in extra or []:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
        for name, data in files.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@contextmanager
def memory_below(megabytes: float) -> Iterator[None]:
    """Fail where Python and NumPy together allocate more than this at any moment of the block."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()
    assert peak < megabytes, f"{peak:.0f} MB were allocated"
