"""What a kernel predicts: a mean and a covariance, with what was added to the Gram matrix and how well it was solved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True)
class Prediction:
    """Predictions on test samples; `mean, cov = prediction` takes them apart.

    Attributes:
        mean: Shape (m,) for targets of shape (n,), else (m, C).
        cov: Shape (m, m), the same for every output; (C, m, m) where outputs differ, as for cross-entropy; None where it
            was not asked for.
        ridge: What was added to the diagonal of the training Gram matrix as regularization.
        jitter: What was added on top of it for numerical stability, in the same unit.
        residual: Relative residual of the linear system, |G a - y| / |y|, or of the worst right side; None where none was
            solved.
        notes: What was assumed or chosen on the way, in sentences.
    """

    mean: Tensor
    cov: Tensor | None
    ridge: float = 0.0
    jitter: float = 0.0
    residual: float | None = None
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Any]:
        """Yield the mean, then the covariance."""
        yield self.mean
        yield self.cov

    @property
    def std(self) -> Tensor | None:
        """Standard deviation of each prediction, shape (m,) or (m, C); None without a covariance."""
        if self.cov is None:
            return None
        deviation = self.cov.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()
        return deviation if deviation.ndim == 1 else deviation.T

    def __str__(self) -> str:
        parts = [f"{self.mean.shape[0]} predictions"]
        parts += [f"ridge {self.ridge:.4g}"] if self.ridge else []
        parts += [f"residual {self.residual:.1e}"] if self.residual is not None else []
        return "; ".join([", ".join(parts), *self.notes])

    def __rich__(self) -> Text:
        from rich.text import Text

        return Text(str(self))
