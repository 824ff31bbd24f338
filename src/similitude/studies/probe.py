"""One loss of the base model before a study is made: mistakes in the user's code show before it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from similitude.core.errors import SimilitudeError, StudyError
from similitude.core.seeding import derive, seeded
from similitude.runs.engine import one_line
from similitude.scaling.axes import build
from similitude.studies.names import name_of

if TYPE_CHECKING:
    from similitude.studies.experiment import Experiment


def probe(experiment: Experiment) -> None:
    """Compute the loss of the base model on the first batch and on the evaluation batch.

    Args:
        experiment: What is to be run.

    Raises:
        FactoryError: The model cannot be built.
        StudyError: The model, the loss or the batches raise, or the loss is not one number.

    Cost:
        One model of the base width, and two forward passes.
    """
    model = build(experiment.make, experiment.base, seed=derive(0, "probe"))
    try:
        with seeded(derive(0, "probe")), torch.no_grad():
            for batch in (experiment.batches.batch(experiment.seeds[0], 0), experiment.batches.evaluation()):
                if batch is not None:
                    _require_number(experiment.loss(model, batch))
    except SimilitudeError:
        raise
    except Exception as error:
        raise failure(experiment, experiment.base, error) from error


def failure(experiment: Experiment, width: int, error: Exception) -> StudyError:
    """Return the error to raise where the user's model, loss or batches raise one: it names all three."""
    return StudyError(
        f"training '{name_of(experiment.make)}' at width {width} on {type(experiment.batches).__name__} with "
        f"the loss '{name_of(experiment.loss)}' failed: {one_line(error).rstrip('.')}. Finished runs are "
        f"kept. Check that loss(make({width}), batches.batch(0, 0)) gives one number, then run the same "
        "again."
    )


def _require_number(loss: object) -> None:
    if not isinstance(loss, torch.Tensor) or loss.dim() != 0:
        got = (
            f"a tensor of shape {tuple(loss.shape)}"
            if isinstance(loss, torch.Tensor)
            else type(loss).__name__
        )
        raise TypeError(f"the loss is {got}, not a tensor with one number")
