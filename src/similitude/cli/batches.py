"""Find the batches to train on: a data set by name, the user's own files, or an object of the user's."""

from __future__ import annotations

from typing import Any

from similitude.cli.factories import load_object
from similitude.core.errors import DataError, FactoryError
from similitude.data import ImageSet, load
from similitude.data.batches import Batches, ImageBatches, TextBatches, check_batches


def load_batches(
    reference: str, *, batch_size: int | None = None, context: int | None = None, noise: float | None = None
) -> tuple[Batches, tuple[str, ...]]:
    """Find batches, and say which options have no effect on them.

    Args:
        reference: A data set by name, `name=path` for the user's own files, or `module:name` of an object
            with the methods of `Batches` (or of a class or function that gives one).
        batch_size: Images or sequences per batch; None for the default.
        context: Characters per sequence of a text.
        noise: Standard deviation of noise on images.

    Returns:
        The batches, and the options that were given in vain.

    Raises:
        DataError: The data set is unknown, not here, or malformed; an object lacks a method.
        FactoryError: The object cannot be imported or made.
    """
    given = {"batch_size": batch_size, "context": context, "noise": noise}
    given = {name: value for name, value in given.items() if value is not None}
    name, equals, path = reference.partition("=")
    if not equals and ":" in reference:
        batches, takes = _own(reference), ()
    else:
        if equals and not path:
            raise DataError(
                f"--data {reference} has no path after the '='. Write e.g. --data npz=images.npz."
            )
        data = load(name, path=path if equals else None)
        takes = ("batch_size", "noise") if isinstance(data, ImageSet) else ("batch_size", "context")
        options: dict[str, Any] = {option: value for option, value in given.items() if option in takes}
        batches = (
            ImageBatches(data, **options) if isinstance(data, ImageSet) else TextBatches(data, **options)
        )
    return batches, tuple(f"--{name.replace('_', '-')}" for name in given if name not in takes)


def _own(reference: str) -> Any:
    found = load_object(reference)
    if isinstance(found, type) or (callable(found) and not isinstance(found, Batches)):
        try:
            found = found()
        except Exception as error:
            raise FactoryError(
                f"{reference}() failed with {type(error).__name__}: {error}. --data takes an object of "
                "batches, or a class or function without arguments that gives one."
            ) from error
    check_batches(found, f"--data {reference}")
    return found
