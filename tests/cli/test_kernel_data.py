"""What `similitude kernel --data` reads: sets by name, arrays and tables; splits, scales, and files that are wrong."""

import numpy as np
import pytest
import torch

from similitude.cli.kernel_data import load_samples
from similitude.core.errors import DataError
from similitude.data import load


def read(reference, **change):
    options = {
        "labels": None,
        "examples": 1000,
        "test": 1000,
        "context": None,
        "standardize": None,
        "seed": 0,
    }
    return load_samples(str(reference), **(options | change))


RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(50, 3)), RNG.integers(0, 4, 50)


def test_digits_are_standardized_images_with_classes():
    found = read("digits", examples=40, test=30)
    assert found.x.shape == (40, 1, 8, 8)
    assert found.x_test.shape == (30, 1, 8, 8)
    assert (found.y.dtype, found.classes) == (torch.int64, load("digits").classes)
    everything = read("digits", examples=1500)
    assert everything.x.mean().item() == pytest.approx(0, abs=1e-9)
    assert everything.x.std(correction=0).item() == pytest.approx(1)
    assert "standardized by the set's mean" in everything.notes[0]


def test_the_seed_chooses_the_samples():
    first, again, other = (read("digits", examples=20, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.x, other.x)


def test_texts_are_sequences_without_labels():
    found = read("text", examples=6, test=4, context=9)
    assert (found.x.shape, found.x_test.shape, found.x.dtype) == ((6, 9), (4, 9), torch.int64)
    assert found.y is None
    assert "nothing is predicted" in found.notes[0]


def test_an_archive_with_a_split_is_taken_as_it_is(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=X[:30], y_train=Y[:30], x_test=X[30:], y_test=Y[30:])
    found = read(tmp_path / "a.npz")
    assert sorted(found.x[:, 0].tolist()) == sorted(X[:30, 0].tolist())
    assert sorted(found.y_test.tolist()) == sorted(Y[30:].tolist())
    assert found.classes == ("0", "1", "2", "3")


@pytest.mark.parametrize("labelled", [False, True])
def test_arrays_without_a_split_hold_out_a_fifth(tmp_path, labelled):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    found = read(tmp_path / "x.npy", labels=str(tmp_path / "y.npy") if labelled else None)
    assert (len(found.x), len(found.x_test)) == (40, 10)
    rows = {tuple(row): label for row, label in zip(X.tolist(), Y.tolist(), strict=True)}
    both = torch.cat([found.x, found.x_test]).tolist()
    assert sorted(map(tuple, both)) == sorted(rows)
    if labelled:
        assert torch.cat([found.y, found.y_test]).tolist() == [rows[tuple(row)] for row in both]
    else:
        assert found.y is None
    assert "a fifth of 50 samples" in found.notes[0]


def test_values_stay_values_and_tokens_tokens(tmp_path):
    np.savez(tmp_path / "a.npz", x=RNG.integers(0, 9, (20, 5)), y=RNG.normal(size=(20, 2)))
    found = read(tmp_path / "a.npz")
    assert (found.x.dtype, found.y.dtype, found.y.shape, found.classes) == (
        torch.int64,
        torch.float64,
        (16, 2),
        (),
    )


ROWS = (f"{a:.3f},{b},{'cat' if b > 1 else 'dog'}\n" for a, b in zip(X[:, 0], Y, strict=True))
TABLE = "height,weight,kind\n" + "".join(ROWS)


def test_tables_are_standardized_by_the_training_samples(tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)
    found = read(tmp_path / "t.csv")
    assert found.classes == ("cat", "dog")
    torch.testing.assert_close(found.x.mean(0), torch.zeros(2).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(found.x.std(0, correction=0), torch.ones(2).double())
    assert abs(float(found.x_test.mean())) > 1e-6
    assert any("columns were standardized" in note for note in found.notes)
    raw = read(tmp_path / "t.csv", standardize=False)
    assert set(raw.x[:, 1].tolist()) <= {0.0, 1.0, 2.0, 3.0}
    by_weight = read(tmp_path / "t.csv", labels="kind").y
    assert torch.equal(by_weight, found.y)


def test_another_column_may_be_the_target(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{x:.4f},{y:.4f}\n" for x, y in X[:, :2]))
    found = read(tmp_path / "t.csv", labels="a", standardize=False)
    assert found.x.shape == (40, 1)
    assert sorted(torch.cat([found.y, found.y_test]).tolist()) == pytest.approx(sorted(X[:, 0]), abs=1e-4)


def test_a_constant_column_does_no_harm(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,c\n" + "".join(f"7,{x:.4f},{y:.4f}\n" for x, y in X[:, :2]))
    assert torch.equal(read(tmp_path / "t.csv").x[:, 0], torch.zeros(40).double())


def files(folder):
    """Files that are wrong, by name."""
    np.save(folder / "one.npy", X[:1])
    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", Y[:40])
    np.save(folder / "nan.npy", np.where(np.arange(150).reshape(50, 3) == 31, np.nan, X))
    np.save(folder / "objects.npy", np.array([{}], dtype=object))
    np.save(folder / "text.npy", np.array(["a", "b"]))
    np.save(folder / "below.npy", Y - 2)
    np.savez(folder / "none.npz", z=X)
    np.savez(folder / "odd.npz", x=X, y=Y[:10])
    np.savez(folder / "shapes.npz", x_train=X, x_test=X[:, :2])
    np.savez(folder / "split.npz", x_train=X, y_train=Y[:3], x_test=X)
    (folder / "broken.npz").write_bytes(b"PK nothing")
    (folder / "words.csv").write_text("a,b\nred,1\nblue,2\n")
    (folder / "hole.csv").write_text("a,b\n,1\n3,2\n")
    (folder / "alone.csv").write_text("a\n1\n2\n")
    (folder / "empty.csv").write_text("")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("absent.npy", {}, "no such file"),
        ("one.npy", {}, "has 1 samples. Give at least 2"),
        ("x.npy", {"labels": "y.npy"}, "has 50 samples and --labels .*y.npy 40"),
        ("x.npy", {"labels": "below.npy"}, "classes from 0, one per sample; these have shape .* begin at -2"),
        ("nan.npy", {}, "sample 10 has a number that is not finite"),
        ("objects.npy", {}, "not a valid file"),
        ("text.npy", {}, "has type <U1"),
        ("none.npz", {}, "has no array x .* it has z"),
        ("odd.npz", {}, "x has 50 samples and y 10"),
        ("odd.npz", {"labels": "y.npy"}, "holds its targets itself"),
        ("shapes.npz", {}, r"training samples are \(3,\) and test samples \(2,\)"),
        ("split.npz", {}, "x_train has 50 samples and y_train 3"),
        ("broken.npz", {}, "damaged|not a valid file"),
        ("words.csv", {}, "column 'a' is String, not numbers"),
        ("hole.csv", {}, "column 'a' has 1 empty entries"),
        ("words.csv", {"labels": "c"}, "no target column 'c'"),
        ("alone.csv", {}, "no target column 'a' beside others"),
        ("empty.csv", {}, "is empty"),
    ],
)
def test_wrong_files_are_named(tmp_path, name, change, said):
    files(tmp_path)
    labels = change.get("labels")
    if labels is not None and name.endswith(".npy"):
        change = {"labels": str(tmp_path / labels)}
    with pytest.raises(DataError, match=said):
        read(tmp_path / name, **change)


@pytest.mark.parametrize(
    ("reference", "change", "said"),
    [
        ("digit", {}, "Did you mean 'digits'"),
        ("digits", {"labels": "y.npy"}, "--labels has no effect"),
        ("digits", {"standardize": True}, "--standardize has no effect"),
        ("digits", {"context": 8}, "--context has no effect"),
        ("npz=", {}, "."),
    ],
)
def test_wrong_options_are_named(reference, change, said):
    with pytest.raises(DataError, match=said):
        read(reference, **change)
