"""Sharpness along the training of `transformers.Trainer`: a callback that measures every few steps and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from similitude.core.errors import CurvatureError
from similitude.integrations.accelerate_forward import without_autocast
from similitude.integrations.sharpness_measurement import Measurement
from similitude.landscape.tracker_records import numbers_to_log
from similitude.training.loop import Loss

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise ImportError(
        "similitude.integrations.huggingface needs transformers and accelerate: pip install 'similitude[hf]'"
    ) from error

if TYPE_CHECKING:
    from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments


class SharpnessCallback(TrainerCallback):
    """Track the sharpness while `transformers.Trainer` trains, in the units of its optimizer.

    `Trainer(..., callbacks=[SharpnessCallback(probe=batch, every=50)])` is all. Measurements are in `tracker`, and in the
    `log_history` of the trainer's state as "sharpness", "lr_x_sharpness", "of_threshold" and "directional_sharpness". To
    have trackers such as TensorBoard show them too, call `bind(trainer)`. The first process measures, the others
    wait. The model is measured in the precision of its parameters: with `bf16=True` or `fp16=True` the autocast that
    Accelerate put around its `forward` is taken off meanwhile. What the tracker notes, such as parameters that the
    optimizer does not hold, is logged as a warning, once.

    Args:
        loss: `loss(model, batch) -> scalar`; the model's own, `model(**batch).loss`, by default.
        probe: The fixed data: one batch as the model takes it, a dict with labels, or several. It is moved to the model's
            device.
        every: Steps between measurements.
        **options: More options of `similitude.SharpnessTracker`, such as `directional=True` or `log="sharpness.jsonl"`.

    Raises:
        CurvatureError: An option is out of range, or the probe is empty.

    Example:
        `callback = SharpnessCallback(probe=collator(dataset[:64]), every=100)`
    """

    def __init__(self, loss: Loss | None = None, *, probe: Any, every: int = 10, **options: Any) -> None:
        self._measurement = Measurement(
            own_loss if loss is None else loss, probe=probe, every=every, **options
        )
        self.tracker = self._measurement.tracker
        self._trainer: Trainer | None = None

    def bind(self, trainer: Trainer) -> SharpnessCallback:
        """Log through a trainer, so that everything that it reports to shows the sharpness."""
        self._trainer = trainer
        return self

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Measure before the first step."""
        self._update(state, given)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Measure after a step if it is one of those.

        Raises:
            CurvatureError: The first measurement failed.
        """
        self._update(state, given)

    def _update(self, state: TrainerState, given: dict[str, Any]) -> None:
        model = given.get("model")
        if not state.is_world_process_zero or not isinstance(model, nn.Module):
            return
        with without_autocast(model):
            record = self._measurement.update(model, given.get("optimizer"), state.global_step)
        if record is None:
            return
        shown = numbers_to_log(record)
        if self._trainer is not None:
            self._trainer.log(shown)
        else:
            state.log_history.append({**shown, "step": record.step})


def own_loss(model: nn.Module, batch: Any) -> Tensor:
    """Return the loss that a model of transformers computes by itself.

    Raises:
        CurvatureError: It gives none, because the batch has no labels.
    """
    found = model(**batch).loss
    if found is None:
        raise CurvatureError(
            f"{type(model).__name__} gave no loss: the probe has {', '.join(map(str, batch))}. Put labels into it, or "
            "pass a loss: SharpnessCallback(loss, probe=...)."
        )
    return found
