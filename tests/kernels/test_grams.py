"""Gram matrices in tiles: the same numbers as whole, half the work, on disk, after a kill, in other processes."""

import json
import multiprocessing
import signal
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from similitude.core.errors import KernelError
from similitude.kernels.gram_store import read_grams
from similitude.kernels.gram_tiles import tiles
from similitude.kernels.grams import gram_matrices
from similitude.runs.engine import InProcess, JobsFailedError
from similitude.runs.pool import ProcessPool
from tests.kernels.gram_pairs import Counting, fill, relu_pair, samples

ID = {"kernel": "relu"}


@given(n1=st.integers(1, 40), n2=st.integers(1, 40), side=st.integers(1, 45), symmetric=st.booleans())
def test_tiles_cover_every_entry_once(n1, n2, side, symmetric):
    n2 = n1 if symmetric else n2
    seen = torch.zeros(n1, n2)
    for tile in tiles(n1, n2, side, symmetric=symmetric):
        rows, columns = slice(tile.row, tile.row_stop), slice(tile.column, tile.column_stop)
        assert max(rows.stop - rows.start, columns.stop - columns.start) <= side
        seen[rows, columns] += 1
        if symmetric and not tile.on_diagonal:
            seen[columns, rows] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("side", [1, 4, 23, 100, None])
@pytest.mark.parametrize("other", [False, True])
def test_tiles_give_what_the_whole_gives(side, other):
    x1, x2 = samples(), samples(9, seed=1) if other else None
    whole = relu_pair(x1, x2)
    found = gram_matrices(relu_pair, x1, x2, side=side)
    for name in ("nngp", "ntk"):
        torch.testing.assert_close(found[name], whole[name], rtol=1e-12, atol=1e-12)
        if not other:
            assert torch.equal(found[name], found[name].T)


def test_half_of_a_symmetric_matrix_is_computed():
    pair = Counting()
    gram_matrices(pair, samples(20), side=5)
    assert len(pair.calls) == 10
    assert sum(columns is None for _, columns in pair.calls) == 4
    pair = Counting()
    gram_matrices(pair, samples(20), samples(20), side=5)  # told as two sets, they are two
    assert len(pair.calls) == 16
    assert all(columns == 5 for _, columns in pair.calls)


def test_only_the_named_kernels_are_kept_in_the_type_asked_for():
    found = gram_matrices(relu_pair, samples(), names=["ntk"], dtype=torch.float32)
    assert {name: matrix.dtype for name, matrix in found.items()} == {"ntk": torch.float32}
    with pytest.raises(KernelError, match=r"torch.float32 or torch.float64"):
        gram_matrices(relu_pair, samples(), dtype=torch.float16)


def dictionary_pair(x1, x2=None):
    return relu_pair(*(None if x is None else x["a"] + x["b"][0] for x in (x1, x2)))


def test_samples_may_be_nests_of_tensors():
    a, b = samples(7), samples(7, seed=1)
    found = gram_matrices(dictionary_pair, {"a": a, "b": (b,)}, side=3)
    torch.testing.assert_close(found["ntk"], relu_pair(a + b)["ntk"])


def test_progress_tells_every_tile_and_an_estimate():
    seen = []
    gram_matrices(relu_pair, samples(20), side=5, progress=seen.append)
    assert [p.done for p in seen] == list(range(1, 11))
    assert {(p.total, p.found) for p in seen} == {(10, 0)}
    assert seen[-1].seconds_left == 0.0


# ----------------------------------------------------------------------------------------------------- on disk
def test_a_folder_keeps_the_matrices(tmp_path):
    found = gram_matrices(relu_pair, samples(), side=5, folder=tmp_path / "g", identity=ID)
    plain = gram_matrices(relu_pair, samples(), side=5)
    pair, seen = Counting(), []
    again = gram_matrices(pair, samples(), side=5, folder=tmp_path / "g", identity=ID, progress=seen.append)
    assert pair.calls == []
    assert seen == []
    for matrices in (found, again, read_grams(tmp_path / "g")):
        assert all(torch.equal(matrices[name], plain[name]) for name in ("nngp", "ntk"))


def test_a_killed_process_goes_on_where_it_was(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=partial(fill, tmp_path, last=8))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    with pytest.raises(KernelError, match=r"% done. Run what computed them again"):
        read_grams(tmp_path)
    pair, seen = Counting(), []
    found = gram_matrices(pair, samples(), side=5, folder=tmp_path, identity=ID, progress=seen.append)
    assert len(pair.calls) == 15 - 7  # 7 tiles were on disk
    assert (seen[0].found, seen[0].done) == (7, 8)
    plain = gram_matrices(relu_pair, samples(), side=5)
    assert all(torch.equal(found[name], plain[name]) for name in ("nngp", "ntk"))


def test_a_ledger_that_was_cut_off_is_mended(tmp_path):
    gram_matrices(relu_pair, samples(), side=5, folder=tmp_path, identity=ID)
    ledger = tmp_path / "tiles.txt"
    lines = ledger.read_text().splitlines()
    ledger.write_text("\n".join(lines[:4]) + "\n" + lines[4][:3])  # the machine died while line 5 was written
    pair = Counting()
    gram_matrices(pair, samples(), side=5, folder=tmp_path, identity=ID)
    assert len(pair.calls) == 11
    assert sorted(ledger.read_text().splitlines()) == sorted(lines)


