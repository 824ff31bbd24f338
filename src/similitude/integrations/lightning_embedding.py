"""The embedding spectrum along the training of `lightning.pytorch.Trainer`: a callback that records and logs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from similitude.integrations.embedding_measurement import EmbeddingMeasurement
from similitude.integrations.lightning_callback import Callback
from similitude.theory.joint_embedding.tracker import Embed

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


class EmbeddingCallback(Callback):
    """Track the embedding spectrum of a self-supervised model while `lightning.pytorch.Trainer` trains it.

    Records are in `tracker`, with `tracker.steps()` and `tracker.verdict()` as in a loop of one's own, and in the
    module's log as "embedding_rank" and "embedding_eigenvalue_1" to "_8". Time is counted in `trainer.global_step`, the
    steps of all optimizers. The first process records, the others wait. The model is run in the precision of its
    parameters, outside the autocast of mixed precision.

    Args:
        probe: Two views of the same samples, (A, B), as `embed` takes them. They are moved to the module's device.
        embed: `embed(model, view) -> Tensor` of shape (samples, dim); the model itself by default.
        model: The submodule of the LightningModule that gives embeddings; the LightningModule itself where None.
        every: Steps between records.
        **options: More options of `similitude.EmbeddingTracker`: `center=True`, `log="spectrum.jsonl"`.

    Raises:
        TheoryError: An option is out of range, or the probe is no pair.

    Example:
        `Trainer(callbacks=[EmbeddingCallback((A, B), model=module.encoder, every=50)])`
    """

    def __init__(
        self,
        probe: tuple[Any, Any],
        *,
        embed: Embed | None = None,
        model: nn.Module | None = None,
        every: int = 10,
        **options: Any,
    ) -> None:
        super().__init__()
        self.model = model
        self._measurement = EmbeddingMeasurement(probe, embed=embed, every=every, **options)
        self.tracker = self._measurement.tracker

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record before the first step.

        Raises:
            TheoryError: The model gives no matrix of embeddings.
        """
        self._update(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record and log after an optimizer step if it is one of those."""
        for name, value in self._update(trainer, pl_module).items():
            pl_module.log(name, value, on_step=True, on_epoch=False, rank_zero_only=True)

    def _update(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, float]:
        if not trainer.is_global_zero:
            return {}
        return self._measurement.update(pl_module if self.model is None else self.model, trainer.global_step)
