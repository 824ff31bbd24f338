"""Pickles are read as data: real ones agree with pickle, hostile ones execute nothing."""

from __future__ import annotations

import os
import pickle
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from data_files import memory_below, python2_pickle
from hypothesis import given, settings
from hypothesis import strategies as st

from similitude.core.errors import DataError
from similitude.data.pickles import read_plain_pickle

BATCH = {
    "data": np.random.default_rng(0).integers(0, 256, (4, 3072), dtype=np.uint8),
    "labels": [3, 0, 9, 3],
    "filenames": ["a.png", "b.png", "a.png", "é.png"],
    "meta": {
        "size": (32, 32),
        "big": 2**70,
        "half": 0.5,
        "none": None,
        "flags": [True, False],
        "empty": ((), [], {}),
    },
}

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_agrees_with_pickle_on_a_batch(protocol: int):
    back = read_plain_pickle(pickle.dumps(BATCH, protocol=protocol), "batch")
    np.testing.assert_array_equal(back.pop("data"), BATCH["data"])
    assert back == {k: v for k, v in BATCH.items() if k != "data"}


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_in_both_memory_orders_are_writable(order: str):
    array = np.array(BATCH["data"], order=order)  # type: ignore[call-overload]
    for protocol in (2, 4, 5):
        back = read_plain_pickle(pickle.dumps(array, protocol=protocol), "array")
        np.testing.assert_array_equal(back, array)
        assert back.flags.writeable


def test_agrees_with_pickle_on_python_2_batches():
    blob = python2_pickle({k: v for k, v in BATCH.items() if k != "meta"})
    theirs, ours = pickle.loads(blob, encoding="bytes"), read_plain_pickle(blob, "batch")
    np.testing.assert_array_equal(ours.pop(b"data"), theirs.pop(b"data"))
    assert ours == theirs


@given(value=plain, protocol=st.integers(2, 5))
@settings(max_examples=60, deadline=None)
def test_agrees_with_pickle_on_plain_values(value: object, protocol: int):
    assert read_plain_pickle(pickle.dumps(value, protocol=protocol), "value") == value


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_corruption_gives_a_value_or_a_data_error(data: st.DataObject):
    small = {"data": np.zeros((1, 8), np.uint8), "labels": [1, 2], "names": ["a", "b"]}
    blob = bytearray(pickle.dumps(small, protocol=data.draw(st.integers(2, 5))))
    for position in data.draw(st.lists(st.integers(0, len(blob) - 1), min_size=1, max_size=5)):
        blob[position] = data.draw(st.integers(0, 255))
    try:
        text = str(read_plain_pickle(blob[: data.draw(st.integers(0, len(blob)))], "corrupt")) and "corrupt"
    except DataError as error:
        text = str(error)
    assert "corrupt" in text


class Runs:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_code_in_a_pickle_is_named_and_not_executed(tmp_path: Path, protocol: int):
    target = tmp_path / "executed"
    blob = pickle.dumps({"data": Runs(target)}, protocol=protocol)
    with pytest.raises(
        DataError, match=r"batch: the pickle names '(posix|nt)\.system'.*Nothing was executed"
    ):
        read_plain_pickle(blob, "batch")
    assert not target.exists()
    pickle.loads(blob)
    assert target.exists(), "the pickle is a real attack"


@pytest.mark.parametrize(
    ("blob", "text"),
    [
        (b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.", r"names 'builtins\.eval'"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", r"names 'builtins\.eval'"),
        (b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.", r"names 'numpy\.ndarray\.__class__'"),
        (b"\x80\x02cnumpy\nndarray\nK\x05\x85R.", r"calls 'numpy\.ndarray'"),
        (
            b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x001X\x04\x00\x00\x00bz2_\x86R.",
            r"calls '_codecs\.encode'",
        ),
        (b"\x80\x02}K\x01b.", "sets the state"),
        (b"\x80\x02Q.", "uses the instruction BINPERSID"),
        (b"\x80\x02\x82\x01.", "uses the instruction EXT1"),
        (b"(ibuiltins\neval\n.", "uses the instruction INST"),
        (b"\x80\x02}(K\x01K\x02\x86K\x03u.", "key of type tuple"),
        (b"\x80\x02}", "exhausted before seeing STOP"),
        (b"\x80\x02.", "do not fit its stack"),
        (b"\x80\x02}h\x07.", "do not fit its stack"),
        (b"\x80\x02K\x01K\x02a.", "do not fit its stack"),
        (b"\x80\x02T\xff\xff\xff\x7fabc.", "not a valid file"),
        (b"", "not a valid file"),
    ],
)
def test_hostile_and_damaged_pickles_are_named(blob: bytes, text: str):
    with pytest.raises(DataError, match=text):
        read_plain_pickle(blob, "batch")


def test_an_array_whose_shape_lies_allocates_nothing():
    blob = python2_pickle({"data": np.zeros((2, 3), np.uint8)})
    lie = blob.replace(
        b"M\x02\x00M\x03\x00", b"J" + struct.pack("<i", 2**31 - 1) + b"J" + struct.pack("<i", 2**31 - 1)
    )
    assert lie != blob
    with memory_below(2), pytest.raises(DataError, match="batch"):
        read_plain_pickle(lie, "batch")


def test_an_array_of_objects_is_refused():
    with pytest.raises(DataError, match=r"type '.?O8', but only uint8"):
        read_plain_pickle(pickle.dumps(np.array([None, "x"], dtype=object), protocol=2), "batch")


def test_huge_memo_numbers_and_shared_tuples_cost_nothing():
    started = time.perf_counter()
    with memory_below(2):
        assert read_plain_pickle(b"\x80\x02}r\xff\xff\xff\xff.", "memo") == {}
        nested = b"\x80\x02)" + b"q\x00h\x00\x86" * 100 + b"."
        assert isinstance(read_plain_pickle(nested, "nested"), tuple)
    assert time.perf_counter() - started < 1
