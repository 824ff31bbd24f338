"""Take a module's kernels on data: Gram matrices, spectra, alignment with the labels, and predictions with intervals."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from similitude.core.intervals import wilson_interval
from similitude.core.seeding import torch_generator
from similitude.kernels.ensemble import checked_time, ensemble
from similitude.kernels.grams import NAMES, GramProgress
from similitude.kernels.leave_one_out import choose_ridge
from similitude.kernels.posterior import posterior
from similitude.kernels.prediction import Prediction
from similitude.kernels.targets import target_rows
from similitude.kernels.train_test import TrainTest
from similitude.landscape.alignment import alignment, target_matrix
from similitude.runs.engine import Engine
from similitude.studies.kernel_records import KernelFit, KernelSpectrum, KernelStudy

if TYPE_CHECKING:
    from similitude.kernels.infinite import Kernel
    from similitude.kernels.monte_carlo import EstimatedKernel

_VERIFIED = 4  # samples that wide copies are compared on
_TOP = 10
_RESAMPLES = 2000


def kernel_study(
    kernel: Kernel | EstimatedKernel,
    x: Tensor,
    y: Tensor | None,
    x_test: Tensor,
    y_test: Tensor | None,
    *,
    name: str = "module",
    data: str = "data",
    time: float | None = None,
    ridge: float | Literal["loo"] = "loo",
    verify: float = 20.0,
    folder: str | Path | None = None,
    engine: Engine | None = None,
    seed: int = 0,
    progress: Callable[[GramProgress], None] | None = None,
) -> KernelStudy:
    """Take both kernels of a module on training and test samples, and look at them.

    Args:
        kernel: What `sim.kernel` returned.
        x: n training samples.
        y: Their class numbers (integers) or values; None where there are none.
        x_test: m test samples.
        y_test: Their targets.
        name: What to call the module.
        data: What to call the data.
        time: Learning rate times steps of the nets, the loss half the sum of squared errors; None for the end of
            training.
        ridge: Ridge of both predictions, or "loo" for each kernel's best by leave-one-out.
        verify: Most seconds for wide copies of one width, which are compared with the kernels on four samples; 0 for no
            comparison.
        folder: Folder to keep the Gram matrices in.
        engine: What computes them; see `gram_matrices`.
        seed: Seed of the interval of explained variance.
        progress: Called after every tile.

    Returns:
        Everything that was found.

    Raises:
        KernelError: The kernel cannot be computed on this data, or predictions cannot be solved for.
    """
    if time is not None:
        checked_time(time)
    if y is not None:
        target_rows(y, len(x))
    started = clock.monotonic()
    options = {"folder": folder, "engine": engine, "progress": progress}
    fitted = y is not None and y_test is not None
    if fitted:
        blocks = kernel.train_test(x, x_test, cov=False, **options)
    else:
        blocks = {kind: TrainTest(gram, name=kind) for kind, gram in kernel.grams(x, **options).items()}
    seconds = clock.monotonic() - started
    spectra = tuple(_spectrum(kind, blocks[kind].train, y) for kind in NAMES)
    fits: tuple[KernelFit, ...] = ()
    if y is not None and y_test is not None:
        rows = _rows(y, y_test)
        when = "at the end of training" if time is None else f"at time {time:.4g}"
        nngp, ntk = (_ridged(blocks[kind], rows, ridge) for kind in NAMES)
        nets = ensemble(nngp.blocks, ntk.blocks, rows, time=time, ridge=ntk.ridge)
        process = posterior(nngp.blocks, rows, ridge=nngp.ridge)
        fits = (
            _fit(f"nets trained by gradient flow, {when}", nets, ntk.notes, y_test, seed),
            _fit("Gaussian process of the nets at initialization", process, nngp.notes, y_test, seed),
        )
    return KernelStudy(
        name=name,
        data=data,
        train=len(x),
        test=len(x_test),
        spectra=spectra,
        fits=fits,
        verdict=kernel.verify(x[:_VERIFIED], seconds=verify) if verify else None,
        folder=None if folder is None else str(Path(folder).resolve()),
        seconds=seconds,
    )


@dataclass(frozen=True)
class _Ridged:
    blocks: TrainTest
    ridge: float
    notes: tuple[str, ...]


def _ridged(blocks: TrainTest, rows: Tensor, ridge: float | str) -> _Ridged:
    """Choose the ridge of one kernel."""
    if not isinstance(ridge, str):
        return _Ridged(blocks, ridge, ())
    choice = choose_ridge(blocks.train, rows)
    edge = f", the {choice.edge} that was tried" if choice.edge else ""
    return _Ridged(blocks, choice.ridge, (f"ridge {choice.ridge:.3g} by leave-one-out{edge}",))


def _rows(y: Tensor, y_test: Tensor) -> Tensor:
    """Return targets of training; classes become rows of 1 - 1/C and -1/C, so that all are alike without a bias."""
    if y.is_floating_point():
        return y.double()
    classes = int(torch.cat([y, y_test]).max()) + 1
    return one_hot(y, classes).double() - 1 / classes


def _spectrum(kind: str, gram: Tensor, y: Tensor | None) -> KernelSpectrum:
    values = torch.linalg.eigvalsh(gram.double()).flip(0)
    aligned = None
    if y is not None:
        targets = target_matrix(y, len(y))
        aligned = alignment(gram, targets @ targets.T)
    return KernelSpectrum(
        kernel=kind,
        top=tuple(values[:_TOP].tolist()),
        smallest=float(values[-1]),
        mean=float(values.mean()),
        effective_rank=float(values.sum() / values[0]),
        alignment=aligned,
    )


def _fit(what: str, found: Prediction, notes: tuple[str, ...], y_test: Tensor, seed: int) -> KernelFit:
    """Score predictions: the share of right classes, or of the targets' variance that is explained."""
    if y_test.is_floating_point():
        measure = "explained variance"
        errors = (found.mean - y_test).square().reshape(len(y_test), -1).sum(1)
        spread = (y_test - y_test.mean(0)).square().reshape(len(y_test), -1).sum(1)
        score = float(1 - errors.sum() / spread.sum())
        draws = torch.randint(
            len(y_test), (_RESAMPLES, len(y_test)), generator=torch_generator(seed, "kernel study")
        )
        scores = 1 - errors[draws].sum(1) / spread[draws].sum(1)
        low, high = torch.quantile(scores, torch.tensor([0.025, 0.975], dtype=scores.dtype)).tolist()
    else:
        measure = "accuracy"
        hits = int((found.mean.argmax(1) == y_test).sum())
        score, (low, high) = hits / len(y_test), wilson_interval(hits, len(y_test))
    return KernelFit(what, measure, score, (low, high), found.ridge, found.residual, (*notes, *found.notes))
