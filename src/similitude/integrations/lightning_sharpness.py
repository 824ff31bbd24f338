"""Sharpness along the training of `lightning.pytorch.Trainer`: a callback that measures every few steps and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from similitude.core.errors import CurvatureError
from similitude.integrations.devices import on_device
from similitude.landscape.batches import read_batches
from similitude.landscape.tracker import SharpnessTracker
from similitude.landscape.tracker_records import numbers_to_log
from similitude.training.loop import Loss

try:
    from lightning.pytorch import Callback
except ImportError as error:
    raise ImportError(
        "similitude.integrations.lightning needs lightning: pip install 'similitude[lightning]'"
    ) from error

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


class SharpnessCallback(Callback):
    """Track the sharpness while `lightning.pytorch.Trainer` trains, in the units of its optimizer.

    Measurements are in `tracker`, and in the module's log as "sharpness", "lr_x_sharpness", "of_threshold" and
    "directional_sharpness". The first process measures, the others wait. The model is measured in its own precision,
    without the autocast of mixed precision.

    Args:
        loss: `loss(model, batch) -> scalar`, what `training_step` minimizes, without its logging.
        probe: The fixed data: one batch, or a list or iterable of batches. It is moved to the module's device.
        model: The submodule of the LightningModule that is measured; the LightningModule itself where None.
        every: Optimizer steps between measurements.
        optimizer: Which of the module's optimizers, by its number.
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
        self._probe = [batch for batch, _ in read_batches(probe)]
        self.tracker = SharpnessTracker(loss, probe=self._probe, every=every, **options)
        self._device: torch.device | None = None
        self._seen: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure before the first step."""
        self._seen = None
        self._update(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure and log after an optimizer step if it is one of those.

        Raises:
            CurvatureError: The first measurement failed, or there is no such optimizer.
        """
        for name, value in self._update(trainer, pl_module).items():
            pl_module.log(name, value, on_step=True, on_epoch=False, rank_zero_only=True)

    def _update(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, float]:
        """Measure where a step was made since the last batch; accumulated batches make none."""
        if not trainer.is_global_zero or trainer.global_step == self._seen:
            return {}
        self._seen = trainer.global_step
        if not 0 <= self.optimizer < len(trainer.optimizers):
            raise CurvatureError(
                f"optimizer={self.optimizer}: the module has {len(trainer.optimizers)} optimizers. Give the number of "
                "one of them, from 0."
            )
        model = pl_module if self.model is None else self.model
        self._move(next(model.parameters()).device)
        record = self.tracker.update(model, trainer.optimizers[self.optimizer], trainer.global_step)
        return {} if record is None else numbers_to_log(record)

    def _move(self, device: torch.device) -> None:
        """Take the probe to the model's device, once."""
        if device != self._device:
            self._device = device
            self.tracker.probe = [on_device(batch, device) for batch in self._probe]
