"""What every kernel offers on top of its value between a few samples: Gram matrices of any size, and predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Unpack

import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.grams import NAMES, GramOptions, gram_matrices
from similitude.kernels.losses import Loss
from similitude.kernels.predict import Of, predict, train_test
from similitude.kernels.prediction import Prediction
from similitude.kernels.samples import require_finite
from similitude.kernels.train_test import TrainTest


class TiledKernel(ABC):
    """A kernel that is known between a few samples, and computed between many in tiles.

    A subclass says what the kernel of two small sets is (`pair`), and what tells it from other kernels (`fingerprint`).

    Attributes:
        dtype: Type that the kernel is computed in.
        gives: Matrices that `pair` can give.
    """

    dtype: torch.dtype
    gives: ClassVar[tuple[str, ...]] = NAMES

    @abstractmethod
    def pair(self, x1: Any, x2: Any = None, /, *, which: Sequence[str] = NAMES) -> Mapping[str, Tensor]:
        """Return kernels by name, each (samples of x1, samples of x2); x2 None means x1, with an exact diagonal."""

    @abstractmethod
    def fingerprint(self, x: Any) -> Mapping[str, Any]:
        """Return what tells this kernel of samples like `x` from others, as plain values, for matrices on disk."""

    def numbers_per_pair(self, x: Any) -> int:
        """Return how many numbers the widest tensor of `pair` holds per pair of samples like `x`."""
        return 1

    def nngp(self, x1: Any, x2: Any = None, **options: Unpack[GramOptions]) -> Tensor:
        """Return the covariance of the outputs over networks at initialization.

        Args:
            x1: n1 samples: a tensor, or a tuple or dict of tensors with the same first axis.
            x2: n2 samples; those of x1 where None, which takes half the work.
            options: How it is computed, see `gram_matrices`: side, device, engine, folder, progress.

        Returns:
            Shape (n1, n2), on the device of x1; with a folder mapped from disk, on the CPU.

        Raises:
            KernelError: See `gram_matrices`.
        """
        return self.grams(x1, x2, names=("nngp",), **options)["nngp"]

    def ntk(self, x1: Any, x2: Any = None, **options: Unpack[GramOptions]) -> Tensor:
        """Return the tangent kernel, by which gradient descent moves the outputs; see `nngp`."""
        return self.grams(x1, x2, names=("ntk",), **options)["ntk"]

    def grams(
        self, x1: Any, x2: Any = None, *, names: Sequence[str] = NAMES, **options: Unpack[GramOptions]
    ) -> dict[str, Tensor]:
        """Return both kernels by name for the work of one; see `nngp`.

        Args:
            x1: n1 samples.
            x2: n2 samples; those of x1 where None.
            names: Which kernels.
            options: How they are computed, see `gram_matrices`.

        Raises:
            KernelError: See `gram_matrices`.
        """
        names = (names,) if isinstance(names, str) else tuple(names)
        unknown = [name for name in names if name not in self.gives]
        if unknown:
            known = ", ".join(map(repr, self.gives))
            raise KernelError(f"there is no kernel {unknown[0]!r} here. Name some of {known}.")
        for name, samples in (("x1", x1), ("x2", x2)):
            if samples is not None:
                require_finite(samples, name)
        return gram_matrices(
            partial(self.pair, which=names),
            x1,
            x2,
            names=names,
            dtype=self.dtype,
            numbers_per_pair=self.numbers_per_pair(x1),
            identity=self.fingerprint(x1) if options.get("folder") is not None else None,
            **options,
        )

    def train_test(
        self,
        x_train: Any,
        x_test: Any,
        *,
        names: Sequence[str] = NAMES,
        cov: bool = True,
        **options: Unpack[GramOptions],
    ) -> dict[str, TrainTest]:
        """Return the blocks between training and test samples, for the functions that predict from blocks.

        Args:
            x_train: n samples.
            x_test: m samples.
            names: Which kernels.
            cov: Whether the blocks between test samples are wanted too, which covariances need.
            options: How they are computed, see `gram_matrices`; with a folder, each block has a folder in it.

        Raises:
            KernelError: See `gram_matrices`.
        """
        return train_test(self.grams, x_train, x_test, names=names, cov=cov, **options)

    def predict(
        self,
        x_train: Any,
        y_train: Tensor,
        x_test: Any,
        *,
        of: Of = "ensemble",
        time: float | None = None,
        ridge: float | Literal["loo"] = 0.0,
        loss: Loss = "mse",
        cov: bool = True,
        jitter: float = 0.0,
        draws: int = 0,
        seed: int = 0,
        **options: Unpack[GramOptions],
    ) -> Prediction:
        """Predict the targets of test samples; `mean, cov = kernel.predict(...)`.

        Args:
            x_train: n samples.
            y_train: Targets, shape (n,) or (n, C); integers are class numbers, which become rows with a 1.
            x_test: m samples.
            of: "ensemble": nets trained by gradient flow from random starts. "posterior": the Gaussian process with the
                NNGP kernel as prior, given the targets with noise of variance `ridge`.
            time: Learning rate times steps, the loss summed over samples; None for the end of training.
            ridge: Added to the diagonal of the training kernel, or "loo" for the best by leave-one-out.
            loss: "mse" (half the sum of squared errors), "cross_entropy", or `loss(outputs, targets) -> number`.
            cov: Whether the covariance is wanted.
            jitter: Share of the mean diagonal that is added for numerical stability; nothing is added unasked.
            draws: Nets drawn where the loss is not the squared error; 0 follows the one net whose outputs begin at 0.
            seed: Seed of the draws.
            options: How Gram matrices are computed, see `gram_matrices`.

        Returns:
            Mean and covariance, with what was added and chosen.

        Raises:
            KernelError: Shapes do not fit, the kernel is singular, or the options contradict one another.
        """
        return predict(
            self.grams, x_train, y_train, x_test, of=of, time=time, ridge=ridge, loss=loss, cov=cov, jitter=jitter,
            draws=draws, seed=seed, **options,
        )  # fmt: skip
