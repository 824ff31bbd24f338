"""What a tracked run trains on, and the fixed data that its sharpness is measured on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from similitude.cli.batches import load_batches
from similitude.cli.factories import load_factory
from similitude.cli.samples import load_traced, sample_at
from similitude.core.errors import CurvatureError
from similitude.core.seeding import derive
from similitude.data.batches import Batches, ImageBatches, TextBatches

_LOSS = "similitude.training.losses:cross_entropy"
_MOST = 4096  # batches that are drawn from a user's own object at most


@dataclass(frozen=True)
class Given:
    """A list of batches, trained on in its order, again and again.

    Attributes:
        given: The batches.
    """

    given: Sequence[Any]

    def batch(self, seed: int, step: int) -> Any:
        """Return the batch of one step; the seed plays no part."""
        return self.given[step % len(self.given)]

    def evaluation(self) -> None:
        """Return None: there is no held-out data."""

    def describe(self) -> dict[str, Any]:
        """Return what identifies the batches."""
        return {"batches": len(self.given)}


@dataclass(frozen=True)
class Probed:
    """What a tracked run reads.

    Attributes:
        batches: The batch of every step.
        probe: The batches that the sharpness is measured on.
        loss: `loss(model, batch)`; None where the model's own is meant.
        vain: Options that have no effect.
    """

    batches: Batches
    probe: list[Any]
    loss: Callable[..., Any] | None
    vain: tuple[str, ...] = ()


def load_probed(
    data: str | None,
    sample: str | None,
    loss: str | None,
    *,
    width: int | None,
    examples: int,
    batch_size: int | None,
    context: int | None,
    full_batch: bool,
    seed: int,
) -> Probed:
    """Find what to train on and what to measure on, by the user's options.

    Args:
        data: A data set as `load_batches` takes it, or None.
        sample: `module:name` of a batch, of a list of batches, or of a function that gives one, or None.
        loss: `module:name` of a loss; cross entropy where it is None and `data` is given.
        width: Width of the model, for a sample that depends on it; None where the model has none.
        examples: Examples of the probe.
        batch_size: Examples per training batch; None for the default.
        context: Characters per sequence of a text; None for the default.
        full_batch: Whether to train on the probe itself, all of it at every step.
        seed: Seed of the probe.

    Raises:
        FactoryError: Both of sample and data are given, or an object cannot be found or made.
        DataError: The data set is not there or malformed.
        CurvatureError: None of them is given, or the sample depends on the width, and there is none.
    """
    if data is None and sample is None:
        raise CurvatureError(
            "a model is trained and its sharpness measured on data, and none is given. Give --data NAME, e.g. --data "
            "digits, or --sample module:name (or file.py:name) of a batch or a list of batches."
        )
    sizes = {"--batch-size": batch_size, "--context": context}
    if data is None or sample is not None:
        traced = load_traced(sample, data, loss)
        found = sample_at(sample, traced.sample, width)
        given = list(found) if isinstance(found, list) else [found]
        vain = [option for option, value in sizes.items() if value is not None]
        vain += ["--full-batch"] if full_batch and len(given) == 1 else []
        return Probed(Given(given), given, traced.loss, tuple(vain))
    batches, vain = load_batches(data, batch_size=batch_size, context=context)
    probe = _probe(batches, examples, derive(seed, "probe"))
    if full_batch and len(probe) > 1:
        raise CurvatureError(
            f"--full-batch: {examples} examples of --data {data} are {len(probe)} batches, and one step takes one. Let "
            f"its batch(seed, step) give {examples} examples, or fewer with --examples."
        )
    if full_batch:
        vain = (*vain, "--batch-size") if batch_size is not None else vain
    made = load_factory(loss or _LOSS, what="a function loss(model, batch) that returns one number")
    return Probed(Given(probe) if full_batch else batches, probe, made, vain)


def _probe(batches: Batches, examples: int, seed: int) -> list[Any]:
    """Draw batches until there are enough examples; sets of ours give them as one."""
    from similitude.landscape.batches import read_batches

    if isinstance(batches, ImageBatches | TextBatches):
        return [replace(batches, batch_size=examples).batch(seed, 0)]
    drawn, count = [], 0
    while count < examples and len(drawn) < _MOST:
        drawn.append(batches.batch(seed, len(drawn)))
        count += read_batches([drawn[-1]])[0][1]
    return drawn