def test_what_was_done_before_an_error_is_kept(tmp_path):
    x = samples()
    x[22] = torch.nan
    with pytest.raises(KernelError, match=r"'nngp' of samples 0 and 22 is nan"):
        gram_matrices(relu_pair, x, side=5, folder=tmp_path, identity=ID)
    assert len((tmp_path / "tiles.txt").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"identity": {"kernel": "erf"}}, r"kernel.kernel was relu, is now erf"),
        ({"x1": samples(seed=3)}, r"data.x1 was \w{16}, is now \w{16}"),
        ({"x2": samples(4)}, r"shape was \[23, 23\], is now \[23, 4\]"),
        ({"dtype": torch.float32}, "dtype was float64, is now float32"),
        ({"names": ["ntk"]}, "matrices was"),
    ],
)
def test_a_folder_of_something_else_is_refused(tmp_path, change, said):
    given = {"x1": samples(), "x2": None, "side": 5, "folder": tmp_path, "identity": ID}
    gram_matrices(relu_pair, **given)
    with pytest.raises(KernelError, match=said):
        gram_matrices(relu_pair, **(given | change))


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "ntk.npy").write_bytes(b"mine")
    with pytest.raises(KernelError, match="would be overwritten"):
        gram_matrices(relu_pair, samples(), folder=tmp_path, identity=ID)
    assert (tmp_path / "ntk.npy").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("gram.json", b"{"),
        ("gram.json", b"[1]"),
        ("ntk.npy", b""),
        ("tiles.txt", b"1 2\n"),
        ("tiles.txt", b"a b c d\n"),
    ],
)
def test_a_damaged_folder_is_named(tmp_path, name, content):
    gram_matrices(relu_pair, samples(), folder=tmp_path, identity=ID)
    (tmp_path / name).write_bytes(content)
    for use in (read_grams, lambda f: gram_matrices(relu_pair, samples(), folder=f, identity=ID)):
        with pytest.raises(KernelError, match=rf"{name} is damaged"):
            use(tmp_path)


def test_a_matrix_that_is_gone_is_computed_again(tmp_path):
    gram_matrices(relu_pair, samples(), folder=tmp_path, identity=ID)
    (tmp_path / "ntk.npy").unlink()
    pair = Counting()
    found = gram_matrices(pair, samples(), folder=tmp_path, identity=ID)
    assert len(pair.calls) == 1
    torch.testing.assert_close(found["ntk"], relu_pair(samples())["ntk"])


def test_a_disk_without_room_is_an_error_before_work(tmp_path):
    huge = torch.zeros(1, 1).expand(2_000_000, 1)
    with pytest.raises(KernelError, match=r"GiB, and the disk of .* has"):
        gram_matrices(relu_pair, huge, folder=tmp_path, identity=ID, side=10**6)


def test_a_folder_asks_for_an_identity_and_an_absent_one_is_named(tmp_path):
    with pytest.raises(KernelError, match="identity="):
        gram_matrices(relu_pair, samples(), folder=tmp_path)
    with pytest.raises(KernelError, match=r"no gram\.json"):
        read_grams(tmp_path)
    (tmp_path / "gram.json").write_text(json.dumps({"shape": [2, 2]}))
    with pytest.raises(KernelError, match=r"gram\.json is damaged"):
        read_grams(tmp_path)


# ----------------------------------------------------------------------------------------------------- engines
def test_a_process_pool_gives_the_same_numbers(tmp_path):
    plain = gram_matrices(relu_pair, samples(), side=8)
    found = gram_matrices(relu_pair, samples(), side=8, engine=ProcessPool(2), folder=tmp_path, identity=ID)
    assert all(torch.equal(found[name], plain[name]) for name in plain)


def bad_pair(x1, x2=None):
    return {"nngp": torch.full((len(x1), len(x1)), torch.inf), "ntk": torch.zeros(len(x1), len(x1))}


@pytest.mark.parametrize(
    "engine",
    [InProcess(), pytest.param(ProcessPool(1), marks=pytest.mark.slow)],
    ids=["this process", "a pool"],
)
def test_an_engine_says_which_tile_failed(engine):
    with pytest.raises(JobsFailedError, match=r"tile of rows 0 to 3, columns 0 to 3.*samples 0 and 0 is inf"):
        gram_matrices(bad_pair, samples(3), engine=engine)


@pytest.mark.slow
def test_ray_gives_the_same_numbers(ray_engine):
    plain = gram_matrices(relu_pair, samples(), side=12)
    found = gram_matrices(relu_pair, samples(), side=12, engine=ray_engine)
    assert all(torch.equal(found[name], plain[name]) for name in plain)


# ---------------------------------------------------------------------------------------------------- wrong use
@pytest.mark.parametrize(
    ("x", "said"),
    [
        (torch.zeros(0, 3), "x1 has 0 samples"),
        (torch.tensor(1.0), r"x1 has tensors of shapes \(\)"),
        ((torch.zeros(2, 1), torch.zeros(3, 1)), r"shapes \(2, 1\), \(3, 1\)"),
        ((), "no tensor at all"),
        ({"a": "text"}, r"x1\['a'\] is a str"),
        ([[1.0]], r"x1\[0\]\[0\] is a float"),
    ],
)
def test_wrong_samples_are_named(x, said):
    with pytest.raises(KernelError, match=said):
        gram_matrices(relu_pair, x)


def wide_pair(x1, x2=None):
    return {"nngp": torch.zeros(len(x1), len(x1), 2)}


def test_a_pair_function_of_another_shape_is_named():
    with pytest.raises(KernelError, match=r"has shape \(3, 3, 2\)"):
        gram_matrices(wide_pair, samples(3), names=["nngp"])
    with pytest.raises(KernelError, match="side=0"):
        gram_matrices(relu_pair, samples(3), side=0)
