"""The embedding spectrum of a self-supervised model along training, with one line in any loop (paper 11)."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import seeded
from similitude.core.verdict import Verdict
from similitude.theory.finite_width.given import number, whole
from similitude.theory.joint_embedding.history import EmbeddingHistory, EmbeddingStep, effective_rank
from similitude.theory.joint_embedding.losses import cross_correlation

Embed = Callable[[nn.Module, Any], Tensor]


@cites(11, "Figure 1: stepwise growth of embedding eigenvalues")
class EmbeddingTracker:
    """Log the eigenvalues of the embedding's cross-correlation along training: one line in any loop.

    Call `update` after every step. Every `every` steps it embeds a fixed pair of views in evaluation mode and keeps the
    eigenvalues of C = (a'b + b'a) / 2n. The training is not disturbed: modes, gradients and random numbers stay.

    Args:
        probe: Two views of the same samples, (A, B), as the model takes them.
        every: Steps between records.
        embed: `embed(model, view) -> Tensor` of shape (n, dim), where the model itself gives something else.
        center: Take the mean over both views from the embeddings first.
        log: A file that gets each record at once, one JSON object per line: step, loss, rank, eigenvalue_1, ... as
            `similitude staircase` reads them.

    Raises:
        TheoryError: An argument is out of range.

    Example:
        >>> model = nn.Linear(2, 2, bias=False)
        >>> _ = nn.init.eye_(model.weight)
        >>> views = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
        >>> tracker = EmbeddingTracker((views, views))
        >>> tracker.update(model, 0)
        [2.0, 0.5]

    Cost: two forward passes on the probe, and one eigendecomposition of a dim x dim matrix, per record.
    """

    def __init__(
        self,
        probe: tuple[Any, Any],
        *,
        every: int = 1,
        embed: Embed | None = None,
        center: bool = False,
        log: str | os.PathLike[str] | None = None,
    ) -> None:
        if not isinstance(probe, tuple | list) or len(probe) != 2:
            raise TheoryError("EmbeddingTracker: probe is a pair of views of the same samples: pass (A, B).")
        self.probe, self.every = (probe[0], probe[1]), whole("every", every)
        self.embed, self.center, self.log = embed or _call, center, log
        self._rows: list[tuple[int, float, list[float], float]] = []
        self._clock = (0, 0.0)  # steps and time at the last call

    @property
    def history(self) -> EmbeddingHistory:
        """The records as a history, with steps and a verdict.

        Raises:
            TheoryError: There is no record yet.
        """
        if not self._rows:
            raise TheoryError(
                "EmbeddingTracker: no record yet. Call update(model, step) in the training loop."
            )
        _, times, eigenvalues, losses = zip(*self._rows, strict=True)
        return EmbeddingHistory.of(times, eigenvalues, losses)

    def steps(self) -> tuple[EmbeddingStep, ...]:
        """Return the dimensions that switched on so far: `EmbeddingHistory.steps`."""
        return self.history.steps()

    def verdict(self) -> Verdict:
        """Say whether the dimensions switched on one by one: `EmbeddingHistory.verdict`."""
        return self.history.verdict()

    def update(
        self, model: nn.Module, step: int, *, loss: float | Tensor | None = None, lr: float = 1.0
    ) -> list[float] | None:
        """Record the spectrum if the step is one of those: call this after every optimizer step, or at step 0.

        Args:
            model: The model that is trained.
            step: Optimizer steps made so far. A step that is not after the last record replaces what is not before it.
            loss: Of this step, to be kept beside.
            lr: Length in time of the steps since the last call: the learning rate of gradient descent, to compare with
                `embedding_steps`. Time adds them up, so that a schedule may change it.

        Returns:
            The eigenvalues, falling; None between records. They are nan where the embedding is not finite.

        Raises:
            TheoryError: The model gives no matrix of embeddings, a number is out of range, or the log cannot be written.
        """
        time = self._advance(step, lr)
        return None if step % self.every else self._record(model, step, time, loss)

    def record(
        self, model: nn.Module, step: int, *, loss: float | Tensor | None = None, lr: float = 1.0
    ) -> list[float]:
        """Record the spectrum whatever `every` says, e.g. where training ends; otherwise as `update`.

        Args:
            model: The model that is trained.
            step: Optimizer steps made so far.
            loss: Of this step.
            lr: Length in time of the steps since the last call.

        Raises:
            TheoryError: As of `update`.
        """
        return self._record(model, step, self._advance(step, lr), loss)

    def _record(self, model: nn.Module, step: int, time: float, loss: float | Tensor | None) -> list[float]:
        values = self._spectrum(model)
        lost = float("nan") if loss is None else float(loss.detach() if isinstance(loss, Tensor) else loss)
        if loss is not None and not math.isfinite(lost):
            lost = math.inf
        self._rows.append((step, time, values, lost))
        if self.log is not None:
            self._write(step, time, values, lost)
        return values

    def _advance(self, step: int, lr: float) -> float:
        """Return the time of a step, and drop the records that are not before it.

        Raises:
            TheoryError: A number is out of range.
        """
        whole("step", step, least=0)
        number("lr", lr, above=True)
        if step <= self._clock[0]:
            while self._rows and self._rows[-1][0] >= step:
                self._rows.pop()
            self._clock = self._rows[-1][:2] if self._rows else (0, 0.0)
        before, time = self._clock
        self._clock = (step, time + (step - before) * lr)
        return self._clock[1]

    def _spectrum(self, model: nn.Module) -> list[float]:
        modes = {module: module.training for module in model.modules()}
        model.eval()
        try:
            with torch.no_grad(), seeded(0):
                a, b = (self._embedded(model, view) for view in self.probe)
        finally:
            for module, mode in modes.items():
                module.training = mode
        if a.shape != b.shape:
            raise TheoryError(
                f"EmbeddingTracker: the views' embeddings have shapes {tuple(a.shape)}, {tuple(b.shape)}."
            )
        if self.center:
            mean = (a.mean(0) + b.mean(0)) / 2
            a, b = a - mean, b - mean
        C = cross_correlation(a, b)
        if not bool(torch.isfinite(C).all()):
            return [float("nan")] * len(C)
        return torch.linalg.eigvalsh(C).flip(0).tolist()

    def _embedded(self, model: nn.Module, view: Any) -> Tensor:
        given = self.embed(model, view)
        if not isinstance(given, Tensor) or given.ndim != 2:
            what = f"shape {tuple(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
            raise TheoryError(
                f"EmbeddingTracker: the model gives {what} for a view, not (samples, dim). Pass embed=, e.g. "
                "lambda model, view: model(view).flatten(1)."
            )
        return given.double()

    def _write(self, step: int, time: float, values: list[float], loss: float) -> None:
        row: dict[str, float | None] = {"step": step, "time": time}
        if np.isfinite(loss):
            row["loss"] = loss
        row["rank"] = effective_rank(np.nan_to_num(values))
        row |= {f"eigenvalue_{j}": v if np.isfinite(v) else None for j, v in enumerate(values, 1)}
        try:
            with open(self.log, "a", encoding="utf-8") as file:  # type: ignore[arg-type]
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise TheoryError(
                f"EmbeddingTracker: log={os.fspath(self.log)!r} cannot be written: {error.strerror}. Choose another "  # type: ignore[arg-type]
                "place."
            ) from error


def _call(model: nn.Module, view: Any) -> Tensor:
    return model(view)
