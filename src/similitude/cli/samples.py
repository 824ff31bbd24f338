"""Find what the model is called with when it is traced: an object of the user's, or a batch of a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from similitude.cli.batches import load_batches
from similitude.cli.factories import load_factory, load_object
from similitude.core.errors import CurvatureError, FactoryError

if TYPE_CHECKING:
    from torch import nn

    from similitude.checking.losses import LossLike

_LOSS = "similitude.training.losses:cross_entropy"
_FORMS = (
    "a tensor, a tuple of positional arguments, a dict of keyword arguments, or a function that gives one"
)


@dataclass(frozen=True)
class Traced:
    """What is traced: `model(sample)`, or `loss(model, sample)` where there is a loss.

    Attributes:
        sample: A tensor, tuple or dict, or a function of the width that gives one.
        loss: `loss(model, sample)`, or None.
    """

    sample: Any
    loss: Callable[..., Any] | None


def load_traced(sample: str | None, data: str | None, loss: str | None) -> Traced:
    """Find the sample and the loss by what the user gave for `--sample` or `--data`, and `--loss`.

    Args:
        sample: `module:name` of an object, or of a function of nothing or of the width.
        data: A data set as `load_batches` takes it; its loss is traced on one batch.
        loss: `module:name` of a loss; cross entropy where it is not given and `data` is.

    Raises:
        FactoryError: None or both of sample and data are given, or an object cannot be found or made.
        DataError: The data set is not there or malformed.
    """
    if sample is not None and data is not None:
        raise FactoryError(
            f"--sample {sample} and --data {data} both say what the model is traced with. Give one of them."
        )
    if data is not None:
        batches, _ = load_batches(data)
        return Traced(batches.batch(seed=0, step=0), _loss(loss or _LOSS))
    if sample is None:
        raise FactoryError(
            "what a tensor does is read off one forward pass, and nothing says what the model is called with. Give "
            f"--sample module:name (or file.py:name) of {_FORMS}; or --data NAME, e.g. --data digits, which traces "
            "the loss on a batch of a data set."
        )
    return Traced(_sample(sample), None if loss is None else _loss(loss))


def load_trained(sample: str | None, data: str | None, loss: str | None) -> Traced:
    """Find what short runs train on: as `load_traced`, but all batches of a data set in place of one.

    Raises:
        FactoryError: None or both of sample and data are given, or an object cannot be found or made.
        DataError: The data set is not there or malformed.
    """
    if data is not None and sample is None:
        batches, _ = load_batches(data)
        return Traced(batches, _loss(loss or _LOSS))
    if sample is not None and data is None and hasattr(found := load_object(sample), "batch"):
        return Traced(found, None if loss is None else _loss(loss))
    return load_traced(sample, data, loss)


def sample_at(reference: str | None, sample: Any, width: int | None) -> Any:
    """Return a sample for a width: as it is, or what it gives for the width where it is a function of it.

    Args:
        reference: What the user calls it, for the message.
        sample: As in `Traced`.
        width: The width; None where there is none.

    Raises:
        CurvatureError: The sample is a function of the width, and there is none.
    """
    if not callable(sample):
        return sample
    if width is None:
        raise CurvatureError(f"--sample {reference} is a function of the width. Give --width.")
    return sample(width)


def loss_for(model: nn.Module, batch: Any, loss: LossLike | None) -> LossLike:
    """Return the loss that curvature is taken of: the user's, or the model's own.

    Args:
        model: The model.
        batch: A batch that it takes.
        loss: The user's loss, which wins.

    Raises:
        CurvatureError: There is neither.
        PlanError: The model cannot be called with the batch.
    """
    from similitude.checking.losses import has_own_loss, loss_of

    if loss is None and not has_own_loss(model, batch):
        raise CurvatureError(
            "the model returns no loss of its own. Pass --loss module:name of a function loss(model, batch) that "
            "returns one number."
        )
    return loss_of(loss, stand_in=False)


def _loss(reference: str) -> Callable[..., Any]:
    return load_factory(reference, what="a function loss(model, batch) that returns one number")


def _sample(reference: str) -> Any:
    from similitude.scaling.sizes import takes_width

    found = load_object(reference)
    if callable(found) and not takes_width(found):
        try:
            found = found()
        except Exception as error:
            raise FactoryError(
                f"{reference}() failed with {type(error).__name__}: {error}. --sample takes {_FORMS}; a function takes "
                "nothing or the width."
            ) from error
    import torch

    if not callable(found) and not isinstance(found, torch.Tensor | tuple | list | Mapping):
        raise FactoryError(f"--sample {reference} is a {type(found).__name__}. Name {_FORMS}.")
    return found
