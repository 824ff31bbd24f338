"""What the embedding callbacks share: a tracker whose views follow the model's device, and the numbers to log."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from similitude.integrations.devices import on_device
from similitude.theory.joint_embedding.history import effective_rank
from similitude.theory.joint_embedding.tracker import EmbeddingTracker

_LOGGED = 8  # eigenvalues, the largest; embeddings may have thousands, which `tracker.history` has all


class EmbeddingMeasurement:
    """A tracker of the embedding spectrum inside a trainer.

    Args:
        probe: Two views of the same samples, on any device.
        **options: More options of `similitude.EmbeddingTracker`.

    Raises:
        TheoryError: An option is out of range, or the probe is no pair.
    """

    def __init__(self, probe: tuple[Any, Any], **options: Any) -> None:
        self.tracker = EmbeddingTracker(probe, **options)
        self._views = self.tracker.probe
        self._device: torch.device | None = None
        self._step: int | None = None  # at the last call

    def update(self, model: nn.Module, step: int) -> dict[str, float]:
        """Record the spectrum if a step that is to be recorded was made since the last call.

        Args:
            model: The model that is trained.
            step: Steps made so far; of several at once the last that is to be recorded counts.

        Returns:
            Effective rank and largest eigenvalues by name; nothing between records.

        Raises:
            TheoryError: The model gives no matrix of embeddings.
        """
        every, before = self.tracker.every, self._step
        self._step = step
        if step == before or (before is not None and before < step and step // every == before // every):
            return {}
        device = next((p.device for p in model.parameters()), None)
        if device is not None and device != self._device:
            self._device = device
            first, second = (on_device(view, device) for view in self._views)
            self.tracker.probe = (first, second)
        values = self.tracker.update(model, step - step % every)
        if values is None:
            return {}
        shown = {f"embedding_eigenvalue_{j}": value for j, value in enumerate(values[:_LOGGED], 1)}
        return {"embedding_rank": effective_rank(values), **shown}
