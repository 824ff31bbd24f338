"""The embedding spectrum along the training of `transformers.Trainer`: a callback that records and logs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from similitude.integrations.accelerate_forward import without_autocast
from similitude.integrations.embedding_measurement import EmbeddingMeasurement
from similitude.theory.joint_embedding.tracker import Embed

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise ImportError(
        "similitude.integrations.huggingface needs transformers and accelerate: pip install 'similitude[hf]'"
    ) from error

if TYPE_CHECKING:
    from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments


class EmbeddingCallback(TrainerCallback):
    """Track the embedding spectrum of a self-supervised model while `transformers.Trainer` trains it.

    Records are in `tracker`, with `tracker.steps()` and `tracker.verdict()` as in a loop of one's own, and in the
    `log_history` of the trainer's state as "embedding_rank" and "embedding_eigenvalue_1" to "_8". To have trackers such
    as TensorBoard show them too, call `bind(trainer)`. Time is counted in optimizer steps. The first process records,
    the others wait. The model is run in the precision of its parameters.

    Args:
        probe: Two views of the same samples, (A, B), as `embed` takes them. They are moved to the model's device.
        embed: `embed(model, view) -> Tensor` of shape (samples, dim), e.g. `lambda m, view: m(**view).pooler_output`;
            the model itself by default.
        every: Steps between records.
        **options: More options of `similitude.EmbeddingTracker`: `center=True`, `log="spectrum.jsonl"`.

    Raises:
        TheoryError: An option is out of range, or the probe is no pair.

    Example:
        `callback = EmbeddingCallback((A, B), embed=lambda m, view: m(**view).pooler_output, every=50)`
    """

    def __init__(
        self, probe: tuple[Any, Any], *, embed: Embed | None = None, every: int = 10, **options: Any
    ) -> None:
        self._measurement = EmbeddingMeasurement(probe, embed=embed, every=every, **options)
        self.tracker = self._measurement.tracker
        self._trainer: Trainer | None = None

    def bind(self, trainer: Trainer) -> EmbeddingCallback:
        """Log through a trainer, so that everything that it reports to shows the spectrum."""
        self._trainer = trainer
        return self

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Record before the first step.

        Raises:
            TheoryError: The model gives no matrix of embeddings.
        """
        self._update(state, given)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Record after a step if it is one of those."""
        self._update(state, given)

    def _update(self, state: TrainerState, given: dict[str, Any]) -> None:
        model = given.get("model")
        if not state.is_world_process_zero or not isinstance(model, nn.Module):
            return
        with without_autocast(model):
            shown = self._measurement.update(model, state.global_step)
        if shown and self._trainer is not None:
            self._trainer.log(shown)
        elif shown:
            state.log_history.append({**shown, "step": state.global_step})
