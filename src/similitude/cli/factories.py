"""Find the user's own objects by `module:name` or `file.py:name`."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from similitude.core.errors import FactoryError, GridError


def load_object(reference: str) -> Any:
    """Import what `module:name` or `path/to/file.py:name` names; the current folder can be imported from.

    Raises:
        FactoryError: There is no such module, file or name, or importing it fails.
    """
    place, colon, name = reference.rpartition(":")
    if not colon or not place or not name:
        raise FactoryError(
            f"'{reference}' names no object: write module:name or file.py:name, e.g. mypackage.model:make."
        )
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place, reference)
    try:
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        close = difflib.get_close_matches(name, [n for n in vars(module) if not n.startswith("_")], n=3)
        hint = f" Did you mean {' or '.join(f'{place}:{c}' for c in close)}?" if close else ""
        raise FactoryError(f"'{place}' has no '{name}'.{hint}") from error
    return found


def load_factory(reference: str) -> Any:
    """Import a callable; see `load_object`.

    Raises:
        FactoryError: It cannot be imported or called.
    """
    found = load_object(reference)
    if not callable(found):
        raise FactoryError(
            f"'{reference}' is a {type(found).__name__}, which cannot be called. Name a function of the width that "
            "returns a model, e.g. def make(width): ..."
        )
    return found


def _load_module(name: str, reference: str) -> Any:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise FactoryError(f"importing '{name}' failed: {type(error).__name__}: {error}.") from error
        raise FactoryError(
            f"there is no module '{error.name}' for '{reference}'. It is looked for in the current folder ({here}) and "
            "where Python finds packages; check the name, or give a file: path/to/file.py:name."
        ) from error
    except Exception as error:
        raise FactoryError(f"importing '{name}' failed: {type(error).__name__}: {error}.") from error


def _load_file(path: Path) -> Any:
    if not path.is_file():
        raise FactoryError(f"there is no file '{path}'.")
    folder = str(path.resolve().parent)
    # The file's own folder comes first, so that it can import its neighbours and worker processes can find it.
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return _load_module(path.stem, str(path))


def load_optimizer(reference: str) -> Any:
    """Find an optimizer: the name of a class of `torch.optim`, or `module:name`.

    Raises:
        FactoryError: There is none of this name.
    """
    if ":" in reference:
        return load_factory(reference)
    import torch

    known = {
        name
        for name, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and name != "Optimizer"
    }
    if reference not in known:
        close = difflib.get_close_matches(reference, known, n=2, cutoff=0.4)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise FactoryError(f"torch.optim has no optimizer '{reference}'.{hint} Or name your own as module:name.")
    return getattr(torch.optim, reference)


def load_batches(reference: str, *, batch_size: int, context: int, noise: float) -> Any:
    """Find batches: a data set by name, `name=path` for the user's own files, or `module:name` of an object.

    Raises:
        DataError: The data set is unknown, not here, or malformed.
        FactoryError: The object cannot be imported, or has not the methods of `similitude.data.batches.Batches`.
    """
    from similitude.data import ImageSet, load
    from similitude.data.batches import Batches, ImageBatches, TextBatches

    name, equals, path = reference.partition("=")
    if not equals and ":" in reference:
        found = load_object(reference)
        found = found() if isinstance(found, type) or not isinstance(found, Batches) and callable(found) else found
        missing = [m for m in ("batch", "evaluation", "describe") if not callable(getattr(found, m, None))]
        if missing:
            raise FactoryError(
                f"'{reference}' gives no batches: it has no {', '.join(missing)}. An object of batches has batch(seed, "
                "step), evaluation() and describe(); see similitude.data.batches.Batches."
            )
        return found
    data = load(name, path=path if equals else None)
    if isinstance(data, ImageSet):
        return ImageBatches(data, batch_size=batch_size, noise=noise)
    return TextBatches(data, batch_size=batch_size, context=context)


def rate(text: str, option: str) -> float:
    """Read a learning rate: a number, or a power such as 2^-7.5.

    Raises:
        GridError: It is neither.
    """
    base, power, exponent = text.partition("^")
    try:
        return float(base) ** float(exponent) if power else float(text)
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise GridError(f"{option} {text}: write a positive number, e.g. 0.001 or 2^-10.") from error


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Read whole numbers separated by commas.

    Raises:
        GridError: One of them is not a whole number.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise GridError(f"{option} {text}: write whole numbers separated by commas, e.g. 64,128,256.") from error


def schedule_of(name: str, *, steps: int, warmup: int) -> Any:
    """Return a schedule by its name.

    Raises:
        GridError: The warmup is longer than the run.
    """
    from similitude.training.schedule import WarmupCosine, WarmupLinear, constant

    if steps < 1 or not 0 <= warmup <= steps:
        raise GridError(f"--steps {steps} --warmup {warmup}: give at least 1 step, and a warmup of 0 to {steps} steps.")
    if name == "constant":
        return WarmupLinear(steps, warmup, final=1.0) if warmup else constant
    return {"linear": WarmupLinear, "cosine": WarmupCosine}[name](steps, warmup)
