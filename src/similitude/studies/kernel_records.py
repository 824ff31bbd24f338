"""What is known of a module's kernels on some data: spectra, alignment with the labels, and how well they predict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from similitude.core.verdict import Verdict


@dataclass(frozen=True)
class KernelSpectrum:
    """The spectrum of one kernel on the training samples.

    Attributes:
        kernel: "nngp" or "ntk".
        top: Largest eigenvalues, descending.
        smallest: Smallest eigenvalue.
        mean: Mean eigenvalue, which is the mean of the diagonal.
        effective_rank: Trace over largest eigenvalue.
        alignment: Centred alignment with the targets, 0 to 1; None without targets.
    """

    kernel: str
    top: tuple[float, ...]
    smallest: float
    mean: float
    effective_rank: float
    alignment: float | None


@dataclass(frozen=True)
class KernelFit:
    """How well one kernel predicts the test samples.

    Attributes:
        what: What was fitted, in words.
        measure: "accuracy", or "explained variance" where targets are values.
        score: The measure on the test samples.
        interval: Its 95 % interval.
        ridge: What was added to the diagonal.
        residual: Relative residual of the linear system; None where none was solved.
        notes: What was chosen on the way.
    """

    what: str
    measure: str
    score: float
    interval: tuple[float, float]
    ridge: float
    residual: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class KernelStudy:
    """A module's kernels on some data.

    Attributes:
        name: What the module is called.
        data: What the data is called.
        train: Number of training samples.
        test: Number of test samples.
        spectra: One per kernel.
        fits: One per kind of prediction; none without targets.
        verdict: Whether wide copies of the module agree with the kernels; None where that was not looked at.
        folder: Where the Gram matrices are; None where they were not kept.
        seconds: Wall-clock time of the Gram matrices.
        notes: What was assumed, in sentences.
    """

    name: str
    data: str
    train: int
    test: int
    spectra: tuple[KernelSpectrum, ...]
    fits: tuple[KernelFit, ...]
    verdict: Verdict | None
    folder: str | None
    seconds: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            **asdict(self),
            "spectra": [asdict(s) for s in self.spectra],
            "fits": [asdict(f) for f in self.fits],
            "verdict": None if self.verdict is None else self.verdict.to_dict(),
        }
