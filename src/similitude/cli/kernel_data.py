"""Samples and targets of `similitude kernel`: a data set by name, or arrays and tables in files of the user's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from similitude.core.errors import DataError
from similitude.core.seeding import numpy_generator
from similitude.data import ImageSet, load
from similitude.data.batches import TextBatches
from similitude.data.files import reading, regular_file

if TYPE_CHECKING:
    from torch import Tensor

_ARRAYS = (".npy", ".npz", ".csv")
_HELD_OUT = 0.2  # of a file that has no test samples of its own


@dataclass(frozen=True)
class Samples:
    """What a kernel is taken on.

    Attributes:
        name: What it is called.
        x: Training samples, samples along the first axis.
        y: Their class numbers (int64) or values (float64); None where there are none.
        x_test: Test samples.
        y_test: Their targets.
        classes: Names of the classes; empty where targets are values or absent.
        notes: What was done to the data, in sentences.
    """

    name: str
    x: Tensor
    y: Tensor | None
    x_test: Tensor
    y_test: Tensor | None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def load_samples(
    reference: str,
    *,
    labels: str | None,
    examples: int,
    test: int,
    context: int | None,
    standardize: bool | None,
    seed: int,
) -> Samples:
    """Read samples and draw as many as are wanted, at most as many as there are.

    Args:
        reference: A data set by name, `name=path`, or a file: .npy (samples alone, or with `labels`), .npz (x and y, or
            x_train, y_train, x_test and y_test) or .csv (a row per sample; the last column is the target).
        labels: A .npy file of targets, or the target column of a table.
        examples: Training samples.
        test: Test samples.
        context: Characters per sequence of a text; None for 32.
        standardize: Whether columns of a file get mean 0 and standard deviation 1, those of the training samples; by
            default those of a table alone.
        seed: Seed of the choice.

    Raises:
        DataError: There is no such data, or it is malformed.
    """
    path = Path(reference)
    if path.suffix.lower() in _ARRAYS:
        whole = _from_file(path, labels)
        standardize = path.suffix.lower() == ".csv" if standardize is None else standardize
    else:
        name, equals, place = reference.partition("=")
        whole = _from_set(load(name, path=place if equals else None), context=context, seed=seed)
        vain = [
            option
            for option, value in (("labels", labels), ("standardize", standardize))
            if value is not None
        ]
        if vain:
            raise DataError(
                f"--{vain[0]} has no effect on --data {reference}, which has its own targets and scale. Leave it out."
            )
    drawn = _drawn(whole, examples, test, seed)
    return _standardized(drawn) if standardize else drawn


def _from_set(data: Any, *, context: int | None, seed: int) -> Samples:
    import torch

    if isinstance(data, ImageSet):
        if context is not None:
            raise DataError(f"--context has no effect on '{data.name}', which are images. Leave it out.")
        mean, deviation = float(data.train_images.mean()), float(max(data.train_images.std(), 1e-6))

        def images(pixels: np.ndarray) -> Tensor:
            return torch.from_numpy(
                ((pixels.astype(np.float64) - mean) / deviation).transpose(0, 3, 1, 2).copy()
            )

        train, test = torch.from_numpy(data.train_labels), torch.from_numpy(data.test_labels)
        note = f"pixels were standardized by the set's mean {mean:.4g} and deviation {deviation:.4g}"
        return Samples(
            data.name, images(data.train_images), train, images(data.test_images), test, data.classes, (note,)
        )
    batches = TextBatches(data, batch_size=4096, context=context or 32, evaluate=4096)
    (x, _), (x_test, _) = batches.batch(seed, 0), batches.evaluation()
    note = "samples are sequences of characters, which have no label as a whole: nothing is predicted"
    return Samples(data.name, x, None, x_test, None, (), (note,))


def _from_file(path: Path, labels: str | None) -> Samples:
    kind = path.suffix.lower()
    regular_file(path)
    if kind == ".csv":
        return _from_table(path, labels)
    if kind == ".npy":
        x = _array(path)
        y = None if labels is None else _targets(_array(Path(labels)), labels)
        if y is not None and len(y) != len(x):
            raise DataError(
                f"{path} has {len(x)} samples and --labels {labels} {len(y)}. Give one target per sample."
            )
        return _split(path, x, y)
    if labels is not None:
        raise DataError(f"--labels {labels}: {path} holds its targets itself, as y or y_train. Leave it out.")
    with reading(path), np.load(path, allow_pickle=False) as archive:
        there = {name: archive[name] for name in archive.files}
    if "x_train" in there and "x_test" in there:
        targets = [_targets(there[k], f"{path}:{k}") if k in there else None for k in ("y_train", "y_test")]
        train, test = (_numbers(there[k], f"{path}:{k}") for k in ("x_train", "x_test"))
        for x, y, which in ((train, targets[0], "train"), (test, targets[1], "test")):
            if y is not None and len(x) != len(y):
                raise DataError(
                    f"{path}: x_{which} has {len(x)} samples and y_{which} {len(y)}. Give one per sample."
                )
        return _made(str(path), train, targets[0], test, targets[1])
    if "x" not in there:
        raise DataError(
            f"{path}: has no array x (and y), nor x_train and x_test; it has {', '.join(sorted(there)) or 'none'}. Save "
            "it with np.savez(path, x=..., y=...)."
        )
    y = _targets(there["y"], f"{path}:y") if "y" in there else None
    if y is not None and len(y) != len(there["x"]):
        raise DataError(
            f"{path}: x has {len(there['x'])} samples and y {len(y)}. Give one target per sample."
        )
    return _split(path, _numbers(there["x"], f"{path}:x"), y)


def _from_table(path: Path, labels: str | None) -> Samples:
    """Read a table with a header; columns of text other than the target are refused."""
    import polars as pl

    try:
        table = pl.read_csv(path)
    except Exception as error:  # polars has many
        raise DataError(
            f"{path}: not a table with commas and a header ({error}). Save it as CSV anew."
        ) from error
    target = labels or (table.columns[-1] if table.columns else "")
    if target not in table.columns or len(table.columns) < 2:
        raise DataError(
            f"{path}: has no target column '{target}' beside others; it has {', '.join(table.columns)}. Name it: "
            "--labels NAME."
        )
    features = [name for name in table.columns if name != target]
    odd = [name for name in features if not table[name].dtype.is_numeric()]
    if odd:
        raise DataError(
            f"{path}: column '{odd[0]}' is {table[odd[0]].dtype}, not numbers. Drop it, or code it as numbers."
        )
    if table.null_count().sum_horizontal()[0]:
        name = next(c for c in table.columns if table[c].null_count())
        raise DataError(
            f"{path}: column '{name}' has {table[name].null_count()} empty entries. Fill or drop them."
        )
    x = _numbers(table.select(features).cast(pl.Float64).to_numpy(), str(path))
    column = table[target]
    if column.dtype.is_numeric():
        return _split(path, x, _targets(column.to_numpy(), f"{path}:{target}"))
    names = tuple(sorted(column.cast(pl.String).unique().to_list()))
    y = np.array([names.index(value) for value in column.cast(pl.String).to_list()], dtype=np.int64)
    return replace(_split(path, x, y), classes=names)


def _split(path: Path, x: np.ndarray, y: np.ndarray | None) -> Samples:
    """Hold out the last fifth of an order that is the same at every call."""
    if len(x) < 2:
        raise DataError(
            f"{path}: has {len(x)} samples. Give at least 2: some to train on and some to test on."
        )
    order = numpy_generator(0, "kernel samples").permutation(len(x))
    cut = len(x) - max(1, int(_HELD_OUT * len(x)))
    train, test = order[:cut], order[cut:]
    made = _made(
        str(path), x[train], None if y is None else y[train], x[test], None if y is None else y[test]
    )
    return replace(
        made, notes=(f"a fifth of {len(x)} samples, drawn at random, was held out as test samples",)
    )


def _made(
    name: str, x: np.ndarray, y: np.ndarray | None, x_test: np.ndarray, y_test: np.ndarray | None
) -> Samples:
    import torch

    x, x_test = np.ascontiguousarray(x), np.ascontiguousarray(x_test)
    if x.shape[1:] != x_test.shape[1:]:
        raise DataError(f"{name}: training samples are {x.shape[1:]} and test samples {x_test.shape[1:]}.")
    classes = ()
    if y is not None and y.dtype.kind == "i":
        top = max(int(part.max()) for part in (y, y_test) if part is not None and part.size)
        classes = tuple(map(str, range(top + 1)))
    targets = [None if part is None else torch.from_numpy(np.ascontiguousarray(part)) for part in (y, y_test)]
    return Samples(name, torch.from_numpy(x), targets[0], torch.from_numpy(x_test), targets[1], classes)


def _drawn(samples: Samples, examples: int, test: int, seed: int) -> Samples:
    """Draw training and test samples, each at most once."""
    rng = numpy_generator(seed, "kernel samples")
    train = rng.permutation(len(samples.x))[:examples]
    held = rng.permutation(len(samples.x_test))[:test]
    return replace(
        samples,
        x=samples.x[train],
        y=None if samples.y is None else samples.y[train],
        x_test=samples.x_test[held],
        y_test=None if samples.y_test is None else samples.y_test[held],
    )


def _standardized(samples: Samples) -> Samples:
    if not samples.x.is_floating_point():
        return samples
    mean, deviation = samples.x.mean(0), samples.x.std(0, correction=0)
    constant = deviation <= 1e-12 * mean.abs().clamp_min(1e-300)
    deviation = deviation.masked_fill(constant, 1.0)
    note = "columns were standardized by the mean and deviation of the training samples"
    return replace(
        samples,
        x=(samples.x - mean) / deviation,
        x_test=(samples.x_test - mean) / deviation,
        notes=(*samples.notes, note),
    )


def _array(path: Path) -> np.ndarray:
    regular_file(path)
    with reading(path):
        return _numbers(np.load(path, allow_pickle=False), str(path))


def _numbers(array: np.ndarray, where: str) -> np.ndarray:
    """Return samples: floating point as float64, whole numbers (tokens) as int64, pixels of uint8 as floats."""
    if array.ndim == 0 or array.dtype.kind not in "fiub":
        raise DataError(
            f"{where}: has type {array.dtype} and shape {array.shape}. Give numbers, a row per sample."
        )
    if array.dtype.kind == "i" or (array.dtype.kind == "u" and array.dtype.itemsize > 1):
        return array.astype(np.int64)
    found = array.astype(np.float64)
    if not np.isfinite(found).all():
        row = int(np.argwhere(~np.isfinite(found))[0][0])
        raise DataError(f"{where}: sample {row} has a number that is not finite. Drop it or mend it.")
    return found


def _targets(array: np.ndarray, where: str) -> np.ndarray:
    """Return targets: whole numbers are classes, others values."""
    if array.dtype.kind in "iub":
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1 or (array.size and int(array.min()) < 0):
            raise DataError(
                f"{where}: whole numbers are classes from 0, one per sample; these have shape {array.shape} and begin at "
                f"{array.min()}. Save values as floating point numbers."
            )
        return array.astype(np.int64)
    return _numbers(array, where)
