"""One loss of the base model before a study is made: mistakes in the user's code show before it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from similitude.core.errors import SimilitudeError, StudyError
from similitude.core.seeding import derive, seeded
from similitude.runs.engine import one_line
from similitude.scaling.axes import build
from similitude.scaling.sizes import Size, call_text
from similitude.studies.names import name_of

if TYPE_CHECKING:
    from similitude.data.batches import Batches
    from similitude.studies.family import Family


def probe(experiment: Family, batches: Batches | None = None) -> None:
    """Compute the loss of the base model on the first batch and on the evaluation batch.

    Args:
        experiment: What is to be run.
        batches: What it trains on, where that is not simply its batches.

    Raises:
        FactoryError: The model cannot be built.
        StudyError: The model, the loss or the batches raise, or the loss is not one number.

    Cost:
        One model of the base size, and two forward passes.
    """
    size = experiment.at(experiment.sizes[0])
    batches = experiment.batches if batches is None else batches
    model = build(experiment.make, size, seed=derive(0, "probe"))
    try:
        with seeded(derive(0, "probe")), torch.no_grad():
            for batch in (batches.batch(experiment.seeds[0], 0), batches.evaluation()):
                if batch is not None:
                    _require_number(experiment.loss(model, batch))
    except SimilitudeError:
        raise
    except Exception as error:
        raise failure(experiment, size, error) from error


def failure(experiment: Family, size: Size, error: Exception) -> StudyError:
    """Return the error to raise where the user's model, loss or batches raise one: it names all three."""
    call = call_text(experiment.make, size)
    where = ", ".join(f"{dial} {value}" for dial, value in size.items())
    return StudyError(
        f"training '{name_of(experiment.make)}' at {where} on {type(experiment.batches).__name__} with "
        f"the loss '{name_of(experiment.loss)}' failed: {one_line(error).rstrip('.')}. Finished runs are "
        f"kept. Check that loss({call}, batches.batch(0, 0)) gives one number, or name another loss (--loss), then "
        "run the same again."
    )


def _require_number(loss: object) -> None:
    if not isinstance(loss, torch.Tensor) or loss.dim() != 0:
        got = (
            f"a tensor of shape {tuple(loss.shape)}"
            if isinstance(loss, torch.Tensor)
            else type(loss).__name__
        )
        raise TypeError(f"the loss is {got}, not a tensor with one number")
