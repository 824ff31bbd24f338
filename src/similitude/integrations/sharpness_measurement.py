"""What the sharpness callbacks share: a tracker whose probe follows the model's device, and notes that are told once."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn

from similitude.integrations.devices import on_device
from similitude.landscape.batches import read_batches
from similitude.landscape.tracker import SharpnessTracker
from similitude.landscape.tracker_records import SharpnessRecord
from similitude.training.loop import Loss

_LOG = logging.getLogger(__name__)


class Measurement:
    """A tracker inside a trainer.

    Args:
        loss: As for `similitude.SharpnessTracker`.
        probe: The fixed data, on any device.
        **options: More options of the tracker.

    Raises:
        CurvatureError: An option is out of range, or the probe is empty.
    """

    def __init__(self, loss: Loss, *, probe: Any, **options: Any) -> None:
        self._batches = [batch for batch, _ in read_batches(probe)]
        self.tracker = SharpnessTracker(loss, probe=self._batches, **options)
        self._device: torch.device | None = None
        self._told: set[str] = set()

    def update(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None,
        step: int,
        *,
        since: int | None = None,
    ) -> SharpnessRecord | None:
        """Measure if the step is one of those.

        What the tracker notes after the first step (no threshold, parameters that the optimizer does not hold, a failed
        measurement) is logged as a warning, once.

        Args:
            model: The model that is measured.
            optimizer: Its optimizer.
            step: Steps made so far.
            since: Steps made at the last call: if one that was to be measured lies between, it is measured now.

        Raises:
            CurvatureError: The first measurement failed.
        """
        device = next((p.device for p in model.parameters()), None)
        if device is not None and device != self._device:
            self._device = device
            self.tracker.probe = [on_device(batch, device) for batch in self._batches]
        every = self.tracker.every
        passed = since is not None and step % every != 0 and step // every > since // every
        record = (self.tracker.measure if passed else self.tracker.update)(model, optimizer, step)
        if record is not None and step > 0 and self.tracker.precondition and record.note:
            self._tell(record.note)
        return record

    def _tell(self, note: str) -> None:
        if note not in self._told:
            self._told.add(note)
            _LOG.warning("Sharpness: %s", note)
