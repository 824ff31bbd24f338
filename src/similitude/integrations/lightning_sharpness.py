"""Sharpness along the training of `lightning.pytorch.Trainer`: a callback that measures every few steps and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn
from torch.optim import Optimizer

from similitude.core.errors import CurvatureError
from similitude.integrations.lightning_callback import Callback
from similitude.integrations.sharpness_measurement import Measurement
from similitude.landscape.tracker_records import numbers_to_log
from similitude.training.loop import Loss

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

_STEPS = "similitude_optimizer_steps"
"""Where a checkpoint has the steps of each measured optimizer, by its number."""


class SharpnessCallback(Callback):
    """Track the sharpness while `lightning.pytorch.Trainer` trains, in the units of its optimizer.

    Measurements are in `tracker`, and in the module's log as "sharpness", "lr_x_sharpness", "of_threshold" and
    "directional_sharpness". The first process measures, the others wait. The model is measured in the precision of its
    parameters, outside the autocast of mixed precision. What the tracker notes, such as parameters that the optimizer
    does not hold, is logged as a warning, once.

    Steps are those of the measured optimizer alone, also where several take turns or it steps less often than batches
    come. They are looked at when a batch ends: where it made several in one batch and passed one that was to be
    measured, the measurement is made then, without the curvature along the last update.

    Args:
        loss: `loss(model, batch) -> scalar`, what `training_step` minimizes, without its logging.
        probe: The fixed data: one batch, or a list or iterable of batches. It is moved to the module's device.
        model: The submodule of the LightningModule that is measured; the LightningModule itself where None.
        every: Steps of the optimizer between measurements.
        optimizer: Which of the module's optimizers, by its number from 0.
        **options: More options of `similitude.SharpnessTracker`, such as `directional=True` or `log="sharpness.jsonl"`.

    Raises:
        CurvatureError: An option is out of range, or the probe is empty.

    Example:
        `Trainer(callbacks=[SharpnessCallback(loss, probe=batch, every=50)])`
    """

    def __init__(
        self,
        loss: Loss,
        *,
        probe: Any,
        model: nn.Module | None = None,
        every: int = 10,
        optimizer: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        self.model, self.optimizer = model, optimizer
        self._measurement = Measurement(loss, probe=probe, every=every, **options)
        self.tracker = self._measurement.tracker
        self._steps: int | None = None  # of the measured optimizer
        self._seen: int | None = None  # those at the last look
        self._counted: int | None = None  # steps of all optimizers when its last one began

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure before the first step.

        Raises:
            CurvatureError: The measurement failed, or there is no such optimizer.
        """
        if not 0 <= self.optimizer < len(trainer.optimizers):
            raise CurvatureError(
                f"optimizer={self.optimizer}: the module has {len(trainer.optimizers)} optimizers. Give the number of "
                "one of them, from 0."
            )
        if trainer.global_step == 0:
            self._steps = 0
        elif self._steps is None:  # resumed from a checkpoint that was written without this callback
            self._steps = trainer.global_step // len(trainer.optimizers)
        self._seen = self._counted = None
        self._update(trainer, pl_module)

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Count a step; an optimizer that evaluates the loss several times, such as LBFGS, comes here each time."""
        if optimizer is trainer.optimizers[self.optimizer] and trainer.global_step != self._counted:
            self._counted = trainer.global_step
            self._steps = (self._steps or 0) + 1

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure and log after an optimizer step if it is one of those.

        Raises:
            CurvatureError: The first measurement failed.
        """
        for name, value in self._update(trainer, pl_module).items():
            pl_module.log(name, value, on_step=True, on_epoch=False, rank_zero_only=True)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the steps of the optimizer; Lightning keeps those of all together."""
        checkpoint.setdefault(_STEPS, {})[self.optimizer] = self._steps

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on counting from there."""
        self._steps = checkpoint.get(_STEPS, {}).get(self.optimizer)

    def _update(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, float]:
        """Measure where a step was made since the last batch; accumulated batches make none."""
        steps, seen = self._steps, self._seen
        if steps is None or steps == seen or not trainer.is_global_zero:
            return {}
        self._seen = steps
        model = pl_module if self.model is None else self.model
        record = self._measurement.update(model, trainer.optimizers[self.optimizer], steps, since=seen)
        return {} if record is None else numbers_to_log(record)
