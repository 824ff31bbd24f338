"""Predictions of a kernel on samples: the Gram blocks that are needed, then an ensemble, a posterior or a flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, Unpack

from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.arguments import real, seeded_by, whole
from similitude.kernels.ensemble import checked_time, ensemble
from similitude.kernels.ensemble_draws import drawn_ensemble
from similitude.kernels.gradient_flow import gradient_flow
from similitude.kernels.grams import GramOptions
from similitude.kernels.leave_one_out import choose_ridge
from similitude.kernels.losses import Loss, targets_for
from similitude.kernels.posterior import posterior
from similitude.kernels.prediction import Prediction
from similitude.kernels.samples import count, require_finite
from similitude.kernels.targets import like_targets
from similitude.kernels.train_test import TrainTest

Of = Literal["ensemble", "posterior"]


class GramFunction(Protocol):
    """Computes Gram matrices by name; `TiledKernel.grams`, or `gram_matrices` of a pair function."""

    def __call__(
        self, x1: Any, x2: Any = None, /, *, names: Sequence[str], **options: Unpack[GramOptions]
    ) -> Mapping[str, Tensor]:
        """Return matrices of shape (samples of x1, samples of x2); x2 None means x1."""
        ...


def train_test(
    grams: GramFunction,
    x_train: Any,
    x_test: Any,
    *,
    names: Sequence[str],
    cov: bool = True,
    **options: Unpack[GramOptions],
) -> dict[str, TrainTest]:
    """Compute the blocks between training and test samples.

    Args:
        grams: Computes Gram matrices.
        x_train: n samples.
        x_test: m samples.
        names: The kernels that are needed.
        cov: Whether the blocks between test samples are needed too.
        options: How they are computed, see `gram_matrices`; with a folder, each block has a folder in it.

    Returns:
        The blocks by name of the kernel.

    Raises:
        KernelError: See `gram_matrices`.
    """
    folder = options.get("folder")

    def block(which: str, x1: Any, x2: Any = None) -> Mapping[str, Tensor]:
        place: GramOptions = {} if folder is None else {"folder": Path(folder) / which}
        return grams(x1, x2, names=names, **(options | place))

    train, cross = block("train", x_train), block("test_train", x_test, x_train)
    own = block("test", x_test) if cov else {}

    def there(name: str, blocks: Mapping[str, Tensor]) -> Tensor | None:
        return blocks[name].to(train[name].device) if blocks else None

    return {
        name: TrainTest(train[name], there(name, cross), there(name, own), name=_SAID.get(name, name))
        for name in names
    }


def predict(
    grams: GramFunction,
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
    """Predict the targets of test samples from training samples by the kernels of a network.

    Args:
        grams: Computes the Gram matrices "nngp" and "ntk".
        x_train: n samples.
        y_train: Targets, shape (n,) or (n, C); integers are class numbers, which become rows with a 1.
        x_test: m samples.
        of: "ensemble": nets trained by gradient flow from random starts. "posterior": the Gaussian process with the NNGP
            kernel as prior, given the targets with noise of variance `ridge`.
        time: Learning rate times steps, the loss summed over samples; None for the end of training.
        ridge: Added to the diagonal of the training kernel, or "loo" for the best by leave-one-out at the end of
            training.
        loss: "mse", "cross_entropy", or `loss(outputs, targets) -> number`; all but "mse" are followed to a finite
            time.
        cov: Whether the covariance is wanted.
        jitter: Share of the mean diagonal that is added for numerical stability; nothing is added unasked.
        draws: Nets drawn where the loss is not the squared error; 0 follows the one net whose outputs begin at 0, which
            has no covariance.
        seed: Seed of the draws.
        options: How Gram matrices are computed, see `gram_matrices`.

    Returns:
        The mean and the covariance, with what was added and chosen.

    Raises:
        KernelError: Shapes do not fit, the kernel is singular, or the options contradict one another.
    """
    if of not in ("ensemble", "posterior"):
        raise KernelError(f"of={of!r} is not known. Pass 'ensemble' or 'posterior'.")
    _check_values(time, jitter, draws, seed, ridge)
    _check(of, time, loss, jitter, draws)
    # Before hours of Gram matrices:
    targets_for(loss, y_train, count(x_train, "x_train"), outputs=None)
    count(x_test, "x_test")
    require_finite(x_train, "x_train")
    require_finite(x_test, "x_test")
    trained_by = "nngp" if of == "posterior" else "ntk"
    spread = bool(draws) or (cov and loss == "mse")
    names = ("nngp", "ntk") if spread and of == "ensemble" else (trained_by,)
    found = train_test(grams, x_train, x_test, names=names, cov=spread, **options)
    ntk, notes = found[trained_by], []
    if ridge == "loo":
        choice = choose_ridge(ntk.train, y_train)
        ridge = choice.ridge
        edge = f" (the {choice.edge} that was tried)" if choice.edge else ""
        notes = [
            f"leave-one-out chose a ridge of {ridge:.4g}{edge}, with a mean squared error of {choice.error:.4g}"
        ]
    if of == "posterior":
        made = posterior(found["nngp"], y_train, ridge=ridge, jitter=jitter)
    elif loss == "mse":
        nngp = found.get("nngp") or TrainTest(ntk.train, ntk.test_train, name=ntk.name)
        made = ensemble(nngp, ntk, y_train, time=time, ridge=ridge, jitter=jitter)
    elif draws:
        assert time is not None
        made = drawn_ensemble(
            found["nngp"], ntk, y_train, time=time, loss=loss, draws=draws, seed=seed, ridge=ridge
        )
    else:
        assert time is not None
        flow = gradient_flow(ntk, y_train, times=time, loss=loss, ridge=ridge)
        assert flow.test is not None
        notes.append(
            "the net whose outputs begin at 0 was followed; pass draws=16 for the mean and spread of nets"
        )
        made = Prediction(like_targets(flow.test[0], y_train), None, float(ridge))
    return replace(made, notes=(*notes, *made.notes))


_SAID = {"nngp": "NNGP kernel", "ntk": "tangent kernel"}


def _check_values(time: float | None, jitter: float, draws: int, seed: int, ridge: float | str) -> None:
    """Raise where an option is no number, or out of its range."""
    if time is not None:
        checked_time(time)
    if ridge != "loo":
        real("ridge", ridge, remedy="Pass a number of at least 0, or 'loo' for leave-one-out.")
    real("jitter", jitter, remedy="Pass the share of the mean diagonal that is added, e.g. 1e-8.")
    whole("draws", draws, least=0, remedy="Pass the number of nets, e.g. 16, or 0 for the one from 0.")
    seeded_by(seed)


def _check(of: Of, time: float | None, loss: Loss, jitter: float, draws: int) -> None:
    """Raise where options have no effect together, or no meaning."""
    if of == "posterior" and (time is not None or loss != "mse"):
        raise KernelError(
            "of='posterior' is the Gaussian posterior, which knows no time and no other loss than the squared error. "
            "Leave out time= and loss=, or pass of='ensemble'."
        )
    if loss == "mse":
        if draws:
            raise KernelError("draws= has no effect with loss='mse': its ensemble is exact. Leave it out.")
    elif time is None:
        raise KernelError(
            f"loss={loss if isinstance(loss, str) else 'a function'}: the flow of this loss is followed to a finite time "
            "(cross-entropy has no end where classes can be told apart). Pass time=, learning rate times steps."
        )
    elif jitter:
        raise KernelError("jitter= has no effect on a flow that is integrated. Leave it out.")
